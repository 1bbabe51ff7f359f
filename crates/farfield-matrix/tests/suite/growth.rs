//! Numbers and operations for each unknown while n grows, in one dimension, counted. The example `growth` goes on to a million.

use std::sync::Arc;

use farfield_matrix::{
    Accuracy, Admissibility, AtZero, ClusterTree, H2Matrix, H2Options, H2Storage, HMatrix, HMatrixOptions, Hodlr, Hss,
    Kernel, KernelMatrix, LinearOperator, Matrix, Points, SkeletonOptions, Splitting,
};

const SIZES: [usize; 3] = [1000, 8000, 64_000];

struct Problem {
    entries: KernelMatrix<f32>,
    tree: Arc<ClusterTree>,
    accuracy: Accuracy,
}

fn problem(n: usize) -> Problem {
    let points = Arc::new(Points::new(1, (0..n).map(|i| i as f64 / n as f64).collect()).unwrap());
    Problem {
        entries: KernelMatrix::new(Kernel::Logarithm, points.clone(), points.clone(), AtZero::Value(0.0)).unwrap(),
        tree: Arc::new(ClusterTree::geometric(&points, 64, Splitting::Median).unwrap()),
        accuracy: Accuracy::relative(1e-3).unwrap(),
    }
}

/// Multiply-adds for each unknown at the three sizes.
fn per_unknown(count: impl Fn(&Problem) -> usize) -> [f64; 3] {
    SIZES.map(|n| count(&problem(n)) as f64 / n as f64)
}

#[test]
fn nested_bases_take_the_same_for_each_unknown() {
    let hss = per_unknown(|p| {
        let options = SkeletonOptions { check_rows: 32, failure: 0.01, ..Default::default() };
        Hss::from_entries(&p.entries, &p.tree, &p.tree, p.accuracy, &options).unwrap().0.multiply_adds()
    });
    let h2 = per_unknown(|p| {
        let options = H2Options { leaf_size: 64, storage: H2Storage::Recomputed, ..H2Options::new(p.accuracy) };
        H2Matrix::from_kernel(&p.entries, &options).unwrap().0.multiply_adds()
    });
    for counts in [hss, h2] {
        let most = counts.iter().copied().fold(0.0, f64::max);
        let least = counts.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(most / least < 1.5, "HSS {hss:?}, H2 {h2:?}");
    }
}

#[test]
fn bases_of_their_own_grow_like_log_n() {
    let hodlr =
        per_unknown(|p| Hodlr::from_entries(&p.entries, p.tree.clone(), p.accuracy, 0).unwrap().0.multiply_adds());
    let h = per_unknown(|p| {
        let strong = Admissibility::Strong { eta: 2.0 };
        let options = HMatrixOptions::new(p.accuracy);
        HMatrix::build(&p.entries, &p.tree, &p.tree, strong, &options).unwrap().0.multiply_adds()
    });
    for counts in [hodlr, h] {
        // Equal factors of n add equal numbers, and the numbers grow at most in proportion to log n.
        let (first, second) = (counts[1] - counts[0], counts[2] - counts[1]);
        assert!(second <= 1.25 * first && second > 0.0, "HODLR {hodlr:?}, H {h:?}");
        assert!(counts[2] / counts[0] <= 1.1 * (SIZES[2] as f64).ln() / (SIZES[0] as f64).ln());
    }
}

#[test]
fn the_count_of_an_h2_product_is_that_of_its_stored_transpose() {
    let p = problem(2000);
    let options = H2Options { leaf_size: 64, ..H2Options::new(p.accuracy) };
    let (half, _) = H2Matrix::from_kernel(&p.entries, &options).unwrap();
    // With all blocks kept every number is used once.
    let zero = Matrix::<f32>::zeros(2000, 1);
    let one = Matrix::<f32>::from_fn(2000, 1, |_, _| 1.0);
    let (whole, _) = half.add_low_rank(&zero, &one, Accuracy::relative(1e-5).unwrap()).unwrap();
    assert!(whole.multiply_adds() == whole.stored() && whole.apply(&one).is_ok());
    assert!(half.multiply_adds() < 2 * half.stored() && half.multiply_adds() > half.stored());
}
