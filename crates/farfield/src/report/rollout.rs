//! Models rolled out in time: errors against time, and one trajectory beside the true one.

use serde::{Deserialize, Serialize};

use super::canvas::{Anchor, Area, Canvas, LARGE, NORMAL, Stroke};
use super::colour::{MUTED, TRUTH, series};
use super::heat_map::{Cells, ColourScale, HeatMap, cell_axis};
use super::lettering::{shortened, text_width};
use super::number::format_number;
use super::panel::{Legend, LegendEntry, Panel, skipped_note};
use super::picture::Picture;
use super::stack::{Heading, Row, Stack};
use super::ticks::{Axis, Scale};

/// Errors of several models against time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutCurves {
    /// Title.
    pub title: String,
    /// Times after each step.
    pub times: Vec<f64>,
    /// The models; the last one, the predictor that repeats the initial state, is drawn in grey if it is named so.
    pub models: Vec<RolloutCurve>,
}

/// The relative error of one model after each step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutCurve {
    /// Name in the legend.
    pub name: String,
    /// Median over trajectories.
    pub median: Vec<f64>,
    /// Largest over trajectories.
    pub largest: Vec<f64>,
}

/// Name of the predictor that repeats the initial state.
const NO_CHANGE: &str = "no change";

impl RolloutCurves {
    /// Draws the median of each model as a line and the largest error dashed, in one colour; the axis of errors is logarithmic.
    #[must_use]
    pub fn draw(&self) -> Picture {
        let values = self.models.iter().flat_map(|m| m.median.iter().chain(&m.largest).copied());
        let x = Axis::around(Scale::Linear, self.times.iter().copied(), 0.015, "time");
        let y = Axis::around(Scale::Log, values, 0.05, "relative L2 error");
        let colour = |i: usize| if self.models[i].name == NO_CHANGE { MUTED } else { series(i) };
        let median = |i: usize| Stroke::solid(colour(i), 2.0);
        let largest = |i: usize| Stroke::dashed(colour(i), 1.4, 6.0, 3.5);
        let legend = (0..self.models.len())
            .flat_map(|i| {
                let name = &self.models[i].name;
                [
                    LegendEntry::line(format!("{name}, median"), median(i)),
                    LegendEntry::line(format!("{name}, largest"), largest(i)),
                ]
            })
            .collect();
        let heading = Heading { title: self.title.clone(), subtitle: String::new(), legend };
        let mut stack = Stack::new(heading, &x, vec![Row { y, height: 320.0 }]);
        let panel = stack.panels[0].clone();
        let mut drawn = 0;
        for (i, model) in self.models.iter().enumerate() {
            for (what, values, stroke) in
                [("largest", &model.largest, largest(i)), ("median", &model.median, median(i))]
            {
                let points = self.times.iter().copied().zip(values.iter().copied());
                let skipped = panel.curve(&mut stack.canvas, points, stroke);
                drawn += values.len() - skipped.min(values.len());
                if let Some(note) = skipped_note(&format!("{}, {what}", model.name), skipped, Scale::Log) {
                    stack.canvas.note(note);
                }
            }
        }
        if drawn == 0 {
            panel.remark(&mut stack.canvas, "no error that can be drawn");
        }
        stack.finish()
    }
}

/// One channel of one trajectory, true and predicted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutFields {
    /// Title.
    pub title: String,
    /// Coordinates of the grid points, one increasing vector a dimension.
    pub coordinates: Vec<Vec<f64>>,
    /// Times of the states, the first one that of the initial state.
    pub times: Vec<f64>,
    /// True states, (time, points) row by row; NaN outside of the domain.
    pub truth: Vec<f64>,
    /// Predicted states, as many.
    pub prediction: Vec<f64>,
}

/// Pixels of an image of space and time, along each direction.
const SPACE_TIME: usize = 520;
/// Pixels of an image of one state, along the longer direction.
const STATE: f64 = 288.0;
/// Images of states in a row.
const COLUMNS: usize = 4;
const HEADING: f64 = 58.0;
const TITLE: f64 = 30.0;
const EDGE: f64 = 14.0;
const GAP: f64 = 16.0;

/// A time without the zeros at its end.
fn time_text(time: f64) -> String {
    let text = format_number(time);
    match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

impl RolloutFields {
    /// Draws one dimension as pictures of space and time with the last state as curves, more dimensions as images of a few states (of three
    /// dimensions the plane through the middle of the last). Colours span the true values: a prediction beyond them has the colour of the
    /// end. Parts that do not fit together give a picture that says so.
    #[must_use]
    pub fn draw(&self) -> Picture {
        let grid: Vec<usize> = self.coordinates.iter().map(Vec::len).collect();
        let points: usize = grid.iter().product();
        let numbers = self.times.len().saturating_mul(points);
        let fits = (1..=3).contains(&grid.len()) && numbers > 0 && self.times.len() > 1;
        if !fits || self.truth.len() != numbers || self.prediction.len() != numbers {
            let mut canvas = Canvas::new(700.0, 64.0);
            canvas.bold_text(EDGE, 26.0, &self.title, NORMAL, Anchor::Start);
            let reason = format!(
                "{} true and {} predicted values for {} states of {points} points",
                self.truth.len(),
                self.prediction.len(),
                self.times.len()
            );
            canvas.coloured_text(EDGE, 48.0, &reason, NORMAL, Anchor::Start, MUTED);
            canvas.note(format!("Not drawn: {reason}."));
            return canvas.finish();
        }
        if grid.len() == 1 { self.draw_space_time() } else { self.draw_states(&grid) }
    }

    fn difference(&self) -> Vec<f64> {
        self.prediction.iter().zip(&self.truth).map(|(p, t)| p - t).collect()
    }

    /// Relative error of state `step` over the points where both are finite.
    fn error(&self, step: usize, points: usize) -> f64 {
        let state = step * points..(step + 1) * points;
        let pairs = self.prediction[state.clone()].iter().zip(&self.truth[state]).filter(|(_, t)| t.is_finite());
        let (error, norm) = pairs.fold((0.0, 0.0), |(e, n), (p, t)| (e + (p - t) * (p - t), n + t * t));
        if error == 0.0 { 0.0 } else { (error / norm).sqrt() }
    }

    fn heading(&self, canvas: &mut Canvas, left: f64, width: f64, line: &str) {
        let room = width - left - EDGE;
        canvas.bold_text(left, 26.0, &shortened(&self.title, LARGE + 1, room), LARGE, Anchor::Start);
        canvas.coloured_text(left, 47.0, &shortened(line, NORMAL, room), NORMAL, Anchor::Start, MUTED);
    }

    fn draw_space_time(&self) -> Picture {
        let (points, steps) = (self.coordinates[0].len(), self.times.len());
        let axes = (cell_axis(&self.coordinates[0], "x"), cell_axis(&self.times, "t"));
        let cells = (Cells::fit(points, SPACE_TIME), Cells::fit(steps, SPACE_TIME));
        let difference = self.difference();
        let output = ColourScale::sequential(self.truth.iter().copied());
        let signed = ColourScale::diverging(difference.iter().copied());
        let (width, height) = (cells.0.length(), cells.1.length());
        let left = Panel::left_margin(&axes.1).round() + EDGE;
        let bar = output.bar_width().max(signed.bar_width()).ceil();

        let last = (steps - 1) * points..steps * points;
        let (truth, prediction) = (&self.truth[last.clone()], &self.prediction[last]);
        let values = truth.iter().chain(prediction).copied();
        let y = Axis::around(Scale::Linear, values, 0.07, "").with_tick_count(5);
        let column = width + bar + GAP + Panel::left_margin(&y).max(28.0);
        let row = height + TITLE + Panel::bottom_margin(&axes.0);
        let total = (left + column + width + bar + EDGE, HEADING + 2.0 * row + 6.0);
        let mut canvas = Canvas::new(total.0, total.1);
        let line =
            format!("relative L2 error {} after {} steps", format_number(self.error(steps - 1, points)), steps - 1);
        self.heading(&mut canvas, left, total.0, &line);
        let top = (HEADING + TITLE).round();
        for (title, values, scale, across, down) in [
            ("truth", &self.truth, &output, 0.0, 0.0),
            ("prediction", &self.prediction, &output, 1.0, 0.0),
            ("prediction − truth", &difference, &signed, 0.0, 1.0),
        ] {
            let map = HeatMap { title, axes: axes.clone(), cells, scale, labelled: (true, across == 0.0) };
            let area = map.draw(&mut canvas, (left + across * column).round(), (top + down * row).round(), |i, j| {
                values[j * points + i]
            });
            scale.draw_bar(&mut canvas, area);
        }
        let area = Area { left: (left + column).round(), top: (top + row).round(), width, height };
        let panel = Panel { area, x: axes.0.clone(), y, label_x: true };
        panel.draw_grid(&mut canvas);
        let on_grid = |values: &[f64]| -> Vec<(f64, f64)> {
            self.coordinates[0].iter().copied().zip(values.iter().copied()).collect()
        };
        let strokes = [Stroke::solid(TRUTH, 4.0), Stroke::solid(series(0), 1.6)];
        panel.curve(&mut canvas, on_grid(truth), strokes[0]);
        panel.curve(&mut canvas, on_grid(prediction), strokes[1]);
        panel.draw_axes(&mut canvas, 0.0);
        let entries = vec![LegendEntry::line("truth", strokes[0]), LegendEntry::line("prediction", strokes[1])];
        let title = format!("t = {}", time_text(self.times[steps - 1]));
        canvas.bold_text(area.left, area.top - 8.0, &title, NORMAL, Anchor::Start);
        let beside = 1.15 * text_width(&title, NORMAL) + 16.0;
        Legend::fit(entries, width).draw(&mut canvas, area.left + beside, area.top - 22.0);
        self.note_strides(&mut canvas, &[cells.0, cells.1]);
        canvas.finish()
    }

    /// Steps whose states are drawn: the first and the last, and some between them.
    fn shown(&self) -> Vec<usize> {
        let last = self.times.len() - 1;
        let count = COLUMNS.min(last);
        let mut steps: Vec<usize> = match count {
            1 => vec![last],
            _ => (0..count).map(|i| 1 + i * (last - 1) / (count - 1)).collect(),
        };
        steps.dedup();
        steps
    }

    fn draw_states(&self, grid: &[usize]) -> Picture {
        let points: usize = grid.iter().product();
        let (nx, ny) = (grid[0], grid[1]);
        // Of three dimensions the plane in the middle of the last.
        let depth = grid.get(2).copied().unwrap_or(1);
        let steps = self.shown();
        let at = |step: usize, i: usize, j: usize| step * points + (i * ny + j) * depth + depth / 2;
        let difference = self.difference();
        let drawn = |values: &[f64]| -> Vec<f64> {
            let places = steps.iter().flat_map(|&s| (0..nx).flat_map(move |i| (0..ny).map(move |j| (s, i, j))));
            places.map(|(s, i, j)| values[at(s, i, j)]).collect()
        };
        let output = ColourScale::sequential(drawn(&self.truth));
        let signed = ColourScale::diverging(drawn(&difference));
        let axes = (cell_axis(&self.coordinates[0], "x"), cell_axis(&self.coordinates[1], "y"));
        let axes = (axes.0.with_tick_count(3), axes.1.with_tick_count(3));
        let lengths = (axes.0.high - axes.0.low, axes.1.high - axes.1.low);
        let ratio = if (lengths.0 / lengths.1).is_finite() { lengths.0 / lengths.1 } else { 1.0 };
        let pixels = |share: f64| (STATE * share.min(1.0)).max(96.0) as usize;
        let cells = (Cells::fit(nx, pixels(ratio)), Cells::fit(ny, pixels(1.0 / ratio)));
        let (width, height) = (cells.0.length(), cells.1.length());
        let left = Panel::left_margin(&axes.1).round() + EDGE;
        let bar = output.bar_width().max(signed.bar_width()).ceil();
        let columns = steps.len() as f64;
        let total = (
            left + columns * (width + GAP) - GAP + bar + EDGE,
            HEADING + 3.0 * (height + TITLE) + Panel::bottom_margin(&axes.0) + 12.0,
        );
        let mut canvas = Canvas::new(total.0.max(420.0), total.1);
        let errors: Vec<String> = steps.iter().map(|&s| format_number(self.error(s, points))).collect();
        let line = format!("relative L2 errors of the predictions {}", errors.join(", "));
        self.heading(&mut canvas, left, total.0.max(420.0), &line);
        let rows = [
            ("truth", &self.truth, &output),
            ("prediction", &self.prediction, &output),
            ("difference", &difference, &signed),
        ];
        for (down, (name, values, scale)) in rows.into_iter().enumerate() {
            let top = (HEADING + TITLE + down as f64 * (height + TITLE)).round();
            for (across, &step) in steps.iter().enumerate() {
                let time = format!("t = {}", time_text(self.times[step]));
                let title = match (down, across) {
                    (0, 0) => format!("{name}, {time}"),
                    (0, _) => time,
                    (_, 0) => name.to_owned(),
                    _ => String::new(),
                };
                let map =
                    HeatMap { title: &title, axes: axes.clone(), cells, scale, labelled: (down == 2, across == 0) };
                let place = (left + across as f64 * (width + GAP)).round();
                let area = map.draw(&mut canvas, place, top, |i, j| values[at(step, i, j)]);
                if across + 1 == steps.len() {
                    scale.draw_bar(&mut canvas, area);
                }
            }
        }
        if depth > 1 {
            canvas.note("Of three dimensions the plane through the middle of the last is drawn.");
        }
        self.note_strides(&mut canvas, &[cells.0, cells.1]);
        canvas.finish()
    }

    fn note_strides(&self, canvas: &mut Canvas, cells: &[Cells]) {
        if let Some(stride) = cells.iter().map(|c| c.stride).max().filter(|&s| s > 1) {
            canvas.note(format!("One point in {stride} is drawn where there are too many."));
        }
        let bad = self.prediction.iter().zip(&self.truth).filter(|(p, t)| t.is_finite() && !p.is_finite()).count();
        if bad > 0 {
            canvas.note(format!("{bad} predicted values are not finite."));
        }
        let finite = self.truth.iter().copied().filter(|v| v.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let slack = 0.5 * (high - low);
        if self.prediction.iter().any(|&p| p < low - slack || p > high + slack) {
            canvas.note("Colours span the true values; predictions far beyond them have the colours of the ends.");
        }
    }
}
