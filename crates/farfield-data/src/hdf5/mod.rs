//! HDF5 behind an interface of our own: files, arrays by rows, string attributes.
//!
//! Reading is by `hdf5-pure`, writing by `rust-hdf5`. No type of either leaves this folder, so either
//! can be replaced. `rust-hdf5` never reads: it reads a truncated chunked file as zeros.

mod array;
mod datatype;
mod reader;
mod well_skeleton;
mod writer;

pub(crate) use array::Hdf5Array;
pub(crate) use reader::{Hdf5Attribute, Hdf5File, Hdf5Object};
pub(crate) use well_skeleton::write_skeleton;
pub(crate) use writer::{GrowingArray, Hdf5Output};

/// First bytes of an HDF5 file without a user block.
pub(crate) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";
