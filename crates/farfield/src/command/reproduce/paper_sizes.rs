//! How a run differs from the paper's: its sizes beside those of the preset.

use anyhow::Result;

use crate::run_config::{ProblemConfig, RunConfig, preset};
use crate::sets::{is_evolution, shapes_of};

/// The problem of a run and the paper's preset for it.
fn with_preset(config: &RunConfig) -> Result<Option<(&ProblemConfig, RunConfig)>> {
    let Some(problem) = &config.problem else { return Ok(None) };
    Ok(Some((problem, preset(&problem.name, config.model.kind())?)))
}

/// Steps of the paper's training, where samples are samples (of trajectories only the data know the number of pairs).
pub fn paper_steps(config: &RunConfig) -> Result<Option<u64>> {
    let Some((problem, paper)) = with_preset(config)? else { return Ok(None) };
    let samples = paper.problem.map_or(0, |p| p.samples);
    Ok((!is_evolution(problem) && samples > 0).then(|| paper.train.total_steps(samples as usize)))
}

/// Whether the operator of a run is linear, so that least squares is a rival to take seriously.
pub fn is_linear(config: &RunConfig) -> Result<bool> {
    let Some(problem) = &config.problem else { return Ok(false) };
    Ok(match is_evolution(problem) {
        true => farfield_pde::evolution(&problem.name, &problem.options)?.is_linear(),
        false => farfield_pde::problem(&problem.name, &problem.options)?.is_linear(),
    })
}

/// Where the data of a run are smaller than the paper's, for people.
pub fn differences(config: &RunConfig) -> Result<Vec<String>> {
    let Some((problem, paper)) = with_preset(config)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let Some(papers) = paper.problem else { return Ok(found) };
    for (what, own, papers) in [
        ("training samples", problem.samples, papers.samples),
        ("test samples", problem.test_samples, papers.test_samples),
    ] {
        if own != papers {
            found.push(format!("{own} {what} instead of {papers}"));
        }
    }
    let (own, papers) = (shapes_of(problem)?.1.grid, shapes_of(&papers)?.1.grid);
    if own != papers {
        let text = |grid: &[usize]| grid.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        found.push(format!("grid {} instead of {}", text(&own), text(&papers)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::experiment::Experiment;
    use super::*;
    use crate::command::reproduce::{Budget, EXPERIMENTS};

    #[test]
    fn every_cell_of_every_experiment_can_be_built() {
        for (name, _, text) in EXPERIMENTS {
            let Some(text) = text else { continue };
            for budget in [Budget::Quick, Budget::Standard, Budget::Paper] {
                let experiment = Experiment::read(text, budget).unwrap_or_else(|e| panic!("{name}: {e:#}"));
                for row in &experiment.rows {
                    for kind in experiment.models_of(row) {
                        let config = experiment.config(row, kind, 1, budget, &[]).unwrap();
                        assert_eq!(config.model.kind(), kind);
                        let (input, output) = shapes_of(config.problem.as_ref().unwrap()).unwrap();
                        differences(&config).unwrap();
                        is_linear(&config).unwrap();
                        // The sizes of the models are the same at every budget, but for what the grid allows.
                        if budget == Budget::Quick {
                            let dtype = config.train.precision.dtype();
                            let built = config.model.build(&input, &output, 1, &Device::flex(), dtype);
                            assert!(built.is_ok(), "{name}, {}, {kind}: {:?}", row.name, built.err());
                        }
                    }
                }
            }
        }
    }
}
