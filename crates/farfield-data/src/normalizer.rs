//! Normalisation of fields, channel by channel: `v -> (v - shift) / scale`.
//!
//! | kind | shift | scale |
//! | --- | --- | --- |
//! | `none` | 0 | 1 |
//! | `max` | 0 | largest absolute value of the channel |
//! | `zscore` | mean of the channel | standard deviation of the channel (divided by the count) |
//!
//! One pair of numbers a channel, over all samples given and all points. A channel that is zero
//! everywhere (`max`) or constant (`zscore`) has scale 1. Fitting streams over the samples in the
//! order of their numbers, so the order in which they are given does not matter; sums are in `f64`,
//! first the mean with compensation (Neumaier), then the squares of the deviations with the correction
//! for the rounding of the mean (Chan, Golub & LeVeque 1983, the corrected two-pass algorithm).

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Side};
use crate::error::DataError;
use crate::mask::Mask;
use crate::real::Real;

/// How fields are scaled. In configurations: `"none"`, `"max"`, `"zscore"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalization {
    /// Values as they are.
    None,
    /// Divided by the largest absolute value of the channel.
    #[default]
    Max,
    /// Mean 0 and standard deviation 1 in each channel.
    Zscore,
}

impl std::fmt::Display for Normalization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Max => "max",
            Self::Zscore => "zscore",
        })
    }
}

/// Shift and scale of each channel. Serialises as `{"shift": [...], "scale": [...]}`; unknown keys,
/// unequal lengths and scales that are not positive and finite are refused when read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Numbers")]
pub struct Normalizer {
    shift: Vec<f64>,
    scale: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    shift: Vec<f64>,
    scale: Vec<f64>,
}

impl TryFrom<Numbers> for Normalizer {
    type Error = DataError;

    fn try_from(Numbers { shift, scale }: Numbers) -> Result<Self, DataError> {
        Self::new(shift, scale)
    }
}

impl Normalizer {
    /// A normaliser of given numbers, one shift and one scale a channel.
    ///
    /// # Errors
    /// [`DataError::Parameter`] for no channel, unequal lengths, a shift that is not finite, a scale
    /// that is not positive and finite.
    pub fn new(shift: Vec<f64>, scale: Vec<f64>) -> Result<Self, DataError> {
        if shift.is_empty() || shift.len() != scale.len() {
            return Err(DataError::parameter(
                "scale",
                format!("{} numbers", scale.len()),
                format!("shift has {}: one of each is needed for every channel", shift.len()),
            ));
        }
        if let Some(bad) = shift.iter().find(|v| !v.is_finite()) {
            return Err(DataError::parameter("shift", bad, "must be finite"));
        }
        if let Some(bad) = scale.iter().find(|v| !v.is_finite() || **v <= 0.0) {
            return Err(DataError::parameter("scale", bad, "must be positive and finite"));
        }
        Ok(Self { shift, scale })
    }

    /// Shift 0, scale 1.
    pub fn identity(channels: usize) -> Self {
        Self { shift: vec![0.0; channels], scale: vec![1.0; channels] }
    }

    /// Shift and scale of one side of the samples `indices` (the training set); of outputs on a domain with a mask, over the points
    /// inside.
    ///
    /// Reads each sample once (`max`) or twice (`zscore`); memory for one sample.
    ///
    /// # Errors
    /// [`DataError::Parameter`] if `indices` is empty; [`DataError::SampleOutOfRange`];
    /// [`DataError::NonFinite`] names the first bad value in the order of the samples; errors of the
    /// disk.
    pub fn fit(dataset: &Dataset, indices: &[usize], side: Side, kind: Normalization) -> Result<Self, DataError> {
        let shape = dataset.shape(side);
        let channels = shape.channels;
        if kind == Normalization::None {
            return Ok(Self::identity(channels));
        }
        if indices.is_empty() {
            return Err(DataError::parameter("samples", 0, "a normaliser cannot be fitted to no sample"));
        }
        let mut order = indices.to_vec();
        order.sort_unstable();

        // Outputs outside the domain mean nothing.
        let mask = dataset.mask().filter(|_| side == Side::Output);
        let points = shape.points();
        let mut sample = vec![0.0f64; shape.len()];
        let mut for_each_channel = |take: &mut dyn FnMut(usize, &[f64])| -> Result<(), DataError> {
            for &index in &order {
                dataset.read_side(side, &[index], &mut sample)?;
                if let Some(at) = sample.iter().position(|v| !v.is_finite()) {
                    return Err(DataError::NonFinite {
                        origin: dataset.origin().to_owned(),
                        array: dataset.array_name(side).to_owned(),
                        sample: index,
                        index: at,
                        value: sample[at],
                    });
                }
                for (channel, values) in sample.chunks_exact(points).enumerate() {
                    match mask {
                        Some(mask) => take(channel, &mask.select_inside(values)),
                        None => take(channel, values),
                    }
                }
            }
            Ok(())
        };

        if kind == Normalization::Max {
            let mut scale = vec![0.0f64; channels];
            for_each_channel(&mut |channel, values| {
                scale[channel] = values.iter().fold(scale[channel], |m, v| m.max(v.abs()));
            })?;
            for value in &mut scale {
                if *value == 0.0 {
                    *value = 1.0;
                }
            }
            return Self::new(vec![0.0; channels], scale);
        }

        let count = order.len() as f64 * mask.map_or(points, Mask::count) as f64;
        let mut sums = vec![CompensatedSum::default(); channels];
        let mut largest = vec![0.0f64; channels];
        for_each_channel(&mut |channel, values| {
            for &v in values {
                // Divided first: a sum of huge values must not overflow.
                sums[channel].add(v / count);
                largest[channel] = largest[channel].max(v.abs());
            }
        })?;
        let mean: Vec<f64> = sums.iter().map(CompensatedSum::value).collect();
        let mut squares = vec![CompensatedSum::default(); channels];
        let mut rests = vec![CompensatedSum::default(); channels];
        for_each_channel(&mut |channel, values| {
            // In units of the largest value, so that the squares neither overflow nor vanish.
            let unit = if largest[channel] > 0.0 { largest[channel] } else { 1.0 };
            for &v in values {
                let deviation = (v - mean[channel]) / unit;
                squares[channel].add(deviation * deviation);
                rests[channel].add(deviation);
            }
        })?;
        let scale = (0..channels)
            .map(|channel| {
                let rest = rests[channel].value();
                let variance = (squares[channel].value() - rest * rest / count) / count;
                let deviation = variance.max(0.0).sqrt();
                // A constant channel leaves only the rounding of its mean.
                if deviation > 4.0 * f64::EPSILON { deviation * largest[channel] } else { 1.0 }
            })
            .collect();
        Self::new(mean, scale)
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.shift.len()
    }

    /// What is subtracted from each channel.
    pub fn shift(&self) -> &[f64] {
        &self.shift
    }

    /// What each channel is then divided by.
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }

    /// `(v - shift) / scale` in place, in `f64`, on samples of layout (sample, channel, `points`).
    ///
    /// # Errors
    /// [`DataError::Length`] if `values` is not a whole number of samples.
    pub fn apply<T: Real>(&self, values: &mut [T], points: usize) -> Result<(), DataError> {
        self.for_each_channel(values, points, |v, shift, scale| (v - shift) / scale)
    }

    /// `v * scale + shift` in place: undoes [`Self::apply`] up to rounding.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn invert<T: Real>(&self, values: &mut [T], points: usize) -> Result<(), DataError> {
        self.for_each_channel(values, points, |v, shift, scale| v * scale + shift)
    }

    fn for_each_channel<T: Real>(
        &self,
        values: &mut [T],
        points: usize,
        map: impl Fn(f64, f64, f64) -> f64,
    ) -> Result<(), DataError> {
        let sample = self.channels().saturating_mul(points);
        if sample == 0 || !values.len().is_multiple_of(sample) {
            return Err(DataError::length(
                "values to normalise",
                values.len(),
                format!("a multiple of {} channels x {points} points", self.channels()),
            ));
        }
        let numbers = self.shift.iter().zip(&self.scale).cycle();
        for (channel, (&shift, &scale)) in values.chunks_exact_mut(points).zip(numbers) {
            for v in channel {
                *v = T::from_f64(map(v.to_f64(), shift, scale));
            }
        }
        Ok(())
    }
}

/// A sum that carries what rounding lost (Neumaier 1974).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CompensatedSum {
    sum: f64,
    lost: f64,
}

impl CompensatedSum {
    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    pub(crate) fn value(&self) -> f64 {
        self.sum + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::OpenOptions;

    /// Two channels of three points, four samples.
    fn dataset(x: Vec<f64>) -> Dataset {
        Dataset::from_arrays(
            "made",
            x,
            &[4, 2, 3],
            vec![0.0; 12],
            &[4, 3],
            &OpenOptions { dims: Some(1), ..OpenOptions::default() },
        )
        .unwrap()
    }

    fn ramp() -> Vec<f64> {
        (0..24).map(|i| if (i / 3) % 2 == 0 { i as f64 } else { -10.0 * i as f64 }).collect()
    }

    #[test]
    fn max_is_per_channel_and_over_the_training_set_only() {
        let data = dataset(ramp());
        let fit = |indices: &[usize]| Normalizer::fit(&data, indices, Side::Input, Normalization::Max).unwrap();
        assert_eq!(fit(&[0, 1, 2, 3]).scale(), [20.0, 230.0]);
        assert_eq!(fit(&[1, 0]).scale(), [8.0, 110.0]);
        assert_eq!(fit(&[0]).shift(), [0.0, 0.0]);
        let zero = Normalizer::fit(&data, &[0], Side::Output, Normalization::Max).unwrap();
        assert_eq!(zero, Normalizer::identity(1));
    }

    #[test]
    fn zscore_gives_mean_zero_and_deviation_one() {
        let data = dataset(ramp());
        let all = [3, 1, 0, 2];
        let norm = Normalizer::fit(&data, &all, Side::Input, Normalization::Zscore).unwrap();
        let mut values = ramp();
        norm.apply(&mut values, 3).unwrap();
        for channel in 0..2 {
            let of_channel: Vec<f64> = values.chunks(3).skip(channel).step_by(2).flatten().copied().collect();
            let mean: f64 = of_channel.iter().sum::<f64>() / 12.0;
            let square: f64 = of_channel.iter().map(|v| v * v).sum::<f64>() / 12.0;
            assert!(mean.abs() < 1e-15 && (square - 1.0).abs() < 1e-15);
        }
        let sorted = Normalizer::fit(&data, &[0, 1, 2, 3], Side::Input, Normalization::Zscore);
        assert_eq!(sorted.unwrap(), norm);
    }

    /// The exact deviation of 1e9 + {0, 1, 2, ...} is that of {0, 1, 2, ...}; huge and tiny values
    /// must neither overflow nor vanish.
    #[test]
    fn zscore_survives_cancellation_and_extremes() {
        let deviation = |values: Vec<f64>| {
            let data =
                Dataset::from_arrays("made", values, &[4, 6], vec![1.0; 4], &[4, 1], &OpenOptions::default()).unwrap();
            Normalizer::fit(&data, &[0, 1, 2, 3], Side::Input, Normalization::Zscore).unwrap().scale()[0]
        };
        let exact = ((24.0f64 * 24.0 - 1.0) / 12.0).sqrt();
        let shifted = deviation((0..24).map(|i| 1e9 + i as f64).collect());
        assert!((shifted / exact - 1.0).abs() < 1e-13, "{shifted}");
        let huge = deviation((0..24).map(|i| 1e306 * i as f64).collect());
        assert!((huge / 1e306 / exact - 1.0).abs() < 1e-13, "{huge}");
        let tiny = deviation((0..24).map(|i| 1e-250 * i as f64).collect());
        assert!((tiny / 1e-250 / exact - 1.0).abs() < 1e-13, "{tiny}");
        assert_eq!(deviation(vec![0.1; 24]), 1.0);
        assert_eq!(deviation(vec![0.0; 24]), 1.0);
    }

    #[test]
    fn outputs_are_scaled_by_what_lies_inside_of_the_mask() {
        let y = vec![1.0, 900.0, 3.0, -5.0, 900.0, 1.0];
        let set = Dataset::from_arrays("made", vec![7.0; 6], &[2, 3], y, &[2, 3], &OpenOptions::default()).unwrap();
        let set = set.with_mask(Some(Mask::new(&[3], &[true, false, true]).unwrap())).unwrap();
        let fit = |side, kind| Normalizer::fit(&set, &[0, 1], side, kind).unwrap();
        assert_eq!(fit(Side::Output, Normalization::Max).scale(), [5.0]);
        // Of 1, 3, -5, 1: mean 0, mean square 9.
        let zscore = fit(Side::Output, Normalization::Zscore);
        assert_eq!((zscore.shift(), zscore.scale()), (&[0.0][..], &[3.0][..]));
        assert_eq!(fit(Side::Input, Normalization::Max).scale(), [7.0]);
    }

    #[test]
    fn invert_undoes_apply() {
        let norm = Normalizer::new(vec![1.0, -3.0], vec![0.5, 7.0]).unwrap();
        let original: Vec<f32> = (0..12).map(|i| i as f32 * 0.37).collect();
        let mut values = original.clone();
        norm.apply(&mut values, 3).unwrap();
        assert_eq!(values[0], -2.0);
        norm.invert(&mut values, 3).unwrap();
        for (a, b) in values.iter().zip(&original) {
            assert!((a - b).abs() < 1e-5);
        }
        let error = norm.apply(&mut values[..7], 3).unwrap_err().to_string();
        assert!(error.contains("multiple of 2 channels x 3 points"), "{error}");
        assert!(norm.apply(&mut values, 0).is_err());
        assert!(norm.apply::<f32>(&mut [], 3).is_ok());
    }

    #[test]
    fn bad_values_are_named() {
        let mut x = ramp();
        x[6 + 4] = f64::NAN;
        let data = dataset(x);
        for kind in [Normalization::Max, Normalization::Zscore] {
            let error = Normalizer::fit(&data, &[2, 1], Side::Input, kind).unwrap_err();
            assert!(
                matches!(&error, DataError::NonFinite { array, sample: 1, index: 4, .. } if array == "x"),
                "{error}"
            );
        }
        assert!(Normalizer::fit(&data, &[], Side::Input, Normalization::Max).is_err());
        assert!(Normalizer::fit(&data, &[4], Side::Input, Normalization::Max).is_err());
        let none = Normalizer::fit(&data, &[1], Side::Input, Normalization::None).unwrap();
        assert_eq!(none, Normalizer::identity(2));
    }

    #[test]
    fn json_is_strict() {
        let norm = Normalizer::new(vec![0.25], vec![3.5]).unwrap();
        let text = serde_json::to_string(&norm).unwrap();
        assert_eq!(text, r#"{"shift":[0.25],"scale":[3.5]}"#);
        assert_eq!(serde_json::from_str::<Normalizer>(&text).unwrap(), norm);
        for bad in [
            r#"{"shift":[0.25],"scale":[3.5],"kind":"max"}"#,
            r#"{"shift":[0.25],"scale":[]}"#,
            r#"{"shift":[],"scale":[]}"#,
            r#"{"shift":[0.25],"scale":[0.0]}"#,
            r#"{"shift":[0.25],"scale":[-1.0]}"#,
            r#"{"shift":[0.25]}"#,
        ] {
            assert!(serde_json::from_str::<Normalizer>(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::to_string(&Normalization::Zscore).unwrap(), "\"zscore\"");
        assert_eq!(Normalization::default(), Normalization::Max);
    }
}
