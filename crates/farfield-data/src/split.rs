//! Training, validation and test sets by a seeded shuffle.

use crate::error::DataError;
use crate::permutation::permutation;

/// Sample numbers of three disjoint sets that together are all samples.
///
/// Each is in shuffled order, so that its first k are a random choice of k.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// For fitting; never empty.
    pub train: Vec<usize>,
    /// For choosing; empty if its fraction is 0.
    pub validation: Vec<usize>,
    /// For reporting; empty if its fraction is 0.
    pub test: Vec<usize>,
}

impl Split {
    /// Splits `n` samples. A fraction's set has `round(n * fraction)` samples (halves up), but at least
    /// one where the fraction is not 0; the rest is for training. The same arguments give the same
    /// sets, on any machine.
    ///
    /// # Errors
    /// [`DataError::Parameter`] if a fraction is not in `[0, 1)` or nothing is left for training.
    pub fn new(n: usize, validation_fraction: f64, test_fraction: f64, seed: u64) -> Result<Self, DataError> {
        let count = |name: &'static str, fraction: f64| -> Result<usize, DataError> {
            if !(0.0..1.0).contains(&fraction) {
                return Err(DataError::parameter(name, fraction, "must be at least 0 and below 1"));
            }
            let count = (n as f64 * fraction + 0.5).floor() as usize;
            Ok(if fraction > 0.0 { count.max(1) } else { 0 })
        };
        let validation = count("validation_fraction", validation_fraction)?;
        let test = count("test_fraction", test_fraction)?;
        if validation + test >= n {
            return Err(DataError::parameter(
                "samples",
                n,
                format!(
                    "none left for training after {validation} for validation and {test} for testing: lower the fractions or bring more samples"
                ),
            ));
        }
        let mut train = permutation(n, "split", seed, 0);
        let test = train.split_off(n - test);
        let validation = train.split_off(train.len() - validation);
        Ok(Self { train, validation, test })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disjoint_and_complete_with_the_documented_sizes() {
        for (n, v, t, sizes) in [
            (10, 0.1, 0.1, (8, 1, 1)),
            (10, 0.0, 0.0, (10, 0, 0)),
            (3, 0.01, 0.01, (1, 1, 1)),
            (100, 0.25, 0.125, (62, 25, 13)),
            (1, 0.0, 0.0, (1, 0, 0)),
            (5, 0.5, 0.0, (2, 3, 0)),
        ] {
            let split = Split::new(n, v, t, 4).unwrap();
            assert_eq!((split.train.len(), split.validation.len(), split.test.len()), sizes);
            let mut all = [split.train, split.validation, split.test].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..n));
        }
    }

    #[test]
    fn the_seed_decides() {
        let split = |seed| Split::new(40, 0.2, 0.2, seed).unwrap();
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }

    #[test]
    fn impossible_splits_are_refused() {
        for (n, v, t, part) in [
            (0, 0.0, 0.0, "samples = 0"),
            (2, 0.1, 0.1, "none left for training"),
            (10, 0.5, 0.5, "none left for training"),
            (10, 1.0, 0.0, "validation_fraction = 1"),
            (10, 0.0, -0.1, "test_fraction = -0.1"),
            (10, f64::NAN, 0.0, "validation_fraction = NaN"),
        ] {
            let error = Split::new(n, v, t, 0).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
