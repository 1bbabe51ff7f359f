//! Data sets of input and output fields: files, splits, normalisers, seeded batches.
//!
//! A data set is a number of pairs `x -> y` of fields on grids in one, two or three dimensions, with
//! channels. It comes from an npz, HDF5 or MAT file that this crate has never seen, from arrays in
//! memory, or from a generator that streams it to disk:
//!
//! * [`Dataset`] opens a set and reads samples; [`inspect`] says what a file holds and what it means;
//! * [`Trajectories`] are the states of time-dependent problems; a [`Dataset`] of them is pairs cut out by a
//!   [`Task`], without loading the states: [`Dataset::open`] does both at once. Training and test sets are then split by
//!   [`Dataset::groups`], not by samples;
//! * the layouts of FNO, neuraloperator, DiffusionPDE, PDEBench and The Well are recognised by the names in the file;
//! * a [`Mask`] says which points of the grid are inside the domain; [`Points`] say where fields without a grid live, and inputs and
//!   outputs may live on different ones;
//! * [`Writer`] writes pairs to HDF5 sample by sample, [`TrajectoryWriter`] trajectories in The Well's layout, and goes on after
//!   a kill; [`read_array`], [`save_array`], [`save_npz`] and [`save_npy`] are for single arrays;
//! * [`Split`], [`Batches`] and [`Normalizer`] are what a trainer needs besides, each a pure function
//!   of its arguments, so that a run can be repeated and resumed to the same bits.
//!
//! [`interpret_shape`] is the rule by which an array's shape is read. Every error is a [`DataError`]
//! of one line that names file, array and sample. Files appear whole or not at all.
//!
//! ```
//! use farfield_data::{Array, Batches, Dataset, OpenOptions, Split, save_npz};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("mine.npz");
//! let x = Array::new(&[20, 8], &vec![1.0f32; 160])?;
//! let y = Array::new(&[20, 2, 16], &vec![2.0f32; 640])?;
//! save_npz(&path, &[("x", &x), ("y", &y)], false)?;
//!
//! let data = Dataset::open(&path, &OpenOptions::default())?;
//! assert_eq!(data.input_shape().to_string(), "1 x 8");
//! assert_eq!(data.output_shape().to_string(), "2 x 16");
//!
//! let split = Split::new(data.len(), 0.1, 0.2, 1)?;
//! let batches = Batches::new(split.train.len(), 4, 1)?;
//! let batch: Vec<usize> = batches.epoch(0)[0].iter().map(|&i| split.train[i]).collect();
//! let (mut bx, mut by) = (vec![0f32; 4 * 8], vec![0f32; 4 * 32]);
//! data.read(&batch, &mut bx, &mut by)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod array;
mod array_file;
mod batches;
mod beside;
mod column_major;
mod container;
mod dataset;
mod error;
mod file_format;
mod hdf5;
mod inspect;
mod layout;
mod mask;
mod mat5;
mod normalizer;
mod npy;
mod npz;
mod number;
mod permutation;
mod points;
mod positioned_file;
mod real;
mod shape;
mod split;
mod stored_array;
mod trajectories;
mod trajectory_pairs;
mod trajectory_spec;
mod trajectory_writer;
mod well;
mod writer;

pub use array::{Array, ArrayData};
pub use array_file::{read_array, save_array, save_npy};
pub use batches::Batches;
pub use beside::{create_file, replace_file, replace_file_with};
pub use dataset::{Dataset, OpenOptions, Side};
pub use error::DataError;
pub use inspect::{ArraySummary, MaskSummary, PairSummary, PointsSummary, Summary, TrajectorySummary, inspect};
pub use mask::Mask;
pub use normalizer::{Normalization, Normalizer};
pub use npz::{save_npz, save_npz_with_texts};
pub use points::Points;
pub use real::{DType, Real};
pub use shape::{FieldShape, interpret_shape};
pub use split::Split;
pub use trajectories::Trajectories;
pub use trajectory_pairs::{Task, TrajectoryPairs};
pub use trajectory_spec::{Axis, Boundary, ScalarSpec, ScalarValues, TrajectorySpec};
pub use trajectory_writer::TrajectoryWriter;
pub use writer::Writer;
