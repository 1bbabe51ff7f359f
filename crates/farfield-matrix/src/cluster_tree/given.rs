//! Trees that are given: by the user as nested lists of indices, by another structure or a file as sizes of clusters.

use std::collections::VecDeque;
use std::ops::Range;

use super::{ClusterTree, check};
use crate::error::MatrixError;
use crate::points::BoundingBox;

/// A hierarchy as the user gives it: indices in the user's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nested {
    /// The indices of a leaf.
    Leaf(Vec<usize>),
    /// A cluster that is split.
    Split(Vec<Nested>),
}

impl ClusterTree {
    /// The hierarchy that the user gives. Every index `0..n` must occur in exactly one leaf.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] when an index is missing, occurs twice, or a split has no parts.
    pub fn from_nested(nested: &Nested) -> Result<Self, MatrixError> {
        fn collect<'a>(nested: &'a Nested, order: &mut Vec<usize>, sizes: &mut Vec<(&'a Nested, usize)>) -> usize {
            let before = order.len();
            match nested {
                Nested::Leaf(indices) => order.extend(indices),
                Nested::Split(parts) => parts.iter().for_each(|part| {
                    collect(part, order, sizes);
                }),
            }
            sizes.push((nested, order.len() - before));
            order.len() - before
        }
        let (mut order, mut sizes) = (Vec::new(), Vec::new());
        let n = collect(nested, &mut order, &mut sizes);
        check(n, 1)?;
        let mut seen = vec![false; n];
        for &i in &order {
            if i >= n || std::mem::replace(&mut seen[i], true) {
                let reason = format!("index {i} occurs twice or is not below the number of indices, {n}");
                return Err(MatrixError::Tree { reason });
            }
        }
        if sizes.iter().any(|(nested, _)| matches!(nested, Nested::Split(parts) if parts.is_empty())) {
            return Err(MatrixError::Tree { reason: "a cluster is split into no parts".to_owned() });
        }
        let size =
            |of: &Nested| sizes.iter().find(|(nested, _)| std::ptr::eq(*nested, of)).map_or(0, |(_, size)| *size);
        let mut queue = VecDeque::from([nested]);
        let tree = Self::breadth_first(n, |_, _| match queue.pop_front() {
            Some(Nested::Split(parts)) => {
                queue.extend(parts);
                parts.iter().map(size).collect()
            }
            _ => Vec::new(),
        });
        Ok(Self { order, ..tree })
    }

    /// The tree of clusters with these ranges and children, breadth first, in their natural order. The caller vouches for it.
    pub(crate) fn from_ranges(ranges: Vec<(Range<usize>, Range<usize>)>) -> Self {
        let n = ranges[0].0.len();
        let mut next = 0;
        let sizes = |i: usize| ranges[ranges[i].1.clone()].iter().map(|(range, _)| range.len()).collect();
        Self::breadth_first(n, |_, _| {
            next += 1;
            sizes(next - 1)
        })
    }

    /// The tree with these clusters, breadth first, each given by its number of indices and of children; the user's index at every
    /// place; and the boxes of the clusters.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] when that is no tree.
    pub(crate) fn from_sizes(
        sizes: &[[usize; 2]],
        order: Vec<usize>,
        boxes: Option<Vec<BoundingBox>>,
    ) -> Result<Self, MatrixError> {
        let bad = |reason: &str| Err(MatrixError::Tree { reason: reason.to_owned() });
        let n = order.len();
        check(n, 1)?;
        let mut seen = vec![false; n];
        if order.iter().any(|&i| i >= n || std::mem::replace(&mut seen[i], true)) {
            return bad("the order of the indices is no permutation");
        }
        // Read one after the other, clusters have the next ones as children, and all are used up.
        let mut next = 1usize;
        for (c, &[size, children]) in sizes.iter().enumerate() {
            if children == 0 {
                continue;
            }
            let Some(parts) = next.checked_add(children).and_then(|end| sizes.get(next..end)) else {
                return bad("children beyond the last cluster");
            };
            let sum = parts.iter().try_fold(0usize, |sum, part| sum.checked_add(part[0]));
            if next <= c || sum != Some(size) {
                return bad("a cluster is not the sum of its children");
            }
            next += children;
        }
        if sizes.first().map(|root| root[0]) != Some(n) || next != sizes.len() {
            return bad("the clusters do not make up one tree of all indices");
        }
        let (mut at, mut end) = (0, 1);
        let mut tree = Self::breadth_first(n, |_, _| {
            let parts = sizes[end..end + sizes[at][1]].iter().map(|part| part[0]).collect::<Vec<_>>();
            (at, end) = (at + 1, end + parts.len());
            parts
        });
        if let Some(boxes) = boxes {
            if boxes.len() != tree.clusters.len() {
                return bad("there must be one box a cluster");
            }
            for (cluster, bounds) in tree.clusters.iter_mut().zip(boxes) {
                cluster.bounding_box = Some(bounds);
            }
        }
        Ok(Self { order, ..tree })
    }
}
