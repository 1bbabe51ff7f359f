//! Batched products with HSS matrices on plain slices.
pub mod error;
pub mod layout;
pub use error::LayoutError;
pub use layout::{Block, HssLayout, Node};
