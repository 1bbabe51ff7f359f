//! What a thousand trials may show of a certificate with a stated probability of failure.

use farfield_matrix::{Bound, Certificate, Confidence};

/// The smallest `k` with `P(X <= k) >= level` for `X` binomial: `trials` independent trials that fail with probability `rate`.
pub fn binomial_quantile(trials: usize, rate: f64, level: f64) -> usize {
    let n = trials as f64;
    let (mut below, mut k) = (n * (-rate).ln_1p(), 0usize);
    let mut sum = below.exp();
    while sum < level && k < trials {
        // The next probability from the last one.
        below += ((n - k as f64) / (k as f64 + 1.0)).ln() + rate.ln() - (-rate).ln_1p();
        k += 1;
        sum += below.exp();
    }
    k
}

/// Bounds beside true errors.
#[derive(Default)]
pub struct Trials {
    bounds: Vec<(Bound, f64)>,
    /// Bound over error, where there is an error beyond rounding.
    ratios: Vec<f64>,
}

impl Trials {
    /// A bound and the true error.
    pub fn push(&mut self, certificate: &Certificate, error: f64) {
        self.bounds.push((certificate.frobenius, error));
        if error > 1e-13 * certificate.norm {
            self.ratios.push(certificate.frobenius.value / error);
        }
    }

    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    /// Bounds that are exceeded.
    pub fn failures(&self) -> usize {
        self.bounds.iter().filter(|(bound, error)| *error > bound.value || error.is_nan()).count()
    }

    /// The largest probability of failure that was stated.
    pub fn rate(&self) -> f64 {
        let rates = self.bounds.iter().map(|(bound, _)| match bound.confidence {
            Confidence::Proven => 0.0,
            Confidence::Probabilistic { failure } => failure,
        });
        rates.fold(0.0, f64::max)
    }

    /// How many were probabilistic.
    pub fn probabilistic(&self) -> usize {
        self.bounds.iter().filter(|(bound, _)| bound.confidence != Confidence::Proven).count()
    }

    /// Median of bound over error, where there is an error beyond rounding.
    pub fn median_ratio(&self) -> f64 {
        let mut ratios = self.ratios.clone();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }

    /// One line of figures.
    pub fn summary(&self) -> String {
        let worst = self.bounds.iter().filter(|b| b.1 > 0.0).map(|b| b.1 / b.0.value).fold(0.0, f64::max);
        format!(
            "{} trials, {} probabilistic, failures {} (stated rate {:.1e}, allowed {}), median bound / error {:.2}, largest error / bound {worst:.3}",
            self.len(),
            self.probabilistic(),
            self.failures(),
            self.rate(),
            binomial_quantile(self.probabilistic(), self.rate(), 0.999),
            self.median_ratio(),
        )
    }

    /// No proven bound is exceeded, no more probabilistic ones than a failure at the stated rate explains (the 99.9 % quantile of the binomial
    /// distribution; zero for rates far below one in a million), and the median of bound over error is at most ten.
    #[track_caller]
    pub fn check(&self, name: &str, least: usize) {
        println!("{name}: {}", self.summary());
        assert!(self.len() >= least, "{name}: {} trials", self.len());
        let proven = self.bounds.iter().filter(|(b, e)| b.confidence == Confidence::Proven && *e > b.value).count();
        assert_eq!(proven, 0, "{name}: proven bounds exceeded");
        let allowed = binomial_quantile(self.probabilistic(), self.rate(), 0.999);
        assert!(self.failures() <= allowed, "{name}: {}", self.summary());
        assert!(self.median_ratio() <= 10.0, "{name}: {}", self.summary());
    }
}
