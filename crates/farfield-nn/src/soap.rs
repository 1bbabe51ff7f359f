//! SOAP on the blocks of one parameter: [`farfield_kernels::soap_step`] with its state and its schedule.
//!
//! The blocks of an HSS layer are the `D`, `U` and `V` of every node, mode and term; a tensor of two axes is one matrix, one of more axes a stack of
//! matrices in its last two. The first step takes the eigenbases from its gradient by an eigendecomposition and moves nothing, as in the authors' code: in
//! its own eigenbasis a gradient is diagonal, and Adam would blow up the rounding errors beside the diagonal. From then on every `frequency` steps the
//! bases are refreshed.

use burn::tensor::TensorData;
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Mat, MatRef, Par};
use farfield_kernels::{Block, LayoutError, Soap, SoapPlan, SoapSide, SoapState, soap_refresh, soap_step};
use rayon::prelude::*;

use crate::cpu_tensor::Float;
use crate::model::Model;

/// Bases and averages of the blocks of one parameter.
#[derive(Debug)]
pub(crate) struct SoapBlocks<T> {
    plan: SoapPlan,
    factors: Vec<T>,
    bases: Vec<T>,
}

/// The blocks of a parameter of this path and shape; none for a vector.
pub(crate) fn blocks_of<M: Model>(model: &M, path: &str, shape: &[usize]) -> Option<Vec<Block>> {
    if let Some(blocks) = model.matrix_blocks(path) {
        return Some(blocks);
    }
    let [stack @ .., rows, cols] = shape else { return None };
    let (rows, cols) = (*rows, *cols);
    let count = stack.iter().product();
    Some((0..count).map(|i| Block { offset: i * rows * cols, rows, cols }).collect())
}

/// The moments of a parameter.
pub(crate) struct Moments<'a, T> {
    pub(crate) first: &'a mut [T],
    pub(crate) second: &'a mut [T],
}

impl<T: Float> SoapBlocks<T> {
    /// The state at the beginning.
    ///
    /// # Errors
    /// Blocks that do not follow one another.
    pub(crate) fn new(blocks: &[Block], max_dimension: usize) -> Result<Self, LayoutError> {
        let plan = SoapPlan::new::<T>(blocks, max_dimension)?;
        let zeros = |len| vec![T::default(); len];
        Ok(Self { factors: zeros(plan.factors_len()), bases: zeros(plan.bases_len()), plan })
    }

    /// The step number `step`, from 1; gradients are multiplied by `scale` first.
    ///
    /// # Errors
    /// Slices of other lengths than the blocks have.
    pub(crate) fn step(
        &mut self,
        (hyper, frequency): (&Soap, u64),
        step: u64,
        scale: f64,
        parameters: &mut [T],
        gradient: &[T],
        moments: Moments<'_, T>,
    ) -> Result<(), LayoutError> {
        let Self { plan, factors, bases } = self;
        let mut state = SoapState { first: moments.first, second: moments.second, factors, bases };
        let Some(step) = step.checked_sub(1).filter(|&step| step > 0) else {
            return begin(plan, &mut state, gradient);
        };
        soap_step(hyper, plan, step, scale, parameters, gradient, &mut state)?;
        if step.is_multiple_of(frequency.max(1)) {
            soap_refresh(plan, &mut state)?;
        }
        Ok(())
    }

    /// Averages and bases as tensors.
    pub(crate) fn export(&self) -> [TensorData; 2] {
        [&self.factors, &self.bases].map(|values| TensorData::new(values.clone(), [values.len()]))
    }

    /// Sets what [`SoapBlocks::export`] gave; `None` when it belongs to other blocks or another type.
    pub(crate) fn import(&mut self, [factors, bases]: [TensorData; 2]) -> Option<()> {
        for (own, given) in [(&mut self.factors, factors), (&mut self.bases, bases)] {
            let given = given.as_slice::<T>().ok().filter(|given| given.len() == own.len())?;
            own.copy_from_slice(given);
        }
        Some(())
    }
}

/// Sets every basis to the eigenvectors of `G G^T` or `G^T G`, that of the largest eigenvalue first.
fn begin<T: Float>(plan: &SoapPlan, state: &mut SoapState<'_, T>, gradient: &[T]) -> Result<(), LayoutError> {
    let sides = plan.sides();
    let found: Vec<(Vec<f64>, Vec<f64>)> = sides
        .par_iter()
        .map(|&SoapSide { size, .. }| size)
        .zip(&sides)
        .map(|(size, &side)| Ok(eigenbasis(size, &plan.gram(side, gradient)?)))
        .collect::<Result<_, LayoutError>>()?;
    for (side, (values, vectors)) in sides.into_iter().zip(found) {
        plan.set_basis(side, state, &values, &vectors)?;
    }
    Ok(())
}

/// Eigenvalues, the largest first, and eigenvectors, one after the other, of a symmetric matrix; the identity where the algorithm does not converge, from which
/// the refreshes go on.
fn eigenbasis(n: usize, gram: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let (mut values, mut vectors) = (Diag::<f64>::zeros(n), Mat::<f64>::zeros(n, n));
    let matrix = MatRef::from_row_major_slice(gram, n, n);
    let stack = MemStack::new(&mut memory);
    let outcome =
        self_adjoint_evd(matrix, values.as_mut(), Some(vectors.as_mut()), Par::Seq, stack, Default::default());
    let finite = (0..n).all(|j| values[j].is_finite() && vectors.col(j).iter().all(|v| v.is_finite()));
    if outcome.is_err() || !finite {
        let diagonal = (0..n).map(|i| gram[i * n + i]).collect();
        return (diagonal, (0..n * n).map(|k| f64::from(u8::from(k / n == k % n))).collect());
    }
    // faer has the smallest first.
    let columns = (0..n).rev();
    let vectors = columns.clone().flat_map(|j| vectors.col(j).iter().copied().collect::<Vec<f64>>()).collect();
    (columns.map(|j| values[j].max(0.0)).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenbases_have_the_largest_first() {
        let n = 5;
        // H D H with a reflection H.
        let d = [3.0, 0.0, 7.0, 1.0, 5.0];
        let v: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5).cos()).collect();
        let norm: f64 = v.iter().map(|v| v * v).sum();
        let h = |i: usize, j: usize| f64::from(u8::from(i == j)) - 2.0 * v[i] * v[j] / norm;
        let gram: Vec<f64> = (0..n * n).map(|k| (0..n).map(|l| h(k / n, l) * d[l] * h(l, k % n)).sum()).collect();
        let (values, vectors) = eigenbasis(n, &gram);
        for (value, expected) in values.iter().zip([7.0, 5.0, 3.0, 1.0, 0.0]) {
            assert!((value - expected).abs() < 1e-13);
        }
        for (value, vector) in values.iter().zip(vectors.chunks(n)) {
            for i in 0..n {
                let image: f64 = (0..n).map(|j| gram[i * n + j] * vector[j]).sum();
                assert!((image - value * vector[i]).abs() < 1e-13);
            }
        }
    }

    /// `H diag(d) H` with the reflection `H` of a vector.
    fn reflected(d: &[f64], phase: f64) -> Vec<f64> {
        let n = d.len();
        let v: Vec<f64> = (0..n).map(|i| (i as f64 + phase).cos()).collect();
        let norm: f64 = v.iter().map(|v| v * v).sum();
        let h = |i: usize, j: usize| f64::from(u8::from(i == j)) - 2.0 * v[i] * v[j] / norm;
        (0..n * n).map(|k| (0..n).map(|l| h(k / n, l) * d[l] * h(l, k % n)).sum()).collect()
    }

    /// `f(W) = tr((W - W_0)^T A (W - W_0) B) / 2`, with the Hessian `A x B` of condition `10^8`, which is no axis' own. A gradient that is known exactly and a
    /// learning rate that goes to zero.
    #[test]
    fn a_quadratic_whose_hessian_is_a_kronecker_product() {
        let (m, n, steps) = (12, 7, 1500u64);
        let spectrum =
            |n: usize| -> Vec<f64> { (0..n).map(|i| 10f64.powf(-4.0 * i as f64 / (n - 1) as f64)).collect() };
        let (a, b) = (reflected(&spectrum(m), 0.5), reflected(&spectrum(n), 0.9));
        let target: Vec<f64> = (0..m * n).map(|k| (k as f64 * 1.7).sin()).collect();
        let gradient = |w: &[f64]| -> Vec<f64> {
            let e: Vec<f64> = w.iter().zip(&target).map(|(w, t)| w - t).collect();
            let left: Vec<f64> =
                (0..m * n).map(|k| (0..m).map(|l| a[k / n * m + l] * e[l * n + k % n]).sum()).collect();
            (0..m * n).map(|k| (0..n).map(|l| left[k / n * n + l] * b[l * n + k % n]).sum()).collect()
        };
        let error = |w: &[f64]| w.iter().zip(&target).map(|(w, t)| (w - t).abs()).fold(0.0, f64::max);
        let rate = |step: u64| 0.05 * (1.0 - (step as f64 - 1.0) / steps as f64).powi(2);

        let mut blocks = SoapBlocks::<f64>::new(&[Block { offset: 0, rows: m, cols: n }], 64).unwrap();
        let (mut w, mut first, mut second) = (vec![0.0; m * n], vec![0.0; m * n], vec![0.0; m * n]);
        let (mut plain, mut plain_first, mut plain_second) = (w.clone(), first.clone(), second.clone());
        for step in 1..=steps {
            let (learning_rate, beta1, beta2, epsilon, weight_decay) = (rate(step), 0.9, 0.95, 1e-12, 0.0);
            let hyper = Soap { learning_rate, beta1, beta2, factor_beta: 0.95, epsilon, weight_decay };
            let moments = Moments { first: &mut first, second: &mut second };
            let g = gradient(&w);
            blocks.step((&hyper, 10), step, 1.0, &mut w, &g, moments).unwrap();
            let hyper = farfield_kernels::AdamW { learning_rate, beta1, beta2, epsilon, weight_decay };
            let g = gradient(&plain);
            let (first, second) = (&mut plain_first, &mut plain_second);
            farfield_kernels::adamw_step(&hyper, step, 1.0, &mut plain, &g, first, second).unwrap();
        }
        let (soap, adamw) = (error(&w), error(&plain));
        assert!(soap < 1e-3 && adamw > 0.1, "SOAP {soap:e}, AdamW {adamw:e}");
    }

    #[test]
    fn blocks_come_from_the_shape() {
        use crate::rivals::{DeepOnet, DeepOnetConfig};
        use burn::tensor::{DType, Device};
        use farfield_data::FieldShape;
        let shape = FieldShape::new(1, &[8]);
        let model = DeepOnet::new(&DeepOnetConfig::default(), &shape, &shape, 1, &Device::flex(), DType::F32).unwrap();
        assert_eq!(blocks_of(&model, "any", &[7]), None);
        assert_eq!(blocks_of(&model, "any", &[4, 3]), Some(vec![Block { offset: 0, rows: 4, cols: 3 }]));
        let stack = blocks_of(&model, "any", &[2, 1, 4, 3]).unwrap();
        assert_eq!(stack[1], Block { offset: 12, rows: 4, cols: 3 });
        assert_eq!(stack.len(), 2);
    }
}
