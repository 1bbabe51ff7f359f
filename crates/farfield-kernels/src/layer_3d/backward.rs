//! The gradients of a 3D layer: slab by slab through the second and third mode, then column by column through the first.

use super::columns::{Sizes, pack_columns, plane_view, unpack_columns};
use super::{COLUMNS_BACKWARD, GRADIENT_PARTS, Layer3d};
use crate::microkernel::outer_scratch_len;
use crate::parallel::{Shared, for_each};
use crate::scalar::Scalar;
use crate::scratch::Scratch;
use crate::tree::{Direction, GradientInputs, GradientTask};
use crate::view::View;

impl Layer3d<'_> {
    /// For every slab: back through the activation, `C_k` and `B_k`, to the gradient by the middle.
    pub(super) fn backward_slabs<T: Scalar>(
        &self,
        s: &Sizes,
        parameters: &[T],
        slope: Option<T>,
        middle: Shared<T>,
        (pre, dy): (&[T], &mut [T]),
        middle_gradient: &mut [T],
        (tasks, gradients, slopes): (&[Vec<GradientTask>; 3], &mut [T], &mut [f64]),
    ) {
        let kernels = T::kernels();
        let slabs = s.output[0];
        let slab_len = s.output[1] * s.output[2];
        let (dy, middle_gradient) = (Shared(dy.as_mut_ptr()), Shared(middle_gradient.as_mut_ptr()));
        let (gradients, slopes) = (Shared(gradients.as_mut_ptr()), Shared(slopes.as_mut_ptr()));
        for_each(GRADIENT_PARTS, 3 * self.multiply_adds(), |part| {
            let range = slabs * part / GRADIENT_PARTS..slabs * (part + 1) / GRADIENT_PARTS;
            if range.is_empty() {
                return;
            }
            let mut work = self.slab_work(s, true);
            let v = self.coefficient_views(s, &mut work);
            for slab in range {
                let start = slab * slab_len;
                // SAFETY: this slab belongs to this task; the lengths were checked.
                unsafe {
                    let dy = dy.slice(start, slab_len);
                    if let Some(slope) = slope {
                        *slopes.at(part) += (kernels.leaky_backward)(&pre[start..start + slab_len], dy, slope);
                    }
                    let to = work.y_transposed.as_mut_ptr();
                    (kernels.transpose)(dy.as_ptr(), s.output[2], to, s.padded2, s.output[1], s.output[2]);
                }
                for k in 0..self.outer_rank {
                    let t1 = plane_view(s, middle, k, slab);
                    let dt1 = View::new(middle_gradient.at(k * s.middle + slab * s.plane), s.padded3, T::LANES);
                    let dy = View::new(work.y_transposed.as_mut_ptr(), s.padded2, T::LANES);
                    let transposed = View::new(work.t_transposed.as_mut_ptr(), s.padded2, T::LANES);
                    let dt_transposed = View::new(work.dt_transposed.as_mut_ptr(), s.padded2, T::LANES);
                    let dt = View::new(work.dt.as_mut_ptr(), s.padded3, T::LANES);
                    let (second, third) = (self.tree(parameters, k, 1), self.tree(parameters, k, 2));
                    let part_of = |j: usize| gradients.at(part * self.parameters_len() + self.offset(k, j));
                    // SAFETY: the views cover this task's work arrays, its planes, and its part of the gradient.
                    unsafe {
                        self.modes_2_and_3(s, parameters, k, t1, &mut work, true);
                        let [up, received, up_adjoint, received_adjoint] = v[1];
                        let vectors = s.vectors2;
                        third.apply(
                            Direction::Adjoint,
                            dy,
                            dt_transposed,
                            vectors,
                            up_adjoint,
                            received_adjoint,
                            false,
                        );
                        let inputs =
                            GradientInputs { x: transposed, dy, up, received, up_adjoint, received_adjoint, vectors };
                        self.modes[2].gradient(kernels, &tasks[2], &inputs, part_of(2), true, &mut work.outer);
                        (kernels.transpose)(dt_transposed.p, s.padded2, dt.p, s.padded3, s.input[2], s.output[1]);
                        let [up, received, up_adjoint, received_adjoint] = v[0];
                        let vectors = s.vectors3;
                        second.apply(Direction::Adjoint, dt, dt1, vectors, up_adjoint, received_adjoint, false);
                        let inputs =
                            GradientInputs { x: t1, dy: dt, up, received, up_adjoint, received_adjoint, vectors };
                        self.modes[1].gradient(kernels, &tasks[1], &inputs, part_of(1), true, &mut work.outer);
                    }
                }
            }
        });
    }

    /// For every block of columns: back through `A_k`, to the gradient by the input.
    pub(super) fn backward_columns<T: Scalar>(
        &self,
        s: &Sizes,
        x: &[T],
        parameters: &[T],
        middle_gradient: &[T],
        dx: Option<Shared<T>>,
        (tasks, gradients): (&[Vec<GradientTask>; 3], &mut [T]),
    ) {
        let layout = self.modes[0];
        let rows = layout.coefficient_rows();
        let all = s.input[1] * s.vectors3;
        let gradients = Shared(gradients.as_mut_ptr());
        for_each(GRADIENT_PARTS, 3 * self.multiply_adds(), |part| {
            let (mut first, end) = (all * part / GRADIENT_PARTS, all * (part + 1) / GRADIENT_PARTS);
            let mut outer = Scratch::take(outer_scratch_len::<T>(layout.n_in().max(layout.n_out())));
            while first < end {
                let columns = first..end.min(first + COLUMNS_BACKWARD);
                first = columns.end;
                let vectors = columns.len();
                let mut packed = Scratch::<T>::take(s.input[0] * vectors * T::LANES);
                let mut packed_gradient = Scratch::<T>::take(s.input[0] * vectors * T::LANES);
                let mut coefficients = Scratch::<T>::take(4 * vectors * rows * T::LANES);
                pack_columns(s, x, columns.clone(), &mut packed);
                let x = View::new(packed.as_mut_ptr(), vectors * T::LANES, T::LANES);
                let dx_packed = View::new(packed_gradient.as_mut_ptr(), vectors * T::LANES, T::LANES);
                let p = coefficients.as_mut_ptr();
                let [up, received, up_adjoint, received_adjoint] =
                    [0, 1, 2, 3].map(|i| View::panels(p.wrapping_add(i * vectors * rows * T::LANES), rows));
                for k in 0..self.outer_rank {
                    let tree = self.tree(parameters, k, 0);
                    let dt1 = middle_gradient[k * s.middle..].as_ptr().cast_mut();
                    let dt1 = View::new(dt1, s.plane, T::LANES).at_vector(columns.start);
                    // SAFETY: the views cover this task's work arrays, its columns of the middle (read only) and its part
                    // of the gradient.
                    unsafe {
                        tree.up(Direction::Forward, x, vectors, up);
                        tree.down(Direction::Forward, x, None, vectors, up, received, false);
                        tree.up(Direction::Adjoint, dt1, vectors, up_adjoint);
                        let to = dx.map(|_| dx_packed);
                        let (u, r) = (up_adjoint, received_adjoint);
                        tree.down(Direction::Adjoint, dt1, to, vectors, u, r, k > 0);
                        let inputs = GradientInputs { x, dy: dt1, up, received, up_adjoint, received_adjoint, vectors };
                        let to = gradients.at(part * self.parameters_len() + self.offset(k, 0));
                        layout.gradient(tree.kernels, &tasks[0], &inputs, to, true, &mut outer);
                    }
                }
                if let Some(dx) = dx {
                    unpack_columns(s, &packed_gradient, columns, dx);
                }
            }
        });
    }
}
