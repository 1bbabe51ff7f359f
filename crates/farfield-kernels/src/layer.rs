//! What the layers return.

use crate::aligned::AlignedVec;

/// Output of a layer.
#[derive(Clone, Debug)]
pub struct Forward<T> {
    /// The output, laid out as the layer says.
    pub y: AlignedVec<T>,
    /// What the backward pass needs, if it was asked for.
    pub saved: Option<AlignedVec<T>>,
}

/// Gradients of a layer.
#[derive(Clone, Debug)]
pub struct Backward<T> {
    /// By the input, if it was asked for.
    pub dx: Option<AlignedVec<T>>,
    /// By the parameters.
    pub parameters: AlignedVec<T>,
    /// By the slope of the LeakyReLU; 0 without one.
    pub slope: f64,
}
