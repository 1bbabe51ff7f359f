//! Geometry of lines made of many short pieces: simplification and dash patterns.

/// Splits a polyline into the strokes of a dash pattern, continuous across vertices.
pub(super) fn dashes(points: &[(f64, f64)], on: f64, off: f64) -> Vec<Vec<(f64, f64)>> {
    let mut out = Vec::new();
    let mut drawing = true;
    let mut left = on;
    let mut current = vec![points[0]];
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        let mut length = (to.0 - from.0).hypot(to.1 - from.1);
        while length > left {
            let t = left / length;
            from = (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1));
            length -= left;
            if drawing {
                current.push(from);
                out.push(std::mem::take(&mut current));
            } else {
                current = vec![from];
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
        }
        left -= length;
        if drawing {
            current.push(to);
        }
    }
    if drawing && current.len() > 1 {
        out.push(current);
    }
    out
}

/// Ramer, Douglas and Peucker's simplification: the result stays within `tolerance` of the line.
pub(super) fn simplify(points: &[(f64, f64)], tolerance: f64) -> Vec<(f64, f64)> {
    if points.len() < 3 {
        return points.to_vec();
    }
    let mut keep = vec![false; points.len()];
    keep[0] = true;
    keep[points.len() - 1] = true;
    let mut work = vec![(0, points.len() - 1)];
    while let Some((first, last)) = work.pop() {
        let (a, b) = (points[first], points[last]);
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length = dx.hypot(dy);
        let mut worst = (0.0, first);
        for (i, p) in points.iter().enumerate().take(last).skip(first + 1) {
            let (px, py) = (p.0 - a.0, p.1 - a.1);
            let distance = if length > 0.0 { (px * dy - py * dx).abs() / length } else { px.hypot(py) };
            if distance > worst.0 {
                worst = (distance, i);
            }
        }
        if worst.0 > tolerance {
            keep[worst.1] = true;
            work.push((first, worst.1));
            work.push((worst.1, last));
        }
    }
    points.iter().zip(keep).filter_map(|(&p, kept)| kept.then_some(p)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_continue_across_vertices_and_keep_the_length() {
        let points: Vec<(f64, f64)> = (0..=1000).map(|i| (f64::from(i) * 0.1, 0.0)).collect();
        let parts = dashes(&points, 6.0, 4.0);
        assert_eq!(parts.len(), 10);
        let drawn: f64 = parts.iter().map(|p| p[p.len() - 1].0 - p[0].0).sum();
        assert!((drawn - 60.0).abs() < 1e-6, "{drawn}");
    }

    #[test]
    fn simplification_keeps_peaks_and_drops_straight_parts() {
        let mut points: Vec<(f64, f64)> = (0..100).map(|i| (f64::from(i), 0.0)).collect();
        points[50].1 = 3.0;
        let kept = simplify(&points, 0.1);
        assert!(kept.contains(&(50.0, 3.0)));
        assert!(kept.len() <= 5, "{kept:?}");
    }
}
