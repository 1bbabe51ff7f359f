//! A block-diagonal matrix fitted by least squares: what a model without any far field can do at best.
//!
//! On 1D fields with the leaves of an HSS matrix, every leaf of the output is fitted from the same leaf of the input,
//! `min ||X_i D_i^T - Y_i||_F` of minimum norm, by a complete orthogonal decomposition. Where this is as good as a model with a
//! far field, the data do not test the far field. Cost: `O(samples n m)` for leaves of size `m`.

use faer::{Mat, MatRef};
use farfield_data::Side;
use farfield_kernels::HssLayout;

use crate::error::NnError;
use crate::evaluation::Evaluation;
use crate::pseudo_inverse::{product, pseudo_inverse};
use crate::training_data::Samples;

/// Samples that are read and predicted together.
const BLOCK: usize = 4096;

/// One fitted block a leaf.
#[derive(Clone, Debug)]
pub struct BlockLeastSquares {
    layout: HssLayout,
    /// `D_i^T`, `[m_in, m_out]`.
    blocks: Vec<Mat<f64>>,
}

impl BlockLeastSquares {
    /// Fits the leaves of a tree with `2^levels` leaves. Pivots below `1e-14` of the largest count as
    /// zero.
    ///
    /// # Errors
    /// An empty set, data that are not 1D fields of one channel, data that cannot be read.
    pub fn fit(train: Samples<'_>, levels: usize) -> Result<Self, NnError> {
        let (input, output) = (train.dataset.input_shape(), train.dataset.output_shape());
        for shape in [input, output] {
            if shape.channels != 1 || shape.dims() != 1 {
                return Err(NnError::shape(
                    "fields of block-diagonal least squares",
                    shape,
                    "1D fields of one channel",
                ));
            }
        }
        if train.indices.is_empty() {
            return Err(NnError::Empty { what: "training" });
        }
        let layout = HssLayout::new(output.len(), input.len(), levels, 0)?;
        let samples = train.indices.len();
        let x = read(train, Side::Input)?;
        let y = read(train, Side::Output)?;
        let x = MatRef::from_row_major_slice(&x, samples, input.len());
        let y = MatRef::from_row_major_slice(&y, samples, output.len());
        let blocks = (0..1 << levels)
            .map(|i| {
                let (columns, rows) = (layout.leaf_in(i), layout.leaf_out(i));
                let (x, y) = (x.subcols(columns.start, columns.len()), y.subcols(rows.start, rows.len()));
                let tolerance = 1e-14;
                product(pseudo_inverse(x, tolerance).0.as_ref(), y)
            })
            .collect();
        Ok(Self { layout, blocks })
    }

    /// Numbers in the blocks.
    pub fn num_parameters(&self) -> usize {
        self.layout.len()
    }

    /// Errors on other samples.
    ///
    /// # Errors
    /// An empty set, fields of another size, or data that cannot be read.
    pub fn evaluate(&self, test: Samples<'_>) -> Result<Evaluation, NnError> {
        let (input, output) = (self.layout.n_in(), self.layout.n_out());
        for (what, got, expected) in [
            ("values of an input", test.dataset.input_shape().len(), input),
            ("values of an output", test.dataset.output_shape().len(), output),
        ] {
            if got != expected {
                return Err(NnError::shape(what, got, expected));
            }
        }
        let mut sums = Evaluation::collect(test.dataset);
        for indices in test.indices.chunks(BLOCK) {
            let part = Samples { dataset: test.dataset, indices };
            let (x, y) = (read(part, Side::Input)?, read(part, Side::Output)?);
            let x = MatRef::from_row_major_slice(&x, indices.len(), input);
            let mut prediction = vec![0.0; y.len()];
            for (i, block) in self.blocks.iter().enumerate() {
                let (columns, rows) = (self.layout.leaf_in(i), self.layout.leaf_out(i));
                let leaf = product(x.subcols(columns.start, columns.len()), block.as_ref());
                for (s, row) in prediction.chunks_exact_mut(output).enumerate() {
                    row[rows.clone()].iter_mut().zip(leaf.row(s).iter()).for_each(|(p, v)| *p = *v);
                }
            }
            sums.add(&prediction, &y);
        }
        sums.finish()
    }
}

fn read(samples: Samples<'_>, side: Side) -> Result<Vec<f64>, NnError> {
    let mut values = vec![0.0; samples.indices.len() * samples.dataset.shape(side).len()];
    samples.dataset.read_side(side, samples.indices, &mut values)?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use farfield_data::{Dataset, OpenOptions};

    /// `y = A x` with a tridiagonal or block-diagonal `A` on 10 points, leaves of 2, 3, 2, 3.
    fn set(far: f64) -> Dataset {
        let n = 10;
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for s in 0..40 {
            let f: Vec<f64> = (0..n).map(|i| (((s * n + i) * (s * n + i)) as f64 * 0.71).sin()).collect();
            let leaf = |i: usize| (0..4).rev().find(|leaf| leaf * n / 4 <= i);
            y.extend((0..n).map(|i| {
                (0..n).map(|j| if leaf(i) == leaf(j) { (i + 2 * j) as f64 } else { far } * f[j]).sum::<f64>()
            }));
            x.extend(f);
        }
        Dataset::from_arrays("blocks", x, &[40, n], y, &[40, n], &OpenOptions::default()).unwrap()
    }

    #[test]
    fn a_block_diagonal_matrix_is_found_and_a_far_field_is_not() {
        let (all, layout): (Vec<usize>, _) = ((0..40).collect(), HssLayout::new(10, 10, 2, 0).unwrap());
        let sizes: Vec<usize> = (0..4).map(|i| layout.leaf_in(i).len()).collect();
        assert_eq!(sizes, [2, 3, 2, 3]);
        for (far, exact) in [(0.0, true), (5.0, false)] {
            let data = set(far);
            let (train, test) = all.split_at(30);
            let fit = BlockLeastSquares::fit(Samples { dataset: &data, indices: train }, 2).unwrap();
            assert_eq!(fit.num_parameters(), 26);
            let error = fit.evaluate(Samples { dataset: &data, indices: test }).unwrap().relative_l2;
            assert_eq!(error < 1e-12, exact, "far field {far}: {error}");
        }
    }

    #[test]
    fn other_fields_and_empty_sets_are_errors() {
        let data =
            Dataset::from_arrays("2d", vec![0.0; 64], &[1, 8, 8], vec![0.0; 64], &[1, 8, 8], &OpenOptions::default());
        let data = data.unwrap();
        assert!(BlockLeastSquares::fit(Samples { dataset: &data, indices: &[0] }, 1).is_err());
        assert!(BlockLeastSquares::fit(Samples { dataset: &set(0.0), indices: &[] }, 1).is_err());
    }
}
