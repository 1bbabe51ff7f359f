//! The HSS layer (Neural-HSS, eq. 1, by algorithm 1 along every mode) as matrix products with stacked blocks.
//!
//! The blocks of one kind and level, of all terms of the sum, are one tensor `[r_out, 2^l, rows, cols]` and their products one `MatMul`. Fields have their
//! samples last. Axes rotate: mode `j` acts on `[r_out, n_j, n_(j+1) .. n_m batch o_1 .. o_(j-1)]`. Leaves of different sizes are filled up by repeating a
//! row, which the zeros of the padded blocks ignore.

use super::graph::{Graph, Value};
use super::parameters::Parameters;
use super::shape::Dim;
use crate::error::NnError;
use crate::layer_spec::LayerSpec;

/// The layer without its activation: `x` `[points_in, batch]` to `[points_out, batch]`. Parameters are named `{name}.mode{j}.level{l}.D`, `U`, `V`.
///
/// # Errors
/// A parameter that is missing or does not fit.
pub(super) fn hss_layer(
    g: &mut Graph,
    p: &Parameters,
    name: &str,
    spec: &LayerSpec,
    x: &Value,
) -> Result<Value, NnError> {
    let grids = (spec.grid_in(), spec.grid_out());
    mode_products(g, x, (&grids.0, &grids.1), spec.outer_rank(), |g, mode, z| {
        let matrix = Matrix { g, p, name: format!("{name}.mode{mode}"), spec, mode };
        matrix.times(z)
    })
}

/// `sum_k X x_1 W_1^(k) ... x_m W_m^(k)` for `x` of shape `[points_in, batch]`. `product(g, j, z)` multiplies `z`, `[terms or 1, n_j, columns]`, by all `W_j^(k)`.
///
/// # Errors
/// Those of the products.
pub(super) fn mode_products(
    g: &mut Graph,
    x: &Value,
    (grid_in, grid_out): (&[usize], &[usize]),
    terms: usize,
    mut product: impl FnMut(&mut Graph, usize, &Value) -> Result<Value, NnError>,
) -> Result<Value, NnError> {
    let mut rest: usize = grid_in.iter().product();
    let mut z = x.clone();
    for (mode, (&n_in, &n_out)) in grid_in.iter().zip(grid_out).enumerate() {
        let terms_z = if mode == 0 { 1 } else { terms };
        rest /= n_in;
        z = g.reshape(&z, &[terms_z.into(), n_in.into(), Dim::batch(rest)])?;
        z = product(g, mode, &z)?;
        rest *= n_out;
        if mode + 1 < grid_in.len() {
            z = g.transpose(&z, &[0, 2, 1])?;
        }
    }
    // [terms, o_m, batch o_1 .. o_(m-1)].
    let last = grid_out.last().copied().unwrap_or(1);
    z = if terms > 1 { g.sum(&z, 0)? } else { g.reshape(&z, &[last.into(), Dim::batch(rest / last)])? };
    if grid_in.len() > 1 {
        z = g.reshape(&z, &[last.into(), Dim::batch(1), (rest / last).into()])?;
        z = g.transpose(&z, &[2, 0, 1])?;
    }
    g.reshape(&z, &[rest.into(), Dim::batch(1)])
}

/// The matrices of one mode, one a term.
struct Matrix<'a> {
    g: &'a mut Graph,
    p: &'a Parameters,
    name: String,
    spec: &'a LayerSpec,
    mode: usize,
}

impl Matrix<'_> {
    fn block(&mut self, level: usize, kind: char) -> Result<Value, NnError> {
        self.p.take(self.g, &format!("{}.level{level}.{kind}", self.name))
    }

    /// `V^T`, stored transposed.
    fn v_transposed(&mut self, level: usize) -> Result<Value, NnError> {
        self.p.take_transposed(self.g, &format!("{}.level{level}.V", self.name))
    }

    /// All products with `x` `[terms or 1, n_in, columns]`: `[terms, n_out, columns]`.
    fn times(mut self, x: &Value) -> Result<Value, NnError> {
        let layout = &self.spec.modes()[self.mode];
        let (terms, levels, rank) = (self.spec.outer_rank(), layout.levels(), layout.rank());
        let leaves = 1usize << levels;
        let (leaf_in, leaf_out) = (layout.n_in().div_ceil(leaves), layout.n_out().div_ceil(leaves));
        let columns = x.shape()[2];
        let x = self.leaves(x, leaf_in)?;
        let d = self.block(levels, 'D')?;
        let mut y = self.g.matmul(&d, &x)?;
        if levels > 0 && rank > 0 {
            let v = self.v_transposed(levels)?;
            let mut z = self.g.matmul(&v, &x)?;
            // Up: z of level l is the stack of V^T z of its children.
            let mut stacked = Vec::new();
            for level in (1..levels).rev() {
                let x = self.g.reshape(&z, &[terms.into(), (1usize << level).into(), (2 * rank).into(), columns])?;
                let v = self.v_transposed(level)?;
                z = self.g.matmul(&v, &x)?;
                stacked.push((level, x));
            }
            z = self.g.reshape(&z, &[terms.into(), 1.into(), (2 * rank).into(), columns])?;
            let root = self.block(0, 'D')?;
            let mut w = self.g.matmul(&root, &z)?;
            // Down: y of level l is D z + U times its half of the parent's y.
            while let Some((level, x)) = stacked.pop() {
                let halves = self.g.reshape(&w, &[terms.into(), (1usize << level).into(), rank.into(), columns])?;
                w = self.near_and_far(level, &x, &halves)?;
            }
            let halves = self.g.reshape(&w, &[terms.into(), leaves.into(), rank.into(), columns])?;
            let u = self.block(levels, 'U')?;
            let far = self.g.matmul(&u, &halves)?;
            y = self.g.add(&y, &far)?;
        }
        let y = self.g.reshape(&y, &[terms.into(), (leaves * leaf_out).into(), columns])?;
        if layout.n_out() == leaves * leaf_out {
            return Ok(y);
        }
        let rows: Vec<usize> =
            (0..leaves).flat_map(|leaf| (0..layout.leaf_out(leaf).len()).map(move |i| leaf * leaf_out + i)).collect();
        self.g.gather(&y, 1, &format!("leaves/{}.level{levels}.out", layout.n_out()), &rows)
    }

    /// `D x + U w`.
    fn near_and_far(&mut self, level: usize, x: &Value, w: &Value) -> Result<Value, NnError> {
        let (d, u) = (self.block(level, 'D')?, self.block(level, 'U')?);
        let (near, far) = (self.g.matmul(&d, x)?, self.g.matmul(&u, w)?);
        self.g.add(&near, &far)
    }

    /// `[terms or 1, n, columns]` cut into leaves of `size` rows: `[terms or 1, leaves, size, columns]`.
    fn leaves(&mut self, x: &Value, size: usize) -> Result<Value, NnError> {
        let layout = &self.spec.modes()[self.mode];
        let (n, leaves) = (layout.n_in(), 1usize << layout.levels());
        let shape = [x.shape()[0], leaves.into(), size.into(), x.shape()[2]];
        if n == leaves * size {
            return self.g.reshape(x, &shape);
        }
        // Beyond the end of a leaf its last row stands in for what the blocks multiply by zero.
        let row = |leaf: usize, i: usize| {
            let range = layout.leaf_in(leaf);
            (range.start + i).min(range.end.max(range.start + 1) - 1).min(n - 1)
        };
        let rows: Vec<usize> =
            (0..leaves).flat_map(|leaf| (0..size).map(move |i| (leaf, i))).map(|(leaf, i)| row(leaf, i)).collect();
        let x = self.g.gather(x, 1, &format!("leaves/{n}.level{}.in", layout.levels()), &rows)?;
        self.g.reshape(&x, &shape)
    }
}
