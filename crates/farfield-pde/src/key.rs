//! The key of a sample: all its random numbers follow from it, so a sample does not depend on
//! threads, order or how many others are drawn.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Which set a sample belongs to. Sets of one seed are independent of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Training.
    Train,
    /// Validation, for early stopping and the choice of parameters.
    Validation,
    /// Test, from the family that was trained on.
    Test,
    /// Test, from another family.
    OutOfDistribution,
}

/// Names one sample. The family is not part of the key: two families draw from the same numbers,
/// and [`Stream::OutOfDistribution`] keeps the sets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SampleKey {
    /// The seed of the run.
    pub seed: u64,
    /// The set.
    pub stream: Stream,
    /// The number of the sample in its set, from 0.
    pub index: u64,
}

/// Keeps these numbers apart from those that other parts of farfield draw from the same seed.
const DOMAIN: &[u8; 8] = b"pde data";

impl SampleKey {
    /// The random numbers of this sample: ChaCha with eight rounds, keyed by seed, stream and
    /// index.
    pub fn rng(&self) -> ChaCha8Rng {
        let stream: u64 = match self.stream {
            Stream::Train => 0,
            Stream::Validation => 1,
            Stream::Test => 2,
            Stream::OutOfDistribution => 3,
        };
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&stream.to_le_bytes());
        key[16..24].copy_from_slice(&self.index.to_le_bytes());
        key[24..].copy_from_slice(DOMAIN);
        ChaCha8Rng::from_seed(key)
    }
}
