//! Curves recorded during training: loss and learning rate, and the slopes of the activations.

use serde::{Deserialize, Serialize};

use super::canvas::Stroke;
use super::colour::{MUTED, ordered, series};
use super::panel::{LegendEntry, skipped_note};
use super::picture::Picture;
use super::stack::{Heading, Row, Stack};
use super::ticks::{Axis, Scale};

/// Loss against training step or epoch. All vectors are as long as `steps`, or empty where nothing was recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LossCurves {
    /// What `steps` counts, the label of the horizontal axis: `epoch` or `step`.
    pub step_name: String,
    /// What the losses are, the label of the vertical axis, for example `loss (mean square)`.
    pub loss_name: String,
    /// Abscissae, increasing.
    pub steps: Vec<u64>,
    /// Training loss.
    pub train: Vec<f64>,
    /// Validation loss, none at the steps where it was not computed.
    pub validation: Vec<Option<f64>>,
    /// Learning rate; drawn in a panel of its own.
    pub learning_rate: Vec<f64>,
}

impl LossCurves {
    /// Draws losses on a logarithmic axis, the learning rate in a smaller panel below.
    ///
    /// Losses that are zero, negative or not finite are left out and noted.
    #[must_use]
    pub fn draw(&self) -> Picture {
        let steps: Vec<f64> = self.steps.iter().map(|&s| s as f64).collect();
        let validation: Vec<(f64, f64)> =
            steps.iter().zip(&self.validation).filter_map(|(&s, v)| Some((s, (*v)?))).collect();
        let train: Vec<(f64, f64)> = steps.iter().copied().zip(self.train.iter().copied()).collect();
        let rate: Vec<(f64, f64)> = steps.iter().copied().zip(self.learning_rate.iter().copied()).collect();

        let x = Axis::around(Scale::Linear, steps.iter().copied(), 0.015, &self.step_name);
        let losses = train.iter().chain(&validation).map(|p| p.1);
        let mut rows = vec![Row { y: Axis::around(Scale::Log, losses, 0.05, &self.loss_name), height: 290.0 }];
        if !rate.is_empty() {
            let values = rate.iter().map(|p| p.1).chain([0.0]);
            rows.push(Row {
                y: Axis::around(Scale::Linear, values, 0.08, "learning rate").with_tick_count(2),
                height: 84.0,
            });
        }
        let curves = [
            ("training", &train, Stroke::solid(series(0), 1.3)),
            ("validation", &validation, Stroke::solid(series(1), 1.8)),
        ];
        let legend = curves
            .iter()
            .filter(|(_, points, _)| !points.is_empty())
            .map(|(name, _, stroke)| LegendEntry::line(*name, *stroke))
            .collect();
        let heading = Heading { title: "Loss during training".to_string(), subtitle: String::new(), legend };

        let mut stack = Stack::new(heading, &x, rows);
        let panels = stack.panels.clone();
        let mut drawn = 0;
        for (name, points, stroke) in curves {
            let skipped = panels[0].curve(&mut stack.canvas, points.iter().copied(), stroke);
            drawn += points.len() - skipped;
            if let Some(note) = skipped_note(&format!("{name} loss"), skipped, Scale::Log) {
                stack.canvas.note(note);
            }
        }
        if drawn == 0 {
            panels[0].remark(&mut stack.canvas, "no loss was recorded");
        }
        if let Some(panel) = panels.get(1) {
            let skipped = panel.curve(&mut stack.canvas, rate, Stroke::solid(MUTED, 1.6));
            if let Some(note) = skipped_note("learning rate", skipped, Scale::Linear) {
                stack.canvas.note(note);
            }
        }
        stack.finish()
    }
}

/// The learnable slope of every activation against training step or epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SlopeCurves {
    /// What `steps` counts: `epoch` or `step`.
    pub step_name: String,
    /// Abscissae, increasing.
    pub steps: Vec<u64>,
    /// One curve a layer, from the input to the output, each as long as `steps`.
    pub layers: Vec<LayerSlopes>,
}

/// Slopes of one layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerSlopes {
    /// Name in the legend, for example `layer 1`.
    pub name: String,
    /// Slope at each step.
    pub values: Vec<f64>,
}

impl SlopeCurves {
    /// Draws one line a layer, coloured from dark (first) to light (last), and a dashed line at 1, where the activation is
    /// the identity.
    #[must_use]
    pub fn draw(&self) -> Picture {
        let steps: Vec<f64> = self.steps.iter().map(|&s| s as f64).collect();
        let values = self.layers.iter().flat_map(|l| l.values.iter().copied());
        let x = Axis::around(Scale::Linear, steps.iter().copied(), 0.015, &self.step_name);
        let y = Axis::around(Scale::Linear, values.chain([1.0]), 0.06, "slope α");
        let count = self.layers.len();
        let stroke = |i: usize| Stroke::solid(ordered(i, count), 1.9);
        let identity = Stroke::dashed(MUTED, 1.2, 5.0, 4.0);
        let mut legend: Vec<LegendEntry> =
            self.layers.iter().enumerate().map(|(i, layer)| LegendEntry::line(&layer.name, stroke(i))).collect();
        legend.push(LegendEntry::line("identity (α = 1)", identity));
        let heading = Heading { title: "Slopes of the activations".to_string(), subtitle: String::new(), legend };
        let mut stack = Stack::new(heading, &x, vec![Row { y, height: 250.0 }]);
        let panel = stack.panels[0].clone();
        panel.level(&mut stack.canvas, 1.0, identity);
        let mut drawn = 0;
        for (i, layer) in self.layers.iter().enumerate() {
            let points: Vec<(f64, f64)> = steps.iter().copied().zip(layer.values.iter().copied()).collect();
            let total = points.len();
            let skipped = panel.curve(&mut stack.canvas, points, stroke(i));
            drawn += total - skipped;
            if let Some(note) = skipped_note(&layer.name, skipped, Scale::Linear) {
                stack.canvas.note(note);
            }
        }
        if drawn == 0 {
            panel.remark(&mut stack.canvas, "no slopes were recorded");
        }
        stack.finish()
    }
}
