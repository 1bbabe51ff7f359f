//! What an error of an approximation means: for the whole matrix, its condition number, its inverse, a solution, an output.
//!
//! These are theorems 1 and 3 of Mango & Katende (arXiv 2409.07028, 2024) in a form that holds. Everywhere `t` bounds `||A - H||_2` (a bound on the
//! Frobenius norm will do), `s1` and `smin` are the largest and smallest singular values of `A`; by Weyl's inequality those of `H` lie within
//! `t` of them. Bounds that need `t < smin` are `None` otherwise: `H` may then be singular.
//!
//! | printed | holds |
//! | --- | --- |
//! | 1a: `||A - H||_F <= sum_i e_i` | `= sqrt(sum_i e_i^2)`, disjoint blocks: [`global_error`] |
//! | 1b: `||A' - H'||_F <= tau + delta` | `<= sqrt(n_r) tau + delta`: [`perturbed_error`] of [`equal_blocks_error`] |
//! | 1c: `kappa(H) <= kappa(A) (1 + t / (smin - t))` | `kappa(A) (1 + t / s1) / (1 - t / smin)`: [`condition_number`] |
//! | 1d, 1e: `kappa(H') <= kappa(H) (1 + delta / smin(H))` | as 1c, with `H` for `A` and `delta` for `t` |
//! | 3: `kappa(H) <= kappa(A) (1 + t / s_eff)` | as 1c; no value of `s_eff >= smin` saves it |
//!
//! For `A = I`, `H = diag(1 + t, 1 - t)`, `t = 0.1` the condition number is `1.1 / 0.9 = 1.222`, while 1c gives 1.111 and 1e and 3 give 1.1. Part 1f
//! (training error at most `tau T`) is no statement about matrices and has no counterpart here.

/// `||A - H||_F` from the errors of disjoint blocks that tile the matrix: `sqrt(sum e_i^2)`, exactly. The sum of theorem 1a is a
/// bound too, but larger by up to the square root of the number of blocks.
///
/// ```
/// assert_eq!(farfield_matrix::bounds::global_error(&[3.0, 0.0, 4.0]), 5.0);
/// ```
pub fn global_error(block_errors: &[f64]) -> f64 {
    let largest = block_errors.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * block_errors.iter().map(|e| (e / largest) * (e / largest)).sum::<f64>().sqrt()
}

/// `||A - H||_F <= sqrt(n_r) tau` when each of `n_r` disjoint blocks has an error of at most `tau` (definition 1 of the paper). What each
/// block may have for a given whole is this turned around, `tau / sqrt(n_r)`.
pub fn equal_blocks_error(tau: f64, blocks: usize) -> f64 {
    (blocks as f64).sqrt() * tau
}

/// `||A + dA - H||_F <= ||A - H||_F + delta` for `||dA||_F <= delta`: an approximation used for a matrix that has moved. Theorem 1b puts the
/// error of one block for that of all: with `n_r` blocks of error `tau` it is exceeded as soon as `delta < (sqrt(n_r) - 1) tau`.
pub fn perturbed_error(error: f64, delta: f64) -> f64 {
    error + delta
}

/// `kappa_2(H) <= kappa_2(A) (1 + t / s1) / (1 - t / smin) = (s1 + t) / (smin - t)`, sharp; `None` unless `t < smin`.
///
/// It is also the bound for a perturbation of `H` itself (theorems 1d and 1e), with the singular values of `H` and `t = delta`. Theorem 1c has no
/// factor `1 + t / s1`, theorem 1e and theorem 3 replace `1 / (1 - x)` by `1 + x` besides, which is smaller.
///
/// ```
/// use farfield_matrix::bounds::condition_number;
/// let bound = condition_number(1.0, 1.0, 0.1).unwrap(); // A = I
/// assert!((bound - 1.1 / 0.9).abs() < 1e-15); // reached by diag(1.1, 0.9)
/// assert_eq!(condition_number(1.0, 1e-3, 1e-3), None);
/// ```
pub fn condition_number(largest: f64, smallest: f64, t: f64) -> Option<f64> {
    (t < smallest).then(|| (largest + t) / (smallest - t))
}

/// `||H^{-1}||_2 <= 1 / (smin - t)`; `None` unless `t < smin`.
pub fn inverse_norm(smallest: f64, t: f64) -> Option<f64> {
    (t < smallest).then(|| 1.0 / (smallest - t))
}

/// `||A^{-1} - H^{-1}||_2 <= t / (smin (smin - t))`, from `H^{-1} - A^{-1} = H^{-1} (A - H) A^{-1}`; `None` unless `t < smin`.
pub fn inverse_error(smallest: f64, t: f64) -> Option<f64> {
    inverse_norm(smallest, t).map(|norm| norm * (t / smallest))
}

/// `||x - y||_2 <= (t ||x||_2 + ||b - c||_2) / (smin - t)` for `A x = b` and `H y = c`: `y - x = H^{-1} ((A - H) x + c - b)`. With `c = b` the relative
/// error is at most `t / (smin - t)`. `None` unless `t < smin`.
pub fn solution_error(smallest: f64, t: f64, solution_norm: f64, right_hand_side_error: f64) -> Option<f64> {
    inverse_norm(smallest, t).map(|norm| norm * (t * solution_norm + right_hand_side_error))
}

/// `||A x - H x||_2 <= t ||x||_2`, and for an input that is off by at most `input_error`, `||A x - H z||_2 <= t ||x||_2 + (s1 + t) ||x - z||_2`.
pub fn output_error(largest: f64, t: f64, input_norm: f64, input_error: f64) -> f64 {
    t * input_norm + (largest + t) * input_error
}

/// One layer `x -> f(A x + b)` of a network, `f` with Lipschitz constant 1 (ReLU, tanh).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// `||A||_2`, or a bound.
    pub norm: f64,
    /// `||A - H||_2`, or a bound.
    pub error: f64,
    /// Norm of what enters the layer, in the exact network.
    pub input_norm: f64,
}

/// The error of the output when every layer's matrix is replaced by its approximation: [`output_error`] from layer to layer.
pub fn network_error(layers: &[Layer]) -> f64 {
    layers.iter().fold(0.0, |error, layer| output_error(layer.norm, layer.error, layer.input_norm, error))
}
