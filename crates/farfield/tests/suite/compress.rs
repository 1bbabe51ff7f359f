//! `farfield compress` and `farfield decompress` as a user runs them.

use crate::place::Place;

/// A file with a Green's function of 128 points, `f32`, and a bias.
fn network(place: &Place, name: &str, entry: impl Fn(usize, usize) -> f32) {
    let n = 128;
    let (matrix, bias) = (4 * n * n, 4 * n);
    let header = format!(
        "{{\"__metadata__\":{{\"format\":\"pt\"}},\"bias\":{{\"dtype\":\"F32\",\"shape\":[{n}],\"data_offsets\":[0,{bias}]}},\
         \"weight\":{{\"dtype\":\"F32\",\"shape\":[{n},{n}],\"data_offsets\":[{bias},{}]}}}}",
        bias + matrix
    );
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend((0..n).flat_map(|i| (i as f32).to_le_bytes()));
    bytes.extend((0..n * n).flat_map(|k| entry(k / n, k % n).to_le_bytes()));
    std::fs::write(place.path(name), bytes).unwrap();
}

fn green(i: usize, j: usize) -> f32 {
    let x = |i: usize| ((i * 45) % 128 + 1) as f32 / 129.0;
    x(i).min(x(j)) * (1.0 - x(i).max(x(j)))
}

#[test]
fn a_weight_is_compressed_and_restored() {
    let place = Place::new();
    network(&place, "in.safetensors", green);
    let compress = ["compress", "in.safetensors", "--tol", "1e-3", "--out", "small.safetensors"];
    let report = place.json(&[compress.as_slice(), &["--json"]].concat());
    let weight = &report["weights"][0];
    assert_eq!((weight["name"].as_str(), report["copied"].as_bool()), (Some("weight"), Some(false)));
    assert!(weight["error"].as_f64().unwrap() <= 1e-3 && weight["alternatives"].as_array().unwrap().len() == 4);
    let size = |name: &str| place.path(name).metadata().unwrap().len();
    assert_eq!(report["output_bytes"].as_u64(), Some(size("small.safetensors")));
    assert!(2 * size("small.safetensors") < size("in.safetensors"));

    let error = place.fails(2, &compress);
    assert!(error.contains("--force"), "{error}");
    let text = place.ok(&[compress.as_slice(), &["--force"]].concat());
    assert!(text.contains("times smaller") && text.contains("weight"), "{text}");

    place.ok(&["decompress", "small.safetensors", "--out", "dense.safetensors"]);
    let numbers = |name: &str| {
        let bytes = std::fs::read(place.path(name)).unwrap();
        let start = bytes.len() - 4 * 128 * 129;
        bytes[start..].as_chunks::<4>().0.iter().map(|&x| f64::from(f32::from_le_bytes(x))).collect::<Vec<_>>()
    };
    // The order of tensors may change: the sums of squares do not.
    let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
    let (before, after) = (numbers("in.safetensors"), numbers("dense.safetensors"));
    assert!((square(&before) - square(&after)).abs() < 1e-3 * square(&before));
}

#[test]
fn random_weights_are_copied_and_the_report_says_so() {
    let place = Place::new();
    network(&place, "in.safetensors", |i, j| ((i * 7919 + j * 104_729) as f32 * 0.618).sin() * ((i * j) as f32).cos());
    let text = place.ok(&["compress", "in.safetensors", "--tol", "1e-4", "--out", "out.safetensors"]);
    assert!(text.contains("Nothing pays") && text.contains("nothing pays:"), "{text}");
    assert_eq!(
        std::fs::read(place.path("in.safetensors")).unwrap(),
        std::fs::read(place.path("out.safetensors")).unwrap()
    );
}

#[test]
fn bad_usage_and_bad_files_exit_with_status_two() {
    let place = Place::new();
    network(&place, "in.safetensors", green);
    std::fs::write(place.path("bad.safetensors"), b"not a model at all").unwrap();
    let out = ["--out", "out.safetensors", "--quiet"];
    let cases: [(&[&str], &str); 6] = [
        (&["compress", "bad.safetensors", "--tol", "0.1"], "not a safetensors file"),
        (&["compress", "none.safetensors", "--tol", "0.1"], "cannot open"),
        (&["compress", "in.safetensors", "--tol", "-1"], "at least 0"),
        (&["compress", "in.safetensors", "--ratio", "0.5"], "at least 1"),
        (&["compress", "in.safetensors", "--bytes", "100"], "cannot be met"),
        (&["compress", "in.safetensors", "--tol", "0.1", "--select", "conv*"], "no tensor of"),
    ];
    for (args, expected) in cases {
        let error = place.fails(2, &[args, &out].concat());
        assert!(error.contains(expected), "{error}");
    }
    let error = place.fails(2, &["decompress", "bad.safetensors", "--out", "out.safetensors"]);
    assert!(error.contains("not a safetensors file"), "{error}");
    assert!(!place.path("out.safetensors").exists());
}
