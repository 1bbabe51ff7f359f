//! Block-sparse layers, and the H2 network layer that is made of them.
//!
//! The sparsity template of an H2-matrix says which clusters see which; a block-sparse layer has a small dense block for every such pair, and
//! H2-NN (arXiv 2212.12899) puts nonlinearities around or into the blocks. Everything works on panels: samples side by side in the vectors.

mod activation;
mod backward;
mod layer;
mod layout;
mod order;
mod pattern;
mod products;
mod sparse_layer;
mod units;

pub use activation::Activation;
pub use layer::H2Layer;
pub use layout::{H2Cluster, H2Layout, H2Shape, H2Spec};
pub use order::PointOrder;
pub use pattern::{BlockLayerSpec, BlockPattern, Part};
pub use sparse_layer::BlockSparseLayer;
