//! Colours: a palette for series that survives colour blindness and grey printing, and colour maps for fields.
//!
//! Series take the Okabe-Ito palette. Fields take viridis (perceptually uniform); signed errors take a diverging
//! blue-white-red map whose middle is zero; ordered curves (one a layer) take points along viridis.

use kuva::plot::ColorMap;

/// Red, green, blue, 0 to 255.
pub(super) type Rgb = (u8, u8, u8);

/// Text and axes.
pub(super) const INK: Rgb = (34, 34, 34);
/// Secondary text.
pub(super) const MUTED: Rgb = (105, 105, 105);
/// Grid lines.
pub(super) const GRID: Rgb = (229, 229, 229);
/// Frames of panels.
pub(super) const AXIS: Rgb = (90, 90, 90);
/// Cells of a field that hold no finite number.
pub(super) const MISSING: Rgb = (190, 190, 190);
/// The reference solution in line plots.
pub(super) const TRUTH: Rgb = (150, 150, 150);

/// Okabe and Ito's colours, reordered so that the first ones differ most in lightness; yellow is left out.
const SERIES: [Rgb; 7] =
    [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (230, 159, 0), (0, 0, 0)];

/// Colour of the `index`-th series; repeats after seven.
pub(super) fn series(index: usize) -> Rgb {
    SERIES[index % SERIES.len()]
}

/// Colour of member `index` of an ordered family of `count` curves.
pub(super) fn ordered(index: usize, count: usize) -> Rgb {
    let t = if count > 1 { index as f64 / (count - 1) as f64 } else { 0.0 };
    // The yellow end of viridis is too light for a thin line on white.
    sequential(0.05 + 0.75 * t)
}

/// viridis at `t` in [0, 1].
pub(super) fn sequential(t: f64) -> Rgb {
    ColorMap::Viridis.map_rgb(t.clamp(0.0, 1.0)).unwrap_or(MISSING)
}

/// Blue (t = 0) through near-white (t = 1/2) to red (t = 1).
pub(super) fn diverging(t: f64) -> Rgb {
    ColorMap::RedBlue.map_rgb(1.0 - t.clamp(0.0, 1.0)).unwrap_or(MISSING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lightness((r, g, b): Rgb) -> f64 {
        0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
    }

    #[test]
    fn the_sequential_map_grows_lighter() {
        let values: Vec<f64> = (0..=20).map(|i| lightness(sequential(f64::from(i) / 20.0))).collect();
        assert!(values.windows(2).all(|w| w[0] < w[1]), "{values:?}");
    }

    #[test]
    fn the_diverging_map_is_blue_white_red() {
        let (low, middle, high) = (diverging(0.0), diverging(0.5), diverging(1.0));
        assert!(low.2 > low.0 && high.0 > high.2);
        assert!(middle.0 > 235 && middle.1 > 235 && middle.2 > 235);
    }
}
