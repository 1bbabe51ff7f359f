//! The common shape of the line figures: a title, a legend, and panels one above the other with one horizontal axis.

use super::canvas::{Anchor, Area, Canvas, LARGE, NORMAL, SMALL};
use super::colour::MUTED;
use super::lettering::{shortened, text_width};
use super::panel::{Legend, LegendEntry, Panel};
use super::ticks::Axis;

/// Width of a line figure.
const WIDTH: f64 = 700.0;
/// Space between the frame and the right edge.
const RIGHT: f64 = 22.0;

/// A panel to be placed: its vertical axis and its height.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) y: Axis,
    pub(super) height: f64,
}

/// Title, second line and legend of a stack of panels.
#[derive(Debug, Clone, Default)]
pub(super) struct Heading {
    pub(super) title: String,
    /// Smaller text under the title, may be empty.
    pub(super) subtitle: String,
    pub(super) legend: Vec<LegendEntry>,
}

/// Panels placed on a canvas, ready for their data.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) canvas: Canvas,
    pub(super) panels: Vec<Panel>,
    left_label: f64,
}

impl Stack {
    /// Lays out the figure and draws everything under the data: title, legend, grids.
    pub(super) fn new(heading: Heading, x: &Axis, rows: Vec<Row>) -> Self {
        let left = rows.iter().map(|row| Panel::left_margin(&row.y)).fold(40.0, f64::max) + 6.0;
        let last_label = x.ticks.major.last().map_or(0.0, |(_, label)| 0.5 * text_width(label, SMALL));
        let width = WIDTH - left - RIGHT.max(last_label);
        let legend = Legend::fit(heading.legend, width);

        let mut top = 10.0;
        let title_line = top + 18.0;
        if !heading.title.is_empty() {
            top += 26.0;
        }
        let subtitle_line = top + 14.0;
        if !heading.subtitle.is_empty() {
            top += 20.0;
        }
        let legend_top = top + 2.0;
        top += legend.height() + 8.0;

        let count = rows.len();
        let mut panels = Vec::with_capacity(count);
        for (i, row) in rows.into_iter().enumerate() {
            // A common power of ten stands above its axis.
            if row.y.factor_text().is_some() {
                top += 12.0;
            }
            let area = Area { left: left.round(), top: top.round(), width: width.round(), height: row.height };
            top = area.bottom() + 18.0;
            panels.push(Panel { area, x: x.clone(), y: row.y, label_x: i + 1 == count });
        }
        let height = top - 18.0 + Panel::bottom_margin(x) + 4.0;

        let mut canvas = Canvas::new(WIDTH, height);
        let room = WIDTH - left - 10.0;
        if !heading.title.is_empty() {
            let title = shortened(&heading.title, LARGE + 1, room);
            canvas.bold_text(left, title_line, &title, LARGE, Anchor::Start);
        }
        if !heading.subtitle.is_empty() {
            let text = shortened(&heading.subtitle, NORMAL, room);
            canvas.coloured_text(left, subtitle_line, &text, NORMAL, Anchor::Start, MUTED);
        }
        legend.draw(&mut canvas, left, legend_top);
        for panel in &panels {
            panel.draw_grid(&mut canvas);
        }
        Self { canvas, panels, left_label: left - 18.0 }
    }

    /// Draws frames, ticks and labels over the data.
    pub(super) fn finish(mut self) -> super::picture::Picture {
        for panel in &self.panels {
            panel.draw_axes(&mut self.canvas, self.left_label);
        }
        self.canvas.finish()
    }
}
