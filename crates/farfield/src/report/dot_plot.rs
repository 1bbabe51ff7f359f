//! A number for each pair of a row and a series: one line of dots a row, on a common horizontal axis.
//!
//! The form for a table of results whose rows are different problems: filled dots with a bar from the lowest to the highest value are ours, hollow ones are
//! the numbers that they are compared with. Series of one row are drawn one below the other, so nothing covers anything.

use serde::{Deserialize, Serialize};

use super::canvas::{Marker, Stroke};
use super::colour::{MUTED, series};
use super::panel::{LegendEntry, skipped_note};
use super::picture::Picture;
use super::stack::{Heading, Row, Stack};
use super::ticks::{Axis, Scale};

/// Height of one series in one row.
const LANE: f64 = 13.0;
/// Radius of a dot.
const DOT: f64 = 3.4;
/// Radius of a ring.
const RING: f64 = 5.2;

/// Dots for rows and series.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DotPlot {
    /// Title, may be empty.
    pub title: String,
    /// Second line: what filled and hollow dots are.
    pub subtitle: String,
    /// Label of the horizontal axis, which is logarithmic.
    pub x_label: String,
    /// Names of the rows, downwards.
    pub rows: Vec<String>,
    /// The series.
    pub series: Vec<DotSeries>,
}

/// One series of a [`DotPlot`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DotSeries {
    /// Name in the legend.
    pub name: String,
    /// For each row lowest, median and highest of our numbers.
    pub ours: Vec<Option<[f64; 3]>>,
    /// For each row the number it is compared with.
    pub theirs: Vec<Option<f64>>,
}

impl DotPlot {
    /// Draws the plot. Numbers that a logarithmic axis cannot show are left out and noted.
    #[must_use]
    pub fn draw(&self) -> Picture {
        let values = self.series.iter().flat_map(|s| {
            let ours = s.ours.iter().flatten().flatten();
            ours.chain(s.theirs.iter().flatten()).copied()
        });
        let x = Axis::around(Scale::Log, values, 0.05, &self.x_label);
        let lanes = self.series.len() + 1;
        let mut y = Axis::over(Scale::Linear, 0.0, (self.rows.len().max(1) * lanes) as f64, "");
        y.ticks.minor.clear();
        // Downwards: the first row is on top.
        let middle = |row: usize, lane: f64| (self.rows.len() - row) as f64 * lanes as f64 - lane;
        y.ticks.major =
            self.rows.iter().enumerate().map(|(i, name)| (middle(i, 0.5 * lanes as f64), name.clone())).collect();
        y.ticks.exponent = 0;
        let legend = self.series.iter().enumerate().map(|(i, s)| LegendEntry {
            label: s.name.clone(),
            stroke: Stroke::solid(series(i), 1.9),
            marker: Some(Marker::of_series(i)),
        });
        let heading = Heading { title: self.title.clone(), subtitle: self.subtitle.clone(), legend: legend.collect() };
        let height = (self.rows.len().max(1) * lanes) as f64 * LANE;
        let mut stack = Stack::new(heading, &x, vec![Row { y, height }]);
        let panel = stack.panels[0].clone();
        for row in (1..self.rows.len()).step_by(2) {
            let (top, bottom) = (middle(row, 0.0), middle(row, lanes as f64));
            let corners = [(x.low, top), (x.high, top), (x.high, bottom), (x.low, bottom)];
            let corners: Vec<(f64, f64)> = corners.iter().filter_map(|&(x, y)| panel.point(x, y)).collect();
            stack.canvas.fill(&corners, MUTED, 0.08);
        }
        let mut drawn = 0;
        for (i, s) in self.series.iter().enumerate() {
            let mut skipped = 0;
            for row in 0..self.rows.len() {
                let at = middle(row, i as f64 + 1.0);
                // A ring first: a dot inside it stays visible.
                if let Some(theirs) = s.theirs.get(row).copied().flatten() {
                    match panel.point(theirs, at) {
                        Some((px, py)) => {
                            stack.canvas.marker(Marker::of_series(i), px, py, RING, series(i));
                            stack.canvas.marker(Marker::of_series(i), px, py, 0.5 * RING, (255, 255, 255));
                            drawn += 1;
                        }
                        None => skipped += 1,
                    }
                }
                if let Some([low, median, high]) = s.ours.get(row).copied().flatten() {
                    let (low, high) = (panel.point(low, at), panel.point(high, at));
                    if let (Some(low), Some(high)) = (low, high) {
                        stack.canvas.line(low.0, low.1, high.0, high.1, Stroke::solid(series(i), 1.6));
                    }
                    match panel.point(median, at) {
                        Some((px, py)) => {
                            stack.canvas.marker(Marker::of_series(i), px, py, DOT, series(i));
                            drawn += 1;
                        }
                        None => skipped += 1,
                    }
                }
            }
            if let Some(note) = skipped_note(&s.name, skipped, Scale::Log) {
                stack.canvas.note(note);
            }
        }
        if drawn == 0 {
            panel.remark(&mut stack.canvas, "no data that can be drawn");
        }
        stack.finish()
    }
}
