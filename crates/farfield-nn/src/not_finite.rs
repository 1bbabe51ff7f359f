//! Numbers that may be infinite or NaN in JSON, which has neither: written as `null`, they are read back as NaN.
//!
//! The rollout of a model that is not stable grows beyond all bounds; its results must still be a file that can be read.

use serde::{Deserialize, Deserializer};

/// Reads a number, or `null` as NaN; for `deserialize_with`.
///
/// # Errors
/// Anything else.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Reads a list of numbers, each `null` in it as NaN; for `deserialize_with`.
///
/// # Errors
/// Anything else.
pub fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    Ok(Vec::<Option<f64>>::deserialize(deserializer)?.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}
