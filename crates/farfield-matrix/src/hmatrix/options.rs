//! How an H-matrix is to be built.

use crate::accuracy::Accuracy;

/// How the error of a cross approximation is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Check {
    /// From random entries: O(1) a block. The certificate is probabilistic.
    #[default]
    Sampled,
    /// From all entries of the admissible blocks: O(n^2) entries, O(k n^2) operations, no more memory. The certificate is proven.
    Exact,
}

/// How an admissible block is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// By the singular value decomposition of the whole block: least rank, proven error. O(m n min(m, n)) a block.
    Svd,
    /// By adaptive cross approximation from O(k (m + n)) of its entries.
    CrossApproximation {
        /// How its error is found out.
        check: Check,
    },
}

/// How the tolerance is divided over the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Division {
    /// Every admissible block is accurate relative to its own norm.
    #[default]
    Blockwise,
    /// The matrix is accurate relative to its norm, with the least memory. A large diagonal then allows large errors away from it.
    Global,
}

/// How an H-matrix is built.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HMatrixOptions {
    /// The error allowed.
    pub accuracy: Accuracy,
    /// How a relative tolerance is divided over the blocks; an absolute one is divided globally.
    pub division: Division,
    /// How blocks are compressed.
    pub compression: Compression,
    /// For the random places of the checks.
    pub seed: u64,
}

impl HMatrixOptions {
    /// Cross approximation with a sampled check, blockwise accuracy, seed 0.
    pub fn new(accuracy: Accuracy) -> Self {
        let compression = Compression::CrossApproximation { check: Check::Sampled };
        Self { accuracy, division: Division::Blockwise, compression, seed: 0 }
    }
}
