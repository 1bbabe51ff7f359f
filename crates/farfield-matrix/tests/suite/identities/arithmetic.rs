//! Sums, products, transposes and extraction, to the tolerance asked for.

use farfield_matrix::*;

use crate::cases::*;

#[track_caller]
fn close(what: &str, found: &Matrix<f64>, exact: &Matrix<f64>, tolerance: f64) {
    let (error, norm) = (distance(found, exact), exact.norm_frobenius());
    assert!(error <= tolerance * norm, "{what}: {:.2e} for {tolerance:.0e}", error / norm);
}

/// A matrix in every format that adds and multiplies, tightly.
struct Formats {
    full: Matrix<f64>,
    hodlr: Hodlr<f64>,
    hss: Hss<f64>,
    h: HMatrix<f64>,
}

fn formats(k: usize, n: usize) -> Formats {
    let full = structured(k, n).1;
    let tree = bisection(n, 48);
    let tight = relative(1e-13);
    let options = HMatrixOptions { compression: Compression::Svd, ..HMatrixOptions::new(tight) };
    Formats {
        hodlr: Hodlr::from_dense(&full, tree.clone(), tight).unwrap().0,
        hss: Hss::from_dense_on(&full, &tree, &tree, tight).unwrap().0,
        h: HMatrix::build(&full, &tree, &tree, Admissibility::Weak, &options).unwrap().0,
        full,
    }
}

fn check(n: usize, pairs: &[(usize, usize)], tolerances: &[f64]) {
    for &(first, second) in pairs {
        let (a, b) = (formats(first, n), formats(second, n));
        let (sum, product) = (combine(&a.full, 1.0, &b.full), times(&a.full, &b.full));
        for &tolerance in tolerances {
            // Of the result; its terms are known to 1e-13 of theirs.
            let what = |format| format!("{format}, matrices {first} and {second} of order {n}");
            let accuracy = relative(0.9 * tolerance);
            let weak = Admissibility::Weak;
            for (format, found) in [
                ("HODLR sum", a.hodlr.add(&b.hodlr, accuracy).unwrap().0.to_dense()),
                ("HSS sum", a.hss.add(&b.hss).unwrap().recompress(accuracy).unwrap().0.to_dense()),
                ("H sum", a.h.add(&b.h, accuracy).unwrap().0.to_dense()),
            ] {
                close(&what(format), &found, &sum, tolerance);
            }
            for (format, found) in [
                ("HODLR product", a.hodlr.multiply(&b.hodlr, accuracy).unwrap().0.to_dense()),
                ("HSS product", a.hss.multiply(&b.hss).unwrap().recompress(accuracy).unwrap().0.to_dense()),
                ("H product", a.h.multiply(&b.h, weak, accuracy, 1).unwrap().0.to_dense()),
            ] {
                close(&what(format), &found, &product, tolerance);
            }
        }
    }
}

#[test]
fn sums_and_products() {
    check(512, &[(2, 5), (4, 1), (7, 3)], &[1e-2, 1e-6, 1e-11]);
    check(1000, &[(6, 8)], &[1e-4]);
}

#[test]
fn transposes() {
    for k in [2, 3, 7] {
        let Formats { hodlr, hss, h, .. } = formats(k, 512);
        assert_eq!(hodlr.transpose().to_dense(), hodlr.to_dense().transpose());
        close("HSS", &hss.transpose().to_dense(), &hss.to_dense().transpose(), 1e-15);
        assert_eq!(h.transpose().to_dense(), h.to_dense().transpose());
    }
    let p = std::sync::Arc::new(cloud(512, 2, 1));
    let kernel: Kernel = "inverse-multiquadric:0.2".parse().unwrap();
    let a =
        KernelMatrix::<f64>::new(kernel, p.clone(), std::sync::Arc::new(cloud(400, 2, 2)), AtZero::Formula).unwrap();
    let (h, _) = H2Matrix::from_kernel(&a, &H2Options { leaf_size: 32, ..H2Options::new(relative(1e-6)) }).unwrap();
    close("H2", &h.transpose().to_dense(), &h.to_dense().transpose(), 1e-14);
}

#[test]
fn extraction() {
    let n = 512;
    let Formats { full, hodlr, hss, h } = formats(2, n);
    let line = Points::new(1, (0..n).map(|i| i as f64).collect()).unwrap();
    let tree = geometric(&line, 48, Splitting::Median);
    let h2 = H2Matrix::from_entries(&full, tree.clone(), tree, &H2Options::new(relative(1e-10))).unwrap().0;
    let (rows, cols): (Vec<usize>, Vec<usize>) =
        ((0..40).map(|i| i * 37 % n).collect(), (0..30).map(|j| j * 91 % n).collect());
    let exact = |a: &Matrix<f64>| Matrix::from_fn(rows.len(), cols.len(), |i, j| a[(rows[i], cols[j])]);
    for (format, block, all) in [
        ("HODLR", hodlr.block(&rows, &cols).unwrap(), hodlr.to_dense()),
        ("HSS", hss.block(&rows, &cols).unwrap(), hss.to_dense()),
        ("H", h.block(&rows, &cols).unwrap(), h.to_dense()),
        ("H2", h2.block(&rows, &cols).unwrap(), h2.to_dense()),
    ] {
        close(format, &block, &exact(&all), 1e-13);
        assert!(distance(&block, &exact(&full)) <= 1e-10 * full.norm_frobenius(), "{format}");
    }
}
