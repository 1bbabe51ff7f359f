//! One HSS matrix along any axis of a strided array: the general entry, for callers outside the layers.
//!
//! All other axes together count the vectors. [`Scalar::LANES`] of them at a time are gathered into a panel,
//! multiplied, and scattered, so any strides and any number of vectors work; the gather costs `O(1)` memory operations an
//! entry beside the product's `O(|A| / n)`.

use crate::error::{LayoutError, check_len};
use crate::layout::HssLayout;
use crate::microkernel::outer_scratch_len;
use crate::parallel::{Shared, for_each};
use crate::scalar::Scalar;
use crate::scratch::Scratch;
use crate::tree::{Direction, GradientInputs, Tree};
use crate::view::View;

/// Shape and strides (in elements) of an array inside a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strided {
    shape: Vec<usize>,
    strides: Vec<usize>,
    offset: usize,
}

impl Strided {
    /// An array in row-major order without gaps.
    pub fn contiguous(shape: &[usize]) -> Self {
        let mut strides = vec![1; shape.len()];
        for i in (1..shape.len()).rev() {
            strides[i - 1] = strides[i] * shape[i];
        }
        Self { shape: shape.to_vec(), strides, offset: 0 }
    }

    /// An array with the given strides, whose first entry is at `offset`.
    ///
    /// # Errors
    /// When there are not as many strides as axes.
    pub fn new(shape: &[usize], strides: &[usize], offset: usize) -> Result<Self, LayoutError> {
        check_len("the strides", strides.len(), shape.len())?;
        Ok(Self { shape: shape.to_vec(), strides: strides.to_vec(), offset })
    }

    /// Elements a slice must have to hold the array.
    fn reach(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let mut last = self.offset;
        for (n, s) in self.shape.iter().zip(&self.strides) {
            last = last.checked_add((n - 1).checked_mul(*s)?)?;
        }
        last.checked_add(1)
    }

    /// Whether different indices may name the same element.
    fn overlaps(&self) -> bool {
        let mut axes: Vec<(usize, usize)> =
            self.strides.iter().zip(&self.shape).filter(|(_, n)| **n > 1).map(|(s, n)| (*s, *n)).collect();
        axes.sort_unstable();
        let mut covered = 1;
        axes.iter().any(|&(stride, n)| {
            let overlap = stride < covered;
            covered = stride.saturating_mul(n - 1).saturating_add(covered);
            overlap
        })
    }
}

/// Two arrays that differ at most along the axis of the product.
struct Problem<'a> {
    layout: &'a HssLayout,
    axis: usize,
    input: &'a Strided,
    output: &'a Strided,
    vectors: usize,
}

impl<'a> Problem<'a> {
    /// Checks shapes, bounds and lengths.
    fn new<T>(
        layout: &'a HssLayout,
        (x, input): (&[T], &'a Strided),
        (y, output): (&[T], &'a Strided),
        axis: usize,
    ) -> Result<Self, LayoutError> {
        check_len("the output's axes", output.shape.len(), input.shape.len())?;
        if axis >= input.shape.len() {
            return Err(LayoutError::Axis { axis, axes: input.shape.len() });
        }
        for (a, (&i, &o)) in input.shape.iter().zip(&output.shape).enumerate() {
            if a == axis {
                check_len("the input's axis", i, layout.n_in())?;
                check_len("the output's axis", o, layout.n_out())?;
            } else {
                check_len("an axis of the output", o, i)?;
            }
        }
        for (what, have, array) in [("the input", x.len(), input), ("the output", y.len(), output)] {
            let need = array.reach().unwrap_or(usize::MAX);
            if need > have {
                return Err(LayoutError::Length { what, got: have, expected: need });
            }
        }
        let others = input.shape.iter().enumerate().filter(|(a, _)| *a != axis);
        Ok(Self { layout, axis, input, output, vectors: others.map(|(_, n)| n).product() })
    }

    fn groups<T: Scalar>(&self) -> usize {
        self.vectors.div_ceil(T::LANES)
    }

    fn multiply_adds(&self) -> usize {
        self.vectors.saturating_mul(self.layout.multiply_adds())
    }

    /// Where vector `v` starts in `array`.
    fn start(&self, array: &Strided, v: usize) -> usize {
        let (mut rest, mut offset) = (v, array.offset);
        for a in (0..array.shape.len()).rev().filter(|a| *a != self.axis) {
            offset += rest % array.shape[a] * array.strides[a];
            rest /= array.shape[a];
        }
        offset
    }

    /// Group `g` of vectors as rows of lanes, zero where there is no vector.
    fn gather<T: Scalar>(&self, array: &Strided, x: &[T], g: usize, panel: &mut [T]) {
        let stride = array.strides[self.axis];
        panel.fill(T::ZERO);
        for lane in 0..T::LANES.min(self.vectors - g * T::LANES) {
            let start = self.start(array, g * T::LANES + lane);
            for i in 0..array.shape[self.axis] {
                panel[i * T::LANES + lane] = x[start + i * stride];
            }
        }
    }
}

fn apply<T: Scalar>(direction: Direction, parameters: &[T], x: &[T], y: &mut [T], problem: &Problem) {
    let (layout, axis) = (problem.layout, problem.axis);
    let (from, to) = match direction {
        Direction::Forward => (problem.input, problem.output),
        Direction::Adjoint => (problem.output, problem.input),
    };
    let tree = Tree { layout, parameters: parameters.as_ptr(), kernels: T::kernels() };
    let rows = layout.coefficient_rows();
    let y = Shared(y.as_mut_ptr());
    for_each(problem.groups::<T>(), problem.multiply_adds(), |g| {
        let mut input = Scratch::<T>::take(from.shape[axis] * T::LANES);
        let mut output = Scratch::<T>::take(to.shape[axis] * T::LANES);
        let mut coefficients = Scratch::<T>::take(2 * rows * T::LANES);
        problem.gather(from, x, g, &mut input);
        let (up, received) = coefficients.split_at_mut(rows * T::LANES);
        // SAFETY: the views cover this task's work arrays, which have the sizes of the layout.
        unsafe {
            tree.apply(
                direction,
                View::panels(input.as_mut_ptr(), from.shape[axis]),
                View::panels(output.as_mut_ptr(), to.shape[axis]),
                1,
                View::panels(up.as_mut_ptr(), rows),
                View::panels(received.as_mut_ptr(), rows),
                false,
            );
        }
        for lane in 0..T::LANES.min(problem.vectors - g * T::LANES) {
            let start = problem.start(to, g * T::LANES + lane);
            for i in 0..to.shape[axis] {
                // SAFETY: in bounds (checked), and no other vector has this element (no overlaps, checked).
                unsafe { *y.at(start + i * to.strides[axis]) = output[i * T::LANES + lane] };
            }
        }
    });
}

/// `y = x times_axis A`: every vector of `x` along `axis` multiplied by the HSS matrix.
///
/// # Errors
/// When shapes, strides and slices do not fit, or when two entries of `y` would share an element.
pub fn apply_along_axis<T: Scalar>(
    layout: &HssLayout,
    parameters: &[T],
    x: &[T],
    input: &Strided,
    y: &mut [T],
    output: &Strided,
    axis: usize,
) -> Result<(), LayoutError> {
    check_len("the parameters", parameters.len(), layout.len())?;
    let problem = Problem::new(layout, (x, input), (y, output), axis)?;
    if output.overlaps() {
        return Err(LayoutError::Overlap);
    }
    apply(Direction::Forward, parameters, x, y, &problem);
    Ok(())
}

/// `dx = dy times_axis A^T`: the gradient by the input of [`apply_along_axis`].
///
/// # Errors
/// As [`apply_along_axis`], for `dx`.
pub fn adjoint_along_axis<T: Scalar>(
    layout: &HssLayout,
    parameters: &[T],
    dy: &[T],
    output: &Strided,
    dx: &mut [T],
    input: &Strided,
    axis: usize,
) -> Result<(), LayoutError> {
    check_len("the parameters", parameters.len(), layout.len())?;
    let problem = Problem::new(layout, (dx, input), (dy, output), axis)?;
    if input.overlaps() {
        return Err(LayoutError::Overlap);
    }
    apply(Direction::Adjoint, parameters, dy, dx, &problem);
    Ok(())
}

/// The gradient by the parameters of [`apply_along_axis`], summed over all vectors in order; one thread.
///
/// # Errors
/// As [`apply_along_axis`].
pub fn gradient_along_axis<T: Scalar>(
    layout: &HssLayout,
    parameters: &[T],
    x: &[T],
    input: &Strided,
    dy: &[T],
    output: &Strided,
    axis: usize,
    gradient: &mut [T],
) -> Result<(), LayoutError> {
    check_len("the parameters", parameters.len(), layout.len())?;
    check_len("the parameter gradient", gradient.len(), layout.len())?;
    let problem = Problem::new(layout, (x, input), (dy, output), axis)?;
    let tree = Tree { layout, parameters: parameters.as_ptr(), kernels: T::kernels() };
    let (n_in, n_out, rows) = (layout.n_in(), layout.n_out(), layout.coefficient_rows());
    let mut left = Scratch::<T>::take(n_in * T::LANES);
    let mut right = Scratch::<T>::take(n_out * T::LANES);
    let mut coefficients = Scratch::<T>::take(4 * rows * T::LANES);
    let mut outer = Scratch::<T>::take(outer_scratch_len::<T>(n_in.max(n_out)));
    let tasks = layout.gradient_tasks();
    gradient.fill(T::ZERO);
    for g in 0..problem.groups::<T>() {
        problem.gather(input, x, g, &mut left);
        problem.gather(output, dy, g, &mut right);
        let x = View::panels(left.as_mut_ptr(), n_in);
        let dy = View::panels(right.as_mut_ptr(), n_out);
        let p = coefficients.as_mut_ptr();
        let [up, received, up_adjoint, received_adjoint] =
            [0, 1, 2, 3].map(|i| View::panels(p.wrapping_add(i * rows * T::LANES), rows));
        // SAFETY: the views cover the work arrays above, which have the sizes of the layout.
        unsafe {
            tree.up(Direction::Forward, x, 1, up);
            tree.down(Direction::Forward, x, None, 1, up, received, false);
            tree.up(Direction::Adjoint, dy, 1, up_adjoint);
            tree.down(Direction::Adjoint, dy, None, 1, up_adjoint, received_adjoint, false);
            let inputs = GradientInputs { x, dy, up, received, up_adjoint, received_adjoint, vectors: 1 };
            layout.gradient(tree.kernels, &tasks, &inputs, gradient.as_mut_ptr(), true, &mut outer);
        }
    }
    Ok(())
}
