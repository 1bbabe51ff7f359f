//! GMRES without restarts for integral equations of the second kind, `(I - K) x = b` with K compact: the residual falls
//! faster than any geometric sequence, so ten to twenty products reach rounding (Saad & Schultz, SIAM J. Sci. Stat. Comput.
//! 7, 1986). Cost: one product and k inner products in step k. Not for systems that need many steps: nothing is
//! restarted, and all basis vectors are kept.
//!
//! One thread, sums in a fixed order: the same bits everywhere.

/// What was not reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NotConverged {
    /// Steps made.
    pub(crate) steps: usize,
    /// Norm of the residual over that of b.
    pub(crate) residual: f64,
}

/// Solves `A x = b` by at most `most` products with A until `|b - A x| <= tolerance |b|`; `apply(v, out)` writes A v. Returns x
/// and the number of products.
///
/// # Errors
/// The steps are used up, or a number is not finite.
pub(crate) fn gmres(
    mut apply: impl FnMut(&[f64], &mut [f64]),
    b: &[f64],
    tolerance: f64,
    most: usize,
) -> Result<(Vec<f64>, usize), NotConverged> {
    let norm = dot(b, b).sqrt();
    if norm == 0.0 {
        return Ok((vec![0.0; b.len()], 0));
    }
    let mut basis = vec![b.iter().map(|b| b / norm).collect::<Vec<f64>>()];
    // Columns of the triangular factor of the Hessenberg matrix, its rotations, and the rotated right-hand side.
    let mut columns: Vec<Vec<f64>> = Vec::new();
    let mut rotations: Vec<(f64, f64)> = Vec::new();
    let mut right = vec![norm];
    let mut residual = 1.0;
    while residual > tolerance {
        let step = columns.len();
        if step == most {
            return Err(NotConverged { steps: step, residual });
        }
        let mut next = vec![0.0; b.len()];
        apply(&basis[step], &mut next);
        let mut column = Vec::with_capacity(step + 2);
        for v in &basis {
            let h = dot(v, &next);
            next.iter_mut().zip(v).for_each(|(next, v)| *next -= h * v);
            column.push(h);
        }
        let length = dot(&next, &next).sqrt();
        for (i, &(cosine, sine)) in rotations.iter().enumerate() {
            let (upper, lower) = (column[i], column[i + 1]);
            column[i] = cosine * upper + sine * lower;
            column[i + 1] = cosine * lower - sine * upper;
        }
        let radius = column[step].hypot(length);
        let (cosine, sine) = (column[step] / radius, length / radius);
        column[step] = radius;
        rotations.push((cosine, sine));
        right.push(-sine * right[step]);
        right[step] *= cosine;
        residual = right[step + 1].abs() / norm;
        if !residual.is_finite() {
            return Err(NotConverged { steps: step + 1, residual });
        }
        columns.push(column);
        next.iter_mut().for_each(|next| *next /= length);
        basis.push(next);
    }
    // Back substitution.
    let steps = columns.len();
    for k in (0..steps).rev() {
        let tail: f64 = (k + 1..steps).map(|j| columns[j][k] * right[j]).sum();
        right[k] = (right[k] - tail) / columns[k][k];
    }
    let mut x = vec![0.0; b.len()];
    for (y, v) in right.iter().take(steps).zip(&basis) {
        x.iter_mut().zip(v).for_each(|(x, v)| *x += y * v);
    }
    Ok((x, steps))
}

/// The inner product, in eight partial sums.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
    ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7)) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equation_of_the_second_kind_takes_few_steps() {
        // u(x) - int_0^1 exp(-|x - y|)/4 u(y) dy = b by the midpoint rule.
        let n = 203;
        let entry = |i: usize, j: usize| (-(i.abs_diff(j) as f64) / n as f64).exp() / (4.0 * n as f64);
        let exact: Vec<f64> = (0..n).map(|i| (7.0 * i as f64 / n as f64).sin() + 2.0).collect();
        let product = |v: &[f64], out: &mut [f64]| {
            for (i, out) in out.iter_mut().enumerate() {
                *out = v[i] - (0..n).map(|j| entry(i, j) * v[j]).sum::<f64>();
            }
        };
        let mut b = vec![0.0; n];
        product(&exact, &mut b);
        let (x, steps) = gmres(product, &b, 1e-14, 100).unwrap();
        let worst = x.iter().zip(&exact).map(|(x, e)| (x - e).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-13 && steps < 20, "{worst:e} after {steps} steps");
        let refused = gmres(product, &b, 1e-14, 3).unwrap_err();
        assert!(refused.steps == 3 && refused.residual > 1e-14);
        assert_eq!(gmres(product, &vec![0.0; n], 1e-14, 3).unwrap(), (vec![0.0; n], 0));
        assert!(gmres(product, &vec![f64::NAN; n], 1e-14, 3).is_err());
        // A multiple of the identity is solved in one step, where the next basis vector is zero.
        let (x, steps) = gmres(|v, out| out.copy_from_slice(v), &[3.0, 4.0], 1e-14, 3).unwrap();
        assert_eq!((x, steps), (vec![3.0, 4.0], 1));
    }

    #[test]
    fn inner_products_of_any_length() {
        for n in 0..20 {
            let a: Vec<f64> = (0..n).map(f64::from).collect();
            assert_eq!(dot(&a, &a), (0..n).map(|k| f64::from(k * k)).sum::<f64>());
        }
    }
}
