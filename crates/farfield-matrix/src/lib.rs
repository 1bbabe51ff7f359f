//! Hierarchical matrices as data structures: matrices whose off-diagonal blocks have low rank, stored
//! and multiplied in far fewer numbers than their dense form.
//!
//! [`Hss`] is a hierarchically semiseparable matrix: `2^L` leaves, one rank `r`, nested bases. It can be
//! applied to vectors, transposed, scaled, added and multiplied exactly. Do not use it for a matrix
//! whose off-diagonal blocks have ranks near half the matrix size: the dense form is then smaller.
//!
//! # Example
//!
//! A 4 x 4 matrix with two leaves: two 2 x 2 diagonal blocks, and off-diagonal blocks of rank one.
//!
//! ```
//! use farfield_matrix::{Hss, HssLayout, LinearOperator, Matrix};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let layout = HssLayout::new(4, 4, 1, 1)?; // 4 rows, 4 columns, 1 level, rank 1
//! let parameters = vec![
//!     2.0, -1.0, -1.0, 2.0, // D of leaf 0
//!     2.0, -1.0, -1.0, 2.0, // D of leaf 1
//!     0.0, 1.0, // U of leaf 0: only its last row sees the other leaf
//!     1.0, 0.0, // U of leaf 1: only its first row does
//!     0.0, 1.0, // V of leaf 0
//!     1.0, 0.0, // V of leaf 1
//!     0.0, -1.0, -1.0, 0.0, // D of the root: how the leaves couple
//! ];
//! let a = Hss::from_parts(layout, parameters)?;
//!
//! // It is the second-difference matrix.
//! assert_eq!(
//!     a.to_dense().to_row_major(),
//!     [
//!         2.0, -1.0, 0.0, 0.0, //
//!         -1.0, 2.0, -1.0, 0.0, //
//!         0.0, -1.0, 2.0, -1.0, //
//!         0.0, 0.0, -1.0, 2.0,
//!     ]
//! );
//!
//! let x = Matrix::from_vector(&[1.0, 2.0, 3.0, 4.0]);
//! assert_eq!(a.apply(&x)?.col(0), [0.0, 0.0, 0.0, 5.0]);
//!
//! // A product of two HSS matrices is an HSS matrix; the ranks add up.
//! let square = a.multiply(&a)?;
//! assert_eq!(square.rank(), 2);
//! assert_eq!(square.apply(&x)?.col(0), [0.0, 0.0, -5.0, 10.0]);
//! # Ok(())
//! # }
//! ```

mod accuracy;
mod adaptive_blocks;
mod balanced_lu;
mod block_tree;
pub mod bounds;
mod certificate;
mod chi_squared;
mod cluster_tree;
mod condition;
mod cross_approximation;
mod dense_factor;
mod dense_svd;
mod entries;
pub mod error;
mod factorization;
pub mod file;
pub mod h2;
mod h2_skeleton;
mod hmatrix;
pub mod hodlr;
mod householder;
pub mod hss;
mod interpolative;
mod kernel_functions;
mod kernel_matrix;
pub mod krylov;
mod linalg;
mod log_determinant;
mod low_rank;
mod matrix;
mod matvec;
mod norms;
mod operator;
mod points;
mod random;
pub mod rank_growth;
mod sampled_error;
mod scalar;

pub use accuracy::Accuracy;
pub use adaptive_blocks::{AdaptiveBlocks, AdaptiveLeaf};
pub use block_tree::{Admissibility, BlockCluster, BlockKind, BlockTree, Leaf};
pub use certificate::{Bound, Certificate, Confidence, LevelRanks};
pub use cluster_tree::{Cluster, ClusterTree, Depth, Nested, Splitting};
pub use condition::{condition_1_estimate, condition_2, norm_1_estimate};
pub use dense_svd::DenseSvd;
pub use entries::{BlockEntries, Entries, EntryFn};
pub use error::MatrixError;
pub use factorization::Factorization;
pub use farfield_kernels::{H2Layout, H2Spec, HssLayout, LayoutError, NodeShape};
pub use h2::{H2Basis, H2Matrix, H2Options, H2Storage};
pub use h2_skeleton::{H2Skeleton, H2SkeletonArrays, H2SkeletonOptions, Ranks};
pub use hmatrix::{Check, Compression, Division, HCholesky, HLu, HMatrix, HMatrixOptions};
pub use hodlr::{Hodlr, HodlrCholesky, HodlrFactorization};
pub use hss::{Hss, HssCholesky, HssLeastSquares, HssUlv, RecoverOptions, SkeletonOptions, SquareRoots};
pub use kernel_functions::Kernel;
pub use kernel_matrix::{AtZero, KernelMatrix};
pub use log_determinant::LogDeterminant;
pub use matrix::Matrix;
pub use norms::norm_2;
pub use operator::LinearOperator;
pub use points::{BoundingBox, Points};
pub use scalar::Scalar;

/// The examples of the guide, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/matrices.md")]
struct Guide;
