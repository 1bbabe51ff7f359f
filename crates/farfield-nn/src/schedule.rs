//! Course of the learning rate over the steps of a training run.

use std::f64::consts::PI;

use crate::config::{ScheduleKind, TrainConfig};

/// Learning rate as a function of the step.
///
/// Cosine: `min + (peak - min) (1 + cos(pi t / (T - 1))) / 2` at step `t = 0 .. T - 1`: the first step has the
/// peak, the last the minimum. A single step has the peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    kind: ScheduleKind,
    peak: f64,
    minimum: f64,
    steps: u64,
}

impl Schedule {
    /// The schedule of `config` over `steps` steps.
    pub fn new(config: &TrainConfig, steps: u64) -> Self {
        let (peak, minimum) = (config.peak_learning_rate(), config.final_learning_rate());
        Self { kind: config.schedule, peak, minimum, steps }
    }

    /// Learning rate of step `step`, counted from 0. After the last step: that of the last.
    pub fn at(&self, step: u64) -> f64 {
        match self.kind {
            ScheduleKind::Constant => self.peak,
            ScheduleKind::Cosine => {
                let last = self.steps.saturating_sub(1).max(1);
                let t = step.min(last) as f64 / last as f64;
                self.minimum + 0.5 * (self.peak - self.minimum) * (1.0 + (PI * t).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_goes_from_peak_to_minimum_and_is_symmetric() {
        let config = TrainConfig { learning_rate: 1e-3, minimum_learning_rate: 1e-5, ..Default::default() };
        let schedule = Schedule::new(&config, 101);
        assert_eq!(schedule.at(0), 1e-3);
        assert!((schedule.at(100) - 1e-5).abs() < 1e-18);
        assert!((schedule.at(50) - 0.505e-3).abs() < 1e-15);
        for t in 0..100 {
            assert!(schedule.at(t + 1) < schedule.at(t));
            assert!((schedule.at(t) + schedule.at(100 - t) - 1.01e-3).abs() < 1e-15);
        }
        assert_eq!(schedule.at(1000), schedule.at(100));
        assert_eq!(Schedule::new(&config, 1).at(0), 1e-3);
        let constant = TrainConfig { schedule: ScheduleKind::Constant, ..config };
        assert_eq!(Schedule::new(&constant, 10).at(7), 1e-3);
    }
}
