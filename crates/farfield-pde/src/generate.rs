//! Draws many samples in parallel and hands them over in order, in bounded memory.
//!
//! Every sample is computed by one thread from its own key, so the numbers are the same bits for
//! any number of threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::{Family, GenerateError, PdeError, Problem, SampleKey, Stream};

/// Samples that a block may hold per thread.
const SAMPLES_PER_THREAD: usize = 32;
/// Bytes that a block may hold, if one sample a thread does not need more.
const BLOCK_BYTES: usize = 64 << 20;

/// Generates the samples `samples.start..samples.end` of a set and hands each one, in this order,
/// to `sink(index, input, output)` on the calling thread.
///
/// Samples are computed by rayon's current pool in blocks of at most 32 a thread and 64 MiB (one a
/// thread if samples are large). `input` has `channels().0` x grid numbers, `output` `channels().1`
/// x grid. An empty range is no error.
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
    let points: usize = problem.grid().iter().product();
    let (channels_in, channels_out) = problem.channels();
    let (input_len, output_len) = (channels_in * points, channels_out * points);
    let bytes = (input_len + output_len) * size_of::<f64>();
    let threads = rayon::current_num_threads();
    let block = (BLOCK_BYTES / bytes.max(1)).clamp(threads, threads * SAMPLES_PER_THREAD);

    let mut pairs: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    let mut start = samples.start;
    while start < samples.end {
        let count = (samples.end - start).min(block as u64) as usize;
        if pairs.len() < count {
            pairs.resize_with(count, || (vec![0.0; input_len], vec![0.0; output_len]));
        }
        let results: Vec<Result<(), PdeError>> = pairs[..count]
            .par_iter_mut()
            .enumerate()
            .map(|(i, (input, output))| {
                let key = SampleKey { seed, stream, index: start + i as u64 };
                problem.sample(family, key, input, output)
            })
            .collect();
        for ((result, index), (input, output)) in results.into_iter().zip(start..).zip(&pairs) {
            result.map_err(|source| GenerateError::Sample { index, source })?;
            sink(index, input, output).map_err(|source| GenerateError::Sink { index, source })?;
        }
        start += count as u64;
    }
    Ok(())
}
