//! The commands, one file each.

pub mod bench;
pub mod compress;
pub mod data;
pub mod eval;
pub mod export;
pub mod matrix;
pub mod predict;
pub mod recover;
pub mod reproduce;
pub mod train;
