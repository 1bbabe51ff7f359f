//! Errors on a set of samples, by every definition of [`metrics`](crate::metrics), with their distribution over the samples.

use farfield_data::{Dataset, Mask, Real};

use crate::error::NnError;
use crate::metrics::{mean, relative_l2_per_sample, squares, vrmse_per_field};

/// Errors of a model on a set of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean of the relative errors (eq. 2).
    pub relative_l2: f64,
    /// Mean of the absolute errors (eq. 3), without grid weight.
    pub trajectory_l2: f64,
    /// One ratio over the whole set.
    pub global_l2: f64,
    /// Root mean square error over the deviation of each field (The Well).
    pub vrmse: f64,
    /// Relative error of each field (PDEBench).
    pub nrmse: f64,
    /// Relative error of every sample, in the order asked for.
    pub per_sample: Vec<f64>,
}

impl Evaluation {
    /// Collects an evaluation from samples of this set, given in pieces.
    pub(crate) fn collect(set: &Dataset) -> EvaluationSums<'_> {
        let (mask, channels) = (set.mask(), set.output_shape().channels);
        let points = mask.map_or(set.output_shape().points(), Mask::count);
        EvaluationSums { mask, channels, points, ..EvaluationSums::default() }
    }

    /// Quantile `q` in `[0, 1]` of the relative errors, linear between order statistics.
    pub fn quantile(&self, q: f64) -> f64 {
        quantile(&self.per_sample, q)
    }
}

/// Quantile `q` in `[0, 1]` of at least one value, linear between order statistics.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    // Neighbours that are both infinite have no difference.
    if below == above { below } else { below + (above - below) * position.fract() }
}

/// Running sums of an [`Evaluation`].
#[derive(Debug, Default)]
pub(crate) struct EvaluationSums<'a> {
    mask: Option<&'a Mask>,
    channels: usize,
    /// Points that count.
    points: usize,
    per_sample: Vec<f64>,
    absolute: f64,
    error: f64,
    norm: f64,
    /// Sums over fields, and their number.
    vrmse: f64,
    nrmse: f64,
    fields: usize,
}

impl EvaluationSums<'_> {
    /// Takes samples in, (sample, channel, point) each.
    pub(crate) fn add<T: Real>(&mut self, prediction: &[T], target: &[T]) {
        match self.mask {
            Some(mask) => self.add_inside(&mask.select_inside(prediction), &mask.select_inside(target)),
            None => self.add_inside(prediction, target),
        }
    }

    fn add_inside<T: Real>(&mut self, prediction: &[T], target: &[T]) {
        let sample = self.channels * self.points;
        self.per_sample.extend(relative_l2_per_sample(prediction, target, sample));
        for (error, norm) in squares(prediction, target, sample) {
            self.absolute += error.sqrt();
            self.error += error;
            self.norm += norm;
        }
        self.fields += target.len() / self.points;
        self.vrmse += vrmse_per_field(prediction, target, self.points).iter().sum::<f64>();
        self.nrmse += relative_l2_per_sample(prediction, target, self.points).iter().sum::<f64>();
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
            vrmse: self.vrmse / self.fields as f64,
            nrmse: self.nrmse / self.fields as f64,
            per_sample: self.per_sample,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farfield_data::OpenOptions;

    /// Two samples of two channels on four points, the third of which may be outside.
    fn set(masked: bool) -> Dataset {
        let options = OpenOptions { dims: Some(1), ..OpenOptions::default() };
        let set = Dataset::from_arrays("two", vec![0.0; 16], &[2, 2, 4], vec![0.0; 16], &[2, 2, 4], &options).unwrap();
        let mask = masked.then(|| Mask::new(&[4], &[true, true, false, true]).unwrap());
        set.with_mask(mask).unwrap()
    }

    const TARGET: [f64; 16] = [0., 3., 9., 0., 2., 2., 9., 5., 1., 1., 9., 1., 0., 0., 9., 6.];
    const PREDICTION: [f64; 16] = [3., 3., 0., 4., 2., 2., 0., 1., 1., 1., 0., 1., 0., 3., 0., 6.];

    fn evaluate(masked: bool, pieces: usize) -> Evaluation {
        let set = set(masked);
        let mut sums = Evaluation::collect(&set);
        for (p, t) in PREDICTION.chunks_exact(16 / pieces).zip(TARGET.chunks_exact(16 / pieces)) {
            sums.add(p, t);
        }
        sums.finish().unwrap()
    }

    #[test]
    fn worked_example_inside_of_a_mask() {
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-14 * b.abs(), "{a} {b}");
        for pieces in [1, 2] {
            let all = evaluate(true, pieces);
            // Inside: errors (3, 0, 4), (0, 0, -4); (0, 0, 0), (0, 3, 0). Targets (0, 3, 0), (2, 2, 5); (1, 1, 1), (0, 0, 6).
            let first = (41.0f64 / 42.0).sqrt();
            let second = (9.0f64 / 39.0).sqrt();
            close(all.relative_l2, (first + second) / 2.0);
            assert_eq!(all.per_sample, [first, second]);
            assert_eq!(all.quantile(0.25), second + 0.25 * (first - second));
            close(all.trajectory_l2, (41f64.sqrt() + 3.0) / 2.0);
            close(all.global_l2, (50.0f64 / 81.0).sqrt());
            close(all.nrmse, (5.0 / 3.0 + 4.0 / 33f64.sqrt() + 0.0 + 0.5) / 4.0);
            // Mean square errors 25/3, 16/3, 0, 3; unbiased variances 3, 3, 0, 12.
            let term = |mse: f64, variance: f64| (mse / (variance + 1e-7)).sqrt();
            close(all.vrmse, (term(25.0 / 3.0, 3.0) + term(16.0 / 3.0, 3.0) + 0.0 + term(3.0, 12.0)) / 4.0);
        }
    }

    #[test]
    fn worked_example_without_a_mask() {
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-14 * b.abs(), "{a} {b}");
        let all = evaluate(false, 2);
        // Each field has the further error 9 of the target 9.
        close(all.global_l2, ((50.0 + 4.0 * 81.0f64) / (81.0 + 4.0 * 81.0)).sqrt());
        close(all.trajectory_l2, (203f64.sqrt() + 171f64.sqrt()) / 2.0);
        close(all.relative_l2, ((203.0f64 / 204.0).sqrt() + (171.0f64 / 201.0).sqrt()) / 2.0);
        let nrmse = [(106.0f64 / 90.0), (97.0 / 114.0), (81.0 / 84.0), (90.0 / 117.0)];
        close(all.nrmse, nrmse.iter().map(|v| v.sqrt()).sum::<f64>() / 4.0);
        // Means 3, 4.5, 3, 3.75; sums of squared deviations 54, 33, 48, 60.75.
        let term = |error: f64, deviation: f64| (error / 4.0 / (deviation / 3.0 + 1e-7)).sqrt();
        let vrmse = term(106.0, 54.0) + term(97.0, 33.0) + term(81.0, 48.0) + term(90.0, 60.75);
        close(all.vrmse, vrmse / 4.0);
    }

    #[test]
    fn no_sample_is_an_error_and_quantiles_survive_infinity() {
        assert!(matches!(Evaluation::collect(&set(false)).finish(), Err(NnError::Empty { .. })));
        let infinite = [1.0, f64::INFINITY, f64::INFINITY];
        assert_eq!((quantile(&infinite, 0.0), quantile(&infinite, 0.75)), (1.0, f64::INFINITY));
        assert_eq!(quantile(&[3.0, 1.0], 0.5), 2.0);
    }
}
