//! Building H2-matrices to a tolerance.
//!
//! Bases are made for a first guess of how the tolerance distributes over clusters, the error is measured on sampled rows of the true matrix, and the bases are
//! made more accurate until it is below the tolerance.

use std::sync::Arc;

use farfield_kernels::PointCloud;
use rayon::prelude::*;

use super::H2Matrix;
use super::basis::ClusterBasis;
use super::chebyshev::chebyshev;
use super::check::RowSample;
use super::skeleton::{SkeletonOptions, Skeletons, skeletons};
use super::storage::{Blocks, Numbers, Recomputed};
use crate::accuracy::Accuracy;
use crate::block_tree::{Admissibility, BlockKind, BlockTree};
use crate::certificate::{Bound, Certificate, Confidence};
use crate::cluster_tree::{ClusterTree, Splitting};
use crate::entries::Entries;
use crate::error::MatrixError;
use crate::kernel_matrix::KernelMatrix;
use crate::scalar::Scalar;

/// How cluster bases are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum H2Basis {
    /// Skeletons by interpolative decomposition: smallest ranks, any entries.
    #[default]
    Skeleton,
    /// Tensor Chebyshev interpolation; needs a kernel.
    Chebyshev,
}

/// Where coupling and near blocks are between products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum H2Storage {
    /// In memory.
    #[default]
    Stored,
    /// In memory, in single precision: half the memory and half the time of a product, for tolerances above about 1e-7. Sums are in the precision of the matrix.
    StoredSingle,
    /// Nowhere: recomputed in every product. Needs a kernel; the kernel's cost decides whether this is faster than reading them.
    Recomputed,
}

/// How to build an H2-matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct H2Options {
    /// The error allowed. A cap bounds every rank.
    pub accuracy: Accuracy,
    /// How bases are made; skeletons by default.
    pub basis: H2Basis,
    /// Where blocks are; stored by default.
    pub storage: H2Storage,
    /// Most indices in a leaf; 100 by default. For builds that make the trees.
    pub leaf_size: usize,
    /// How clusters are split; in boxes by default. For builds that make the trees.
    pub splitting: Splitting,
    /// Far blocks have `max(diam s, diam t) <= eta dist(s, t)`; 1.8 by default.
    pub eta: f64,
    /// Probability with which the certificate may fail; 1e-3 by default.
    pub failure: f64,
    /// Of the random choices.
    pub seed: u64,
}

impl H2Options {
    /// The defaults, for this accuracy.
    pub fn new(accuracy: Accuracy) -> Self {
        Self {
            accuracy,
            basis: H2Basis::default(),
            storage: H2Storage::default(),
            leaf_size: 100,
            splitting: Splitting::Boxes,
            eta: 1.8,
            failure: 1e-3,
            seed: 0,
        }
    }

    fn check(&self) -> Result<(), MatrixError> {
        if !(self.failure > 0.0 && self.failure < 1.0) {
            let rule = "must lie between 0 and 1";
            return Err(MatrixError::Option { name: "failure", value: self.failure.to_string(), rule });
        }
        if !(self.eta > 0.0 && self.eta.is_finite()) {
            return Err(MatrixError::Option { name: "eta", value: self.eta.to_string(), rule: "must be positive" });
        }
        Ok(())
    }
}

/// Attempts with tighter bases.
const ATTEMPTS: usize = 12;

/// What a build works on.
struct Problem<'a, T> {
    entries: &'a dyn Entries<T>,
    kernel: Option<&'a KernelMatrix<T>>,
    rows: Arc<ClusterTree>,
    cols: Arc<ClusterTree>,
    mirrored: bool,
    far: Vec<(usize, usize)>,
    near: Vec<(usize, usize)>,
    /// Far clusters of every row cluster, and of every column cluster.
    partners: (Vec<Vec<usize>>, Vec<Vec<usize>>),
    options: &'a H2Options,
}

/// Bases, and what couples them.
struct Bases<T> {
    rows: Arc<ClusterBasis<T>>,
    cols: Arc<ClusterBasis<T>>,
    row_skeleton: Skeleton<T>,
    col_skeleton: Skeleton<T>,
    capped: bool,
}

#[derive(Clone)]
enum Skeleton<T> {
    Indices(Arc<Vec<usize>>),
    Nodes(PointCloud<T>),
}

impl<T: Scalar> H2Matrix<T> {
    /// The H2-matrix of a kernel matrix, on trees of its points.
    ///
    /// # Errors
    /// [`MatrixError::Tree`] for no points, [`MatrixError::Tolerance`] when a rank cap or rounding keeps the error above the tolerance,
    /// [`MatrixError::Memory`] beyond the budget, [`MatrixError::Option`] for options out of range, [`MatrixError::Entry`] for an entry
    /// that is not finite.
    pub fn from_kernel(kernel: &KernelMatrix<T>, options: &H2Options) -> Result<(Self, Certificate), MatrixError> {
        let tree = |points| {
            Ok::<_, MatrixError>(Arc::new(ClusterTree::geometric(points, options.leaf_size, options.splitting)?))
        };
        let rows = tree(kernel.row_points())?;
        let cols = if kernel.is_symmetric() { rows.clone() } else { tree(kernel.col_points())? };
        Problem::new(kernel, Some(kernel), rows, cols, kernel.is_symmetric(), options)?.solve()
    }

    /// The H2-matrix of any entries on trees that carry boxes ([`ClusterTree::geometric`], [`ClusterTree::with_points`]). Bases are skeletons. Entries that say
    /// that they are symmetric ([`Entries::is_symmetric`]) cost half when both trees are the same `Arc`; that they are is not checked, but for the sampled rows.
    ///
    /// # Errors
    /// As [`H2Matrix::from_kernel`]; [`MatrixError::Tree`] for trees that do not fit, [`MatrixError::Option`] for interpolation or recomputed
    /// blocks, which need a kernel.
    pub fn from_entries(
        entries: &dyn Entries<T>,
        rows: Arc<ClusterTree>,
        cols: Arc<ClusterTree>,
        options: &H2Options,
    ) -> Result<(Self, Certificate), MatrixError> {
        let rule = "needs a kernel matrix";
        if options.basis == H2Basis::Chebyshev {
            return Err(MatrixError::Option { name: "basis", value: "Chebyshev".to_owned(), rule });
        }
        if options.storage == H2Storage::Recomputed {
            return Err(MatrixError::Option { name: "storage", value: "Recomputed".to_owned(), rule });
        }
        let mirrored = entries.is_symmetric() && Arc::ptr_eq(&rows, &cols);
        Problem::new(entries, None, rows, cols, mirrored, options)?.solve()
    }
}

impl<'a, T: Scalar> Problem<'a, T> {
    fn new(
        entries: &'a dyn Entries<T>,
        kernel: Option<&'a KernelMatrix<T>>,
        rows: Arc<ClusterTree>,
        cols: Arc<ClusterTree>,
        mirrored: bool,
        options: &'a H2Options,
    ) -> Result<Self, MatrixError> {
        options.check()?;
        if (rows.len(), cols.len()) != (entries.nrows(), entries.ncols()) {
            let size = format!("{} x {} entries", entries.nrows(), entries.ncols());
            let reason = format!("{size} on trees of {} and {} indices", rows.len(), cols.len());
            return Err(MatrixError::Tree { reason });
        }
        let tree = BlockTree::new(&rows, &cols, Admissibility::StrongMax { eta: options.eta })?;
        let (mut far, mut near) = (Vec::new(), Vec::new());
        let mut partners = (vec![Vec::new(); rows.clusters().len()], vec![Vec::new(); cols.clusters().len()]);
        for (_, block) in tree.leaves() {
            let (s, t) = (block.row, block.col);
            let low_rank = block.kind == BlockKind::LowRank;
            if low_rank {
                partners.0[s].push(t);
                partners.1[t].push(s);
            }
            let empty = rows.cluster(s).is_empty() || cols.cluster(t).is_empty();
            if !empty && (!mirrored || s <= t) {
                if low_rank { far.push((s, t)) } else { near.push((s, t)) }
            }
        }
        // Neighbours in memory one after the other.
        far.sort_unstable();
        near.sort_unstable();
        Ok(Self { entries, kernel, rows, cols, mirrored, far, near, partners, options })
    }

    fn solve(self) -> Result<(H2Matrix<T>, Certificate), MatrixError> {
        let options = self.options;
        let near: usize = self.near.iter().map(|&(s, t)| self.rows.cluster(s).len() * self.cols.cluster(t).len()).sum();
        self.within_budget(0, near)?;
        let sample = RowSample::new(self.entries, &self.far_rows(), options.seed)?;
        let norm = sample.norm();
        let tolerance = options.accuracy.absolute_for(norm);
        // Where skeletons start: nested bases hand on errors of the levels below, and the bound is above the error.
        let (mut factor, mut samples, mut order) = (0.1, 6.0, 3);
        let mut reached = f64::INFINITY;
        // All attempts are judged on the same rows: each gets half of the failure probability that is left, the check in single precision the last half.
        let mut failure = options.failure;
        for _ in 0..ATTEMPTS {
            failure *= 0.5;
            let bases = self.bases(factor * tolerance, samples, order)?;
            self.within_budget(self.bases_stored(&bases), near + self.coupling(&bases))?;
            let capped = bases.capped;
            let mut h = self.assemble(&bases, options.storage);
            self.finite(&h, &bases)?;
            let bound = sample.bound(&h, failure);
            reached = bound.value;
            let mut bound = bound;
            if bound.value <= tolerance {
                if let (Some(_), true) = (self.kernel, options.storage != H2Storage::Recomputed) {
                    h = self.stored(h);
                    self.finite(&h, &bases)?;
                }
                let double = bound.value;
                if options.storage == H2Storage::StoredSingle {
                    bound = sample.bound(&h, failure);
                    reached = bound.value;
                }
                if bound.value <= tolerance {
                    let bound = match bound.confidence {
                        Confidence::Proven => bound,
                        Confidence::Probabilistic { .. } => Bound::probabilistic(bound.value, options.failure),
                    };
                    let certificate = h.certify(bound, norm);
                    return Ok((h, certificate));
                }
                // Tighter bases help only where they have a part in the error.
                if double < 0.5 * tolerance {
                    let limit = "blocks in single precision".to_owned();
                    return Err(MatrixError::Tolerance { what: "H2-matrix", tolerance, reached, limit });
                }
            }
            if capped || order >= self.largest_order() {
                let limit = match options.accuracy.rank_cap() {
                    Some(cap) => format!("rank cap {cap}"),
                    None => format!("interpolation of order {order}"),
                };
                return Err(MatrixError::Tolerance { what: "H2-matrix", tolerance, reached, limit });
            }
            factor *= (0.6 * tolerance / bound.value).clamp(0.05, 0.6);
            samples *= if bound.value < 2.0 * tolerance { 1.2 } else { 1.5 };
            order += 1 + usize::from(bound.value > 30.0 * tolerance);
        }
        let limit = format!("{ATTEMPTS} attempts with tighter bases");
        Err(MatrixError::Tolerance { what: "H2-matrix", tolerance, reached, limit })
    }

    /// The rows, in the user's numbers, that lie in a far block.
    fn far_rows(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = Vec::new();
        let mut far = vec![false; self.rows.clusters().len()];
        for (s, c) in self.rows.clusters().iter().enumerate() {
            far[s] = c.parent.is_some_and(|p| far[p])
                || self.partners.0[s].iter().any(|&t| !self.cols.cluster(t).is_empty());
            if c.is_leaf() && far[s] {
                rows.extend(self.rows.indices(s));
            }
        }
        rows.sort_unstable();
        rows
    }

    fn largest_order(&self) -> usize {
        match self.options.basis {
            H2Basis::Skeleton => usize::MAX,
            H2Basis::Chebyshev => {
                let dim = self.kernel.map_or(1, |k| k.row_points().dim()) as u32;
                let cap = self.options.accuracy.rank_cap().unwrap_or(usize::MAX);
                (1..=24usize).take_while(|p| p.checked_pow(dim).is_some_and(|k| k <= cap.min(8000))).last().unwrap_or(1)
            }
        }
    }

    /// Bases whose errors add up to about `tolerance`.
    fn bases(&self, tolerance: f64, samples: f64, order: usize) -> Result<Bases<T>, MatrixError> {
        if let (H2Basis::Chebyshev, Some(kernel)) = (self.options.basis, self.kernel) {
            let order = order.min(self.largest_order());
            let (rows, row_nodes) = chebyshev(&self.rows, kernel.row_points(), &self.partners.0, order);
            let rows = Arc::new(rows);
            let (cols, col_nodes) = if self.mirrored {
                (rows.clone(), row_nodes.clone())
            } else {
                let (cols, nodes) = chebyshev(&self.cols, kernel.col_points(), &self.partners.1, order);
                (Arc::new(cols), nodes)
            };
            let (row_skeleton, col_skeleton) = (Skeleton::Nodes(row_nodes), Skeleton::Nodes(col_nodes));
            return Ok(Bases { rows, cols, row_skeleton, col_skeleton, capped: false });
        }
        let options = SkeletonOptions {
            tolerance: tolerance * 0.5f64.sqrt(),
            samples,
            cap: self.options.accuracy.rank_cap().unwrap_or(usize::MAX),
            seed: self.options.seed,
        };
        let by_columns =
            |candidates: &[usize], samples: &[usize], out: &mut [T]| self.entries.block(samples, candidates, out);
        let by_rows = |candidates: &[usize], samples: &[usize], out: &mut [T]| {
            let mut block = vec![T::ZERO; out.len()];
            self.entries.block(candidates, samples, &mut block);
            for (sample, row) in block.chunks_exact(candidates.len().max(1)).enumerate() {
                for (candidate, &x) in row.iter().enumerate() {
                    out[candidate * samples.len() + sample] = x;
                }
            }
        };
        let Skeletons { basis, indices, capped } = if self.mirrored {
            skeletons(&self.rows, &self.cols, &self.partners.0, &by_columns, options)
        } else {
            skeletons(&self.rows, &self.cols, &self.partners.0, &by_rows, options)
        };
        let (rows, row_skeleton) = (Arc::new(basis), Skeleton::Indices(Arc::new(indices)));
        if self.mirrored {
            return Ok(Bases { cols: rows.clone(), rows, col_skeleton: row_skeleton.clone(), row_skeleton, capped });
        }
        let other = skeletons(&self.cols, &self.rows, &self.partners.1, &by_columns, options);
        let (cols, col_skeleton) = (Arc::new(other.basis), Skeleton::Indices(Arc::new(other.indices)));
        Ok(Bases { rows, cols, row_skeleton, col_skeleton, capped: capped || other.capped })
    }

    /// Numbers in coupling blocks.
    fn coupling(&self, bases: &Bases<T>) -> usize {
        self.far.iter().map(|&(s, t)| bases.rows.rank(s) * bases.cols.rank(t)).sum()
    }

    /// Numbers in bases.
    fn bases_stored(&self, bases: &Bases<T>) -> usize {
        bases.rows.stored() + if self.mirrored { 0 } else { bases.cols.stored() }
    }

    /// `Ok` when so many numbers in bases and in blocks are within the budget.
    fn within_budget(&self, bases: usize, blocks: usize) -> Result<(), MatrixError> {
        let what = "H2-matrix";
        let of_blocks = match self.options.storage {
            H2Storage::Recomputed => 0,
            H2Storage::Stored => blocks.saturating_mul(size_of::<T>()),
            H2Storage::StoredSingle => blocks.saturating_mul(4),
        };
        let needed = bases.saturating_mul(size_of::<T>()).saturating_add(of_blocks);
        self.options.accuracy.check_memory(what, needed)
    }

    /// The matrix with these bases. That of a kernel has its blocks recomputed, whatever is asked for.
    fn assemble(&self, bases: &Bases<T>, storage: H2Storage) -> H2Matrix<T> {
        let mut h = H2Matrix {
            rows: bases.rows.clone(),
            cols: bases.cols.clone(),
            mirrored: self.mirrored,
            far: self.far.clone(),
            near: self.near.clone(),
            blocks: Blocks::Stored { starts: Arc::new(vec![0]), numbers: Arc::new(Numbers::Full(Vec::new())) },
            factor: T::ONE,
        };
        if let Some(kernel) = self.kernel {
            let gathered = |skeleton: &Skeleton<T>, cloud: &PointCloud<T>| match skeleton {
                Skeleton::Indices(indices) => cloud.gather(indices),
                Skeleton::Nodes(nodes) => nodes.clone(),
            };
            h.blocks = Blocks::Recomputed(Arc::new(Recomputed {
                evaluator: kernel.evaluator().clone(),
                row_points: kernel.row_cloud().gather(self.rows.order()),
                col_points: kernel.col_cloud().gather(self.cols.order()),
                row_skeletons: gathered(&bases.row_skeleton, kernel.row_cloud()),
                col_skeletons: gathered(&bases.col_skeleton, kernel.col_cloud()),
            }));
            return h;
        }
        let (Skeleton::Indices(rows), Skeleton::Indices(cols)) = (&bases.row_skeleton, &bases.col_skeleton) else {
            return h;
        };
        h.blocks = blocks(&h, storage, |i, out| {
            let (s, t) = h.pair(i);
            let (m, n) = h.size(i);
            out.resize(m * n, T::ZERO);
            if i < h.far.len() {
                self.entries.block(&rows[h.rows.coefficients(s)], &cols[h.cols.coefficients(t)], out);
            } else {
                self.entries.block(self.rows.indices(s), self.cols.indices(t), out);
            }
        });
        h
    }

    /// # Errors
    /// [`MatrixError::Entry`] for a stored number that is not finite.
    fn finite(&self, h: &H2Matrix<T>, bases: &Bases<T>) -> Result<(), MatrixError> {
        let Blocks::Stored { starts, numbers } = &h.blocks else { return Ok(()) };
        let found = match &**numbers {
            Numbers::Full(x) => x.iter().position(|x| !Scalar::is_finite(*x)).map(|at| (at, x[at].to_f64())),
            Numbers::Single(x) => x.iter().position(|x| !x.is_finite()).map(|at| (at, f64::from(x[at]))),
        };
        let Some((at, value)) = found else { return Ok(()) };
        let i = starts.partition_point(|&start| start <= at) - 1;
        let ((s, t), m) = (h.pair(i), h.size(i).0);
        let (row, col) = ((at - starts[i]) % m, (at - starts[i]) / m);
        let far = i < h.far.len();
        let index = |skeleton: &Skeleton<T>, basis: &ClusterBasis<T>, cluster: usize, k: usize| match skeleton {
            Skeleton::Indices(indices) if far => indices[basis.coefficients(cluster).start + k],
            // The coupling of nodes belongs to no entry; its cluster does.
            _ => basis.tree.indices(cluster)[if far { 0 } else { k }],
        };
        let row = index(&bases.row_skeleton, &h.rows, s, row);
        let col = index(&bases.col_skeleton, &h.cols, t, col);
        Err(MatrixError::Entry { row, col, value })
    }

    /// The same with stored blocks.
    fn stored(&self, h: H2Matrix<T>) -> H2Matrix<T> {
        let blocks = blocks(&h, self.options.storage, |i, out| h.numbers(i, out));
        H2Matrix { blocks, ..h }
    }
}

/// All blocks, in the precision that the storage asks for.
fn blocks<T: Scalar>(h: &H2Matrix<T>, storage: H2Storage, fill: impl Fn(usize, &mut Vec<T>) + Sync) -> Blocks<T> {
    let mut starts = vec![0];
    for i in 0..h.far.len() + h.near.len() {
        let (m, n) = h.size(i);
        starts.push(starts[i] + m * n);
    }
    let single = storage == H2Storage::StoredSingle;
    let total = starts[starts.len() - 1];
    let numbers = if single {
        Numbers::Single(filled(total, &starts, &fill, |x| x.to_f64() as f32))
    } else {
        Numbers::Full(filled(total, &starts, &fill, |x| x))
    };
    Blocks::Stored { starts: Arc::new(starts), numbers: Arc::new(numbers) }
}

fn filled<T: Scalar, P: Copy + Default + Send>(
    total: usize,
    starts: &[usize],
    fill: &(impl Fn(usize, &mut Vec<T>) + Sync),
    convert: impl Fn(T) -> P + Sync,
) -> Vec<P> {
    let mut out = vec![P::default(); total];
    let (mut parts, mut rest) = (Vec::with_capacity(starts.len()), out.as_mut_slice());
    for i in 0..starts.len() - 1 {
        let (part, tail) = rest.split_at_mut(starts[i + 1] - starts[i]);
        parts.push((i, part));
        rest = tail;
    }
    parts.into_par_iter().for_each_init(Vec::new, |scratch, (i, part)| {
        scratch.clear();
        fill(i, scratch);
        for (to, &x) in part.iter_mut().zip(scratch.iter()) {
            *to = convert(x);
        }
    });
    out
}
