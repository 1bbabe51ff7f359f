//! Samples in two dimensions as four images, in three dimensions as slices through the middle.

use super::canvas::{Anchor, Area, Canvas, LARGE, NORMAL};
use super::colour::MUTED;
use super::field::{FieldSample, note_missing};
use super::heat_map::{Cells, ColourScale, HeatMap, cell_axis, is_uniform};
use super::lettering::shortened;
use super::number::{fixed, format_number};
use super::panel::Panel;
use super::picture::Picture;
use super::ticks::{Axis, is_degenerate};

/// Longest side of an image in 2D, in pixels.
const IMAGE: f64 = 512.0;
/// Longest side of a slice in 3D, in pixels.
const SLICE: f64 = 384.0;
/// Shortest side of an image, in pixels.
const SHORTEST: f64 = 96.0;
/// Space for the title over an image.
const TITLE: f64 = 30.0;
/// Height of the heading of the picture.
const HEADING: f64 = 54.0;
const EDGE: f64 = 14.0;

/// Cells of an image whose longer side has `side` pixels and whose sides are as the lengths of the axes.
fn shape(axes: &(Axis, Axis), points: (usize, usize), side: f64) -> (Cells, Cells) {
    let (lx, ly) = (axes.0.high - axes.0.low, axes.1.high - axes.1.low);
    let ratio = if (lx / ly).is_finite() { lx / ly } else { 1.0 };
    let pixels = |share: f64| (side * share.min(1.0)).max(SHORTEST) as usize;
    (Cells::fit(points.0, pixels(ratio)), Cells::fit(points.1, pixels(1.0 / ratio)))
}

fn draw_heading(canvas: &mut Canvas, sample: &FieldSample, left: f64, width: f64) {
    let title = shortened(&sample.title, LARGE + 1, width - left - EDGE);
    canvas.bold_text(left, 26.0, &title, LARGE, Anchor::Start);
    let line = sample.error_line();
    canvas.coloured_text(left, 47.0, &line, NORMAL, Anchor::Start, MUTED);
}

fn note_grid(canvas: &mut Canvas, sample: &FieldSample, cells: &[Cells]) {
    if let Some(stride) = cells.iter().map(|c| c.stride).max().filter(|&s| s > 1) {
        canvas.note(format!("One grid point in {stride} is drawn along each direction."));
    }
    if sample.coordinates.iter().any(|x| !is_uniform(x)) {
        canvas.note("The grid is not uniform; every point is drawn equally large.");
    }
}

fn note_constant(canvas: &mut Canvas, name: &str, values: &[f64]) {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low <= high && is_degenerate(low, high) {
        canvas.note(format!("{name}: constant, {}.", format_number(low)));
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().filter(|v| v.is_finite()).fold(0.0, |m, v| m.max(v.abs()))
}

/// Draws a sample that has been checked and has two dimensions: truth and prediction, below them input and error.
pub(super) fn draw_2d(sample: &FieldSample) -> Picture {
    let (nx, ny) = (sample.grid[0], sample.grid[1]);
    let axes = (cell_axis(&sample.coordinates[0], "x"), cell_axis(&sample.coordinates[1], "y"));
    let cells = shape(&axes, (nx, ny), IMAGE);
    let error = sample.error();
    let output = ColourScale::sequential(sample.truth.iter().chain(&sample.prediction).copied());
    let input = ColourScale::sequential(sample.input.iter().copied());
    let difference = ColourScale::diverging(error.iter().copied());
    let error_title = format!("prediction − truth (max {})", format_number(largest(&error)));
    let mut maps = vec![
        ("truth", &sample.truth, &output),
        ("prediction", &sample.prediction, &output),
        (error_title.as_str(), &error, &difference),
    ];
    if !sample.input.is_empty() {
        maps.insert(2, ("input", &sample.input, &input));
    }

    let (width, height) = (cells.0.length(), cells.1.length());
    let left = Panel::left_margin(&axes.1).round() + EDGE;
    let bar = maps.iter().map(|(_, _, scale)| scale.bar_width()).fold(0.0, f64::max).ceil();
    let column = width + bar + 26.0;
    let row = height + TITLE + 22.0;
    let total_width = left + 2.0 * column - 26.0 + EDGE;
    let total_height = HEADING + 2.0 * row - 22.0 + Panel::bottom_margin(&axes.0) + 6.0;

    let mut canvas = Canvas::new(total_width, total_height);
    draw_heading(&mut canvas, sample, left, total_width);
    for (k, (title, values, scale)) in maps.iter().enumerate() {
        let (across, down) = (k % 2, k / 2);
        let map = HeatMap {
            title,
            axes: axes.clone(),
            cells,
            scale,
            labelled: (down == 1 || k + 2 >= maps.len(), across == 0),
        };
        let area = map.draw(
            &mut canvas,
            left + across as f64 * column,
            (HEADING + TITLE + down as f64 * row).round(),
            |i, j| values[i * ny + j],
        );
        scale.draw_bar(&mut canvas, area);
    }
    note_grid(&mut canvas, sample, &[cells.0, cells.1]);
    note_values(&mut canvas, sample);
    canvas.finish()
}

fn note_values(canvas: &mut Canvas, sample: &FieldSample) {
    let fields = [("input", &sample.input), ("truth", &sample.truth), ("prediction", &sample.prediction)];
    for (name, values) in fields {
        note_missing(canvas, name, values);
        note_constant(canvas, name, values);
    }
}

/// A plane through the middle of a box.
struct Slice {
    /// Direction normal to the plane.
    normal: usize,
    /// Directions to the right and upwards.
    plane: (usize, usize),
}

const SLICES: [Slice; 3] =
    [Slice { normal: 2, plane: (0, 1) }, Slice { normal: 1, plane: (0, 2) }, Slice { normal: 0, plane: (1, 2) }];

const NAMES: [&str; 3] = ["x", "y", "z"];

/// Draws a sample that has been checked and has three dimensions: truth, prediction and error on three slices.
pub(super) fn draw_3d(sample: &FieldSample) -> Picture {
    let grid = [sample.grid[0], sample.grid[1], sample.grid[2]];
    let at = |slice: &Slice, i: usize, j: usize| {
        let mut index = [0; 3];
        index[slice.normal] = grid[slice.normal] / 2;
        index[slice.plane.0] = i;
        index[slice.plane.1] = j;
        (index[0] * grid[1] + index[1]) * grid[2] + index[2]
    };
    let on_slices = |values: &[f64]| -> Vec<f64> {
        SLICES
            .iter()
            .flat_map(|s| {
                let (ni, nj) = (grid[s.plane.0], grid[s.plane.1]);
                (0..ni).flat_map(move |i| (0..nj).map(move |j| (i, j))).map(move |(i, j)| at(s, i, j))
            })
            .map(|place| values[place])
            .collect()
    };
    let error = sample.error();
    let truth_on_slices = on_slices(&sample.truth);
    let output = ColourScale::sequential(truth_on_slices.iter().copied().chain(on_slices(&sample.prediction)));
    let difference = ColourScale::diverging(on_slices(&error));

    let axis = |d: usize| cell_axis(&sample.coordinates[d], NAMES[d]);
    let rows: Vec<((Axis, Axis), (Cells, Cells))> = SLICES
        .iter()
        .map(|s| {
            let axes = (axis(s.plane.0), axis(s.plane.1));
            let cells = shape(&axes, (grid[s.plane.0], grid[s.plane.1]), SLICE);
            (axes, cells)
        })
        .collect();
    let width = rows.iter().map(|(_, c)| c.0.length()).fold(0.0, f64::max);
    let left = rows.iter().map(|(axes, _)| Panel::left_margin(&axes.1)).fold(0.0, f64::max).round() + EDGE;
    let columns = [left, left + width + 20.0, left + 2.0 * width + 20.0 + output.bar_width().ceil() + 18.0];
    let total_width = columns[2] + width + difference.bar_width().ceil() + EDGE;
    let total_height =
        HEADING + rows.iter().map(|(axes, c)| TITLE + c.1.length() + Panel::bottom_margin(&axes.0)).sum::<f64>() + 6.0;

    let mut canvas = Canvas::new(total_width, total_height);
    draw_heading(&mut canvas, sample, left, total_width);
    let mut top = HEADING;
    let mut drawn: Vec<Area> = Vec::new();
    for (slice, (axes, cells)) in SLICES.iter().zip(&rows) {
        top = (top + TITLE).round();
        let middle = grid[slice.normal] / 2;
        let place = format!("{} = {}", NAMES[slice.normal], fixed(sample.coordinates[slice.normal][middle], 2));
        let fields = [
            ("truth", &sample.truth, &output),
            ("prediction", &sample.prediction, &output),
            ("error", &error, &difference),
        ];
        for (k, (name, values, scale)) in fields.into_iter().enumerate() {
            let map = HeatMap {
                title: &format!("{name}, {place}"),
                axes: axes.clone(),
                cells: *cells,
                scale,
                labelled: (true, k == 0),
            };
            drawn.push(map.draw(&mut canvas, columns[k], top, |i, j| values[at(slice, i, j)]));
        }
        top += cells.1.length() + Panel::bottom_margin(&axes.0);
    }
    // One bar beside all slices of a kind.
    if let (Some(first), Some(last)) = (drawn.first(), drawn.last()) {
        for (k, scale) in [(1, &output), (2, &difference)] {
            let area = Area { left: columns[k], top: first.top, width, height: last.bottom() - first.top };
            scale.draw_bar(&mut canvas, area);
        }
    }
    let cells: Vec<Cells> = rows.iter().flat_map(|(_, c)| [c.0, c.1]).collect();
    note_grid(&mut canvas, sample, &cells);
    note_values(&mut canvas, sample);
    canvas.finish()
}
