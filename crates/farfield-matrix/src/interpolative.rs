//! Interpolative decomposition: columns of a matrix by a few of them, `A ~ A(:, J) P^T`.
//!
//! Pivoted Gram-Schmidt with reorthogonalisation: the pivot is the column of largest residual, and the iteration ends when the Frobenius norm of
//! the residual is below the tolerance. Squared norms are updated by subtraction and computed anew before cancellation spoils them.
//! `R = [R_1, R_2]` up to the order of the columns gives `P^T = [I, R_1^-1 R_2]` (Cheng, Gimbutas, Martinsson & Rokhlin 2005, SISC 26, section 3; the
//! bound on the entries of `P` there needs further exchanges of pivots, which this hardly ever calls for). Among many columns, pivots are chosen in batches
//! from a small random image of the residual (Martinsson, Quintana-Orti, Heavner & van de Geijn 2017, SISC 39). The random signs are always the same: the
//! result depends on the matrix alone. Cost: about `2 m n k` multiply-adds, by matrix products in batches, by matrix-vector products else.

use faer::linalg::triangular_solve::solve_upper_triangular_in_place;
use faer::{Mat, MatRef, Par};
use farfield_kernels::Stored;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::linalg::{add_product, product, qr, sum_of_squares};
use crate::scalar::Scalar;

/// Skeleton and coefficients.
pub(crate) struct Interpolative<T> {
    /// Columns chosen, in the order of their choice.
    pub skeleton: Vec<usize>,
    /// `n x k`: row `j` has the coefficients of column `j`; unit rows for the skeleton.
    pub coefficients: Mat<T>,
    /// Whether the cap ended the iteration.
    pub capped: bool,
}

/// Pivots that are chosen together when there are many columns.
const BATCH: usize = 32;

/// Columns from which on pivots are chosen in batches.
const MANY: usize = 160;

/// Decomposes `a` (`m x n`, column by column) up to a residual of `tolerance` in the Frobenius norm, or of the rounding level where that is larger,
/// with at most `cap` columns.
pub(crate) fn interpolative<T: Scalar>(a: Vec<T>, m: usize, n: usize, tolerance: f64, cap: usize) -> Interpolative<T> {
    // Below this nothing but rounding is left.
    let tolerance = tolerance.max(8.0 * T::EPSILON * sum_of_squares(&a).sqrt());
    if n < MANY || m < 2 * BATCH { one_by_one(a, m, n, tolerance, cap) } else { in_batches(a, m, n, tolerance, cap) }
}

/// Batches of pivots by the pivoted decomposition of the residual folded into few rows; everything else is matrix products.
fn in_batches<T: Scalar>(mut a: Vec<T>, m: usize, n: usize, tolerance: f64, cap: usize) -> Interpolative<T> {
    let most = m.min(n).min(cap);
    let (mut skeleton, mut chosen) = (Vec::new(), vec![false; n]);
    let mut q = Mat::<T>::zeros(m, most);
    // Rows of R, one after the other.
    let mut r: Vec<T> = Vec::new();
    let largest = |a: &[T]| a.chunks_exact(m).map(sum_of_squares).fold(0.0, f64::max).sqrt();
    let negligible = 0.1 * T::EPSILON * largest(&a);
    let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
    let mut left = sum_of_squares(&a);
    while skeleton.len() < most && left > tolerance * tolerance {
        let k = skeleton.len();
        let folded = fold(&a, m, 2 * BATCH, &mut rng);
        let pivots = one_by_one(folded, 2 * BATCH, n, 0.0, BATCH.min(most - k)).skeleton;
        let mut block = Mat::from_fn(m, pivots.len(), |i, j| a[i + pivots[j] * m]);
        if k > 0 {
            // The residual is orthogonal to Q but for rounding.
            let before = q.as_ref().subcols(0, k);
            let overlap = product(before.transpose(), block.as_ref());
            add_product(block.as_mut(), T::ZERO - T::ONE, before, overlap.as_ref());
        }
        let (basis, triangle) = qr(block.as_ref());
        let sound = (0..pivots.len()).take_while(|&i| triangle[(i, i)].to_f64().abs() > negligible).count();
        if sound == 0 {
            break;
        }
        let basis = basis.as_ref().subcols(0, sound);
        let mut rows = product(basis.transpose(), MatRef::from_column_major_slice(&a[..], m, n));
        let mut kept = 0;
        for i in 0..sound {
            if left <= tolerance * tolerance {
                break;
            }
            for j in 0..n {
                if chosen[j] || pivots[..i].contains(&j) {
                    rows[(i, j)] = T::ZERO;
                }
                let x = rows[(i, j)].to_f64();
                left -= x * x;
            }
            kept += 1;
        }
        for (i, &pivot) in pivots[..kept].iter().enumerate() {
            r.extend((0..n).map(|j| rows[(i, j)]));
            chosen[pivot] = true;
            skeleton.push(pivot);
        }
        let (basis, rows) = (basis.subcols(0, kept), rows.as_ref().subrows(0, kept));
        q.as_mut().subcols_mut(k, kept).copy_from(basis);
        add_product(faer::MatMut::from_column_major_slice_mut(&mut a, m, n), T::ZERO - T::ONE, basis, rows);
        for &pivot in &pivots[..kept] {
            a[pivot * m..(pivot + 1) * m].fill(T::ZERO);
        }
        left = sum_of_squares(&a);
    }
    let capped = skeleton.len() == cap && cap < m.min(n);
    let coefficients = coefficients(&skeleton, &chosen, &r, n);
    Interpolative { skeleton, coefficients, capped }
}

/// Every column folded into `rows` rows with random signs.
fn fold<T: Scalar>(a: &[T], m: usize, rows: usize, rng: &mut ChaCha8Rng) -> Vec<T> {
    let signs: Vec<T> = (0..m).map(|_| if rng.random::<bool>() { T::ONE } else { T::ZERO - T::ONE }).collect();
    let mut out = vec![T::ZERO; a.len() / m * rows];
    for (to, from) in out.chunks_exact_mut(rows).zip(a.chunks_exact(m)) {
        for (from, signs) in from.chunks(rows).zip(signs.chunks(rows)) {
            for ((to, &x), &sign) in to.iter_mut().zip(from).zip(signs) {
                *to += sign * x;
            }
        }
    }
    out
}

/// One pivot after the other.
fn one_by_one<T: Scalar>(mut a: Vec<T>, m: usize, n: usize, tolerance: f64, cap: usize) -> Interpolative<T> {
    let column = |a: &[T], j: usize| sum_of_squares(&a[j * m..(j + 1) * m]);
    let mut left: Vec<f64> = (0..n).map(|j| column(&a, j)).collect();
    let most = m.min(n).min(cap);
    let (mut skeleton, mut chosen) = (Vec::new(), vec![false; n]);
    let (mut q, mut r): (Vec<T>, Vec<T>) = (Vec::new(), Vec::new());
    let largest = |left: &[f64]| left.iter().copied().fold(0.0, f64::max);
    let start = largest(&left);
    // Columns of Q that `a` does not contain any more; the largest square when that began.
    let (mut removed, mut reference) = (0, start);
    // Below this part of the reference the updated squares are mostly rounding.
    let worn = T::EPSILON.sqrt() * 10.0;
    let mut vector = vec![T::ZERO; m];
    let mut projections = vec![T::ZERO; most];
    while skeleton.len() < most && left.iter().sum::<f64>() > tolerance * tolerance {
        let k = skeleton.len();
        if largest(&left) < worn * reference && k > removed {
            remove(&mut a, m, n, &q[removed * m..], &r[removed * n..]);
            removed = k;
            for j in 0..n {
                left[j] = if chosen[j] { 0.0 } else { column(&a, j) };
            }
            reference = largest(&left);
            continue;
        }
        let pivot = (0..n).fold(0, |best, j| if left[j] > left[best] { j } else { best });
        if left[pivot] <= (T::EPSILON * T::EPSILON) * start {
            break;
        }
        vector.copy_from_slice(&a[pivot * m..(pivot + 1) * m]);
        for (i, p) in (removed..k).zip(&mut projections) {
            *p = T::ZERO - r[i * n + pivot];
        }
        multiply(&q[removed * m..], (m, k - removed), Some((&projections[..k - removed], &mut vector)), None);
        // Once more against all of Q, for rounding.
        projections[..k].fill(T::ZERO);
        multiply(&q, (m, k), None, Some((&vector, &mut projections[..k])));
        projections[..k].iter_mut().for_each(|p| *p = T::ZERO - *p);
        multiply(&q, (m, k), Some((&projections[..k], &mut vector)), None);
        let norm = sum_of_squares(&vector).sqrt();
        if norm <= 0.1 * T::EPSILON * start.sqrt() {
            left[pivot] = 0.0;
            continue;
        }
        vector.iter_mut().for_each(|x| *x = T::from_f64(x.to_f64() / norm));
        q.extend_from_slice(&vector);
        let row = r.len();
        r.resize(row + n, T::ZERO);
        multiply(&a, (m, n), None, Some((&vector, &mut r[row..])));
        chosen[pivot] = true;
        for j in 0..n {
            if chosen[j] {
                left[j] = 0.0;
                if j != pivot {
                    r[row + j] = T::ZERO;
                }
            } else {
                let x = r[row + j].to_f64();
                left[j] = (left[j] - x * x).max(0.0);
            }
        }
        skeleton.push(pivot);
    }
    let capped = skeleton.len() == cap && cap < m.min(n);
    let coefficients = coefficients(&skeleton, &chosen, &r, n);
    Interpolative { skeleton, coefficients, capped }
}

/// `y += B x` or `z += B^T w` for a block of checked size.
fn multiply<T: Scalar>(
    b: &[T],
    size: (usize, usize),
    forward: Option<(&[T], &mut [T])>,
    transposed: Option<(&[T], &mut [T])>,
) {
    let done = Stored::Full(&b[..size.0 * size.1]).add_products(size, forward, transposed);
    debug_assert!(done.is_ok());
}

/// `A -= Q R`.
fn remove<T: Scalar>(a: &mut [T], m: usize, n: usize, q: &[T], r: &[T]) {
    let k = r.len() / n;
    let a = faer::MatMut::from_column_major_slice_mut(a, m, n);
    let (q, r) = (MatRef::from_column_major_slice(&q[..m * k], m, k), MatRef::from_row_major_slice(&r[..k * n], k, n));
    add_product(a, T::ZERO - T::ONE, q, r);
}

/// `P` with `P^T = [I, R_1^-1 R_2]` up to the order of the columns.
fn coefficients<T: Scalar>(skeleton: &[usize], chosen: &[bool], r: &[T], n: usize) -> Mat<T> {
    let k = skeleton.len();
    let others: Vec<usize> = (0..n).filter(|&j| !chosen[j]).collect();
    let triangle = Mat::from_fn(k, k, |i, j| if i <= j { r[i * n + skeleton[j]] } else { T::ZERO });
    let mut right = Mat::from_fn(k, others.len(), |i, j| r[i * n + others[j]]);
    solve_upper_triangular_in_place(triangle.as_ref(), right.as_mut(), Par::Seq);
    let mut p = Mat::zeros(n, k);
    for (i, &j) in skeleton.iter().enumerate() {
        p[(j, i)] = T::ONE;
    }
    for (at, &j) in others.iter().enumerate() {
        for i in 0..k {
            p[(j, i)] = right[(i, at)];
        }
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::distance;

    /// Error of the decomposition, and what it was asked for.
    fn residual(a: &[f64], m: usize, n: usize, id: &Interpolative<f64>) -> f64 {
        let mut sum = 0.0;
        for j in 0..n {
            for i in 0..m {
                let approximation: f64 =
                    id.skeleton.iter().enumerate().map(|(k, &s)| a[i + s * m] * id.coefficients[(j, k)]).sum();
                sum += (a[i + j * m] - approximation).powi(2);
            }
        }
        sum.sqrt()
    }

    #[test]
    fn residuals_meet_the_tolerance_down_to_rounding() {
        for (m, n) in [(60, 40), (30, 50), (1, 7), (7, 1), (5, 0), (200, 180)] {
            let a: Vec<f64> = (0..m * n).map(|k| 1.0 / (1.0 + (k % m) as f64 + (k / m) as f64)).collect();
            let mut before = 0;
            for tolerance in [1e-1, 1e-4, 1e-8, 1e-12] {
                let id = interpolative(a.clone(), m, n, tolerance, usize::MAX);
                let rank = id.skeleton.len();
                assert!(residual(&a, m, n, &id) <= 1.5 * tolerance + 1e-14, "{m} x {n} at {tolerance:e}");
                assert!(rank >= before && rank <= 20 && !id.capped);
                before = rank;
            }
        }
    }

    #[test]
    fn exact_ranks_zero_matrices_and_caps() {
        let a: Vec<f64> = (0..20 * 10).map(|k| ((k % 20) as f64).sin() * (k / 20) as f64).collect();
        let id = interpolative(a.clone(), 20, 10, 1e-12, usize::MAX);
        assert_eq!((id.skeleton.len(), id.skeleton[0]), (1, 9));
        assert!(residual(&a, 20, 10, &id) < 1e-12);
        assert_eq!(interpolative(vec![0.0f32; 12], 3, 4, 1e-9, usize::MAX).skeleton.len(), 0);
        let random: Vec<f64> = (0..36).map(|k| ((k * k) as f64 * 0.61803).fract()).collect();
        let id = interpolative(random, 6, 6, 1e-9, 2);
        assert!(id.capped && id.skeleton.len() == 2);
    }

    #[test]
    fn the_skeleton_carries_all_columns() {
        let smooth = Mat::from_fn(155, 140, |i, j| 1.0 / (1.0 + j as f64 + 0.7 * i as f64));
        let twice = Mat::from_fn(9, 30, |i, j| ((j / 2) as f64 * 0.3 + i as f64).sin());
        for m in [smooth, twice, Mat::zeros(3, 4), Mat::identity(7, 7), Mat::zeros(4, 0), Mat::zeros(0, 4)] {
            let entries: Vec<f64> = (0..m.ncols()).flat_map(|j| m.col_as_slice(j)).copied().collect();
            for tolerance in [1e-1, 1e-5, 1e-10, 0.0] {
                let id = interpolative(entries.clone(), m.nrows(), m.ncols(), tolerance, usize::MAX);
                let skeleton = Mat::from_fn(m.nrows(), id.skeleton.len(), |i, j| m[(i, id.skeleton[j])]);
                let carried = product(skeleton.as_ref(), id.coefficients.transpose());
                let error = distance(carried.as_ref(), m.as_ref());
                assert!(error <= tolerance + 1e-13 * m.norm_l2(), "{error}, tolerance {tolerance}");
                let largest = crate::linalg::max_abs(id.coefficients.as_ref());
                assert!(largest <= 20.0, "{largest}");
            }
        }
    }

    #[test]
    fn the_rank_is_that_of_the_matrix() {
        let m: Vec<f64> = (0..30 * 20).map(|k| ((k / 20) as f64 + (k % 20) as f64).sin()).collect();
        assert_eq!(interpolative(m.clone(), 20, 30, 0.0, usize::MAX).skeleton.len(), 2);
        assert_eq!(interpolative(m, 20, 30, 1e3, usize::MAX).skeleton.len(), 0);
    }
}
