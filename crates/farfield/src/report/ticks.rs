//! Axis ranges and ticks, linear and logarithmic.
//!
//! A logarithmic axis over two decades or more has its labels at powers of ten (every second, third, ... one when there
//! are many) and unlabelled ticks between; below that at 1, 2, 5; below a factor of about two at round decimals.

use serde::{Deserialize, Serialize};

use super::number::{fixed, power_of_ten};

/// How an axis spaces its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Equal steps.
    #[default]
    Linear,
    /// Equal factors; only positive numbers can be drawn.
    Log,
}

impl Scale {
    /// Whether `value` has a place on an axis of this scale.
    pub(super) fn admits(self, value: f64) -> bool {
        value.is_finite() && (self == Scale::Linear || value > 0.0)
    }

    fn forward(self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            Scale::Log => value.log10(),
        }
    }
}

/// Ticks of one axis; labels are in units of `10^exponent`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ticks {
    pub(super) major: Vec<(f64, String)>,
    pub(super) minor: Vec<f64>,
    pub(super) exponent: i32,
}

/// One axis: scale, range, ticks and label.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Ticks,
    pub(super) label: String,
}

impl Axis {
    /// An axis over all drawable `values`, widened by `margin` (a fraction of its length) at both ends.
    pub(super) fn around(
        scale: Scale,
        values: impl IntoIterator<Item = f64>,
        margin: f64,
        label: impl Into<String>,
    ) -> Self {
        let mut low = f64::INFINITY;
        let mut high = f64::NEG_INFINITY;
        for v in values.into_iter().filter(|&v| scale.admits(v)) {
            low = low.min(v);
            high = high.max(v);
        }
        if low > high {
            (low, high) = match scale {
                Scale::Linear => (0.0, 1.0),
                Scale::Log => (0.1, 1.0),
            };
        }
        let (low, high) = match scale {
            Scale::Linear => widen_linear(low, high, margin),
            Scale::Log => widen_log(low, high, margin),
        };
        Self::over(scale, low, high, label)
    }

    /// An axis over exactly `[low, high]`, `low < high`.
    pub(super) fn over(scale: Scale, low: f64, high: f64, label: impl Into<String>) -> Self {
        Self { scale, low, high, ticks: make_ticks(scale, low, high, 6), label: label.into() }
    }

    /// The same axis, either end moved outwards to the next labelled tick if that is at most `reach` away.
    ///
    /// Grids often leave out a boundary point; the boundary itself should still be labelled.
    pub(super) fn reaching_ticks(mut self, reach: f64) -> Self {
        if let [(first, _), (second, _), ..] = self.ticks.major.as_slice() {
            let step = second - first;
            let below = (self.low / step).floor() * step;
            let above = (self.high / step).ceil() * step;
            if self.low - below <= reach {
                self.low = below;
            }
            if above - self.high <= reach {
                self.high = above;
            }
            self.ticks = make_ticks(self.scale, self.low, self.high, 6);
        }
        self
    }

    /// The same axis with about `count` labelled ticks.
    pub(super) fn with_tick_count(mut self, count: usize) -> Self {
        self.ticks = make_ticks(self.scale, self.low, self.high, count);
        self
    }

    /// Place of `value` along the axis, 0 at the low end and 1 at the high end; none where it cannot be drawn.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        if !self.scale.admits(value) {
            return None;
        }
        let (a, b) = (self.scale.forward(self.low), self.scale.forward(self.high));
        let t = (self.scale.forward(value) - a) / (b - a);
        t.is_finite().then_some(t)
    }

    /// The common power of ten of the labels, as `×10⁻³`; none where it is one.
    pub(super) fn factor_text(&self) -> Option<String> {
        (self.ticks.exponent != 0).then(|| format!("×{}", power_of_ten(self.ticks.exponent)))
    }
}

/// Whether `[low, high]` is one number up to rounding.
pub(super) fn is_degenerate(low: f64, high: f64) -> bool {
    let range = high - low;
    range.is_nan() || range <= 1e-12 * low.abs().max(high.abs())
}

fn widen_linear(low: f64, high: f64, margin: f64) -> (f64, f64) {
    // Halved first: the range of numbers near the largest double would overflow.
    if !(high - low).is_finite() {
        return (f64::MIN / 4.0, f64::MAX / 4.0);
    }
    if is_degenerate(low, high) {
        let middle = 0.5 * low + 0.5 * high;
        let half = if middle == 0.0 { 1.0 } else { 0.5 * middle.abs() };
        return (middle - half, middle + half);
    }
    let pad = margin * (high - low);
    (low - pad, high + pad)
}

fn widen_log(low: f64, high: f64, margin: f64) -> (f64, f64) {
    let (a, b) = (low.log10(), high.log10());
    let pad = if b - a < 1e-6 { 0.3 } else { margin * (b - a) };
    (10f64.powf((a - pad).max(-307.0)), 10f64.powf((b + pad).clamp(-306.0, 308.0)))
}

fn make_ticks(scale: Scale, low: f64, high: f64, count: usize) -> Ticks {
    match scale {
        Scale::Linear => linear_ticks(low, high, count),
        Scale::Log => log_ticks(low, high, count),
    }
}

/// The round step (1, 2 or 5 times a power of ten) that gives about `count` ticks.
fn round_step(length: f64, count: usize) -> f64 {
    let raw = length / count.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let lead = raw / power;
    power
        * if lead < 2_f64.sqrt() {
            1.0
        } else if lead < 10_f64.sqrt() {
            2.0
        } else if lead < 50_f64.sqrt() {
            5.0
        } else {
            10.0
        }
}

fn linear_ticks(low: f64, high: f64, count: usize) -> Ticks {
    let length = high - low;
    if !length.is_finite() || length <= 0.0 {
        return Ticks::default();
    }
    let step = round_step(length, count);
    let first = (low / step - 1e-9).ceil();
    let last = (high / step + 1e-9).floor();
    if !step.is_normal() || !first.is_finite() || !last.is_finite() || last - first > 100.0 {
        return Ticks::default();
    }
    let values: Vec<f64> = (0..=(last - first).max(0.0) as usize).map(|i| (first + i as f64) * step).collect();
    let largest = values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let magnitude = if largest > 0.0 { (largest.log10() + 1e-9).floor() as i32 } else { 0 };
    let exponent = if (-2..5).contains(&magnitude) { 0 } else { magnitude };
    let unit = 10f64.powi(exponent);
    let decimals = (-((step / unit).log10() + 1e-9).floor()).clamp(0.0, 9.0) as usize;
    Ticks { major: values.iter().map(|&v| (v, fixed(v / unit, decimals))).collect(), minor: Vec::new(), exponent }
}

fn log_ticks(low: f64, high: f64, count: usize) -> Ticks {
    let (a, b) = (low.log10(), high.log10());
    let first = (a - 1e-9).ceil() as i32;
    let last = (b + 1e-9).floor() as i32;
    if last > first {
        return decade_ticks(low, high, first, last, count);
    }
    let mut marks = Vec::new();
    let mut minor = Vec::new();
    for k in (a.floor() as i32)..=(b.ceil() as i32) {
        for m in 1..10 {
            let v = f64::from(m) * 10f64.powi(k);
            if v < low * (1.0 - 1e-9) || v > high * (1.0 + 1e-9) {
                continue;
            }
            if matches!(m, 1 | 2 | 5) {
                marks.push((v, m, k));
            } else {
                minor.push(v);
            }
        }
    }
    if marks.len() < 2 {
        let mut ticks = linear_ticks(low, high, count.min(5));
        ticks.major.retain(|(v, _)| *v > 0.0);
        return ticks;
    }
    let plain = (-2..=3).contains(&first) && (-2..=3).contains(&last);
    let major = marks
        .into_iter()
        .map(|(v, m, k)| {
            let text = if plain {
                fixed(v, (-k).max(0) as usize)
            } else if m == 1 {
                power_of_ten(k)
            } else {
                format!("{m}×{}", power_of_ten(k))
            };
            (v, text)
        })
        .collect();
    Ticks { major, minor, exponent: 0 }
}

fn decade_ticks(low: f64, high: f64, first: i32, last: i32, count: usize) -> Ticks {
    let decades = (last - first + 1).unsigned_abs();
    let stride = decades.div_ceil(count.max(2) as u32 + 1).max(1) as i32;
    let plain = first >= 0 && last <= 4;
    let mut ticks = Ticks::default();
    for k in (first - 1)..=last {
        let power = 10f64.powi(k);
        if k >= first && k.rem_euclid(stride) == 0 {
            let text = if plain { fixed(power, 0) } else { power_of_ten(k) };
            ticks.major.push((power, text));
        } else if k >= first {
            ticks.minor.push(power);
        }
        if stride == 1 {
            ticks.minor.extend((2..10).map(|m| f64::from(m) * power).filter(|&v| v >= low && v <= high));
        }
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, low: f64, high: f64) -> Vec<String> {
        Axis::over(scale, low, high, "").ticks.major.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_labels() {
        assert_eq!(labels(Scale::Linear, 0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(Scale::Linear, -1.0, 1.0), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        let small = Axis::over(Scale::Linear, 0.0, 4.2e-5, "");
        assert_eq!(small.factor_text().as_deref(), Some("×10⁻⁵"));
        assert_eq!(small.ticks.major[2].1, "1.0");
    }

    #[test]
    fn decades() {
        assert_eq!(labels(Scale::Log, 3e-4, 2.0), ["10⁻³", "10⁻²", "10⁻¹", "10⁰"]);
        assert_eq!(labels(Scale::Log, 8.0, 1200.0), ["10", "100", "1000"]);
        let wide = Axis::over(Scale::Log, 1e-16, 1.0, "");
        assert!(wide.ticks.major.len() <= 8, "{:?}", wide.ticks.major);
    }

    #[test]
    fn less_than_a_decade() {
        assert_eq!(labels(Scale::Log, 0.15, 0.9), ["0.2", "0.5"]);
        assert_eq!(labels(Scale::Log, 1.5e-5, 8e-5), ["2×10⁻⁵", "5×10⁻⁵"]);
        assert!(labels(Scale::Log, 0.97, 0.99).len() >= 2);
    }

    #[test]
    fn every_range_gives_a_usable_axis() {
        let hard = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::MIN,
            1e-310,
            1.0 + f64::EPSILON,
        ];
        for scale in [Scale::Linear, Scale::Log] {
            for a in hard {
                for b in hard {
                    let axis = Axis::around(scale, [a, b], 0.05, "");
                    assert!(axis.low < axis.high, "{scale:?} {a} {b}: {axis:?}");
                    assert!(axis.ticks.major.len() < 60);
                    for v in [a, b] {
                        if let Some(t) = axis.place(v) {
                            assert!(t.is_finite(), "{scale:?} {a} {b}");
                        }
                    }
                }
            }
        }
        let empty = Axis::around(Scale::Log, [], 0.05, "");
        assert!(empty.low > 0.0 && empty.low < empty.high);
    }
}
