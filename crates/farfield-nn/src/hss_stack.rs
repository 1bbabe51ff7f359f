//! A sequence of HSS layers, applied one after the other.
//!
//! A stack is the unit that the CPU operations fuse: data are brought into the layout of the kernels
//! once at its entry and back once at its exit.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::cpu_stack;
use crate::hss_layer::HssLayer;

/// HSS layers in the order in which they are applied.
#[derive(Module, Debug)]
pub struct HssStack {
    layers: Vec<HssLayer>,
}

impl HssStack {
    /// A stack of `layers`; the output points of each are the input points of the next. An empty stack is
    /// the identity.
    ///
    /// # Panics
    /// When two neighbours do not fit.
    pub fn new(layers: Vec<HssLayer>) -> Self {
        for pair in layers.windows(2) {
            assert_eq!(pair[0].spec().grid_out(), pair[1].spec().grid_in(), "grids of neighbouring layers");
        }
        Self { layers }
    }

    /// Applies all layers: `[batch, points_in]` to `[batch, points_out]`. On the CPU by the fused kernels, elsewhere by
    /// ordinary tensor operations.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        // On one axis a sum of several matrices has no kernel.
        let has_kernel = |layer: &HssLayer| layer.spec().dims() > 1 || layer.spec().outer_rank() == 1;
        if self.layers.iter().all(has_kernel)
            && let Some(y) = cpu_stack::forward(&self.layers, &x)
        {
            return y;
        }
        self.forward_by_tensor_ops(x)
    }

    /// The same by ordinary tensor operations, on any device.
    pub fn forward_by_tensor_ops(&self, x: Tensor<2>) -> Tensor<2> {
        self.layers.iter().fold(x, |z, layer| layer.forward(z))
    }

    /// The layers, first applied first.
    pub fn layers(&self) -> &[HssLayer] {
        &self.layers
    }
}
