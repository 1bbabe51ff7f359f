//! Certificates in a thousand random trials each: proven ones are never exceeded, probabilistic ones fail at most at their stated rate, both are within
//! ten times of the true error in the median. Matrices that a sampled certificate does not promise to see through are stated, too.
//!
//! How the rate is tested: with stated probability `p`, the number of failures of independent trials is at most binomial with `(trials, p)`; more than its
//! 99.9 % quantile refutes the statement. For `p = 1e-6` and less a single failure in a thousand does.

mod draws;
mod hidden;
mod products;
mod proven;
mod sampled;
