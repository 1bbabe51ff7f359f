//! `farfield reproduce` from outside: a table in small, its files, what happens when it is called again, and what it refuses.

use crate::place::Place;
use serde_json::Value;

/// Two models of one row of table 1, small.
fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["reproduce", "table1", "--rows", "poisson-neumann", "--models", "neural-hss,deep-onet"];
    for set in ["problem.samples=24", "problem.test_samples=8", "train.epochs=3", "train.batch_size=8"] {
        args.extend(["--set", set]);
    }
    args.extend(more);
    args
}

fn cell<'a>(table: &'a Value, model: &str) -> &'a Value {
    let row = table["rows"].as_array().unwrap().iter().find(|row| row["name"] == "poisson-neumann").unwrap();
    row["cells"].as_array().unwrap().iter().find(|cell| cell["model"] == model).unwrap()
}

#[test]
fn a_table_is_trained_once_and_then_read() {
    let place = Place::new();
    let args = small(&["--seeds", "1,2", "--seconds", "0", "--json"]);
    let first = place.json(&args);
    for model in ["neural-hss", "deep-onet"] {
        let epochs = &cell(&first, model)["epochs"];
        let runs = epochs["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 2, "{model}");
        assert!(runs.iter().all(|run| run["steps"] == 9), "three batches in three epochs: {runs:?}");
        let mut errors: Vec<f64> = runs.iter().map(|run| run["error"].as_f64().unwrap()).collect();
        errors.sort_by(f64::total_cmp);
        assert_eq!(epochs["median"].as_f64().unwrap(), errors[1], "the upper of two");
        assert!(cell(&first, model)["seconds"]["runs"].as_array().unwrap().is_empty());
    }
    let ours = cell(&first, "neural-hss");
    let ratio = ours["epochs"]["median"].as_f64().unwrap() / ours["paper"]["error"].as_f64().unwrap();
    assert!((ours["epochs"]["ratio"].as_f64().unwrap() / ratio - 1.0).abs() < 1e-12);
    assert_eq!(ours["paper"]["error"], 2e-4);
    let row = &first["rows"].as_array().unwrap().iter().find(|row| row["name"] == "poisson-neumann").unwrap();
    assert!(row["baselines"]["linear"].as_f64().unwrap() < 1e-9, "24 samples span the ten dimensions of the set");
    assert!(row["differs"].as_array().unwrap().iter().any(|d| d.as_str().unwrap().contains("24 training samples")));

    for file in ["table1.json", "table1/quick/report.html", "table1/quick/plots/equal-epochs.png"] {
        assert!(place.path("results").join(file).is_file(), "{file}");
    }
    let model = place.path("results/table1/quick/poisson-neumann/neural-hss-seed2-epochs/model.safetensors");
    let written = std::fs::metadata(&model).unwrap().modified().unwrap();
    let again = place.json(&args);
    assert_eq!(std::fs::metadata(&model).unwrap().modified().unwrap(), written, "nothing is trained again");
    assert_eq!(again, first);
    // A cell is a run like any other.
    place.ok(&["data", "generate", "poisson-1d-neumann", "--samples", "3", "--out", "new.h5", "--quiet"]);
    place.ok(&["eval", model.parent().unwrap().to_str().unwrap(), "--data", "new.h5"]);
}

#[test]
fn a_cell_that_was_cut_goes_on() {
    let place = Place::new();
    place.ok(&small(&["--seconds", "0", "--quiet", "--out", "whole"]));
    place.ok(&small(&["--seconds", "0", "--quiet", "--out", "cut"]));
    let file =
        |out: &str, name: &str| place.path(out).join("table1/quick/poisson-neumann/deep-onet-seed1-epochs").join(name);
    let bits = |out: &str| std::fs::read(file(out, "model.safetensors")).unwrap();
    // As if the command had been stopped after the last checkpoint, and before the first.
    std::fs::remove_file(file("cut", "results.json")).unwrap();
    std::fs::remove_file(file("cut", "model.safetensors")).unwrap();
    place.ok(&small(&["--seconds", "0", "--quiet", "--out", "cut"]));
    assert!(bits("cut") == bits("whole"));
    std::fs::remove_file(file("cut", "results.json")).unwrap();
    std::fs::remove_dir_all(file("cut", "checkpoint")).unwrap();
    place.ok(&small(&["--seconds", "0", "--quiet", "--out", "cut"]));
    assert!(bits("cut") == bits("whole"));
}

#[test]
fn equal_seconds_choose_the_steps() {
    let place = Place::new();
    let table = place.json(&small(&["--seconds", "0.05", "--json", "--models", "neural-hss"]));
    let runs = cell(&table, "neural-hss")["seconds"]["runs"].as_array().unwrap().clone();
    assert_eq!(runs.len(), 1);
    assert!(runs[0]["steps"].as_u64().unwrap() >= 1);
    // The number of steps that the clock chose is in the configuration: another call reads it.
    let again = place.json(&small(&["--seconds", "0.05", "--json", "--models", "neural-hss"]));
    assert_eq!(again, table);
    // Other seconds are another cell.
    let other = place.json(&small(&["--seconds", "0.06", "--json", "--models", "neural-hss"]));
    assert_eq!(other["rows"][1]["equal_seconds"], 0.06);
    let folder = place.path("results/table1/quick/poisson-neumann");
    assert!(folder.join("neural-hss-seed1-0.05s").is_dir() && folder.join("neural-hss-seed1-0.06s").is_dir());
}

#[test]
fn a_loss_that_is_not_finite_is_reported_and_not_tried_again() {
    let place = Place::new();
    let args = small(&["--seconds", "0", "--json", "--set", "train.learning_rate=1e38"]);
    let first = place.json(&args);
    let missing = cell(&first, "deep-onet")["epochs"]["missing"][0].as_str().unwrap().to_owned();
    assert!(missing.contains("diverged") && missing.contains("step"), "{missing}");
    let reason = place.path("results/table1/quick/poisson-neumann/deep-onet-seed1-epochs.missing.json");
    let written = std::fs::metadata(&reason).unwrap().modified().unwrap();
    assert_eq!(place.json(&args), first);
    assert_eq!(std::fs::metadata(&reason).unwrap().modified().unwrap(), written);
}

#[test]
fn a_table_of_ones_own() {
    let place = Place::new();
    place.ok(&["data", "generate", "poisson-1d", "--samples", "30", "--out", "mine.h5", "--quiet"]);
    let text = r#"
        title = "Mine"
        source = "my own data"
        models = ["neural-hss", "fno"]
        [budget.quick]
        [budget.quick.run.train]
        steps = 3
        [budget.standard]
        [budget.paper]
        [[rows]]
        name = "all"
        title = "All samples"
        run.data.path = "mine.h5"
        kinds.fno.model.n_modes = 4
    "#;
    std::fs::write(place.path("mine.toml"), text).unwrap();
    let table = place.json(&["reproduce", "--config", "mine.toml", "--json"]);
    assert_eq!(table["experiment"], "mine");
    for cell in table["rows"][0]["cells"].as_array().unwrap() {
        assert_eq!(cell["epochs"]["runs"][0]["steps"], 3, "{cell}");
    }
    assert!(place.path("results/mine.json").is_file() && place.path("results/mine/quick/mine.json").is_file());
    std::fs::write(place.path("typo.toml"), text.replace("kinds.fno", "kind.fno")).unwrap();
    for (args, parts) in [
        (["reproduce", "--config", "typo.toml"], ["typo.toml", "kind"]),
        (["reproduce", "--config", "absent.toml"], ["absent.toml", "cannot read"]),
    ] {
        let error = place.fails(2, &args);
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn what_is_refused() {
    let place = Place::new();
    place.ok(&small(&["--seconds", "0", "--quiet", "--models", "neural-hss"]));
    for (args, parts) in [
        (
            small(&["--seconds", "0", "--set", "train.weight_decay=0.5"]),
            vec!["another configuration", "neural-hss-seed1-epochs"],
        ),
        (vec!["reproduce", "table1", "--rows", "laplace"], vec!["--rows laplace", "burgers"]),
        (vec!["reproduce", "table1", "--models", "mlp"], vec!["--models mlp", "fno"]),
        (vec!["reproduce", "table1", "--seconds=-1"], vec!["--seconds", "-1"]),
        (small(&["--set", "train.epoch=3"]), vec!["epoch", "poisson-neumann"]),
        (vec!["reproduce", "theorem-2.3", "--rows", "a"], vec!["--rows", "theorem-2.3"]),
        (vec!["reproduce", "timing", "--models", "mlp"], vec!["--models mlp", "resnet"]),
        (vec!["reproduce", "figure1"], vec!["figure1", "figure2"]),
    ] {
        let error = place.fails(2, &args);
        for part in parts {
            assert!(error.contains(part), "{args:?}: {error}");
        }
    }
    let list = place.ok(&["reproduce", "--list"]);
    for name in ["table1", "table2", "figure2", "figure3", "figure5", "figure6", "timing", "theorem-2.2", "theorem-2.3"]
    {
        assert!(list.lines().any(|line| line.starts_with(name)), "{name} is not listed");
    }
}
