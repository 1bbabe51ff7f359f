//! Trees of regular cells: a box, its `2^d` equal parts, their parts, and so on.
//!
//! All cells of a level have one size, whatever points lie in them, so that two point sets in one box have trees whose levels fit each other: what the fast multipole
//! method works on (Greengard & Rokhlin 1987). Cells without points are left out. A cluster carries its cell as bounding box, not the box around its points.

use std::collections::VecDeque;

use super::{ClusterTree, check};
use crate::error::MatrixError;
use crate::points::{BoundingBox, Points};

/// Halvings after which points that still share a cell are split by their number.
const DEEPEST: usize = 40;

/// Where the division into cells ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// In cells of at most so many points: leaves lie on different levels where the density differs.
    LeafSize(usize),
    /// On this level, everywhere; the root is level 0.
    Levels(usize),
}

impl ClusterTree {
    /// The tree of the cells of a box that hold points. A point in the middle of a cell belongs to the lower part. Coinciding points that are more than a leaf holds are
    /// split by their number, into clusters with the same cell. Cost: O(points) a level.
    ///
    /// # Errors
    /// [`MatrixError::Points`] for a point outside the box, or a box of another dimension; [`MatrixError::Tree`] for no points, `LeafSize(0)`, more than 16
    /// dimensions or more than 40 levels.
    pub fn cells(points: &Points, bounds: &BoundingBox, depth: Depth) -> Result<Self, MatrixError> {
        let leaf_size = match depth {
            Depth::LeafSize(size) => size,
            Depth::Levels(levels) if levels > DEEPEST => {
                return Err(MatrixError::Tree {
                    reason: format!("{levels} levels of cells, there are at most {DEEPEST}"),
                });
            }
            Depth::Levels(_) => 1,
        };
        check(points.len(), leaf_size)?;
        let dim = points.dim();
        if dim > 16 {
            return Err(MatrixError::Tree { reason: format!("cells in {dim} dimensions, there are at most 16") });
        }
        if (bounds.low.len(), bounds.high.len()) != (dim, dim) {
            let reason = format!("points of {dim} dimensions in a box of {}", bounds.low.len());
            return Err(MatrixError::Points { reason });
        }
        let inside = |i: usize| {
            let sides = bounds.low.iter().zip(&bounds.high);
            points.point(i).iter().zip(sides).all(|(x, (low, high))| low <= x && x <= high)
        };
        if let Some(i) = (0..points.len()).find(|&i| !inside(i)) {
            let (point, low, high) = (points.point(i), &bounds.low, &bounds.high);
            let reason = format!("point {i}, {point:?}, lies outside the box from {low:?} to {high:?}");
            return Err(MatrixError::Points { reason });
        }

        let mut order: Vec<usize> = (0..points.len()).collect();
        let mut cells = vec![bounds.clone()];
        let mut queue = VecDeque::from([bounds.clone()]);
        let mut tree = Self::breadth_first(points.len(), |range, level| {
            let Some(cell) = queue.pop_front() else { return Vec::new() };
            let indices = &mut order[range];
            let done = match depth {
                Depth::LeafSize(size) => indices.len() <= size,
                Depth::Levels(levels) => level == levels,
            };
            if done {
                return Vec::new();
            }
            let coincide = indices.iter().all(|&i| points.point(i) == points.point(indices[0]));
            if matches!(depth, Depth::LeafSize(_)) && (coincide || level >= DEEPEST) {
                let sizes = vec![indices.len().div_ceil(2), indices.len() / 2];
                cells.extend([cell.clone(), cell.clone()]);
                queue.extend([cell.clone(), cell]);
                return sizes;
            }
            let center = cell.center();
            let code = |i: usize| {
                points.point(i).iter().zip(&center).fold(0usize, |code, (x, c)| 2 * code + usize::from(x > c))
            };
            indices.sort_by_key(|&i| code(i));
            let mut sizes = Vec::new();
            for part in indices.chunk_by(|&i, &j| code(i) == code(j)) {
                let mut child = cell.clone();
                for (k, &middle) in center.iter().enumerate() {
                    let upper = code(part[0]) >> (dim - 1 - k) & 1 == 1;
                    let side = if upper { &mut child.low } else { &mut child.high };
                    side[k] = middle;
                }
                cells.push(child.clone());
                queue.push_back(child);
                sizes.push(part.len());
            }
            sizes
        });
        for (cluster, cell) in tree.clusters.iter_mut().zip(cells) {
            cluster.bounding_box = Some(cell);
        }
        Ok(Self { order, ..tree })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(dim: usize) -> BoundingBox {
        BoundingBox { low: vec![0.0; dim], high: vec![1.0; dim] }
    }

    #[test]
    fn a_grid_has_equal_cells_on_one_level() {
        let points =
            Points::new(2, (0..16 * 16).flat_map(|i| [i % 16, i / 16]).map(|i| (f64::from(i) + 0.5) / 16.0).collect())
                .unwrap();
        for depth in [Depth::LeafSize(4), Depth::Levels(3)] {
            let tree = ClusterTree::cells(&points, &unit(2), depth).unwrap();
            assert_eq!((tree.depth(), tree.leaves().count()), (3, 64));
            for c in tree.clusters() {
                let cell = c.bounding_box.as_ref().unwrap();
                assert_eq!(cell.high[0] - cell.low[0], 0.5f64.powi(c.level as i32));
                let inside = |&i: &usize| {
                    points.point(i).iter().zip(&cell.low).zip(&cell.high).all(|((x, low), high)| low <= x && x <= high)
                };
                assert!(tree.order()[c.range.clone()].iter().all(inside));
                assert_eq!(c.len(), 256 >> (2 * c.level));
            }
        }
    }

    #[test]
    fn scattered_and_coinciding_points() {
        let mut x: Vec<f64> = (0..300).map(|i| (f64::from(i) * 0.618_034).fract().powi(3)).collect();
        x.extend([0.3; 40]);
        let points = Points::new(1, x).unwrap();
        let tree = ClusterTree::cells(&points, &unit(1), Depth::LeafSize(8)).unwrap();
        assert!(tree.leaves().all(|leaf| tree.cluster(leaf).len() <= 8));
        let mut order = tree.order().to_vec();
        order.sort_unstable();
        assert!(order.into_iter().eq(0..340));
        let tree = ClusterTree::cells(&points, &unit(1), Depth::Levels(4)).unwrap();
        assert!(tree.leaves().all(|leaf| tree.cluster(leaf).level == 4));
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let points = Points::new(1, vec![0.5, 1.5]).unwrap();
        let error = ClusterTree::cells(&points, &unit(1), Depth::LeafSize(1)).unwrap_err().to_string();
        assert_eq!(error, "points: point 1, [1.5], lies outside the box from [0.0] to [1.0]");
        assert!(ClusterTree::cells(&points, &unit(2), Depth::LeafSize(1)).is_err());
        let points = Points::new(1, vec![0.5]).unwrap();
        assert!(ClusterTree::cells(&points, &unit(1), Depth::LeafSize(0)).is_err());
        assert!(ClusterTree::cells(&points, &unit(1), Depth::Levels(41)).is_err());
        assert!(ClusterTree::cells(&Points::new(1, vec![]).unwrap(), &unit(1), Depth::LeafSize(1)).is_err());
        assert_eq!(ClusterTree::cells(&points, &unit(1), Depth::Levels(0)).unwrap().clusters().len(), 1);
    }
}
