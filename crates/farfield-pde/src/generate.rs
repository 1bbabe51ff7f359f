//! Draws many samples in parallel and hands them over in order, in bounded memory.
//!
//! Every sample is computed by one thread from its own key, so the numbers are the same bits for
//! any number of threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::{Evolution, Family, GenerateError, PdeError, Problem, SampleKey, Stream};

/// Samples that a block may hold per thread.
const SAMPLES_PER_THREAD: usize = 32;
/// Bytes that a block may hold, if one sample a thread does not need more.
const BLOCK_BYTES: usize = 64 << 20;

/// Generates the samples `samples.start..samples.end` of a set and hands each one, in this order,
/// to `sink(index, input, output)` on the calling thread.
///
/// Samples are computed by rayon's current pool in blocks of at most 32 a thread and 64 MiB (one a
/// thread if samples are large). `input` has `channels().0` x grid numbers, `output` `channels().1`
/// x output grid. An empty range is no error.
///
/// # Errors
/// The first sample, by index, that cannot be computed, or the first error of the sink; nothing is
/// handed over after it.
pub fn generate<E>(
    problem: &dyn Problem,
    family: Family,
    seed: u64,
    stream: Stream,
    samples: Range<u64>,
    mut sink: impl FnMut(u64, &[f64], &[f64]) -> Result<(), E>,
) -> Result<(), GenerateError<E>> {
    let points = |grid: Vec<usize>| grid.iter().product::<usize>();
    let (channels_in, channels_out) = problem.channels();
    let lengths = (channels_in * points(problem.grid()), channels_out * points(problem.output_grid()));
    let draw =
        |index, (input, output): &mut Pair| problem.sample(family, SampleKey { seed, stream, index }, input, output);
    in_order(samples, lengths, draw, |index, (input, output)| sink(index, input, output))
}

/// Generates the trajectories `samples.start..samples.end` of a set and hands each one, in this
/// order, to `sink(index, scalars, states)` on the calling thread: as [`generate`], with the buffers
/// of [`Evolution::trajectory`].
///
/// # Errors
/// As [`generate`].
pub fn generate_trajectories<E>(
    evolution: &dyn Evolution,
    family: Family,
    seed: u64,
    stream: Stream,
    samples: Range<u64>,
    mut sink: impl FnMut(u64, &[f64], &[f64]) -> Result<(), E>,
) -> Result<(), GenerateError<E>> {
    let state = evolution.fields().len() * evolution.grid().iter().product::<usize>();
    let lengths = (evolution.scalars().len(), evolution.times().len() * state);
    let draw = |index, (scalars, states): &mut Pair| {
        evolution.trajectory(family, SampleKey { seed, stream, index }, scalars, states)
    };
    in_order(samples, lengths, draw, |index, (scalars, states)| sink(index, scalars, states))
}

/// The two buffers of a sample.
type Pair = (Vec<f64>, Vec<f64>);

/// Fills pairs of buffers by `draw`, a block of them in parallel, and hands them to `sink` in order.
fn in_order<E>(
    samples: Range<u64>,
    (first, second): (usize, usize),
    draw: impl Fn(u64, &mut Pair) -> Result<(), PdeError> + Sync,
    mut sink: impl FnMut(u64, &Pair) -> Result<(), E>,
) -> Result<(), GenerateError<E>> {
    let bytes = (first + second) * size_of::<f64>();
    let threads = rayon::current_num_threads();
    let block = (BLOCK_BYTES / bytes.max(1)).clamp(threads, threads * SAMPLES_PER_THREAD);

    let mut pairs: Vec<Pair> = Vec::new();
    let mut start = samples.start;
    while start < samples.end {
        let count = (samples.end - start).min(block as u64) as usize;
        if pairs.len() < count {
            pairs.resize_with(count, || (vec![0.0; first], vec![0.0; second]));
        }
        let results: Vec<Result<(), PdeError>> =
            pairs[..count].par_iter_mut().enumerate().map(|(i, pair)| draw(start + i as u64, pair)).collect();
        for ((result, index), pair) in results.into_iter().zip(start..).zip(&pairs) {
            result.map_err(|source| GenerateError::Sample { index, source })?;
            sink(index, pair).map_err(|source| GenerateError::Sink { index, source })?;
        }
        start += count as u64;
    }
    Ok(())
}
