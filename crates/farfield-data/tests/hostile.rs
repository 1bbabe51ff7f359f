//! Damaged files: cut at any length, bytes changed, headers that lie. An error or the right values,
//! never a panic, never memory that the file does not justify.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use farfield_data::{DType, DataError, Dataset, FieldShape, OpenOptions, Writer, inspect};

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(path).unwrap()
}

fn written(folder: &Path) -> Vec<u8> {
    let path = folder.join("written.h5");
    let shape = FieldShape::new(1, &[4, 9]);
    let attributes = BTreeMap::from([("problem".to_owned(), "made".to_owned())]);
    let mut writer = Writer::create(&path, &shape, &shape, DType::F32, &attributes, false).unwrap();
    for sample in 0..5 {
        let x: Vec<f32> = (0..36).map(|at| (100 * sample + 10 * (at / 9) + at % 9) as f32).collect();
        let y: Vec<f32> = x.iter().map(|v| -v / 4.0).collect();
        writer.append(&x, &y).unwrap();
    }
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

/// All values, or the first error.
fn read_all(path: &Path, in_memory_limit: u64) -> Result<(Vec<f64>, Vec<f64>), DataError> {
    let options = OpenOptions { dims: Some(2), in_memory_limit, ..OpenOptions::default() };
    let data = Dataset::open(path, &options)?;
    let indices: Vec<usize> = (0..data.len()).collect();
    // A changed header may name a larger set: sample by sample.
    let mut x = vec![0f64; data.input_shape().len()];
    let mut y = vec![0f64; data.output_shape().len()];
    let (mut all_x, mut all_y) = (Vec::new(), Vec::new());
    for &index in &indices {
        data.read(&[index], &mut x, &mut y)?;
        all_x.extend(&x);
        all_y.extend(&y);
    }
    Ok((all_x, all_y))
}

struct Lab {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Lab {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        Self { folder, path }
    }

    fn read(&self, bytes: &[u8], limit: u64) -> Result<(Vec<f64>, Vec<f64>), DataError> {
        // Removed first: some file systems flush a file that is truncated and written again.
        let _ = std::fs::remove_file(&self.path);
        std::fs::write(&self.path, bytes).unwrap();
        read_all(&self.path, limit)
    }
}

fn one_line(error: &DataError) {
    let text = error.to_string();
    assert!(!text.contains('\n') && text.len() < 1000, "{text}");
}

const HDF5: [&str; 8] = [
    "contiguous.h5",
    "big_endian.h5",
    "gzip_shuffle.h5",
    "lzf.h5",
    "inner_chunks.h5",
    "row_chunks.h5",
    "latest.h5",
    "half_and_int.h5",
];

#[test]
fn cut_files_are_errors_or_right() {
    let lab = Lab::new("cut.h5");
    let mut files: Vec<Vec<u8>> = HDF5.iter().map(|name| fixture(name)).collect();
    files.push(written(lab.folder.path()));
    for bytes in files {
        let whole = lab.read(&bytes, 0).unwrap();
        let step = (bytes.len() / 150).max(1);
        for len in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
            for limit in [0, u64::MAX] {
                match lab.read(&bytes[..len], limit) {
                    Ok(values) => assert_eq!(values, whole, "cut at {len}"),
                    Err(error) => one_line(&error),
                }
            }
            if let Err(error) = inspect(&lab.path, None) {
                one_line(&error);
            }
        }
    }
}

/// HDF5 has no checksum over most data, so changed values are possible; panics are not.
#[test]
fn changed_bytes_never_panic() {
    let lab = Lab::new("changed.h5");
    let mut files: Vec<Vec<u8>> = HDF5.iter().map(|name| fixture(name)).collect();
    files.push(written(lab.folder.path()));
    files.push(fixture("odd.h5"));
    files.push(fixture("two_unlimited.h5"));
    for bytes in files {
        let mut state = 1u64;
        for round in 0..ROUNDS {
            // A small generator of its own: which bytes are hit is of no importance.
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize
            };
            let mut changed = bytes.clone();
            for _ in 0..1 + round % 4 {
                // Metadata sits at the start; the rest is hit less often.
                let range = if next() % 3 == 0 { bytes.len() } else { 2500 };
                let at = next() % range.min(bytes.len());
                changed[at] = match next() % 4 {
                    0 => 0xff,
                    1 => 0,
                    2 => changed[at] ^ (1 << (next() % 8)),
                    _ => next() as u8,
                };
            }
            if let Err(error) = lab.read(&changed, (round as u64 % 2) * u64::MAX) {
                one_line(&error);
            }
            if let Err(error) = inspect(&lab.path, None) {
                one_line(&error);
            }
        }
    }
}

const ROUNDS: usize = 400;
