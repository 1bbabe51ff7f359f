//! What is known about the error of an approximation.
//!
//! Errors of disjoint blocks add in squares, `||A - H||_F^2 = sum_b ||A_b - H_b||_F^2` exactly, and the 2-norm is at most the
//! Frobenius norm: a build that truncates singular values block by block knows its error, it does not estimate it. (In theorem 1
//! of Mango & Katende 2024, arXiv 2409.07028, this is part (a).)

use serde::{Deserialize, Serialize};

/// How far a bound can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// It follows from quantities that were computed, rounding errors included.
    Proven,
    /// It holds but for a probability of at most `failure`, over the random numbers of the build.
    Probabilistic {
        /// Largest probability that the bound does not hold.
        failure: f64,
    },
}

/// A bound on a norm of `A - H`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// The bound.
    pub value: f64,
    /// Its standing.
    pub confidence: Confidence,
}

impl Bound {
    /// A proven bound.
    pub fn proven(value: f64) -> Self {
        Self { value, confidence: Confidence::Proven }
    }

    /// A bound that fails with at most this probability.
    pub fn probabilistic(value: f64, failure: f64) -> Self {
        Self { value, confidence: Confidence::Probabilistic { failure } }
    }
}

/// Ranks on one level of a format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelRanks {
    /// Level of the tree; 0 is the root.
    pub level: usize,
    /// Low-rank blocks, or nodes with bases, on the level.
    pub blocks: usize,
    /// Smallest rank.
    pub min: usize,
    /// Sum of all ranks: the mean is `total / blocks`.
    pub total: usize,
    /// Largest rank.
    pub max: usize,
}

impl LevelRanks {
    /// The summary of the ranks of each level.
    pub fn of(ranks: impl IntoIterator<Item = (usize, usize)>) -> Vec<Self> {
        let mut levels: Vec<Self> = Vec::new();
        for (level, rank) in ranks {
            match levels.iter_mut().find(|l| l.level == level) {
                Some(l) => {
                    l.blocks += 1;
                    (l.min, l.max) = (l.min.min(rank), l.max.max(rank));
                    l.total += rank;
                }
                None => levels.push(Self { level, blocks: 1, min: rank, total: rank, max: rank }),
            }
        }
        levels.sort_by_key(|l| l.level);
        levels
    }
}

/// What a build knows about its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Bound on `||A - H||_F`.
    pub frobenius: Bound,
    /// Bound on `||A - H||_2`; never above the first.
    pub spectral: Bound,
    /// Frobenius norm of the result.
    pub norm: f64,
    /// Ranks on each level.
    pub ranks: Vec<LevelRanks>,
    /// Numbers stored.
    pub stored: usize,
    /// Numbers in the dense matrix.
    pub dense: usize,
}

impl Certificate {
    /// Stored numbers over those of the dense matrix.
    pub fn compression(&self) -> f64 {
        self.stored as f64 / self.dense as f64
    }

    /// The largest rank.
    pub fn max_rank(&self) -> usize {
        self.ranks.iter().map(|l| l.max).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_summed_up_by_level() {
        let ranks = LevelRanks::of([(2, 3), (1, 5), (2, 1)]);
        assert_eq!(
            ranks,
            [
                LevelRanks { level: 1, blocks: 1, min: 5, total: 5, max: 5 },
                LevelRanks { level: 2, blocks: 2, min: 1, total: 4, max: 3 }
            ]
        );
    }
}
