//! `farfield matrix` and `farfield recover` as a user runs them.

use crate::place::Place;
use farfield::data::{Array, read_array, save_npy};

fn array(shape: &[usize], values: Vec<f64>) -> Array {
    Array::new(shape, &values).unwrap()
}

/// A place with points of the unit square in `p.npy` and vectors in `b.npy`.
fn place(n: usize) -> (Place, Vec<f64>) {
    let place = Place::new();
    let points: Vec<f64> = (0..2 * n).map(|i| (i as f64 * 0.754_877_666).fract()).collect();
    save_npy(&place.path("p.npy"), &array(&[n, 2], points.clone()), false).unwrap();
    let b = (0..2 * n).map(|i| (i as f64).sin()).collect();
    save_npy(&place.path("b.npy"), &array(&[n, 2], b), false).unwrap();
    (place, points)
}

/// `A X` for the Gaussian kernel of length 0.2 plus the identity.
fn product(points: &[f64], x: &[f64]) -> Vec<f64> {
    let n = points.len() / 2;
    let entry = |i: usize, j: usize| {
        let square = (points[2 * i] - points[2 * j]).powi(2) + (points[2 * i + 1] - points[2 * j + 1]).powi(2);
        (-square / 0.04).exp() + if i == j { 1.0 } else { 0.0 }
    };
    (0..2 * n).map(|k| (0..n).map(|j| entry(k / 2, j) * x[2 * j + k % 2]).sum()).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

#[test]
fn every_format_is_built_applied_solved_and_drawn() {
    let (place, points) = place(400);
    let values = |name: &str| read_array(&place.path(name), None).unwrap().data.to_vec::<f64>();
    let b = values("b.npy");
    for format in ["h", "h2", "hodlr", "hss"] {
        let file = format!("{format}.ffm");
        let build =
            ["matrix", "build", "--kernel", "gaussian:0.2", "--points", "p.npy", "--shift", "1", "--tol", "1e-7"];
        let rest = ["--leaf", "25", "--format", format, "--out", &file, "--quiet", "--json"];
        let built = place.json(&[build.as_slice(), &rest].concat());
        assert_eq!((built["format"].as_str(), built["nrows"].as_u64()), (Some(format), Some(400)));
        let bound = built["certificate"]["frobenius"]["value"].as_f64().unwrap();
        assert!(bound <= 1e-7 * built["certificate"]["norm"].as_f64().unwrap() * 1.001, "{format}: {bound}");
        let info = place.json(&["matrix", "info", &file, "--json"]);
        assert_eq!(info["certificate"], built["certificate"]);

        place.ok(&["matrix", "apply", &file, "--input", "b.npy", "--output", &format!("{format}-y.npy")]);
        let error = distance(&values(&format!("{format}-y.npy")), &product(&points, &b));
        assert!(error < 1e-6, "{format}: product {error:e}");
        let transposed = format!("{format}-t.npy");
        place.ok(&["matrix", "apply", &file, "--transpose", "--input", "b.npy", "--output", &transposed]);
        assert!(distance(&values(&transposed), &product(&points, &b)) < 1e-6);

        let x = format!("{format}-x.npy");
        let solved = place.json(&["matrix", "solve", &file, "--input", "b.npy", "--output", &x, "--json"]);
        assert!(solved["relative_residual"].as_f64().unwrap() < 1e-9, "{format}: {solved}");
        let error = distance(&product(&points, &values(&x)), &b);
        assert!(error < 1e-5, "{format}: solution {error:e}");

        let drawn = place.ok(&["matrix", "plot", &file, "--out", &format!("{format}-blocks")]);
        assert!(drawn.contains(&format!("{format}-blocks.png")) && drawn.contains(&format!("{format}-blocks.svg")));
        assert!(place.path(&format!("{format}-blocks.png")).metadata().unwrap().len() > 1000);
    }
    // The same determinant from three factorisations.
    let logarithms = ["h", "hodlr", "hss"].map(|format| {
        let (file, x) = (format!("{format}.ffm"), format!("{format}-x.npy"));
        let solve =
            ["matrix", "solve", &file, "--input", "b.npy", "--output", &x, "--force", "--json", "--lu-tol", "1e-9"];
        let solved = place.json(&[solve.as_slice(), &["--log-determinant"]].concat());
        assert_eq!(solved["log_determinant"][0], 1);
        solved["log_determinant"][1].as_f64().unwrap()
    });
    assert!(logarithms.iter().all(|l| (l - logarithms[0]).abs() < 1e-4 * logarithms[0].abs()), "{logarithms:?}");
}

#[test]
fn a_dense_matrix_is_compressed() {
    let place = Place::new();
    let n = 96usize;
    let a: Vec<f64> = (0..n * n).map(|k| 1.0 / (1.0 + (k / n).abs_diff(k % n) as f64)).collect();
    save_npy(&place.path("a.npy"), &array(&[n, n], a), false).unwrap();
    for format in ["hss", "hodlr"] {
        let out = format!("{format}.ffm");
        let build = ["matrix", "build", "--dense", "a.npy", "--leaf", "12", "--tol", "1e-8", "--format", format];
        let built = place.json(&[build.as_slice(), &["--out", &out, "--json"]].concat());
        assert_eq!(built["certificate"]["frobenius"]["confidence"], "proven");
        // Toeplitz, symmetric: the norm is below the largest row sum, the condition number above that of the diagonal.
        let info = place.json(&["matrix", "info", &out, "--condition", "--json"]);
        let (norm, condition) = (info["norm_2"].as_f64().unwrap(), info["condition_2"].as_f64().unwrap());
        assert!(norm > 3.0 && norm < 12.0 && condition > norm && condition < 100.0, "{info}");
    }
    let refused = place.fails(2, &["matrix", "build", "--dense", "a.npy", "--format", "h", "--out", "h.ffm"]);
    assert!(refused.contains("--points"), "{refused}");
}

#[test]
fn an_operator_is_recovered_from_noise_and_not_from_waves() {
    let place = Place::new();
    let data = ["data", "generate", "poisson-1d", "--samples", "40", "--quiet"];
    place.ok(&[data.as_slice(), &["--family", "random-s0", "--out", "noise.h5"]].concat());
    place.ok(&[data.as_slice(), &["--family", "paper", "--out", "waves.h5"]].concat());
    let recovered =
        place.json(&["recover", "--data", "noise.h5", "--samples", "30", "--out", "operator.ffm", "--json"]);
    let test = recovered["test_error"].as_f64().unwrap();
    assert!(test < 1e-9 && recovered["least_squares_test_error"].as_f64().unwrap() > 0.1, "{recovered}");
    // The boundary point is zero in all pairs and stays in place.
    assert_eq!((recovered["points"].as_u64(), recovered["zero_points"].as_u64()), (Some(256), Some(1)));
    assert_eq!(place.json(&["matrix", "info", "operator.ffm", "--json"])["format"], "hss");
    let refused = place.fails(2, &["recover", "--data", "waves.h5"]);
    assert!(refused.contains("recovery:"), "{refused}");
    let few = place.fails(2, &["recover", "--data", "noise.h5", "--samples", "5"]);
    assert!(few.contains("too few"), "{few}");
}

#[test]
fn bad_input_is_one_line() {
    let (place, _) = place(60);
    let build = |extra: &[&'static str]| {
        let base = ["matrix", "build", "--points", "p.npy", "--out", "k.ffm", "--quiet"];
        [base.as_slice(), extra].concat()
    };
    for (extra, part) in [
        (&["--kernel", "laplace4d"][..], "laplace4d"),
        (&["--kernel", "laplace3d"], "coincides"),
        (&["--kernel", "gaussian:1", "--tol", "0"], "tolerance"),
        (&["--kernel", "gaussian:1", "--tol", "-1"], "tolerance"),
        (&["--kernel", "gaussian:1", "--leaf", "0"], "leaf"),
        (&["--kernel", "gaussian:1", "--eta", "0"], "eta"),
        (&["--kernel", "exponential:0.1", "--tol", "1e-9", "--max-rank", "1", "--leaf", "5"], "rank"),
    ] {
        let line = place.fails(2, &build(extra));
        assert!(line.contains(part), "{extra:?}: {line}");
        assert!(!place.path("k.ffm").exists());
    }
    place.ok(&build(&["--kernel", "gaussian:1"]));
    assert!(place.fails(2, &build(&["--kernel", "gaussian:1"])).contains("--force"));
    save_npy(&place.path("short.npy"), &array(&[3], vec![1.0; 3]), false).unwrap();
    let line = place.fails(2, &["matrix", "apply", "k.ffm", "--input", "short.npy", "--output", "y.npy"]);
    assert!(line.contains("60"), "{line}");
    save_npy(&place.path("nan.npy"), &array(&[60], vec![f64::NAN; 60]), false).unwrap();
    assert!(place.fails(2, &["matrix", "apply", "k.ffm", "--input", "nan.npy", "--output", "y.npy"]).contains("NaN"));
    std::fs::write(place.path("garbage.ffm"), b"not a matrix").unwrap();
    assert!(place.fails(2, &["matrix", "info", "garbage.ffm"]).contains("garbage.ffm"));
    let bytes = std::fs::read(place.path("k.ffm")).unwrap();
    std::fs::write(place.path("cut.ffm"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(place.fails(2, &["matrix", "info", "cut.ffm"]).contains("cut.ffm"));
    assert!(place.fails(2, &["matrix", "info", "missing.ffm"]).contains("missing.ffm"));
    assert_eq!(place.run(&["matrix", "build", "--kernel", "gaussian:1", "--out", "x.ffm"]).status.code(), Some(2));
}
