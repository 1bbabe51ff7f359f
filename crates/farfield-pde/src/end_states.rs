//! The map from the first state of an evolution to the last, and the inverse problem.
//!
//! Both integrate the same trajectory and keep its two ends. The numbers that belong to a trajectory as
//! a whole (the feed and kill rates of the Gray-Scott model) are input channels, constant over the
//! grid.

use crate::{Evolution, Family, PdeError, Problem, SampleKey};

/// Which end is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the first state to the last.
    Forward,
    /// From the last state to the first.
    Inverse,
}

/// A problem made of the two ends of an evolution.
pub struct EndStates {
    name: &'static str,
    title: &'static str,
    direction: Direction,
    evolution: Box<dyn Evolution>,
    dimensions: usize,
}

impl EndStates {
    /// `evolution` stores two states. `dimensions` is what
    /// [`random_dimensions`](Problem::random_dimensions) returns.
    pub(crate) fn new(
        (name, title): (&'static str, &'static str),
        direction: Direction,
        evolution: Box<dyn Evolution>,
        dimensions: usize,
    ) -> Self {
        EndStates { name, title, direction, evolution, dimensions }
    }

    fn points(&self) -> usize {
        self.evolution.grid().iter().product()
    }
}

impl Problem for EndStates {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn channels(&self) -> (usize, usize) {
        let fields = self.evolution.fields().len();
        (fields + self.evolution.scalars().len(), fields)
    }

    fn grid(&self) -> Vec<usize> {
        self.evolution.grid()
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let horizon = self.evolution.times().last().copied().unwrap_or_default();
        let at = |time: f64| {
            let names: Vec<String> = self.evolution.fields().iter().map(|name| format!("{name}({time})")).collect();
            names.join(", ")
        };
        let (given, sought) = match self.direction {
            Direction::Forward => (0.0, horizon),
            Direction::Inverse => (horizon, 0.0),
        };
        let scalars: String = self.evolution.scalars().iter().map(|name| format!(", {name} (constant)")).collect();
        let mut facts = self.evolution.facts();
        facts.push(("input", at(given) + &scalars));
        facts.push(("output", at(sought)));
        facts
    }

    fn families(&self) -> Vec<Family> {
        self.evolution.families()
    }

    fn coordinates(&self) -> Vec<Vec<f64>> {
        self.evolution.coordinates()
    }

    fn is_linear(&self) -> bool {
        self.evolution.is_linear()
    }

    fn random_dimensions(&self, _family: Family) -> usize {
        self.dimensions
    }

    fn end_states(&self) -> Option<(&dyn Evolution, Direction)> {
        Some((self.evolution.as_ref(), self.direction))
    }

    fn sample(&self, family: Family, key: SampleKey, input: &mut [f64], output: &mut [f64]) -> Result<(), PdeError> {
        let points = self.points();
        let (channels_in, channels_out) = self.channels();
        for (buffer, got, expected) in
            [("input", input.len(), channels_in * points), ("output", output.len(), channels_out * points)]
        {
            if got != expected {
                return Err(PdeError::Length { problem: self.name, buffer, got, expected });
            }
        }
        let state = channels_out * points;
        let mut states = vec![0.0; 2 * state];
        let mut scalars = vec![0.0; channels_in - channels_out];
        self.evolution.trajectory(family, key, &mut scalars, &mut states)?;
        let (first, last) = states.split_at(state);
        let (given, sought) = match self.direction {
            Direction::Forward => (first, last),
            Direction::Inverse => (last, first),
        };
        let (fields, constants) = input.split_at_mut(state);
        fields.copy_from_slice(given);
        for (channel, &value) in constants.chunks_exact_mut(points).zip(&scalars) {
            channel.fill(value);
        }
        output.copy_from_slice(sought);
        Ok(())
    }
}
