//! Several series in one frame, linear or logarithmic: error against number of samples, time against size.
//!
//! Each series may carry a band (for example from the smallest to the largest of five seeds around their median).
//! Horizontal levels name trivial predictors; guides show a power law through a point.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::canvas::{Marker, Stroke};
use super::colour::{MUTED, series};
use super::error::ReportError;
use super::panel::{LegendEntry, skipped_note};
use super::picture::Picture;
use super::stack::{Heading, Row, Stack};
use super::ticks::{Axis, Scale};

/// A plot of `y` against `x` for several series.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct XyPlot {
    /// Title, may be empty.
    pub title: String,
    /// Label of the horizontal axis, with its unit.
    pub x_label: String,
    /// Label of the vertical axis, with its unit.
    pub y_label: String,
    /// Horizontal scale.
    pub x_scale: Scale,
    /// Vertical scale.
    pub y_scale: Scale,
    /// The series, in the order of the legend.
    pub series: Vec<Series>,
    /// Horizontal reference lines.
    #[serde(default)]
    pub levels: Vec<Level>,
    /// Power laws for comparison.
    #[serde(default)]
    pub guides: Vec<Guide>,
}

/// One series of an [`XyPlot`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Abscissae.
    pub x: Vec<f64>,
    /// Ordinates, as many.
    pub y: Vec<f64>,
    /// Lower edge of the band, as many, or empty for no band.
    #[serde(default)]
    pub low: Vec<f64>,
    /// Upper edge of the band, as many, or empty for no band.
    #[serde(default)]
    pub high: Vec<f64>,
}

/// A named horizontal line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Name in the legend.
    pub name: String,
    /// Its ordinate.
    pub value: f64,
}

/// The power law `y = c x^exponent` through one point, drawn as a dotted line over the whole width.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Guide {
    /// Name in the legend, for example `N⁻¹`.
    pub name: String,
    /// Exponent of x.
    pub exponent: f64,
    /// Point it passes through.
    pub through: (f64, f64),
}

impl Guide {
    fn at(&self, x: f64) -> f64 {
        self.through.1 * (x / self.through.0).powf(self.exponent)
    }
}

impl XyPlot {
    /// A plot with both axes logarithmic and no series yet.
    #[must_use]
    pub fn log_log(title: impl Into<String>, x_label: impl Into<String>, y_label: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            x_scale: Scale::Log,
            y_scale: Scale::Log,
            ..Self::default()
        }
    }

    /// Draws the plot. Points that an axis cannot show are left out and noted; a frame without data says so.
    #[must_use]
    pub fn draw(&self) -> Picture {
        let x = Axis::around(self.x_scale, self.series.iter().flat_map(|s| s.x.iter().copied()), 0.04, &self.x_label);
        let ordinates = self.series.iter().flat_map(|s| {
            let values = s.y.iter().chain(&s.low).chain(&s.high);
            values.copied()
        });
        let levels = self.levels.iter().map(|l| l.value);
        let y = Axis::around(self.y_scale, ordinates.chain(levels), 0.05, &self.y_label);

        let mut stack = Stack::new(self.heading(), &x, vec![Row { y: y.clone(), height: 340.0 }]);
        let panel = stack.panels[0].clone();
        for (i, level) in self.levels.iter().enumerate() {
            panel.level(&mut stack.canvas, level.value, level_stroke(i));
        }
        for (i, guide) in self.guides.iter().enumerate() {
            let points: Vec<(f64, f64)> = (0..=512)
                .filter_map(|k| {
                    let t = f64::from(k) / 512.0;
                    let x = match self.x_scale {
                        Scale::Linear => x.low + t * (x.high - x.low),
                        Scale::Log => x.low * (x.high / x.low).powf(t),
                    };
                    let value = guide.at(x);
                    (y.low <= value && value <= y.high).then_some((x, value))
                })
                .collect();
            panel.curve(&mut stack.canvas, points, guide_stroke(i));
        }
        for (i, s) in self.series.iter().enumerate() {
            let band: Vec<(f64, f64, f64)> =
                s.x.iter().zip(&s.low).zip(&s.high).map(|((&x, &l), &h)| (x, l, h)).collect();
            panel.band(&mut stack.canvas, &band, series(i));
        }
        let mut drawn = 0;
        for (i, s) in self.series.iter().enumerate() {
            drawn += self.draw_series(&mut stack, i, s);
        }
        if drawn == 0 {
            panel.remark(&mut stack.canvas, "no data that can be drawn");
        }
        stack.finish()
    }

    fn heading(&self) -> Heading {
        let curves = self.series.iter().enumerate().map(|(i, s)| LegendEntry {
            label: s.name.clone(),
            stroke: Stroke::solid(series(i), 1.9),
            marker: Some(Marker::of_series(i)),
        });
        let levels = self.levels.iter().enumerate().map(|(i, l)| LegendEntry::line(&l.name, level_stroke(i)));
        let guides = self.guides.iter().enumerate().map(|(i, g)| LegendEntry::line(&g.name, guide_stroke(i)));
        Heading {
            title: self.title.clone(),
            subtitle: String::new(),
            legend: curves.chain(levels).chain(guides).collect(),
        }
    }

    /// Draws one series and returns how many of its points are visible.
    fn draw_series(&self, stack: &mut Stack, index: usize, s: &Series) -> usize {
        let panel = stack.panels[0].clone();
        let colour = series(index);
        let points: Vec<(f64, f64)> = s.x.iter().copied().zip(s.y.iter().copied()).collect();
        let skipped = panel.curve(&mut stack.canvas, points.iter().copied(), Stroke::solid(colour, 1.9));
        for &(x, y) in &points {
            if let Some((px, py)) = panel.point(x, y) {
                stack.canvas.marker(Marker::of_series(index), px, py, 4.0, colour);
            }
        }
        let scale = if self.x_scale == Scale::Log || self.y_scale == Scale::Log { Scale::Log } else { Scale::Linear };
        if let Some(note) = skipped_note(&s.name, skipped, scale) {
            stack.canvas.note(note);
        }
        if s.x.len() != s.y.len() {
            stack.canvas.note(format!(
                "{}: {} abscissae but {} ordinates; the surplus is left out.",
                s.name,
                s.x.len(),
                s.y.len()
            ));
        }
        points.len() - skipped
    }
}

fn level_stroke(index: usize) -> Stroke {
    let patterns = [(7.0, 4.0), (3.0, 3.0), (12.0, 4.0)];
    let (on, off) = patterns[index % patterns.len()];
    Stroke::dashed(MUTED, 1.3, on, off)
}

fn guide_stroke(index: usize) -> Stroke {
    let patterns = [(1.5, 3.0), (1.5, 5.0)];
    let (on, off) = patterns[index % patterns.len()];
    Stroke::dashed(MUTED, 1.5, on, off)
}

/// Draws `plot` and writes it to `path` as PNG and SVG; returns the two files.
///
/// # Errors
/// As [`Picture::write`].
pub fn xy_plot(plot: &XyPlot, path: &Path) -> Result<Vec<PathBuf>, ReportError> {
    plot.draw().write(path)
}
