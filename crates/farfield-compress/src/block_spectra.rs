//! The singular values of every block of a block tree of a weight: all that is needed to find the cheapest partition for any tolerance.
//!
//! A block is split into the children of its two clusters; one that is more than twice as long as wide is split along its length only. Singular
//! values come from the eigenvalues of the Gram matrix, which are off by about `1e-16 ||A||^2`, or, for tolerances near that, from a singular
//! value decomposition.
//!
//! Where a tolerance `T` is known beforehand, blocks that cannot be of use are passed over at the cost of a product. With `F = ||B||_F^2`
//! and `S = ||B^T B||_F^2 = sum sigma^4`, the Cauchy-Schwarz inequality gives `sum_{k <= r} sigma_k^2 <= sqrt(r S)`, so at rank `r` the squared error is at least
//! `F - sqrt(r S)`. If that exceeds `T^2` at the largest rank that would pay, no low-rank form of this block can be in a result. For a matrix
//! of independent entries this proves that nothing pays, with two products in place of an eigenvalue problem.
//!
//! Cost: O(m n min(m, n)), two thirds of it for the whole matrix; `m n / 8` numbers for leaves of 16.

use std::ops::Range;

use faer::{Mat, MatRef};
use farfield_matrix::ClusterTree;
use rayon::prelude::*;

use crate::dense::{gram, square_norm, symmetric_eigenvalues, to_matrix};

/// Fraction of its bytes that a weight must save to be replaced.
pub(crate) const MINIMUM_SAVING: f64 = 0.01;

/// One block.
#[derive(Debug)]
pub(crate) struct BlockNode {
    /// Its rows, in tree order.
    pub rows: Range<usize>,
    /// Its columns, in tree order.
    pub cols: Range<usize>,
    /// How often the matrix was split to make it.
    pub level: usize,
    /// Squares of its singular values, descending; `None` where no low-rank form can pay.
    pub squares: Option<Vec<f64>>,
    /// The blocks that it is split into; empty if it is not.
    pub children: Range<usize>,
}

/// All blocks; the first is the whole matrix, children come after their parents.
#[derive(Debug)]
pub(crate) struct BlockSpectra {
    pub nodes: Vec<BlockNode>,
}

/// How spectra are computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpectraOptions {
    /// Squared error that the whole matrix may have, if it is known.
    pub square_tolerance: Option<f64>,
    /// By singular value decompositions.
    pub accurate: bool,
}

/// What is known of the singular values of a block.
#[derive(Clone, Debug)]
pub(crate) enum Spectrum {
    /// Their squares, descending.
    Known(Vec<f64>),
    /// No rank within the tolerance saves enough: proven without them.
    CannotPay,
    /// The decomposition did not converge.
    Failed,
}

impl Spectrum {
    /// The squares, if they are known.
    pub fn known(self) -> Option<Vec<f64>> {
        match self {
            Spectrum::Known(squares) => Some(squares),
            Spectrum::CannotPay | Spectrum::Failed => None,
        }
    }
}

/// The singular values of `a`, where they are needed.
pub(crate) fn spectrum(a: MatRef<f64>, options: SpectraOptions) -> Spectrum {
    let (m, n) = (a.nrows(), a.ncols());
    if m.min(n) == 1 {
        return Spectrum::Known(vec![square_norm(a)]);
    }
    let exact = || match to_matrix(a).svd() {
        Ok(svd) => Spectrum::Known(svd.s.iter().map(|s| s * s).collect()),
        Err(_) => Spectrum::Failed,
    };
    if options.accurate && m.min(n) <= 64 {
        return exact();
    }
    let square = gram(a);
    if let Some(tolerance) = options.square_tolerance {
        let norm: f64 = (0..square.nrows()).map(|i| square[(i, i)]).sum();
        let rank = ((1.0 - MINIMUM_SAVING) * (m as f64) * (n as f64) / (m + n) as f64).floor();
        // Rounding: a relative 1e-12 of the norm is far above that of the product.
        if norm * (1.0 - 1e-12) - (rank * square_norm(square.as_ref())).sqrt() > tolerance {
            return Spectrum::CannotPay;
        }
    }
    if options.accurate {
        return exact();
    }
    match symmetric_eigenvalues(square.as_ref()) {
        Some(values) => Spectrum::Known(values.into_iter().map(|x| x.max(0.0)).collect()),
        None => exact(),
    }
}

impl BlockSpectra {
    /// The spectra of `a`, whose rows and columns are in the order of the trees. `whole` is the spectrum of `a`, if it was computed.
    pub fn new(
        a: MatRef<f64>,
        rows: &ClusterTree,
        cols: &ClusterTree,
        options: SpectraOptions,
        whole: Option<Spectrum>,
    ) -> Self {
        struct Pending {
            row: usize,
            col: usize,
        }
        let total = square_norm(a);
        let mut nodes: Vec<BlockNode> = Vec::new();
        let mut level = vec![Pending { row: 0, col: 0 }];
        let mut depth = 0;
        while !level.is_empty() {
            let found: Vec<(Option<Vec<f64>>, f64)> = level
                .par_iter()
                .map(|block| {
                    let (s, t) = (&rows.cluster(block.row).range, &cols.cluster(block.col).range);
                    let part = a.submatrix(s.start, t.start, s.len(), t.len());
                    let squares = match (&whole, depth) {
                        (Some(known), 0) => known.clone(),
                        _ => spectrum(part, options),
                    };
                    (squares.known(), square_norm(part))
                })
                .collect();
            let (first, count) = (nodes.len(), level.len());
            let mut next = Vec::new();
            for (block, (squares, norm)) in level.into_iter().zip(found) {
                let (row, col) = (rows.cluster(block.row), cols.cluster(block.col));
                // Nothing is gained by splitting a block of rank one, but where it is far below what is allowed.
                let density = options.square_tolerance.map_or(1e-26 * total, |t| 1e-4 * t) / a.nrows() as f64;
                let allowed = density / a.ncols() as f64 * (row.len() * col.len()) as f64;
                let simple =
                    norm <= allowed || squares.as_ref().is_some_and(|s| s.iter().skip(1).sum::<f64>() <= allowed);
                let mut children = 0..0;
                if !simple {
                    let split_rows = !row.is_leaf() && (2 * row.len() >= col.len() || col.is_leaf());
                    let split_cols = !col.is_leaf() && (2 * col.len() >= row.len() || row.is_leaf());
                    let parts = |split: bool, i: usize, children: &Range<usize>| {
                        if split { children.clone() } else { i..i + 1 }
                    };
                    if split_rows || split_cols {
                        let start = first + count + next.len();
                        for i in parts(split_rows, block.row, &row.children) {
                            for j in parts(split_cols, block.col, &col.children) {
                                next.push(Pending { row: i, col: j });
                            }
                        }
                        children = start..first + count + next.len();
                    }
                }
                let (rows, cols) = (row.range.clone(), col.range.clone());
                nodes.push(BlockNode { rows, cols, level: depth, squares, children });
            }
            level = next;
            depth += 1;
        }
        Self { nodes }
    }

    /// The singular values of the whole matrix alone: one block that is not split.
    pub fn whole(a: MatRef<f64>, squares: Option<Vec<f64>>) -> Self {
        Self { nodes: vec![BlockNode { rows: 0..a.nrows(), cols: 0..a.ncols(), level: 0, squares, children: 0..0 }] }
    }
}

/// A weight in the order of two trees.
pub(crate) fn in_tree_order(a: MatRef<f64>, rows: &ClusterTree, cols: &ClusterTree) -> Mat<f64> {
    crate::dense::reordered(a, rows.order(), cols.order())
}
