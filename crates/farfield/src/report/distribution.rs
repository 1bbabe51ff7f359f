//! How errors are spread over samples: the empirical distribution function on a logarithmic axis.
//!
//! A point (e, p) says that a fraction p of the samples has an error of at most e. Nothing is binned, so small sets show
//! every sample.

use serde::{Deserialize, Serialize};

use super::canvas::Stroke;
use super::colour::series;
use super::number::format_number;
use super::panel::LegendEntry;
use super::picture::Picture;
use super::stack::{Heading, Row, Stack};
use super::ticks::{Axis, Scale};

/// The errors of one set of samples, for example `test` or `out of distribution`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorDistribution {
    /// Name in the legend.
    pub name: String,
    /// One error a sample, in any order.
    pub errors: Vec<f64>,
}

/// Several error distributions in one frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorPlot {
    /// What the errors are, the label of the horizontal axis, for example `relative L2 error`.
    pub error_name: String,
    /// The sets.
    pub sets: Vec<ErrorDistribution>,
}

impl ErrorDistribution {
    /// The finite errors in increasing order.
    fn sorted(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.errors.iter().copied().filter(|e| e.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// Median of sorted values; none for no values.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(0.5 * (upper + sorted.get(middle.checked_sub(1)?)?))
}

impl ErrorPlot {
    /// Draws one staircase a set; the legend gives the number of samples, the median and the largest error.
    ///
    /// Errors that are not finite are left out and noted; zero errors count in the fractions but have no place on the
    /// axis.
    #[must_use]
    pub fn draw(&self) -> Picture {
        let sorted: Vec<Vec<f64>> = self.sets.iter().map(ErrorDistribution::sorted).collect();
        let x = Axis::around(Scale::Log, sorted.iter().flatten().copied(), 0.04, &self.error_name);
        let y = Axis::around(Scale::Linear, [0.0, 1.0], 0.03, "fraction of samples");
        let stroke = |i: usize| Stroke::solid(series(i), 2.0);
        let legend = self
            .sets
            .iter()
            .zip(&sorted)
            .enumerate()
            .map(|(i, (set, values))| {
                let label = match (median(values), values.last()) {
                    (Some(median), Some(&largest)) => format!(
                        "{}: {} samples, median {}, largest {}",
                        set.name,
                        values.len(),
                        format_number(median),
                        format_number(largest)
                    ),
                    _ => format!("{}: no finite errors", set.name),
                };
                LegendEntry::line(label, stroke(i))
            })
            .collect();
        let heading = Heading { title: "Distribution of errors".to_string(), subtitle: String::new(), legend };
        let mut stack = Stack::new(heading, &x, vec![Row { y, height: 290.0 }]);
        let panel = stack.panels[0].clone();
        let mut drawn = 0;
        for (i, (set, values)) in self.sets.iter().zip(&sorted).enumerate() {
            let staircase = staircase(values);
            drawn += staircase.len();
            panel.curve(&mut stack.canvas, staircase, stroke(i));
            let lost = set.errors.len() - values.len();
            if lost > 0 {
                stack.canvas.note(format!("{}: {lost} errors left out, not finite.", set.name));
            }
            let zeros = values.iter().filter(|&&e| e <= 0.0).count();
            if zeros > 0 {
                stack.canvas.note(format!("{}: {zeros} samples have error zero, left of the axis.", set.name));
            }
        }
        if drawn == 0 {
            panel.remark(&mut stack.canvas, "no errors that can be drawn");
        }
        stack.finish()
    }
}

/// Corners of the empirical distribution function from the first positive value to the last; none without one.
fn staircase(sorted: &[f64]) -> Vec<(f64, f64)> {
    let n = sorted.len() as f64;
    let zeros = sorted.iter().filter(|&&e| e <= 0.0).count();
    sorted.iter().enumerate().skip(zeros).flat_map(|(i, &e)| [(e, i as f64 / n), (e, (i + 1) as f64 / n)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 8.0]), Some(3.0));
    }

    #[test]
    fn the_staircase_climbs_from_the_zeros_to_one() {
        let corners = staircase(&[0.0, 0.1, 0.2, 0.4]);
        assert_eq!(corners.first(), Some(&(0.1, 0.25)));
        assert_eq!(corners.last(), Some(&(0.4, 1.0)));
        assert!(corners.windows(2).all(|w| w[0].0 <= w[1].0 && w[0].1 <= w[1].1));
        assert!(staircase(&[0.0]).is_empty());
        assert!(staircase(&[]).is_empty());
    }
}
