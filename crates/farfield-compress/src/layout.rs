//! How a compressed weight lies in a safetensors file. Described for other readers in `docs/compression.md`.
//!
//! A weight `NAME` is replaced by tensors whose names begin with `NAME.ff.`, and a record of it stands in the metadata under [`KEY`]. Small
//! whole numbers are of type `I16` where all of a weight's fit, else `I32`.
//!
//! | kind | tensors |
//! | --- | --- |
//! | `svd` | `NAME.ff.U` `[m, k]`, `NAME.ff.V` `[n, k]`: `W ~ U V^T` |
//! | `h` | `NAME.ff.blocks` `[blocks, 5]`: first row, rows, first column, columns, rank or -1 for a dense block; `NAME.ff.values`: the numbers of the blocks one after the other, `U` then `V` or the entries, row-major; `NAME.ff.rows` `[m]` and `NAME.ff.cols` `[n]`, both or neither: row and column of `W` at each place |

use std::ops::Range;

use faer::Mat;
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use crate::compressed_matrix::{BlockContent, CompressedBlock, CompressedMatrix};
use crate::error::CompressError;
use crate::number::NumberType;
use crate::safetensors_file::{SafetensorsFile, TensorInfo, json_text, tensor_entry_bytes};

/// Key of the metadata.
pub(crate) const KEY: &str = "farfield.compress";

/// Version of the layout.
pub(crate) const VERSION: u32 = 1;

/// Norm in which an error is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorNorm {
    /// Square root of the sum of the squares of all entries.
    Frobenius,
    /// Largest singular value.
    Spectral,
}

/// What the metadata say.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Description {
    pub version: u32,
    pub norm: ErrorNorm,
    /// By the order of the weights in the original file.
    pub tensors: Vec<Record>,
}

/// What the metadata say of one weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// `svd` or `h`.
    pub kind: StoredKind,
    /// Its original shape; as a matrix it has the first dimension as rows.
    pub shape: Vec<usize>,
    /// Proven bound on the error of the factors, in the norm of the file.
    pub error: f64,
    /// That norm of the weight.
    pub weight_norm: f64,
}

/// Kinds of compressed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredKind {
    /// A truncated singular value decomposition.
    Svd,
    /// Dense and low-rank blocks.
    H,
}

fn part_name(name: &str, part: &str) -> String {
    format!("{name}.ff.{part}")
}

/// Names of all parts that a weight may be stored in.
pub(crate) fn part_names(name: &str) -> [String; 6] {
    ["U", "V", "blocks", "values", "rows", "cols"].map(|part| part_name(name, part))
}

/// Bytes of a whole number up to `largest`.
fn index_bytes(largest: usize) -> usize {
    if largest <= i16::MAX as usize { 2 } else { 4 }
}

/// Bytes of a block in the table of an `m x n` matrix.
pub(crate) fn block_bytes(m: usize, n: usize) -> usize {
    5 * index_bytes(m.max(n))
}

/// Bytes of both orders of an `m x n` matrix.
pub(crate) fn order_bytes(m: usize, n: usize) -> usize {
    (m + n) * index_bytes(m.max(n))
}

/// Bytes that the header takes for a weight stored in this way, at most.
pub(crate) fn header_bytes(name: &str, shape: &[usize], kind: StoredKind) -> usize {
    // Numbers print in at most 24 characters.
    let shape_bytes: usize = shape.iter().map(|n| n.to_string().len() + 1).sum();
    let record =
        json_text(&format!(r#"{{"name":{},"kind":"svd","shape":[],"error":,"weight_norm":}},"#, json_text(name)));
    let longest = [usize::MAX >> 20, usize::MAX >> 20];
    let parts: &[&str] = match kind {
        StoredKind::Svd => &["U", "V"],
        StoredKind::H => &["blocks", "values", "rows", "cols"],
    };
    let entries: usize = parts.iter().map(|part| tensor_entry_bytes(&part_name(name, part), &longest)).sum();
    record.len() + shape_bytes + 48 + entries
}

/// Bytes that the header takes for a weight that is copied.
pub(crate) fn copied_header_bytes(name: &str, shape: &[usize]) -> usize {
    // Without its offsets, which may be short.
    tensor_entry_bytes(name, shape).saturating_sub(30)
}

/// Rows and columns of a weight of this shape as a matrix; `None` for one of fewer than two dimensions or without numbers.
pub(crate) fn matrix_shape(shape: &[usize]) -> Option<(usize, usize)> {
    let (&rows, rest) = shape.split_first()?;
    let cols = rest.iter().try_fold(1usize, |product, &n| product.checked_mul(n))?;
    (!rest.is_empty() && rows > 0 && cols > 0).then_some((rows, cols))
}

/// A tensor that is a part of a compressed weight.
#[derive(Debug)]
pub(crate) struct Part {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// The tensors of a compressed weight.
pub(crate) fn parts(name: &str, matrix: &CompressedMatrix) -> Vec<Part> {
    let number = matrix.number;
    let tensor =
        |part: &str, dtype, shape: Vec<usize>, bytes| Part { name: part_name(name, part), dtype, shape, bytes };
    let rows_of = |m: &Mat<f64>, out: &mut Vec<u8>| {
        for i in 0..m.nrows() {
            number.encode((0..m.ncols()).map(|j| m[(i, j)]), out);
        }
    };
    if matrix.is_low_rank()
        && let [CompressedBlock { content: BlockContent::LowRank { u, v }, .. }] = &matrix.blocks[..]
    {
        return [("U", u), ("V", v)]
            .map(|(part, factor)| {
                let mut bytes = Vec::with_capacity(factor.nrows() * factor.ncols() * number.size());
                rows_of(factor, &mut bytes);
                tensor(part, number.dtype(), vec![factor.nrows(), factor.ncols()], bytes)
            })
            .into();
    }
    let size = index_bytes(matrix.nrows.max(matrix.ncols));
    let dtype = if size == 2 { Dtype::I16 } else { Dtype::I32 };
    let integer = |x: i64, out: &mut Vec<u8>| out.extend(&x.to_le_bytes()[..size]);
    let (mut table, mut values) = (Vec::new(), Vec::with_capacity(matrix.stored() * number.size()));
    for block in &matrix.blocks {
        let Range { start: row, end: row_end } = block.rows;
        let Range { start: col, end: col_end } = block.cols;
        let rank = block.rank().map_or(-1, |rank| rank as i64);
        for x in [row as i64, (row_end - row) as i64, col as i64, (col_end - col) as i64, rank] {
            integer(x, &mut table);
        }
        match &block.content {
            BlockContent::Dense(d) => rows_of(d, &mut values),
            BlockContent::LowRank { u, v } => {
                rows_of(u, &mut values);
                rows_of(v, &mut values);
            }
        }
    }
    let mut parts = vec![
        tensor("values", number.dtype(), vec![matrix.stored()], values),
        tensor("blocks", dtype, vec![matrix.blocks.len(), 5], table),
    ];
    if let (Some(rows), Some(cols)) = (&matrix.row_order, &matrix.col_order) {
        for (part, order) in [("rows", rows), ("cols", cols)] {
            let mut bytes = Vec::with_capacity(order.len() * size);
            order.iter().for_each(|&i| integer(i as i64, &mut bytes));
            parts.push(tensor(part, dtype, vec![order.len()], bytes));
        }
    }
    parts
}

/// Reads a compressed weight back.
///
/// # Errors
/// A part that is missing or does not fit the others: types, shapes, blocks that do not tile the matrix, orders that are no permutations.
pub(crate) fn read(file: &SafetensorsFile, record: &Record) -> Result<CompressedMatrix, CompressError> {
    let bad = |what: &str| CompressError::file(file.path(), format!("compressed tensor {:?}: {what}", record.name));
    let find = |part: &str| {
        let name = part_name(&record.name, part);
        file.tensors().iter().find(|tensor| tensor.name() == name)
    };
    let need = |part: &str| find(part).ok_or_else(|| bad(&format!("its part {part:?} is missing")));
    let (m, n) = matrix_shape(&record.shape).ok_or_else(|| bad("its shape is not that of a weight"))?;
    if record.kind == StoredKind::Svd {
        let (u, v) = (need("U")?, need("V")?);
        let number = NumberType::of(u.dtype()).filter(|_| u.dtype() == v.dtype());
        let number = number.ok_or_else(|| bad("its factors have no common floating-point type"))?;
        let ([rows, k], [cols, l]) = (u.shape(), v.shape()) else { return Err(bad("its factors are not matrices")) };
        if (*rows, *cols) != (m, n) || k != l {
            return Err(bad("its factors do not fit its shape"));
        }
        let factor = |tensor: &TensorInfo, rows: usize| -> Result<Mat<f64>, CompressError> {
            let values = number.decode(&file.read(tensor)?);
            Ok(Mat::from_fn(rows, *k, |i, j| values[i * k + j]))
        };
        let content = BlockContent::LowRank { u: factor(u, m)?, v: factor(v, n)? };
        let blocks = vec![CompressedBlock { rows: 0..m, cols: 0..n, content }];
        return Ok(CompressedMatrix { nrows: m, ncols: n, number, row_order: None, col_order: None, blocks });
    }
    let (values, table) = (need("values")?, need("blocks")?);
    let number = NumberType::of(values.dtype()).ok_or_else(|| bad("its values have no floating-point type"))?;
    let integers = |tensor: &TensorInfo| -> Result<Vec<i64>, CompressError> {
        let bytes = file.read(tensor)?;
        match tensor.dtype() {
            Dtype::I16 => Ok(bytes.as_chunks::<2>().0.iter().map(|&x| i16::from_le_bytes(x).into()).collect()),
            Dtype::I32 => Ok(bytes.as_chunks::<4>().0.iter().map(|&x| i32::from_le_bytes(x).into()).collect()),
            _ => Err(bad("its whole numbers are not I16 or I32")),
        }
    };
    let order = |part: &str, size: usize| -> Result<Option<Vec<usize>>, CompressError> {
        let Some(tensor) = find(part) else { return Ok(None) };
        let not = || bad(&format!("its part {part:?} is no permutation of {size} indices"));
        if tensor.shape() != [size] {
            return Err(not());
        }
        let mut seen = vec![false; size];
        let index = |i: i64| usize::try_from(i).ok().filter(|&i| i < size);
        let order = integers(tensor)?.into_iter().map(|i| index(i).ok_or_else(not)).collect::<Result<Vec<_>, _>>()?;
        let twice = order.iter().any(|&i| std::mem::replace(&mut seen[i], true));
        if twice { Err(not()) } else { Ok(Some(order)) }
    };
    let [_, 5] = table.shape() else { return Err(bad("its table of blocks does not have five columns")) };
    let (numbers, table) = (number.decode(&file.read(values)?), integers(table)?);
    let (mut at, mut area, mut blocks) = (0usize, 0usize, Vec::new());
    for entry in table.as_chunks::<5>().0 {
        let outside = || bad(&format!("its block {entry:?} lies outside the matrix or the values"));
        let size = |x: i64| usize::try_from(x).map_err(|_| outside());
        let (row, rows, col, cols) = (size(entry[0])?, size(entry[1])?, size(entry[2])?, size(entry[3])?);
        let rank = if entry[4] == -1 { None } else { Some(size(entry[4])?) };
        if rows == 0 || cols == 0 || row > m || rows > m - row || col > n || cols > n - col {
            return Err(outside());
        }
        let mut take = |rows: usize, cols: usize| -> Result<Mat<f64>, CompressError> {
            let count = rows.checked_mul(cols).ok_or_else(outside)?;
            let part = at.checked_add(count).and_then(|end| numbers.get(at..end)).ok_or_else(outside)?;
            at += count;
            Ok(Mat::from_fn(rows, cols, |i, j| part[i * cols + j]))
        };
        let content = match rank {
            None => BlockContent::Dense(take(rows, cols)?),
            Some(rank) => BlockContent::LowRank { u: take(rows, rank)?, v: take(cols, rank)? },
        };
        area = area.checked_add(rows * cols).ok_or_else(outside)?;
        blocks.push(CompressedBlock { rows: row..row + rows, cols: col..col + cols, content });
    }
    if at != numbers.len() {
        return Err(bad("it has more values than its blocks take"));
    }
    if m.checked_mul(n) != Some(area) || !disjoint(&blocks) {
        return Err(bad("its blocks do not tile the matrix"));
    }
    let (row_order, col_order) = (order("rows", m)?, order("cols", n)?);
    if row_order.is_some() != col_order.is_some() {
        return Err(bad("one of its orders is missing"));
    }
    Ok(CompressedMatrix { nrows: m, ncols: n, number, row_order, col_order, blocks })
}

/// Whether no two blocks overlap: a sweep over the rows, with the columns that are taken. Cost: O(b log b) steps of at most the blocks that are open.
fn disjoint(blocks: &[CompressedBlock]) -> bool {
    let mut events: Vec<(usize, bool, usize)> = Vec::with_capacity(2 * blocks.len());
    for (k, block) in blocks.iter().enumerate() {
        events.push((block.rows.start, true, k));
        events.push((block.rows.end, false, k));
    }
    events.sort_unstable();
    // First column of each open block, and its end.
    let mut open = std::collections::BTreeMap::new();
    for (_, begins, k) in events {
        let cols = &blocks[k].cols;
        if !begins {
            open.remove(&cols.start);
            continue;
        }
        let before = open.range(..=cols.start).next_back().is_some_and(|(_, &end)| end > cols.start);
        let after = open.range(cols.start..cols.end).next().is_some();
        if before || after {
            return false;
        }
        open.insert(cols.start, cols.end);
    }
    true
}
