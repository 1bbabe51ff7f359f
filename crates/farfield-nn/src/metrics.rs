//! Errors of predictions, accumulated in double precision.
//!
//! | name | definition | source |
//! | --- | --- | --- |
//! | [`relative_l2`] | mean over samples of `||p - t||_2 / ||t||_2` | Neural-HSS, eq. 2 |
//! | [`trajectory_l2`] | mean over samples of `||p - t||_2`, no grid weight | Neural-HSS, eq. 3 |
//! | [`global_l2`] | `||p - t||_2 / ||t||_2` over the whole set | DeepXDE's "l2 relative error" |
//!
//! A sample is everything that belongs to it: channels, points and, for a trajectory, time steps. The values
//! are those of the data, not normalised.

use burn::tensor::{Tensor, TensorData};
use farfield_data::{Dataset, Normalizer, Real};

use crate::config::Precision;
use crate::error::NnError;
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
fn squares<T: Real>(prediction: &[T], target: &[T], sample_len: usize) -> impl Iterator<Item = (f64, f64)> {
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

fn mean(values: &[f64]) -> f64 {
    assert!(!values.is_empty(), "at least one sample");
    values.iter().sum::<f64>() / values.len() as f64
}

/// Errors of a model on a set of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean of the relative errors (eq. 2).
    pub relative_l2: f64,
    /// Mean of the absolute errors (eq. 3).
    pub trajectory_l2: f64,
    /// One ratio over the whole set.
    pub global_l2: f64,
    /// Relative error of every sample, in the order asked for.
    pub per_sample: Vec<f64>,
}

impl Evaluation {
    /// Collects an evaluation from samples given in pieces.
    pub(crate) fn collect() -> EvaluationSums {
        EvaluationSums::default()
    }

    /// Quantile `q` in `[0, 1]` of the relative errors, linear between order statistics.
    pub fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.per_sample.clone();
        sorted.sort_by(f64::total_cmp);
        let position = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
        below + (above - below) * position.fract()
    }
}

/// Running sums of an [`Evaluation`].
#[derive(Debug, Default)]
pub(crate) struct EvaluationSums {
    per_sample: Vec<f64>,
    absolute: f64,
    error: f64,
    norm: f64,
}

impl EvaluationSums {
    /// Takes samples in.
    pub(crate) fn add<T: Real>(&mut self, prediction: &[T], target: &[T], sample_len: usize) {
        self.per_sample.extend(relative_l2_per_sample(prediction, target, sample_len));
        for (error, norm) in squares(prediction, target, sample_len) {
            self.absolute += error.sqrt();
            self.error += error;
            self.norm += norm;
        }
    }

    /// The evaluation of all samples taken in.
    ///
    /// # Errors
    /// When there were none.
    pub(crate) fn finish(self) -> Result<Evaluation, NnError> {
        if self.per_sample.is_empty() {
            return Err(NnError::Empty { what: "evaluation" });
        }
        Ok(Evaluation {
            relative_l2: mean(&self.per_sample),
            trajectory_l2: self.absolute / self.per_sample.len() as f64,
            global_l2: if self.error == 0.0 { 0.0 } else { (self.error / self.norm).sqrt() },
            per_sample: self.per_sample,
        })
    }
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
    let mut sums = Evaluation::collect();
    for batch in indices.chunks(batch_size.max(1)) {
        let mut x = vec![T::default(); batch.len() * input];
        let mut y = vec![T::default(); batch.len() * output];
        dataset.read(batch, &mut x, &mut y)?;
        let mut prediction = predict_valid(&model, normalizers, x)?;
        if let Some(mask) = dataset.mask() {
            mask.clear_outside(&mut prediction);
            mask.clear_outside(&mut y);
        }
        sums.add(&prediction, &y, output);
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
        let mut sums = Evaluation::collect();
        sums.add(&PREDICTION[..2], &TARGET[..2], 2);
        sums.add(&PREDICTION[2..], &TARGET[2..], 2);
        let all = sums.finish().unwrap();
        assert_eq!((all.relative_l2, all.trajectory_l2, all.global_l2), (0.75, 3.0, (26.0f64 / 29.0).sqrt()));
        assert_eq!((all.quantile(0.0), all.quantile(0.5), all.quantile(1.0)), (0.5, 0.75, 1.0));
    }

    #[test]
    fn zero_targets_and_empty_sets() {
        assert_eq!(relative_l2(&[0.0], &[0.0], 1), 0.0);
        assert_eq!(relative_l2(&[1.0], &[0.0], 1), f64::INFINITY);
        assert!(Evaluation::collect().finish().is_err());
    }

    #[test]
    fn single_precision_is_accumulated_in_double() {
        let n = 1 << 20;
        let (target, prediction) = (vec![1.0f32; n], vec![1.0f32 + f32::EPSILON; n]);
        let error = relative_l2(&prediction, &target, n);
        assert!((error / f64::from(f32::EPSILON) - 1.0).abs() < 1e-12);
    }
}
