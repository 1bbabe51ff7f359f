//! Passes through a cluster tree, level by level, with the nodes of a level in parallel.
//!
//! Every node is computed from its own children (or its parent) alone, and results are collected in the order of the nodes: the
//! same bits on any number of threads.

use rayon::prelude::*;

use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;

/// From the leaves to the root. `f(i, children)` gets what the children of node `i` passed up and returns what node `i` keeps and what it
/// passes up. Returns what the nodes keep, and what the root passes. The first error by level, then by number, is returned.
pub(crate) fn upward<K: Send, P: Send>(
    tree: &ClusterTree,
    f: impl Fn(usize, Vec<P>) -> Result<(K, P), MatrixError> + Sync,
) -> Result<(Vec<K>, P), MatrixError> {
    let count = tree.clusters().len();
    let mut kept: Vec<Option<K>> = (0..count).map(|_| None).collect();
    let mut passed: Vec<Option<P>> = (0..count).map(|_| None).collect();
    for level in (0..=tree.depth()).rev() {
        let work: Vec<(usize, Vec<P>)> = tree
            .level(level)
            .map(|i| (i, passed[tree.cluster(i).children.clone()].iter_mut().filter_map(Option::take).collect()))
            .collect();
        for (i, result) in tree.level(level).zip(each(work, |(i, children)| f(i, children))) {
            let (keep, pass) = result?;
            (kept[i], passed[i]) = (Some(keep), Some(pass));
        }
    }
    let kept = kept.into_iter().flatten().collect();
    let root = passed.swap_remove(0).expect("the root is the last node of the pass");
    Ok((kept, root))
}

/// From the root to the leaves. `f(i, passed)` gets what was passed to node `i` and returns what it keeps and what it passes to its
/// children, one for each.
pub(crate) fn downward<K: Send, P: Send>(
    tree: &ClusterTree,
    root: P,
    f: impl Fn(usize, P) -> (K, Vec<P>) + Sync,
) -> Vec<K> {
    let mut kept = Vec::with_capacity(tree.clusters().len());
    let mut level = vec![root];
    for l in 0..=tree.depth() {
        let work: Vec<(usize, P)> = tree.level(l).zip(level).collect();
        level = Vec::new();
        for (keep, passed) in each(work, |(i, passed)| f(i, passed)) {
            kept.push(keep);
            level.extend(passed);
        }
    }
    kept
}

/// `f` of every item, in order.
fn each<I: Send, O: Send>(items: Vec<I>, f: impl Fn(I) -> O + Sync + Send) -> Vec<O> {
    if items.len() == 1 { items.into_iter().map(f).collect() } else { items.into_par_iter().map(f).collect() }
}
