//! The matrix of a kernel function on two point sets, `A_ij = f(|x_i - y_j|)`.
//!
//! What happens at distance zero is stated, never left to the arithmetic: see [`AtZero`].

use std::collections::HashSet;
use std::sync::Arc;

use farfield_kernels::{PointBlock, PointCloud, Radial};

use crate::entries::{BlockEntries, Entries};
use crate::error::MatrixError;
use crate::kernel_functions::Kernel;
use crate::points::Points;
use crate::scalar::Scalar;

/// What a kernel is at points that coincide.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum AtZero {
    /// What the formula gives. For a singular kernel, points that coincide are then an error.
    #[default]
    Formula,
    /// This value.
    Value(f64),
    /// No distance is zero: `sqrt(r^2 + h^2)` takes the place of `r` everywhere; `h` positive.
    Softened(f64),
}

/// A kernel function on row points and column points: entries by formula, blocks by vector instructions (except for custom functions).
///
/// ```
/// use farfield_matrix::{AtZero, Entries, Kernel, KernelMatrix, Points};
/// use std::sync::Arc;
/// let points = Arc::new(Points::new(1, vec![0.0, 1.0, 3.0])?);
/// let a = KernelMatrix::<f64>::new(Kernel::InverseDistance, points.clone(), points.clone(), AtZero::Value(0.0))?;
/// assert_eq!((a.entry(0, 0), a.entry(1, 2)), (0.0, 0.5));
/// // Every point coincides with itself: without a value for that, a singular kernel has no matrix.
/// assert!(KernelMatrix::<f64>::new(Kernel::InverseDistance, points.clone(), points, AtZero::Formula).is_err());
/// # Ok::<(), farfield_matrix::MatrixError>(())
/// ```
#[derive(Clone, Debug)]
pub struct KernelMatrix<T> {
    evaluator: Evaluator,
    rows: Arc<Points>,
    cols: Arc<Points>,
    row_cloud: PointCloud<T>,
    col_cloud: PointCloud<T>,
    symmetric: bool,
}

/// A kernel and its value at zero, ready for blocks of points.
#[derive(Clone, Debug)]
pub(crate) struct Evaluator {
    kernel: Kernel,
    at_zero: AtZero,
    /// For all points, and for points that do not coincide; `None` for a custom function.
    radial: Option<(Radial, Radial)>,
}

impl Evaluator {
    fn new(kernel: Kernel, at_zero: AtZero) -> Self {
        let softening = if let AtZero::Softened(h) = at_zero { h * h } else { 0.0 };
        let value = if let AtZero::Value(value) = at_zero { Some(value) } else { None };
        let radial = kernel.profile().map(|(profile, scale)| {
            let distinct = Radial { profile, scale, softening, at_zero: None };
            (Radial { at_zero: value, ..distinct }, distinct)
        });
        Self { kernel, at_zero, radial }
    }

    /// The vectorised function, if there is one; `distinct` when no two points coincide.
    pub fn radial(&self, distinct: bool) -> Option<&Radial> {
        self.radial.as_ref().map(|(all, far)| if distinct { far } else { all })
    }

    fn at(&self, r: f64) -> f64 {
        match self.at_zero {
            AtZero::Value(value) if r == 0.0 => value,
            AtZero::Softened(h) => self.kernel.at(r.hypot(h)),
            _ => self.kernel.at(r),
        }
    }

    /// The block of two point blocks, column by column. The caller vouches for the sizes.
    pub fn block<T: Scalar>(&self, x: PointBlock<T>, y: PointBlock<T>, out: &mut [T]) {
        if let Some(radial) = self.radial(false) {
            let done = radial.block(x, y, out);
            debug_assert!(done.is_ok());
            return;
        }
        for (j, out) in out.chunks_exact_mut(x.len().max(1)).enumerate() {
            for (i, out) in out.iter_mut().enumerate() {
                let d = |k: usize| x.coordinate(i, k).to_f64() - y.coordinate(j, k).to_f64();
                *out = T::from_f64(self.at((0..x.dim()).map(|k| d(k) * d(k)).sum::<f64>().sqrt()));
            }
        }
    }
}

impl<T: Scalar> KernelMatrix<T> {
    /// The matrix of `kernel` on `rows` and `cols`. When both are the same points it is symmetric, and builds use that.
    ///
    /// # Errors
    /// [`MatrixError::Points`] when the dimensions differ, or when points coincide for which the kernel is singular and
    /// `at_zero` is [`AtZero::Formula`]; [`MatrixError::Option`] for a parameter out of range.
    pub fn new(kernel: Kernel, rows: Arc<Points>, cols: Arc<Points>, at_zero: AtZero) -> Result<Self, MatrixError> {
        let kernel = kernel.checked()?;
        if rows.dim() != cols.dim() {
            let reason = format!("rows in {} dimensions, columns in {}", rows.dim(), cols.dim());
            return Err(MatrixError::Points { reason });
        }
        match at_zero {
            AtZero::Value(value) if !value.is_finite() => {
                let rule = "must be finite";
                return Err(MatrixError::Option { name: "value at distance 0", value: value.to_string(), rule });
            }
            AtZero::Softened(h) if !(h > 0.0 && h.is_finite()) => {
                let rule = "must be positive and finite";
                return Err(MatrixError::Option { name: "softening", value: h.to_string(), rule });
            }
            _ => {}
        }
        let cloud = |p: &Points| PointCloud::new(p.dim(), p.len(), |i, k| T::from_f64(p.point(i)[k]));
        let (row_cloud, col_cloud) = (cloud(&rows), cloud(&cols));
        if at_zero == AtZero::Formula && kernel.is_singular() {
            // In the precision of the matrix: points may coincide after rounding.
            let key = |c: &PointCloud<T>, i: usize| -> Vec<u64> {
                // Adding zero makes the two zeros one.
                (0..c.dim()).map(|k| (c.coordinate(i, k).to_f64() + 0.0).to_bits()).collect()
            };
            let seen: HashSet<Vec<u64>> = (0..cols.len()).map(|j| key(&col_cloud, j)).collect();
            if let Some(i) = (0..rows.len()).find(|&i| seen.contains(&key(&row_cloud, i))) {
                let reason = format!(
                    "row point {i} coincides with a column point, where {kernel} is singular: state a value or a softening"
                );
                return Err(MatrixError::Points { reason });
            }
        }
        let symmetric = Arc::ptr_eq(&rows, &cols) || rows == cols;
        Ok(Self { evaluator: Evaluator::new(kernel, at_zero), rows, cols, row_cloud, col_cloud, symmetric })
    }

    /// The kernel function.
    pub fn kernel(&self) -> &Kernel {
        &self.evaluator.kernel
    }

    /// Its value at points that coincide.
    pub fn at_zero(&self) -> AtZero {
        self.evaluator.at_zero
    }

    /// The points of the rows.
    pub fn row_points(&self) -> &Arc<Points> {
        &self.rows
    }

    /// The points of the columns.
    pub fn col_points(&self) -> &Arc<Points> {
        &self.cols
    }

    /// Whether rows and columns are the same points.
    pub fn is_symmetric(&self) -> bool {
        self.symmetric
    }

    pub(crate) fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    pub(crate) fn row_cloud(&self) -> &PointCloud<T> {
        &self.row_cloud
    }

    pub(crate) fn col_cloud(&self) -> &PointCloud<T> {
        &self.col_cloud
    }
}

impl<T: Scalar> Entries<T> for KernelMatrix<T> {
    fn nrows(&self) -> usize {
        self.rows.len()
    }

    fn ncols(&self) -> usize {
        self.cols.len()
    }

    fn entry(&self, row: usize, col: usize) -> T {
        // By the standard library: a vector of one entry costs more. It differs from an entry of a block by rounding.
        let d = |k: usize| self.row_cloud.coordinate(row, k).to_f64() - self.col_cloud.coordinate(col, k).to_f64();
        let square: f64 = (0..self.rows.dim()).map(|k| d(k) * d(k)).sum();
        T::from_f64(self.evaluator.at(square.sqrt()))
    }

    fn block(&self, rows: &[usize], cols: &[usize], out: &mut [T]) {
        let (x, y) = (self.row_cloud.gather(rows), self.col_cloud.gather(cols));
        // One row is stored as one column is, and the distance has no direction: vectors run along the columns then.
        let (x, y) = if rows.len() == 1 { (y, x) } else { (x, y) };
        self.evaluator.block(x.all(), y.all(), out);
    }

    fn is_symmetric(&self) -> bool {
        self.symmetric
    }

    fn block_of<'a>(&'a self, rows: &'a [usize], cols: &'a [usize]) -> Box<dyn BlockEntries<T> + 'a> {
        let origin = PointCloud::new(self.rows.dim(), 1, |_, _| T::ZERO);
        let (rows, cols) = (self.row_cloud.gather(rows), self.col_cloud.gather(cols));
        Box::new(KernelBlock { evaluator: &self.evaluator, rows, cols, origin })
    }
}

/// The points of a block, side by side.
struct KernelBlock<'a, T> {
    evaluator: &'a Evaluator,
    rows: PointCloud<T>,
    cols: PointCloud<T>,
    origin: PointCloud<T>,
}

impl<T: Scalar> BlockEntries<T> for KernelBlock<'_, T> {
    fn row(&self, i: usize, out: &mut [T]) {
        self.evaluator.block(self.cols.all(), self.rows.range(i..i + 1), out);
    }

    fn col(&self, j: usize, out: &mut [T]) {
        self.evaluator.block(self.rows.all(), self.cols.range(j..j + 1), out);
    }

    fn places(&self, rows: &[usize], cols: &[usize], out: &mut [T]) {
        // As the entries of the differences against the origin, so that vectors run along the places.
        let differences = PointCloud::new(self.rows.dim(), rows.len(), |p, k| {
            self.rows.coordinate(rows[p], k) - self.cols.coordinate(cols[p], k)
        });
        self.evaluator.block(differences.all(), self.origin.all(), out);
    }
}
