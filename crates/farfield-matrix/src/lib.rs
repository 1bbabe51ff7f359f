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
//! use farfield_matrix::{Hss, HssLayout};
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
//!     a.to_dense(),
//!     [
//!         2.0, -1.0, 0.0, 0.0, //
//!         -1.0, 2.0, -1.0, 0.0, //
//!         0.0, -1.0, 2.0, -1.0, //
//!         0.0, 0.0, -1.0, 2.0,
//!     ]
//! );
//!
//! let mut y = [0.0; 4];
//! a.apply(&[1.0, 2.0, 3.0, 4.0], &mut y)?;
//! assert_eq!(y, [0.0, 0.0, 0.0, 5.0]);
//!
//! // A product of two HSS matrices is an HSS matrix; the ranks add up.
//! let square = a.multiply(&a)?;
//! assert_eq!(square.rank(), 2);
//! square.apply(&[1.0, 2.0, 3.0, 4.0], &mut y)?;
//! assert_eq!(y, [0.0, 0.0, -5.0, 10.0]);
//! # Ok(())
//! # }
//! ```

mod block;
pub mod error;
pub mod hss;
mod scalar;

pub use error::MatrixError;
pub use farfield_kernels::{HssLayout, LayoutError};
pub use hss::Hss;
pub use scalar::Scalar;
