//! The boxes of a uniform tree over a grid of one or two dimensions: every level halves every axis.
//!
//! Level `l` has `2^(d l)` boxes, numbered depth first: the children of box `i` are `2^d i, .., 2^d i + 2^d - 1`, the last axis fastest. A field whose points are
//! ordered leaf by leaf goes from level to level by reshapes, and all boxes of any level are contiguous.

use farfield_data::FieldShape;
use serde::{Deserialize, Serialize};

use crate::error::NnError;

/// Points along an axis that the leaves have at least, where the number of levels is chosen here.
const LEAF: usize = 4;
/// Coarsest level with a far field: with fewer boxes an axis all are neighbours.
pub(crate) const COARSEST: usize = 2;

/// What is beyond the ends of a grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// The other end.
    #[default]
    Periodic,
    /// Zeros.
    Zero,
}

/// A grid and the number of levels of its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoxTree {
    grid: Vec<usize>,
    levels: usize,
}

impl BoxTree {
    /// The tree over the grid of `shape`. Without `levels` it is the deepest one whose leaves have 4 points along every axis, or has two levels.
    ///
    /// # Errors
    /// Three axes; an axis that the boxes do not divide; fewer than two levels.
    pub fn new(model: &str, shape: &FieldShape, levels: Option<usize>) -> Result<Self, NnError> {
        let grid = &shape.grid;
        let kind = |rule: String| NnError::config("model.kind", format!("{model:?}"), rule);
        if !(1..=2).contains(&grid.len()) {
            return Err(kind(format!("the data have {} axes, this network is for one and two", grid.len())));
        }
        let fits = |levels: usize| grid.iter().position(|&n| n == 0 || n % (1 << levels) != 0);
        let Some(levels) = levels else {
            if let Some(axis) = fits(COARSEST) {
                let n = grid[axis];
                return Err(kind(format!("axis {axis} has {n} points, which 4 boxes do not divide evenly")));
            }
            let deep = |l: &usize| fits(*l).is_none() && grid.iter().all(|n| n >> l >= LEAF);
            let levels = (COARSEST..usize::BITS as usize).take_while(deep).last().unwrap_or(COARSEST);
            return Ok(Self { grid: grid.clone(), levels });
        };
        let field = |rule: String| NnError::config("model.levels", levels, rule);
        if !(COARSEST..=16).contains(&levels) {
            return Err(field(format!("must be between {COARSEST} and 16")));
        }
        if let Some(axis) = fits(levels) {
            let (n, boxes) = (grid[axis], 1usize << levels);
            return Err(field(format!("axis {axis} has {n} points, which {boxes} boxes do not divide evenly")));
        }
        Ok(Self { grid: grid.clone(), levels })
    }

    /// Number of the level of the leaves.
    pub fn levels(&self) -> usize {
        self.levels
    }

    /// The levels that have a far field, from the coarsest.
    pub fn far_levels(&self) -> std::ops::RangeInclusive<usize> {
        COARSEST..=self.levels
    }

    /// Children of a box.
    pub fn children(&self) -> usize {
        1 << self.grid.len()
    }

    /// Boxes of a level.
    pub fn boxes(&self, level: usize) -> usize {
        1 << (self.grid.len() * level)
    }

    /// Boxes within so many boxes of one along every axis: what a layer over them takes.
    pub fn taps(&self, half_width: usize) -> usize {
        (2 * half_width + 1).pow(self.grid.len() as u32)
    }

    /// Points of a box of a level.
    pub fn points(&self, level: usize) -> usize {
        self.grid.iter().product::<usize>() / self.boxes(level)
    }

    /// Coordinates of a box on the grid of the boxes of its level.
    fn coordinates(&self, level: usize, number: usize) -> Vec<usize> {
        let axes = self.grid.len();
        let bit = |axis: usize, bit: usize| (number >> (axes * bit + axes - 1 - axis) & 1) << bit;
        (0..axes).map(|axis| (0..level).map(|b| bit(axis, b)).sum()).collect()
    }

    /// The inverse of [`BoxTree::coordinates`].
    fn number(&self, level: usize, coordinates: &[usize]) -> usize {
        let axes = self.grid.len();
        let bit = |axis: usize, bit: usize| (coordinates[axis] >> bit & 1) << (axes * bit + axes - 1 - axis);
        (0..axes).map(|axis| (0..level).map(|b| bit(axis, b)).sum::<usize>()).sum()
    }

    /// The points of the grid, row-major in each leaf, leaf by leaf.
    pub fn point_order(&self) -> Vec<usize> {
        let sizes: Vec<usize> = self.grid.iter().map(|n| n >> self.levels).collect();
        let mut order = Vec::with_capacity(self.grid.iter().product());
        for leaf in 0..self.boxes(self.levels) {
            let corner = self.coordinates(self.levels, leaf);
            for local in 0..self.points(self.levels) {
                let (mut rest, mut point, mut stride) = (local, 0, 1);
                for axis in (0..self.grid.len()).rev() {
                    point += (corner[axis] * sizes[axis] + rest % sizes[axis]) * stride;
                    rest /= sizes[axis];
                    stride *= self.grid[axis];
                }
                order.push(point);
            }
        }
        order
    }

    /// For every box of a level the boxes at most `half_width` boxes away along every axis, the displacement of the last axis fastest. With zeros as padding
    /// a box beyond the grid has the number [`BoxTree::boxes`].
    pub fn neighbours(&self, level: usize, half_width: usize, padding: Padding) -> Vec<usize> {
        let (side, width) = (1i64 << level, 2 * half_width + 1);
        let taps = self.taps(half_width);
        let mut list = Vec::with_capacity(self.boxes(level) * taps);
        for number in 0..self.boxes(level) {
            let centre = self.coordinates(level, number);
            for tap in 0..taps {
                let mut rest = tap;
                let mut at = vec![0i64; centre.len()];
                for axis in (0..centre.len()).rev() {
                    at[axis] = centre[axis] as i64 + (rest % width) as i64 - half_width as i64;
                    rest /= width;
                }
                let inside = padding == Padding::Periodic || at.iter().all(|c| (0..side).contains(c));
                let wrapped: Vec<usize> = at.iter().map(|c| c.rem_euclid(side) as usize).collect();
                list.push(if inside { self.number(level, &wrapped) } else { self.boxes(level) });
            }
        }
        list
    }
}

/// The inverse of a permutation.
pub(crate) fn inverse(order: &[usize]) -> Vec<usize> {
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &item)| places[item] = place);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(grid: &[usize], levels: Option<usize>) -> Result<BoxTree, String> {
        BoxTree::new("mnn-h2", &FieldShape::new(1, grid), levels).map_err(|e| e.to_string())
    }

    #[test]
    fn levels_are_chosen_as_the_authors_do() {
        for (grid, levels) in [
            (vec![320], 6),
            (vec![640], 7),
            (vec![1280], 8),
            (vec![256], 6),
            (vec![80, 80], 4),
            (vec![64, 80], 4),
            (vec![4], 2),
            (vec![12, 4], 2),
        ] {
            assert_eq!(tree(&grid, None).unwrap().levels(), levels, "{grid:?}");
        }
        let fields = tree(&[80, 48], Some(3)).unwrap();
        assert_eq!((fields.boxes(3), fields.points(3), fields.points(2), fields.taps(2)), (64, 60, 240, 25));
    }

    #[test]
    fn what_boxes_do_not_divide_is_refused() {
        for (grid, levels, parts) in [
            (vec![8, 8, 8], None, ["model.kind = \"mnn-h2\"", "3 axes"]),
            (vec![250], None, ["axis 0 has 250 points", "4 boxes"]),
            (vec![16, 18], None, ["axis 1 has 18 points", "4 boxes"]),
            (vec![320], Some(7), ["model.levels = 7", "128 boxes"]),
            (vec![320], Some(1), ["model.levels = 1", "between 2 and 16"]),
            (vec![320], Some(64), ["model.levels = 64", "between 2 and 16"]),
        ] {
            let error = tree(&grid, levels).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn points_go_leaf_by_leaf_and_children_are_contiguous() {
        assert_eq!(tree(&[12], Some(2)).unwrap().point_order(), (0..12).collect::<Vec<_>>());
        let plane = tree(&[8, 12], Some(2)).unwrap();
        let order = plane.point_order();
        // Leaves of 2 x 3 points; the first four leaves are the upper left quarter.
        assert_eq!(order[..12], [0, 1, 2, 12, 13, 14, 3, 4, 5, 15, 16, 17]);
        assert!(inverse(&order).into_iter().enumerate().all(|(point, place)| order[place] == point));
        let mut quarter = order[..24].to_vec();
        quarter.sort_unstable();
        let expected: Vec<usize> = (0..4).flat_map(|i| (0..6).map(move |j| 12 * i + j)).collect();
        assert_eq!(quarter, expected);
        for level in 0..=2 {
            for number in 0..plane.boxes(level) {
                assert_eq!(plane.number(level, &plane.coordinates(level, number)), number);
            }
        }
        // The parent of a box has half its coordinates.
        for number in 0..plane.boxes(2) {
            let halves: Vec<usize> = plane.coordinates(2, number).iter().map(|c| c / 2).collect();
            assert_eq!(plane.coordinates(1, number / 4), halves);
        }
    }

    #[test]
    fn neighbours_wrap_or_end() {
        let line = tree(&[8], Some(2)).unwrap();
        assert_eq!(line.neighbours(2, 1, Padding::Zero), [4, 0, 1, 0, 1, 2, 1, 2, 3, 2, 3, 4]);
        assert_eq!(line.neighbours(2, 1, Padding::Periodic), [3, 0, 1, 0, 1, 2, 1, 2, 3, 2, 3, 0]);
        assert_eq!(line.neighbours(2, 2, Padding::Periodic)[..5], [2, 3, 0, 1, 2]);
        let plane = tree(&[8, 8], Some(2)).unwrap();
        // Box 3 is in row 1, column 1; its neighbours are the nine boxes around, row by row.
        let list = plane.neighbours(2, 1, Padding::Zero);
        assert_eq!(list[3 * 9..4 * 9], [0, 1, 4, 2, 3, 6, 8, 9, 12]);
        assert_eq!(list[..9], [16, 16, 16, 16, 0, 1, 16, 2, 3]);
        assert_eq!(plane.neighbours(2, 1, Padding::Periodic)[..3], [15, 10, 11]);
    }
}
