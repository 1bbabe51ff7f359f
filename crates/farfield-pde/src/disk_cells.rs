//! The cells of a periodic grid that a disk cuts: exact open areas and open parts of the faces.
//!
//! The unit square, periodic, with a disk of radius R at (1/2, 1/2). Cell (i, j) is the square of side
//! h = 1/n around the point (i/n, j/n). Lengths below are in units of h and measured from the centre
//! of the disk, so the disk has radius R n. The area of a cell inside the disk is the integral over x
//! of the length of a chord, in closed form between the places where the circle crosses the cell's
//! horizontal sides; its error is about 1e-16 (R n)^2.

/// Open parts below this count as closed.
const SMALLEST: f64 = 1e-9;

/// Open areas and faces.
pub struct DiskCells {
    n: usize,
    /// Part of each cell outside the disk, 0 to 1, (n, n).
    pub area: Vec<f64>,
    /// Open part of the face between cell (i, j) and cell (i + 1, j), 0 to 1, periodic, (n, n).
    pub face_x: Vec<f64>,
    /// Open part of the face between cell (i, j) and cell (i, j + 1), 0 to 1, periodic, (n, n).
    pub face_y: Vec<f64>,
    /// Whether the point (i/n, j/n) lies outside the disk or on its circle, (n, n).
    pub outside: Vec<bool>,
}

impl DiskCells {
    /// For n x n points and a disk of radius `radius`, at most 1/2 - 1/n.
    pub fn new(n: usize, radius: f64) -> Self {
        let rho = radius * n as f64;
        let centre = |i: usize| i as f64 - 0.5 * n as f64;
        let (mut area, mut face_x, mut face_y, mut outside) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for place in 0..n * n {
            let (x, y) = (centre(place / n), centre(place % n));
            area.push(1.0 - area_inside(x, y, rho));
            face_x.push(open(1.0 - chord_inside(x + 0.5, y, rho)));
            face_y.push(open(1.0 - chord_inside(y + 0.5, x, rho)));
            outside.push(x * x + y * y >= rho * rho * (1.0 - 1e-12));
        }
        DiskCells { n, area, face_x, face_y, outside }
    }

    /// The four neighbours of a cell and the open parts of the faces between.
    pub fn neighbours(&self, place: usize) -> [(usize, f64); 4] {
        let n = self.n;
        let (i, j) = (place / n, place % n);
        let (left, right) = ((i + n - 1) % n * n + j, (i + 1) % n * n + j);
        let (below, above) = (i * n + (j + n - 1) % n, i * n + (j + 1) % n);
        [
            (left, self.face_x[left]),
            (right, self.face_x[place]),
            (below, self.face_y[below]),
            (above, self.face_y[place]),
        ]
    }
}

fn open(part: f64) -> f64 {
    if part < SMALLEST { 0.0 } else { part }
}

/// Length in the disk of the line from (x, y - 1/2) to (x, y + 1/2).
fn chord_inside(x: f64, y: f64, rho: f64) -> f64 {
    let half = (rho * rho - x * x).max(0.0).sqrt();
    (half.min(y + 0.5) - (-half).max(y - 0.5)).max(0.0)
}

/// Area in the disk of the unit square around (x, y).
fn area_inside(x: f64, y: f64, rho: f64) -> f64 {
    let nearest = (x.abs() - 0.5).max(0.0).hypot((y.abs() - 0.5).max(0.0));
    let farthest = (x.abs() + 0.5).hypot(y.abs() + 0.5);
    if nearest >= rho {
        return 0.0;
    }
    if farthest <= rho {
        return 1.0;
    }
    let (x0, x1, y0, y1) = (x - 0.5, x + 0.5, y - 0.5, y + 0.5);
    let crossing = |y: f64| (rho * rho - y * y).max(0.0).sqrt();
    let candidates = [x0, x1, -rho, rho, crossing(y0), -crossing(y0), crossing(y1), -crossing(y1)];
    let mut breaks = candidates.map(|b| b.clamp(x0, x1));
    breaks.sort_unstable_by(f64::total_cmp);
    // The integral of sqrt(rho^2 - x^2) from 0.
    let under_arc = |x: f64| {
        let x = x.clamp(-rho, rho);
        0.5 * (x * crossing(x) + rho * rho * (x / rho).asin())
    };
    let pieces = breaks.windows(2).map(|piece| {
        let (from, to) = (piece[0], piece[1]);
        let half = crossing(0.5 * (from + to));
        let (width, arc) = (to - from, under_arc(to) - under_arc(from));
        if half.min(y1) <= (-half).max(y0) {
            return 0.0;
        }
        let upper = if half < y1 { arc } else { y1 * width };
        let lower = if -half > y0 { -arc } else { y0 * width };
        upper - lower
    });
    pieces.sum::<f64>().clamp(0.0, 1.0)
}
