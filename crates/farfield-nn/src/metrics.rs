//! Errors of predictions, accumulated in double precision.
//!
//! | name | definition | source |
//! | --- | --- | --- |
//! | [`relative_l2`] | mean over samples of `||p - t||_2 / ||t||_2` | Neural-HSS, eq. 2 |
//! | [`trajectory_l2`] | mean over samples of `||p - t||_2`, weight 1 for every number | Neural-HSS, eq. 3 |
//! | [`global_l2`] | `||p - t||_2 / ||t||_2` over the whole set | DeepXDE's "l2 relative error" |
//! | [`vrmse`] | mean over fields of `sqrt(MSE / (var(t) + 1e-7))`, the variance over the field unbiased | The Well |
//! | [`nrmse`] | mean over fields of `||p - t||_2 / ||t||_2` | PDEBench |
//!
//! A sample is everything that belongs to it: channels, points and, for a trajectory, time steps. A field is one channel of one
//! sample at one time. The values are those of the data, not normalised. On a domain with a mask all sums, means and variances go over the points
//! inside ([`Mask::select_inside`](farfield_data::Mask::select_inside)).
//!
//! `trajectory_l2` has no weight of the grid, as printed: multiplied by `sqrt(h)` (in `d` dimensions `h^(d/2)`, for trajectories also by `sqrt(dt)`) it is the norm of
//! `L^2`, divided by the root of the count of numbers it is the root mean square.

use burn::tensor::{Tensor, TensorData};
use farfield_data::{Dataset, Normalizer, Real};

use crate::config::Precision;
use crate::error::NnError;
use crate::evaluation::Evaluation;
use crate::model::Model;

/// Mean over samples of `||p - t||_2 / ||t||_2` (eq. 2).
///
/// A sample whose target is zero counts 0 if the prediction is zero and infinity otherwise.
///
/// # Panics
/// When the slices differ in length or `sample_len` does not divide it; when there is no sample.
pub fn relative_l2<T: Real>(prediction: &[T], target: &[T], sample_len: usize) -> f64 {
    mean(&relative_l2_per_sample(prediction, target, sample_len))
}

/// `||p - t||_2 / ||t||_2` of every sample, as in [`relative_l2`].
///
/// # Panics
/// As [`relative_l2`], but no sample is fine.
pub fn relative_l2_per_sample<T: Real>(prediction: &[T], target: &[T], sample_len: usize) -> Vec<f64> {
    squares(prediction, target, sample_len)
        .map(|(error, norm)| if error == 0.0 { 0.0 } else { (error / norm).sqrt() })
        .collect()
}

/// Mean over samples of `||p - t||_2` (eq. 3), as printed: the plain sum of squares over all entries of
/// the sample, without the weight of the grid.
///
/// # Panics
/// As [`relative_l2`].
pub fn trajectory_l2<T: Real>(prediction: &[T], target: &[T], sample_len: usize) -> f64 {
    let norms: Vec<f64> = squares(prediction, target, sample_len).map(|(error, _)| error.sqrt()).collect();
    mean(&norms)
}

/// `||p - t||_2 / ||t||_2` over all samples at once.
///
/// # Panics
/// When the slices differ in length.
pub fn global_l2<T: Real>(prediction: &[T], target: &[T]) -> f64 {
    relative_l2(prediction, target, target.len().max(1))
}

/// Sums of squares of the error and of the target, sample by sample.
pub(crate) fn squares<T: Real>(prediction: &[T], target: &[T], sample_len: usize) -> impl Iterator<Item = (f64, f64)> {
    assert_eq!(prediction.len(), target.len(), "values of prediction and target");
    assert!(sample_len > 0 && target.len().is_multiple_of(sample_len), "a whole number of samples");
    prediction.chunks_exact(sample_len).zip(target.chunks_exact(sample_len)).map(|(p, t)| {
        let (mut error, mut norm) = (0.0, 0.0);
        for (p, t) in p.iter().zip(t) {
            let (p, t) = (p.to_f64(), t.to_f64());
            error += (p - t) * (p - t);
            norm += t * t;
        }
        (error, norm)
    })
}

/// Added to the variance in [`vrmse`], as in The Well: a constant field does not divide by zero.
const VARIANCE_FLOOR: f64 = 1e-7;

/// Mean over fields of `sqrt(MSE / (var + 1e-7))`: mean square error and variance of the target over the `points` of each field, the variance
/// unbiased (that of a field of one point is 0).
///
/// # Panics
/// As [`relative_l2`], with `points` in the place of `sample_len`.
pub fn vrmse<T: Real>(prediction: &[T], target: &[T], points: usize) -> f64 {
    mean(&vrmse_per_field(prediction, target, points))
}

/// The terms of [`vrmse`], field by field.
///
/// # Panics
/// As [`vrmse`], but no field is fine.
pub fn vrmse_per_field<T: Real>(prediction: &[T], target: &[T], points: usize) -> Vec<f64> {
    let count = points as f64;
    let variance = |field: &[T]| {
        let mean = field.iter().map(|t| t.to_f64()).sum::<f64>() / count;
        let squares: f64 = field.iter().map(|t| (t.to_f64() - mean).powi(2)).sum();
        squares / (count - 1.0).max(1.0)
    };
    squares(prediction, target, points)
        .zip(target.chunks_exact(points))
        .map(|((error, _), field)| (error / count / (variance(field) + VARIANCE_FLOOR)).sqrt())
        .collect()
}

/// Mean over fields of `||p - t||_2 / ||t||_2`, each over `points`; the root mean square error over that of the target.
///
/// A field whose target is zero counts as in [`relative_l2`].
///
/// # Panics
/// As [`vrmse`].
pub fn nrmse<T: Real>(prediction: &[T], target: &[T], points: usize) -> f64 {
    relative_l2(prediction, target, points)
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    assert!(!values.is_empty(), "at least one sample");
    values.iter().sum::<f64>() / values.len() as f64
}

/// Scalings that belong to a trained model.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalizers {
    /// Applied to inputs.
    pub input: Normalizer,
    /// Undone on outputs.
    pub output: Normalizer,
}

/// Predicts and compares: errors of `model` on the samples `indices` of `dataset`.
///
/// Where the set has a mask only the points inside count. Data are read `batch_size` samples at a time and normalised in `precision`, which must be the model's. The
/// model runs without autodiff.
///
/// # Errors
/// When shapes differ, a sample cannot be read, or `indices` is empty.
pub fn evaluate<M: Model>(
    model: &M,
    normalizers: &Normalizers,
    dataset: &Dataset,
    indices: &[usize],
    batch_size: usize,
    precision: Precision,
) -> Result<Evaluation, NnError> {
    match precision {
        Precision::F32 => evaluate_as::<M, f32>(model, normalizers, dataset, indices, batch_size),
        Precision::F64 => evaluate_as::<M, f64>(model, normalizers, dataset, indices, batch_size),
    }
}

fn evaluate_as<M: Model, T: Real + burn::tensor::Element>(
    model: &M,
    normalizers: &Normalizers,
    dataset: &Dataset,
    indices: &[usize],
    batch_size: usize,
) -> Result<Evaluation, NnError> {
    check_shapes(model, dataset)?;
    let model = model.valid();
    let (input, output) = (dataset.input_shape().len(), dataset.output_shape().len());
    let mut sums = Evaluation::collect(dataset);
    for batch in indices.chunks(batch_size.max(1)) {
        let mut x = vec![T::default(); batch.len() * input];
        let mut y = vec![T::default(); batch.len() * output];
        dataset.read(batch, &mut x, &mut y)?;
        let prediction = predict_valid(&model, normalizers, x)?;
        sums.add(&prediction, &y);
    }
    sums.finish()
}

/// Predicts the outputs of whole samples: `x` and the result are flat, sample by sample, not normalised.
///
/// # Errors
/// When `x` is not a whole number of inputs of the model.
pub fn predict<M: Model, T: Real + burn::tensor::Element>(
    model: &M,
    normalizers: &Normalizers,
    x: Vec<T>,
) -> Result<Vec<T>, NnError> {
    predict_valid(&model.valid(), normalizers, x)
}

fn predict_valid<M: Model, T: Real + burn::tensor::Element>(
    model: &M,
    normalizers: &Normalizers,
    mut x: Vec<T>,
) -> Result<Vec<T>, NnError> {
    let (input, output) = (model.input_shape(), model.output_shape());
    if x.is_empty() || !x.len().is_multiple_of(input.len()) {
        let expected = format!("a multiple of {}", input.len());
        return Err(NnError::shape("values of the inputs", x.len(), expected));
    }
    let batch = x.len() / input.len();
    normalizers.input.apply(&mut x, input.points())?;
    let device = model.devices().into_iter().next().unwrap_or_default();
    let x = TensorData::new(x, [batch, input.channels, input.points()]);
    let y = model.forward(Tensor::from_data(x, (&device, <T as burn::tensor::Element>::dtype())));
    let mut y = y.into_data().try_into_vec::<T>().map_err(|_| {
        NnError::shape("float type of the model", "another", format!("{:?}", <T as burn::tensor::Element>::dtype()))
    })?;
    normalizers.output.invert(&mut y, output.points())?;
    Ok(y)
}

/// Whether the fields of a data set are those of a model.
pub(crate) fn check_shapes<M: Model>(model: &M, dataset: &Dataset) -> Result<(), NnError> {
    for (what, got, expected) in [
        ("inputs of the data set", dataset.input_shape(), model.input_shape()),
        ("outputs of the data set", dataset.output_shape(), model.output_shape()),
    ] {
        if got != expected {
            return Err(NnError::shape(what, got, expected));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two samples of two values: errors (3, 4) and (0, 1), targets (0, 5) and (2, 0).
    const TARGET: [f64; 4] = [0.0, 5.0, 2.0, 0.0];
    const PREDICTION: [f64; 4] = [3.0, 9.0, 2.0, 1.0];

    #[test]
    fn worked_examples() {
        assert_eq!(relative_l2_per_sample(&PREDICTION, &TARGET, 2), [1.0, 0.5]);
        assert_eq!(relative_l2(&PREDICTION, &TARGET, 2), 0.75);
        assert_eq!(trajectory_l2(&PREDICTION, &TARGET, 2), 3.0);
        assert_eq!(global_l2(&PREDICTION, &TARGET), (26.0f64 / 29.0).sqrt());
    }

    #[test]
    fn worked_examples_of_fields() {
        // Two samples of two channels of three points. Errors (0, 3, 0), (1, 0, 0), (0, 0, 0), (2, 2, 1).
        let target = [0.0, 2.0, 4.0, 1.0, 1.0, 1.0, 5.0, 6.0, 7.0, 0.0, 3.0, 0.0];
        let prediction = [0.0, 5.0, 4.0, 2.0, 1.0, 1.0, 5.0, 6.0, 7.0, 2.0, 5.0, 1.0];
        // Mean square errors 3, 1/3, 0, 3; unbiased variances 4, 0, 1, 3.
        let terms = [(3.0 / (4.0 + 1e-7f64)).sqrt(), (1.0 / 3.0 / 1e-7f64).sqrt(), 0.0, (3.0 / (3.0 + 1e-7f64)).sqrt()];
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-15 * b.abs(), "{a} {b}");
        for (term, expected) in vrmse_per_field(&prediction, &target, 3).into_iter().zip(terms) {
            close(term, expected);
        }
        close(vrmse(&prediction, &target, 3), terms.iter().sum::<f64>() / 4.0);
        // Norms of the errors 3, 1, 0, 3, of the targets sqrt 20, sqrt 3, sqrt 110, 3.
        close(nrmse(&prediction, &target, 3), (3.0 / 20f64.sqrt() + 1.0 / 3f64.sqrt() + 0.0 + 1.0) / 4.0);
        // The same by samples: (3, 1) of (20, 3) and (0, 3) of (110, 9).
        close(relative_l2(&prediction, &target, 6), ((10.0f64 / 23.0).sqrt() + (9.0f64 / 119.0).sqrt()) / 2.0);
        close(trajectory_l2(&prediction, &target, 6), (10f64.sqrt() + 3.0) / 2.0);
        close(global_l2(&prediction, &target), (19.0f64 / 142.0).sqrt());
    }

    #[test]
    fn zero_targets_and_empty_sets() {
        assert_eq!(relative_l2(&[0.0], &[0.0], 1), 0.0);
        assert_eq!(relative_l2(&[1.0], &[0.0], 1), f64::INFINITY);
        assert_eq!(vrmse(&[3.0], &[3.0], 1), 0.0);
        assert_eq!(vrmse_per_field::<f64>(&[], &[], 4), [0.0; 0]);
    }

    #[test]
    fn single_precision_is_accumulated_in_double() {
        let n = 1 << 20;
        let (target, prediction) = (vec![1.0f32; n], vec![1.0f32 + f32::EPSILON; n]);
        let error = relative_l2(&prediction, &target, n);
        assert!((error / f64::from(f32::EPSILON) - 1.0).abs() < 1e-12);
    }
}
