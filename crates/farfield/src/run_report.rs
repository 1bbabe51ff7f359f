//! The report of a run: tables, curves, fields and errors, as `report.html` and `plots/`.

use anyhow::Result;
use farfield_nn::config::Precision;
use farfield_nn::{EpochMetrics, Evaluation, RolloutErrors, predict, predicted_trajectory};

use crate::command::train::Trained;
use crate::report::{
    Cell, ErrorDistribution, ErrorPlot, FieldSample, Figure, FigureContent, LayerSlopes, LossCurves, Report,
    RolloutCurve, RolloutCurves, RolloutFields, SlopeCurves, Table,
};
use crate::results::{COMPLEX_NOTE, Results, parameters_text};
use crate::rollout_table::rolled_trajectories;
use crate::run_config::RunConfig;
use crate::run_dir::RunDir;
use crate::sets::{Part, Sets};

/// What a report is made from.
pub struct Inputs<'a> {
    /// The configuration.
    pub config: &'a RunConfig,
    /// The data.
    pub sets: &'a Sets,
    /// The model.
    pub trained: &'a Trained,
    /// The figures.
    pub results: &'a Results,
    /// The course of training.
    pub metrics: &'a [EpochMetrics],
}

/// Writes the report into the run directory.
pub fn write(inputs: &Inputs, test: &Evaluation, ood: Option<&Evaluation>, dir: &RunDir) -> Result<()> {
    let Inputs { config, sets, results, .. } = inputs;
    let mut figures = vec![
        Figure::new("loss", "Training loss and learning rate.", losses(inputs)),
        Figure::new("slopes", "Slope of the LeakyReLU of each inner layer; 1 is the identity.", slopes(inputs)),
        Figure::new(
            "errors",
            "Share of test samples with at most this relative error.",
            ErrorPlot { error_name: "relative L2 error".to_owned(), sets: distributions(results, test, ood) },
        ),
    ];
    for (name, caption, sample) in test_samples(inputs, test)? {
        figures.push(Figure::new(name, caption, FigureContent::Field(sample)));
    }
    figures.extend(rollout_figures(inputs)?);
    let title = match &config.problem {
        Some(problem) => format!("{} on {}", results.model, problem.name),
        None => format!("{} on {}", results.model, sets.train.dataset.origin()),
    };
    let report = Report {
        title,
        subtitle: format!(
            "{} parameters, relative L2 error {} on {} test samples",
            results.parameters,
            crate::report::format_number(results.test.relative_l2),
            results.test.samples
        ),
        facts: sets.facts.clone(),
        tables: tables(results),
        figures,
        notes: results.notes.clone(),
        config_toml: config.to_toml()?,
    };
    report.write(dir.path())?;
    Ok(())
}

fn tables(results: &Results) -> Vec<Table> {
    let strings = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let ood = results.ood.as_ref().map(|o| o.relative_l2);
    let mut rows: Vec<Vec<Cell>> = vec![vec![
        results.model.clone().into(),
        parameters(Some(results.parameters), results.parameters_complex),
        results.test.relative_l2.into(),
        ood.into(),
        results.seconds.into(),
    ]];
    rows.extend(results.baselines.values().map(|other| {
        vec![
            other.name.clone().into(),
            parameters(other.parameters, other.parameters_complex),
            other.relative_l2.into(),
            other.ood_relative_l2.into(),
            other.seconds.into(),
        ]
    }));
    let complex = results.baselines.values().map(|other| other.parameters_complex);
    let complex = complex.chain([results.parameters_complex]).any(|count| count.is_some());
    let comparison = Table {
        caption: "Mean relative L2 error (eq. 2), beside trivial predictors and comparators".to_owned(),
        header: strings(&["model", "parameters", "test", "out of distribution", "seconds"]),
        rows,
        notes: if complex { vec![format!("{COMPLEX_NOTE}.")] } else { Vec::new() },
    };
    let sets = std::iter::once(&results.test).chain(&results.ood);
    let details = Table {
        caption: "Errors of the model".to_owned(),
        header: strings(&[
            "set",
            "samples",
            "relative L2",
            "median",
            "90 %",
            "largest",
            "trajectory L2 (eq. 3)",
            "global L2",
            "VRMSE",
            "nRMSE",
        ]),
        rows: sets
            .map(|s| {
                vec![
                    s.set.clone().into(),
                    s.samples.into(),
                    s.relative_l2.into(),
                    s.median.into(),
                    s.q90.into(),
                    s.max.into(),
                    s.trajectory_l2.into(),
                    s.global_l2.into(),
                    s.vrmse.into(),
                    s.nrmse.into(),
                ]
            })
            .collect(),
        notes: vec!["Eq. 3 is the mean of the plain norms, without grid weight, as printed.".to_owned()],
    };
    let slopes: Vec<String> = results.slopes.iter().map(|s| format!("{s:.5}")).collect();
    let training = Table {
        caption: "Training".to_owned(),
        header: strings(&["samples", "steps", "seconds", "precision", "seed", "slopes", "peak memory, MiB"]),
        rows: vec![vec![
            results.samples.into(),
            results.steps.into(),
            results.seconds.into(),
            results.precision.clone().into(),
            results.seed.into(),
            slopes.join(", ").into(),
            results.peak_mib.into(),
        ]],
        notes: Vec::new(),
    };
    let mut all = vec![comparison, details];
    all.extend(rollout_table(results));
    all.push(training);
    all
}

/// A number of parameters, in both ways of counting where they differ.
fn parameters(count: Option<usize>, complex: Option<usize>) -> Cell {
    match (count, complex) {
        (None, _) => Cell::Missing,
        (Some(count), None) => count.into(),
        (Some(count), complex) => parameters_text(count, complex).into(),
    }
}

/// Errors over whole trajectories.
fn rollout_table(results: &Results) -> Option<Table> {
    let rollout = results.rollout.as_ref()?;
    let row = |name: &str, errors: &RolloutErrors| {
        let last = |values: &[f64]| values.last().copied().map_or(Cell::Missing, Cell::from);
        vec![
            name.into(),
            errors.trajectory_l2.into(),
            errors.rms.into(),
            errors.relative_l2.into(),
            errors.vrmse.into(),
            errors.nrmse.into(),
            last(&errors.per_step_median),
            last(&errors.per_step_max),
        ]
    };
    let others = results.baselines.values().filter_map(|other| Some((other.name.as_str(), other.rollout.as_ref()?)));
    let rows = std::iter::once((results.model.as_str(), &rollout.model))
        .chain(others)
        .chain([("no change", &rollout.no_change)])
        .map(|(name, errors)| row(name, errors))
        .collect();
    let header = [
        "model",
        "trajectory L2 (eq. 3)",
        "RMS",
        "relative L2",
        "VRMSE",
        "nRMSE",
        "median at the end",
        "largest at the end",
    ];
    Some(Table {
        caption: format!("Rolled out over {} test trajectories of {} steps", rollout.trajectories, rollout.steps),
        header: header.map(str::to_owned).to_vec(),
        rows,
        notes: vec![
            "Eq. 3 is the mean over trajectories of the root of the sum of squares over time and space, without weights; RMS divides by \
             the root of the count of numbers. VRMSE and nRMSE are means over the steps; the last two columns are relative L2 errors."
                .to_owned(),
        ],
    })
}

fn losses(inputs: &Inputs) -> LossCurves {
    let metrics = inputs.metrics;
    LossCurves {
        step_name: "epoch".to_owned(),
        loss_name: "loss".to_owned(),
        steps: metrics.iter().map(|m| m.epoch as u64).collect(),
        train: metrics.iter().map(|m| m.train_loss).collect(),
        validation: metrics.iter().map(|m| m.validation_relative_l2).collect(),
        learning_rate: metrics.iter().map(|m| m.learning_rate).collect(),
    }
}

fn slopes(inputs: &Inputs) -> SlopeCurves {
    let metrics = inputs.metrics;
    let layers = metrics.first().map_or(0, |m| m.slopes.len());
    SlopeCurves {
        step_name: "epoch".to_owned(),
        steps: metrics.iter().map(|m| m.epoch as u64).collect(),
        layers: (0..layers)
            .map(|i| LayerSlopes {
                name: format!("layer {}", i + 1),
                values: metrics.iter().map(|m| m.slopes.get(i).copied().unwrap_or(f64::NAN)).collect(),
            })
            .collect(),
    }
}

fn distributions(results: &Results, test: &Evaluation, ood: Option<&Evaluation>) -> Vec<ErrorDistribution> {
    let one = |name: &str, evaluation: &Evaluation| ErrorDistribution {
        name: name.to_owned(),
        errors: evaluation.per_sample.clone(),
    };
    let mut sets = vec![one(&results.test.set, test)];
    if let (Some(errors), Some(evaluation)) = (&results.ood, ood) {
        sets.push(one(&errors.set, evaluation));
    }
    sets
}

/// Errors against time, and the trajectory with the median error.
fn rollout_figures(inputs: &Inputs) -> Result<Vec<Figure>> {
    let Inputs { sets, trained, results, config, .. } = inputs;
    let Some(rollout) = &results.rollout else { return Ok(Vec::new()) };
    let curve = |name: &str, errors: &RolloutErrors| RolloutCurve {
        name: name.to_owned(),
        median: errors.per_step_median.clone(),
        largest: errors.per_step_max.clone(),
    };
    let mut models = vec![curve(&results.model, &rollout.model)];
    let others = results.baselines.iter().filter_map(|(key, other)| Some((key, other.rollout.as_ref()?)));
    models.extend(others.map(|(key, errors)| curve(&key.replace("network_", "").replace('_', "-"), errors)));
    models.push(curve("no change", &rollout.no_change));
    let curves = RolloutCurves { title: "Error of the rollout".to_owned(), times: rollout.times.clone(), models };
    let caption = format!(
        "Relative L2 error against time over {} test trajectories: each prediction is the next input. \"No change\" repeats the initial \
         state.",
        rollout.trajectories
    );
    let mut figures = vec![Figure::new("rollout-error", caption, curves)];

    let errors = &rollout.model.per_trajectory;
    let mut order: Vec<usize> = (0..errors.len()).collect();
    order.sort_by(|&a, &b| errors[a].total_cmp(&errors[b]));
    let dataset = &sets.test.dataset;
    if let (Some(&middle), Some(trajectories)) = (order.get(order.len() / 2), rolled_trajectories(sets.test.samples()))
    {
        let chosen = trajectories[middle];
        let precision = config.train.precision;
        let shown = predicted_trajectory(&trained.model, &trained.normalizers, dataset, chosen, precision)?;
        let shape = dataset.output_shape();
        let (points, state) = (shape.points(), shape.len());
        let first_channel = |states: &[f64]| -> Vec<f64> {
            let mut fields: Vec<f64> = states.chunks_exact(state).flat_map(|state| &state[..points]).copied().collect();
            if let Some(mask) = dataset.mask() {
                mask.fill_outside(&mut fields, f64::NAN);
            }
            fields
        };
        let fields = RolloutFields {
            title: format!("test trajectory {chosen}"),
            coordinates: sets.coordinates.clone(),
            truth: first_channel(&shown.exact),
            prediction: first_channel(&shown.predicted),
            times: shown.times,
        };
        let channel = if shape.channels > 1 { ", first channel" } else { "" };
        let caption = format!("The test trajectory with the median error{channel}.");
        figures.push(Figure::new("rollout-fields", caption, fields));
    }
    Ok(figures)
}

/// The test samples with the median and with the largest error, first output channel.
fn test_samples(inputs: &Inputs, test: &Evaluation) -> Result<Vec<(String, String, FieldSample)>> {
    let mut order: Vec<usize> = (0..test.per_sample.len()).collect();
    order.sort_by(|&a, &b| test.per_sample[a].total_cmp(&test.per_sample[b]));
    let chosen = [("field-median", "median", order.len() / 2), ("field-worst", "largest", order.len() - 1)];
    chosen
        .into_iter()
        .map(|(name, which, position)| {
            let at = order[position];
            let sample = field(inputs, &inputs.sets.test, at, test.per_sample[at])?;
            Ok((name.to_owned(), format!("The test sample with the {which} error."), sample))
        })
        .collect()
}

fn field(inputs: &Inputs, part: &Part, at: usize, relative_l2: f64) -> Result<FieldSample> {
    let dataset = &part.dataset;
    let (input, output) = (dataset.input_shape(), dataset.output_shape());
    let (mut x, mut y) = (vec![0.0f64; input.len()], vec![0.0f64; output.len()]);
    dataset.read(&[part.indices[at]], &mut x, &mut y)?;
    let trained = inputs.trained;
    let mut prediction: Vec<f64> = match inputs.config.train.precision {
        Precision::F64 => predict(&trained.model, &trained.normalizers, x.clone())?,
        Precision::F32 => {
            let x: Vec<f32> = x.iter().map(|&v| v as f32).collect();
            predict(&trained.model, &trained.normalizers, x)?.into_iter().map(f64::from).collect()
        }
    };
    if let Some(mask) = dataset.mask() {
        mask.clear_outside(&mut prediction);
        mask.clear_outside(&mut y);
    }
    let points = output.points();
    x.truncate(input.points());
    Ok(FieldSample {
        title: format!("test sample {}", part.indices[at]),
        coordinates: inputs.sets.coordinates.clone(),
        grid: output.grid.clone(),
        input: if input.grid == output.grid { x } else { Vec::new() },
        truth: y[..points].to_vec(),
        prediction: prediction[..points].to_vec(),
        relative_l2,
    })
}
