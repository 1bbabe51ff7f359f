//! A sample in one dimension: input, truth with prediction, and signed error, one above the other.

use super::canvas::Stroke;
use super::colour::{MUTED, TRUTH, series};
use super::field::{FieldSample, note_missing};
use super::panel::LegendEntry;
use super::picture::Picture;
use super::stack::{Heading, Row, Stack};
use super::ticks::{Axis, Scale};

/// Draws a sample that has been checked and has one dimension.
pub(super) fn draw_1d(sample: &FieldSample) -> Picture {
    let coordinates = &sample.coordinates[0];
    let error = sample.error();
    let on_grid =
        |values: &[f64]| -> Vec<(f64, f64)> { coordinates.iter().copied().zip(values.iter().copied()).collect() };
    let linear = |values: &[f64], label: &str, ticks: usize| {
        Axis::around(Scale::Linear, values.iter().copied(), 0.07, label).with_tick_count(ticks)
    };

    let spacing = match coordinates.as_slice() {
        [first, .., last] => (last - first) / (coordinates.len() - 1) as f64,
        _ => 0.0,
    };
    let x = Axis::around(Scale::Linear, coordinates.iter().copied(), 0.0, "x").reaching_ticks(1.01 * spacing);
    let mut rows = Vec::with_capacity(3);
    if !sample.input.is_empty() {
        rows.push(Row { y: linear(&sample.input, "input", 3), height: 112.0 });
    }
    let both: Vec<f64> = sample.truth.iter().chain(&sample.prediction).copied().collect();
    rows.push(Row { y: linear(&both, "output", 5), height: 220.0 });
    let with_zero: Vec<f64> = error.iter().copied().chain([0.0]).collect();
    rows.push(Row { y: linear(&with_zero, "error", 3), height: 112.0 });

    let input = Stroke::solid(series(2), 1.7);
    let truth = Stroke::solid(TRUTH, 4.5);
    let prediction = Stroke::solid(series(0), 1.7);
    let difference = Stroke::solid(series(1), 1.5);
    let mut legend = vec![
        LegendEntry::line("truth", truth),
        LegendEntry::line("prediction", prediction),
        LegendEntry::line("prediction − truth", difference),
    ];
    if !sample.input.is_empty() {
        legend.insert(0, LegendEntry::line("input", input));
    }
    let heading = Heading { title: sample.title.clone(), subtitle: sample.error_line(), legend };

    let mut stack = Stack::new(heading, &x, rows);
    let panels = stack.panels.clone();
    let canvas = &mut stack.canvas;
    let (first, output, last) = match panels.as_slice() {
        [first, output, last] => (Some(first), output, last),
        [output, last] => (None, output, last),
        _ => return stack.finish(),
    };
    if let Some(panel) = first {
        panel.curve(canvas, on_grid(&sample.input), input);
        note_missing(canvas, "input", &sample.input);
    }
    output.curve(canvas, on_grid(&sample.truth), truth);
    output.curve(canvas, on_grid(&sample.prediction), prediction);
    note_missing(canvas, "truth", &sample.truth);
    note_missing(canvas, "prediction", &sample.prediction);
    last.level(canvas, 0.0, Stroke::solid(MUTED, 1.0));
    last.curve(canvas, on_grid(&error), difference);
    stack.finish()
}
