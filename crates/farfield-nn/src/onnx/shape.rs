//! Shapes of the values in a graph, in which lengths of axes may be multiples of the number of samples.

use std::fmt;

use crate::error::NnError;

/// Length of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dim {
    /// The length, or the length for one sample.
    pub length: usize,
    /// Whether it is multiplied by the number of samples.
    pub batched: bool,
}

/// As many as there are samples.
pub(crate) const BATCH: Dim = Dim { length: 1, batched: true };

impl Dim {
    /// Times the number of samples.
    pub(crate) fn batch(length: usize) -> Self {
        Self { length, batched: true }
    }

    /// Whether it is 1, so that it can be repeated.
    fn is_one(self) -> bool {
        self == Self::from(1)
    }
}

impl From<usize> for Dim {
    fn from(length: usize) -> Self {
        Self { length, batched: false }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.batched, self.length) {
            (false, n) => write!(f, "{n}"),
            (true, 1) => f.write_str("batch"),
            (true, n) => write!(f, "{n} batch"),
        }
    }
}

/// `[batch, 3, 64]`.
pub(crate) fn text(shape: &[Dim]) -> String {
    let axes: Vec<String> = shape.iter().map(Dim::to_string).collect();
    format!("[{}]", axes.join(", "))
}

/// A shape without batch.
pub(crate) fn fixed(shape: &[usize]) -> Vec<Dim> {
    shape.iter().copied().map(Dim::from).collect()
}

/// A shape with the batch in front.
pub(crate) fn batched(shape: &[usize]) -> Vec<Dim> {
    std::iter::once(BATCH).chain(fixed(shape)).collect()
}

/// The shape of `a + b` when axes of length 1 are repeated.
///
/// # Errors
/// When two axes differ.
pub(crate) fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, NnError> {
    let rank = a.len().max(b.len());
    let padded = |shape: &[Dim]| [fixed(&vec![1; rank - shape.len()]), shape.to_vec()].concat();
    let axes = padded(a).into_iter().zip(padded(b)).map(|(m, n)| match () {
        () if m == n || n.is_one() => Some(m),
        () if m.is_one() => Some(n),
        () => None,
    });
    axes.collect::<Option<_>>().ok_or_else(|| {
        NnError::shape("operands of an elementwise operation", text(a), format!("one that fits {}", text(b)))
    })
}

/// Checks that a reshape keeps the number of values and leaves at most one axis to the run time.
///
/// # Errors
/// When it does not.
pub(crate) fn check_reshape(from: &[Dim], to: &[Dim]) -> Result<(), NnError> {
    let size = |shape: &[Dim]| {
        let batches = shape.iter().filter(|d| d.batched).count();
        (batches, shape.iter().map(|d| d.length).product::<usize>())
    };
    if size(from) == size(to) && size(to).0 <= 1 {
        return Ok(());
    }
    Err(NnError::shape("shape after a reshape", text(to), format!("as many values as {}", text(from))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_length_one_are_repeated() {
        let sum = broadcast(&batched(&[3, 1, 5]), &fixed(&[4, 1])).unwrap();
        assert_eq!(sum, batched(&[3, 4, 5]));
        assert_eq!(broadcast(&fixed(&[1]), &[BATCH]).unwrap(), [BATCH]);
        let error = broadcast(&[BATCH], &fixed(&[2])).unwrap_err().to_string();
        assert!(error.contains("[batch]") && error.contains("[2]"), "{error}");
    }

    #[test]
    fn a_reshape_keeps_values_and_batch() {
        assert!(check_reshape(&batched(&[6, 4]), &[Dim::batch(3), 8.into()]).is_ok());
        assert!(check_reshape(&batched(&[6, 4]), &fixed(&[24])).is_err());
        assert!(check_reshape(&batched(&[6, 4]), &batched(&[5, 5])).is_err());
        assert!(check_reshape(&[BATCH, BATCH], &[BATCH, BATCH]).is_err());
    }
}
