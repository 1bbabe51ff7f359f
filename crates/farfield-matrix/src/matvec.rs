//! Products of a dense matrix with one vector, for matrices that stream from memory: column by column, so that it is read in order. For small blocks
//! this differs from a general matrix product: there is nothing to set up.

use faer::MatRef;

use crate::scalar::Scalar;

/// `y += A x` for `A` stored by columns.
pub(crate) fn add_matvec<T: Scalar>(a: MatRef<T>, x: &[T], y: &mut [T]) {
    for (j, &x) in x.iter().enumerate() {
        let column = column(a, j, y.len());
        for (y, &a) in y.iter_mut().zip(column) {
            *y += a * x;
        }
    }
}

/// `y += A^T x` for `A` stored by columns.
pub(crate) fn add_matvec_transpose<T: Scalar>(a: MatRef<T>, x: &[T], y: &mut [T]) {
    const LANES: usize = 8;
    let (body, tail) = x.split_at(x.len() / LANES * LANES);
    for (j, y) in y.iter_mut().enumerate() {
        let (a, end) = column(a, j, x.len()).split_at(body.len());
        let mut sums = [T::ZERO; LANES];
        for (x, a) in body.chunks_exact(LANES).zip(a.chunks_exact(LANES)) {
            for l in 0..LANES {
                sums[l] += a[l] * x[l];
            }
        }
        let rest = tail.iter().zip(end).fold(T::ZERO, |sum, (&x, &a)| sum + a * x);
        *y += sums.into_iter().fold(rest, |sum, s| sum + s);
    }
}

/// The first `n` entries of a column.
fn column<T: Scalar>(a: MatRef<'_, T>, j: usize, n: usize) -> &[T] {
    let column = a.col(j).try_as_col_major().map_or(&[][..], |column| column.as_slice());
    &column[..n]
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::Mat;

    #[test]
    fn sums_of_integers_of_any_size() {
        for m in [0, 1, 7, 8, 9, 30] {
            for n in [0, 1, 2, 3, 4, 5, 11] {
                let a = Mat::from_fn(m, n, |i, j| (3 * i + 5 * j) as f64);
                let (x, z): (Vec<f64>, Vec<f64>) =
                    ((0..n).map(|j| j as f64 - 2.0).collect(), (0..m).map(|i| i as f64 - 3.0).collect());
                let (mut y, mut w) = (vec![1.0; m], vec![2.0; n]);
                add_matvec(a.as_ref(), &x, &mut y);
                add_matvec_transpose(a.as_ref(), &z, &mut w);
                assert!((0..m).all(|i| y[i] == 1.0 + (0..n).map(|j| a[(i, j)] * x[j]).sum::<f64>()));
                assert!((0..n).all(|j| w[j] == 2.0 + (0..m).map(|i| a[(i, j)] * z[i]).sum::<f64>()));
            }
        }
    }
}
