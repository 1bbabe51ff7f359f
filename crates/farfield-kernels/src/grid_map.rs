//! Affine maps of channels on a grid: the same matrix at every point, or a convolution with a `(2 r + 1)^d` kernel.
//!
//! ```text
//! y[o, b, p] = bias[o] + sum_t sum_i W[o, t, i] x[i, b, p + t],    t in {-r, .., r}^d,  zero beyond the grid
//! ```
//!
//! Pieces of the grid that fit the cache are copied between zeros, so that a shift is another start address, and the whole sum is one product
//! `Y = sum_t W_t X_t` in registers ([`multiply`](crate::microkernel)): nothing is stacked. The way back is the same product with the transposed matrices, and
//! `dW_t = sum dY X_t^T`. Cost: `(2 r + 1)^d channels_in channels_out` multiply-adds a point forward, twice that back.

use crate::aligned::{AlignedVec, Room};
use crate::error::{LayoutError, check_len};
use crate::microkernel::outer_scratch_len;
use crate::parallel::{Shared, add_parts, for_each};
use crate::scalar::Scalar;
use crate::scratch::Scratch;
use crate::view::{Coefficients, Term, View};

/// Bytes that the piece of a task should take, input and output together.
const PIECE: usize = 384 << 10;
/// Points along the first axis of a piece, at least.
const LINES: usize = 4;
/// Partial sums of the gradient by the weights, at most: their number must not depend on threads.
const GROUPS: usize = 16;

/// Shape of a map of fields `[channels, batch, points]`.
#[derive(Clone, Copy, Debug)]
pub struct GridMap<'a> {
    /// Points along each axis: one, two or three.
    pub grid: &'a [usize],
    /// Number of fields.
    pub batch: usize,
    /// Channels of `x`.
    pub channels_in: usize,
    /// Channels of `y`.
    pub channels_out: usize,
    /// Neighbours that take part on each side along each axis, `r`: weights `[channels_out, (2 r + 1)^d, channels_in]`, the shifts of the first axis fastest.
    /// With 0 every point is by itself: weights `[channels_out, channels_in]`.
    pub reach: usize,
}

/// Gradients of a [`GridMap`].
#[derive(Debug)]
pub struct GridGradients<T> {
    /// By `x`, if asked for.
    pub x: Option<AlignedVec<T>>,
    /// By the weights.
    pub weights: AlignedVec<T>,
    /// By the bias.
    pub bias: Vec<f64>,
}

impl GridMap<'_> {
    /// The map. `x` is `[channels_in, batch, points]`, the result `[channels_out, batch, points]`.
    ///
    /// # Errors
    /// A slice of the wrong length, a grid of no or more than three axes.
    pub fn forward<T: Scalar>(&self, x: &[T], weights: &[T], bias: &[T]) -> Result<AlignedVec<T>, LayoutError> {
        let plan = self.plan::<T>(x.len(), weights.len())?;
        check_len("the bias", bias.len(), self.channels_out)?;
        let mut y = Room::<T>::new(self.channels_out * plan.fields * plan.points);
        let y_at = y.shared();
        for_each(plan.units(), plan.multiply_adds(self), |unit| {
            let piece = plan.piece(unit);
            let mut input = Scratch::<T>::take(self.channels_in * plan.row);
            let mut output = Scratch::<T>::take(self.channels_out * plan.row);
            plan.pack(&piece, x, self.channels_in, &mut input);
            let terms = plan.terms(weights, self, &mut input, false);
            let to = View::new(output.as_mut_ptr(), plan.row, T::LANES);
            // SAFETY: the views lie inside the scratch arrays, whose rows have room for the last vector; the table is that of
            // this machine; each task has its own piece of `y`.
            unsafe {
                (T::kernels().multiply)(&terms, self.channels_out, plan.vectors(&piece), to, false);
                plan.unpack(&piece, &output, Some(bias), self.channels_out, y_at);
            }
        });
        // SAFETY: the pieces cover all points.
        Ok(unsafe { y.finish() })
    }

    /// The gradients for the gradient `dy` of the result.
    ///
    /// # Errors
    /// As [`GridMap::forward`].
    pub fn backward<T: Scalar>(
        &self,
        x: &[T],
        weights: &[T],
        dy: &[T],
        need_x: bool,
    ) -> Result<GridGradients<T>, LayoutError> {
        let plan = self.plan::<T>(x.len(), weights.len())?;
        check_len("the gradient", dy.len(), self.channels_out * plan.fields * plan.points)?;
        let mut dx = need_x.then(|| Room::<T>::new(x.len()));
        let dx_at = dx.as_mut().map(|dx| dx.shared());
        let groups = plan.units().min(GROUPS);
        let mut parts = Scratch::<T>::zeroed(groups * weights.len());
        let mut sums = vec![0.0f64; groups * self.channels_out];
        let (parts_at, sums_at) = (Shared(parts.as_mut_ptr()), Shared(sums.as_mut_ptr()));
        for_each(groups, 2 * plan.multiply_adds(self), |group| {
            let mut input = Scratch::<T>::take(self.channels_in * plan.row);
            let mut gradient = Scratch::<T>::take(self.channels_out * plan.row);
            let mut result = Scratch::<T>::take(self.channels_in * plan.row);
            let mut outer = Scratch::<T>::take(outer_scratch_len::<T>(self.channels_in));
            let inner = self.channels_in * plan.taps();
            // SAFETY: each task has its own partial sums and its own pieces of `dx`; the rest as in `forward`.
            unsafe {
                let sums = sums_at.slice(group * self.channels_out, self.channels_out);
                for unit in plan.units() * group / groups..plan.units() * (group + 1) / groups {
                    let piece = plan.piece(unit);
                    let vectors = plan.vectors(&piece);
                    plan.pack(&piece, dy, self.channels_out, &mut gradient);
                    if let Some(dx_at) = dx_at {
                        let terms = plan.terms(weights, self, &mut gradient, true);
                        let to = View::new(result.as_mut_ptr(), plan.row, T::LANES);
                        (T::kernels().multiply)(&terms, self.channels_in, vectors, to, false);
                        plan.unpack(&piece, &result, None, self.channels_in, dx_at);
                    }
                    plan.add_sums(&piece, &mut gradient, sums);
                    plan.pack(&piece, x, self.channels_in, &mut input);
                    let from = View::new(gradient.as_mut_ptr().add(plan.first), plan.row, T::LANES);
                    for tap in 0..plan.taps() {
                        let start = plan.first.wrapping_add_signed(plan.offset(tap));
                        let shifted = View::new(input.as_mut_ptr().add(start), plan.row, T::LANES);
                        let to = parts_at.at(group * weights.len() + tap * self.channels_in);
                        let (rows, columns) = (self.channels_out, self.channels_in);
                        (T::kernels().outer)(from, shifted, rows, columns, vectors, to, inner, true, &mut outer);
                    }
                }
            }
        });
        let mut bias = vec![0.0; self.channels_out];
        for sums in sums.chunks_exact(self.channels_out.max(1)) {
            bias.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
        let weights = add_parts(&parts[..groups * weights.len()], weights.len());
        // SAFETY: the pieces cover all points.
        Ok(GridGradients { x: dx.map(|dx| unsafe { dx.finish() }), weights, bias })
    }

    fn plan<T: Scalar>(&self, x: usize, weights: usize) -> Result<Plan, LayoutError> {
        if !(1..=3).contains(&self.grid.len()) {
            return Err(LayoutError::Axis { axis: self.grid.len(), axes: 3 });
        }
        let points: usize = self.grid.iter().product();
        // Without neighbours all fields are one long line.
        let plan = if self.reach > 0 {
            Plan::new::<T>(self.grid, self.batch, self.reach, self.channels_in + self.channels_out)
        } else {
            Plan::new::<T>(&[self.batch * points], 1, 0, self.channels_in + self.channels_out)
        };
        check_len("x", x, self.channels_in * self.batch * points)?;
        check_len("the weights", weights, self.channels_out * plan.taps() * self.channels_in)?;
        Ok(plan)
    }
}

/// How fields are cut into pieces, and how a piece lies in scratch: padded by `reach` zeros or neighbours on all sides, one row a channel.
struct Plan {
    fields: usize,
    points: usize,
    reach: usize,
    /// Points along the first, middle and last axis; the last two are 1 where there are fewer axes.
    lines: usize,
    middle: usize,
    last: usize,
    axes: usize,
    /// Distances in a padded piece along the axes.
    strides: [usize; 3],
    /// Lines of a piece, and pieces of a field.
    piece_lines: usize,
    pieces: usize,
    /// First inner point of a padded piece.
    first: usize,
    /// Elements of one channel in scratch.
    row: usize,
    /// Elements of a vector.
    lanes: usize,
}

/// Some lines of a field.
struct Piece {
    field: usize,
    start: usize,
    lines: usize,
}

impl Plan {
    fn new<T: Scalar>(grid: &[usize], fields: usize, reach: usize, channels: usize) -> Self {
        let axes = grid.len();
        let lines = grid[0];
        let middle = if axes == 3 { grid[1] } else { 1 };
        let last = if axes > 1 { grid[axes - 1] } else { 1 };
        let padded = |n: usize| n + 2 * reach;
        let strides = match axes {
            1 => [1, 0, 0],
            2 => [padded(last), 1, 0],
            _ => [padded(middle) * padded(last), padded(last), 1],
        };
        let line = strides[0] * channels * size_of::<T>();
        let most = (PIECE / line.max(1)).max(LINES);
        let pieces = lines.div_ceil(most).max(1);
        let piece_lines = lines.div_ceil(pieces).max(1);
        // No piece is empty.
        let pieces = lines.div_ceil(piece_lines);
        let first = reach * strides[..axes].iter().sum::<usize>();
        // Room for the last vector, and an odd number of vectors, so that rows do not share cache sets.
        let vectors = (padded(piece_lines) * strides[0]).div_ceil(T::LANES) + 2;
        let row = (vectors | 1) * T::LANES;
        let points = grid.iter().product();
        Self {
            fields,
            points,
            reach,
            lines,
            middle,
            last,
            axes,
            strides,
            piece_lines,
            pieces,
            first,
            row,
            lanes: T::LANES,
        }
    }

    fn units(&self) -> usize {
        if self.points == 0 { 0 } else { self.fields * self.pieces }
    }

    fn taps(&self) -> usize {
        (2 * self.reach + 1).pow(self.axes as u32)
    }

    fn multiply_adds(&self, map: &GridMap<'_>) -> usize {
        map.channels_in * map.channels_out * self.taps() * self.fields * self.points
    }

    fn piece(&self, unit: usize) -> Piece {
        let start = unit % self.pieces * self.piece_lines;
        Piece { field: unit / self.pieces, start, lines: self.piece_lines.min(self.lines.saturating_sub(start)) }
    }

    /// Distance of a shift in a padded piece.
    fn offset(&self, tap: usize) -> isize {
        let (width, reach) = (2 * self.reach + 1, self.reach as isize);
        let mut rest = tap;
        let mut offset = 0;
        for stride in &self.strides[..self.axes] {
            offset += ((rest % width) as isize - reach) * *stride as isize;
            rest /= width;
        }
        offset
    }

    /// Points from the first to the last inner point of a padded piece, padding between them included.
    fn inner(&self, piece: &Piece) -> usize {
        let ends = [piece.lines, if self.axes == 3 { self.middle } else { self.last }, self.last];
        1 + (0..self.axes).map(|a| (ends[a].max(1) - 1) * self.strides[a]).sum::<usize>()
    }

    fn vectors(&self, piece: &Piece) -> usize {
        self.inner(piece).div_ceil(self.lanes)
    }

    /// Calls `row(offset in the field, length, offset in the padded piece)` for all runs of points of lines `from..to`.
    fn rows(&self, piece: &Piece, from: usize, to: usize, mut row: impl FnMut(usize, usize, usize)) {
        if self.axes == 1 {
            return row(from, to - from, from + self.reach - piece.start);
        }
        for line in from..to {
            for middle in 0..self.middle {
                let inside = if self.axes == 3 { (middle + self.reach) * self.strides[1] } else { 0 };
                let at = (line + self.reach - piece.start) * self.strides[0] + inside + self.reach;
                row((line * self.middle + middle) * self.last, self.last, at);
            }
        }
    }

    /// The products that make up the map of a packed piece, or its adjoint.
    fn terms<T: Scalar>(&self, weights: &[T], map: &GridMap<'_>, from: &mut Scratch<T>, back: bool) -> Vec<Term<T>> {
        let columns = self.taps() * map.channels_in;
        let mut term = |tap: usize| {
            let offset = if back { -self.offset(tap) } else { self.offset(tap) };
            let start = from.as_mut_ptr().wrapping_add(self.first).wrapping_offset(offset);
            let p = weights.as_ptr().wrapping_add(tap * map.channels_in);
            let (inner, a) = match back {
                false => (map.channels_in, Coefficients { p, row: columns, column: 1 }),
                true => (map.channels_out, Coefficients { p, row: 1, column: columns }),
            };
            Term { inner, a, x: View::new(start, self.row, T::LANES) }
        };
        (0..self.taps()).map(&mut term).collect()
    }

    /// The piece with its neighbours, zeros where there are none.
    fn pack<T: Scalar>(&self, piece: &Piece, fields: &[T], channels: usize, to: &mut Scratch<T>) {
        let (from, end) =
            (piece.start.saturating_sub(self.reach), (piece.start + piece.lines + self.reach).min(self.lines));
        for (channel, row) in to[..channels * self.row].chunks_exact_mut(self.row).enumerate() {
            let field = &fields[(channel * self.fields + piece.field) * self.points..][..self.points];
            row.fill(T::ZERO);
            self.rows(piece, from, end, |at, len, inside| {
                row[inside..inside + len].copy_from_slice(&field[at..at + len]);
            });
        }
    }

    /// Writes the inner points of a piece, whose rows begin with the first of them, into fields, plus the bias.
    ///
    /// # Safety
    /// `to` has room for `channels` times all fields, and no other task has this piece.
    unsafe fn unpack<T: Scalar>(
        &self,
        piece: &Piece,
        from: &Scratch<T>,
        bias: Option<&[T]>,
        channels: usize,
        to: Shared<T>,
    ) {
        for (channel, row) in from[..channels * self.row].chunks_exact(self.row).enumerate() {
            let base = (channel * self.fields + piece.field) * self.points;
            let bias = bias.map_or(T::ZERO, |bias| bias[channel]);
            self.rows(piece, piece.start, piece.start + piece.lines, |at, len, inside| {
                // SAFETY: a run of points of this piece.
                let to = unsafe { to.slice(base + at, len) };
                let from = &row[inside - self.first..][..len];
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from + bias);
            });
        }
    }

    /// Adds the sums over the inner points of every row, and clears what lies behind the last of them.
    fn add_sums<T: Scalar>(&self, piece: &Piece, rows: &mut Scratch<T>, sums: &mut [f64]) {
        for (sum, row) in sums.iter_mut().zip(rows.chunks_exact_mut(self.row)) {
            row[self.first + self.inner(piece)..].fill(T::ZERO);
            // Between the inner points there are only zeros.
            let mut parts = [T::ZERO; 32];
            for values in row[self.first..self.first + self.inner(piece)].chunks(parts.len()) {
                parts.iter_mut().zip(values).for_each(|(part, value)| *part += *value);
            }
            *sum += parts.iter().map(|part| part.to_f64()).sum::<f64>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, phase: f64) -> Vec<f64> {
        (0..n).map(|i| (i as f64 * 0.7 + phase).sin()).collect()
    }

    /// The definition, point by point.
    fn by_definition(map: &GridMap<'_>, x: &[f64], weights: &[f64], bias: &[f64]) -> Vec<f64> {
        let axes = map.grid.len();
        let points: usize = map.grid.iter().product();
        let width = 2 * map.reach + 1;
        let taps = width.pow(axes as u32);
        let mut y = Vec::new();
        for o in 0..map.channels_out {
            for b in 0..map.batch {
                for p in 0..points {
                    let mut sum = bias[o];
                    'taps: for tap in 0..taps {
                        let (mut rest, mut after, mut q) = (tap, points, 0);
                        for &n in map.grid {
                            after /= n;
                            let shift = (rest % width) as i64 - map.reach as i64;
                            rest /= width;
                            let place = (p / after % n) as i64 + shift;
                            if !(0..n as i64).contains(&place) {
                                continue 'taps;
                            }
                            q += place as usize * after;
                        }
                        for i in 0..map.channels_in {
                            let w = weights[(o * taps + tap) * map.channels_in + i];
                            sum += w * x[(i * map.batch + b) * points + q];
                        }
                    }
                    y.push(sum);
                }
            }
        }
        y
    }

    #[test]
    fn it_is_the_definition_and_the_way_back_is_its_adjoint() {
        let cases: [(&[usize], usize, usize, usize); 9] = [
            (&[7], 2, 3, 2),
            (&[1], 1, 1, 1),
            (&[600], 3, 40, 33),
            (&[5, 6], 2, 2, 3),
            (&[40, 64], 2, 36, 34),
            (&[1, 9], 1, 2, 2),
            (&[9, 1], 1, 2, 2),
            (&[4, 3, 5], 2, 2, 3),
            (&[20, 18, 16], 1, 5, 4),
        ];
        for (grid, batch, channels_in, channels_out) in cases {
            // The definition takes its time where there are many points and channels.
            let large = grid.iter().product::<usize>() * channels_in * channels_out > 100_000;
            for reach in if large { vec![0, 1] } else { vec![0, 1, 2, 3] } {
                let map = GridMap { grid, batch, channels_in, channels_out, reach };
                let points: usize = grid.iter().product();
                let taps = (2 * reach + 1usize).pow(grid.len() as u32);
                let x = wave(channels_in * batch * points, 0.1);
                let weights = wave(channels_out * taps * channels_in, 0.5);
                let (bias, none) = (wave(channels_out, 0.9), vec![0.0; channels_out]);
                let y = map.forward(&x, &weights, &bias).unwrap();
                let expected = by_definition(&map, &x, &weights, &bias);
                let error = y.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(error < 1e-12, "{map:?}: {error}");

                let dy = wave(y.len(), 2.0);
                let back = map.backward(&x, &weights, &dy, true).unwrap();
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                let linear = map.forward(&x, &weights, &none).unwrap();
                let product = dot(&dy, &linear);
                let scale = 1e-12 * dy.len() as f64;
                let dx = back.x.unwrap();
                assert!((dot(&dx, &x) - product).abs() < scale, "{map:?}");
                assert!((dot(&back.weights, &weights) - product).abs() < scale, "{map:?}");
                // Along other directions too.
                let (other, moved) = (wave(x.len(), 1.7), wave(weights.len(), 2.9));
                let along = map.forward(&other, &weights, &none).unwrap();
                assert!((dot(&dx, &other) - dot(&dy, &along)).abs() < scale, "{map:?}");
                let along = map.forward(&x, &moved, &none).unwrap();
                assert!((dot(&back.weights, &moved) - dot(&dy, &along)).abs() < scale, "{map:?}");
                for (o, sum) in back.bias.iter().enumerate() {
                    let expected: f64 = dy[o * batch * points..(o + 1) * batch * points].iter().sum();
                    assert!((sum - expected).abs() < scale);
                }
                assert!(map.backward(&x, &weights, &dy, false).unwrap().x.is_none());
            }
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_threads_and_single_precision_is_close() {
        let map = GridMap { grid: &[33, 40], batch: 5, channels_in: 32, channels_out: 33, reach: 1 };
        let single = |n, phase| wave(n, phase).iter().map(|&v| v as f32).collect::<Vec<f32>>();
        let (x, weights, bias) = (single(32 * 5 * 1320, 0.0), single(33 * 9 * 32, 1.0), single(33, 2.0));
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let y = map.forward(&x, &weights, &bias).unwrap();
                let back = map.backward(&x, &weights, &y, true).unwrap();
                (y.to_vec(), back.x.unwrap().to_vec(), back.weights.to_vec(), back.bias)
            })
        };
        let one = run(1);
        assert_eq!(one, run(3));
        let double = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
        let expected = map.forward(&double(&x), &double(&weights), &double(&bias)).unwrap();
        for (a, b) in one.0.iter().zip(expected.iter()) {
            assert!((f64::from(*a) - b).abs() < 1e-4);
        }
    }

    #[test]
    fn lengths_and_axes_are_checked() {
        let map = GridMap { grid: &[4], batch: 1, channels_in: 1, channels_out: 1, reach: 1 };
        assert!(map.forward(&[0.0f32; 3], &[0.0; 3], &[0.0]).is_err());
        assert!(map.forward(&[0.0f32; 4], &[0.0; 1], &[0.0]).is_err());
        assert!(map.forward(&[0.0f32; 4], &[0.0; 3], &[]).is_err());
        assert!(GridMap { grid: &[], ..map }.forward(&[0.0f32; 1], &[0.0; 1], &[0.0]).is_err());
        assert!(map.backward(&[0.0f32; 4], &[0.0; 3], &[0.0; 5], true).is_err());
    }
}
