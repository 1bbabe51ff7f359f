//! The command on trajectories and on domains with holes: training over several steps, rollouts, what is written outside.

use crate::place::Place;
use farfield::data::{Array, Dataset, OpenOptions, Task, read_array, save_npz};
use farfield::pde::{Family, ProblemOptions, SampleKey, Stream, problem};

/// A short run on the heat equation, 64 points.
fn heat<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", "heat-1d", "--samples", "6", "--epochs", "4", "--compare", "none", "--quiet"];
    for set in [
        "problem.test_samples=3",
        "problem.ood_samples=0",
        "problem.options.n=64",
        "train.batch_size=50",
        "model.levels=2",
    ] {
        args.extend(["--set", set]);
    }
    args.extend(more);
    args
}

#[test]
fn several_steps_in_training_and_a_rollout_in_the_results() {
    let place = Place::new();
    let args = ["--set", "train.unroll=3", "--out", "three"];
    place.ok(&heat(&args));
    let text = std::fs::read_to_string(place.path("three/results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&text).unwrap();
    // 38 of the 40 pairs of each trajectory have three states after them: 228 samples, 5 batches an epoch.
    assert_eq!(results["steps"], 20);
    let rollout = &results["rollout"];
    assert_eq!((&rollout["steps"], &rollout["trajectories"]), (&40.into(), &3.into()));
    assert_eq!(rollout["times"].as_array().unwrap().len(), 40);
    for who in ["model", "no_change"] {
        let errors = |key: &str| -> Vec<f64> {
            let list = rollout[who][key].as_array().unwrap();
            list.iter().map(|v| v.as_f64().unwrap()).collect()
        };
        let (mean, median, largest) = (errors("per_step"), errors("per_step_median"), errors("per_step_max"));
        assert_eq!((mean.len(), errors("per_step_vrmse").len(), errors("per_step_nrmse").len()), (40, 40, 40));
        assert!((0..40).all(|t| median[t] <= largest[t] && mean[t] <= largest[t]));
        assert!(rollout[who]["vrmse"].as_f64().unwrap() > 0.0);
        assert!(rollout[who]["trajectory_l2"].as_f64().unwrap() > rollout[who]["rms"].as_f64().unwrap());
    }
    for plot in ["rollout-error.png", "rollout-error.svg", "rollout-fields.png"] {
        assert!(place.path("three/plots").join(plot).is_file(), "{plot}");
    }
    let page = std::fs::read_to_string(place.path("three/report.html")).unwrap();
    assert!(page.contains("Rolled out over 3 test trajectories of 40 steps"));

    // With checkpoints, and resumed when it is finished: the same bits. (Interruptions: the tests of farfield-nn.)
    let stopped = ["--set", "train.unroll=3", "--out", "cut", "--set", "train.checkpoint_every=2"];
    place.ok(&heat(&stopped));
    let model = |run: &str| std::fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert_eq!(model("three"), model("cut"));
    std::fs::remove_file(place.path("cut/model.safetensors")).unwrap();
    place.ok(&["train", "--resume", "cut", "--quiet", "--compare", "none"]);
    assert_eq!(model("three"), model("cut"));
    place.ok(&heat(&["--out", "one"]));
    assert_ne!(model("three"), model("one"));

    // The model file alone knows that its outputs are changes over one step.
    place.ok(&[
        "data",
        "generate",
        "heat-1d",
        "--samples",
        "1",
        "--set",
        "test",
        "--n",
        "64",
        "--out",
        "u.h5",
        "--quiet",
    ]);
    let shown = place.ok(&["eval", "three/model.safetensors", "--data", "u.h5"]);
    for part in ["40 samples", "rolled out, 1 trajectories of 40 steps", "VRMSE (The Well)", "parameters"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let errors = place.json(&["eval", "three", "--data", "u.h5", "--json"]);
    assert_eq!(errors["rollout"]["steps"], 40);
    assert!(errors["rollout"]["model"]["relative_l2"].as_f64().unwrap() < 10.0);
    assert!(errors["test"]["vrmse"].as_f64().is_some() && errors["test"]["nrmse"].as_f64().is_some());
}

#[test]
fn steps_that_cannot_be_are_refused_before_a_run_is_made() {
    let place = Place::new();
    for (set, part) in [
        ("train.unroll=41", "train.unroll = 41: must be 1 to 40: a trajectory has 41 states"),
        ("train.unroll=0", "train.unroll = 0: must be at least 1"),
        ("train.unroll=-3", "train.unroll = -3"),
        ("train.unroll=2.5", "train.unroll"),
        ("train.unroll=\"two\"", "train.unroll"),
    ] {
        let error = place.fails(2, &heat(&["--set", set]));
        assert!(error.contains(part), "{set}: {error}");
    }
    let error = place.fails(2, &heat(&["--set", "train.unroll=5", "--set", "data.time_stride=10"]));
    assert!(error.contains("must be 1 to 4: a trajectory has 41 states at time_stride 10"), "{error}");
    let error = place.fails(2, &["train", "poisson-1d", "--samples", "9", "--set", "train.unroll=2"]);
    assert!(error.contains("train.unroll = 2") && error.contains("needs trajectories"), "{error}");
    let error = place.fails(2, &heat(&["--set", "train.unroll=2", "--set", "data.task=first-to-last"]));
    assert!(error.contains("train.unroll = 2") && error.contains("first-to-last"), "{error}");
    assert!(!place.path("runs").exists());
}

#[test]
fn outside_of_the_domain_stands_what_was_asked_for() {
    let place = Place::new();
    let small = ["--n", "32", "--family", "random-s1"];
    let mut generate = vec!["data", "generate", "poisson-2d-disk", "--samples", "4", "--out", "disk.h5", "--quiet"];
    generate.extend(small);
    place.ok(&generate);
    let mut train = vec!["train", "poisson-2d-disk", "--samples", "8", "--epochs", "1", "--quiet", "--out", "run"];
    for set in ["problem.family=random-s1", "problem.options.n=32", "problem.test_samples=4", "problem.ood_samples=0"] {
        train.extend(["--set", set]);
    }
    place.ok(&train);
    let mask: Vec<f64> = read_array(&place.path("disk.h5"), Some("mask")).unwrap().data.to_vec();
    let holes = mask.iter().filter(|&&inside| inside == 0.0).count();
    assert!(holes > 50 && holes < 200, "{holes}");

    // The model file alone, away from its run.
    std::fs::copy(place.path("run/model.safetensors"), place.path("alone.safetensors")).unwrap();
    let predict = |output: &str, more: &[&str]| -> Vec<f64> {
        let mut args = vec!["predict", "alone.safetensors", "--input", "disk.h5", "--name", "x", "--output", output];
        args.extend(more);
        place.ok(&args);
        read_array(&place.path(output), Some("y")).unwrap().data.to_vec()
    };
    for file in ["nan.npz", "nan.h5"] {
        let (nan, zero) = (predict(file, &[]), predict(&format!("zero-{file}"), &["--outside", "zero"]));
        assert_eq!(nan.len(), 4 * 32 * 32);
        for (i, (nan, zero)) in nan.iter().zip(&zero).enumerate() {
            if mask[i % (32 * 32)] == 0.0 {
                assert!(nan.is_nan() && *zero == 0.0);
            } else {
                assert!(nan == zero && nan.is_finite());
            }
        }
    }
    let args = ["predict", "run", "--input", "disk.h5", "--name", "x", "--output", "no.npy", "--outside", "one"];
    assert_eq!(place.run(&args).status.code(), Some(2));

    // Predictions with holes are no inputs, and say so.
    let args = ["predict", "run", "--input", "nan.npz", "--output", "no.npy"];
    assert!(place.fails(2, &args).contains("the value is NaN"));

    // A file of plain pairs has no mask: the model's own holds, so what is outside does not count.
    let array = |name: &str| read_array(&place.path("disk.h5"), Some(name)).unwrap();
    let (x, mut y) = (array("x"), array("y").data.to_vec::<f64>());
    for (i, value) in y.iter_mut().enumerate().filter(|(i, _)| mask[i % (32 * 32)] == 0.0) {
        *value = 1e6 + i as f64;
    }
    let y = Array::new(&[4, 1, 32, 32], &y).unwrap();
    save_npz(&place.path("pairs.npz"), &[("x", &x), ("y", &y)], false).unwrap();
    let with_mask = place.json(&["eval", "run", "--data", "disk.h5", "--json"]);
    let without = place.json(&["eval", "alone.safetensors", "--data", "pairs.npz", "--json"]);
    for key in ["relative_l2", "trajectory_l2", "global_l2", "vrmse", "nrmse"] {
        assert_eq!(with_mask["test"][key], without["test"][key], "{key}");
    }
    assert!(place.ok(&["eval", "run", "--data", "disk.h5"]).contains("points inside of the domain"));
}

#[test]
fn parameters_are_counted_in_both_ways() {
    let place = Place::new();
    let values: Vec<f64> = (0..20 * 16).map(|i| (0.4 * i as f64).sin()).collect();
    let x = Array::new(&[20, 16], &values).unwrap();
    save_npz(&place.path("mine.npz"), &[("x", &x), ("y", &x)], false).unwrap();
    let args = |kind: &'static str, out: &'static str| {
        vec!["train", "--data", "mine.npz", "--model", kind, "--epochs", "1", "--compare", "none", "--out", out]
    };
    let mut fno = args("fno", "fno");
    fno.extend(["--set", "model.n_modes=4", "--set", "model.hidden_channels=3", "--set", "model.n_layers=2"]);
    fno.extend(["--set", "model.head=linear"]);
    // 2 x 9 x 4 complex numbers; 2 x 12 + 9 + 4 real ones.
    let printed = place.ok(&fno);
    assert!(printed.contains("181 (109)") && printed.contains("a complex number counts as two"), "{printed}");
    let results = std::fs::read_to_string(place.path("fno/results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    assert_eq!((&results["parameters"], &results["parameters_complex"]), (&181.into(), &109.into()));
    assert!(std::fs::read_to_string(place.path("fno/report.html")).unwrap().contains("181 (109)"));
    assert!(place.ok(&["eval", "fno", "--data", "mine.npz"]).contains("fno, 181 (109) parameters"));
    let eval = place.json(&["eval", "fno/model.safetensors", "--data", "mine.npz", "--json"]);
    assert_eq!(eval["parameters_complex"], 109);
    place.ok(&args("deep-onet", "other"));
    let eval = place.json(&["eval", "other", "--data", "mine.npz", "--json"]);
    assert!(eval["parameters"].as_u64().is_some() && eval.get("parameters_complex").is_none());
}

#[test]
fn both_maps_of_an_evolution_are_drawn_from_the_same_trajectories() {
    let place = Place::new();
    for (problem, out) in [("gray-scott-forward", "forward"), ("gray-scott-inverse", "inverse")] {
        let mut args = vec!["train", problem, "--samples", "6", "--steps", "2", "--compare", "none", "--quiet"];
        for set in [
            "problem.test_samples=2",
            "problem.ood_samples=0",
            "problem.options.n=16",
            "problem.options.horizon=20",
            "train.batch_size=3",
            "model.levels=1",
        ] {
            args.extend(["--set", set]);
        }
        place.ok(&[args, vec!["--out", out]].concat());
    }
    let mut files: Vec<_> = std::fs::read_dir(place.path("cache")).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let names: Vec<_> = files.iter().map(|f| f.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|name| name.contains("gray-scott-ends-16x16")), "{names:?}");

    let train = files.iter().find(|f| f.to_str().unwrap().contains("-train-")).unwrap();
    let options = ProblemOptions { n: Some(16), horizon: Some(20.0), ..ProblemOptions::default() };
    for (name, task) in [("gray-scott-forward", Task::FirstToLast), ("gray-scott-inverse", Task::LastToFirst)] {
        let open = OpenOptions { dims: Some(2), task: Some(task), scalars: Some(true), ..OpenOptions::default() };
        let set = Dataset::open(train, &open).unwrap();
        let problem = problem(name, &options).unwrap();
        let (mut x, mut y) = (vec![0.0; 4 * 256], vec![0.0; 2 * 256]);
        let (mut input, mut output) = (x.clone(), y.clone());
        for index in 0..6 {
            let key = SampleKey { seed: 0, stream: Stream::Train, index };
            problem.sample(Family::Paper, key, &mut x, &mut y).unwrap();
            set.read(&[index as usize], &mut input, &mut output).unwrap();
            assert!(x == input && y == output, "{name}, sample {index}");
        }
    }
}
