//! Splitting a cluster of points.

use crate::points::Points;

/// How a cluster of points is split into its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Splitting {
    /// In halves of equal size, across the longest side of the bounding box: a balanced tree.
    #[default]
    Median,
    /// Through the middle of the longest side of the bounding box: children of equal extent.
    Midpoint,
    /// In halves of equal size, across the direction of largest variance.
    PrincipalComponent,
    /// Into the `2^d` parts of the bounding box, those that hold points (`d` at most 16; beyond, as `Midpoint`).
    Boxes,
}

/// Orders the indices of one cluster by its parts and returns their sizes: at least two parts, none empty. The order of
/// indices with equal coordinates is kept.
pub(super) fn split(points: &Points, indices: &mut [usize], splitting: Splitting) -> Vec<usize> {
    let bounds = points.selected(indices).bounding_box(0..indices.len());
    let side = bounds.longest_side();
    let halves = match splitting {
        Splitting::Median => halve(indices, |i| points.point(i)[side]),
        Splitting::PrincipalComponent => {
            let direction = principal_direction(points, indices);
            halve(indices, |i| points.point(i).iter().zip(&direction).map(|(x, d)| x * d).sum())
        }
        Splitting::Boxes if points.dim() <= 16 => {
            let center = bounds.center();
            let part = |i: usize| {
                points.point(i).iter().zip(&center).fold(0usize, |code, (x, c)| 2 * code + usize::from(x > c))
            };
            by_part(indices, part)
        }
        Splitting::Boxes | Splitting::Midpoint => {
            let middle = bounds.center()[side];
            by_part(indices, |i| usize::from(points.point(i)[side] > middle))
        }
    };
    // All in one place: nothing but the numbers of the points tells them apart.
    if halves.len() < 2 { vec![indices.len() / 2, indices.len().div_ceil(2)] } else { halves }
}

fn halve(indices: &mut [usize], coordinate: impl Fn(usize) -> f64) -> Vec<usize> {
    indices.sort_by(|&i, &j| coordinate(i).total_cmp(&coordinate(j)));
    vec![indices.len().div_ceil(2), indices.len() / 2]
}

fn by_part(indices: &mut [usize], part: impl Fn(usize) -> usize) -> Vec<usize> {
    indices.sort_by_key(|&i| part(i));
    indices.chunk_by(|&i, &j| part(i) == part(j)).map(<[usize]>::len).collect()
}

/// The direction of largest variance, by power iteration on the covariance matrix from its largest column.
fn principal_direction(points: &Points, indices: &[usize]) -> Vec<f64> {
    let d = points.dim();
    let mut mean = vec![0.0; d];
    for &i in indices {
        for (mean, x) in mean.iter_mut().zip(points.point(i)) {
            *mean += x / indices.len() as f64;
        }
    }
    let mut covariance = vec![0.0; d * d];
    for &i in indices {
        let offset: Vec<f64> = points.point(i).iter().zip(&mean).map(|(x, m)| x - m).collect();
        for a in 0..d {
            for b in 0..d {
                covariance[a * d + b] += offset[a] * offset[b];
            }
        }
    }
    let start = (0..d).fold(0, |best, k| if covariance[k * d + k] > covariance[best * d + best] { k } else { best });
    let mut direction: Vec<f64> = (0..d).map(|k| covariance[k * d + start]).collect();
    for _ in 0..50 {
        let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm == 0.0 || !norm.is_finite() {
            break;
        }
        let unit: Vec<f64> = direction.iter().map(|x| x / norm).collect();
        direction = (0..d).map(|a| (0..d).map(|b| covariance[a * d + b] * unit[b]).sum()).collect();
    }
    direction
}
