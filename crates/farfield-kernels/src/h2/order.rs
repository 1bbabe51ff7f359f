//! Fields in the user's order of points to panels in the order of a cluster tree, and back.
//!
//! Fields may have several channels, one behind the other (`[sample][channel][point]`); in panels the channels of a point are neighbours, so that the numbers of a
//! cluster stay together. Cost: two passes over the data, the second within one panel.

use crate::aligned::{AlignedVec, Room};
use crate::error::{LayoutError, check_len};
use crate::panels::PanelShape;
use crate::parallel::for_each;
use crate::scalar::Scalar;
use crate::scratch::Scratch;

/// Multiply-adds that moving one number costs.
const MOVE_COST: usize = 12;

/// An order of points, with channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointOrder {
    /// For each row of a panel the number among those of a sample.
    rows: Vec<usize>,
}

impl PointOrder {
    /// The user's point at every place of the tree, and the number of channels.
    ///
    /// # Errors
    /// [`LayoutError::Pattern`] unless every point `0..n` occurs once and there is a channel.
    pub fn new(order: &[usize], channels: usize) -> Result<Self, LayoutError> {
        let n = order.len();
        let bad = |reason: String| Err(LayoutError::Pattern { what: "order of points", reason });
        let mut seen = vec![false; n];
        if let Some(i) = order.iter().find(|&&i| i >= n || std::mem::replace(&mut seen[i], true)) {
            return bad(format!("point {i} occurs twice or is not among {n}"));
        }
        if channels == 0 || n.checked_mul(channels).is_none() {
            return bad(format!("{channels} channels"));
        }
        Ok(Self { rows: order.iter().flat_map(|&i| (0..channels).map(move |c| c * n + i)).collect() })
    }

    /// Numbers of a sample.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The fields `x`, sample after sample, in panels.
    ///
    /// # Errors
    /// When the slice has the wrong length.
    pub fn pack<T: Scalar>(&self, batch: usize, x: &[T]) -> Result<AlignedVec<T>, LayoutError> {
        let (n, lanes) = (self.len(), T::LANES);
        check_len("the fields", x.len(), batch * n)?;
        let shape = PanelShape::new_1d(batch, n);
        let mut panels = Room::<T>::new(shape.elements::<T>());
        let to = panels.shared();
        for_each(shape.panels::<T>(), MOVE_COST * shape.elements::<T>(), |p| {
            let samples = lanes.min(batch - p * lanes);
            let mut own = Scratch::<T>::take(n * lanes);
            if samples < lanes {
                own.fill(T::ZERO);
            }
            // SAFETY: `samples` rows of `n` numbers lie inside `x` (checked above); the scratch and this panel, which only this task touches, hold `n`
            // rows of `lanes`.
            unsafe {
                (T::kernels().transpose)(x[p * lanes * n..].as_ptr(), n, own.as_mut_ptr(), lanes, samples, n);
                let panel = to.slice(p * n * lanes, n * lanes);
                for (row, &from) in panel.chunks_exact_mut(lanes).zip(&self.rows) {
                    row.copy_from_slice(&own[from * lanes..(from + 1) * lanes]);
                }
            }
        });
        // SAFETY: the tasks wrote every panel.
        Ok(unsafe { panels.finish() })
    }

    /// The inverse of [`PointOrder::pack`].
    ///
    /// # Errors
    /// When the slice has the wrong length.
    pub fn unpack<T: Scalar>(&self, batch: usize, panels: &[T]) -> Result<AlignedVec<T>, LayoutError> {
        let (n, lanes) = (self.len(), T::LANES);
        let shape = PanelShape::new_1d(batch, n);
        check_len("the panels", panels.len(), shape.elements::<T>())?;
        let mut x = Room::<T>::new(batch * n);
        let to = x.shared();
        for_each(shape.panels::<T>(), MOVE_COST * shape.elements::<T>(), |p| {
            let samples = lanes.min(batch - p * lanes);
            let mut own = Scratch::<T>::take(n * lanes);
            let panel = &panels[p * n * lanes..(p + 1) * n * lanes];
            for (row, &at) in panel.chunks_exact(lanes).zip(&self.rows) {
                own[at * lanes..(at + 1) * lanes].copy_from_slice(row);
            }
            // SAFETY: as in `pack`, with the roles exchanged; only this task writes these samples.
            unsafe { (T::kernels().transpose)(own.as_ptr(), lanes, to.at(p * lanes * n), n, n, samples) };
        });
        // SAFETY: the tasks wrote every sample.
        Ok(unsafe { x.finish() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_in_any_order() {
        let order = PointOrder::new(&[2, 0, 1], 2).unwrap();
        for batch in [0, 1, 8, 19, 40] {
            let x: Vec<f32> = (0..batch * 6).map(|i| i as f32).collect();
            let panels = order.pack(batch, &x).unwrap();
            for sample in 0..batch {
                for (row, number) in [2, 5, 0, 3, 1, 4].into_iter().enumerate() {
                    let at = (sample / 16 * 6 + row) * 16 + sample % 16;
                    assert_eq!(panels[at], x[sample * 6 + number]);
                }
            }
            assert_eq!(order.unpack(batch, &panels).unwrap()[..], x[..]);
        }
        assert!(order.pack(2, &[0.0f64; 11]).is_err());
    }

    #[test]
    fn only_permutations() {
        let error = PointOrder::new(&[0, 0], 1).unwrap_err().to_string();
        assert_eq!(error, "order of points: point 0 occurs twice or is not among 2");
        assert!(PointOrder::new(&[0, 2], 1).is_err());
        assert!(PointOrder::new(&[0], 0).is_err());
    }
}
