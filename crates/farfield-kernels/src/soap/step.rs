//! A step of [`SOAP`](super): every block in one go, its arrays in cache.

use super::{Part, Soap, SoapPlan, SoapState, row_stride};
use crate::error::{LayoutError, check_len};
use crate::parallel::{Shared, for_each};
use crate::scalar::Scalar;
use crate::scratch::Scratch;
use crate::simd::{VectorMath, VectorTask, dispatch};
use crate::view::{Coefficients, Term, View};

/// One step; `step` counts from 1. The gradient is multiplied by `gradient_scale` first. Blocks are shared among the threads; each is computed by one, so that
/// the bits do not depend on how many there are.
///
/// # Errors
/// When a slice has the wrong length.
pub fn soap_step<T: Scalar>(
    hyper: &Soap,
    plan: &SoapPlan,
    step: u64,
    gradient_scale: f64,
    parameters: &mut [T],
    gradient: &[T],
    state: &mut SoapState<'_, T>,
) -> Result<(), LayoutError> {
    plan.check(state)?;
    check_len("the parameters", parameters.len(), plan.len)?;
    check_len("the gradient", gradient.len(), plan.len)?;
    let power = |beta: f64| beta.powf(step.max(1) as f64);
    let block = BlockStep {
        scale: T::from_f64(gradient_scale),
        factor_beta: T::from_f64(hyper.factor_beta),
        decay: T::from_f64(1.0 - hyper.learning_rate * hyper.weight_decay),
        adam: Adam {
            beta1: T::from_f64(hyper.beta1),
            rest1: T::from_f64(1.0 - hyper.beta1),
            beta2: T::from_f64(hyper.beta2),
            rest2: T::from_f64(1.0 - hyper.beta2),
            rate: T::from_f64(hyper.learning_rate / (1.0 - power(hyper.beta1))),
            correction2: T::from_f64(1.0 / (1.0 - power(hyper.beta2))),
            epsilon: T::from_f64(hyper.epsilon),
        },
        parameters: Shared(parameters.as_mut_ptr()),
        gradient,
        first: Shared(state.first.as_mut_ptr()),
        second: Shared(state.second.as_mut_ptr()),
        factors: Shared(state.factors.as_mut_ptr()),
        bases: state.bases,
    };
    for_each(plan.tasks.len(), plan.multiply_adds, |t| {
        let parts = &plan.parts[plan.tasks[t].clone()];
        let room = parts.iter().map(scratch_len::<T>).max().unwrap_or(0);
        let mut scratch = Scratch::take(room);
        for part in parts {
            // SAFETY: the lengths are those of the plan, and every part has its own places in all arrays.
            unsafe { block.run(part, &mut scratch) };
        }
    });
    Ok(())
}

fn scratch_len<T: Scalar>(part: &Part) -> usize {
    2 * part.p * row_stride::<T>(part.q) + part.q * row_stride::<T>(part.p)
}

struct BlockStep<'a, T> {
    scale: T,
    factor_beta: T,
    decay: T,
    adam: Adam<T>,
    parameters: Shared<T>,
    gradient: &'a [T],
    first: Shared<T>,
    second: Shared<T>,
    factors: Shared<T>,
    bases: &'a [T],
}

/// Adam's constants, bias corrections included.
#[derive(Clone, Copy)]
struct Adam<T> {
    beta1: T,
    rest1: T,
    beta2: T,
    rest2: T,
    rate: T,
    correction2: T,
    epsilon: T,
}

impl<T: Scalar> BlockStep<'_, T> {
    /// The step of one block.
    ///
    /// # Safety
    /// The part is inside all arrays and nobody else touches its places.
    unsafe fn run(&self, part: &Part, scratch: &mut [T]) {
        let &Part { offset, p, q, transposed, left, right } = part;
        let (wide, tall) = (row_stride::<T>(q), row_stride::<T>(p));
        let (a, rest) = scratch.split_at_mut(p * wide);
        let (b, rest) = rest.split_at_mut(p * wide);
        let turned = &mut rest[..q * tall];
        let gradient = &self.gradient[offset..offset + p * q];
        // SAFETY: the part's own entries.
        let (parameters, first, second) = unsafe {
            (self.parameters.slice(offset, p * q), self.first.slice(offset, p * q), self.second.slice(offset, p * q))
        };
        load(a, gradient, p, q, wide, transposed, self.scale);
        let (mut now, mut next) = (a, b);
        if let Some(place) = right {
            let basis = &self.bases[place.basis..];
            product((p, q, q), Left::rows(now, wide), basis, next);
            std::mem::swap(&mut now, &mut next);
        }
        if let Some(place) = left {
            let basis = &self.bases[place.basis..];
            product((p, p, q), Left::columns(basis, tall), now, next);
            std::mem::swap(&mut now, &mut next);
        }
        if let Some(place) = left {
            // SAFETY: `turned` has q rows of `tall` numbers, of which the columns from p on are zeroed here.
            unsafe {
                if tall > p {
                    turned.chunks_exact_mut(tall).for_each(|row| row[p..].fill(T::ZERO));
                }
                (T::kernels().transpose)(now.as_ptr(), wide, turned.as_mut_ptr(), tall, p, q);
            }
            // SAFETY: the part's own average.
            let average = unsafe { self.factors.slice(place.factor, p * tall) };
            let rows = Left::rows(now, wide);
            add_gram((p, q), rows, turned, average, self.factor_beta);
        }
        if let Some(place) = right {
            // SAFETY: as above.
            let average = unsafe { self.factors.slice(place.factor, q * wide) };
            let rows = Left::columns(now, wide);
            add_gram((q, p), rows, now, average, self.factor_beta);
        }
        let moments = Moments { constants: self.adam, gradient: now, wide, first, second, columns: q };
        // SAFETY: slices of the sizes that the loops ask for.
        unsafe { dispatch(moments) };
        if let Some(place) = left {
            let basis = &self.bases[place.basis..];
            product((p, p, q), Left::rows(basis, tall), now, next);
            std::mem::swap(&mut now, &mut next);
        }
        if let Some(place) = right {
            let basis = &self.bases[place.basis + q * wide..];
            product((p, q, q), Left::rows(now, wide), basis, next);
            std::mem::swap(&mut now, &mut next);
        }
        if transposed {
            for (i, row) in parameters.chunks_exact_mut(p).enumerate() {
                for (w, change) in row.iter_mut().zip(now[i..].iter().step_by(wide)) {
                    *w = *w * self.decay - *change;
                }
            }
        } else {
            for (row, change) in parameters.chunks_exact_mut(q).zip(now.chunks_exact(wide)) {
                row.iter_mut().zip(change).for_each(|(w, change)| *w = *w * self.decay - *change);
            }
        }
    }
}

/// The scaled block as `p` rows of `wide` numbers, padded with zeros.
fn load<T: Scalar>(to: &mut [T], from: &[T], p: usize, q: usize, wide: usize, transposed: bool, scale: T) {
    for (i, row) in to.chunks_exact_mut(wide).take(p).enumerate() {
        if transposed {
            row.iter_mut().zip(from[i..].iter().step_by(p)).for_each(|(to, from)| *to = *from * scale);
        } else {
            row.iter_mut().zip(&from[i * q..(i + 1) * q]).for_each(|(to, from)| *to = *from * scale);
        }
        row[q..].fill(T::ZERO);
    }
}

/// The left factor of a product: numbers and the distances from row to row and from column to column.
#[derive(Clone, Copy)]
pub(super) struct Left<'a, T> {
    values: &'a [T],
    row: usize,
    column: usize,
}

impl<'a, T: Scalar> Left<'a, T> {
    /// Rows of `stride` numbers.
    pub(super) fn rows(values: &'a [T], stride: usize) -> Self {
        Self { values, row: stride, column: 1 }
    }

    /// The transpose of that.
    pub(super) fn columns(values: &'a [T], stride: usize) -> Self {
        Self { values, row: 1, column: stride }
    }

    /// Its address, from row `start` on, after a look at the bounds of `rows x inner` entries.
    fn coefficients(&self, start: usize, rows: usize, inner: usize) -> Coefficients<T> {
        let last = (start + rows).saturating_sub(1) * self.row + inner.saturating_sub(1) * self.column;
        assert!(last < self.values.len());
        Coefficients { p: self.values[start * self.row..].as_ptr(), row: self.row, column: self.column }
    }
}

/// `Y = A X`: `A` is `rows x inner`, `X` has `columns`; its rows and those of `Y` are [`row_stride`] numbers apart.
pub(super) fn product<T: Scalar>((rows, inner, columns): (usize, usize, usize), a: Left<'_, T>, x: &[T], y: &mut [T]) {
    let (stride, vectors) = (row_stride::<T>(columns), columns.div_ceil(T::LANES));
    assert!(x.len() >= inner * stride && y.len() >= rows * stride);
    let view = |p: *mut T| View::new(p, stride, T::LANES);
    let term = Term { inner, a: a.coefficients(0, rows, inner), x: view(x.as_ptr().cast_mut()) };
    // SAFETY: all entries are in bounds by the assertions; `y` is nobody else's.
    unsafe { (T::kernels().multiply)(&[term], rows, vectors, view(y.as_mut_ptr()), false) }
}

/// `C = beta C + A X` for a symmetric result of `rows` rows, in the vectors that touch its upper triangle.
fn add_gram<T: Scalar>((rows, inner): (usize, usize), a: Left<'_, T>, x: &[T], c: &mut [T], beta: T) {
    let (stride, columns) = (row_stride::<T>(rows), rows.next_multiple_of(T::LANES));
    assert!(x.len() >= inner * stride && c.len() >= rows * stride);
    for start in (0..rows).step_by(T::LANES) {
        let band = T::LANES.min(rows - start);
        for row in c[start * stride..(start + band) * stride].chunks_exact_mut(stride) {
            row[start..columns].iter_mut().for_each(|v| *v *= beta);
        }
        let view = |p: *mut T| View::new(p.wrapping_add(start), stride, T::LANES);
        let term = Term { inner, a: a.coefficients(start, band, inner), x: view(x.as_ptr().cast_mut()) };
        let to = view(c[start * stride..].as_mut_ptr());
        let vectors = (columns - start) / T::LANES;
        // SAFETY: all entries are in bounds by the assertions: the columns from `start` on, a multiple of the lanes.
        unsafe { (T::kernels().multiply)(&[term], band, vectors, to, true) }
    }
}

/// Adam's moments in the eigenbases; the gradient becomes the change of the parameters.
struct Moments<'a, T> {
    constants: Adam<T>,
    gradient: &'a mut [T],
    wide: usize,
    first: &'a mut [T],
    second: &'a mut [T],
    columns: usize,
}

impl<T: Scalar> VectorTask<T> for Moments<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: VectorMath<T = T>>(self) {
        let Self { constants: k, gradient, wide, first, second, columns } = self;
        let moments = first.chunks_exact_mut(columns).zip(second.chunks_exact_mut(columns));
        for (row, (first, second)) in gradient.chunks_exact_mut(wide).zip(moments) {
            for ((g, m), v) in row.iter_mut().zip(first).zip(second) {
                *m = k.beta1 * *m + k.rest1 * *g;
                *v = k.beta2 * *v + k.rest2 * *g * *g;
                *g = k.rate * *m / ((*v * k.correction2).sqrt() + k.epsilon);
            }
        }
    }
}
