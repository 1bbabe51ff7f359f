//! L-BFGS: minimisation of a smooth function by limited-memory quasi-Newton steps with a strong-Wolfe line search.
//!
//! Each iteration goes from `x` along `d = -H g`, where `H` is the BFGS approximation of the inverse Hessian from the last `m` pairs `s = x' - x`,
//! `y = g' - g`, applied by the two-loop recursion (Nocedal & Wright, *Numerical Optimization*, 2nd ed., algorithms 7.4 and 7.5), started from
//! `(s^T y / y^T y) I`. The step length comes from bracketing and zoom (algorithms 3.5 and 3.6) with cubic interpolation and satisfies
//!
//! ```text
//! f(x + a d) <= f(x) + c1 a g^T d,     |g(x + a d)^T d| <= c2 |g^T d|
//! ```
//!
//! A value or slope that is not finite counts as infinitely high: the search steps back from it. Pairs with `s^T y` too small to be a curvature are not
//! kept. When a search fails, the pairs are dropped and steepest descent is tried once before giving up.
//!
//! Cost an iteration: `4 m n` multiply-adds beside the evaluations (one, rarely more than two), `2 m + 5` vectors of memory. Everything is in double
//! precision, sums are over pieces of fixed size: the same bits for any number of threads. Not for noisy objectives such as mini-batches.

use std::collections::VecDeque;
use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Numbers summed as one piece.
const CHUNK: usize = 1 << 14;

/// Parameters of the method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LbfgsOptions {
    /// Pairs `m` that are kept. Default 20.
    pub history: usize,
    /// Sufficient decrease `c1`. Default 1e-4.
    pub decrease: f64,
    /// Curvature `c2`. Default 0.9.
    pub curvature: f64,
    /// Evaluations that one line search may take. Default 25.
    pub evaluations: usize,
    /// The largest entry of the gradient at which to stop. Default 0: only where it vanishes.
    pub gradient_tolerance: f64,
    /// The decrease of an iteration, relative to the value, at which to stop. Default 0: never.
    pub decrease_tolerance: f64,
}

impl Default for LbfgsOptions {
    fn default() -> Self {
        Self {
            history: 20,
            decrease: 1e-4,
            curvature: 0.9,
            evaluations: 25,
            gradient_tolerance: 0.0,
            decrease_tolerance: 0.0,
        }
    }
}

/// Why no further iteration can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// No entry of the gradient exceeds the tolerance.
    SmallGradient,
    /// The last iteration lowered the value by less than the tolerance.
    SmallDecrease,
    /// No lower point was found, along the direction of the method and along steepest descent: the rounding errors of the value are reached, or the
    /// gradient is not that of the value.
    NoProgress,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SmallGradient => "the gradient is as small as asked for",
            Self::SmallDecrease => "the value falls by less than asked for",
            Self::NoProgress => "the line search finds no lower point",
        })
    }
}

/// What an iteration came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Iteration {
    /// A lower point was found.
    Lower {
        /// The step length along the direction.
        step: f64,
        /// Evaluations that it took.
        evaluations: usize,
    },
    /// The point stays where it was.
    Stopped(StopReason),
}

/// A change of the point and of the gradient.
#[derive(Clone, Debug, PartialEq)]
struct Pair {
    s: Vec<f64>,
    y: Vec<f64>,
    /// `s^T y`, positive.
    curvature: f64,
}

/// The state of a minimisation between two iterations.
#[derive(Clone, Debug, PartialEq)]
pub struct Lbfgs {
    options: LbfgsOptions,
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
    /// The oldest first.
    pairs: VecDeque<Pair>,
    stopped: Option<StopReason>,
}

/// The numbers from which a minimisation continues to the same bits: [`Lbfgs::export`].
#[derive(Clone, Debug, PartialEq)]
pub struct LbfgsState {
    /// The point.
    pub x: Vec<f64>,
    /// The value there.
    pub value: f64,
    /// The gradient there.
    pub gradient: Vec<f64>,
    /// The changes of the point, the oldest first, one after the other.
    pub s: Vec<f64>,
    /// The changes of the gradient, likewise.
    pub y: Vec<f64>,
}

impl Lbfgs {
    /// A minimisation from `x`, evaluated there. `objective` returns the value at its first argument and writes the gradient into its second.
    ///
    /// A value or gradient that is not finite is kept as it is ([`Lbfgs::is_finite`]); no iteration leaves such a point.
    ///
    /// # Errors
    /// Those of `objective`.
    pub fn new<E>(
        x: Vec<f64>,
        options: LbfgsOptions,
        objective: &mut impl FnMut(&[f64], &mut [f64]) -> Result<f64, E>,
    ) -> Result<Self, E> {
        let mut gradient = vec![0.0; x.len()];
        let value = objective(&x, &mut gradient)?;
        Ok(Self { options, x, value, gradient, pairs: VecDeque::new(), stopped: None })
    }

    /// The point.
    pub fn x(&self) -> &[f64] {
        &self.x
    }

    /// The value at the point.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The gradient at the point.
    pub fn gradient(&self) -> &[f64] {
        &self.gradient
    }

    /// Why the last iteration did not move, if it did not.
    pub fn stopped(&self) -> Option<StopReason> {
        self.stopped
    }

    /// Whether value and gradient are finite.
    pub fn is_finite(&self) -> bool {
        self.value.is_finite() && dot(&self.gradient, &self.gradient).is_finite()
    }

    /// One iteration. On an error of `objective` the state is what it was before.
    ///
    /// # Errors
    /// Those of `objective`.
    pub fn iterate<E>(
        &mut self,
        objective: &mut impl FnMut(&[f64], &mut [f64]) -> Result<f64, E>,
    ) -> Result<Iteration, E> {
        if let Some(reason) = self.stopped {
            return Ok(Iteration::Stopped(reason));
        }
        if self.gradient.iter().all(|g| g.abs() <= self.options.gradient_tolerance) {
            return Ok(self.stop(StopReason::SmallGradient));
        }
        let mut direction = self.direction();
        let mut slope = dot(&self.gradient, &direction);
        let mut steepest = self.pairs.is_empty();
        if !(slope < 0.0 && slope.is_finite()) {
            direction = self.steepest_descent();
            slope = dot(&self.gradient, &direction);
            steepest = true;
        }
        let mut spent = 0;
        let found = loop {
            // Steepest descent has no natural length: the first step moves by one at most.
            let first = if steepest { (1.0 / dot(&direction, &direction).sqrt()).min(1.0) } else { 1.0 };
            let mut search = Search::new(self, &direction, slope, objective);
            let found = search.run(first)?;
            spent += search.evaluations;
            match found {
                Some(found) => break found,
                None if !steepest => {
                    self.pairs.clear();
                    direction = self.steepest_descent();
                    slope = dot(&self.gradient, &direction);
                    steepest = true;
                }
                None => return Ok(self.stop(StopReason::NoProgress)),
            }
        };
        let Point { step, value, x, gradient, .. } = found;
        let difference = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        let (s, y) = (difference(&x, &self.x), difference(&gradient, &self.gradient));
        let curvature = dot(&s, &y);
        if curvature > f64::EPSILON * dot(&s, &s).sqrt() * dot(&y, &y).sqrt() && curvature.is_normal() {
            if self.pairs.len() >= self.options.history.max(1) {
                self.pairs.pop_front();
            }
            self.pairs.push_back(Pair { s, y, curvature });
        }
        let decrease = self.value - value;
        (self.x, self.value, self.gradient) = (x, value, gradient);
        if decrease < self.options.decrease_tolerance * self.value.abs() {
            self.stopped = Some(StopReason::SmallDecrease);
        }
        Ok(Iteration::Lower { step, evaluations: spent })
    }

    fn stop(&mut self, reason: StopReason) -> Iteration {
        self.stopped = Some(reason);
        Iteration::Stopped(reason)
    }

    fn steepest_descent(&self) -> Vec<f64> {
        self.gradient.iter().map(|g| -g).collect()
    }

    /// `-H g` by the two-loop recursion.
    fn direction(&self) -> Vec<f64> {
        let mut q = self.steepest_descent();
        let mut weights = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let weight = dot(&pair.s, &q) / pair.curvature;
            add_scaled(&mut q, -weight, &pair.y);
            weights.push(weight);
        }
        if let Some(last) = self.pairs.back() {
            let scale = last.curvature / dot(&last.y, &last.y);
            q.iter_mut().for_each(|q| *q *= scale);
        }
        for (pair, weight) in self.pairs.iter().zip(weights.into_iter().rev()) {
            let correction = dot(&pair.y, &q) / pair.curvature;
            add_scaled(&mut q, weight - correction, &pair.s);
        }
        q
    }

    /// The numbers from which [`Lbfgs::import`] makes the same state, but for a reason to have stopped.
    pub fn export(&self) -> LbfgsState {
        let all =
            |part: fn(&Pair) -> &Vec<f64>| self.pairs.iter().flat_map(|pair| part(pair).iter().copied()).collect();
        LbfgsState {
            x: self.x.clone(),
            value: self.value,
            gradient: self.gradient.clone(),
            s: all(|pair| &pair.s),
            y: all(|pair| &pair.y),
        }
    }

    /// The state of [`Lbfgs::export`]; `None` when the lengths do not fit or there are more pairs than the history.
    pub fn import(state: LbfgsState, options: LbfgsOptions) -> Option<Self> {
        let LbfgsState { x, value, gradient, s, y } = state;
        let n = x.len();
        let fits = gradient.len() == n && s.len() == y.len() && (s.is_empty() || n > 0 && s.len().is_multiple_of(n));
        if !fits || s.len() > n.saturating_mul(options.history.max(1)) {
            return None;
        }
        let pairs = s.chunks_exact(n.max(1)).zip(y.chunks_exact(n.max(1)));
        let pairs = pairs.map(|(s, y)| Pair { s: s.to_vec(), y: y.to_vec(), curvature: dot(s, y) }).collect();
        Some(Self { options, x, value, gradient, pairs, stopped: None })
    }
}

/// How a minimisation ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// The last point.
    pub x: Vec<f64>,
    /// The value there.
    pub value: f64,
    /// The gradient there.
    pub gradient: Vec<f64>,
    /// Iterations made.
    pub iterations: usize,
    /// Evaluations of value and gradient.
    pub evaluations: usize,
    /// Why it stopped; `None` when all iterations were made.
    pub reason: Option<StopReason>,
}

/// Minimises `objective` from `x` by at most `iterations` iterations.
///
/// # Errors
/// Those of `objective`.
pub fn minimize<E>(
    x: Vec<f64>,
    options: LbfgsOptions,
    iterations: usize,
    mut objective: impl FnMut(&[f64], &mut [f64]) -> Result<f64, E>,
) -> Result<Minimum, E> {
    let mut state = Lbfgs::new(x, options, &mut objective)?;
    let (mut made, mut evaluations) = (0, 1);
    while made < iterations {
        match state.iterate(&mut objective)? {
            Iteration::Stopped(_) => break,
            Iteration::Lower { evaluations: spent, .. } => {
                made += 1;
                evaluations += spent;
            }
        }
    }
    let Lbfgs { x, value, gradient, stopped, .. } = state;
    Ok(Minimum { x, value, gradient, iterations: made, evaluations, reason: stopped })
}

/// A point on the line of a search.
#[derive(Clone, Debug)]
struct Point {
    /// Distance in units of the direction.
    step: f64,
    value: f64,
    /// Derivative along the direction.
    slope: f64,
    x: Vec<f64>,
    gradient: Vec<f64>,
}

/// A search along a line for a point that satisfies the strong Wolfe conditions.
struct Search<'a, F> {
    origin: &'a Lbfgs,
    direction: &'a [f64],
    /// Derivative at the origin, negative.
    slope: f64,
    objective: &'a mut F,
    evaluations: usize,
}

impl<'a, E, F: FnMut(&[f64], &mut [f64]) -> Result<f64, E>> Search<'a, F> {
    fn new(origin: &'a Lbfgs, direction: &'a [f64], slope: f64, objective: &'a mut F) -> Self {
        Self { origin, direction, slope, objective, evaluations: 0 }
    }

    fn at(&mut self, step: f64) -> Result<Point, E> {
        let x: Vec<f64> = self.origin.x.iter().zip(self.direction).map(|(x, d)| x + step * d).collect();
        let mut gradient = vec![0.0; x.len()];
        let value = (self.objective)(&x, &mut gradient)?;
        self.evaluations += 1;
        let slope = dot(&gradient, self.direction);
        Ok(Point { step, value, slope, x, gradient })
    }

    fn start(&self) -> Point {
        let origin = self.origin;
        Point {
            step: 0.0,
            value: origin.value,
            slope: self.slope,
            x: origin.x.clone(),
            gradient: origin.gradient.clone(),
        }
    }

    fn decreases_enough(&self, point: &Point) -> bool {
        point.value.is_finite()
            && point.slope.is_finite()
            && point.value <= self.origin.value + self.origin.options.decrease * point.step * self.slope
    }

    fn is_flat_enough(&self, point: &Point) -> bool {
        point.slope.abs() <= self.origin.options.curvature * self.slope.abs()
    }

    fn evaluations_left(&self) -> bool {
        self.evaluations < self.origin.options.evaluations.max(1)
    }

    /// Algorithm 3.5: longer and longer steps until one satisfies the conditions or an interval is known to hold one that does.
    fn run(&mut self, first: f64) -> Result<Option<Point>, E> {
        let mut previous = self.start();
        let mut step = first;
        while self.evaluations_left() {
            let point = self.at(step)?;
            if !self.decreases_enough(&point) || previous.step > 0.0 && point.value >= previous.value {
                return self.zoom(previous, point);
            }
            if self.is_flat_enough(&point) {
                return Ok(Some(point));
            }
            if point.slope >= 0.0 {
                return self.zoom(point, previous);
            }
            let (low, high) = (2.0 * step, 10.0 * step);
            step = cubic_minimum(&previous, &point).filter(|s| *s > low).map_or(low, |s| s.min(high));
            previous = point;
        }
        Ok(self.accepted(previous))
    }

    /// Algorithm 3.6: `low` is the lowest point so far that decreases enough, and the interval between it and `high` holds a point that satisfies both
    /// conditions.
    fn zoom(&mut self, mut low: Point, mut high: Point) -> Result<Option<Point>, E> {
        while self.evaluations_left() {
            let width = high.step - low.step;
            // Neither end again, and at least a tenth of the interval less every time.
            let inside = |step: &f64| (0.1..=0.9).contains(&((step - low.step) / width));
            let middle = low.step + if high.value.is_finite() { 0.5 } else { 0.1 } * width;
            let step = cubic_minimum(&low, &high).filter(inside).unwrap_or(middle);
            if step == low.step || step == high.step {
                break;
            }
            let point = self.at(step)?;
            if !self.decreases_enough(&point) || point.value >= low.value {
                high = point;
                continue;
            }
            if self.is_flat_enough(&point) {
                return Ok(Some(point));
            }
            if point.slope * width >= 0.0 {
                high = low;
            }
            low = point;
        }
        Ok(self.accepted(low))
    }

    /// A point that is lower, though not flat enough: better than none.
    fn accepted(&self, point: Point) -> Option<Point> {
        (point.step > 0.0 && point.value < self.origin.value).then_some(point)
    }
}

/// Where the cubic polynomial with the values and slopes of two points has its minimum (equation 3.59); `None` if it has none.
fn cubic_minimum(a: &Point, b: &Point) -> Option<f64> {
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.step - b.step);
    let d2 = (d1 * d1 - a.slope * b.slope).sqrt().copysign(b.step - a.step);
    let step = b.step - (b.step - a.step) * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
    step.is_finite().then_some(step)
}

/// `a^T b`, over pieces of fixed size.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let piece = |(a, b): (&[f64], &[f64])| -> f64 {
        // Eight sums side by side, so that the loop can use vectors.
        let mut sums = [0.0; 8];
        let (heads, tails) = (a.chunks_exact(8), a.chunks_exact(8).remainder());
        let rest: f64 = tails.iter().zip(&b[a.len() - tails.len()..]).map(|(a, b)| a * b).sum();
        for (a, b) in heads.zip(b.chunks_exact(8)) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += a * b;
            }
        }
        sums.iter().sum::<f64>() + rest
    };
    if a.len() <= 4 * CHUNK {
        return a.chunks(CHUNK).zip(b.chunks(CHUNK)).map(piece).sum();
    }
    let sums: Vec<f64> = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).map(piece).collect();
    sums.iter().sum()
}

/// `y += scale x`.
fn add_scaled(y: &mut [f64], scale: f64, x: &[f64]) {
    let piece = |(y, x): (&mut [f64], &[f64])| y.iter_mut().zip(x).for_each(|(y, x)| *y += scale * x);
    if y.len() <= 4 * CHUNK {
        piece((y, x));
    } else {
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(piece);
    }
}
