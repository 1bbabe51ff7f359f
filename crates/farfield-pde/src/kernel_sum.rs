//! Sums `w_i = sum_j a(y_i, x_j) q_j` over all pairs of points: what a fast multipole method approximates, here exact.
//!
//! Cost of a sum: one kernel evaluation and one multiply-add a pair; without the evaluations where the matrix fits into 512
//! MiB, which is then kept. Sums run in a fixed order: the same bits either way, on any thread.

use crate::gmres::dot;

/// Most entries that are kept.
const MOST_KEPT: usize = 1 << 26;

/// A point; coordinates beyond the dimension of the space are zero.
pub(crate) type Point = [f64; 3];

/// The kernel, at a receiver and a source.
pub(crate) type Kernel = Box<dyn Fn(&Point, &Point) -> f64 + Send + Sync>;

/// The square of the distance of two points.
pub(crate) fn square_distance(x: &Point, y: &Point) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// All pairs of receivers and sources.
pub(crate) struct KernelSum {
    sources: Vec<Point>,
    receivers: Vec<Point>,
    kernel: Kernel,
    matrix: Option<Vec<f64>>,
}

impl KernelSum {
    pub(crate) fn new(sources: Vec<Point>, receivers: Vec<Point>, kernel: Kernel) -> Self {
        let mut sum = KernelSum { sources, receivers, kernel, matrix: None };
        let columns = sum.sources.len();
        if sum.receivers.len().saturating_mul(columns) <= MOST_KEPT {
            let mut matrix = vec![0.0; sum.receivers.len() * columns];
            for (y, row) in sum.receivers.iter().zip(matrix.chunks_exact_mut(columns.max(1))) {
                sum.row(y, row);
            }
            sum.matrix = Some(matrix);
        }
        sum
    }

    pub(crate) fn sources(&self) -> &[Point] {
        &self.sources
    }

    pub(crate) fn receivers(&self) -> &[Point] {
        &self.receivers
    }

    fn row(&self, y: &Point, row: &mut [f64]) {
        for (entry, x) in row.iter_mut().zip(&self.sources) {
            *entry = (self.kernel)(y, x);
        }
    }

    /// Writes the sums at the receivers to `w` for the weights `q` of the sources.
    pub(crate) fn apply(&self, q: &[f64], w: &mut [f64]) {
        if let Some(matrix) = &self.matrix {
            for (w, row) in w.iter_mut().zip(matrix.chunks_exact(q.len().max(1))) {
                *w = dot(row, q);
            }
            return;
        }
        let mut row = vec![0.0; q.len()];
        for (w, y) in w.iter_mut().zip(&self.receivers) {
            self.row(y, &mut row);
            *w = dot(&row, q);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_and_computed_entries_give_the_same_bits() {
        let points = |n: usize, s: f64| (0..n).map(|i| [(s * i as f64).sin(), (i as f64 * 0.3).cos(), 0.0]).collect();
        let kernel = || -> Kernel { Box::new(|y, x| 1.0 / (0.1 + square_distance(y, x))) };
        let kept = KernelSum::new(points(37, 0.7), points(29, 1.1), kernel());
        let mut computed = KernelSum::new(points(37, 0.7), points(29, 1.1), kernel());
        computed.matrix = None;
        let q: Vec<f64> = (0..37).map(|i| f64::from(i).cos()).collect();
        let (mut a, mut b) = (vec![0.0; 29], vec![1.0; 29]);
        kept.apply(&q, &mut a);
        computed.apply(&q, &mut b);
        assert_eq!(a, b);
        let direct: f64 = (0..37).map(|j| (kept.kernel)(&kept.receivers[5], &kept.sources[j]) * q[j]).sum();
        assert!((a[5] - direct).abs() < 1e-12);
    }
}
