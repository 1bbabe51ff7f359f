//! The order in which samples are visited: batches of an epoch as a pure function of (seed, epoch).
//!
//! Nothing is remembered between epochs, so a run resumed at (epoch, batch) sees exactly the batches
//! that it would have seen without the stop.

use crate::error::DataError;
use crate::permutation::permutation;

/// Shuffled batches of `0..samples`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batches {
    samples: usize,
    batch_size: usize,
    seed: u64,
}

impl Batches {
    /// Batches of `batch_size` out of `samples` samples; a `batch_size` above `samples` gives one
    /// batch of all.
    ///
    /// # Errors
    /// [`DataError::Parameter`] if either is 0.
    pub fn new(samples: usize, batch_size: usize, seed: u64) -> Result<Self, DataError> {
        for (name, value) in [("samples", samples), ("batch_size", batch_size)] {
            if value == 0 {
                return Err(DataError::parameter(name, value, "must be at least 1"));
            }
        }
        Ok(Self { samples, batch_size, seed })
    }

    /// The batches of one epoch: a permutation of the samples, cut into runs; the last may be smaller.
    /// ChaCha8 keyed by (seed, epoch), Fisher-Yates.
    pub fn epoch(&self, epoch: u64) -> Vec<Vec<usize>> {
        permutation(self.samples, "batches", self.seed, epoch).chunks(self.batch_size).map(<[usize]>::to_vec).collect()
    }

    /// Batches in an epoch.
    pub fn per_epoch(&self) -> usize {
        self.samples.div_ceil(self.batch_size)
    }

    /// Number of samples in an epoch.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Samples in a batch, the last of an epoch excepted.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_once_an_epoch() {
        for (samples, size) in [(10, 3), (10, 10), (10, 50), (1, 1), (7, 1), (64, 16)] {
            let batches = Batches::new(samples, size, 9).unwrap();
            let epoch = batches.epoch(2);
            assert_eq!(epoch.len(), batches.per_epoch());
            assert!(epoch[..epoch.len() - 1].iter().all(|b| b.len() == size));
            let mut all = epoch.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..samples));
        }
    }

    #[test]
    fn a_pure_function_of_seed_and_epoch() {
        let batches = Batches::new(100, 7, 1).unwrap();
        let later = batches.epoch(5);
        for epoch in 0..5 {
            assert_ne!(batches.epoch(epoch), later);
        }
        assert_eq!(Batches::new(100, 7, 1).unwrap().epoch(5), later);
        assert_ne!(Batches::new(100, 7, 2).unwrap().epoch(5), later);
        // The order does not depend on the size of the batches.
        assert_eq!(Batches::new(100, 9, 1).unwrap().epoch(5).concat(), later.concat());
    }

    #[test]
    fn zero_is_refused() {
        assert!(Batches::new(0, 3, 0).is_err());
        let error = Batches::new(3, 0, 0).unwrap_err().to_string();
        assert_eq!(error, "batch_size = 0: must be at least 1");
    }
}
