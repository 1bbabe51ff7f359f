//! Files in and out.

use std::path::PathBuf;

use farfield_compress::{
    CompressOptions, CompressReport, CompressedFile, ErrorNorm, Form, Goal, SafetensorsFile, compress_file,
    decompress_file,
};
use farfield_matrix::Matrix;
use half::{bf16, f16};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::raw::{Raw, f32s, file, names};
use crate::weights::{gaussian, green, permutation, weight};

/// A folder with `in.safetensors`.
pub struct Place(pub tempfile::TempDir);

impl Place {
    fn new(metadata: &[(&str, &str)], tensors: &[Raw]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.path("in"), file(metadata, tensors)).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.safetensors"))
    }

    pub fn compress(&self, options: &CompressOptions) -> CompressReport {
        let report = compress_file(&self.path("in"), &self.path("small"), options, &|_, _| ()).unwrap();
        let size = |name| std::fs::metadata(self.path(name)).unwrap().len();
        assert_eq!((report.input_bytes, report.output_bytes), (size("in"), size("small")));
        assert!(report.output_bytes <= report.input_bytes);
        report
    }

    /// Compresses, restores, and holds every tensor against what the report says.
    fn round_trip(&self, options: &CompressOptions) -> CompressReport {
        let report = self.compress(options);
        decompress_file(&self.path("small"), &self.path("out"), None).unwrap();
        let (before, after) = (self.open("in"), self.open("out"));
        assert_eq!(before.metadata(), after.metadata());
        assert_eq!(before.tensors().len(), after.tensors().len());
        for tensor in before.tensors() {
            let restored = after.tensors().iter().find(|t| t.name() == tensor.name()).unwrap();
            assert_eq!((tensor.dtype(), tensor.shape()), (restored.dtype(), restored.shape()));
            let (old, new) = (before.read(tensor).unwrap(), after.read(restored).unwrap());
            let found = report.weights.iter().find(|w| w.name == tensor.name() && w.form != Form::Dense);
            let Some(found) = found else {
                assert_eq!(old, new, "{}", tensor.name());
                continue;
            };
            let (old, new) = (numbers(tensor.dtype(), &old), numbers(tensor.dtype(), &new));
            let rows = tensor.shape()[0];
            let matrix = |x: &[f64]| Matrix::from_row_major(rows, x.len() / rows, x).unwrap();
            let (a, b) = (matrix(&old), matrix(&new));
            let e = Matrix::from_fn(rows, a.ncols(), |i, j| a[(i, j)] - b[(i, j)]);
            let norm = |m: &Matrix<f64>| match report.norm {
                ErrorNorm::Frobenius => m.norm_frobenius(),
                ErrorNorm::Spectral => m.svd().unwrap().s[0],
            };
            let bound = found.decompressed_error * norm(&a) * (1.0 + 1e-6);
            assert!(norm(&e) <= bound, "{}: {:e} > {bound:e}", found.name, norm(&e));
            if let Some(tolerance) = found.tolerance {
                assert!(found.error <= tolerance, "{found:?}");
            }
        }
        report
    }

    fn open(&self, name: &str) -> SafetensorsFile {
        SafetensorsFile::open(&self.path(name)).unwrap()
    }
}

fn numbers(dtype: safetensors::Dtype, bytes: &[u8]) -> Vec<f64> {
    use safetensors::Dtype;
    match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x).into()).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|&x| f64::from_le_bytes(x)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|&x| f16::from_le_bytes(x).to_f64()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|&x| bf16::from_le_bytes(x).to_f64()).collect(),
        other => panic!("{other:?}"),
    }
}

/// A tensor of any floating-point type.
fn tensor(name: &str, dtype: &'static str, shape: &[usize], values: &[f64]) -> Raw {
    let bytes = values.iter().flat_map(|&x| match dtype {
        "F16" => f16::from_f64(x.clamp(-6e4, 6e4)).to_le_bytes().to_vec(),
        "BF16" => bf16::from_f64(x).to_le_bytes().to_vec(),
        "F64" => x.to_le_bytes().to_vec(),
        _ => (x as f32).to_le_bytes().to_vec(),
    });
    (name.to_owned(), dtype, shape.to_vec(), bytes.collect())
}

/// `m x n` of rank `k` and some noise.
fn decaying(m: usize, n: usize, k: usize, noise: f64, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (u, v, e) = (gaussian(m, k, &mut random), gaussian(n, k, &mut random), gaussian(m, n, &mut random));
    let entry = |i: usize, j: usize| (0..k).map(|l| u[(i, l)] * v[(j, l)]).sum::<f64>() + noise * e[(i, j)];
    (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| entry(i, j)).collect()
}

/// A small network: low rank, hierarchical, random, a convolution, a bias, whole numbers, empty tensors.
pub fn network() -> Place {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let (rows, cols) = (permutation(160, &mut random), permutation(160, &mut random));
    Place::new(
        &[("format", "pt"), ("note", "a \\ \" b")],
        &[
            ("ids".to_owned(), "I64", vec![3], (0..24).collect()),
            f32s("low.weight", &[80, 96], decaying(80, 96, 4, 1e-4, 1)),
            tensor("half", "F16", &[64, 64], &decaying(64, 64, 2, 1e-4, 2)),
            tensor("brain", "BF16", &[96, 64], &decaying(96, 64, 2, 1e-3, 2)),
            tensor("double", "F64", &[160, 160], &green(&rows, &cols).to_row_major()),
            f32s("random", &[64, 64], decaying(64, 64, 64, 0.0, 3)),
            f32s("conv", &[48, 8, 3, 3], decaying(48, 72, 3, 1e-4, 4)),
            f32s("bias", &[80], (0..80).map(f64::from)),
            f32s("empty", &[0, 7], []),
            ("flags".to_owned(), "BOOL", vec![2, 2], vec![0, 1, 1, 0]),
            f32s("number", &[], [3.0]),
        ],
    )
}

#[test]
fn every_kind_of_weight_takes_its_form_and_the_rest_is_copied() {
    let place = network();
    let report = place.round_trip(&CompressOptions::new(Goal::Tolerance(2e-2)));
    let forms: Vec<(&str, Form)> = report.weights.iter().map(|w| (w.name.as_str(), w.form)).collect();
    assert_eq!(
        forms,
        [
            ("low.weight", Form::Svd),
            ("half", Form::Svd),
            ("brain", Form::Svd),
            ("double", Form::HReordered),
            ("random", Form::Dense),
            ("conv", Form::Svd)
        ]
    );
    assert!(!report.copied && report.other_tensors == 5);
    let compressed = CompressedFile::open(&place.path("small")).unwrap();
    assert_eq!((compressed.records().len(), compressed.copied().len()), (5, 6));
    // Sizes in the report add up to that of the file, but for what numbers print in.
    let parts: u64 = report.weights.iter().map(|w| w.bytes).sum::<u64>() + report.other_bytes;
    assert!(parts.abs_diff(report.output_bytes) < 2000, "{parts} {}", report.output_bytes);
    for weight in &report.weights {
        assert_eq!(weight.alternatives.len(), 4, "{weight:?}");
    }
}

#[test]
fn spectral_errors() {
    let place = network();
    let options = CompressOptions { norm: ErrorNorm::Spectral, ..CompressOptions::new(Goal::Tolerance(2e-2)) };
    let report = place.round_trip(&options);
    assert!(report.weights.iter().filter(|w| w.form != Form::Dense).count() >= 5);
    assert!(report.weights.iter().all(|w| w.error <= 2e-2));
}

#[test]
fn a_tolerance_of_zero_copies_every_bit() {
    let place = network();
    let report = place.compress(&CompressOptions::new(Goal::Tolerance(0.0)));
    assert!(report.copied);
    assert_eq!(std::fs::read(place.path("in")).unwrap(), std::fs::read(place.path("small")).unwrap());
}

#[test]
fn when_nothing_pays_the_output_is_the_input() {
    let place = Place::new(&[], &[f32s("w", &[64, 64], decaying(64, 64, 64, 0.0, 3))]);
    let report = place.round_trip(&CompressOptions::new(Goal::Tolerance(1e-3)));
    assert!(report.copied && report.weights[0].reason.contains("nothing pays"));
    assert_eq!(std::fs::read(place.path("in")).unwrap(), std::fs::read(place.path("small")).unwrap());
}

#[test]
fn patterns_and_tolerances_of_single_layers() {
    let place = network();
    let mut options = CompressOptions::new(Goal::Tolerance(2e-2));
    options.select = vec!["*o*".to_owned()];
    options.skip = vec!["conv".to_owned()];
    options.layers = vec![("*".to_owned(), 1e-9), ("low*".to_owned(), 0.2)];
    let report = place.round_trip(&options);
    let found: Vec<_> = report.weights.iter().map(|w| (w.name.as_str(), w.form, w.tolerance.unwrap())).collect();
    // 1e-9 is below the rounding of f32, but a Green's function is piecewise of rank one.
    assert_eq!(
        found,
        [("low.weight", Form::Svd, 0.2), ("double", Form::HReordered, 1e-9), ("random", Form::Dense, 1e-9)]
    );
    for (select, layer) in [("nothing", "*"), ("*", "nothing")] {
        let options = CompressOptions {
            select: vec![select.to_owned()],
            layers: vec![(layer.to_owned(), 0.1)],
            ..CompressOptions::new(Goal::Tolerance(0.1))
        };
        let error = compress_file(&place.path("in"), &place.path("none"), &options, &|_, _| ()).unwrap_err();
        assert!(error.to_string().contains("no tensor of"), "{error}");
    }
    assert!(!place.path("none").exists());
}

#[test]
fn budgets_are_kept_and_the_error_falls_as_they_grow() {
    let place = network();
    let mut last = f64::INFINITY;
    for ratio in [8.0, 4.0, 2.0, 1.2] {
        let report = place.round_trip(&CompressOptions::new(Goal::Ratio(ratio)));
        assert!(report.output_bytes as f64 * ratio <= report.input_bytes as f64, "{ratio}: {}", report.output_bytes);
        let error: f64 = report.weights.iter().map(|w| w.error * w.error).sum();
        // Below this, all that is left is rounding.
        assert!(error < last || error < 1e-14, "{ratio}: {error:e} > {last:e}");
        last = error;
    }
    let report = place.round_trip(&CompressOptions::new(Goal::Bytes(10_000_000)));
    assert!(report.copied && report.weights[0].reason.contains("within the budget"));
    let error =
        compress_file(&place.path("in"), &place.path("none"), &CompressOptions::new(Goal::Bytes(900)), &|_, _| ());
    assert!(error.unwrap_err().to_string().contains("cannot be met"));
}

#[test]
fn a_budget_is_shared_out_so_that_no_other_sharing_of_equal_bytes_is_better() {
    let two = [f32s("a", &[96, 96], decaying(96, 96, 96, 0.0, 5)), f32s("b", &[96, 96], decaying(96, 96, 6, 0.01, 6))];
    let place = Place::new(&[], &two);
    let shared = place.round_trip(&CompressOptions::new(Goal::Ratio(3.0)));
    let total = |report: &CompressReport| report.weights.iter().map(|w| w.error * w.error).sum::<f64>();
    // One tolerance for both, as large as the same bytes need.
    let (mut low, mut high) = (0.01, 0.99);
    for _ in 0..12 {
        let middle = 0.5 * (low + high);
        let report = place.compress(&CompressOptions::new(Goal::Tolerance(middle)));
        if report.output_bytes > shared.output_bytes { low = middle } else { high = middle }
    }
    let equal = place.compress(&CompressOptions::new(Goal::Tolerance(high)));
    assert!(total(&shared) < 1.02 * total(&equal), "{} {}", total(&shared), total(&equal));
}

#[test]
fn a_file_cannot_be_compressed_twice_and_names_are_not_taken_away() {
    let place = network();
    place.compress(&CompressOptions::new(Goal::Tolerance(2e-2)));
    let again =
        compress_file(&place.path("small"), &place.path("x"), &CompressOptions::new(Goal::Tolerance(0.1)), &|_, _| ());
    assert!(again.unwrap_err().to_string().contains("compressed already"));
    let low = || decaying(80, 96, 4, 1e-4, 1);
    let place = Place::new(&[], &[f32s("w", &[80, 96], low()), f32s("w.ff.V", &[2], [1.0, 2.0])]);
    let report = place.round_trip(&CompressOptions::new(Goal::Tolerance(0.1)));
    assert!(report.copied && report.weights[0].reason.contains("name"), "{report:?}");
}

#[test]
fn output_over_input_and_the_same_bits_for_any_number_of_threads() {
    let place = network();
    let options = CompressOptions::new(Goal::Tolerance(1e-2));
    place.compress(&options);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    one.install(|| compress_file(&place.path("in"), &place.path("in"), &options, &|_, _| ())).unwrap();
    assert_eq!(std::fs::read(place.path("in")).unwrap(), std::fs::read(place.path("small")).unwrap());
    assert_eq!(names(place.0.path()), ["in.safetensors", "small.safetensors"]);
}

#[test]
fn files_of_random_and_structured_weights_never_grow() {
    let dtypes = ["F32", "F64", "BF16", "F16"];
    for seed in 0..25 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let tensors: Vec<Raw> = (0..12)
            .map(|k| {
                let a = weight(100 * seed + k, 60);
                let dtype = dtypes[random.random_range(0..4)];
                let scale = if dtype == "F16" { 1.0 / (1e-9 + a.norm_frobenius()) } else { 1.0 };
                let values: Vec<f64> = a.to_row_major().into_iter().map(|x| scale * x).collect();
                tensor(&format!("layer.{k}"), dtype, &[a.nrows(), a.ncols()], &values)
            })
            .collect();
        let place = Place::new(&[], &tensors);
        place.round_trip(&CompressOptions::new(Goal::Tolerance([0.3, 0.05, 1e-3][(seed % 3) as usize])));
    }
}
