//! One block-sparse layer on panels: forward, adjoint, gradients.
//!
//! ```text
//! y_k = f( b_k + sum over pairs (k, l) of h(W_kl x_l + c_kl) )
//! ```
//!
//! (H2-NN, arXiv 2212.12899, eq. 4; see [`BlockPattern`] for blocks that are networks of their own.) Block-diagonal restriction and interpolation are the case of one
//! pair a slot. Cost: one multiply-add a parameter and sample forward, two more backward, three if there are activations inside. Not for blocks of one or two
//! numbers: then the products are all overhead.
//!
//! ```
//! use farfield_kernels::{BlockLayerSpec, BlockPattern, BlockSparseLayer};
//! // Two outputs of 1 and 2 numbers, two inputs of 2 and 1; no block couples output 0 with input 1.
//! let pattern = BlockPattern::new(&[1, 2], &[2, 1], &[(0, 0), (1, 0), (1, 1)], BlockLayerSpec::default())?;
//! let layer = BlockSparseLayer { pattern: &pattern, batch: 1 };
//! let x = layer.input().pack(&[1.0, -2.0, 3.0])?;
//! let w = [1.0, 1.0, /* */ 1.0, 0.0, 0.0, 1.0, /* */ 2.0, 1.0];
//! let y = layer.output().unpack(&layer.forward(&x, &w)?)?;
//! assert_eq!(&y[..], [0.0, 7.0, 1.0]); // relu(1 - 2), relu(1 + 6), relu(-2 + 3)
//! # Ok::<(), farfield_kernels::LayoutError>(())
//! ```

use super::activation::Activation;
use super::backward::InputGradient;
use super::pattern::BlockPattern;
use super::products::Stage;
use crate::aligned::{AlignedVec, Room};
use crate::error::{LayoutError, check_len};
use crate::layer::Backward;
use crate::panels::PanelShape;
use crate::parallel::Shared;
use crate::scalar::Scalar;
use crate::scratch::Scratch;
use crate::view::View;

/// A block-sparse layer for a number of samples.
#[derive(Clone, Copy, Debug)]
pub struct BlockSparseLayer<'a> {
    /// Its slots and blocks.
    pub pattern: &'a BlockPattern,
    /// Number of samples.
    pub batch: usize,
}

impl BlockSparseLayer<'_> {
    /// Panels of the input.
    pub fn input(&self) -> PanelShape {
        PanelShape::new_1d(self.batch, self.pattern.n_in())
    }

    /// Panels of the output.
    pub fn output(&self) -> PanelShape {
        PanelShape::new_1d(self.batch, self.pattern.n_out())
    }

    /// The output. The backward pass needs nothing beside it and the input.
    ///
    /// # Errors
    /// When a slice has the wrong length.
    pub fn forward<T: Scalar>(&self, x: &[T], parameters: &[T]) -> Result<AlignedVec<T>, LayoutError> {
        let stage = self.stage(x, parameters)?;
        let mut y = Room::<T>::new(self.output().elements::<T>());
        // SAFETY: the views have the panels of input and output; all slots together are the whole output.
        unsafe {
            stage.forward(input_view(x, self.pattern.n_in()), View::panels(y.shared().0, self.pattern.n_out()), false);
            Ok(y.finish())
        }
    }

    /// `y += W x` for a layer without activations.
    ///
    /// # Errors
    /// [`LayoutError::Pattern`] for a layer with an activation outside; when a slice has the wrong length.
    pub fn add_product<T: Scalar>(&self, x: &[T], parameters: &[T], y: &mut [T]) -> Result<(), LayoutError> {
        let stage = self.stage(x, parameters)?;
        check_len("the output", y.len(), self.output().elements::<T>())?;
        if !self.pattern.spec().outside.is_identity() {
            let reason = "a product that is added has no activation outside".to_owned();
            return Err(LayoutError::Pattern { what: "block-sparse layer", reason });
        }
        // SAFETY: as in `forward`; `y` is exclusively ours.
        unsafe {
            stage.forward(input_view(x, self.pattern.n_in()), View::panels(y.as_mut_ptr(), self.pattern.n_out()), true);
        }
        Ok(())
    }

    /// The gradients, from the output `y` of [`BlockSparseLayer::forward`] and the gradient `dy` by it.
    ///
    /// # Errors
    /// When a slice has the wrong length.
    pub fn backward<T: Scalar>(
        &self,
        x: &[T],
        parameters: &[T],
        y: &[T],
        dy: &[T],
        need_dx: bool,
    ) -> Result<Backward<T>, LayoutError> {
        let stage = self.stage(x, parameters)?;
        let (n_in, n_out) = (self.pattern.n_in(), self.pattern.n_out());
        check_len("the output", y.len(), self.output().elements::<T>())?;
        check_len("the output gradient", dy.len(), self.output().elements::<T>())?;
        let mut own = Scratch::<T>::take(dy.len());
        own.copy_from_slice(dy);
        let mut dx = need_dx.then(|| Room::<T>::new(self.input().elements::<T>()));
        let mut gradient = Room::<T>::new(self.pattern.len());
        // SAFETY: all views have the panels of input or output and overlap nowhere; all slots together are the whole input, all blocks and biases the
        // whole gradient.
        unsafe {
            let dz = View::panels(own.as_mut_ptr(), n_out);
            self.pattern.spec().outside.back(input_view(y, n_out), dz, n_out, stage.panels);
            let to = dx.as_mut().map(|dx| View::panels(dx.shared().0, n_in));
            let input = to.map(|to| InputGradient { to, accumulate: false, through: Activation::Identity });
            // The offsets of a pattern of its own start at zero.
            stage.backward(input_view(x, n_in), dz, input, Shared(gradient.shared().0));
            Ok(Backward { dx: dx.map(|dx| dx.finish()), parameters: gradient.finish(), slope: 0.0 })
        }
    }

    fn stage<'b, T: Scalar>(&'b self, x: &[T], parameters: &'b [T]) -> Result<Stage<'b, T>, LayoutError> {
        check_len("the input", x.len(), self.input().elements::<T>())?;
        if self.pattern.range().start != 0 {
            let reason = "a part of a larger layer cannot be applied alone".to_owned();
            return Err(LayoutError::Pattern { what: "block-sparse layer", reason });
        }
        check_len("the parameters", parameters.len(), self.pattern.len())?;
        Ok(Stage { pattern: self.pattern, parameters, panels: self.input().panels::<T>() })
    }
}

/// A view for reading.
pub(super) fn input_view<T: Scalar>(x: &[T], rows: usize) -> View<T> {
    View::panels(x.as_ptr().cast_mut(), rows)
}
