//! Numbers of 106 bits as unevaluated sums of two (Dekker 1971), as far as an LU factorisation needs them.

use farfield_matrix::Matrix;

/// `high + low`, `|low|` at most half a unit of `high`.
#[derive(Clone, Copy, Debug)]
pub struct DoubleDouble {
    high: f64,
    low: f64,
}

impl DoubleDouble {
    fn new(x: f64) -> Self {
        Self { high: x, low: 0.0 }
    }

    fn normalised(high: f64, low: f64) -> Self {
        let sum = high + low;
        Self { high: sum, low: low - (sum - high) }
    }

    fn minus(self, other: Self) -> Self {
        let sum = self.high - other.high;
        let part = sum - self.high;
        let error = (self.high - (sum - part)) - (other.high + part);
        Self::normalised(sum, error + self.low - other.low)
    }

    fn times(self, other: Self) -> Self {
        let product = self.high * other.high;
        let error = self.high.mul_add(other.high, -product);
        Self::normalised(product, error + self.high * other.low + self.low * other.high)
    }

    fn over(self, other: Self) -> Self {
        let first = self.high / other.high;
        let rest = self.minus(other.times(Self::new(first)));
        let second = rest.high / other.high;
        let rest = rest.minus(other.times(Self::new(second)));
        Self::normalised(first, second).minus(Self::new(-rest.high / other.high))
    }
}

/// Sign and logarithm of the determinant of the matrix as it stands in f64, by LU with partial pivoting in 106 bits.
pub fn exact_log_determinant(a: &Matrix<f64>) -> (i32, f64) {
    let n = a.nrows();
    let mut rows: Vec<Vec<DoubleDouble>> =
        (0..n).map(|i| (0..n).map(|j| DoubleDouble::new(a[(i, j)])).collect()).collect();
    let (mut sign, mut log_abs) = (1, 0.0);
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| rows[i][k].high.abs().total_cmp(&rows[j][k].high.abs())).unwrap();
        if pivot != k {
            rows.swap(pivot, k);
            sign = -sign;
        }
        let (above, below) = rows.split_at_mut(k + 1);
        let row = &above[k];
        sign *= if row[k].high < 0.0 { -1 } else { 1 };
        log_abs += row[k].high.abs().ln() + (row[k].low / row[k].high).ln_1p();
        for target in below {
            let factor = target[k].over(row[k]);
            for (x, &y) in target[k..].iter_mut().zip(&row[k..]) {
                *x = x.minus(factor.times(y));
            }
        }
    }
    (sign, log_abs)
}

#[test]
fn the_determinant_of_a_hilbert_matrix() {
    // prod_k (k!)^4 / (2 k + 1)! ... : det H_n = c_n^4 / c_{2n}, c_n = prod_{k < n} k!. The entries of H_8 times 360360 are integers.
    let n = 8;
    let factorial = |k: usize| (1..=k).map(|i| (i as f64).ln()).sum::<f64>();
    let c = |n: usize| (1..n).map(factorial).sum::<f64>();
    let exact = 4.0 * c(n) - c(2 * n) + n as f64 * 360_360f64.ln();
    let (sign, ln) = exact_log_determinant(&Matrix::from_fn(n, n, |i, j| (360_360 / (i + j + 1)) as f64));
    assert!(sign == 1 && (ln - exact).abs() <= 1e-13 * exact.abs(), "{ln} {exact}");
}
