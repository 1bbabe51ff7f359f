//! Interpolative decomposition: columns of a matrix by a few of them, `A ~ A(:, J) P^T`.
//!
//! Pivoted Gram-Schmidt with reorthogonalisation: the pivot is the column of largest residual, and the iteration ends when the Frobenius norm of
//! the residual is below the tolerance. Squared norms are updated by subtraction and computed anew before cancellation spoils them.
//! `R = [R_1, R_2]` up to the order of the columns gives `P^T = [I, R_1^-1 R_2]` (Cheng, Gimbutas, Martinsson & Rokhlin 2005, SISC 26, section 3; the
//! bound on the entries of `P` there needs further exchanges of pivots, which this hardly ever calls for). Among many columns, Householder reflections
//! in blocks, with pivots in batches from a small random image of the residual (Martinsson, Quintana-Orti, Heavner & van de Geijn 2017, SISC 39), there by Gaussian
//! elimination (Dong & Martinsson 2023, Adv. Comput. Math. 49). The random signs are always the same: the result depends on the matrix alone. Cost: about
//! `2 m n k` multiply-adds by matrix-vector products, `2 (m - k / 2) (n - k / 2) k` by matrix products in batches.

use faer::linalg::triangular_solve::solve_upper_triangular_in_place;
use faer::{Mat, MatRef, Par};
use farfield_kernels::Stored;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::householder::{reduce_panel, reflect, triangular_factor};
use crate::linalg::{add_product, sum_of_squares};
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

/// Decomposes `a` (`m x n`, column by column) up to a residual of `tolerance(k)` in the Frobenius norm with `k` columns, or of the rounding level where
/// that is larger; with at most `cap` columns.
pub(crate) fn interpolative<T: Scalar>(
    a: Vec<T>,
    m: usize,
    n: usize,
    tolerance: impl Fn(usize) -> f64,
    cap: usize,
) -> Interpolative<T> {
    // Below this nothing but rounding is left.
    let rounding = 8.0 * T::EPSILON * sum_of_squares(&a).sqrt();
    let tolerance = |k: usize| tolerance(k).max(rounding);
    if n < MANY || m < 2 * BATCH { one_by_one(a, m, n, &tolerance, cap) } else { in_batches(a, m, n, &tolerance, cap) }
}

/// Batches of pivots, each chosen from a small random image of the residual and removed by Householder reflections; the residual shrinks by rows and columns.
fn in_batches<T: Scalar>(
    a: Vec<T>,
    m: usize,
    n: usize,
    tolerance: &impl Fn(usize) -> f64,
    cap: usize,
) -> Interpolative<T> {
    let most = m.min(n).min(cap);
    let mut a = columns(&a, m, n);
    // Columns of A in the order of those of the factor.
    let mut order: Vec<usize> = (0..n).collect();
    let residual = |a: &Mat<T>, k: usize| (k..n).map(|j| sum_of_squares(&a.col_as_slice(j)[k..])).sum::<f64>();
    let largest = (0..n).map(|j| sum_of_squares(a.col_as_slice(j))).fold(0.0, f64::max).sqrt();
    let negligible = 0.1 * T::EPSILON * largest;
    let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
    let (mut k, mut now) = (0, residual(&a, 0));
    while k < most && now > tolerance(k).powi(2) {
        let pivots = pivots(&a, k, BATCH.min(most - k), &mut rng);
        if pivots.is_empty() {
            break;
        }
        for (at, &pivot) in (k..).zip(&pivots) {
            swap_columns(&mut a, at, pivot);
            order.swap(at, pivot);
        }
        let end = k + pivots.len();
        remove_panel(&mut a, k, end);
        let sound = (k..end).take_while(|&i| a[(i, i)].to_f64().abs() > negligible).count();
        // What is left after each of the new rows, from the last on.
        let (mut left, mut kept) = (residual(&a, end), pivots.len());
        now = left;
        for i in (k..end).rev() {
            if left <= tolerance(i + 1).powi(2) {
                kept = i + 1 - k;
            }
            left += (i..n).map(|j| a[(i, j)].to_f64().powi(2)).sum::<f64>();
        }
        if sound == 0 {
            break;
        }
        k += kept.min(sound);
        if k < end {
            now = residual(&a, k);
        }
    }
    let triangle = a.as_ref().submatrix(0, 0, k, k).to_owned();
    let mut right = a.as_ref().submatrix(0, k, k, n - k).to_owned();
    solve_upper_triangular_in_place(triangle.as_ref(), right.as_mut(), Par::Seq);
    let mut coefficients = Mat::zeros(n, k);
    for (i, &j) in order[..k].iter().enumerate() {
        coefficients[(j, i)] = T::ONE;
    }
    for i in 0..k {
        let column = coefficients.col_as_slice_mut(i);
        for (at, &j) in order[k..].iter().enumerate() {
            column[j] = right[(i, at)];
        }
    }
    order.truncate(k);
    Interpolative { skeleton: order, coefficients, capped: k == cap && cap < m.min(n) }
}

/// A matrix from its entries, column by column.
fn columns<T: Scalar>(a: &[T], m: usize, n: usize) -> Mat<T> {
    let mut out = Mat::zeros(m, n);
    for (j, column) in a.chunks_exact(m.max(1)).enumerate() {
        out.col_as_slice_mut(j).copy_from_slice(column);
    }
    out
}

fn swap_columns<T: Scalar>(a: &mut Mat<T>, i: usize, j: usize) {
    if i == j {
        return;
    }
    let first = a.col_as_slice(i).to_vec();
    let second = a.col_as_slice(j).to_vec();
    a.col_as_slice_mut(i).copy_from_slice(&second);
    a.col_as_slice_mut(j).copy_from_slice(&first);
}

/// Reduces columns `start..end` to triangular form below row `start` by reflections, which are applied to all columns that follow.
fn remove_panel<T: Scalar>(a: &mut Mat<T>, start: usize, end: usize) {
    let (m, n) = (a.nrows(), a.ncols());
    let taus = reduce_panel(a, start, end);
    let mut v = Mat::zeros(m - start, end - start);
    for j in start..end {
        v[(j - start, j - start)] = T::ONE;
        let tail = &mut a.col_as_slice_mut(j)[j + 1..];
        v.col_as_slice_mut(j - start)[j + 1 - start..].copy_from_slice(tail);
        tail.fill(T::ZERO);
    }
    let factor = triangular_factor(v.as_ref(), &taus);
    reflect(v.as_ref(), factor.as_ref().transpose(), a.as_mut().submatrix_mut(start, end, m - start, n - end));
}

/// Up to `count` columns from `start` on, as places to be exchanged one after the other with `start`, `start + 1`, ...: the pivots of Gaussian elimination on
/// the columns of the residual, folded with random signs into a few more rows than pivots. The column of largest norm where that finds none; nothing when
/// all are zero.
fn pivots<T: Scalar>(a: &Mat<T>, start: usize, count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let n = a.ncols() - start;
    let (mut image, rows) = folded_rows(a, start, count + 8, rng);
    // Left-looking: a row becomes a column of L, in the order of the columns of A, stored in place of one of the rows before.
    let mut chosen: Vec<usize> = Vec::with_capacity(count);
    let mut is_chosen = vec![false; n];
    for r in 0..rows {
        if chosen.len() == count {
            break;
        }
        let (done, rest) = image.split_at_mut(r * n);
        let row = &mut rest[..n];
        for (l, &pivot) in done.chunks_exact(n).zip(&chosen) {
            let factor = row[pivot];
            row.iter_mut().zip(l).for_each(|(x, &l)| *x -= factor * l);
        }
        let mut best = (0.0, None);
        for (j, x) in row.iter().enumerate() {
            let size = x.to_f64().abs();
            if size > best.0 && !is_chosen[j] {
                best = (size, Some(j));
            }
        }
        let Some(pivot) = best.1 else { continue };
        let inverse = 1.0 / row[pivot].to_f64();
        row.iter_mut().for_each(|x| *x = T::from_f64(x.to_f64() * inverse));
        image.copy_within(r * n..(r + 1) * n, chosen.len() * n);
        is_chosen[pivot] = true;
        chosen.push(pivot);
    }
    if chosen.is_empty() {
        let square = |j: usize| sum_of_squares(&a.col_as_slice(start + j)[start..]);
        let best = (0..n).map(|j| (square(j), j)).fold((0.0, 0), |best, x| if x.0 > best.0 { x } else { best });
        return if best.0 > 0.0 { vec![start + best.1] } else { Vec::new() };
    }
    // Where each column is when its turn comes.
    let mut at: Vec<usize> = (0..n).collect();
    let mut places = Vec::with_capacity(chosen.len());
    for (to, &pivot) in chosen.iter().enumerate() {
        let place = if at[pivot] == pivot { pivot } else { at.iter().position(|&j| j == pivot).unwrap_or(pivot) };
        at.swap(to, place);
        places.push(start + place);
    }
    places
}

/// The residual, from row and column `start` on, folded into at most `rows` rows with random signs, row by row; and their number.
fn folded_rows<T: Scalar>(a: &Mat<T>, start: usize, rows: usize, rng: &mut ChaCha8Rng) -> (Vec<T>, usize) {
    let (m, n) = (a.nrows() - start, a.ncols() - start);
    let rows = m.min(rows);
    let signs: Vec<T> = (0..m).map(|_| if rng.random::<bool>() { T::ONE } else { T::ZERO - T::ONE }).collect();
    let (mut image, mut folded) = (vec![T::ZERO; rows * n], vec![T::ZERO; rows]);
    for j in 0..n {
        folded.fill(T::ZERO);
        for (from, signs) in a.col_as_slice(start + j)[start..].chunks(rows).zip(signs.chunks(rows)) {
            for ((to, &x), &sign) in folded.iter_mut().zip(from).zip(signs) {
                *to += sign * x;
            }
        }
        for (r, &x) in folded.iter().enumerate() {
            image[r * n + j] = x;
        }
    }
    (image, rows)
}

/// One pivot after the other.
fn one_by_one<T: Scalar>(
    mut a: Vec<T>,
    m: usize,
    n: usize,
    tolerance: &impl Fn(usize) -> f64,
    cap: usize,
) -> Interpolative<T> {
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
    while skeleton.len() < most && left.iter().sum::<f64>() > tolerance(skeleton.len()).powi(2) {
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
    use crate::linalg::{distance, product};

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
                let id = interpolative(a.clone(), m, n, |_| tolerance, usize::MAX);
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
        let id = interpolative(a.clone(), 20, 10, |_| 1e-12, usize::MAX);
        assert_eq!((id.skeleton.len(), id.skeleton[0]), (1, 9));
        assert!(residual(&a, 20, 10, &id) < 1e-12);
        assert_eq!(interpolative(vec![0.0f32; 12], 3, 4, |_| 1e-9, usize::MAX).skeleton.len(), 0);
        let random: Vec<f64> = (0..36).map(|k| ((k * k) as f64 * 0.61803).fract()).collect();
        let id = interpolative(random, 6, 6, |_| 1e-9, 2);
        assert!(id.capped && id.skeleton.len() == 2);
    }

    #[test]
    fn the_skeleton_carries_all_columns() {
        let smooth = Mat::from_fn(155, 140, |i, j| 1.0 / (1.0 + j as f64 + 0.7 * i as f64));
        let twice = Mat::from_fn(9, 30, |i, j| ((j / 2) as f64 * 0.3 + i as f64).sin());
        for m in [smooth, twice, Mat::zeros(3, 4), Mat::identity(7, 7), Mat::zeros(4, 0), Mat::zeros(0, 4)] {
            let entries: Vec<f64> = (0..m.ncols()).flat_map(|j| m.col_as_slice(j)).copied().collect();
            for tolerance in [1e-1, 1e-5, 1e-10, 0.0] {
                let id = interpolative(entries.clone(), m.nrows(), m.ncols(), |_| tolerance, usize::MAX);
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
        assert_eq!(interpolative(m.clone(), 20, 30, |_| 0.0, usize::MAX).skeleton.len(), 2);
        assert_eq!(interpolative(m, 20, 30, |_| 1e3, usize::MAX).skeleton.len(), 0);
    }
}
