//! `farfield export`: every kind of model in onnxruntime against our own prediction, the other formats, bad input.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::place::{Place, one_line};
use burn::tensor::Device;
use farfield::data::{Array, FieldShape, Normalizer, read_array, save_npy};
use farfield::nn::config::{MapKind, ModelKind, Precision};
use farfield::nn::export::{ExportFormat, export};
use farfield::nn::metrics::global_l2;
use farfield::nn::model_file::{SavedModel, save};
use farfield::nn::rivals::{
    Activation, Connection, ConvNetConfig, DeepOnetConfig, FactFormerConfig, FnoConfig, GreenLearningConfig, Head,
    MnnConfig, ModeConvention, Modes, Padding, ResNetConfig,
};
use farfield::nn::{AnyModelConfig, DataFacts, MODEL_KINDS, ModelConfig, Normalizers, predict};

/// What the tests need of Python.
const MODULES: &str = "numpy, onnx, onnxruntime, safetensors";

/// Whether Python has what a test needs. With `FARFIELD_REQUIRE_ONNXRUNTIME` in the environment it must have it.
fn python_has(modules: &str) -> bool {
    let python = Command::new("python3").args(["-c", &format!("import {modules}")]).output();
    let found = python.is_ok_and(|out| out.status.success());
    if !found {
        let required = std::env::var_os("FARFIELD_REQUIRE_ONNXRUNTIME").is_some();
        assert!(!required, "python3 with {modules} is asked for and not there");
        println!("skipped: python3 with {modules} is not installed");
    }
    found
}

/// The output of a Python script that must succeed.
fn python(place: &Place, args: &[&str]) -> String {
    let run = Command::new("python3").args(args).current_dir(place.dir.path()).output().unwrap();
    assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

fn shape(channels: usize, grid: &[usize]) -> FieldShape {
    FieldShape::new(channels, grid)
}

/// Models of every kind, in one, two and three dimensions, with uneven leaves, rectangular layers, channels.
fn models() -> Vec<(AnyModelConfig, FieldShape, FieldShape)> {
    let base = ModelConfig { levels: 2, rank: 2, depth: 2, slope_init: 0.5, ..ModelConfig::default() };
    let mut list = Vec::new();
    let same = |grid: &[usize]| (shape(1, grid), shape(1, grid));
    let mut hss = |config: &ModelConfig, (input, output): (FieldShape, FieldShape)| {
        list.push((AnyModelConfig::NeuralHss(config.clone()), input, output));
    };
    hss(&ModelConfig { levels: 3, ..base.clone() }, same(&[64]));
    hss(&base, same(&[13]));
    hss(&ModelConfig { rank: 1, ..base.clone() }, same(&[3]));
    hss(&ModelConfig { levels: 0, outer_rank: 2, ..base.clone() }, same(&[5]));
    hss(&ModelConfig { kind: ModelKind::BlockDiagonal, ..base.clone() }, same(&[9]));
    hss(&ModelConfig { kind: ModelKind::Dense, ..base.clone() }, same(&[6]));
    hss(&ModelConfig { outer_rank: 3, ..base.clone() }, same(&[8, 11]));
    hss(&ModelConfig { outer_rank: 2, levels: 1, ..base.clone() }, same(&[6, 5, 7]));
    let lines = (shape(1, &[7]), shape(1, &[10]));
    hss(
        &ModelConfig { embedding: Some(vec![20]), lift: MapKind::Full, project: MapKind::Hss, ..base.clone() },
        lines.clone(),
    );
    hss(&ModelConfig { embedding: Some(vec![15]), lift: MapKind::Hss, project: MapKind::Full, ..base.clone() }, lines);
    let maps = [(MapKind::Hss, MapKind::Full), (MapKind::Full, MapKind::Hss)];
    for ((lift, project), outer_rank) in maps.into_iter().zip([1, 2]) {
        let config = ModelConfig { embedding: Some(vec![6, 8]), lift, project, outer_rank, ..base.clone() };
        hss(&config, (shape(1, &[8, 11]), shape(1, &[9, 7])));
    }
    let tensors = ModelConfig { lift: MapKind::Tensor, project: MapKind::Tensor, lift_rank: 5, ..base };
    hss(
        &ModelConfig { embedding: Some(vec![6, 8]), outer_rank: 2, ..tensors.clone() },
        (shape(2, &[5, 4]), shape(3, &[4, 5])),
    );
    hss(&ModelConfig { embedding: Some(vec![9]), ..tensors }, (shape(2, &[5]), shape(3, &[4])));

    let fno = FnoConfig {
        n_modes: Modes::Same(3),
        hidden_channels: 4,
        n_layers: 2,
        projection_channels: 6,
        ..FnoConfig::default()
    };
    for (channels, grid) in [((1, 1), vec![10]), ((2, 3), vec![10]), ((2, 3), vec![8, 7]), ((2, 3), vec![6, 8, 6])] {
        let (input, output) = (shape(channels.0, &grid), shape(channels.1, &grid));
        for config in [
            AnyModelConfig::Fno(FnoConfig { padding: 2, ..fno.clone() }),
            AnyModelConfig::Fno(FnoConfig {
                head: Head::Linear,
                mode_convention: ModeConvention::Total,
                grid: false,
                ..fno.clone()
            }),
            AnyModelConfig::ResNet(ResNetConfig { hidden_channels: 4, n_layers: 4 }),
            AnyModelConfig::DeepOnet(DeepOnetConfig { hidden_channels: 5, n_layers: 3 }),
            AnyModelConfig::GreenLearning(GreenLearningConfig {
                hidden_channels: 5,
                n_layers: 2,
                homogeneous: grid.len() < 2,
                green_points: Some(4),
            }),
            AnyModelConfig::FactFormer(FactFormerConfig {
                hidden_channels: 6,
                n_layers: 2,
                heads: 2,
                head_channels: 4,
                kernel_multiplier: 2,
            }),
            AnyModelConfig::ConvNet(ConvNetConfig {
                hidden_channels: 4,
                kernel_size: 5,
                padding: Padding::Zero,
                ..ConvNetConfig::default()
            }),
            AnyModelConfig::ConvNet(ConvNetConfig {
                hidden_channels: 4,
                n_layers: 2,
                kernel_size: 3,
                activation: Activation::None,
                ..ConvNetConfig::default()
            }),
        ] {
            list.push((config, input.clone(), output.clone()));
        }
    }
    // Boxes, with every kind of layer and padding.
    for (channels, grid, levels) in [((1, 1), vec![24], 3), ((2, 1), vec![16], 2), ((1, 3), vec![16, 8], 3)] {
        for (connection, padding) in [
            (Connection::Conv, Padding::Periodic),
            (Connection::Conv, Padding::Zero),
            (Connection::Lc, Padding::Zero),
            (Connection::Mix, Padding::Periodic),
        ] {
            let config = MnnConfig {
                levels: Some(levels),
                hidden_channels: 3,
                n_layers: 2,
                connection,
                padding,
                adjacent_band: if grid.len() == 1 { 1 } else { 0 },
                ..MnnConfig::default()
            };
            for config in [AnyModelConfig::MnnH(config.clone()), AnyModelConfig::MnnH2(config)] {
                list.push((config, shape(channels.0, &grid), shape(channels.1, &grid)));
            }
        }
    }
    // Other grids out than in.
    let deep = DeepOnetConfig { hidden_channels: 5, n_layers: 2 };
    list.push((AnyModelConfig::DeepOnet(deep), shape(2, &[6, 5]), shape(1, &[9])));
    let green = GreenLearningConfig { hidden_channels: 5, n_layers: 1, homogeneous: true, green_points: None };
    list.push((AnyModelConfig::GreenLearning(green), shape(1, &[6]), shape(2, &[4])));
    list
}

/// A model with random parameters; channel `c` of its fields has the shift and the scale of `numbers`.
fn random(
    config: &AnyModelConfig,
    (input, output): (&FieldShape, &FieldShape),
    precision: Precision,
    numbers: impl Fn(usize) -> (f64, f64),
) -> SavedModel {
    let model = config.build(input, output, 3, &Device::flex(), precision.dtype()).unwrap();
    let scale = |channels: usize| {
        let (shift, scale) = (0..channels).map(&numbers).unzip();
        Normalizer::new(shift, scale).unwrap()
    };
    let normalizers = Normalizers { input: scale(input.channels), output: scale(output.channels) };
    SavedModel { model, normalizers, precision, facts: DataFacts::default() }
}

/// Our prediction in double precision numbers.
fn ours(saved: &SavedModel, x: &[f64]) -> Vec<f64> {
    let single = || x.iter().map(|&v| v as f32).collect();
    match saved.precision {
        Precision::F32 => {
            predict(&saved.model, &saved.normalizers, single()).unwrap().into_iter().map(f64::from).collect()
        }
        Precision::F64 => predict(&saved.model, &saved.normalizers, x.to_vec()).unwrap(),
    }
}

/// Five samples of inputs that the precision holds exactly.
fn inputs(shape: &FieldShape) -> Array {
    let values: Vec<f32> = (0..5 * shape.len()).map(|i| (i as f32 * 0.7).sin() + 0.2 * (i % 3) as f32).collect();
    Array::new(&shape.with_samples(5), &values).unwrap()
}

/// Relative difference from our own prediction that is allowed.
fn limit(precision: Precision) -> f64 {
    if precision == Precision::F32 { 1e-5 } else { 1e-12 }
}

#[test]
fn onnxruntime_predicts_the_same() {
    if !python_has(MODULES) {
        return;
    }
    let place = Place::new();
    let mut list = String::new();
    let mut kinds: Vec<&str> = MODEL_KINDS.to_vec();
    for (i, (config, input, output)) in models().iter().enumerate() {
        kinds.retain(|kind| *kind != config.kind());
        let x = inputs(input);
        save_npy(&place.path(&format!("x{i}.npy")), &x, false).unwrap();
        for precision in [Precision::F32, Precision::F64] {
            let scales = |c| (0.1 * c as f64 - 1.0 / 3.0, 1.7 + c as f64);
            let saved = random(config, (input, output), precision, scales);
            let name = format!("{}-{i}-{precision:?}", config.kind()).to_lowercase();
            let path = place.path(&format!("{name}.onnx"));
            export(&saved, ExportFormat::Onnx, &path, false).unwrap();
            let y = Array::new(&output.with_samples(5), &ours(&saved, &x.data.to_vec::<f64>())).unwrap();
            save_npy(&place.path(&format!("{name}.npy")), &y, false).unwrap();
            writeln!(list, "{name}.onnx x{i}.npy {name}.npy {}", limit(precision)).unwrap();
        }
    }
    assert!(kinds.is_empty(), "kinds that are not exported here: {kinds:?}");
    std::fs::write(place.path("list"), list).unwrap();
    print!("{}", python(&place, &[&fixture("run_onnx.py"), "list"]));
}

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).display().to_string()
}

/// A shift that is large against the scale loses no digits in single precision.
#[test]
fn a_large_shift_loses_no_digits() {
    if !python_has(MODULES) {
        return;
    }
    let place = Place::new();
    let (field, config) =
        (shape(1, &[16]), AnyModelConfig::NeuralHss(ModelConfig { levels: 2, ..ModelConfig::default() }));
    let saved = random(&config, (&field, &field), Precision::F32, |_| (1000.0 + 1.0 / 3.0, 0.01));
    let values: Vec<f32> = (0..5 * 16).map(|i| (1000.0 + 1.0 / 3.0 + 0.01 * (i as f64).sin()) as f32).collect();
    let x = Array::new(&[5, 1, 16], &values).unwrap();
    // Of the output only what varies is compared.
    let shiftless = SavedModel {
        normalizers: Normalizers { output: Normalizer::identity(1), ..saved.normalizers.clone() },
        ..saved
    };
    let y = Array::new(&[5, 1, 16], &ours(&shiftless, &x.data.to_vec::<f64>())).unwrap();
    save_npy(&place.path("x.npy"), &x, false).unwrap();
    save_npy(&place.path("y.npy"), &y, false).unwrap();
    export(&shiftless, ExportFormat::Onnx, &place.path("m.onnx"), false).unwrap();
    std::fs::write(place.path("list"), "m.onnx x.npy y.npy 1e-6\n").unwrap();
    python(&place, &[&fixture("run_onnx.py"), "list"]);
}

/// A folder with a small model of two channels in it, as `run/model.safetensors`.
fn small_run() -> (Place, SavedModel) {
    let place = Place::new();
    let field = shape(2, &[12]);
    let config = AnyModelConfig::Fno(FnoConfig {
        n_modes: Modes::Same(3),
        hidden_channels: 4,
        n_layers: 1,
        ..FnoConfig::default()
    });
    let saved = random(&config, (&field, &field), Precision::F32, |c| (c as f64, 1.5));
    std::fs::create_dir(place.path("run")).unwrap();
    save(&place.path("run/model.safetensors"), &saved.model, &saved.normalizers, saved.precision).unwrap();
    (place, saved)
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let (place, _) = small_run();
    for format in ExportFormat::ALL {
        let name = format.name();
        let said = place.ok(&["export", "run", "--format", name]);
        assert!(said.contains(&format!("run/export.{name}: fno, ")), "{said}");
        place.ok(&["export", "run/model.safetensors", "--format", name, "--out", "again", "--force"]);
        let bytes = |name: &str| std::fs::read(place.path(name)).unwrap();
        assert!(bytes(&format!("run/export.{name}")) == bytes("again"), "{name}");
    }
}

/// The Python programs of `docs/export.md`, in their order: ONNX, npz, safetensors.
fn documented() -> [String; 3] {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/export.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect::<Vec<_>>().try_into().unwrap()
}

/// A trained run, exported in every format, read by the programs of the document: all predict as `farfield predict` does.
#[test]
fn documented_programs_predict_the_same() {
    if !python_has(MODULES) {
        return;
    }
    let place = Place::new();
    let short =
        ["--samples", "30", "--epochs", "3", "--set", "problem.test_samples=10", "--set", "problem.ood_samples=10"];
    place.json(&[&["train", "poisson-1d", "--compare", "none", "--out", "run", "--json"], &short[..]].concat());
    let field = shape(1, &[256]);
    let x = inputs(&field);
    save_npy(&place.path("x.npy"), &x, false).unwrap();
    place.ok(&["predict", "run", "--input", "x.npy", "--output", "ours.npy"]);
    for format in ExportFormat::ALL {
        let out = format!("export.{format}");
        let said = place.ok(&["export", "run", "--format", format.name(), "--out", &out]);
        assert!(said.contains("neural-hss, 28275 parameters") && said.contains("the output field"), "{said}");
    }
    let ours = read_array(&place.path("ours.npy"), None).unwrap();
    let check = |what: &str| {
        let theirs = read_array(&place.path("y.npy"), None).unwrap();
        assert_eq!(theirs.shape, ours.shape, "{what}");
        let error = global_l2(&theirs.data.to_vec::<f64>(), &ours.data.to_vec::<f64>());
        assert!(error < limit(Precision::F32), "{what}: {error}");
        std::fs::remove_file(place.path("y.npy")).unwrap();
    };
    let [onnx, npz, safetensors] = documented();
    let said = python(&place, &["-c", &onnx]);
    assert!(said.starts_with("neural-hss (5, 1, 256) the output field"), "{said}");
    check("onnx");

    let said = python(&place, &["-c", &npz]);
    assert_eq!(said.trim(), "neural-hss the output field 28275");
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("../farfield-nn/tests/fixtures/read_model.py");
    let reader = std::fs::read_to_string(reader).unwrap();
    let (_, functions) = reader.split_at(reader.find("def tree").unwrap());
    python(&place, &["-c", &format!("import sys\n{npz}\n{functions}"), "", "x.npy", "y.npy"]);
    check("npz");

    let same = "import numpy as np\nfrom safetensors.numpy import load_file\n\
        a, b = load_file('export.safetensors'), np.load('export.npz')\n\
        assert sorted(a) == sorted(n for n in b.files if b[n].dtype.kind == 'f')\n\
        assert all(a[n].dtype == b[n].dtype and np.array_equal(a[n], b[n]) for n in a)\n";
    python(&place, &["-c", same]);
    let torch = Command::new("python3").args(["-c", "import torch"]).output();
    if torch.is_ok_and(|out| out.status.success()) {
        let run = "y = predict(torch.tensor(np.load('x.npy'))[:, 0])[:, None]\nnp.save('y.npy', y.numpy())";
        python(&place, &["-c", &format!("import numpy as np\n{safetensors}\n{run}")]);
        check("safetensors");
    }
}

/// One step of an evolution equation: the file says that outputs are changes, and gives what `predict` gives.
#[test]
fn a_model_of_changes_says_so() {
    if !python_has(MODULES) {
        return;
    }
    let place = Place::new();
    let short =
        ["--samples", "4", "--epochs", "1", "--set", "problem.test_samples=2", "--set", "problem.ood_samples=2"];
    place.ok(&[&["train", "heat-1d", "--compare", "none", "--out", "run", "--quiet"], &short[..]].concat());
    let said = place.ok(&["export", "run", "--format", "onnx", "--out", "m.onnx"]);
    assert!(said.contains("the change of the state"), "{said}");
    let alone = place.ok(&["export", "run/model.safetensors", "--format", "onnx", "--out", "alone.onnx"]);
    assert!(alone.contains("the change of the state"), "{alone}");
    save_npy(&place.path("x.npy"), &inputs(&shape(1, &[256])), false).unwrap();
    place.ok(&["predict", "run", "--input", "x.npy", "--output", "y.npy"]);
    std::fs::write(place.path("list"), "m.onnx x.npy y.npy 1e-5\nalone.onnx x.npy y.npy 1e-5\n").unwrap();
    python(&place, &[&fixture("run_onnx.py"), "list"]);
    let metadata = "import onnx, json\nm = onnx.load('m.onnx')\np = {e.key: e.value for e in m.metadata_props}\n\
        assert sorted(p) == ['config', 'farfield_version', 'model_kind', 'output'], sorted(p)\n\
        assert p['model_kind'] == 'neural-hss' and p['output'].startswith('the change of the state')\n\
        assert json.loads(p['config'])['input'] == {'channels': 1, 'grid': [256]}\n\
        assert m.producer_name == 'farfield' and m.producer_version == p['farfield_version']\n";
    python(&place, &["-c", metadata]);
}

#[test]
fn bad_input_is_one_line_and_no_file() {
    let (place, _) = small_run();
    std::fs::write(place.path("text"), "no model").unwrap();
    std::fs::write(place.path("taken"), "theirs").unwrap();
    std::fs::create_dir(place.path("empty")).unwrap();
    // A kind that there is not, in the metadata of a file that is whole otherwise.
    let bytes = std::fs::read(place.path("run/model.safetensors")).unwrap();
    let at = bytes.windows(5).position(|part| part == b"\"fno\\").unwrap();
    let mut other = bytes.clone();
    other[at + 1..at + 4].copy_from_slice(b"gnn");
    std::fs::write(place.path("other.safetensors"), other).unwrap();
    std::fs::write(place.path("cut.safetensors"), &bytes[..bytes.len() - 9]).unwrap();

    let cases: &[(&[&str], &[&str])] = &[
        (&["nowhere", "--format", "onnx"], &["nowhere", "no such file"]),
        (&["empty", "--format", "onnx"], &["empty", "not finished"]),
        (&["text", "--format", "npz"], &["text", "safetensors"]),
        (&["cut.safetensors", "--format", "npz"], &["cut.safetensors"]),
        (&["other.safetensors", "--format", "onnx"], &["other.safetensors", "gnn", "fact-former"]),
        (&["run", "--format", "tflite"], &["--format", "tflite", "npz, safetensors, onnx"]),
        (&["run", "--format", "onnx", "--out", "taken"], &["taken", "exists"]),
        (&["run", "--format", "npz", "--out", "taken"], &["taken", "exists"]),
        (&["run", "--format", "safetensors", "--out", "taken"], &["taken", "exists"]),
        (&["run", "--format", "onnx", "--out", "no/m.onnx"], &["no/m.onnx", "cannot create"]),
        (&["run", "--format", "npz", "--out", "text/m.npz"], &["text/m.npz", "cannot create"]),
        (&["run", "--format", "safetensors", "--out", "empty", "--force"], &["empty", "cannot create"]),
        (
            &["run", "--format", "safetensors", "--out", "run/model.safetensors", "--force"],
            &["run/model.safetensors", "the model itself"],
        ),
        (&["run", "--format", "onnx", "--out", "run/../run/model.safetensors", "--force"], &["the model itself"]),
    ];
    for (args, parts) in cases {
        let error = place.fails(2, &[&["export"], *args].concat());
        for part in *parts {
            assert!(error.contains(part), "{args:?}: {error}");
        }
    }
    assert_eq!(std::fs::read(place.path("taken")).unwrap(), b"theirs");
    let mut names: Vec<_> =
        std::fs::read_dir(place.dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["cut.safetensors", "empty", "other.safetensors", "run", "taken", "text"]);
    assert_eq!(std::fs::read_dir(place.path("run")).unwrap().count(), 1, "nothing beside the model");
    assert_eq!(std::fs::read(place.path("run/model.safetensors")).unwrap(), bytes);

    place.ok(&["export", "run", "--format", "onnx", "--out", "taken", "--force"]);
    assert_ne!(std::fs::read(place.path("taken")).unwrap(), b"theirs");
}

/// A limit on file sizes stands in for a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let (place, _) = small_run();
    for format in ExportFormat::ALL {
        // Beyond the limit the system signals; ignoring the signal makes the write fail.
        let program = env!("CARGO_BIN_EXE_farfield");
        let script = format!("trap '' XFSZ; ulimit -f 1; exec {program} export run --format {format}");
        let output = Command::new("bash").args(["-c", &script]).current_dir(place.dir.path()).output().unwrap();
        let error = one_line(output, 1, format.name());
        assert!(error.contains(&format!("run/export.{format}: cannot write")), "{error}");
    }
    assert_eq!(std::fs::read_dir(place.path("run")).unwrap().count(), 1, "the model alone");
}
