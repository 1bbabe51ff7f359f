//! Damaged files: cut at any length, bytes changed, headers that lie. An error or the right values,
//! never a panic, never memory that the file does not justify.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use farfield_data::{DType, DataError, Dataset, FieldShape, OpenOptions, Trajectories, Writer, inspect, read_array};

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

/// Fixtures of MAT files and of published layouts, and the name under which each is read.
const LAYOUTS: [(&str, &str); 12] = [
    ("classes.mat", "f.mat"),
    ("classes_plain.mat", "f.mat"),
    ("big_endian.mat", "f.mat"),
    ("fno_pairs.mat", "f.mat"),
    ("diffusionpde.mat", "f.mat"),
    ("v73.mat", "f.mat"),
    ("in_time.npz", "f.npz"),
    ("steps.npz", "f.npz"),
    ("pdebench.h5", "f.h5"),
    ("pdebench_cfd.h5", "f.h5"),
    ("well_0.hdf5", "f.hdf5"),
    ("masked.h5", "f.h5"),
];

/// Everything that can be asked of a file: one line or an answer.
fn ask_everything(path: &Path, in_memory_limit: u64) {
    let options = OpenOptions { in_memory_limit, ..OpenOptions::default() };
    match Dataset::open(path, &options) {
        Ok(data) => {
            let mut x = vec![0f32; data.input_shape().len()];
            let mut y = vec![0f32; data.output_shape().len()];
            for index in [0, data.len() / 2, data.len() - 1] {
                if let Err(error) = data.read(&[index], &mut x, &mut y) {
                    one_line(&error);
                }
            }
            if let Err(error) = data.check_finite() {
                one_line(&error);
            }
        }
        Err(error) => one_line(&error),
    }
    if let Err(error) = Trajectories::open(path, &options) {
        one_line(&error);
    }
    match inspect(path, None) {
        Ok(summary) => {
            for array in &summary.arrays {
                if let Err(error) = read_array(path, Some(&array.name)) {
                    one_line(&error);
                }
            }
        }
        Err(error) => one_line(&error),
    }
}

#[test]
fn cut_layouts_are_one_line() {
    for (name, as_name) in LAYOUTS {
        let lab = Lab::new(as_name);
        let bytes = fixture(name);
        let step = (bytes.len() / 60).max(1);
        for len in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
            std::fs::write(&lab.path, &bytes[..len]).unwrap();
            ask_everything(&lab.path, (len as u64 % 2) * u64::MAX);
            std::fs::remove_file(&lab.path).unwrap();
        }
    }
}

/// A MAT file of version 5 that is cut misses a variable, or a part of one: what can be read is right.
#[test]
fn every_truncation_of_a_mat_file_is_an_error() {
    let lab = Lab::new("f.mat");
    for name in ["fno_pairs.mat", "big_endian.mat"] {
        let bytes = fixture(name);
        for len in 0..bytes.len() {
            std::fs::write(&lab.path, &bytes[..len]).unwrap();
            let error = Dataset::open(&lab.path, &OpenOptions { dims: Some(1), ..OpenOptions::default() })
                .and_then(|data| data.read(&[0], &mut [0f32; 12], &mut [0f32; 12]));
            match (error, read_array(&lab.path, Some("a"))) {
                (Err(error), _) => one_line(&error),
                // Cut after the second of four variables.
                (Ok(()), a) => assert!(name == "big_endian.mat" && a.is_ok(), "{name} cut at {len}"),
            }
            std::fs::remove_file(&lab.path).unwrap();
        }
    }
}

#[test]
fn changed_layouts_never_panic() {
    for (name, as_name) in LAYOUTS {
        let lab = Lab::new(as_name);
        let bytes = fixture(name);
        let mut state = 7u64;
        for round in 0..150usize {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize
            };
            let mut changed = bytes.clone();
            for _ in 0..1 + round % 4 {
                let range = if next() % 3 == 0 { 300 } else { bytes.len() };
                let at = next() % range.min(bytes.len());
                changed[at] = match next() % 4 {
                    0 => 0xff,
                    1 => 0,
                    2 => changed[at] ^ (1 << (next() % 8)),
                    _ => next() as u8,
                };
            }
            std::fs::write(&lab.path, &changed).unwrap();
            ask_everything(&lab.path, (round as u64 % 2) * u64::MAX);
            std::fs::remove_file(&lab.path).unwrap();
        }
    }
}

/// Headers of MAT files that claim more than the file holds.
#[test]
fn mat_headers_that_lie_are_refused() {
    let lab = Lab::new("f.mat");
    let bytes = fixture("big_endian.mat");
    // The first variable: tag at 128, flags 136..152, dimensions: tag 152, values 160, 164 and 168.
    for (at, value, part) in [
        (160, 0x7fff_ffffu32, "claims more values"),
        (164, 0x4000_0000, "claims more values"),
        (160, 0x8000_0000, "a dimension is negative"),
        (168, 5, "does not agree"),
        (156, 0x7000_0000, "its dimensions are of type 5"),
        (156, 4, "fewer than two dimensions"),
        (144, 99, "class 99 is unknown"),
        (132, 0x7fff_fff0, "claims 2147483632 bytes"),
        (128, 3, "an element of type 3"),
    ] {
        let mut changed = bytes.clone();
        changed[at..at + 4].copy_from_slice(&value.to_be_bytes());
        std::fs::write(&lab.path, &changed).unwrap();
        let error = read_array(&lab.path, Some("a")).unwrap_err();
        one_line(&error);
        assert!(error.to_string().contains(part), "\"{part}\" is not in: {error}");
        std::fs::remove_file(&lab.path).unwrap();
    }
}

/// The tests above again, in a process that may have 512 MiB of address space: the largest fixture has 27 KiB. An
/// allocation that only a header justifies would abort it.
#[cfg(target_os = "linux")]
#[test]
fn damaged_files_ask_for_little_memory() {
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -v 524288; exec \"$0\" --test-threads=1 layouts mat_headers every_truncation"])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("4 passed"), "{out}\n{err}");
}
