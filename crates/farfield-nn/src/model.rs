//! What a trainer needs to know of a model.

use burn::module::Module;
use burn::tensor::Tensor;
use farfield_data::FieldShape;
use farfield_kernels::Block;

/// A map between fields with trainable parameters. Any Burn module can be one.
///
/// Parameters are addressed by their path in the module, such as `stack.layers.0.weights`; see
/// [`parameters`](crate::parameters).
pub trait Model: Module {
    /// Shape of one input.
    fn input_shape(&self) -> &FieldShape;

    /// Shape of one output.
    fn output_shape(&self) -> &FieldShape;

    /// Maps `[batch, channels_in, points_in]` to `[batch, channels_out, points_out]`.
    ///
    /// # Panics
    /// When the shape of `x` is not that of [`Model::input_shape`].
    fn forward(&self, x: Tensor<3>) -> Tensor<3>;

    /// The learnable slopes of activations, each of shape `[1]`, in the order in which they act. None by
    /// default.
    fn slope_parameters(&self) -> Vec<Tensor<1>> {
        Vec::new()
    }

    /// The values of [`Model::slope_parameters`]. Waits for the device.
    fn slopes(&self) -> Vec<f64> {
        let read = |slope: Tensor<1>| slope.into_data().iter::<f64>().next();
        self.slope_parameters().into_iter().filter_map(read).collect()
    }

    /// Whether weight decay acts on the parameter of this path. By default on all but slopes.
    fn is_decayed(&self, path: &str) -> bool {
        path.rsplit('.').next() != Some("slope")
    }

    /// The matrices that the parameter of this path consists of, where its shape does not say so: row-major blocks of the flat values that follow one another
    /// without gaps. `None`, the default, takes tensors of two and more axes as matrices in their last two.
    fn matrix_blocks(&self, _path: &str) -> Option<Vec<Block>> {
        None
    }

    /// Number of trainable numbers.
    fn num_parameters(&self) -> usize {
        self.num_params()
    }
}
