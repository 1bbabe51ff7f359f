//! H2-matrices in files: tree `rows` and, unless the matrix is kept as its half, tree `cols`; `ranks.rows` and `ranks.cols`, one a cluster; `far` and
//! `near`, row and column cluster of each block; `factor`, one number; `values`: the matrices of the row bases, of the column bases, the far blocks, the
//! near blocks, each column by column. Blocks that are recomputed in memory are stored in the file, and read back as stored.

use std::sync::Arc;

use faer::Mat;

use super::container::{Reader, Writer};
use super::{FileFormat, tree};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::h2::{ClusterBasis, H2Matrix, H2Parts};
use crate::scalar::Scalar;

impl<T: Scalar> FileFormat for H2Matrix<T> {
    const KIND: &'static str = "h2";
    const SCALAR: &'static str = if size_of::<T>() == 8 { "f64" } else { "f32" };

    fn write_to<'a>(&'a self, writer: &mut Writer<'a>) {
        let bases: Vec<(&str, &ClusterBasis<T>)> =
            [("rows", Some(self.row_basis())), ("cols", (!self.is_mirrored()).then(|| self.col_basis()))]
                .into_iter()
                .filter_map(|(name, basis)| basis.map(|b| (name, b)))
                .collect();
        let mut values = Vec::new();
        for (name, basis) in &bases {
            tree::write(writer, name, &basis.tree);
            let count = basis.tree.clusters().len();
            let ranks = (0..count).map(|i| basis.rank(i) as u64).collect();
            writer.integers(&format!("ranks.{name}"), &[count], ranks);
            for i in 0..count {
                let a = basis.matrix(i);
                values.extend((0..a.ncols()).flat_map(|j| (0..a.nrows()).map(move |i| a[(i, j)])));
            }
        }
        for (name, pairs) in [("far", self.far_pairs()), ("near", self.near_pairs())] {
            let flat = pairs.iter().flat_map(|&(s, t)| [s as u64, t as u64]).collect();
            writer.integers(name, &[pairs.len(), 2], flat);
        }
        let mut block = Vec::new();
        for i in 0..self.far_pairs().len() + self.near_pairs().len() {
            self.numbers(i, &mut block);
            values.extend_from_slice(&block);
        }
        writer.doubles("factor", &[1, 1], vec![self.factor().to_f64()]);
        writer.owned_values(values);
    }

    fn read_from(reader: &Reader) -> Result<Self, MatrixError> {
        let rows = Arc::new(tree::read(reader, "rows")?);
        let mirrored = !reader.has("ranks.cols");
        let cols = if mirrored { rows.clone() } else { Arc::new(tree::read(reader, "cols")?) };
        let all = reader.values::<T>()?;
        let mut values = all.as_slice();
        let row_basis = Arc::new(basis(reader, "ranks.rows", &rows, &mut values)?);
        let col_basis =
            if mirrored { row_basis.clone() } else { Arc::new(basis(reader, "ranks.cols", &cols, &mut values)?) };
        let pairs = |name: &str| {
            let flat = reader.integers(name, 2)?;
            let (pairs, _) = flat.as_chunks::<2>();
            if let Some([s, t]) = pairs.iter().find(|[s, t]| *s >= rows.clusters().len() || *t >= cols.clusters().len())
            {
                return Err(reader.damaged(format!("block ({s}, {t}) of tensor {name:?} is on no clusters")));
            }
            Ok(pairs.iter().map(|[s, t]| (*s, *t)).collect::<Vec<_>>())
        };
        let (far, near) = (pairs("far")?, pairs("near")?);
        if let Some((s, t)) = near.iter().find(|(s, t)| !rows.cluster(*s).is_leaf() || !cols.cluster(*t).is_leaf()) {
            return Err(reader.damaged(format!("the near block ({s}, {t}) is not one of leaves")));
        }
        let sizes = (far.iter().map(|&(s, t)| row_basis.rank(s) as u128 * col_basis.rank(t) as u128))
            .chain(near.iter().map(|&(s, t)| rows.cluster(s).len() as u128 * cols.cluster(t).len() as u128));
        let needed: u128 = sizes.sum();
        if needed != values.len() as u128 {
            let got = values.len();
            return Err(reader.damaged(format!("{got} values for blocks of {needed}")));
        }
        let factor = match reader.doubles("factor")?.0[..] {
            [factor] if factor.is_finite() => T::from_f64(factor),
            _ => return Err(reader.damaged("its factor is not one finite number")),
        };
        Ok(Self::from_parts(H2Parts {
            rows: row_basis,
            cols: col_basis,
            mirrored,
            far,
            near,
            values: values.to_vec(),
            factor,
        }))
    }
}

/// The bases of one tree, from the front of `values`.
fn basis<T: Scalar>(
    reader: &Reader,
    name: &str,
    tree: &Arc<ClusterTree>,
    values: &mut &[T],
) -> Result<ClusterBasis<T>, MatrixError> {
    let ranks = reader.integers(name, 1)?;
    if ranks.len() != tree.clusters().len() {
        let (got, expected) = (ranks.len(), tree.clusters().len());
        return Err(reader.damaged(format!("tensor {name:?} has {got} ranks for {expected} clusters")));
    }
    let mut matrices = Vec::with_capacity(ranks.len());
    for (cluster, &rank) in tree.clusters().iter().zip(&ranks) {
        let below = &ranks[cluster.children.clone()];
        let rows = if cluster.is_leaf() {
            Some(cluster.len())
        } else {
            below.iter().try_fold(0usize, |a, &b| a.checked_add(b))
        };
        let count = rows.and_then(|rows| rows.checked_mul(rank)).filter(|&count| count <= values.len());
        let (Some(rows), Some(count)) = (rows, count) else {
            return Err(reader.damaged(format!("there are fewer values than tensor {name:?} asks for")));
        };
        if rows == 0 && rank > 0 {
            return Err(reader.damaged(format!("a cluster without numbers below it has rank {rank}")));
        }
        let (head, rest) = values.split_at(count);
        *values = rest;
        matrices.push(Mat::from_fn(rows, rank, |i, j| head[i + j * rows]));
    }
    Ok(ClusterBasis::new(tree.clone(), matrices))
}
