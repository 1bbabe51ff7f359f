//! The data families: which right-hand sides a problem is trained and tested on.
//!
//! The paper's sets are sums of a few fixed sine waves: in 1D they span ten dimensions, so that
//! least squares from ten samples, or a matrix without any far field, solves them. The `random`
//! families fill the whole grid, and there the structure is needed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::PdeError;

/// Where the inputs of a problem come from. Written as `paper`, `random-s0`, `random-s1`,
/// `random-s2`, also in serde.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Family {
    /// As printed in the Neural-HSS paper (arXiv 2602.18248), appendix F.
    Paper,
    /// Gaussian, `f ~ N(0, (-Laplacian + 9)^(-s))`, drawn on the stored grid: s = 0 is white noise,
    /// larger s is smoother. The exponent belongs to the covariance; a coefficient has standard
    /// deviation `(lambda + 9)^(-s/2)`.
    Random {
        /// The exponent s: 0, 1 or 2.
        smoothness: u32,
    },
}

impl Family {
    /// Every family there is. A problem may support fewer
    /// ([`Problem::families`](crate::Problem::families)).
    pub const ALL: [Family; 4] = [
        Family::Paper,
        Family::Random { smoothness: 0 },
        Family::Random { smoothness: 1 },
        Family::Random { smoothness: 2 },
    ];
}

/// The names of some families, separated by commas.
pub(crate) fn names(families: &[Family]) -> String {
    let names: Vec<String> = families.iter().map(Family::to_string).collect();
    names.join(", ")
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Family::Paper => f.pad("paper"),
            Family::Random { smoothness } => f.pad(&format!("random-s{smoothness}")),
        }
    }
}

impl FromStr for Family {
    type Err = PdeError;

    fn from_str(name: &str) -> Result<Self, PdeError> {
        Family::ALL
            .into_iter()
            .find(|family| family.to_string() == name)
            .ok_or_else(|| PdeError::UnknownFamily { name: name.to_owned(), known: names(&Family::ALL) })
    }
}

impl TryFrom<String> for Family {
    type Error = PdeError;

    fn try_from(name: String) -> Result<Self, PdeError> {
        name.parse()
    }
}

impl From<Family> for String {
    fn from(family: Family) -> String {
        family.to_string()
    }
}
