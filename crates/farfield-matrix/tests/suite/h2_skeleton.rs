//! H2 skeletons: what is close and far, and input that is not as it should be.

use std::collections::HashSet;
use std::sync::Arc;

use farfield_matrix::{
    Admissibility, BoundingBox, Cluster, ClusterTree, Depth, H2Skeleton, H2SkeletonArrays, H2SkeletonOptions, H2Spec,
    MatrixError, Points, Ranks, Splitting,
};

fn cloud(dim: usize, n: usize, seed: usize) -> Points {
    let x = (1..=dim * n).map(|i| ((i * i % 7919 + i) as f64 * 0.618_033_988_749_895 + seed as f64 * 0.37).fract());
    Points::new(dim, x.collect()).unwrap()
}

fn of_leaf_size(size: usize) -> H2SkeletonOptions {
    H2SkeletonOptions { depth: Depth::LeafSize(size), ranks: Ranks::Constant(4), ..H2SkeletonOptions::default() }
}

/// Remark 2, written anew.
fn is_far(s: &Cluster, t: &Cluster, separation: f64) -> bool {
    let (a, b) = (s.bounding_box.as_ref().unwrap(), t.bounding_box.as_ref().unwrap());
    let center = |x: &BoundingBox, k: usize| (x.low[k] + x.high[k]) / 2.0;
    let size = |x: &BoundingBox| (0..x.low.len()).map(|k| x.high[k] - x.low[k]).fold(0.0, f64::max);
    let distance = (0..a.low.len()).map(|k| (center(a, k) - center(b, k)).powi(2)).sum::<f64>().sqrt();
    distance > separation * size(a).max(size(b)) && distance > 0.0
}

/// Every entry is in one block; far pairs are far and their parents are not; near pairs are leaves that are not far; ranks are where they are needed.
fn check(skeleton: &H2Skeleton, separation: f64) {
    let (rows, cols) = (skeleton.rows(), skeleton.cols());
    let mut covered = vec![0u8; skeleton.nrows() * skeleton.ncols()];
    for leaf in skeleton.leaves() {
        for i in leaf.rows {
            covered[i * skeleton.ncols()..][leaf.cols.clone()].iter_mut().for_each(|c| *c += 1);
        }
    }
    assert!(covered.iter().all(|&c| c == 1));
    let parent = |tree: &ClusterTree, c: usize| tree.cluster(c).parent.unwrap_or(c);
    for &(s, t) in skeleton.far() {
        assert!(is_far(rows.cluster(s), cols.cluster(t), separation));
        // On trees of one box both clusters were split, or one that is a leaf stayed.
        let (ps, pt) = (parent(rows, s), parent(cols, t));
        let close = |s: usize, t: usize| !is_far(rows.cluster(s), cols.cluster(t), separation);
        assert!((s, t) == (0, 0) || close(ps, pt) || close(ps, t) || close(s, pt));
        assert!(skeleton.row_ranks()[s] > 0 && skeleton.col_ranks()[t] > 0);
    }
    for &(s, t) in skeleton.near() {
        assert!(rows.cluster(s).is_leaf() && cols.cluster(t).is_leaf());
        assert!(!is_far(rows.cluster(s), cols.cluster(t), separation));
    }
    for (tree, ranks) in [(rows, skeleton.row_ranks()), (cols, skeleton.col_ranks())] {
        for (c, cluster) in tree.clusters().iter().enumerate() {
            let below = if cluster.is_leaf() { cluster.len() } else { ranks[cluster.children.clone()].iter().sum() };
            assert!(ranks[c] <= below);
        }
    }
    // Later layers: every receiver that hears something has a list, among such receivers.
    for (first, later) in [(skeleton.far(), skeleton.far_hidden()), (skeleton.near(), skeleton.near_hidden())] {
        let hears: HashSet<usize> = first.iter().map(|pair| pair.0).collect();
        let sees: HashSet<usize> = later.iter().map(|pair| pair.0).collect();
        assert_eq!(hears, sees);
        assert!(later.iter().all(|pair| hears.contains(&pair.1)));
    }
    let layout = skeleton.layout(&H2Spec::linear(), 1, 1).unwrap();
    assert_eq!((layout.n_out(), layout.n_in()), (skeleton.nrows(), skeleton.ncols()));
    let arrays = skeleton.to_arrays();
    let text = serde_json::to_string(&arrays).unwrap();
    let read: H2SkeletonArrays = serde_json::from_str(&text).unwrap();
    assert_eq!(&H2Skeleton::from_arrays(&read).unwrap(), skeleton);
}

#[test]
fn points_in_every_dimension() {
    for dim in 1..=3 {
        for separation in [1.0, 1.75, 3.0] {
            let options = H2SkeletonOptions { separation, ..of_leaf_size(6) };
            let (a, b) = (cloud(dim, 300, 0), cloud(dim, 170, 1));
            for (rows, cols) in [(&a, &a), (&a, &b), (&b, &a)] {
                check(&H2Skeleton::from_points(rows, cols, &options).unwrap(), separation);
            }
            let uneven = Points::new(dim, a.coordinates().iter().map(|x| x.powi(5)).collect()).unwrap();
            check(&H2Skeleton::from_points(&uneven, &b, &options).unwrap(), separation);
        }
    }
}

#[test]
fn interaction_lists_of_a_grid_are_those_of_the_fast_multipole_method() {
    // A cell in the middle has 6^d cells under close parents, 3^d of them close.
    for (shape, size, most) in [(vec![256], 4, 3), (vec![32, 32], 4, 27), (vec![16, 16, 16], 8, 189)] {
        let skeleton = H2Skeleton::from_grid(&shape, &of_leaf_size(size)).unwrap();
        check(&skeleton, 1.75);
        let list = |pairs: &[(usize, usize)]| {
            let mut counts = vec![0; skeleton.rows().clusters().len()];
            pairs.iter().for_each(|pair| counts[pair.0] += 1);
            counts.into_iter().max().unwrap()
        };
        assert_eq!((list(skeleton.far()), list(skeleton.near())), (most, 3usize.pow(shape.len() as u32)));
        // Sources and receivers coincide: later layers have the template of the first.
        assert_eq!((skeleton.far_hidden(), skeleton.near_hidden()), (skeleton.far(), skeleton.near()));
        let level = skeleton.far().iter().map(|pair| skeleton.rows().cluster(pair.0).level).min();
        assert_eq!(level, Some(2));
    }
}

#[test]
fn the_levels_of_the_paper() {
    // 320 points, 32 leaves of 10: as many numbers as `sum over levels` says.
    let options = H2SkeletonOptions {
        depth: Depth::Levels(5),
        ranks: Ranks::PerLevel(vec![0, 0, 5, 6, 7, 8]),
        ..H2SkeletonOptions::default()
    };
    let skeleton = H2Skeleton::from_grid(&[320], &options).unwrap();
    check(&skeleton, 1.75);
    let layout = skeleton.layout(&H2Spec::linear(), 1, 1).unwrap();
    let far = |level: usize| 6 * (1 << (level - 1)) - 6;
    let near = (3 * 32 - 2) * 100;
    let bases = 32 * 10 * 8 + 16 * 16 * 7 + 8 * 14 * 6 + 4 * 12 * 5;
    let couplings = far(2) * 25 + far(3) * 36 + far(4) * 49 + far(5) * 64;
    assert_eq!(layout.len(), near + 2 * bases + couplings);
    let text = skeleton.to_string();
    let expected = [
        "H2 skeleton of 320 receivers and 320 sources",
        "      receivers                 sources",
        "level   clusters  points  rank  clusters  points  rank  far pairs  later layers",
        "    0          1     320     -         1     320     -          0             0",
        "    1          2     160     -         2     160     -          0             0",
        "    2          4      80     5         4      80     5          6             6",
        "    3          8      40     6         8      40     6         18            18",
        "    4         16      20     7        16      20     7         42            42",
        "    5         32      10     8        32      10     8         90            90",
        "near field: 94 pairs of 32 and 32 leaves, 94 in later layers",
    ];
    for (line, expected) in text.lines().zip(expected) {
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
    }
    assert!(text.ends_with(&format!(
        "parameters of one linear layer: {} ({:.1} % of the dense matrix)",
        layout.len(),
        layout.len() as f64 / 1024.0
    )));
}

#[test]
fn sizes_that_do_not_divide() {
    for shape in [vec![1], vec![7], vec![101], vec![13, 5], vec![1, 40], vec![9, 2, 5]] {
        for depth in [Depth::LeafSize(3), Depth::Levels(3)] {
            let skeleton = H2Skeleton::from_grid(&shape, &H2SkeletonOptions { depth, ..of_leaf_size(1) }).unwrap();
            check(&skeleton, 1.75);
        }
    }
    let skeleton = H2Skeleton::from_grid(&[101], &of_leaf_size(10)).unwrap();
    let sizes: Vec<usize> = skeleton.rows().leaves().map(|c| skeleton.rows().cluster(c).len()).collect();
    assert!(sizes.iter().all(|&n| n == 6 || n == 7), "{sizes:?}");
}

#[test]
fn coinciding_points_are_close_to_themselves() {
    let mut x = cloud(2, 80, 0).coordinates().to_vec();
    x.extend([0.25, 0.75].repeat(50));
    let points = Points::new(2, x).unwrap();
    check(&H2Skeleton::from_points(&points, &cloud(2, 40, 3), &of_leaf_size(5)).unwrap(), 1.75);
    let one_place = Points::new(3, [0.1, 0.2, 0.3].repeat(30)).unwrap();
    let skeleton = H2Skeleton::from_points(&one_place, &one_place, &of_leaf_size(4)).unwrap();
    check(&skeleton, 1.75);
    assert!(skeleton.far().is_empty());
}

#[test]
fn one_cluster_and_empty_lists() {
    let points = cloud(2, 30, 0);
    let skeleton = H2Skeleton::from_points(&points, &points, &of_leaf_size(30)).unwrap();
    check(&skeleton, 1.75);
    assert_eq!((skeleton.far().len(), skeleton.near()), (0, &[(0, 0)][..]));
    assert!(skeleton.to_string().contains("nothing is far"));
    assert_eq!(skeleton.layout(&H2Spec::linear(), 1, 1).unwrap().len(), 900);
    // Sets far from each other: one far block, no near field; later layers see themselves.
    let away = Points::new(2, points.coordinates().iter().map(|x| x + 9.0).collect()).unwrap();
    let skeleton = H2Skeleton::from_points(&points, &away, &of_leaf_size(30)).unwrap();
    check(&skeleton, 1.75);
    let trees = |points| Arc::new(ClusterTree::geometric(points, 8, Splitting::Boxes).unwrap());
    let far = |s: &Cluster, t: &Cluster| is_far(s, t, 1.75);
    let ranks = Ranks::Constant(3);
    let skeleton = H2Skeleton::from_trees(trees(&points), trees(&away), Admissibility::Custom(&far), &ranks).unwrap();
    check(&skeleton, 1.75);
    assert_eq!((skeleton.far(), skeleton.far_hidden(), skeleton.near()), (&[(0, 0)][..], &[(0, 0)][..], &[][..]));
    // Clusters below far ones have ranks too: their parents' coefficients come from them.
    assert!(skeleton.row_ranks().iter().all(|&rank| rank > 0));
}

#[test]
fn bad_input_is_an_error() {
    let error = |rows: &Points, cols: &Points, options: &H2SkeletonOptions| {
        H2Skeleton::from_points(rows, cols, options).unwrap_err().to_string()
    };
    let (line, plane) = (cloud(1, 20, 0), cloud(2, 20, 0));
    let options = of_leaf_size(4);
    assert_eq!(error(&line, &plane, &options), "points: receivers have 1 coordinates and sources 2");
    let bounds = Some(BoundingBox { low: vec![0.0], high: vec![0.5] });
    let outside = error(&line, &line, &H2SkeletonOptions { bounds, ..options.clone() });
    assert!(outside.contains("lies outside the box from [0.0] to [0.5]"), "{outside}");
    let bounds = Some(BoundingBox { low: vec![0.0], high: vec![1.0] });
    assert!(error(&plane, &plane, &H2SkeletonOptions { bounds, ..options.clone() }).contains("in a box of 1"));
    let separation = error(&line, &line, &H2SkeletonOptions { separation: 0.0, ..options.clone() });
    assert_eq!(separation, "separation = 0: must be positive");
    assert!(error(&line, &line, &H2SkeletonOptions { separation: f64::NAN, ..options.clone() }).contains("NaN"));
    let rank = error(&line, &line, &H2SkeletonOptions { ranks: Ranks::Constant(0), ..options.clone() });
    assert!(rank.starts_with("ranks = 0 on level "), "{rank}");
    let rank = error(&line, &line, &H2SkeletonOptions { ranks: Ranks::PerLevel(vec![3, 3]), ..options.clone() });
    assert!(rank.starts_with("ranks = none on level "), "{rank}");
    assert!(error(&line, &line, &of_leaf_size(0)).contains("leaf_size is 0"));
    let none = Points::new(1, vec![]).unwrap();
    assert!(
        error(&none, &line, &options).contains("no indices") && error(&line, &none, &options).contains("no indices")
    );
    for shape in [&[][..], &[4, 0], &[usize::MAX, 3]] {
        assert!(matches!(H2Skeleton::from_grid(shape, &options), Err(MatrixError::Points { .. })), "{shape:?}");
    }
    let skeleton = H2Skeleton::from_grid(&[50], &options).unwrap();
    assert!(skeleton.layout(&H2Spec { far: vec![], near: vec![] }, 1, 1).is_err());
    assert!(skeleton.layout(&H2Spec::linear(), 0, 1).is_err());
    assert!(skeleton.col_order(0).is_err());
}

#[test]
fn damaged_arrays_are_errors() {
    let good = H2Skeleton::from_points(&cloud(2, 60, 0), &cloud(2, 50, 1), &of_leaf_size(6)).unwrap().to_arrays();
    let error = |change: &dyn Fn(&mut H2SkeletonArrays)| {
        let mut arrays = good.clone();
        change(&mut arrays);
        H2Skeleton::from_arrays(&arrays).unwrap_err().to_string()
    };
    assert!(error(&|a| a.row_sizes.truncate(3)).contains("not pairs"));
    assert!(error(&|a| a.row_sizes[0] += 1).contains("cluster tree"));
    assert!(error(&|a| a.col_order[0] = a.col_order[1]).contains("no permutation"));
    assert!(error(&|a| a.col_order.clear()).contains("no indices"));
    assert!(error(&|a| a.row_boxes.truncate(5)).contains("5 corners"));
    assert!(error(&|a| a.row_boxes[2] = f64::INFINITY).contains("is inf"));
    assert!(error(&|a| a.row_ranks.push(1)).contains("ranks for"));
    assert!(error(&|a| a.far[0] = 1 << 40).contains("not one of clusters"));
    assert!(error(&|a| a.near[0] = 0).contains("not one of leaves"));
    assert!(error(&|a| a.near_hidden.push(4)).contains("not pairs"));
    assert!(error(&|a| a.far.extend_from_within(..2)).contains("occurs twice"));
    assert!(error(&|a| *a = H2SkeletonArrays::default()).contains("no indices"));
}
