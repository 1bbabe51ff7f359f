//! Batched products with HSS matrices on plain slices: forward, adjoint (gradient by the input) and parameter gradient.
//!
//! * [`HssLayout`]: where the parameters of one HSS matrix lie in a flat slice.
//! * [`apply_along_axis`] and friends: one HSS matrix along any axis of a strided array.
//! * [`Layer1d`], [`Layer2d`], [`Layer3d`]: the layers of Neural-HSS (eq. 1) with LeakyReLU, forward and backward; the
//!   first two on [panels](PanelShape), the third on batch-major fields.
//! * [`GridMap`]: the same matrix over channels at every point of a grid, and convolutions with `(2 r + 1)^d` kernels, forward and backward.
//! * [`BlockSparseLayer`]: small dense blocks for the pairs of a pattern, with nonlinearities around or in them; [`H2Layer`]: the network layer on the template of an
//!   H2-matrix that is made of them.
//! * [`Radial`]: kernel functions of the distance of points, as blocks and as products.
//! * [`adamw_step`], [`squared_error`], [`gelu`], [`rational`]: the optimiser's step, the loss and activations in one pass each.
//! * [`soap_step`], [`soap_refresh`]: the other optimiser, which preconditions every block of a layer.
//!
//! Everything runs in `f32` and `f64`, on AVX-512, AVX2 with FMA, or plain code, chosen at run time
//! ([`InstructionSet`]), on as many threads as rayon's current pool has; the same input gives the same bits on any number of threads.
//!
//! # Performance
//! The vectors run over samples (1D, 2D) or points (3D), so matrices of any size and rank waste nothing, and no operand is
//! repacked. What must not be small is the number of things side by side: 16 samples in `f32`.
//! ```
//! use farfield_kernels::{HssLayout, apply_along_axis, Strided};
//! let layout = HssLayout::new(8, 8, 1, 2)?;
//! let parameters = vec![0.5f64; layout.len()];
//! let x = vec![1.0; 3 * 8]; // three vectors of length 8, row-major: axis 1
//! let mut y = vec![0.0; 3 * 8];
//! let shape = Strided::contiguous(&[3, 8]);
//! apply_along_axis(&layout, &parameters, &x, &shape, &mut y, &shape, 1)?;
//! assert!(y.iter().all(|&v| v == y[0]));
//! # Ok::<(), farfield_kernels::LayoutError>(())
//! ```

mod adamw;
mod aligned;
mod axis;
mod dense;
pub mod error;
mod gelu;
mod grid_map;
mod h2;
mod householder;
mod layer;
mod layer_1d;
mod layer_2d;
mod layer_3d;
pub mod layout;
mod microkernel;
mod panels;
mod parallel;
mod point_cloud;
mod radial;
mod rational;
mod scalar;
mod scratch;
mod simd;
mod soap;
mod squared_error;
mod stored_block;
mod team;
mod tree;
mod view;

pub use adamw::{AdamW, adamw_step};
pub use aligned::{AlignedVec, recycle};
pub use axis::{Strided, adjoint_along_axis, apply_along_axis, gradient_along_axis};
pub use dense::dense_product;
pub use error::LayoutError;
pub use gelu::gelu;
pub use grid_map::{GridGradients, GridMap};
pub use h2::{
    Activation, BlockLayerSpec, BlockPattern, BlockSparseLayer, H2Cluster, H2Layer, H2Layout, H2Shape, H2Spec, Part,
    PointOrder,
};
pub use layer::{Backward, Forward};
pub use layer_1d::Layer1d;
pub use layer_2d::Layer2d;
pub use layer_3d::Layer3d;
pub use layout::{Block, HssLayout, MAX_LEVELS, Node, NodeShape};
pub use panels::PanelShape;
pub use point_cloud::{PointBlock, PointCloud};
pub use radial::{Profile, Radial};
pub use rational::{RationalCoefficients, rational, rational_backward};
pub use scalar::Scalar;
pub use simd::InstructionSet;
pub use soap::{Soap, SoapPlan, SoapSide, SoapState, soap_refresh, soap_step};
pub use squared_error::squared_error;
pub use stored_block::Stored;
