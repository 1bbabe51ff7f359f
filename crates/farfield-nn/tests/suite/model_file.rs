//! Model files: bit-equal round trips, refusal of damaged files, and a reader in NumPy.

use std::path::Path;
use std::process::Command;

use burn::tensor::Device;
use farfield_data::{Array, FieldShape, Mask, Normalizer, OpenOptions, Task, read_array, save_npy, save_npz};
use farfield_nn::config::{MapKind, ModelKind, Precision};
use farfield_nn::model_file::{SavedModel, load, save, save_with};
use farfield_nn::parameters::export;
use farfield_nn::{AnyModel, AnyModelConfig, DataFacts, Evolution, ModelConfig, NeuralHss, Normalizers, predict};

fn configs() -> Vec<(ModelConfig, FieldShape, FieldShape)> {
    let base = ModelConfig { levels: 2, rank: 2, depth: 2, slope_init: 0.5, ..ModelConfig::default() };
    let line = |n| FieldShape::new(1, &[n]);
    let plane = FieldShape::new(1, &[8, 11]);
    vec![
        (base.clone(), line(16), line(16)),
        (base.clone(), line(13), line(13)),
        (ModelConfig { levels: 0, ..base.clone() }, line(5), line(5)),
        (ModelConfig { kind: ModelKind::BlockDiagonal, ..base.clone() }, line(9), line(9)),
        (ModelConfig { kind: ModelKind::Dense, ..base.clone() }, line(6), line(6)),
        (ModelConfig { outer_rank: 3, ..base.clone() }, plane.clone(), plane.clone()),
        (
            ModelConfig { embedding: Some(vec![20]), lift: MapKind::Full, project: MapKind::Hss, ..base.clone() },
            line(7),
            line(10),
        ),
        (
            ModelConfig {
                embedding: Some(vec![6, 8]),
                lift: MapKind::Hss,
                project: MapKind::Full,
                outer_rank: 2,
                ..base.clone()
            },
            plane.clone(),
            plane,
        ),
        (
            ModelConfig {
                embedding: Some(vec![6, 8]),
                lift: MapKind::Tensor,
                project: MapKind::Tensor,
                lift_rank: 5,
                ..base
            },
            FieldShape::new(2, &[5, 4]),
            FieldShape::new(3, &[4, 5]),
        ),
    ]
}

fn saved(config: &ModelConfig, input: &FieldShape, output: &FieldShape, precision: Precision) -> SavedModel {
    let model = NeuralHss::new(config, input, output, 3, &Device::flex(), precision.dtype()).unwrap();
    let scale = |channels: usize| {
        let shift = (0..channels).map(|c| 0.1 * c as f64 - 1.0 / 3.0).collect();
        Normalizer::new(shift, (0..channels).map(|c| 1.7 + c as f64).collect()).unwrap()
    };
    let normalizers = Normalizers { input: scale(input.channels), output: scale(output.channels) };
    SavedModel { model: AnyModel::NeuralHss(model), normalizers, precision, facts: DataFacts::default() }
}

#[test]
fn a_round_trip_keeps_every_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("model.safetensors"), folder.path().join("again.safetensors"));
    for (config, input, output) in configs() {
        for precision in [Precision::F32, Precision::F64] {
            let original = saved(&config, &input, &output, precision);
            save(&path, &original.model, &original.normalizers, precision).unwrap();
            let back = load(&path, &Device::flex()).unwrap();
            assert_eq!(back.normalizers, original.normalizers);
            assert_eq!((back.precision, back.model.config()), (precision, AnyModelConfig::NeuralHss(config.clone())));
            let bits = |m: &AnyModel| -> Vec<(String, Vec<u8>)> {
                export(m).into_iter().map(|t| (t.name, t.data.as_bytes().to_vec())).collect()
            };
            assert_eq!(bits(&back.model), bits(&original.model));
            save(&again, &back.model, &back.normalizers, precision).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());
        }
    }
}

#[test]
fn domain_and_task_travel_with_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (config, input, output) = configs().swap_remove(5);
    let m = saved(&config, &input, &output, Precision::F32);
    let inside: Vec<bool> = (0..8 * 11).map(|i| i % 7 != 0 && i > 20).collect();
    let mask = Mask::new(&[8, 11], &inside).unwrap();
    let evolution = Evolution {
        task: Task::OneStep,
        time_stride: 2,
        residual: true,
        scalars: vec!["F".to_owned(), "k".to_owned()],
    };
    let facts = DataFacts { mask: Some(mask), evolution: Some(evolution) };
    save_with(&path, &m.model, &m.normalizers, Precision::F32, &facts).unwrap();
    assert_eq!(load(&path, &Device::flex()).unwrap().facts, facts);

    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    assert!(header.contains("\\\"mask\\\":[22,"), "{header}");
    for (from, to, part) in [
        ("\\\"mask\\\":[22,", "\\\"mask\\\":[23,", "its runs have 89 points"),
        ("\\\"mask\\\":[22,", "\\\"mask\\\":[-1,", "config"),
        ("\\\"one-step\\\"", "\\\"two-step\\\"", "two-step"),
    ] {
        assert!(header.contains(from), "{from} in {header}");
        let mut changed = bytes.clone();
        changed[8..8 + length].copy_from_slice(header.replace(from, to).as_bytes());
        std::fs::write(&path, &changed).unwrap();
        let error = refusal(&path);
        assert!(error.contains(part), "{from}: {error}");
    }
    let other = DataFacts { mask: Some(Mask::new(&[4], &[true; 4]).unwrap()), evolution: None };
    let error = save_with(&path, &m.model, &m.normalizers, Precision::F32, &other).unwrap_err().to_string();
    assert_eq!(error, "grid of the mask: got [4], expected [8, 11]");
}

#[test]
fn a_set_is_opened_as_the_model_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.npz");
    let values = |n: usize| (0..n).map(|i| (0.3 * i as f64).sin()).collect::<Vec<f64>>();
    let u = Array::new(&[3, 5, 6], &values(90)).unwrap();
    let t = Array::new(&[5], &[0.0, 1.0, 2.0, 3.0, 4.0]).unwrap();
    save_npz(&path, &[("u", &u), ("t", &t)], false).unwrap();
    let evolution = |scalars: &[&str]| Evolution {
        task: Task::OneStep,
        time_stride: 2,
        residual: true,
        scalars: scalars.iter().map(|s| (*s).to_owned()).collect(),
    };
    let mask = Mask::new(&[6], &[true, true, false, true, true, true]).unwrap();
    let facts = DataFacts { mask: Some(mask.clone()), evolution: Some(evolution(&[])) };
    let options = OpenOptions { dims: Some(1), ..OpenOptions::default() };
    let set = facts.open(&path, &options).unwrap();
    assert_eq!(DataFacts::of(&set), facts);
    let with = DataFacts { mask: None, evolution: Some(evolution(&["c"])) };
    let error = with.open(&path, &options).unwrap_err().to_string();
    assert_eq!(error, "scalars of the trajectories: got none, expected c");
    // Pairs are taken as they are, on the model's domain.
    let pairs = folder.path().join("pairs.npz");
    let x = Array::new(&[4, 6], &values(24)).unwrap();
    save_npz(&pairs, &[("x", &x), ("y", &x)], false).unwrap();
    assert_eq!(facts.open(&pairs, &options).unwrap().mask(), Some(&mask));
    let wide = Array::new(&[4, 7], &values(28)).unwrap();
    save_npz(&pairs, &[("x", &wide), ("y", &wide)], true).unwrap();
    assert!(facts.open(&pairs, &options).unwrap_err().to_string().contains("mask"));
}

/// The error of loading, which must be one line that names the file.
fn refusal(path: &Path) -> String {
    let error = load(path, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && !error.contains('\n'), "{error}");
    error
}

#[test]
fn damaged_files_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    assert!(refusal(&path).contains("read"));
    let (config, input, output) = configs().swap_remove(1);
    let original = saved(&config, &input, &output, Precision::F32);
    save(&path, &original.model, &original.normalizers, Precision::F32).unwrap();
    let bytes = std::fs::read(&path).unwrap();

    for cut in [0, 3, 8, 50, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        refusal(&path);
    }
    // Changes of the header, of equal length, and of the first numbers.
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    for (from, to, part) in [
        ("farfield-model", "farfield-other", "format"),
        ("\"version\":\"1\"", "\"version\":\"7\"", "version"),
        ("layers.1.alpha", "layers.1.alphb", "layers.1.alph"),
        ("layers.0.mode0.level2.V", "layers.0.mode0.level2.W", "layers.0.mode0.level2.V"),
        ("\\\"rank\\\":2", "\\\"rank\\\":7", "layers.0.mode0.level2.D"),
        ("\\\"levels\\\":2", "\\\"levels\\\":9", "layers.0.mode0.level9.D"),
        ("\\\"depth\\\":2", "\\\"depth\\\":9", "layers.2."),
        ("\\\"depth\\\":2", "\\\"depth\\\":1", "layers.1."),
        ("\\\"depth\\\":2", "\\\"depth\\\":0", "model.depth"),
        ("\\\"rank\\\":2", "\\\"rank\\\":-", "config"),
        ("\\\"kind\\\"", "\\\"kinx\\\"", "kinx"),
        ("\\\"grid\\\":[13]", "\\\"grid\\\":[99]", "mode0"),
        ("\\\"f32\\\"", "\\\"f64\\\"", "F32"),
    ] {
        assert!(header.contains(from), "{from} in {header}");
        let mut changed = bytes.clone();
        changed[8..8 + length].copy_from_slice(header.replace(from, to).as_bytes());
        std::fs::write(&path, &changed).unwrap();
        let error = refusal(&path);
        assert!(error.contains(part), "{from}: {error}");
    }
    for (value, text) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let mut changed = bytes.clone();
        let last = bytes.len() - 4;
        changed[last..].copy_from_slice(&value.to_le_bytes());
        std::fs::write(&path, &changed).unwrap();
        let error = refusal(&path);
        assert!(error.contains(text) && error.contains("tensor \"layers.1.mode0.level2.V\""), "{error}");
    }
}

#[test]
fn hostile_sizes_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (config, input, output) = configs().swap_remove(0);
    let original = saved(&config, &input, &output, Precision::F32);
    save(&path, &original.model, &original.normalizers, Precision::F32).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap().trim_end().to_owned();
    for (from, to) in [
        ("\\\"levels\\\":2", "\\\"levels\\\":24"),
        ("\\\"rank\\\":2", "\\\"rank\\\":1000000"),
        ("\\\"depth\\\":2", "\\\"depth\\\":900000000000"),
        ("\\\"outer_rank\\\":1", "\\\"outer_rank\\\":2000000000"),
        ("\\\"lift_rank\\\":64", "\\\"lift_rank\\\":64,\\\"embedding\\\":[90000000000]"),
        ("[16]", "[17179869184]"),
        ("\"shape\":[1,4,4,2]", "\"shape\":[1,4,0,2]"),
        ("\"shape\":[1,4,4,4]", "\"shape\":[1,4611686018427387904,0,4]"),
    ] {
        assert!(header.contains(from), "{from} in {header}");
        let changed = header.replace(from, to);
        let mut file = (changed.len() as u64).to_le_bytes().to_vec();
        file.extend(changed.as_bytes());
        file.extend(&bytes[8 + length..]);
        std::fs::write(&path, file).unwrap();
        refusal(&path);
    }
    // A header that claims to be longer than any memory.
    std::fs::write(&path, [0xff; 64]).unwrap();
    refusal(&path);
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let (config, input, output) = configs().swap_remove(0);
    let m = saved(&config, &input, &output, Precision::F32);
    let path = folder.path().join("missing").join("model.safetensors");
    let error = save(&path, &m.model, &m.normalizers, Precision::F32).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && !error.contains('\n'), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_numpy_reader_predicts_the_same() {
    let python = Command::new("python3").args(["-c", "import numpy"]).output();
    if !python.is_ok_and(|out| out.status.success()) {
        assert!(std::env::var_os("FARFIELD_REQUIRE_NUMPY").is_none(), "python3 with numpy is asked for and not there");
        println!("skipped: python3 with numpy is not installed");
        return;
    }
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/read_model.py");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/model-format.md");
    let script = std::fs::read_to_string(&reader).unwrap();
    assert!(std::fs::read_to_string(document).unwrap().contains(&script), "docs/model-format.md holds the reader");

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    for (config, input, output) in configs() {
        if config.lift == MapKind::Tensor || input.dims() > 2 {
            continue;
        }
        for precision in [Precision::F32, Precision::F64] {
            let m = saved(&config, &input, &output, precision);
            save(&file("model.safetensors"), &m.model, &m.normalizers, precision).unwrap();
            let x: Vec<f32> = (0..4 * input.len()).map(|i| (i as f32 * 0.7).sin()).collect();
            let array = Array::new(&input.with_samples(4), &x).unwrap();
            save_npy(&file("x.npy"), &array, true).unwrap();
            let run = Command::new("python3")
                .arg(&reader)
                .args([file("model.safetensors"), file("x.npy"), file("y.npy")])
                .output()
                .unwrap();
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
            let theirs = read_array(&file("y.npy"), None).unwrap();
            assert_eq!(theirs.shape, output.with_samples(4));
            let theirs: Vec<f64> = theirs.data.to_vec();
            let ours: Vec<f64> = match precision {
                Precision::F32 => predict(&m.model, &m.normalizers, x).unwrap().into_iter().map(f64::from).collect(),
                Precision::F64 => predict(&m.model, &m.normalizers, x.into_iter().map(f64::from).collect()).unwrap(),
            };
            let error = farfield_nn::metrics::global_l2(&ours, &theirs);
            let limit = if precision == Precision::F32 { 1e-5 } else { 1e-13 };
            assert!(error < limit, "{config:?}: {error}");
        }
    }
}
