//! The exponential integrals `E_n(x) = int_1^inf exp(-x t) / t^n dt` of order 1 and 2, and integrals of E_1
//! over short intervals.
//!
//! For x <= 1: `E_1(x) = -gamma - ln x + Ein(x)` with the entire function `Ein(x) = sum_{k >= 1} (-1)^{k+1} x^k /
//! (k k!)` (NIST DLMF 6.2.3, 6.6.4); for x > 1 the continued fraction of E_n (DLMF 8.19.17, even part) by the modified
//! method of Lentz. Relative error below 1e-14, tested against a table of 20 digits.
//!
//! [`integral`] is what a product integration needs: over an interval that is short beside its distance
//! from 0 the difference of two antiderivatives would lose the digits that the interval is short by, so the
//! logarithm is integrated by a series and the entire part by Gauss's rule. Cost: one logarithm and three
//! polynomials of degree 17 for intervals inside [0, 1], some hundred divisions elsewhere.

/// Euler's constant.
const GAMMA: f64 = 0.577_215_664_901_532_9;
/// Above this argument the continued fraction is taken.
const SPLIT: f64 = 1.0;
/// Half the length of the longest interval over which the entire part is integrated by three points: the error is below 1e-14 of the integral.
const SHORT: f64 = 1.0 / 32.0;
/// Below this half-length over distance, the series of the integrated logarithm is taken.
const FAR: f64 = 1.0 / 8.0;

/// `(-1)^{k+1} / (k k!)` for k = 1, ..., 18: the next term is below 3e-19 on [0, 1].
const EIN: [f64; 18] = {
    let mut coefficients = [0.0; 18];
    let mut factorial = 1.0;
    let mut sign = 1.0;
    let mut k = 1;
    while k <= 18 {
        factorial *= k as f64;
        coefficients[k - 1] = sign / (k as f64 * factorial);
        sign = -sign;
        k += 1;
    }
    coefficients
};

/// `Ein(x) = int_0^x (1 - exp(-t)) / t dt` for 0 <= x <= 1.
#[inline]
fn entire_part(x: f64) -> f64 {
    x * EIN.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// `int_0^x Ein` for 0 <= x <= 1.
fn entire_antiderivative(x: f64) -> f64 {
    x * x * EIN.iter().enumerate().rev().fold(0.0, |sum, (k, c)| sum * x + c / (k as f64 + 2.0))
}

/// `E_1(x)` for x > 0.
pub(crate) fn e1(x: f64) -> f64 {
    if x <= SPLIT { entire_part(x) - x.ln() - GAMMA } else { continued_fraction(1.0, x) }
}

/// `E_2(x)` for x >= 0; `E_2(0) = 1`.
pub(crate) fn e2(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else if x <= SPLIT {
        (-x).exp() - x * e1(x)
    } else {
        continued_fraction(2.0, x)
    }
}

/// `E_n(x)` for x > 1: `exp(-x) / (x + n - 1 n / (x + n + 2 - 2 (n + 1) / (x + n + 4 - ...)))`.
fn continued_fraction(order: f64, x: f64) -> f64 {
    let mut b = x + order;
    let mut d = 1.0 / b;
    let mut c = f64::INFINITY;
    let mut h = d;
    // At x = 1 it takes about 40 terms.
    for k in 1..200 {
        let k = f64::from(k);
        let a = -k * (order - 1.0 + k);
        b += 2.0;
        d = 1.0 / (a * d + b);
        c = b + a / c;
        let factor = c * d;
        h *= factor;
        if (factor - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    h * (-x).exp()
}

/// `int E_1(t) dt` over [middle - half, middle + half], 0 < half <= middle, relative error below 1e-13. (The half-length is
/// an argument because the difference of two ends would carry their rounding.)
#[inline]
pub(crate) fn integral(middle: f64, half: f64) -> f64 {
    if middle + half <= SPLIT { short_integral(middle, half) } else { long_integral(middle, half) }
}

/// Abscissa of Gauss's rule of three points, beside 0; its weights are 5/18, 8/18, 5/18.
const GAUSS: f64 = 0.774_596_669_241_483_4;

/// [`integral`] inside [0, 1].
#[inline]
fn short_integral(middle: f64, half: f64) -> f64 {
    let mean = if half <= SHORT {
        let offset = GAUSS * half;
        let sides = entire_part(middle - offset) + entire_part(middle + offset);
        (5.0 * sides + 8.0 * entire_part(middle)) / 18.0
    } else {
        let (a, b) = ends(middle, half);
        (entire_antiderivative(b) - entire_antiderivative(a)) / (2.0 * half)
    };
    2.0 * half * (mean - GAMMA - mean_logarithm(middle, half))
}

fn ends(middle: f64, half: f64) -> (f64, f64) {
    ((middle - half).max(0.0), middle + half)
}

/// The mean of `ln t` over [middle - half, middle + half].
#[inline]
fn mean_logarithm(middle: f64, half: f64) -> f64 {
    if half <= FAR * middle {
        let square = (half / middle).powi(2);
        // sum_{k >= 1} r^{2k} / (2k (2k + 1)).
        let series = [210.0, 156.0, 110.0, 72.0, 42.0, 20.0, 6.0].iter().fold(0.0, |sum, n| square * (sum + 1.0 / n));
        return middle.ln() - series;
    }
    let (a, b) = ends(middle, half);
    let below = if a > 0.0 { a * (b / a).ln() / (2.0 * half) } else { 0.0 };
    b.ln() - 1.0 + below
}

/// [`integral`] where it leaves [0, 1].
fn long_integral(middle: f64, half: f64) -> f64 {
    let (a, b) = ends(middle, half);
    if a < SPLIT {
        let inside = 0.5 * (SPLIT - a);
        return integral(a + inside, inside) + integral(SPLIT + half - inside, half - inside);
    }
    if half >= 0.05 {
        return e2(a) - e2(b);
    }
    // Gauss's rule of five points; the nearest singularity, 0, is ten lengths away.
    const POINTS: [(f64, f64); 2] =
        [(0.538_469_310_105_683_1, 0.239_314_335_249_683_23), (0.906_179_845_938_664, 0.118_463_442_528_094_54)];
    let sides: f64 = POINTS.iter().map(|&(x, w)| w * (e1(middle - x * half) + e1(middle + x * half))).sum();
    2.0 * half * (sides + 0.284_444_444_444_444_44 * e1(middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x, E_1(x), E_2(x), from arithmetic with 40 digits.
    const TABLE: [(f64, f64, f64); 16] = [
        (1e-12, 27.053_805_451_028_015, 0.999_999_999_971_946_2),
        (1e-6, 13.238_295_893_062_49, 0.999_985_761_704_606_9),
        (0.001, 6.331_539_364_136_149, 0.992_668_960_469_238_8),
        (0.03, 2.959_118_724_021_281, 0.881_671_971_827_869_8),
        (0.25, 1.044_282_634_443_738_2, 0.517_730_124_460_470_3),
        (0.5, 0.559_773_594_776_160_8, 0.326_643_862_324_553),
        (0.8, 0.310_596_578_545_543_05, 0.200_851_701_280_787_16),
        (1.0, 0.219_383_934_395_520_27, 0.148_495_506_775_922_05),
        (1.0000001, 0.219_383_897_607_579_84, 0.148_495_484_837_530_45),
        (1.5, 0.100_019_582_406_632_65, 0.073_100_786_538_480_85),
        (2.0, 0.048_900_510_708_061_12, 0.037_534_261_820_490_45),
        (3.0, 0.013_048_381_094_197_037, 0.010_641_925_085_272_83),
        (5.0, 0.001_148_295_591_275_325_8, 0.000_996_469_042_708_838),
        (10.0, 4.156_968_929_685_324e-6, 3.830_240_465_631_609e-6),
        (100.0, 3.683_597_761_682_032e-46, 3.647_821_433_880_378e-46),
        (700.0, 1.406_518_766_234_033e-307, 1.404_518_012_154_04e-307),
    ];

    #[test]
    fn values_agree_with_the_table() {
        for (x, one, two) in TABLE {
            assert!((e1(x) / one - 1.0).abs() < 1e-14, "E_1({x}) = {:e}", e1(x));
            assert!((e2(x) / two - 1.0).abs() < 1e-14, "E_2({x}) = {:e}", e2(x));
        }
        assert_eq!((e2(0.0), e1(800.0), e2(800.0)), (1.0, 0.0, 0.0));
    }

    fn between(a: f64, b: f64) -> f64 {
        integral(0.5 * (a + b), 0.5 * (b - a))
    }

    #[test]
    fn integrals_agree_with_those_of_40_digits() {
        for (a, b, expected) in INTEGRALS {
            let value = between(a, b);
            assert!((value / expected - 1.0).abs() < 1e-13, "[{a}, {b}]: {value:e} against {expected:e}");
        }
    }

    #[test]
    fn neighbouring_intervals_add_up() {
        for (a, b) in [(0.0f64, 0.05), (0.0, 0.3), (0.3, 0.31), (0.9, 1.4), (0.0, 5.0), (2.0, 2.01)] {
            let parts = 7;
            let edge = |k: i32| a + (b - a) * f64::from(k) / f64::from(parts);
            let sum: f64 = (0..parts).map(|k| between(edge(k), edge(k + 1))).sum();
            assert!((sum / between(a, b) - 1.0).abs() < 1e-13, "[{a}, {b}]");
        }
    }

    /// a, b, int_a^b E_1.
    const INTEGRALS: [(f64, f64, f64); 16] = [
        (0.0, 0.0001, 0.0009633174706241331),
        (0.0, 0.0625, 0.20164380598879605),
        (0.0, 0.7, 0.7650528864720468),
        (0.0001, 0.0003, 0.0015970812526479412),
        (0.01, 0.0101, 0.00040329959103715826),
        (0.2, 0.2001, 0.0001222445902421625),
        (0.5, 0.5625, 0.032755345118478905),
        (0.5, 0.9, 0.1542397479773536),
        (0.7, 0.70002, 7.475234985459382e-06),
        (0.99, 1.01, 0.004387923950681784),
        (0.9, 3.0, 0.1617621892619266),
        (1.0, 1.0001, 2.193655416496257e-05),
        (1.5, 1.55, 0.004820080366262173),
        (2.0, 2.09, 0.004138877285641627),
        (2.0, 9.0, 0.03752287820400583),
        (30.0, 30.001, 3.0199929439223443e-18),
    ];
}
