//! Trivial predictors that stand beside every trained model: the mean of the training outputs, and linear least
//! squares.
//!
//! Least squares of minimum norm, `W = X^+ Y` with one training sample a row, predicts `y = x X^+ Y`: a combination of the
//! training outputs with coefficients `a = x X^+`. So the outputs, which may be millions of numbers, are only streamed.
//! The coefficients come from
//!
//! * a complete orthogonal decomposition of `X` (two passes of Gram-Schmidt), where it has at most `2^23` entries and no more than
//!   1024 samples or unknowns; pivots below `tol` times the largest count as zero, `tol = eps sqrt(max(samples, unknowns))` with the
//!   `eps` of the type in which the data are stored;
//! * else the eigenvalues of the Gram matrix `X X^T = U S^2 U^T`, `a = (x X^T) U S^-2 U^T`, with the
//!   same tolerance but at least `sqrt(eps samples)` in double precision, since squares are rounded. At most 4096 samples.
//!
//! Data are used as they are, not normalised. The first form costs `O(samples unknowns min(samples, unknowns))`, the second `O(samples^2
//! unknowns)` operations and streams the inputs several times when they exceed 256 MiB.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Mat, MatRef, Par};
use farfield_data::{DType, Dataset, Side};
use rayon::prelude::*;

use crate::error::NnError;
use crate::evaluation::Evaluation;
use crate::pseudo_inverse::{product, pseudo_inverse};
use crate::rollout::{Rollout, rollout_of};
use crate::training_data::Samples;

/// Largest matrix of inputs that is factored, in entries.
pub const FACTOR_ENTRIES: usize = 1 << 23;
/// Largest smaller side of such a matrix.
pub const FACTOR_SIDE: usize = 1024;
/// Most samples for the Gram form.
const GRAM_SAMPLES: usize = 4096;
/// Numbers of one side of the samples that are held at once.
const BLOCK: usize = 1 << 25;
/// Columns of an inner product that are one task.
const COLUMNS: usize = 1 << 14;

/// Predicts the mean of the training outputs, whatever the input.
#[derive(Clone, Debug)]
pub struct MeanPredictor {
    mean: Vec<f64>,
}

impl MeanPredictor {
    /// The mean over the samples, in double precision.
    ///
    /// # Errors
    /// An empty set, or data that cannot be read.
    pub fn fit(train: Samples<'_>) -> Result<Self, NnError> {
        if train.indices.is_empty() {
            return Err(NnError::Empty { what: "training" });
        }
        let len = train.dataset.output_shape().len();
        let mut mean = vec![0.0f64; len];
        for block in blocks(train.indices, len) {
            for sample in read(train.dataset, Side::Output, block)?.chunks_exact(len) {
                mean.iter_mut().zip(sample).for_each(|(m, v)| *m += v);
            }
        }
        mean.iter_mut().for_each(|m| *m /= train.indices.len() as f64);
        Ok(Self { mean })
    }

    /// Its errors on other samples.
    ///
    /// # Errors
    /// An empty set, outputs of another size, or data that cannot be read.
    pub fn evaluate(&self, test: Samples<'_>) -> Result<Evaluation, NnError> {
        let len = test.dataset.output_shape().len();
        if len != self.mean.len() {
            return Err(NnError::shape("values of an output", len, self.mean.len()));
        }
        let mut sums = Evaluation::collect(test.dataset);
        for block in blocks(test.indices, len) {
            let target = read(test.dataset, Side::Output, block)?;
            sums.add(&self.mean.repeat(block.len()), &target);
        }
        sums.finish()
    }
}

/// How the least-squares problem was solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeastSquaresForm {
    /// By orthogonal factors of the inputs.
    Factors,
    /// By the eigenvalues of their Gram matrix.
    Gram,
}

/// Minimum-norm linear least squares from inputs to outputs.
pub struct LinearLeastSquares<'a> {
    train: Samples<'a>,
    form: LeastSquaresForm,
    rank: usize,
    /// Coefficients of a test sample are its row times this: the input itself (factors), or its inner products with the
    /// training inputs (Gram). One column a training sample.
    solver: Mat<f64>,
}

impl<'a> LinearLeastSquares<'a> {
    /// Factors the inputs of the training samples.
    ///
    /// # Errors
    /// An empty set, values that are not finite, data that cannot be read; more than 4096 samples and too many unknowns
    /// for factors; eigenvalues that do not converge.
    pub fn fit(train: Samples<'a>) -> Result<Self, NnError> {
        let (samples, unknowns) = (train.indices.len(), train.dataset.input_shape().len());
        if samples == 0 {
            return Err(NnError::Empty { what: "training" });
        }
        train.dataset.check_finite()?;
        let epsilon = match train.dataset.dtype() {
            DType::F32 => f64::from(f32::EPSILON),
            DType::F64 => f64::EPSILON,
        };
        let tolerance = epsilon * (samples.max(unknowns) as f64).sqrt();
        let small = samples.saturating_mul(unknowns) <= FACTOR_ENTRIES && samples.min(unknowns) <= FACTOR_SIDE;
        if small {
            let (solver, rank) = by_factors(train, tolerance)?;
            return Ok(Self { train, form: LeastSquaresForm::Factors, rank, solver });
        }
        if samples > GRAM_SAMPLES {
            return Err(NnError::Unsupported {
                operation: "linear least squares",
                reason: format!(
                    "{samples} samples of {unknowns} unknowns are too many: use at most {GRAM_SAMPLES} samples"
                ),
            });
        }
        let (solver, rank) = by_gram(train, tolerance)?;
        Ok(Self { train, form: LeastSquaresForm::Gram, rank, solver })
    }

    /// How it was solved.
    pub fn form(&self) -> LeastSquaresForm {
        self.form
    }

    /// Number of singular values that counted.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Errors on other samples.
    ///
    /// # Errors
    /// An empty set, shapes that differ from those of the training set, or data that cannot be read.
    pub fn evaluate(&self, test: Samples<'_>) -> Result<Evaluation, NnError> {
        let (theirs, ours) = (test.dataset, self.train.dataset);
        for (what, got, expected) in [
            ("inputs of the test set", theirs.input_shape(), ours.input_shape()),
            ("outputs of the test set", theirs.output_shape(), ours.output_shape()),
        ] {
            if got != expected {
                return Err(NnError::shape(what, got, expected));
            }
        }
        let longest = theirs.input_shape().len().max(theirs.output_shape().len());
        let mut sums = Evaluation::collect(theirs);
        for block in blocks(test.indices, longest) {
            let prediction = self.predict(&read(theirs, Side::Input, block)?)?;
            sums.add(&prediction, &read(theirs, Side::Output, block)?);
        }
        sums.finish()
    }

    /// Outputs of whole inputs, both flat, sample by sample.
    ///
    /// # Errors
    /// When `x` is not a whole number of inputs; training data that cannot be read.
    pub fn predict(&self, x: &[f64]) -> Result<Vec<f64>, NnError> {
        let set = self.train.dataset;
        let (input, output) = (set.input_shape().len(), set.output_shape().len());
        if !x.len().is_multiple_of(input) {
            return Err(NnError::shape("values of the inputs", x.len(), format!("a multiple of {input}")));
        }
        let samples = x.len() / input;
        let features = match self.form {
            LeastSquaresForm::Factors => MatRef::from_row_major_slice(x, samples, input).to_owned(),
            LeastSquaresForm::Gram => inner_products_with(x, self.train, Side::Input)?,
        };
        let coefficients = product(features.as_ref(), self.solver.as_ref());
        let mut prediction = vec![0.0; samples * output];
        let mut first = 0;
        for known in blocks(self.train.indices, output) {
            let y = read(set, Side::Output, known)?;
            let part = coefficients.as_ref().subcols(first, known.len());
            add_combinations(&mut prediction, part, &y, output);
            first += known.len();
        }
        Ok(prediction)
    }

    /// Its errors when it is rolled out over trajectories: each prediction is the next input.
    ///
    /// # Errors
    /// As [`rollout_of`].
    pub fn rollout(&self, test: &Dataset, trajectories: &[usize], batch_size: usize) -> Result<Rollout, NnError> {
        let set = self.train.dataset;
        let (input, output) = (set.input_shape().len(), set.output_shape().len());
        if self.train.indices.len() <= input {
            return rollout_of(|x| self.predict(&x), test, trajectories, batch_size);
        }
        // The operator as a matrix is smaller than the samples that it is made of.
        let identity: Vec<f64> = (0..input * input).map(|i| if i % (input + 1) == 0 { 1.0 } else { 0.0 }).collect();
        let rows = self.predict(&identity)?;
        let operator = MatRef::from_row_major_slice(&rows, input, output);
        let apply = |x: Vec<f64>| {
            let y = product(MatRef::from_row_major_slice(&x, x.len() / input, input), operator);
            let rows = y.nrows();
            Ok((0..rows).flat_map(|i| (0..output).map(|j| y[(i, j)]).collect::<Vec<f64>>()).collect())
        };
        rollout_of(apply, test, trajectories, batch_size)
    }
}

/// `X^+` as `[unknowns, samples]` and the rank.
fn by_factors(train: Samples<'_>, tolerance: f64) -> Result<(Mat<f64>, usize), NnError> {
    let (samples, unknowns) = (train.indices.len(), train.dataset.input_shape().len());
    let x = read(train.dataset, Side::Input, train.indices)?;
    Ok(pseudo_inverse(MatRef::from_row_major_slice(&x, samples, unknowns), tolerance))
}

/// `(X X^T)^+` and the rank.
fn by_gram(train: Samples<'_>, tolerance: f64) -> Result<(Mat<f64>, usize), NnError> {
    let samples = train.indices.len();
    let gram = inner_products(train, train, Side::Input)?;
    // On the calling thread, whatever the setting of the process: the same bits on any number of threads.
    let (mut values, mut vectors) = (Diag::<f64>::zeros(samples), Mat::<f64>::zeros(samples, samples));
    let scratch = self_adjoint_evd_scratch::<f64>(samples, ComputeEigenvectors::Yes, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    let eigen =
        self_adjoint_evd(gram.as_ref(), values.as_mut(), Some(vectors.as_mut()), Par::Seq, stack, Default::default());
    eigen.map_err(|e| NnError::Unsupported {
        operation: "linear least squares",
        reason: format!("the eigenvalues of the Gram matrix did not converge ({e:?}): use fewer samples"),
    })?;
    let values: Vec<f64> = values.column_vector().iter().copied().collect();
    let largest = values.iter().copied().fold(0.0, f64::max);
    let limit = (tolerance * tolerance).max(f64::EPSILON * samples as f64) * largest;
    let kept: Vec<usize> = (0..samples).filter(|&i| values[i] > limit).collect();
    let basis = Mat::from_fn(samples, kept.len(), |i, j| vectors[(i, kept[j])]);
    let scaled = Mat::from_fn(samples, kept.len(), |i, j| basis[(i, j)] / values[kept[j]]);
    Ok((product(scaled.as_ref(), basis.transpose()), kept.len()))
}

/// Inner products of vectors, flat, with one side of a list of samples, `[vectors, samples]`, streamed in blocks.
fn inner_products_with(left: &[f64], right: Samples<'_>, side: Side) -> Result<Mat<f64>, NnError> {
    let len = right.dataset.shape(side).len();
    let mut result = Mat::zeros(left.len() / len, right.indices.len());
    let mut column = 0;
    for columns in blocks(right.indices, len) {
        let part = inner_products_of(left, &read(right.dataset, side, columns)?, len);
        result.as_mut().subcols_mut(column, columns.len()).copy_from(&part);
        column += columns.len();
    }
    Ok(result)
}

/// Inner products of one side of two lists of samples, `[left, right]`, streamed in blocks.
fn inner_products(left: Samples<'_>, right: Samples<'_>, side: Side) -> Result<Mat<f64>, NnError> {
    let mut result = Mat::zeros(left.indices.len(), right.indices.len());
    let mut row = 0;
    for rows in blocks(left.indices, left.dataset.shape(side).len()) {
        let part = inner_products_with(&read(left.dataset, side, rows)?, right, side)?;
        result.as_mut().subrows_mut(row, rows.len()).copy_from(&part);
        row += rows.len();
    }
    Ok(result)
}

/// `A B^T` of two row-major matrices with `len` columns: pieces of fixed size, summed in order.
fn inner_products_of(a: &[f64], b: &[f64], len: usize) -> Mat<f64> {
    let (rows, columns) = (a.len() / len, b.len() / len);
    let (a, b) = (MatRef::from_row_major_slice(a, rows, len), MatRef::from_row_major_slice(b, columns, len));
    let starts: Vec<usize> = (0..len).step_by(COLUMNS).collect();
    let mut sum = Mat::zeros(rows, columns);
    // A few pieces at a time, to bound the memory of the partial sums.
    for group in starts.chunks(16) {
        let parts: Vec<Mat<f64>> = group
            .par_iter()
            .map(|&start| {
                let width = COLUMNS.min(len - start);
                product(a.subcols(start, width), b.subcols(start, width).transpose())
            })
            .collect();
        for part in parts {
            sum += part;
        }
    }
    sum
}

/// Adds `coefficients y` to the row-major `prediction`; `y` has `len` numbers a row.
fn add_combinations(prediction: &mut [f64], coefficients: MatRef<'_, f64>, y: &[f64], len: usize) {
    let known = coefficients.ncols();
    let y = MatRef::from_row_major_slice(y, known, len);
    let starts: Vec<usize> = (0..len).step_by(COLUMNS).collect();
    for group in starts.chunks(16) {
        let parts: Vec<Mat<f64>> =
            group.par_iter().map(|&start| product(coefficients, y.subcols(start, COLUMNS.min(len - start)))).collect();
        for (&start, part) in group.iter().zip(&parts) {
            for (i, row) in prediction.chunks_exact_mut(len).enumerate() {
                let target = row[start..].iter_mut().zip(part.row(i).iter());
                target.for_each(|(p, v)| *p += v);
            }
        }
    }
}

/// Pieces of a list of samples of `len` numbers that fit into memory.
fn blocks(indices: &[usize], len: usize) -> std::slice::Chunks<'_, usize> {
    indices.chunks((BLOCK / len.max(1)).max(1))
}

fn read(dataset: &Dataset, side: Side, indices: &[usize]) -> Result<Vec<f64>, NnError> {
    let mut values = vec![0.0; indices.len() * dataset.shape(side).len()];
    dataset.read_side(side, indices, &mut values)?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use farfield_data::OpenOptions;

    fn noise(n: usize, seed: u64) -> Vec<f64> {
        let mut s = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            (s >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    /// `y = A x` with inputs in the span of `span` vectors.
    fn dataset(samples: usize, n: usize, p: usize, span: usize) -> Dataset {
        let (a, basis) = (noise(n * p, 1), noise(span * n, 2));
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for i in 0..samples {
            let c = noise(span, 100 + i as u64);
            let f: Vec<f64> = (0..n).map(|j| (0..span).map(|k| c[k] * basis[k * n + j]).sum()).collect();
            y.extend((0..p).map(|j| (0..n).map(|k| a[j * n + k] * f[k]).sum::<f64>()));
            x.extend(f);
        }
        Dataset::from_arrays("linear", x, &[samples, n], y, &[samples, p], &OpenOptions::default()).unwrap()
    }

    #[test]
    fn a_linear_map_is_recovered_on_the_span_of_the_inputs_by_both_forms() {
        for (samples, n, span) in [(40, 12, 12), (40, 12, 5), (9, 30, 7), (20, 30, 7)] {
            let data = dataset(samples + 6, n, 9, span);
            let all: Vec<usize> = (0..samples + 6).collect();
            let (train, test) = all.split_at(samples);
            let (train, test) = (Samples { dataset: &data, indices: train }, Samples { dataset: &data, indices: test });
            let fit = LinearLeastSquares::fit(train).unwrap();
            assert_eq!((fit.form(), fit.rank()), (LeastSquaresForm::Factors, span.min(samples)));
            let error = fit.evaluate(test).unwrap().relative_l2;
            assert!(error < 1e-12, "{error}");

            let (solver, rank) = by_gram(train, 1e-15).unwrap();
            assert_eq!(rank, span);
            let gram = LinearLeastSquares { train, form: LeastSquaresForm::Gram, rank, solver };
            let error = gram.evaluate(test).unwrap().relative_l2;
            assert!(error < 1e-9, "{error}");
        }
    }

    #[test]
    fn too_few_samples_give_the_minimum_norm_solution() {
        // One sample x = (3, 4), y = 5: W = x / 25 * 5, so (1, 0) is mapped to 0.6.
        let x = vec![3.0, 4.0, 1.0, 0.0];
        let y = vec![5.0, 5.0, 0.6, 0.6];
        let data = Dataset::from_arrays("one", x, &[2, 2], y, &[2, 2], &OpenOptions::default()).unwrap();
        let fit = LinearLeastSquares::fit(Samples { dataset: &data, indices: &[0] }).unwrap();
        let error = fit.evaluate(Samples { dataset: &data, indices: &[1] }).unwrap().relative_l2;
        assert!(error < 1e-14, "{error}");
    }

    #[test]
    fn zero_inputs_predict_zero_and_empty_sets_are_errors() {
        let (x, y) = (vec![0.0; 4], vec![1.0; 4]);
        let data = Dataset::from_arrays("zero", x, &[2, 2], y, &[2, 2], &OpenOptions::default()).unwrap();
        let all = Samples { dataset: &data, indices: &[0, 1] };
        let none = Samples { dataset: &data, indices: &[] };
        let fit = LinearLeastSquares::fit(all).unwrap();
        assert_eq!((fit.rank(), fit.evaluate(all).unwrap().relative_l2), (0, 1.0));
        assert!(fit.evaluate(none).is_err() && LinearLeastSquares::fit(none).is_err());
        assert!(MeanPredictor::fit(none).is_err());
        assert_eq!(MeanPredictor::fit(all).unwrap().evaluate(all).unwrap().relative_l2, 0.0);
    }

    #[test]
    fn the_mean_predictor_by_hand() {
        let (x, y) = (vec![0.0; 6], vec![1.0, 3.0, 3.0, 1.0, 2.0, 4.0]);
        let data = Dataset::from_arrays("mean", x, &[3, 2], y, &[3, 2], &OpenOptions::default()).unwrap();
        let mean = MeanPredictor::fit(Samples { dataset: &data, indices: &[0, 1] }).unwrap();
        let evaluation = mean.evaluate(Samples { dataset: &data, indices: &[2] }).unwrap();
        assert!((evaluation.relative_l2 - (4.0f64 / 20.0).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn data_that_are_not_finite_are_refused() {
        let (x, y) = (vec![0.0, f64::NAN], vec![1.0, 1.0]);
        let data = Dataset::from_arrays("nan", x, &[1, 2], y, &[1, 2], &OpenOptions::default()).unwrap();
        assert!(LinearLeastSquares::fit(Samples { dataset: &data, indices: &[0] }).is_err());
    }
}
