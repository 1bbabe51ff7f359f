//! The block structure of an HSS matrix, coloured by rank.
//!
//! Blocks on the diagonal are dense leaves; the two blocks that couple the children of a node are stored as U S V^T, with
//! U as a tall strip at the left edge and V^T as a wide strip at the upper edge, both as thick as the rank.

use std::path::{Path, PathBuf};

use super::canvas::{Anchor, Area, Canvas, LARGE, NORMAL, SMALL, Stroke};
use super::colour::{MUTED, Rgb, sequential};
use super::error::ReportError;
use super::lettering::text_width;
use super::number::format_count;
use super::picture::Picture;

/// Side of the matrix on the drawing.
const SIDE: f64 = 512.0;
const EDGE: f64 = 18.0;

/// Rows of node `index` of `count` nodes that share `n` rows as evenly as possible: first row and number of rows.
fn rows(n: usize, count: usize, index: usize) -> (usize, usize) {
    let start = |i: usize| (i as u128 * n as u128 / count as u128) as usize;
    (start(index), start(index + 1) - start(index))
}

/// Mixes `share` of `colour` into white.
fn tint(colour: Rgb, share: f64) -> Rgb {
    let mix = |c: u8| (255.0 - share * (255.0 - f64::from(c))).round() as u8;
    (mix(colour.0), mix(colour.1), mix(colour.2))
}

/// Draws the structure of an `n` by `n` HSS matrix with `2^levels` leaves and the given rank.
///
/// Levels beyond 7, or beyond one row a leaf, are drawn as 7 or as many as there are rows: finer blocks cannot be seen.
#[must_use]
pub fn hss_structure(n: usize, levels: usize, rank: usize) -> Picture {
    let n = n.max(1);
    let deepest = n.ilog2().min(7) as usize;
    let drawn = levels.min(deepest);
    let legend_width = 214.0;
    let mut canvas = Canvas::new(SIDE + 2.0 * EDGE + legend_width, SIDE + 2.0 * EDGE);
    if drawn < levels {
        canvas.note(format!("{drawn} of {levels} levels are drawn."));
    }
    let scale = SIDE / n as f64;
    let block = |r: (usize, usize), c: (usize, usize)| Area {
        left: EDGE + c.0 as f64 * scale,
        top: EDGE + r.0 as f64 * scale,
        width: c.1 as f64 * scale,
        height: r.1 as f64 * scale,
    };
    let colours = level_colours(drawn);

    for (level, &colour) in colours.iter().enumerate().skip(1) {
        let count = 1 << level;
        for index in 0..count {
            let mine = rows(n, count, index);
            let sibling = rows(n, count, index ^ 1);
            draw_coupling(&mut canvas, block(mine, sibling), rank, mine.1.min(sibling.1), colour);
        }
    }
    let leaves = 1 << drawn;
    for index in 0..leaves {
        let r = rows(n, leaves, index);
        canvas.rectangle(block(r, r), LEAF);
    }
    for level in 1..=drawn {
        let count = 1 << level;
        for index in 0..count {
            let mine = rows(n, count, index);
            let area = block(mine, rows(n, count, index ^ 1));
            canvas.frame(area, Stroke::solid((255, 255, 255), gap(drawn)));
        }
    }
    for index in 0..leaves {
        let r = rows(n, leaves, index);
        canvas.frame(block(r, r), Stroke::solid((255, 255, 255), gap(drawn)));
    }
    draw_key(&mut canvas, n, drawn, rank, &colours);
    canvas.finish()
}

/// Colour of dense leaves.
const LEAF: Rgb = (37, 30, 74);

/// Colours of the levels, coarse ones lighter; index 0 is unused.
fn level_colours(levels: usize) -> Vec<Rgb> {
    (0..=levels)
        .map(|level| {
            let t = if levels > 1 { (level.max(1) - 1) as f64 / (levels - 1) as f64 } else { 0.5 };
            sequential(0.62 - 0.40 * t)
        })
        .collect()
}

fn gap(levels: usize) -> f64 {
    if levels <= 4 { 2.0 } else { 1.0 }
}

/// A coupling block of `size` rows or columns: a light ground, the two strips of its factors, and its rank.
fn draw_coupling(canvas: &mut Canvas, area: Area, rank: usize, size: usize, colour: Rgb) {
    canvas.rectangle(area, tint(colour, 0.28));
    let effective = rank.min(size);
    if effective == 0 {
        return;
    }
    let share = effective as f64 / size as f64;
    let strip = (share * area.width).clamp(1.5, 0.5 * area.width);
    let left = Area { width: strip, ..area };
    let upper = Area { height: strip.min(0.5 * area.height), ..area };
    canvas.rectangle(left, tint(colour, 0.85));
    canvas.rectangle(upper, tint(colour, 0.85));
    let text_size = (area.width * 0.24).clamp(0.0, 28.0) as u32;
    let label = effective.to_string();
    let room = area.width - strip - 4.0;
    if text_size >= 7 && text_width(&label, text_size) < room {
        canvas.text(
            area.left + strip + 0.5 * (area.width - strip),
            area.top + strip + 0.5 * (area.height - strip) + 0.36 * f64::from(text_size),
            &label,
            text_size,
            Anchor::Middle,
        );
    }
}

/// What the colours mean, and how many numbers are stored.
fn draw_key(canvas: &mut Canvas, n: usize, levels: usize, rank: usize, colours: &[Rgb]) {
    let left = EDGE + SIDE + 26.0;
    let mut top = EDGE + 14.0;
    canvas.bold_text(left, top, "HSS matrix", LARGE, Anchor::Start);
    top += 20.0;
    let size = format!("{} × {}", format_count(n as u64), format_count(n as u64));
    canvas.coloured_text(left, top, &size, NORMAL, Anchor::Start, MUTED);
    top += 22.0;
    let mut entry = |canvas: &mut Canvas, colour: Rgb, ground: Option<Rgb>, text: &str| {
        let area = Area { left, top, width: 20.0, height: 20.0 };
        canvas.rectangle(area, ground.unwrap_or(colour));
        if ground.is_some() {
            canvas.rectangle(Area { width: 5.0, ..area }, colour);
            canvas.rectangle(Area { height: 5.0, ..area }, colour);
        }
        canvas.text(left + 29.0, top + 14.5, text, SMALL, Anchor::Start);
        top += 29.0;
    };
    for (level, colour) in colours.iter().enumerate().skip(1) {
        let size = n.div_ceil(1 << level);
        let text = format!("level {level}: {size} × {size}, rank {}", rank.min(size));
        entry(canvas, tint(*colour, 0.85), Some(tint(*colour, 0.28)), &text);
    }
    let leaf = n.div_ceil(1 << levels);
    let text = format!("leaves: {leaf} × {leaf}, dense");
    entry(canvas, LEAF, None, &text);

    let stored = stored_numbers(n, levels, rank);
    let dense = (n as f64) * (n as f64);
    let lines = [
        format!("{} numbers stored", format_count(stored)),
        format!("{:.1} % of the dense matrix", 100.0 * stored as f64 / dense),
    ];
    top += 6.0;
    for line in lines {
        canvas.coloured_text(left, top + 12.0, &line, SMALL, Anchor::Start, MUTED);
        top += 18.0;
    }
}

/// Numbers in the telescopic form: D, U and V of every leaf, D, U, V of every inner node, D of the root.
fn stored_numbers(n: usize, levels: usize, rank: usize) -> u64 {
    let (size, r) = (n as u64, rank as u64);
    if levels == 0 {
        return size.saturating_mul(size);
    }
    let leaves = 1_usize << levels;
    let at_leaves = (0..leaves)
        .map(|i| rows(n, leaves, i).1 as u64)
        .map(|m| m.saturating_mul(m.saturating_add(r.saturating_mul(2))));
    let square = r.saturating_mul(r);
    let inner = (1..levels).map(|l| square.saturating_mul(8 << l));
    at_leaves.chain(inner).chain([square.saturating_mul(4)]).fold(0, u64::saturating_add)
}

/// Draws [`hss_structure`] and writes it to `path` as PNG and SVG; returns the two files.
///
/// # Errors
/// As [`Picture::write`].
pub fn hss_structure_plot(n: usize, levels: usize, rank: usize, path: &Path) -> Result<Vec<PathBuf>, ReportError> {
    hss_structure(n, levels, rank).write(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_cover_all_rows_and_differ_by_at_most_one() {
        for n in [1, 7, 100, 1023] {
            for count in [1, 2, 8] {
                let parts: Vec<_> = (0..count).map(|i| rows(n, count, i)).collect();
                assert_eq!(parts.iter().map(|p| p.1).sum::<usize>(), n);
                let sizes = parts.iter().map(|p| p.1);
                let (low, high) = (sizes.clone().min(), sizes.max());
                assert!(high.zip(low).is_some_and(|(h, l)| h - l <= 1));
            }
        }
    }

    #[test]
    fn stored_numbers_agree_with_the_formula_of_the_layer() {
        // 2^L (m^2 + 2 m r) + sum_{l=1}^{L-1} 2^l 8 r^2 + 4 r^2
        assert_eq!(stored_numbers(256, 3, 2), 8 * (1024 + 128) + 6 * 32 + 16);
        assert_eq!(stored_numbers(256, 3, 2), 9424);
        assert_eq!(stored_numbers(40, 0, 5), 1600);
    }

    #[test]
    fn odd_requests_are_drawn() {
        for (n, levels, rank) in
            [(0, 0, 0), (1, 3, 1), (5, 9, 100), (1000, 20, 4), (64, 0, 2), (usize::MAX, 3, usize::MAX)]
        {
            let picture = hss_structure(n, levels, rank);
            assert!(picture.svg().is_some_and(|svg| svg.starts_with("<svg")));
        }
    }
}
