//! A rectangle of values as an image with axes and a colour bar.
//!
//! Every value becomes a block of whole pixels, so nothing is interpolated. Grids finer than the image are drawn at every
//! second, third, ... point.

use super::canvas::{Anchor, Area, Canvas, NORMAL, SMALL, Stroke};
use super::colour::{AXIS, MISSING, Rgb, diverging, sequential};
use super::lettering::{shortened, text_width};
use super::panel::Panel;
use super::picture::PIXELS_PER_UNIT;
use super::ticks::{Axis, Scale};

/// Width of a colour bar.
const BAR: f64 = 13.0;
/// Space between an image and its colour bar.
const BAR_GAP: f64 = 9.0;

/// One direction of an image: which grid points are drawn, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cells {
    /// Every `stride`-th grid point is drawn.
    pub(super) stride: usize,
    /// Number of drawn points.
    count: usize,
    /// Pixels for each.
    size: usize,
    points: usize,
}

impl Cells {
    /// The cells of `points` grid points in at most `pixels` pixels.
    pub(super) fn fit(points: usize, pixels: usize) -> Self {
        let points = points.max(1);
        let pixels = pixels.max(1);
        let stride = points.div_ceil(pixels);
        let count = points.div_ceil(stride);
        Self { stride, count, size: pixels / count, points }
    }

    fn pixels(self) -> usize {
        self.count * self.size
    }

    /// Length on the drawing.
    pub(super) fn length(self) -> f64 {
        self.pixels() as f64 / f64::from(PIXELS_PER_UNIT)
    }

    /// Grid index drawn at `pixel`.
    fn index(self, pixel: usize) -> usize {
        let cell = pixel / self.size.max(1);
        (cell * self.stride + self.stride / 2).min(self.points - 1)
    }
}

/// Axis over the cells of `coordinates`: half a cell beyond the first and the last point.
pub(super) fn cell_axis(coordinates: &[f64], label: &str) -> Axis {
    let (first, last) = match (coordinates.first(), coordinates.last()) {
        (Some(&first), Some(&last)) => (first, last),
        _ => (0.0, 1.0),
    };
    let half = if coordinates.len() > 1 { 0.5 * (last - first) / (coordinates.len() - 1) as f64 } else { 0.5 };
    Axis::over(Scale::Linear, first - half, last + half, label).with_tick_count(4)
}

/// Whether neighbouring coordinates are equally far apart, to one part in a thousand.
pub(super) fn is_uniform(coordinates: &[f64]) -> bool {
    let n = coordinates.len();
    if n < 3 {
        return true;
    }
    let step = (coordinates[n - 1] - coordinates[0]) / (n - 1) as f64;
    coordinates.windows(2).all(|w| ((w[1] - w[0]) - step).abs() <= 1e-3 * step.abs())
}

/// From numbers to colours.
#[derive(Debug, Clone)]
pub(super) struct ColourScale {
    axis: Axis,
    map: fn(f64) -> Rgb,
}

impl ColourScale {
    /// From the smallest to the largest finite value; viridis.
    pub(super) fn sequential(values: impl IntoIterator<Item = f64>) -> Self {
        Self { axis: Axis::around(Scale::Linear, values, 0.0, ""), map: sequential }
    }

    /// Symmetric about zero; blue for negative and red for positive values.
    pub(super) fn diverging(values: impl IntoIterator<Item = f64>) -> Self {
        let largest = values.into_iter().filter(|v| v.is_finite()).fold(0.0_f64, |m, v| m.max(v.abs()));
        let limit = if largest > 0.0 { largest } else { 1.0 };
        Self { axis: Axis::over(Scale::Linear, -limit, limit, ""), map: diverging }
    }

    fn colour(&self, value: f64) -> Rgb {
        match self.axis.place(value) {
            Some(t) => (self.map)(t),
            None => MISSING,
        }
    }

    /// Width of the bar with its labels.
    pub(super) fn bar_width(&self) -> f64 {
        let widest = self.axis.ticks.major.iter().map(|(_, label)| text_width(label, SMALL)).fold(0.0, f64::max);
        let factor = self.axis.factor_text().map_or(0.0, |factor| text_width(&factor, SMALL) - BAR);
        BAR_GAP + BAR + 8.0 + widest.max(factor)
    }

    /// Draws the bar to the right of `area`, as high as it.
    pub(super) fn draw_bar(&self, canvas: &mut Canvas, area: Area) {
        let pixels = |length: f64| (length * f64::from(PIXELS_PER_UNIT)).round() as u32;
        let left = area.right() + BAR_GAP;
        let rows = pixels(area.height).max(1);
        canvas.image(left, area.top, pixels(BAR), rows, |_, row| {
            (self.map)(1.0 - (f64::from(row) + 0.5) / f64::from(rows))
        });
        let pen = Stroke::solid(AXIS, 1.0);
        let bar = Area { left, width: BAR, ..area };
        canvas.frame(outside(bar), pen);
        let axis = self.axis.clone().with_tick_count(if area.height < 220.0 { 4 } else { 6 });
        for (value, label) in &axis.ticks.major {
            let Some(t) = axis.place(*value) else {
                continue;
            };
            let y = area.bottom() - t * area.height;
            canvas.line(bar.right() + 0.5, y, bar.right() + 4.0, y, pen);
            canvas.text(bar.right() + 7.0, y + 4.2, label, SMALL, Anchor::Start);
        }
        if let Some(factor) = axis.factor_text() {
            canvas.text(left, area.top - 6.0, &factor, SMALL, Anchor::Start);
        }
    }
}

/// The frame that lies just outside `area`, so that an image does not cover it.
fn outside(area: Area) -> Area {
    Area { left: area.left - 0.5, top: area.top - 0.5, width: area.width + 1.0, height: area.height + 1.0 }
}

/// An image with its axes.
#[derive(Debug, Clone)]
pub(super) struct HeatMap<'a> {
    pub(super) title: &'a str,
    /// Horizontal and vertical axis.
    pub(super) axes: (Axis, Axis),
    /// Horizontal and vertical cells.
    pub(super) cells: (Cells, Cells),
    pub(super) scale: &'a ColourScale,
    /// Whether the horizontal and the vertical axis carry labels.
    pub(super) labelled: (bool, bool),
}

impl HeatMap<'_> {
    /// Draws the image with its top left corner at `(left, top)`; `value(i, j)` is the number at the i-th point to the
    /// right and the j-th upwards. Returns the area of the image.
    pub(super) fn draw(&self, canvas: &mut Canvas, left: f64, top: f64, value: impl Fn(usize, usize) -> f64) -> Area {
        let (columns, rows) = self.cells;
        let height = rows.pixels();
        canvas.image(left, top, columns.pixels() as u32, height as u32, |px, py| {
            let i = columns.index(px as usize);
            let j = rows.index(height - 1 - py as usize);
            self.scale.colour(value(i, j))
        });
        let area = Area { left, top, width: columns.length(), height: rows.length() };
        let (mut x, mut y) = self.axes.clone();
        if !self.labelled.0 {
            x.label.clear();
        }
        if !self.labelled.1 {
            y.label.clear();
            for (_, label) in &mut y.ticks.major {
                label.clear();
            }
        }
        let panel = Panel { area: outside(area), label_x: self.labelled.0, x, y };
        let label_distance = Panel::left_margin(&panel.y) - 14.0;
        panel.draw_axes(canvas, label_distance);
        canvas.bold_text(left, top - 8.0, &shortened(self.title, NORMAL, area.width), NORMAL, Anchor::Start);
        area
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_whole_pixels_and_bounded() {
        for points in [1, 2, 3, 63, 64, 100, 511, 512, 513, 1024, 1025, 100_000] {
            let cells = Cells::fit(points, 512);
            assert!(cells.pixels() <= 512 && cells.pixels() > 256, "{cells:?}");
            assert_eq!(cells.pixels() % cells.count, 0);
            let last = cells.index(cells.pixels() - 1);
            assert!(last < points && last + cells.stride >= points, "{cells:?}");
        }
        assert_eq!(Cells::fit(1024, 512).stride, 2);
    }

    #[test]
    fn scales_survive_constant_and_missing_fields() {
        let constant = ColourScale::sequential([2.0, 2.0]);
        assert_eq!(constant.colour(2.0), sequential(0.5));
        assert_eq!(constant.colour(f64::NAN), MISSING);
        let zero = ColourScale::diverging([0.0, f64::NAN]);
        assert_eq!(zero.colour(0.0), diverging(0.5));
        let empty = ColourScale::sequential([]);
        assert!(empty.bar_width() > 0.0);
    }

    #[test]
    fn uniform_grids_are_told_from_others() {
        assert!(is_uniform(&[0.0, 0.1, 0.2, 0.3]));
        assert!(!is_uniform(&[0.0, 0.1, 0.4]));
        assert!(is_uniform(&[3.0]));
    }
}
