//! `compress`: a safetensors file in, a smaller one with certified errors out.
//!
//! Every weight (a tensor of `f16`, `bf16`, `f32` or `f64` with at least two dimensions, the first of which are its rows) takes the form that
//! [`choice`](crate::choice) finds; everything else is copied bit for bit. With a budget in place of a tolerance the total of the squared relative errors
//! is made least for the bytes: one price per squared error for all weights, see [`water_filling`](crate::water_filling). When nothing pays, the output
//! is the input, byte for byte, so it is never larger.
//!
//! Memory: a few weights at a time, in double precision (about six times 8 bytes an entry), and the results. Cost: O(m n min(m, n)) a weight.

use std::path::Path;

use faer::Mat;
use rayon::prelude::*;
use serde::Serialize;

use crate::choice::{Alternative, Candidates, ChoiceOptions, Form, Settled, Target, Weight};
use crate::error::CompressError;
use crate::layout::{self, Description, ErrorNorm, KEY, Part, Record, StoredKind, VERSION};
use crate::number::NumberType;
use crate::pattern::matches;
use crate::safetensors_file::{Contents, Metadata, NewTensor, SafetensorsFile, TensorInfo, copy, file_bytes, write};

/// Entries of the weights that are worked on at the same time.
const BATCH: usize = 5_000_000;

/// Bytes that the metadata take beside the records of weights, at most.
const DESCRIPTION_BYTES: u64 = 160;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// A relative error of every weight. Zero copies every bit.
    Tolerance(f64),
    /// A size of the file in bytes.
    Bytes(u64),
    /// The size of the input over that of the output.
    Ratio(f64),
}

/// How a file is compressed.
#[derive(Clone, Debug)]
pub struct CompressOptions {
    /// What is asked for.
    pub goal: Goal,
    /// Norm of errors. Default: Frobenius.
    pub norm: ErrorNorm,
    /// Patterns of the weights to be compressed. Default: all.
    pub select: Vec<String>,
    /// Patterns of weights to be copied.
    pub skip: Vec<String>,
    /// Tolerances of single weights, by patterns; the last that fits counts.
    pub layers: Vec<(String, f64)>,
    /// Rows and columns of the smallest blocks, at most. Default: 16.
    pub leaf_size: usize,
    /// Whether rows and columns may be reordered. Default: yes.
    pub reorder: bool,
}

impl CompressOptions {
    /// The defaults for a goal.
    pub fn new(goal: Goal) -> Self {
        let (select, skip, layers) = Default::default();
        Self { goal, norm: ErrorNorm::Frobenius, select, skip, layers, leaf_size: 16, reorder: true }
    }

    fn check(&self) -> Result<(), CompressError> {
        let tolerance = |name, t: f64| match (0.0..1.0).contains(&t) {
            true => Ok(()),
            false => Err(CompressError::option(name, t, "a tolerance must be at least 0 and below 1")),
        };
        match self.goal {
            Goal::Tolerance(t) => tolerance("--tol", t)?,
            Goal::Ratio(r) if !(r >= 1.0 && r.is_finite()) => {
                return Err(CompressError::option("--ratio", r, "a ratio must be a number of at least 1"));
            }
            _ => {}
        }
        if self.leaf_size == 0 || self.leaf_size > 1 << 16 {
            return Err(CompressError::option("--leaf", self.leaf_size, "between 1 and 65536"));
        }
        self.layers.iter().try_for_each(|(_, t)| tolerance("--layer", *t))
    }

    fn selects(&self, name: &str) -> bool {
        let fits = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
        (self.select.is_empty() || fits(&self.select)) && !fits(&self.skip)
    }

    /// The relative tolerance of a weight, if it has one.
    fn tolerance(&self, name: &str) -> Option<f64> {
        let own = self.layers.iter().rev().find(|(pattern, _)| matches(pattern, name)).map(|(_, t)| *t);
        own.or(match self.goal {
            Goal::Tolerance(t) => Some(t),
            _ => None,
        })
    }
}

/// What became of one weight.
#[derive(Clone, Debug, Serialize)]
pub struct WeightReport {
    /// Its name.
    pub name: String,
    /// Type of its numbers.
    pub number: NumberType,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The form that was taken.
    pub form: Form,
    /// Bytes before, with its share of the header.
    pub bytes_before: u64,
    /// Bytes after, with its share of the header.
    pub bytes: u64,
    /// Largest rank.
    pub max_rank: Option<usize>,
    /// Dense and low-rank blocks.
    pub blocks: Option<[usize; 2]>,
    /// Relative tolerance that was asked for.
    pub tolerance: Option<f64>,
    /// Proven relative error of the factors in the norm asked for; 0 for a copy.
    pub error: f64,
    /// The same of the dense weight that `decompress` makes of them, rounded to its type.
    pub decompressed_error: f64,
    /// Bytes of every form.
    pub alternatives: Vec<Alternative>,
    /// Why this form.
    pub reason: String,
}

/// What became of a file.
#[derive(Clone, Debug, Serialize)]
pub struct CompressReport {
    /// Size of the input.
    pub input_bytes: u64,
    /// Size of the output.
    pub output_bytes: u64,
    /// Norm of errors.
    pub norm: ErrorNorm,
    /// Whether nothing paid, and the output is the input.
    pub copied: bool,
    /// The weights.
    pub weights: Vec<WeightReport>,
    /// Tensors that are not weights, or not selected.
    pub other_tensors: usize,
    /// Their bytes.
    pub other_bytes: u64,
}

/// Reads, compresses and writes. `progress` hears how many weights are done, of how many.
///
/// # Errors
/// Options out of range, an input that cannot be read, is damaged, is compressed already or has a weight that is not finite, patterns that fit
/// nothing, a budget that cannot be met, an output that cannot be written. Nothing is written then.
pub fn compress_file(
    input: &Path,
    output: &Path,
    options: &CompressOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<CompressReport, CompressError> {
    options.check()?;
    let file = SafetensorsFile::open(input)?;
    if file.text(KEY).is_some() {
        return Err(CompressError::file(input, "compressed already: decompress it first"));
    }
    let weights = weights_of(&file, options)?;
    let settled = match options.goal {
        Goal::Tolerance(_) => settle_each(&file, &weights, options, progress)?,
        Goal::Bytes(bytes) => settle_together(&file, &weights, options, bytes, progress)?,
        Goal::Ratio(ratio) => {
            let bytes = (file.bytes() as f64 / ratio).floor() as u64;
            settle_together(&file, &weights, options, bytes, progress)?
        }
    };
    let report = |copied, output_bytes, settled: Vec<Outcome>| {
        let other: Vec<&TensorInfo> =
            file.tensors().iter().filter(|tensor| !weights.iter().any(|w| w.name() == tensor.name())).collect();
        CompressReport {
            input_bytes: file.bytes(),
            output_bytes,
            norm: options.norm,
            copied,
            weights: settled.into_iter().map(|outcome| outcome.report).collect(),
            other_tensors: other.len(),
            other_bytes: other.iter().map(|tensor| tensor.bytes() as u64).sum(),
        }
    };
    let (metadata, tensors) = contents(&file, &weights, &settled, options)?;
    let any = settled.iter().any(|outcome| outcome.record.is_some());
    if !any || file_bytes(&metadata, &tensors)? >= file.bytes() {
        drop(tensors);
        let settled = settled.into_iter().map(Outcome::kept).collect();
        return Ok(report(true, copy(&file, output)?, settled));
    }
    let bytes = write(output, &metadata, &tensors)?;
    drop(tensors);
    Ok(report(false, bytes, settled))
}

/// The tensors that are to be compressed.
fn weights_of<'a>(file: &'a SafetensorsFile, options: &CompressOptions) -> Result<Vec<&'a TensorInfo>, CompressError> {
    let may = |tensor: &&TensorInfo| {
        NumberType::of(tensor.dtype()).is_some() && layout::matrix_shape(tensor.shape()).is_some()
    };
    let all: Vec<&TensorInfo> = file.tensors().iter().filter(may).collect();
    let lists = [("--select", &options.select), ("--skip", &options.skip)];
    let patterns = lists.iter().flat_map(|(name, list)| list.iter().map(|p| (*name, p)));
    for (option, pattern) in patterns.chain(options.layers.iter().map(|(p, _)| ("--layer", p))) {
        let known = file.tensors().iter().any(|tensor| matches(pattern, tensor.name()));
        if !known {
            return Err(CompressError::option(option, pattern, format!("no tensor of {} fits", file.path().display())));
        }
    }
    Ok(all.into_iter().filter(|tensor| options.selects(tensor.name())).collect())
}

/// Reads a weight.
fn weight(file: &SafetensorsFile, tensor: &TensorInfo, norm: ErrorNorm) -> Result<Weight, CompressError> {
    let unusable = || CompressError::file(file.path(), format!("tensor {:?} is no weight", tensor.name()));
    let number = NumberType::of(tensor.dtype()).ok_or_else(unusable)?;
    let (m, n) = layout::matrix_shape(tensor.shape()).ok_or_else(unusable)?;
    let values = number.decode(&file.read(tensor)?);
    if let Some(at) = values.iter().position(|x| !x.is_finite()) {
        let (mut rest, mut index) = (at, Vec::new());
        for &size in tensor.shape().iter().rev() {
            index.push(rest % size);
            rest /= size;
        }
        index.reverse();
        let (path, name, value) = (file.path().to_path_buf(), tensor.name().to_owned(), values[at]);
        return Err(CompressError::NonFinite { path, name, index, value });
    }
    let matrix = Mat::from_fn(m, n, |i, j| values[i * n + j]);
    Ok(Weight::new(tensor.name(), tensor.shape(), number, matrix, norm))
}

/// A weight in its final form.
struct Outcome {
    record: Option<Record>,
    parts: Vec<Part>,
    report: WeightReport,
}

impl Outcome {
    fn new(weight: &Weight, bytes_before: usize, tolerance: Option<f64>, norm: ErrorNorm, settled: Settled) -> Self {
        let Settled { form, stored, bytes, alternatives, reason } = settled;
        let mut report = WeightReport {
            name: weight.name.clone(),
            number: weight.number,
            shape: weight.shape.clone(),
            form,
            bytes_before: bytes_before as u64,
            bytes: bytes as u64,
            max_rank: None,
            blocks: None,
            tolerance,
            error: 0.0,
            decompressed_error: 0.0,
            alternatives,
            reason,
        };
        let Some((matrix, certificate)) = stored else { return Self { record: None, parts: Vec::new(), report } };
        let error = match norm {
            ErrorNorm::Frobenius => certificate.frobenius.value,
            ErrorNorm::Spectral => certificate.spectral.value,
        };
        let relative = |error: f64| if weight.norm > 0.0 { error / weight.norm } else { 0.0 };
        let low_rank = matrix.blocks().iter().filter(|block| block.rank().is_some()).count();
        report.max_rank = Some(matrix.max_rank());
        report.blocks = Some([matrix.blocks().len() - low_rank, low_rank]);
        report.error = relative(error);
        // Forming the products, and rounding each entry; in the 2-norm at most their Frobenius norms.
        let entries = (weight.matrix.nrows() * weight.matrix.ncols()) as f64;
        let size = certificate.norm + certificate.frobenius.value;
        let number = weight.number;
        let rounded = 1.01 * number.unit_roundoff() * size + number.underflow() * entries.sqrt();
        report.decompressed_error = relative(error + matrix.product_rounding() + rounded);
        let kind = if form == Form::Svd { StoredKind::Svd } else { StoredKind::H };
        let (name, shape) = (weight.name.clone(), weight.shape.clone());
        let record = Some(Record { name, kind, shape, error, weight_norm: weight.norm });
        Self { record, parts: layout::parts(&weight.name, &matrix), report }
    }

    /// The weight as it was.
    fn kept(self) -> Self {
        let mut report = self.report;
        if report.form != Form::Dense {
            report.reason = "the file as a whole would not become smaller".to_owned();
            report.form = Form::Dense;
            report.bytes = report.bytes_before;
            (report.error, report.decompressed_error, report.max_rank, report.blocks) = (0.0, 0.0, None, None);
        }
        Self { record: None, parts: Vec::new(), report }
    }
}

/// Groups of weights that are worked on at the same time.
fn batches<'a, 'b>(weights: &'b [&'a TensorInfo]) -> Vec<&'b [&'a TensorInfo]> {
    let (mut out, mut start, mut entries) = (Vec::new(), 0, 0usize);
    for (i, tensor) in weights.iter().enumerate() {
        let size = tensor.shape().iter().product::<usize>();
        if i > start && entries + size > BATCH {
            out.push(&weights[start..i]);
            (start, entries) = (i, 0);
        }
        entries += size;
    }
    if start < weights.len() {
        out.push(&weights[start..]);
    }
    out
}

/// Whether the names of the parts are free.
fn is_free(file: &SafetensorsFile, name: &str) -> bool {
    let parts = layout::part_names(name);
    !file.tensors().iter().any(|tensor| parts.iter().any(|part| part == tensor.name()))
}

/// A weight whose parts have no free names.
fn taken(candidates: &Candidates) -> Settled {
    let bytes = candidates.dense_bytes;
    let dense = Alternative { form: Form::Dense, bytes: Some(bytes as u64), note: None };
    let reason = "the file has a tensor with the name that a part of it would get".to_owned();
    Settled { form: Form::Dense, stored: None, bytes, alternatives: vec![dense], reason }
}

/// Each weight to its own tolerance.
fn settle_each(
    file: &SafetensorsFile,
    weights: &[&TensorInfo],
    options: &CompressOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<Outcome>, CompressError> {
    let mut out = Vec::with_capacity(weights.len());
    progress(0, weights.len());
    for batch in batches(weights) {
        let found: Vec<Result<Outcome, CompressError>> = batch
            .par_iter()
            .map(|tensor| settle_one(file, tensor, options, options.tolerance(tensor.name()).unwrap_or(0.0)))
            .collect();
        for outcome in found {
            out.push(outcome?);
        }
        progress(out.len(), weights.len());
    }
    Ok(out)
}

fn settle_one(
    file: &SafetensorsFile,
    tensor: &TensorInfo,
    options: &CompressOptions,
    tolerance: f64,
) -> Result<Outcome, CompressError> {
    let norm = options.norm;
    let weight = weight(file, tensor, norm)?;
    let absolute = weight.absolute(tolerance);
    let choice = ChoiceOptions { norm, leaf_size: options.leaf_size, reorder: options.reorder };
    let candidates = Candidates::new(&weight, choice, Some(if tolerance == 0.0 { 0.0 } else { absolute }));
    let settled = match tolerance > 0.0 && is_free(file, tensor.name()) {
        true => candidates.settle(&weight, norm, Target::Error(absolute)),
        false if tolerance == 0.0 => exact(&candidates),
        false => taken(&candidates),
    };
    Ok(Outcome::new(&weight, candidates.dense_bytes, Some(tolerance), norm, settled))
}

/// A weight that is copied because its tolerance is zero.
fn exact(candidates: &Candidates) -> Settled {
    let reason = "a tolerance of zero asks for an exact copy".to_owned();
    Settled { reason, ..taken(candidates) }
}

/// All weights to one size of the file.
fn settle_together(
    file: &SafetensorsFile,
    weights: &[&TensorInfo],
    options: &CompressOptions,
    budget: u64,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<Outcome>, CompressError> {
    let norm = options.norm;
    let choice = ChoiceOptions { norm, leaf_size: options.leaf_size, reorder: options.reorder };
    let mut known: Vec<Option<Candidates>> = Vec::with_capacity(weights.len());
    let mut importance = Vec::with_capacity(weights.len());
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(weights.len());
    let total = 2 * weights.len();
    progress(0, total);
    type Prepared = (Option<Outcome>, Option<Candidates>, f64);
    for batch in batches(weights) {
        let found: Vec<Result<Prepared, CompressError>> = batch
            .par_iter()
            .map(|tensor| match options.tolerance(tensor.name()) {
                Some(tolerance) => Ok((Some(settle_one(file, tensor, options, tolerance)?), None, 0.0)),
                None => {
                    let weight = weight(file, tensor, norm)?;
                    let candidates = Candidates::new(&weight, choice, None);
                    let square = weight.frobenius * weight.frobenius;
                    Ok((None, Some(candidates), if square > 0.0 { 1.0 / square } else { 0.0 }))
                }
            })
            .collect();
        for prepared in found {
            let (outcome, candidates, weight) = prepared?;
            outcomes.push(outcome);
            known.push(candidates);
            importance.push(weight);
        }
        progress(outcomes.len(), total);
    }
    // What no price changes.
    let dense =
        |tensor: &TensorInfo| tensor.bytes() as u64 + layout::copied_header_bytes(tensor.name(), tensor.shape()) as u64;
    let all: u64 = weights.iter().map(|tensor| dense(tensor)).sum();
    let settled: u64 = outcomes.iter().flatten().map(|outcome| outcome.report.bytes).sum();
    let fixed = file.bytes().saturating_sub(all) + settled + DESCRIPTION_BYTES;
    let bytes_at = |lambda: f64| -> f64 {
        let one = |(i, c): (usize, &Option<Candidates>)| {
            let free = is_free(file, weights[i].name());
            c.as_ref().map_or(0.0, |c| if free { c.bytes_at(lambda, importance[i]).0 } else { c.dense_bytes as f64 })
        };
        fixed as f64 + known.iter().enumerate().map(one).sum::<f64>()
    };
    let lambda = if file.bytes() <= budget {
        f64::INFINITY
    } else {
        let least = bytes_at(0.0);
        if least > budget as f64 {
            return Err(CompressError::Budget { budget, least: least as u64, copied: fixed });
        }
        let (mut low, mut high) = (-100.0, 400.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if bytes_at(2f64.powf(middle)) <= budget as f64 { low = middle } else { high = middle }
        }
        2f64.powf(low)
    };
    let mut done = weights.len();
    let mut start = 0;
    for batch in batches(weights) {
        let range = start..start + batch.len();
        start = range.end;
        let found: Vec<Result<Option<Outcome>, CompressError>> = range
            .clone()
            .into_par_iter()
            .map(|i| {
                let Some(candidates) = &known[i] else { return Ok(None) };
                let weight = weight(file, weights[i], norm)?;
                let settled = match is_free(file, &weight.name) {
                    false => taken(candidates),
                    true if lambda == f64::INFINITY => {
                        Settled { reason: "the file is within the budget as it is".to_owned(), ..taken(candidates) }
                    }
                    true => candidates.settle(&weight, norm, Target::Price { lambda, importance: importance[i] }),
                };
                Ok(Some(Outcome::new(&weight, candidates.dense_bytes, None, norm, settled)))
            })
            .collect();
        for (i, outcome) in range.zip(found) {
            if let Some(outcome) = outcome? {
                outcomes[i] = Some(outcome);
            }
        }
        done += batch.len();
        progress(done, total);
    }
    let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    // A form that could not be made (its factors overflow) leaves the weight dense.
    let (metadata, tensors) = contents(file, weights, &outcomes, options)?;
    let bytes = file_bytes(&metadata, &tensors)?;
    if bytes > budget && file.bytes() > budget {
        return Err(CompressError::Budget { budget, least: bytes, copied: fixed });
    }
    drop(tensors);
    Ok(outcomes)
}

/// The metadata and tensors of the output.
fn contents<'a>(
    file: &'a SafetensorsFile,
    weights: &[&TensorInfo],
    outcomes: &'a [Outcome],
    options: &CompressOptions,
) -> Result<(Metadata, Vec<NewTensor<'a>>), CompressError> {
    let records: Vec<Record> = outcomes.iter().filter_map(|outcome| outcome.record.clone()).collect();
    let description = Description { version: VERSION, norm: options.norm, tensors: records };
    let text = serde_json::to_string(&description).map_err(|e| CompressError::file(file.path(), e.to_string()))?;
    let mut metadata = file.metadata().to_vec();
    metadata.push((KEY.to_owned(), text));
    let mut tensors = Vec::new();
    let mut next = 0;
    for tensor in file.tensors() {
        let outcome = match weights.get(next) {
            Some(weight) if weight.name() == tensor.name() => {
                next += 1;
                outcomes.get(next - 1)
            }
            _ => None,
        };
        match outcome {
            Some(Outcome { record: Some(_), parts, .. }) => {
                tensors.extend(parts.iter().map(|part| NewTensor {
                    name: part.name.clone(),
                    dtype: part.dtype,
                    shape: part.shape.clone(),
                    contents: Contents::Bytes(&part.bytes),
                }));
            }
            _ => tensors.push(NewTensor {
                name: tensor.name().to_owned(),
                dtype: tensor.dtype(),
                shape: tensor.shape().to_vec(),
                contents: Contents::Copied(file, tensor),
            }),
        }
    }
    Ok((metadata, tensors))
}
