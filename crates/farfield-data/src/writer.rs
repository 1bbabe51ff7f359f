//! Writing input/output pairs to HDF5 in a stream: a set need never be in memory as a whole.
//!
//! The file holds two arrays, `x` and `y`, of shape `(samples, channel, grid...)`, one unfiltered
//! chunk a sample, perhaps an array `mask` of booleans on the grid or the arrays
//! `source_points` and `receiver_points` of coordinates, and string attributes on the root group. It is written under a temporary name in
//! the same folder and renamed by [`Writer::finish`]: no one ever sees half a set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::array::{Array, ArrayData};
use crate::dataset::Side;
use crate::error::DataError;
use crate::file_format::FileFormat;
use crate::hdf5::{GrowingArray, Hdf5Output};
use crate::mask::Mask;
use crate::points::{Points, RECEIVERS, SOURCES};
use crate::real::{DType, Real};
use crate::shape::{FieldShape, shape_text};

/// An HDF5 file of pairs being written.
///
/// Dropped without [`Writer::finish`], it removes what it wrote and leaves an existing file as it
/// was. Not `Send`: the library below counts references without locks.
pub struct Writer {
    output: Hdf5Output,
    path: PathBuf,
    x: GrowingArray,
    y: GrowingArray,
    input: FieldShape,
    output_shape: FieldShape,
    dtype: DType,
    samples: usize,
    masked: bool,
    /// Dimensions of the points of inputs and outputs that were given.
    points: [Option<usize>; 2],
}

impl Writer {
    /// Starts a file of pairs of fields, to be stored as `dtype`.
    ///
    /// # Errors
    /// [`DataError::UnknownExtension`] unless the name ends in `.h5` or `.hdf5`;
    /// [`DataError::Exists`] without `overwrite`; [`DataError::Parameter`] for an empty shape, or an
    /// attribute that cannot be written; [`DataError::Io`] for a full disk, a missing folder or
    /// permission.
    pub fn create(
        path: &Path,
        input: &FieldShape,
        output: &FieldShape,
        dtype: DType,
        attributes: &BTreeMap<String, String>,
        overwrite: bool,
    ) -> Result<Self, DataError> {
        if FileFormat::of_name(path) != Some(FileFormat::Hdf5) {
            return Err(DataError::UnknownExtension { path: path.to_path_buf(), expected: ".h5 or .hdf5" });
        }
        input.check("input shape")?;
        output.check("output shape")?;
        for (name, value) in attributes {
            if name.is_empty() || name.contains('\0') || value.contains('\0') {
                return Err(DataError::parameter(
                    "attribute",
                    format!("{name:?}"),
                    "needs a name, and neither name nor value may hold a zero byte",
                ));
            }
        }
        let file = Hdf5Output::create(path, overwrite)?;
        for (name, value) in attributes {
            file.attribute(name, value)?;
        }
        let row = |shape: &FieldShape| shape.with_samples(0)[1..].to_vec();
        Ok(Self {
            x: file.growing("x", dtype, &row(input))?,
            y: file.growing("y", dtype, &row(output))?,
            output: file,
            path: path.to_path_buf(),
            input: input.clone(),
            output_shape: output.clone(),
            dtype,
            samples: 0,
            masked: false,
            points: [None; 2],
        })
    }

    /// Appends one or more samples, one after the other in `x` and in `y`, rounded to the type of the
    /// file.
    ///
    /// # Errors
    /// [`DataError::Length`] if `x` or `y` is not a whole number of samples, the same for both;
    /// [`DataError::Io`] if the disk is full. After an error the writer can only be dropped.
    pub fn append<T: Real>(&mut self, x: &[T], y: &[T]) -> Result<(), DataError> {
        let count = x.len() / self.input.len();
        for (name, got, shape) in [("x", x.len(), &self.input), ("y", y.len(), &self.output_shape)] {
            if count == 0 || got != count * shape.len() {
                return Err(DataError::length(
                    format!("{}: samples of {name} ({shape})", self.path.display()),
                    got,
                    if count == 0 {
                        "at least one whole sample".to_owned()
                    } else {
                        format!("{} ({count} x {})", count * shape.len(), shape.len())
                    },
                ));
            }
        }
        self.output.append(&self.x, &ArrayData::from_slice(x, self.dtype))?;
        self.output.append(&self.y, &ArrayData::from_slice(y, self.dtype))?;
        self.samples += count;
        Ok(())
    }

    /// Writes the points of the output's grid that are inside the domain, once, as the array `mask`.
    ///
    /// # Errors
    /// [`DataError::Parameter`] if the mask is not on that grid or was given already; [`DataError::Io`].
    pub fn mask(&mut self, mask: &Mask) -> Result<(), DataError> {
        let refused = |reason: String| DataError::parameter("mask", shape_text(mask.grid()), reason);
        if mask.grid() != self.output_shape.grid {
            let grid = shape_text(&self.output_shape.grid);
            return Err(refused(format!("{}: the grid is {grid}", self.path.display())));
        }
        if self.masked {
            return Err(refused(format!("{}: given twice", self.path.display())));
        }
        self.masked = true;
        self.output.flags("mask", mask.grid(), mask.inside())
    }

    /// Writes where the values of one side lie, in double precision: once for each side, or for none.
    ///
    /// # Errors
    /// [`DataError::Parameter`] if the fields of that side have more than one axis or another number of points, if the points of the
    /// other side have another dimension, or they were given already; [`DataError::Io`].
    pub fn points(&mut self, side: Side, points: &Points) -> Result<(), DataError> {
        let (at, name, shape) = match side {
            Side::Input => (0, SOURCES, &self.input),
            Side::Output => (1, RECEIVERS, &self.output_shape),
        };
        points.check(&self.path.display().to_string(), side, shape)?;
        let refused =
            |reason: String| DataError::parameter("points", name, format!("{}: {reason}", self.path.display()));
        if self.points[at].is_some() {
            return Err(refused("given twice".to_owned()));
        }
        if let Some(dims) = self.points[1 - at]
            && dims != points.dims()
        {
            return Err(refused(format!("{} coordinates a point, the other side has {dims}", points.dims())));
        }
        self.points[at] = Some(points.dims());
        self.output.array(name, &Array::new(&[points.len(), points.dims()], points.coordinates())?)
    }

    /// Samples written so far.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// [`DataError::Parameter`] if no sample was written, or the points of one side only; [`DataError::Exists`] if the name was taken
    /// meanwhile; [`DataError::Io`] if the disk is full. Nothing is left behind then.
    pub fn finish(self) -> Result<(), DataError> {
        if self.samples == 0 {
            return Err(DataError::parameter(
                "samples",
                0,
                format!("{}: an empty set is not written", self.path.display()),
            ));
        }
        if let [Some(_), None] | [None, Some(_)] = self.points {
            let missing = if self.points[0].is_some() { RECEIVERS } else { SOURCES };
            let reason = format!("{}: not given, but the points of the other side were", self.path.display());
            return Err(DataError::parameter("points", missing, reason));
        }
        self.output.finish()
    }
}
