//! How samples reach the trainer: normalised once and kept in memory, or read batch by batch ahead of use.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use burn::tensor::{Device, Int, Tensor, TensorData};
use farfield_data::{Dataset, Real};

use crate::config::Precision;
use crate::error::NnError;
use crate::metrics::Normalizers;

/// Sets of at most so many bytes in training precision are kept in memory.
const IN_MEMORY_LIMIT: usize = 1 << 30;

/// Some samples of a data set.
#[derive(Clone, Copy)]
pub struct Samples<'a> {
    /// The set.
    pub dataset: &'a Dataset,
    /// Which of its samples.
    pub indices: &'a [usize],
}

/// A batch: inputs and outputs, `[batch, channels, points]`, normalised.
pub(crate) type Batch = (Tensor<3>, Tensor<3>);

/// Samples ready for training on a device.
pub(crate) struct TrainingData<'a> {
    samples: Samples<'a>,
    normalizers: &'a Normalizers,
    precision: Precision,
    device: Device,
    /// Inputs and outputs as `[samples, values]`: rows are copied faster from two axes than from three.
    in_memory: Option<(Tensor<2>, Tensor<2>)>,
}

impl<'a> TrainingData<'a> {
    /// Prepares `samples`; reads them all if they fit the memory limit.
    pub(crate) fn new(
        samples: Samples<'a>,
        normalizers: &'a Normalizers,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, NnError> {
        Self::with_limit(samples, normalizers, precision, device, IN_MEMORY_LIMIT)
    }

    fn with_limit(
        samples: Samples<'a>,
        normalizers: &'a Normalizers,
        precision: Precision,
        device: &Device,
        limit: usize,
    ) -> Result<Self, NnError> {
        let device = device.clone().without_autodiff();
        let mut data = Self { samples, normalizers, precision, device, in_memory: None };
        let sample = samples.dataset.input_shape().len() + samples.dataset.output_shape().len();
        if sample.saturating_mul(samples.indices.len()).saturating_mul(precision.size()) <= limit {
            let (x, y) = data.read(samples.indices)?.into_device(&data.device);
            data.in_memory = Some((x.flatten(1, 2), y.flatten(1, 2)));
        }
        Ok(data)
    }

    /// Calls `take` with every batch of `batches` (positions in the list of samples), in order. While one batch
    /// is worked on, the next is read on another thread. Ends early when `take` returns `false` or an error.
    pub(crate) fn for_each_batch(
        &self,
        batches: &[Vec<usize>],
        mut take: impl FnMut(usize, Batch) -> Result<bool, NnError>,
    ) -> Result<(), NnError> {
        if let Some((x, y)) = &self.in_memory {
            let (input, output) = (self.samples.dataset.input_shape(), self.samples.dataset.output_shape());
            for batch in batches {
                let rows: Vec<i64> = batch.iter().map(|&i| i as i64).collect();
                let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [batch.len()]), &self.device);
                let x = x.clone().select(0, rows.clone()).reshape([batch.len(), input.channels, input.points()]);
                let y = y.clone().select(0, rows).reshape([batch.len(), output.channels, output.points()]);
                if !take(batch.len(), (x, y))? {
                    break;
                }
            }
            return Ok(());
        }
        std::thread::scope(|scope| {
            let ahead = self.read_ahead(scope, batches);
            for batch in batches {
                let Ok(pair) = ahead.recv() else { break };
                if !take(batch.len(), pair?.into_device(&self.device))? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Reads batches on a thread of `scope`, one ahead of the receiver. The thread ends with the receiver.
    fn read_ahead<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        batches: &'scope [Vec<usize>],
    ) -> Receiver<Result<HostBatch, NnError>> {
        let (sender, receiver) = sync_channel(0);
        scope.spawn(move || {
            for batch in batches {
                let indices: Vec<usize> = batch.iter().map(|&i| self.samples.indices[i]).collect();
                if sender.send(self.read(&indices)).is_err() {
                    break;
                }
            }
        });
        receiver
    }

    /// Reads and normalises samples by their number in the data set.
    fn read(&self, indices: &[usize]) -> Result<HostBatch, NnError> {
        match self.precision {
            Precision::F32 => self.read_as::<f32>(indices),
            Precision::F64 => self.read_as::<f64>(indices),
        }
    }

    fn read_as<T: Real + burn::tensor::Element>(&self, indices: &[usize]) -> Result<HostBatch, NnError> {
        let dataset = self.samples.dataset;
        let (input, output) = (dataset.input_shape(), dataset.output_shape());
        let mut x = vec![T::default(); indices.len() * input.len()];
        let mut y = vec![T::default(); indices.len() * output.len()];
        dataset.read(indices, &mut x, &mut y)?;
        self.normalizers.input.apply(&mut x, input.points())?;
        self.normalizers.output.apply(&mut y, output.points())?;
        Ok(HostBatch {
            x: TensorData::new(x, [indices.len(), input.channels, input.points()]),
            y: TensorData::new(y, [indices.len(), output.channels, output.points()]),
        })
    }
}

struct HostBatch {
    x: TensorData,
    y: TensorData,
}

impl HostBatch {
    fn into_device(self, device: &Device) -> Batch {
        let dtype = self.x.dtype();
        (Tensor::from_data(self.x, (device, dtype)), Tensor::from_data(self.y, (device, dtype)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farfield_data::{Normalizer, OpenOptions};

    #[test]
    fn memory_and_disk_give_the_same_batches() {
        let x: Vec<f64> = (0..7 * 4).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|v| 10.0 - v).collect();
        let dataset = Dataset::from_arrays("test", x, &[7, 4], y, &[7, 4], &OpenOptions::default()).unwrap();
        let normalizers =
            Normalizers { input: Normalizer::new(vec![1.0], vec![2.0]).unwrap(), output: Normalizer::identity(1) };
        let samples = Samples { dataset: &dataset, indices: &[6, 2, 3, 0] };
        let batches = [vec![3, 1], vec![0], vec![2]];
        let collect = |limit| {
            let data = TrainingData::with_limit(samples, &normalizers, Precision::F64, &Device::flex(), limit).unwrap();
            let mut all = Vec::new();
            data.for_each_batch(&batches, |size, (x, y)| {
                assert_eq!((x.dims(), y.dims()), ([size, 1, 4], [size, 1, 4]));
                all.extend(x.to_data().iter::<f64>().chain(y.to_data().iter::<f64>()));
                Ok(true)
            })
            .unwrap();
            all
        };
        let memory = collect(1 << 20);
        assert_eq!(memory, collect(0));
        assert_eq!(memory[..4], [-0.5, 0.0, 0.5, 1.0]);
        assert_eq!(memory[4..8], [3.5, 4.0, 4.5, 5.0]);
        assert_eq!(memory[8..12], [10.0, 9.0, 8.0, 7.0]);

        let data = TrainingData::with_limit(samples, &normalizers, Precision::F32, &Device::flex(), 0).unwrap();
        let mut taken = 0;
        data.for_each_batch(&batches, |_, _| {
            taken += 1;
            Ok(taken < 2)
        })
        .unwrap();
        assert_eq!(taken, 2);
    }
}
