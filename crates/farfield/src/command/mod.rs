//! The commands, one file each.

pub mod bench;
pub mod data;
pub mod eval;
pub mod predict;
pub mod reproduce;
pub mod train;
