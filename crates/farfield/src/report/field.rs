//! One sample of a solution operator: input, true and predicted field in one, two or three dimensions.
//!
//! 1D gives lines, 2D images, 3D the three slices through the middle. True and predicted fields share one scale; the
//! signed error has its own, symmetric about zero.

use serde::{Deserialize, Serialize};

use super::canvas::{Anchor, Canvas, NORMAL};
use super::colour::MUTED;
use super::field_images::{draw_2d, draw_3d};
use super::field_lines::draw_1d;
use super::number::format_number;
use super::picture::Picture;

/// Input, truth and prediction of one sample on a tensor grid.
///
/// Fields are stored row by row: with `grid = [nx, ny, nz]` the value at `(i, j, k)` is at `(i ny + j) nz + k`. Pictures
/// show x to the right and y upwards.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldSample {
    /// Title, for example `test sample 3, median error`.
    pub title: String,
    /// Coordinates of the grid points, one increasing vector a dimension.
    pub coordinates: Vec<Vec<f64>>,
    /// Number of points in each dimension, one to three of them.
    pub grid: Vec<usize>,
    /// Input of the operator, or empty to leave its panel out.
    pub input: Vec<f64>,
    /// True output.
    pub truth: Vec<f64>,
    /// Predicted output.
    pub prediction: Vec<f64>,
    /// Relative L2 error of the prediction, printed in the picture.
    pub relative_l2: f64,
}

impl FieldSample {
    /// Draws the sample. A sample whose parts do not fit together gives a picture that says which part does not.
    ///
    /// Cost: fields larger than 512 points along a direction are drawn at every second, third, ... point, so the size of
    /// the picture is bounded.
    #[must_use]
    pub fn draw(&self) -> Picture {
        if let Err(reason) = self.check() {
            return refusal(&self.title, &reason);
        }
        match self.grid.len() {
            1 => draw_1d(self),
            2 => draw_2d(self),
            _ => draw_3d(self),
        }
    }

    /// The second line of the picture.
    pub(super) fn error_line(&self) -> String {
        format!("relative L2 error {}", format_number(self.relative_l2))
    }

    /// Prediction minus truth.
    pub(super) fn error(&self) -> Vec<f64> {
        self.prediction.iter().zip(&self.truth).map(|(p, t)| p - t).collect()
    }

    fn check(&self) -> Result<(), String> {
        let dimensions = self.grid.len();
        if !(1..=3).contains(&dimensions) {
            return Err(format!("a grid of {dimensions} dimensions cannot be drawn, only 1 to 3"));
        }
        let points = self
            .grid
            .iter()
            .try_fold(1_usize, |product, &n| product.checked_mul(n))
            .filter(|&points| points > 0)
            .ok_or_else(|| format!("the grid {:?} has no points or too many", self.grid))?;
        if self.coordinates.len() != dimensions {
            return Err(format!("{} coordinate vectors for {dimensions} dimensions", self.coordinates.len()));
        }
        for (d, (x, &n)) in self.coordinates.iter().zip(&self.grid).enumerate() {
            if x.len() != n {
                return Err(format!("{} coordinates in dimension {d} for {n} grid points", x.len()));
            }
            let increasing = x.windows(2).all(|w| w[0] < w[1]);
            if !increasing || x.iter().any(|v| !v.is_finite()) {
                return Err(format!("the coordinates in dimension {d} are not finite and increasing"));
            }
        }
        let fields = [("input", &self.input), ("truth", &self.truth), ("prediction", &self.prediction)];
        for (name, field) in fields {
            let may_be_absent = name == "input" && field.is_empty();
            if field.len() != points && !may_be_absent {
                return Err(format!("{name} has {} values for {points} grid points", field.len()));
            }
        }
        Ok(())
    }
}

/// Adds a note if `values` holds numbers that are not finite.
pub(super) fn note_missing(canvas: &mut Canvas, name: &str, values: &[f64]) {
    let missing = values.iter().filter(|v| !v.is_finite()).count();
    if missing > 0 {
        canvas.note(format!("{name}: {missing} of {} values are not finite and left out.", values.len()));
    }
}

/// A small picture that says why there is no other.
fn refusal(title: &str, reason: &str) -> Picture {
    let mut canvas = Canvas::new(700.0, 64.0);
    canvas.bold_text(14.0, 26.0, title, NORMAL, Anchor::Start);
    canvas.coloured_text(14.0, 48.0, reason, NORMAL, Anchor::Start, MUTED);
    canvas.note(format!("Not drawn: {reason}."));
    canvas.finish()
}
