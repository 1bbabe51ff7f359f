//! The command as a user runs it: the way from nothing to predictions, and every kind of bad input.

use std::path::Path;
use std::process::Command;

use crate::place::{Place, one_line};
use farfield::data::{Array, read_array, save_npz};

/// Pairs in an npz file.
fn save(place: &Place, name: &str, x: &Array, y: &Array) {
    save_npz(&place.path(name), &[("x", x), ("y", y)], false).unwrap();
}

/// Two layers of samples by points.
fn waves(samples: usize, points: usize, phase: f64) -> Array {
    let values: Vec<f64> =
        (0..samples * points).map(|i| ((i % points) as f64 * 0.3 + (i / points) as f64 * 1.7 + phase).sin()).collect();
    Array::new(&[samples, points], &values).unwrap()
}

const SHORT: [&str; 8] =
    ["--samples", "60", "--epochs", "20", "--set", "problem.test_samples=40", "--set", "problem.ood_samples=20"];

fn short<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", "poisson-1d"];
    args.extend(SHORT);
    args.extend(["--compare", "none"]);
    args.extend(more);
    args
}

#[test]
fn from_nothing_to_predictions() {
    let place = Place::new();
    let results = place.json(&short(&["--json"]));
    assert_eq!(results["run"], "runs/poisson-1d");
    assert_eq!(results["steps"], 20);
    for (object, key) in [("test", "relative_l2"), ("ood", "relative_l2")] {
        assert!(results[object][key].as_f64().unwrap() > 0.0);
    }
    assert!(results["baselines"]["linear"]["relative_l2"].as_f64().unwrap() < 1e-10);
    assert!(results["baselines"]["block_diagonal"]["relative_l2"].as_f64().unwrap() < 1e-3);
    assert_eq!(results["slopes"].as_array().unwrap().len(), 3);
    for file in ["config.toml", "model.safetensors", "metrics.jsonl", "results.json", "report.html", "plots/loss.png"] {
        assert!(place.path("runs/poisson-1d").join(file).is_file(), "{file}");
    }

    // A second run finds the next free name; an explicit one is not overwritten.
    assert_eq!(place.json(&short(&["--json"]))["run"], "runs/poisson-1d-2");
    let error = place.fails(2, &short(&["--out", "runs/poisson-1d"]));
    assert!(error.contains("--force"), "{error}");
    place.ok(&short(&["--out", "runs/poisson-1d-2", "--force", "--quiet"]));

    place.ok(&["data", "generate", "poisson-1d", "--samples", "7", "--set", "test", "--out", "new.h5", "--quiet"]);
    let shown = place.ok(&["data", "inspect", "new.h5"]);
    assert!(shown.contains("7 samples"), "{shown}");
    let errors = place.json(&["eval", "runs/poisson-1d", "--data", "new.h5", "--json"]);
    assert!(errors["test"]["relative_l2"].as_f64().unwrap() < 1.0);
    std::fs::write(place.path("runs/poisson-1d-2/results.json"), "{\"run\": ").unwrap();
    let error = place.fails(2, &["eval", "runs/poisson-1d-2", "--data", "new.h5", "--json"]);
    assert!(error.contains("results.json: not the results of a run"), "{error}");
    let args = ["export", "runs/poisson-1d", "--format", "npz", "--out", "weights.npz", "--json"];
    let written = place.json(&args);
    let bytes = std::fs::metadata(place.path("weights.npz")).unwrap().len();
    assert_eq!((&written["path"], &written["format"]), (&"weights.npz".into(), &"npz".into()));
    assert_eq!((&written["bytes"], &written["parameters"]), (&bytes.into(), &results["parameters"]));
    for output in ["u.npy", "u.npz", "u.h5"] {
        let args =
            ["predict", "runs/poisson-1d/model.safetensors", "--input", "new.h5", "--name", "x", "--output", output];
        place.ok(&args);
        assert_eq!(read_array(&place.path(output), None).unwrap().shape, [7, 1, 256]);
        assert!(place.fails(2, &args).contains("exists"));
    }
}

#[test]
fn arrays_that_farfield_has_never_seen() {
    let place = Place::new();
    save(&place, "mine.npz", &waves(50, 40, 0.0), &waves(50, 40, 0.5));
    let args = ["train", "--data", "mine.npz", "--set", "train.epochs=5", "--set", "model.levels=2", "--json"];
    let results = place.json(&args);
    assert_eq!(results["run"], "runs/mine");
    assert_eq!(results["test"]["samples"], 10);

    // Another grid, several channels, two dimensions.
    save(&place, "grids.npz", &waves(30, 40, 0.0), &waves(30, 24, 0.5));
    place.json(&["train", "--data", "grids.npz", "--set", "train.epochs=2", "--json"]);
    let field = |shape: &[usize]| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * 0.01).sin()).collect();
        Array::new(shape, &values).unwrap()
    };
    save(&place, "channels.npz", &field(&[20, 2, 32]), &field(&[20, 3, 32]));
    place.json(&["train", "--data", "channels.npz", "--set", "train.epochs=2", "--json"]);
    save(&place, "plane.npz", &field(&[20, 12, 16]), &field(&[20, 12, 16]));
    let results =
        place.json(&["train", "--data", "plane.npz", "--set", "train.epochs=2", "--set", "model.levels=1", "--json"]);
    assert!(results["test"]["relative_l2"].as_f64().unwrap().is_finite());
}

#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let place = Place::new();
    let whole = ["--set", "train.checkpoint_every=10", "--out", "whole", "--quiet"];
    place.ok(&short(&whole));
    place.ok(&short(&["--set", "train.checkpoint_every=10", "--out", "again", "--quiet", "--threads", "1"]));
    let model = |run: &str| std::fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert_eq!(model("whole"), model("again"), "one thread and several");
    // Take the finished run away and continue from its last checkpoint, which is the end: nothing is left to do.
    std::fs::remove_file(place.path("again/model.safetensors")).unwrap();
    place.ok(&["train", "--resume", "again", "--quiet", "--compare", "none"]);
    assert_eq!(model("whole"), model("again"));
    assert!(place.fails(2, &["train", "--resume", "again", "--seed", "3"]).contains("--seed"));
    assert!(place.fails(2, &["train", "--resume", "nowhere"]).contains("nowhere"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_a_checkpoint_that_continues_to_the_same_bits() {
    let place = Place::new();
    let args = |out: &'static str| {
        let mut args = short(&["--out", out, "--quiet"]);
        let epochs = args.iter().position(|a| *a == "20").unwrap();
        args[epochs] = "4000";
        args
    };
    let mut child = place.command(&args("cut")).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // Interrupt once training is under way.
    while !place.path("cut/metrics.jsonl").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        let error = one_line(output, 1, "interrupt");
        assert!(error.contains("--resume cut"), "{error}");
        place.ok(&["train", "--resume", "cut", "--quiet", "--compare", "none"]);
    }
    place.ok(&args("straight"));
    let model = |run: &str| std::fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(model("cut") == model("straight"), "the interrupted run differs");
}

#[test]
fn bad_input_is_one_line_that_names_file_and_field() {
    let place = Place::new();
    let good = waves(8, 32, 0.0);
    save(&place, "good.npz", &good, &good);
    save(&place, "other.npz", &good, &waves(7, 32, 0.0));
    save(&place, "empty.npz", &Array::new::<f64>(&[0, 32], &[]).unwrap(), &Array::new::<f64>(&[0, 32], &[]).unwrap());
    let mut nan = good.clone();
    if let farfield::data::ArrayData::F64(values) = &mut nan.data {
        values[40] = f64::NAN;
    }
    save(&place, "nan.npz", &nan, &good);
    place.ok(&["data", "generate", "poisson-1d", "--samples", "4", "--out", "four.h5", "--quiet"]);
    let bytes = std::fs::read(place.path("four.h5")).unwrap();
    std::fs::write(place.path("cut.h5"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(place.path("text.npz"), "not an archive").unwrap();
    std::fs::write(place.path("typo.toml"), "[problem]\nname = \"poisson-1d\"\n[train]\nepoch = 3\n").unwrap();
    std::fs::write(place.path("syntax.toml"), "[problem\n").unwrap();

    let cases: &[(&[&str], &[&str])] = &[
        (&["train", "--data", "cut.h5"], &["cut.h5"]),
        (&["train", "--data", "text.npz"], &["text.npz"]),
        (&["train", "--data", "absent.npz"], &["absent.npz"]),
        (&["train", "--data", "other.npz"], &["other.npz", "samples"]),
        (&["train", "--data", "empty.npz"], &["empty.npz"]),
        (&["train", "--data", "nan.npz"], &["nan.npz", "\"x\"", "sample 1", "index 8"]),
        (&["train", "--data", "good.npz", "--set", "data.input=f"], &["good.npz", "\"f\""]),
        (&["train", "--data", "good.npz", "--set", "data.test_fraction=0"], &["data.test_fraction"]),
        (&["train", "--config", "typo.toml"], &["typo.toml", "epoch"]),
        (&["train", "--config", "syntax.toml"], &["syntax.toml", "line 1"]),
        (&["train", "--config", "absent.toml"], &["absent.toml"]),
        (&["train", "poisson-1d", "--set", "model.rank=-1"], &["rank", "-1"]),
        (&["train", "poisson-1d", "--set", "model.depth=0"], &["model.depth"]),
        (&["train", "poisson-1d", "--set", "train.learning_rate=0"], &["train.learning_rate"]),
        (&["train", "poisson-1d", "--set", "problem.options.n=3"], &["n", "3"]),
        (&["train", "poisson-1d", "--family", "smooth"], &["smooth", "random-s1"]),
        (&["train", "poisson-7d"], &["poisson-7d", "poisson-2d"]),
        (&["train", "n-body-3d"], &["n-body-3d has no settings", "data generate n-body-3d"]),
        (&["train", "gray-scott"], &["gray-scott has no settings", "data generate gray-scott"]),
        (&["train", "poisson-1d", "--data", "good.npz"], &["--data"]),
        (&["train"], &["--data"]),
        (&["train", "poisson-1d", "--device", "cuda"], &["train.device", "cuda"]),
        (&["--threads", "0", "train", "poisson-1d"], &["--threads"]),
        (&["data", "generate", "poisson-1d", "--samples", "0", "--out", "no.h5"], &["--samples"]),
        (&["data", "generate", "poisson-1d", "--samples", "2", "--out", "four.h5"], &["four.h5", "exists"]),
        (&["data", "inspect", "text.npz"], &["text.npz"]),
        (&["eval", "nowhere", "--data", "four.h5"], &["nowhere"]),
        (&["eval", "good.npz", "--data", "four.h5"], &["good.npz"]),
        (&["predict", "four.h5", "--input", "good.npz", "--output", "u.npy"], &["four.h5"]),
        (&["reproduce", "table-99"], &["table-99", "theorem-2.3"]),
        (&["bench", "W9"], &["W9", "W4b4"]),
    ];
    for (args, parts) in cases {
        let error = place.fails(2, args);
        for part in *parts {
            assert!(error.contains(part), "{args:?}: {error}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(place.path("runs")).into_iter().flatten().collect();
    assert!(left.is_empty(), "a refused run leaves nothing behind: {left:?}");
    assert!(!place.path("no.h5").exists() && !place.path("u.npy").exists());

    // Ranks at and beyond the leaf size, and no levels at all, are legal.
    for set in ["model.rank=40", "model.levels=0"] {
        place.ok(&short(&["--set", set, "--set", "train.epochs=1", "--quiet"]));
    }
    // Fields that do not fit a trained model.
    let error = place.fails(2, &["predict", "runs/poisson-1d", "--input", "good.npz", "--output", "u.npy"]);
    assert!(error.contains("good.npz") && error.contains("1 x 256"), "{error}");
    assert!(!place.path("u.npy").exists());
}

/// Limits on file sizes stand in for a full disk: the write fails in the same place, on any machine.
#[cfg(unix)]
#[test]
fn a_disk_that_is_full_leaves_nothing_half_written() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_farfield");
    let limited = |blocks: u32, args: &str| {
        // Beyond the limit the system signals; ignoring the signal makes the write fail.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {program} {args}");
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(place.dir.path()).env("FARFIELD_CACHE", place.path("cache"));
        command.output().unwrap()
    };
    let output = limited(64, "data generate poisson-1d --samples 100 --out full.h5 --quiet");
    let error = one_line(output, 1, "generate");
    assert!(error.contains("full.h5"), "{error}");
    let left = |dir: &Path| std::fs::read_dir(dir).map_or(0, |entries| entries.count());
    assert_eq!(left(place.dir.path()), 0, "nothing beside the file either");

    // Room for the data, none for the model.
    place.ok(&short(&["--out", "fits", "--quiet"]));
    let arguments = short(&["--out", "full", "--quiet", "--set", "train.checkpoint_every=0"]).join(" ");
    let error = one_line(limited(16, &arguments), 1, "train");
    assert!(error.contains("full/"), "{error}");
    assert!(!place.path("full/model.safetensors").exists());
    let names: Vec<String> = std::fs::read_dir(place.path("full"))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let known = ["config.toml", "metrics.jsonl", "checkpoint"];
    assert!(names.iter().all(|n| known.contains(&n.as_str())), "{names:?}");
}

/// A file in the place of a directory refuses for every user, root included.
#[test]
fn a_directory_that_cannot_be_made() {
    let place = Place::new();
    std::fs::write(place.path("file"), "").unwrap();
    let error = place.fails(1, &short(&["--out", "file/run"]));
    assert!(error.contains("file/run"), "{error}");
    let output = place.command(&short(&["--quiet"])).env("FARFIELD_CACHE", place.path("file/cache")).output().unwrap();
    let error = one_line(output, 1, "cache");
    assert!(error.contains("file/cache"), "{error}");
    let error = place.fails(1, &["data", "generate", "poisson-1d", "--samples", "2", "--out", "file/a.h5"]);
    assert!(error.contains("file/a.h5"), "{error}");
}
