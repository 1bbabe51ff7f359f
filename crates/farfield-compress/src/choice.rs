//! The form of one weight: the cheapest of {dense, truncated singular value decomposition, dense and low-rank blocks} that meets the tolerance.
//!
//! Bytes count in full: numbers, the table of blocks, the orders of rows and columns, and the text in the header of the file. A form must save at
//! least a hundredth of the bytes of the weight, else the weight stays as it is. Whatever a spectrum promised, a form is taken only when the error of its
//! rounded factors, measured and proven (see [`factors`](crate::factors)), is within the tolerance; where rounding to the type of the weight takes a part of it,
//! the truncation gets the rest.

use faer::{Mat, MatRef};
use farfield_matrix::{Certificate, ClusterTree, Matrix, MatrixError, norm_2};
use serde::Serialize;

use crate::block_spectra::{BlockSpectra, MINIMUM_SAVING, SpectraOptions, Spectrum, in_tree_order, spectrum};
use crate::compressed_matrix::CompressedMatrix;
use crate::dense::{from_matrix, reordered, square_norm, to_matrix};
use crate::error::CompressError;
use crate::factors::{Orders, factors};
use crate::layout::{self, ErrorNorm, StoredKind};
use crate::number::NumberType;
use crate::similarity::Rows;
use crate::water_filling::{Plan, PlannedBlock, Prices};

/// Below this `|cos|` of typical nearest rows, an order by similarity is not tried.
const SIMILAR: f64 = 0.3;

/// Squared norms outside this range cannot be worked with in double precision.
const SQUARE_RANGE: std::ops::Range<f64> = 1e-200..1e250;

/// Forms of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// As it is.
    Dense,
    /// A truncated singular value decomposition.
    Svd,
    /// Dense and low-rank blocks, rows and columns in their own order.
    H,
    /// Dense and low-rank blocks, rows and columns reordered by similarity.
    HReordered,
}

/// What a form would cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alternative {
    /// The form.
    pub form: Form,
    /// Bytes with their share of the header; `None` where it was not worked out, see `note`.
    pub bytes: Option<u64>,
    /// Why there are no bytes, or why it was not taken in spite of them.
    pub note: Option<String>,
}

/// How one matrix is compressed.
#[derive(Clone, Copy, Debug)]
pub struct MatrixOptions {
    /// Error allowed, relative to the norm of the matrix; between 0 and 1.
    pub tolerance: f64,
    /// That norm. Default: Frobenius.
    pub norm: ErrorNorm,
    /// Type of the stored numbers. Default: `f64`.
    pub number: NumberType,
    /// Rows and columns of the smallest blocks, at most. Default: 16.
    pub leaf_size: usize,
    /// Whether rows and columns may be reordered. Default: yes.
    pub reorder: bool,
}

impl MatrixOptions {
    /// The defaults for a tolerance.
    pub fn new(tolerance: f64) -> Self {
        let (norm, number) = (ErrorNorm::Frobenius, NumberType::F64);
        Self { tolerance, norm, number, leaf_size: 16, reorder: true }
    }
}

/// The form of one matrix.
#[derive(Clone, Debug)]
pub struct MatrixChoice {
    /// The cheapest form.
    pub form: Form,
    /// The factors with their certificate; `None` for the dense form.
    pub stored: Option<(CompressedMatrix, Certificate)>,
    /// Bytes in a file, with their share of its header.
    pub bytes: usize,
    /// Bytes of the dense form.
    pub dense_bytes: usize,
    /// Norm of the matrix that errors are relative to.
    pub norm: f64,
    /// Bytes of every form.
    pub alternatives: Vec<Alternative>,
    /// Why this form.
    pub reason: String,
}

/// The cheapest form of a matrix in memory: what [`compress_file`](crate::compress_file) does with each weight. Its entries should be numbers of the type in
/// which they are to be stored; what rounding them takes counts as error.
///
/// ```
/// use farfield_compress::{Form, MatrixOptions, compress_matrix};
/// use farfield_matrix::Matrix;
/// let a = Matrix::from_fn(64, 64, |i, j| 1.0 / (1.0 + (i + j) as f64));
/// let choice = compress_matrix(&a, MatrixOptions::new(1e-3))?;
/// let (factors, certificate) = choice.stored.ok_or("dense")?;
/// assert_eq!((choice.form, factors.max_rank()), (Form::Svd, 5));
/// assert!(certificate.frobenius.value <= 1e-3 * choice.norm);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`CompressError::Option`] for a tolerance outside 0 to 1 or a leaf size of 0, [`CompressError::Matrix`] for an entry that is not finite, [`CompressError::Shape`] for a
/// matrix without entries.
pub fn compress_matrix(a: &Matrix<f64>, options: MatrixOptions) -> Result<MatrixChoice, CompressError> {
    let MatrixOptions { tolerance, norm, number, leaf_size, reorder } = options;
    if !(0.0..1.0).contains(&tolerance) {
        return Err(CompressError::option("tolerance", tolerance, "a tolerance must be at least 0 and below 1"));
    }
    if leaf_size == 0 {
        return Err(CompressError::option("leaf_size", leaf_size, "must be at least 1"));
    }
    if let Some((row, col)) = a.first_non_finite() {
        return Err(MatrixError::Entry { row, col, value: a[(row, col)] }.into());
    }
    if a.nrows() == 0 || a.ncols() == 0 {
        return Err(CompressError::shape("matrix", format!("{} x {}", a.nrows(), a.ncols()), "at least one entry"));
    }
    let weight = Weight::new("w", &[a.nrows(), a.ncols()], number, from_matrix(a), norm);
    let absolute = weight.absolute(tolerance);
    let candidates = Candidates::new(&weight, ChoiceOptions { norm, leaf_size, reorder }, Some(absolute));
    let Settled { form, stored, bytes, alternatives, reason } =
        candidates.settle(&weight, norm, Target::Error(absolute));
    let (dense_bytes, norm) = (candidates.dense_bytes, weight.norm);
    Ok(MatrixChoice { form, stored, bytes, dense_bytes, norm, alternatives, reason })
}

/// A weight to be compressed.
pub(crate) struct Weight {
    pub name: String,
    pub shape: Vec<usize>,
    pub number: NumberType,
    pub matrix: Mat<f64>,
    pub frobenius: f64,
    /// In the norm in which errors are measured: not above it, whatever rounds.
    pub norm: f64,
}

/// How candidates are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChoiceOptions {
    pub norm: ErrorNorm,
    pub leaf_size: usize,
    pub reorder: bool,
}

/// One form that a weight may take, with what is needed to plan it.
struct Candidate {
    form: Form,
    spectra: BlockSpectra,
    orders: Orders,
    /// Bytes beside those of the plan.
    fixed: usize,
    prices: Prices,
}

/// All forms of a weight.
pub(crate) struct Candidates {
    list: Vec<Candidate>,
    /// Forms that were not looked into.
    passed: Vec<Alternative>,
    pub dense_bytes: usize,
}

/// What a weight must become.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// An absolute error of at most this.
    Error(f64),
    /// Whatever is cheapest where a squared Frobenius error, times the importance, costs this much.
    Price { lambda: f64, importance: f64 },
}

/// What became of a weight.
pub(crate) struct Settled {
    pub form: Form,
    pub stored: Option<(CompressedMatrix, Certificate)>,
    pub bytes: usize,
    pub alternatives: Vec<Alternative>,
    pub reason: String,
}

impl Weight {
    pub fn new(name: &str, shape: &[usize], number: NumberType, matrix: Mat<f64>, norm: ErrorNorm) -> Self {
        let frobenius = square_norm(matrix.as_ref()).sqrt();
        let (m, n) = (matrix.nrows(), matrix.ncols());
        // A sum of squares, columns of m and then n of them, is relatively wrong by at most (m + n) u; its root by half of that. A power iteration never exceeds the
        // norm but for the rounding of its products.
        let below = 1.0 - (m + n + 8) as f64 * f64::EPSILON;
        let norm = match norm {
            ErrorNorm::Frobenius => frobenius * below,
            ErrorNorm::Spectral => {
                let at_least = frobenius / (m.min(n) as f64).sqrt();
                norm_2(&to_matrix(matrix.as_ref()), 1e-6, 0).unwrap_or(at_least).max(at_least) * below
            }
        };
        Self { name: name.to_owned(), shape: shape.to_vec(), number, matrix, frobenius, norm }
    }

    /// The absolute error that a relative one allows, less what its own rounding may take.
    pub fn absolute(&self, tolerance: f64) -> f64 {
        tolerance * self.norm * (1.0 - 4.0 * f64::EPSILON)
    }

    fn a(&self) -> MatRef<'_, f64> {
        self.matrix.as_ref()
    }
}

fn passed(form: Form, note: impl Into<String>) -> Alternative {
    Alternative { form, bytes: None, note: Some(note.into()) }
}

impl Candidates {
    /// The forms of a weight. `tolerance` is the absolute error that will be asked for, if it is known.
    pub fn new(weight: &Weight, options: ChoiceOptions, tolerance: Option<f64>) -> Self {
        let (m, n) = (weight.matrix.nrows(), weight.matrix.ncols());
        let size = weight.number.size();
        let dense_bytes = m * n * size + layout::copied_header_bytes(&weight.name, &weight.shape);
        let mut out = Self { list: Vec::new(), passed: Vec::new(), dense_bytes };
        let all = [Form::Svd, Form::H, Form::HReordered];
        let mut none = |note: &str| out.passed = all.map(|form| passed(form, note)).into();
        let square = weight.frobenius * weight.frobenius;
        if tolerance == Some(0.0) && weight.frobenius > 0.0 {
            none("a tolerance of zero asks for an exact copy");
            return out;
        }
        if square != 0.0 && !SQUARE_RANGE.contains(&square) {
            none("its numbers are too large or too small");
            return out;
        }
        let svd_header = layout::header_bytes(&weight.name, &weight.shape, StoredKind::Svd);
        if svd_header >= dense_bytes {
            none("its header alone would take more bytes");
            return out;
        }
        // In the Frobenius norm: an error of `t` in the 2-norm is at most sqrt(k) t.
        let spread = if options.norm == ErrorNorm::Spectral { m.min(n) as f64 } else { 1.0 };
        let square_tolerance = tolerance.map(|t| t * t * spread);
        let accurate = square_tolerance.is_some_and(|t| t < 1e-10 * square);
        let spectra_options = SpectraOptions { square_tolerance, accurate };
        let whole = spectrum(weight.a(), spectra_options);
        let prices = |block: usize| Prices { number: size as f64, block: block as f64, importance: 1.0 };
        match &whole {
            Spectrum::CannotPay => out
                .passed
                .push(passed(Form::Svd, "proven to save less than a hundredth at any rank within the tolerance")),
            Spectrum::Failed => out.passed.push(passed(Form::Svd, "its singular values did not converge")),
            Spectrum::Known(squares) => out.list.push(Candidate {
                form: Form::Svd,
                spectra: BlockSpectra::whole(weight.a(), Some(squares.clone())),
                orders: Orders::default(),
                fixed: svd_header,
                prices: prices(0),
            }),
        }
        let h_header = layout::header_bytes(&weight.name, &weight.shape, StoredKind::H);
        let block = layout::block_bytes(m, n);
        let leaf = options.leaf_size;
        if m.min(n) < 2 * leaf || h_header + block >= dense_bytes {
            out.passed.extend([Form::H, Form::HReordered].map(|form| passed(form, "too small for blocks")));
            return out;
        }
        let (Ok(rows), Ok(cols)) = (ClusterTree::bisection(m, leaf), ClusterTree::bisection(n, leaf)) else {
            return out;
        };
        let spectra = BlockSpectra::new(weight.a(), &rows, &cols, spectra_options, Some(whole.clone()));
        out.list.push(Candidate {
            form: Form::H,
            spectra,
            orders: Orders::default(),
            fixed: h_header,
            prices: prices(block),
        });
        if !options.reorder {
            out.passed.push(passed(Form::HReordered, "not asked for"));
            return out;
        }
        let by_rows = Rows::new(weight.a());
        let by_cols = Rows::new(weight.a().transpose());
        let (row_cosine, col_cosine) = (by_rows.typical(), by_cols.typical());
        if row_cosine < SIMILAR && col_cosine < SIMILAR {
            let note =
                format!("no row or column is like another: the nearest have |cos| {:.2}", row_cosine.max(col_cosine));
            out.passed.push(passed(Form::HReordered, note));
            return out;
        }
        let (Some(rows), Some(cols)) = (by_rows.tree(leaf), by_cols.tree(leaf)) else { return out };
        drop((by_rows, by_cols));
        let inside = in_tree_order(weight.a(), &rows, &cols);
        let spectra = BlockSpectra::new(inside.as_ref(), &rows, &cols, spectra_options, Some(whole));
        out.list.push(Candidate {
            form: Form::HReordered,
            spectra,
            orders: Orders { rows: Some(rows.order().to_vec()), cols: Some(cols.order().to_vec()) },
            fixed: h_header + layout::order_bytes(m, n),
            prices: prices(block),
        });
        out
    }

    /// Bytes of the cheapest plan at a price, and the squared Frobenius error of it.
    pub fn bytes_at(&self, lambda: f64, importance: f64) -> (f64, f64) {
        let price = lambda * importance;
        let mut best = (self.dense_bytes as f64, 0.0);
        for candidate in &self.list {
            let plan = candidate.plan_at(lambda, importance);
            let bytes = plan.bytes + candidate.fixed as f64;
            if bytes + price * plan.square_error < best.0 + price * best.1 {
                best = (bytes, plan.square_error);
            }
        }
        best
    }

    /// Takes the cheapest form.
    pub fn settle(&self, weight: &Weight, norm: ErrorNorm, target: Target) -> Settled {
        let mut alternatives =
            vec![Alternative { form: Form::Dense, bytes: Some(self.dense_bytes as u64), note: None }];
        let mut plans: Vec<(f64, f64, &Candidate, Plan)> = Vec::new();
        for candidate in &self.list {
            let (plan, value) = match target {
                Target::Error(t) => {
                    let plan = candidate.plan_for(weight, t, norm);
                    let bytes = plan.bytes + candidate.fixed as f64;
                    (plan, bytes)
                }
                Target::Price { lambda, importance } => {
                    let plan = candidate.plan_at(lambda, importance);
                    let value = plan.bytes + candidate.fixed as f64 + lambda * importance * plan.square_error;
                    (plan, value)
                }
            };
            let bytes = plan.bytes + candidate.fixed as f64;
            let mut note = None;
            match plan.blocks[..] {
                _ if candidate.form == Form::Svd => {}
                [PlannedBlock { rank: None, .. }] => note = Some("no partition pays".to_owned()),
                [_] => note = Some("the same as svd".to_owned()),
                _ => {}
            }
            alternatives.push(Alternative { form: candidate.form, bytes: Some(bytes as u64), note: note.clone() });
            if note.is_none() {
                plans.push((value, bytes, candidate, plan));
            }
        }
        alternatives.extend(self.passed.iter().cloned());
        plans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let dense = self.dense_bytes as f64;
        let limit = match target {
            Target::Error(_) => dense * (1.0 - MINIMUM_SAVING),
            Target::Price { .. } => dense,
        };
        let mut best: Option<(usize, Form, (CompressedMatrix, Certificate))> = None;
        for (value, bytes, candidate, plan) in &plans {
            if *value >= limit || best.as_ref().is_some_and(|(found, ..)| *found as f64 <= *bytes) {
                break;
            }
            let found = match target {
                Target::Error(t) => candidate.meet(weight, plan, t, norm),
                Target::Price { .. } => candidate.factors(weight, plan, norm),
            };
            let stored = found.map(|(matrix, certificate)| (candidate.bytes_of(&matrix), matrix, certificate));
            match stored {
                Some((bytes, matrix, certificate)) if (bytes as f64) < limit => {
                    if best.as_ref().is_none_or(|(found, ..)| bytes < *found) {
                        best = Some((bytes, candidate.form, (matrix, certificate)));
                    }
                }
                _ => {
                    let note = "rounding its factors to the type of the weight takes more than the tolerance leaves";
                    let entry = alternatives.iter_mut().find(|a| a.form == candidate.form);
                    if let Some(entry) = entry {
                        entry.note = Some(note.to_owned());
                    }
                }
            }
        }
        let (form, bytes, stored) = match best {
            Some((bytes, form, stored)) => (form, bytes, Some(stored)),
            None => (Form::Dense, self.dense_bytes, None),
        };
        // What was measured in place of what was planned.
        if let Some(entry) = alternatives.iter_mut().find(|a| a.form == form) {
            entry.bytes = Some(bytes as u64);
        }
        let reason = reason(form, bytes, &alternatives);
        Settled { form, stored, bytes, alternatives, reason }
    }
}

/// Why a form was chosen, in words.
fn reason(form: Form, bytes: usize, alternatives: &[Alternative]) -> String {
    let next = alternatives.iter().filter(|a| a.form != form && a.note.is_none()).filter_map(|a| a.bytes).min();
    match (form, next) {
        (Form::Dense, None) => match alternatives.iter().find_map(|a| a.note.clone()) {
            Some(note) => format!("nothing pays: {note}"),
            None => "nothing pays".to_owned(),
        },
        (Form::Dense, Some(next)) => format!("nothing pays: the next best takes {next} bytes"),
        (_, Some(next)) => format!("{bytes} bytes, the next best takes {next}"),
        (_, None) => format!("{bytes} bytes"),
    }
}

impl Candidate {
    fn prices(&self, importance: f64) -> Prices {
        Prices { importance, ..self.prices }
    }

    fn plan_at(&self, lambda: f64, importance: f64) -> Plan {
        self.spectra.plan_at(lambda, self.prices(importance))
    }

    /// The plan for an absolute error, but for what rounding of the factors takes.
    fn plan_for(&self, weight: &Weight, tolerance: f64, norm: ErrorNorm) -> Plan {
        match (norm, self.form) {
            (ErrorNorm::Spectral, Form::Svd) => self.svd_plan(tolerance),
            _ => {
                let rounding = 0.5 * weight.number.unit_roundoff() * weight.frobenius;
                let square = tolerance * tolerance;
                self.spectra.plan_for((square - rounding * rounding).max(0.25 * square), self.prices(1.0))
            }
        }
    }

    /// The smallest rank with an error of at most `tolerance` in the 2-norm.
    fn svd_plan(&self, tolerance: f64) -> Plan {
        let node = &self.spectra.nodes[0];
        let squares = node.squares.as_deref().unwrap_or_default();
        let rank = squares.partition_point(|&s| s > tolerance * tolerance);
        let bytes = rank as f64 * (node.rows.len() + node.cols.len()) as f64 * self.prices.number;
        let square_error = squares[rank..].iter().sum();
        Plan { blocks: vec![PlannedBlock { node: 0, rank: Some(rank) }], bytes, square_error }
    }

    fn factors(&self, weight: &Weight, plan: &Plan, norm: ErrorNorm) -> Option<(CompressedMatrix, Certificate)> {
        let spectral = norm == ErrorNorm::Spectral;
        let orders = self.orders.clone();
        match (&orders.rows, &orders.cols) {
            (Some(rows), Some(cols)) => {
                let inside = reordered(weight.a(), rows, cols);
                factors(inside.as_ref(), &self.spectra, plan, orders, weight.number, spectral)
            }
            _ => factors(weight.a(), &self.spectra, plan, orders, weight.number, spectral),
        }
    }

    /// Factors whose proven error is at most `tolerance`, from a plan that should have it.
    fn meet(
        &self,
        weight: &Weight,
        plan: &Plan,
        tolerance: f64,
        norm: ErrorNorm,
    ) -> Option<(CompressedMatrix, Certificate)> {
        if norm == ErrorNorm::Spectral {
            return self.meet_spectral(weight, plan, tolerance);
        }
        let square = tolerance * tolerance;
        let mut plan = plan.clone();
        for _ in 0..5 {
            let (matrix, certificate) = self.factors(weight, &plan, norm)?;
            let error = certificate.frobenius.value;
            if error <= tolerance {
                return Some((matrix, certificate));
            }
            // What truncation did not do, rounding did.
            let excess = (error * error - plan.square_error).max(error * error - square);
            let left = (square - 1.1 * excess).min(0.9 * plan.square_error);
            if left <= 0.0 {
                return None;
            }
            plan = self.spectra.plan_for(left, self.prices(1.0));
        }
        None
    }

    /// As [`Self::meet`] in the 2-norm, which is known only when the factors are there: from the coarsest plan to that whose Frobenius error is
    /// within the tolerance.
    fn meet_spectral(&self, weight: &Weight, plan: &Plan, tolerance: f64) -> Option<(CompressedMatrix, Certificate)> {
        let size = weight.matrix.nrows().min(weight.matrix.ncols()) as f64;
        for power in [0.5, 0.375, 0.25, 0.125, 0.0] {
            let plan = match self.form {
                Form::Svd if power == 0.5 => plan.clone(),
                // A little more, for rounding.
                Form::Svd => self.svd_plan(tolerance * (0.9 + power) / 1.4),
                _ => self.spectra.plan_for((tolerance * size.powf(power)).powi(2), self.prices(1.0)),
            };
            let (matrix, certificate) = self.factors(weight, &plan, ErrorNorm::Spectral)?;
            if certificate.spectral.value <= tolerance {
                return Some((matrix, certificate));
            }
        }
        None
    }

    /// Bytes of what was made.
    fn bytes_of(&self, matrix: &CompressedMatrix) -> usize {
        let table = matrix.blocks.len() * self.prices.block as usize;
        matrix.stored() * matrix.number.size() + table + self.fixed
    }
}
