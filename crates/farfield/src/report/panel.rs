//! A panel: a framed rectangle with two axes, and the curves, bands and markers drawn in it; and the legend above it.
//!
//! Legends are rows of entries above the panel, never inside it, so they cannot cover data.

use super::canvas::{Anchor, Area, Canvas, Dash, Marker, NORMAL, SMALL, Stroke};
use super::colour::{AXIS, GRID, INK, MUTED, Rgb};
use super::lettering::{shortened, text_width};
use super::ticks::{Axis, Scale};

/// Length of a labelled tick; unlabelled ones are half as long.
const TICK: f64 = 5.0;
/// Height of one row of a legend.
pub(super) const LEGEND_ROW: f64 = 20.0;
/// Length of the line sample in a legend.
const SAMPLE: f64 = 26.0;

/// A framed rectangle with axes.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    pub(super) area: Area,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Whether the horizontal axis carries its labels; not where another panel below shares it.
    pub(super) label_x: bool,
}

impl Panel {
    /// Space that tick labels and the label of a vertical axis need to the left of the frame.
    pub(super) fn left_margin(y: &Axis) -> f64 {
        let widest = y.ticks.major.iter().map(|(_, label)| text_width(label, SMALL)).fold(0.0, f64::max);
        let label = if y.label.is_empty() { 0.0 } else { 24.0 };
        widest + TICK + 6.0 + label
    }

    /// Space that tick labels and the label of a horizontal axis need below the frame.
    pub(super) fn bottom_margin(x: &Axis) -> f64 {
        TICK + 18.0 + if x.label.is_empty() { 4.0 } else { 22.0 }
    }

    fn x_of(&self, value: f64) -> Option<f64> {
        Some(self.area.left + self.x.place(value)? * self.area.width)
    }

    fn y_of(&self, value: f64) -> Option<f64> {
        Some(self.area.bottom() - self.y.place(value)? * self.area.height)
    }

    /// Place of a data point on the drawing; none where an axis cannot show it.
    pub(super) fn point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        Some((self.x_of(x)?, self.y_of(y)?))
    }

    /// Grid lines; drawn before the data.
    pub(super) fn draw_grid(&self, canvas: &mut Canvas) {
        let pen = Stroke::solid(GRID, 1.0);
        for (value, _) in &self.x.ticks.major {
            if let Some(x) = self.x_of(*value) {
                canvas.line(x, self.area.top, x, self.area.bottom(), pen);
            }
        }
        for (value, _) in &self.y.ticks.major {
            if let Some(y) = self.y_of(*value) {
                canvas.line(self.area.left, y, self.area.right(), y, pen);
            }
        }
    }

    /// Frame, ticks and labels; drawn after the data. `left_label` is the distance of the vertical label from the frame.
    pub(super) fn draw_axes(&self, canvas: &mut Canvas, left_label: f64) {
        let pen = Stroke::solid(AXIS, 1.0);
        canvas.frame(self.area, pen);
        self.draw_x_axis(canvas, pen);
        self.draw_y_axis(canvas, pen, left_label);
    }

    fn draw_x_axis(&self, canvas: &mut Canvas, pen: Stroke) {
        let bottom = self.area.bottom();
        for value in &self.x.ticks.minor {
            if let Some(x) = self.x_of(*value) {
                canvas.line(x, bottom, x, bottom + 0.5 * TICK, pen);
            }
        }
        for (value, label) in &self.x.ticks.major {
            let Some(x) = self.x_of(*value) else { continue };
            canvas.line(x, bottom, x, bottom + TICK, pen);
            if self.label_x {
                canvas.text(x, bottom + TICK + 14.0, label, SMALL, Anchor::Middle);
            }
        }
        if !self.label_x {
            return;
        }
        let mut label = self.x.label.clone();
        if let Some(factor) = self.x.factor_text() {
            label = if label.is_empty() { factor } else { format!("{label}  ({factor})") };
        }
        canvas.text(
            self.area.left + 0.5 * self.area.width,
            bottom + TICK + 34.0,
            &shortened(&label, NORMAL, self.area.width),
            NORMAL,
            Anchor::Middle,
        );
    }

    fn draw_y_axis(&self, canvas: &mut Canvas, pen: Stroke, left_label: f64) {
        let left = self.area.left;
        for value in &self.y.ticks.minor {
            if let Some(y) = self.y_of(*value) {
                canvas.line(left - 0.5 * TICK, y, left, y, pen);
            }
        }
        for (value, label) in &self.y.ticks.major {
            let Some(y) = self.y_of(*value) else { continue };
            canvas.line(left - TICK, y, left, y, pen);
            canvas.text(left - TICK - 4.0, y + 4.2, label, SMALL, Anchor::End);
        }
        if let Some(factor) = self.y.factor_text() {
            canvas.text(left, self.area.top - 5.0, &factor, SMALL, Anchor::Start);
        }
        if !self.y.label.is_empty() {
            canvas.upward_text(
                left - left_label,
                self.area.top + 0.5 * self.area.height,
                &shortened(&self.y.label, NORMAL, self.area.height + 20.0),
                NORMAL,
            );
        }
    }

    /// A curve through the drawable points, broken at the others. Returns how many points could not be drawn.
    pub(super) fn curve(
        &self,
        canvas: &mut Canvas,
        points: impl IntoIterator<Item = (f64, f64)>,
        stroke: Stroke,
    ) -> usize {
        let mut skipped = 0;
        let mut run: Vec<(f64, f64)> = Vec::new();
        let mut runs = Vec::new();
        for (x, y) in points {
            match self.point(x, y) {
                Some(p) => run.push(p),
                None => {
                    skipped += 1;
                    runs.push(std::mem::take(&mut run));
                }
            }
        }
        runs.push(run);
        canvas.clipped(self.area, |canvas| {
            for run in runs {
                match run.as_slice() {
                    [] => {}
                    [(x, y)] => {
                        canvas.marker(Marker::Circle, *x, *y, 1.2 * stroke.width, stroke.colour);
                    }
                    _ => canvas.polyline(&envelope(&run, self.area), stroke),
                }
            }
        });
        skipped
    }

    /// The area between two curves over the same abscissae; points that cannot be drawn are left out.
    pub(super) fn band(&self, canvas: &mut Canvas, points: &[(f64, f64, f64)], colour: Rgb) {
        let mut outline = Vec::new();
        let mut back = Vec::new();
        for &(x, low, high) in points {
            if let (Some(l), Some(h)) = (self.point(x, low), self.point(x, high)) {
                outline.push(l);
                back.push(h);
            }
        }
        outline.extend(back.into_iter().rev());
        canvas.clipped(self.area, |canvas| canvas.fill(&outline, colour, 0.18));
    }

    /// A horizontal line over the whole width.
    pub(super) fn level(&self, canvas: &mut Canvas, value: f64, stroke: Stroke) {
        if let Some(y) = self.y_of(value)
            && (self.area.top..=self.area.bottom()).contains(&y)
        {
            canvas.line(self.area.left, y, self.area.right(), y, stroke);
        }
    }

    /// One line of text in the middle of an empty panel.
    pub(super) fn remark(&self, canvas: &mut Canvas, text: &str) {
        canvas.coloured_text(
            self.area.left + 0.5 * self.area.width,
            self.area.top + 0.5 * self.area.height,
            &shortened(text, NORMAL, self.area.width - 16.0),
            NORMAL,
            Anchor::Middle,
            MUTED,
        );
    }
}

/// For more points than the panel can show, the first, lowest, highest and last of each half-unit column.
fn envelope(points: &[(f64, f64)], area: Area) -> Vec<(f64, f64)> {
    if points.len() as f64 <= 4.0 * area.width {
        return points.to_vec();
    }
    let column = |p: &(f64, f64)| (2.0 * (p.0 - area.left)).floor();
    points
        .chunk_by(|a, b| column(a) == column(b))
        .flat_map(|chunk| {
            let mut low = 0;
            let mut high = 0;
            for (i, p) in chunk.iter().enumerate() {
                if p.1 < chunk[low].1 {
                    low = i;
                }
                if p.1 > chunk[high].1 {
                    high = i;
                }
            }
            let mut kept = [0, low, high, chunk.len() - 1];
            kept.sort_unstable();
            kept.map(|i| chunk[i])
        })
        .collect()
}

/// One entry of a legend.
#[derive(Debug, Clone)]
pub(super) struct LegendEntry {
    pub(super) label: String,
    pub(super) stroke: Stroke,
    pub(super) marker: Option<Marker>,
}

impl LegendEntry {
    pub(super) fn line(label: impl Into<String>, stroke: Stroke) -> Self {
        Self { label: label.into(), stroke, marker: None }
    }

    fn width(&self) -> f64 {
        SAMPLE + 7.0 + text_width(&self.label, SMALL) + 20.0
    }
}

/// Entries set in rows from left to right.
#[derive(Debug, Clone, Default)]
pub(super) struct Legend {
    rows: Vec<Vec<LegendEntry>>,
}

impl Legend {
    /// Breaks the entries into rows no wider than `width`.
    pub(super) fn fit(entries: Vec<LegendEntry>, width: f64) -> Self {
        let mut rows: Vec<Vec<LegendEntry>> = Vec::new();
        let mut used = f64::INFINITY;
        for mut entry in entries {
            entry.label = shortened(&entry.label, SMALL, width - SAMPLE - 30.0);
            let needed = entry.width();
            // The gap after the last entry of a row may stick out.
            if used + needed - 20.0 > width {
                rows.push(Vec::new());
                used = 0.0;
            }
            used += needed;
            if let Some(row) = rows.last_mut() {
                row.push(entry);
            }
        }
        Self { rows }
    }

    pub(super) fn height(&self) -> f64 {
        self.rows.len() as f64 * LEGEND_ROW
    }

    /// Draws the rows downwards from `top`.
    pub(super) fn draw(&self, canvas: &mut Canvas, left: f64, top: f64) {
        for (i, row) in self.rows.iter().enumerate() {
            let middle = top + (i as f64 + 0.5) * LEGEND_ROW;
            let mut x = left;
            for entry in row {
                let mut stroke = entry.stroke;
                if let Dash::Pattern(on, off) = stroke.dash {
                    // Whole dashes in the sample.
                    let scale = (SAMPLE / (3.0 * on + 2.0 * off)).min(1.0);
                    stroke.dash = Dash::Pattern(on * scale, off * scale);
                }
                canvas.line(x, middle, x + SAMPLE, middle, stroke);
                if let Some(shape) = entry.marker {
                    canvas.marker(shape, x + 0.5 * SAMPLE, middle, 3.8, entry.stroke.colour);
                }
                canvas.coloured_text(x + SAMPLE + 7.0, middle + 4.2, &entry.label, SMALL, Anchor::Start, INK);
                x += entry.width();
            }
        }
    }
}

/// The sentence about points that could not be drawn; none for zero.
pub(super) fn skipped_note(what: &str, skipped: usize, scale: Scale) -> Option<String> {
    if skipped == 0 {
        return None;
    }
    let reason = match scale {
        Scale::Linear => "not finite",
        Scale::Log => "not finite or not positive (the axis is logarithmic)",
    };
    let (noun, verb) = if skipped == 1 { ("value", "is") } else { ("values", "are") };
    Some(format!("{what}: {skipped} {noun} left out, {verb} {reason}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel() -> Panel {
        Panel {
            area: Area { left: 50.0, top: 10.0, width: 100.0, height: 80.0 },
            x: Axis::over(Scale::Linear, 0.0, 1.0, "x"),
            y: Axis::over(Scale::Log, 1e-3, 1.0, "y"),
            label_x: true,
        }
    }

    #[test]
    fn points_are_placed_inside_the_frame() {
        let p = panel();
        assert_eq!(p.point(0.0, 1.0), Some((50.0, 10.0)));
        let (x, y) = p.point(1.0, 1e-3).expect("drawable");
        assert!((x - 150.0).abs() < 1e-9 && (y - 90.0).abs() < 1e-9);
        assert_eq!(p.point(0.5, 0.0), None);
        assert_eq!(p.point(f64::NAN, 0.5), None);
    }

    #[test]
    fn undrawable_points_are_counted() {
        let mut canvas = Canvas::new(200.0, 100.0);
        let values = [(0.0, 0.1), (0.2, f64::NAN), (0.4, 0.0), (0.6, 0.5)];
        let skipped = panel().curve(&mut canvas, values, Stroke::solid(INK, 1.0));
        assert_eq!(skipped, 2);
    }

    #[test]
    fn envelopes_keep_the_extremes() {
        let area = panel().area;
        let mut points: Vec<(f64, f64)> =
            (0..100_000).map(|i| (50.0 + f64::from(i) * 1e-3, 40.0 + f64::from(i % 7))).collect();
        points[12_345].1 = 5.0;
        let kept = envelope(&points, area);
        assert!(kept.len() < 1000, "{}", kept.len());
        assert!(kept.iter().any(|p| p.1 == 5.0));
    }

    #[test]
    fn a_legend_breaks_into_rows() {
        let entries = (0..9).map(|i| LegendEntry::line(format!("layer {i}"), Stroke::solid(INK, 1.0))).collect();
        let legend = Legend::fit(entries, 300.0);
        assert!(legend.rows.len() > 1);
        assert_eq!(legend.rows.iter().map(Vec::len).sum::<usize>(), 9);
    }
}
