//! Algorithm 1, and the theorems about it.

use std::sync::Arc;

use farfield_compress::{
    MatrixOptions, RefinementOptions, Sharing, adaptive_refinement, compress_matrix, theorem_table,
};
use farfield_matrix::{Accuracy, AdaptiveBlocks, ClusterTree, Matrix};

/// `1 / (1 + |x - y|)` with a kink on the diagonal, and a shift that bounds the condition number.
fn kernel(n: usize, shift: f64) -> Matrix<f64> {
    Matrix::from_fn(n, n, |i, j| {
        let d = (i as f64 - j as f64).abs() / n as f64;
        1.0 / (0.05 + d) / n as f64 + if i == j { shift } else { 0.0 }
    })
}

fn options(sharing: Sharing, rank: usize) -> RefinementOptions {
    RefinementOptions { sharing, rank, initial_level: 1 }
}

#[test]
fn errors_of_blocks_are_within_the_tolerance_and_add_in_squares() {
    let (a, tree) = (kernel(128, 0.0), ClusterTree::bisection(128, 8).unwrap());
    for tau in [1e-2, 1e-4, 1e-6] {
        let found = adaptive_refinement(&a, &tree, &tree, options(Sharing::EachBlock(tau), 4)).unwrap();
        assert!(found.block_errors.iter().all(|&e| e <= tau));
        let h = found.matrix.to_dense();
        let error = Matrix::from_fn(128, 128, |i, j| a[(i, j)] - h[(i, j)]).norm_frobenius();
        assert!(error <= found.error && found.error <= error + 1e-12, "{error} {}", found.error);
        assert!(found.error <= found.equal_blocks_bound());
        // Every pass splits what missed, and no pass makes the error larger.
        assert_eq!(found.passes.last().unwrap().missed, 0);
        assert!(found.passes.windows(2).all(|w| w[1].blocks > w[0].blocks && w[1].error <= w[0].error * (1.0 + 1e-12)));
        assert!(found.matrix.blocks().iter().all(|block| block.rank().is_none_or(|rank| rank <= 4)));
    }
}

#[test]
fn a_global_tolerance_is_met_by_all_and_cheapest_where_it_is_shared_out_by_cost() {
    let (a, tree) = (kernel(128, 0.0), ClusterTree::bisection(128, 8).unwrap());
    let tolerance = 1e-4 * a.norm_frobenius();
    let printed = adaptive_refinement(&a, &tree, &tree, options(Sharing::ByArea(tolerance), 8)).unwrap();
    let tree = Arc::new(tree);
    let accuracy = Accuracy::absolute(tolerance).unwrap();
    let (blocks, certificate) = AdaptiveBlocks::from_dense(&a, &tree, &tree, accuracy).unwrap();
    let shared =
        compress_matrix(&a, MatrixOptions { leaf_size: 8, reorder: false, ..MatrixOptions::new(1e-4) }).unwrap();
    let (factors, own) = shared.stored.unwrap();
    for error in [printed.error, certificate.frobenius.value, own.frobenius.value] {
        assert!(error <= tolerance, "{error} {tolerance}");
    }
    let stored = [factors.stored(), blocks.stored(), printed.matrix.stored()];
    assert!(stored[0] < stored[1] && stored[1] <= stored[2], "{stored:?}");
}

#[test]
fn corrected_bounds_hold_and_the_printed_ones_of_1b_and_1e_do_not() {
    let (a, tree) = (kernel(64, 0.5), ClusterTree::bisection(64, 8).unwrap());
    let mut failures = Vec::new();
    for tau in [1e-1, 1e-2, 1e-4] {
        let found = adaptive_refinement(&a, &tree, &tree, options(Sharing::EachBlock(tau), 3)).unwrap();
        for delta in [1e-4, 1e-2, 0.2] {
            let rows = theorem_table(&a, &found, delta).unwrap();
            assert_eq!(rows.iter().map(|row| row.part).collect::<Vec<_>>(), ["1a", "1b", "1c", "1d, 1e", "3"]);
            for row in &rows {
                assert!(row.holds, "{tau} {delta}: {row:?}");
            }
            failures.extend(rows.iter().filter(|row| !row.printed_holds).map(|row| row.part));
        }
    }
    assert!(failures.contains(&"1b"), "{failures:?}");
    // For the identity, 1e fails in the way that NOTES work out; delta is that of a perturbation of 0.1 in the 2-norm.
    let identity = Matrix::identity(16);
    let tree = ClusterTree::bisection(16, 4).unwrap();
    let found = adaptive_refinement(&identity, &tree, &tree, options(Sharing::EachBlock(1e-9), 2)).unwrap();
    let rows = theorem_table(&identity, &found, 0.1 * 2f64.sqrt()).unwrap();
    assert!(rows.iter().all(|row| row.holds));
    assert!((rows[3].measured - 1.1 / 0.9).abs() < 1e-9, "{rows:?}");
}

#[test]
fn bad_arguments_are_errors() {
    let tree = ClusterTree::bisection(8, 4).unwrap();
    let a = kernel(8, 0.0);
    let run = |a: &Matrix<f64>, tau| adaptive_refinement(a, &tree, &tree, options(Sharing::EachBlock(tau), 2));
    assert!(run(&a, 0.0).is_err() && run(&a, f64::NAN).is_err() && run(&kernel(9, 0.0), 0.1).is_err());
    assert!(run(&Matrix::from_fn(8, 8, |_, _| f64::NAN), 0.1).is_err());
    let found = run(&a, 0.1).unwrap();
    assert!(theorem_table(&a, &found, -1.0).is_err() && theorem_table(&kernel(9, 0.0), &found, 0.1).is_err());
}
