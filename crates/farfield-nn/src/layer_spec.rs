//! Shape of one m-dimensional HSS layer: which HSS matrices it has and where their parameters lie.
//!
//! `H(Z) = sum_{k=1}^{r_out} Z x_1 W_1^(k) x_2 ... x_m W_m^(k)` (Neural-HSS, eq. 1), `m = 1, 2, 3`. All
//! parameters of a layer are one flat vector: for every term `k`, for every mode `j`, the parameters of
//! `W_j^(k)` in the order of its [`HssLayout`].

use std::sync::Arc;

use farfield_kernels::{Block, HssLayout};

use crate::error::NnError;

/// Largest number of parameters of a layer.
const MAX_PARAMETERS: usize = 1 << 31;

/// Shape of a layer: one [`HssLayout`] a mode, shared by the `outer_rank` terms of the sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    modes: Vec<Arc<HssLayout>>,
    outer_rank: usize,
}

impl LayerSpec {
    /// A layer whose mode `j` is multiplied by matrices of layout `modes[j]`.
    ///
    /// # Errors
    /// When there are not one, two or three modes, `outer_rank` is 0, or there would be more
    /// than 2^31 parameters.
    pub fn new(modes: Vec<Arc<HssLayout>>, outer_rank: usize) -> Result<Self, NnError> {
        if !(1..=3).contains(&modes.len()) {
            return Err(NnError::shape("modes of a layer", modes.len(), "1, 2 or 3 grid axes"));
        }
        if outer_rank == 0 {
            return Err(NnError::config("model.outer_rank", 0, "must be at least 1"));
        }
        let fits = modes
            .iter()
            .try_fold(0usize, |sum, m| sum.checked_add(m.len()))
            .and_then(|n| n.checked_mul(outer_rank))
            .is_some_and(|n| n <= MAX_PARAMETERS);
        if !fits {
            return Err(NnError::config(
                "model.outer_rank",
                outer_rank,
                "a layer would have more than 2^31 parameters",
            ));
        }
        Ok(Self { modes, outer_rank })
    }

    /// The layer from a grid of `grid_in` points to one of `grid_out` points, with the same depth and
    /// rank along every axis.
    ///
    /// # Errors
    /// When the grids differ in dimension, or as [`HssLayout::new`] and [`LayerSpec::new`].
    pub fn uniform(
        grid_in: &[usize],
        grid_out: &[usize],
        levels: usize,
        rank: usize,
        outer_rank: usize,
    ) -> Result<Self, NnError> {
        if grid_in.len() != grid_out.len() {
            return Err(NnError::shape(
                "grid of a layer's output",
                format!("{grid_out:?}"),
                format!("as many axes as {grid_in:?}"),
            ));
        }
        let modes = grid_in
            .iter()
            .zip(grid_out)
            .map(|(&n_in, &n_out)| Ok(Arc::new(HssLayout::new(n_out, n_in, levels, rank)?)))
            .collect::<Result<Vec<_>, NnError>>()?;
        Self::new(modes, outer_rank)
    }

    /// Layout of the matrices of every mode.
    pub fn modes(&self) -> &[Arc<HssLayout>] {
        &self.modes
    }

    /// Number of terms of the sum, `r_out`.
    pub fn outer_rank(&self) -> usize {
        self.outer_rank
    }

    /// Dimension `m` of the grid.
    pub fn dims(&self) -> usize {
        self.modes.len()
    }

    /// Parameters of one term of the sum.
    pub fn term_len(&self) -> usize {
        self.modes.iter().map(|m| m.len()).sum()
    }

    /// Parameters of the layer, the slope of the activation not counted.
    pub fn len(&self) -> usize {
        self.term_len() * self.outer_rank
    }

    /// Whether there are no parameters (never).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Index of the first parameter of `W_mode^(term)` in the flat vector.
    pub fn offset(&self, term: usize, mode: usize) -> usize {
        let before: usize = self.modes[..mode].iter().map(|m| m.len()).sum();
        term * self.term_len() + before
    }

    /// All blocks of all matrices that have entries, in the order of the flat vector, which they fill.
    pub fn blocks(&self) -> Vec<Block> {
        let mut all = Vec::new();
        for term in 0..self.outer_rank {
            for (mode, layout) in self.modes.iter().enumerate() {
                let offset = self.offset(term, mode);
                let blocks = layout.nodes().iter().flat_map(|node| [node.d, node.u, node.v]);
                let placed = blocks.map(|block| Block { offset: block.offset + offset, ..block });
                all.extend(placed.filter(|block| !block.is_empty()));
            }
        }
        all.sort_by_key(|block| block.offset);
        all
    }

    /// Points along every axis of the input.
    pub fn grid_in(&self) -> Vec<usize> {
        self.modes.iter().map(|m| m.n_in()).collect()
    }

    /// Points along every axis of the output.
    pub fn grid_out(&self) -> Vec<usize> {
        self.modes.iter().map(|m| m.n_out()).collect()
    }

    /// Points of the input.
    pub fn points_in(&self) -> usize {
        self.modes.iter().map(|m| m.n_in()).product()
    }

    /// Points of the output.
    pub fn points_out(&self) -> usize {
        self.modes.iter().map(|m| m.n_out()).product()
    }

    /// Multiply-adds for one sample: mode `j` costs its parameters times the points of all other axes,
    /// axes before `j` counted at their output size.
    pub fn multiply_adds(&self) -> usize {
        let mut total = 0;
        for (j, mode) in self.modes.iter().enumerate() {
            let before: usize = self.modes[..j].iter().map(|m| m.n_out()).product();
            let after: usize = self.modes[j + 1..].iter().map(|m| m.n_in()).product();
            total += mode.multiply_adds() * before * after;
        }
        total * self.outer_rank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_offsets() {
        let spec = LayerSpec::uniform(&[64, 64], &[64, 64], 2, 2, 8).unwrap();
        // The 21.8 K a layer of the notes' reading of table 5.
        assert_eq!(spec.len(), 8 * 2 * (4 * (256 + 64) + 2 * 32 + 16));
        assert_eq!(spec.offset(0, 0), 0);
        assert_eq!(spec.offset(3, 1), 3 * spec.term_len() + spec.term_len() / 2);
        assert_eq!((spec.points_in(), spec.points_out()), (4096, 4096));
        assert_eq!(spec.multiply_adds(), spec.len() * 64);
        let heat = LayerSpec::uniform(&[256], &[256], 3, 2, 1).unwrap();
        assert_eq!((heat.len(), heat.dims()), (9424, 1));
        for spec in [spec, heat, LayerSpec::uniform(&[3, 5], &[7, 5], 2, 1, 2).unwrap()] {
            let end = spec.blocks().iter().fold(0, |end, block| {
                assert_eq!(block.offset, end);
                end + block.len()
            });
            assert_eq!(end, spec.len());
        }
    }

    #[test]
    fn impossible_layers_are_errors() {
        assert!(LayerSpec::uniform(&[8], &[8, 8], 1, 1, 1).is_err());
        assert!(LayerSpec::uniform(&[8; 4], &[8; 4], 1, 1, 1).is_err());
        assert!(LayerSpec::uniform(&[8], &[8], 1, 1, 0).is_err());
        assert!(LayerSpec::uniform(&[8], &[8], 1, 1, usize::MAX / 2).is_err());
        assert!(LayerSpec::uniform(&[0], &[8], 1, 1, 1).is_err());
    }
}
