//! The trivial predictors that stand beside every result.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use farfield_nn::baselines::{FACTOR_ENTRIES, FACTOR_SIDE, LinearLeastSquares, MeanPredictor};
use farfield_nn::block_least_squares::BlockLeastSquares;
use farfield_nn::{Evaluation, ModelConfig, NnError, Samples};

use crate::results::Comparator;
use crate::rollout_table::rolled_trajectories;
use crate::run_config::RunConfig;
use crate::sets::Sets;

/// Samples for least squares, at most, when there are as many unknowns: its cost grows with the cube.
const LEAST_SQUARES_SAMPLES: usize = FACTOR_SIDE;

/// Mean predictor (`mean`), minimum-norm linear least squares (`linear`) and, on 1D fields, least squares leaf by leaf
/// (`block_diagonal`), fitted on the training set.
pub fn all(config: &RunConfig, sets: &Sets) -> Result<BTreeMap<String, Comparator>> {
    let mut comparators = BTreeMap::new();
    let train = sets.train.samples();
    let unknowns = train.dataset.input_shape().len();

    let start = Instant::now();
    let mean = MeanPredictor::fit(train)?;
    let entry = comparator("mean of the training outputs".to_owned(), None, sets, start, |s| mean.evaluate(s))?;
    comparators.insert("mean".to_owned(), entry);

    let start = Instant::now();
    let most = if unknowns > LEAST_SQUARES_SAMPLES { LEAST_SQUARES_SAMPLES } else { FACTOR_ENTRIES / unknowns };
    let used = train.indices.len().min(most);
    let some = Samples { dataset: train.dataset, indices: &train.indices[..used] };
    match LinearLeastSquares::fit(some) {
        Ok(fit) => {
            let mut name = "linear least squares".to_owned();
            if used < train.indices.len() {
                name.push_str(&format!(" ({used} of the samples)"));
            }
            let mut entry = comparator(name, None, sets, start, |s| fit.evaluate(s))?;
            if let Some(trajectories) = rolled_trajectories(sets.test.samples()) {
                let rolled_out = fit.rollout(&sets.test.dataset, &trajectories, trajectories.len())?;
                entry.rollout = Some(rolled_out.model);
            }
            comparators.insert("linear".to_owned(), entry);
        }
        Err(NnError::Unsupported { operation, reason }) => tracing::warn!("{operation}: {reason}"),
        Err(other) => return Err(other.into()),
    }

    let shapes = [train.dataset.input_shape(), train.dataset.output_shape()];
    if shapes.iter().all(|s| s.dims() == 1 && s.channels == 1) {
        let start = Instant::now();
        let levels = config.model.neural_hss().map_or(ModelConfig::default().levels, ModelConfig::effective_levels);
        let fit = BlockLeastSquares::fit(train, levels)?;
        let name = format!("block-diagonal least squares, {} leaves", 1 << levels);
        let entry = comparator(name, Some(fit.num_parameters()), sets, start, |s| fit.evaluate(s))?;
        comparators.insert("block_diagonal".to_owned(), entry);
    }
    Ok(comparators)
}

fn comparator(
    name: String,
    parameters: Option<usize>,
    sets: &Sets,
    start: Instant,
    evaluate: impl Fn(Samples<'_>) -> std::result::Result<Evaluation, NnError>,
) -> Result<Comparator> {
    let seconds = start.elapsed().as_secs_f64();
    let relative_l2 = evaluate(sets.test.samples())?.relative_l2;
    let ood_relative_l2 = sets.ood.as_ref().map(|part| evaluate(part.samples())).transpose()?.map(|e| e.relative_l2);
    Ok(Comparator { name, parameters, parameters_complex: None, relative_l2, ood_relative_l2, rollout: None, seconds })
}
