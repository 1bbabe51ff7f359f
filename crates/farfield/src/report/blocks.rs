//! The blocks of a hierarchical matrix: dense leaves dark, low-rank leaves coloured by their rank.

use std::ops::Range;

use super::canvas::{Anchor, Area, Canvas, LARGE, NORMAL, SMALL, Stroke};
use super::colour::{MUTED, Rgb, sequential};
use super::lettering::text_width;
use super::number::format_count;
use super::picture::Picture;

/// Side of the longer side of the matrix on the drawing.
const SIDE: f64 = 620.0;
const EDGE: f64 = 18.0;
/// Colour of dense blocks.
const DENSE: Rgb = (37, 30, 74);
const WHITE: Rgb = (255, 255, 255);

/// One leaf of a hierarchical matrix, in tree order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnBlock {
    /// Its rows.
    pub rows: Range<usize>,
    /// Its columns.
    pub cols: Range<usize>,
    /// Its rank; `None` for a dense block.
    pub rank: Option<usize>,
}

/// A hierarchical matrix to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockStructure {
    /// What it is, for the key.
    pub title: String,
    /// Number of rows.
    pub nrows: usize,
    /// Number of columns.
    pub ncols: usize,
    /// Its leaves.
    pub blocks: Vec<DrawnBlock>,
    /// Further lines of the key.
    pub lines: Vec<String>,
}

impl BlockStructure {
    /// The drawing. Blocks of less than a third of a point are left out and counted in a note.
    #[must_use]
    pub fn draw(&self) -> Picture {
        let (nrows, ncols) = (self.nrows.max(1), self.ncols.max(1));
        let scale = SIDE / nrows.max(ncols) as f64;
        let mut canvas =
            Canvas::new(ncols as f64 * scale + 2.0 * EDGE + 220.0, (nrows as f64 * scale).max(300.0) + 2.0 * EDGE);
        let largest = self.blocks.iter().filter_map(|b| b.rank).max().unwrap_or(0);
        let whole = Area { left: EDGE, top: EDGE, width: ncols as f64 * scale, height: nrows as f64 * scale };
        canvas.rectangle(whole, (240, 240, 240));
        let mut left_out = 0usize;
        for block in &self.blocks {
            let area = Area {
                left: EDGE + block.cols.start as f64 * scale,
                top: EDGE + block.rows.start as f64 * scale,
                width: block.cols.len() as f64 * scale,
                height: block.rows.len() as f64 * scale,
            };
            if area.width.min(area.height) < 1.0 / 3.0 {
                left_out += 1;
                continue;
            }
            canvas.rectangle(area, block.rank.map_or(DENSE, |rank| rank_colour(rank, largest)));
            if area.width.min(area.height) > 4.0 {
                canvas.frame(area, Stroke::solid(WHITE, 0.6));
            }
            if let Some(rank) = block.rank {
                label(&mut canvas, area, rank);
            }
        }
        if left_out > 0 {
            canvas.note(format!("{left_out} blocks too small to be seen are not drawn."));
        }
        self.key(&mut canvas, whole.right() + 26.0, largest);
        canvas.finish()
    }

    fn key(&self, canvas: &mut Canvas, left: f64, largest: usize) {
        let mut top = EDGE + 14.0;
        canvas.bold_text(left, top, &self.title, LARGE, Anchor::Start);
        top += 20.0;
        let size = format!("{} × {}", format_count(self.nrows as u64), format_count(self.ncols as u64));
        canvas.coloured_text(left, top, &size, NORMAL, Anchor::Start, MUTED);
        top += 22.0;
        let mut entry = |colour: Rgb, text: &str| {
            canvas.rectangle(Area { left, top, width: 20.0, height: 20.0 }, colour);
            canvas.text(left + 29.0, top + 14.5, text, SMALL, Anchor::Start);
            top += 27.0;
        };
        let dense = self.blocks.iter().filter(|b| b.rank.is_none()).count();
        entry(DENSE, &format!("dense ({} blocks)", format_count(dense as u64)));
        let mut shown: Vec<usize> = (0..=4).map(|i| largest * i / 4).collect();
        shown.dedup();
        if self.blocks.iter().any(|b| b.rank.is_some()) {
            for rank in shown {
                entry(rank_colour(rank, largest), &format!("rank {rank}"));
            }
        }
        top += 6.0;
        for line in &self.lines {
            canvas.coloured_text(left, top + 12.0, line, SMALL, Anchor::Start, MUTED);
            top += 18.0;
        }
    }
}

fn rank_colour(rank: usize, largest: usize) -> Rgb {
    // Rank 0 is palest; the darkest low-rank colour stays lighter than a dense block.
    sequential(0.95 - 0.65 * rank as f64 / largest.max(1) as f64)
}

/// The rank, where there is room for it.
fn label(canvas: &mut Canvas, area: Area, rank: usize) {
    let text = rank.to_string();
    let size = (0.3 * area.width.min(area.height)).min(20.0) as u32;
    if size >= 7 && text_width(&text, size) < 0.9 * area.width {
        let (x, y) = (area.left + 0.5 * area.width, area.top + 0.5 * area.height + 0.36 * f64::from(size));
        canvas.text(x, y, &text, size, Anchor::Middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_blocks_are_noted_and_odd_matrices_are_drawn() {
        let block = |rows, cols, rank| DrawnBlock { rows, cols, rank };
        let structure =
            |nrows, ncols, blocks| BlockStructure { title: "H".to_owned(), nrows, ncols, blocks, lines: vec![] };
        let fine = structure(10_000, 10_000, vec![block(0..1, 0..1, None), block(1..10_000, 1..10_000, Some(3))]);
        let picture = fine.draw();
        assert!(picture.svg().is_some_and(|svg| svg.starts_with("<svg")));
        assert_eq!(picture.notes().len(), 1);
        assert!(structure(0, 0, vec![]).draw().svg().is_some());
        assert!(structure(10, 1000, vec![block(0..10, 0..1000, Some(0))]).draw().notes().is_empty());
    }
}
