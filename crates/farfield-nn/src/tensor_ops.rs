//! The HSS layer by ordinary tensor operations: any device, any float type, differentiable.
//!
//! Computes eq. 1 of the Neural-HSS paper with algorithm 1 along every mode: the products of all nodes of
//! a level and of all terms `k` are one batched matrix product. Unequal leaves are padded with zeros.
//!
//! Cost: the multiply-adds of [`LayerSpec::multiply_adds`] a sample, plus a transposition of the data a
//! mode and a temporary a level. On the CPU the fused operations are faster; this is their test oracle.

use burn::tensor::{Device, Int, Tensor, TensorData};
use farfield_kernels::{HssLayout, Node};

use crate::layer_spec::LayerSpec;

/// Applies the layer: `x` is `[batch, points_in]`, the result `[batch, points_out]`; `weights` is the flat
/// vector of [`LayerSpec::len`] parameters. No activation.
///
/// # Panics
/// When a shape does not fit.
pub fn layer_forward(spec: &LayerSpec, weights: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
    let [batch, points] = x.dims();
    assert_eq!(points, spec.points_in(), "points of the input");
    let terms = spec.outer_rank();
    let weights = weights.reshape([terms, spec.term_len()]);

    // Axes rotate: before mode j the tensor is [terms, n_j, n_(j+1) .. n_m, batch, o_1 .. o_(j-1)].
    let mut z = x.swap_dims(0, 1).unsqueeze_dim::<3>(0);
    let mut size = batch * points;
    for (j, layout) in spec.modes().iter().enumerate() {
        let terms_z = if j == 0 { 1 } else { terms };
        let others = size / layout.n_in();
        let parameters = weights.clone().narrow(1, spec.offset(0, j), layout.len());
        let y = apply(layout, parameters, z.reshape([terms_z, layout.n_in(), others]));
        size = others * layout.n_out();
        z = y.swap_dims(1, 2);
    }
    z.reshape([terms, batch, spec.points_out()]).sum_dim(0).squeeze_dim(0)
}

/// `W^(k) X^(k)` for all `k`: `parameters` is `[terms, layout.len()]`, `x` is `[terms or 1, n_in, columns]`.
fn apply(layout: &HssLayout, parameters: Tensor<2>, x: Tensor<3>) -> Tensor<3> {
    let [_, n_in, columns] = x.dims();
    let [terms, _] = parameters.dims();
    let levels = layout.levels();
    let leaves = 1usize << levels;
    let leaf_in = n_in.div_ceil(leaves);
    let leaf_out = layout.n_out().div_ceil(leaves);

    let x = pad_leaves(layout, x, leaf_in);
    let d = blocks(layout, &parameters, levels, |n| n.d, leaf_out, leaf_in);
    let mut y = d.matmul(x.clone());
    let rank = layout.rank();
    if levels > 0 && rank > 0 {
        let v = blocks(layout, &parameters, levels, |n| n.v, leaf_in, rank);
        let u = blocks(layout, &parameters, levels, |n| n.u, leaf_out, rank);
        let mut z = v.swap_dims(2, 3).matmul(x);

        // Up: z of level l is the stack of V^T z of its children.
        let mut stacked = Vec::with_capacity(levels);
        for level in (1..levels).rev() {
            let [k, ..] = z.dims();
            let x = z.reshape([k, 1 << level, 2 * rank, columns]);
            let v = blocks(layout, &parameters, level, |n| n.v, 2 * rank, rank);
            z = v.swap_dims(2, 3).matmul(x.clone());
            stacked.push(x);
        }
        let [k, ..] = z.dims();
        let root = blocks(layout, &parameters, 0, |n| n.d, 2 * rank, 2 * rank);
        let mut w = root.matmul(z.reshape([k, 1, 2 * rank, columns]));

        // Down: y of level l is D z + U times its half of the parent's y.
        for level in 1..levels {
            let x = stacked.pop().expect("one entry was pushed for this level");
            let d = blocks(layout, &parameters, level, |n| n.d, 2 * rank, 2 * rank);
            let u = blocks(layout, &parameters, level, |n| n.u, 2 * rank, rank);
            let halves = w.reshape([terms, 1 << level, rank, columns]);
            w = d.matmul(x) + u.matmul(halves);
        }
        y = y + u.matmul(w.reshape([terms, leaves, rank, columns]));
    }
    unpad_leaves(layout, y.reshape([terms, leaves * leaf_out, columns]), leaf_out)
}

/// One kind of block of one level, zero-padded to `rows x cols`: `[terms, 2^level, rows, cols]`.
fn blocks(
    layout: &HssLayout,
    parameters: &Tensor<2>,
    level: usize,
    kind: impl Fn(&Node) -> farfield_kernels::Block,
    rows: usize,
    cols: usize,
) -> Tensor<4> {
    let nodes = layout.level(level);
    let [terms, len] = parameters.dims();
    let shape = [terms, nodes.len(), rows, cols];
    if nodes.iter().all(|n| kind(n).rows == rows && kind(n).cols == cols) {
        let first = kind(&nodes[0]).offset;
        return parameters.clone().narrow(1, first, nodes.len() * rows * cols).reshape(shape);
    }
    let mut indices = vec![len as i64; nodes.len() * rows * cols];
    for (i, node) in nodes.iter().enumerate() {
        let block = kind(node);
        for row in 0..block.rows {
            for col in 0..block.cols {
                indices[(i * rows + row) * cols + col] = (block.offset + row * block.cols + col) as i64;
            }
        }
    }
    let zero = Tensor::zeros([terms, 1], (&parameters.device(), parameters.dtype()));
    Tensor::cat(vec![parameters.clone(), zero], 1).select(1, index_tensor(indices, &parameters.device())).reshape(shape)
}

/// Cuts the rows of `x` into leaves of `size` rows, short leaves followed by zeros:
/// `[k, leaves, size, columns]`.
fn pad_leaves(layout: &HssLayout, x: Tensor<3>, size: usize) -> Tensor<4> {
    let [k, n, columns] = x.dims();
    let leaves = 1usize << layout.levels();
    let shape = [k, leaves, size, columns];
    if n == leaves * size {
        return x.reshape(shape);
    }
    let mut indices = vec![n as i64; leaves * size];
    for leaf in 0..leaves {
        for (i, row) in layout.leaf_in(leaf).enumerate() {
            indices[leaf * size + i] = row as i64;
        }
    }
    let device = x.device();
    let zero = Tensor::zeros([k, 1, columns], (&device, x.dtype()));
    Tensor::cat(vec![x, zero], 1).select(1, index_tensor(indices, &device)).reshape(shape)
}

/// Drops the padding of the leaves' rows: `[k, n_out, columns]`.
fn unpad_leaves(layout: &HssLayout, y: Tensor<3>, size: usize) -> Tensor<3> {
    let leaves = 1usize << layout.levels();
    if layout.n_out() == leaves * size {
        return y;
    }
    let indices =
        (0..leaves).flat_map(|leaf| (0..layout.leaf_out(leaf).len()).map(move |i| (leaf * size + i) as i64)).collect();
    let device = y.device();
    y.select(1, index_tensor(indices, &device))
}

fn index_tensor(indices: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let n = indices.len();
    Tensor::from_data(TensorData::new(indices, [n]), device)
}
