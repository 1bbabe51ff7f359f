//! A layer's flat parameters as named, stacked arrays, one a level and kind, as model files have them.
//!
//! `mode{j}.level{l}.{D,U,V}` has shape `[r_out, 2^l, rows, cols]`. Leaves whose sizes differ are padded with zeros to the
//! largest. Arrays without entries (`U`, `V` and inner levels at rank 0) are left out.

use farfield_kernels::{Block, HssLayout, Node};

use crate::layer_spec::LayerSpec;

/// One stacked array of one mode.
pub(crate) struct Stack {
    /// `mode{j}.level{l}.{D,U,V}`.
    pub(crate) name: String,
    /// `[r_out, 2^l, rows, cols]`.
    pub(crate) shape: [usize; 4],
    mode: usize,
    level: usize,
    kind: char,
}

/// The arrays of a layer, in the order of its flat vector.
pub(crate) fn stacks(spec: &LayerSpec) -> Vec<Stack> {
    let mut all = Vec::new();
    for (mode, layout) in spec.modes().iter().enumerate() {
        for level in (0..=layout.levels()).rev() {
            for kind in ['D', 'U', 'V'] {
                let nodes = layout.level(level);
                let rows = nodes.iter().map(|n| block(n, kind).rows).max().unwrap_or(0);
                let cols = nodes.iter().map(|n| block(n, kind).cols).max().unwrap_or(0);
                if rows * cols > 0 {
                    let name = format!("mode{mode}.level{level}.{kind}");
                    let shape = [spec.outer_rank(), nodes.len(), rows, cols];
                    all.push(Stack { name, shape, mode, level, kind });
                }
            }
        }
    }
    all
}

fn block(node: &Node, kind: char) -> Block {
    match kind {
        'D' => node.d,
        'U' => node.u,
        _ => node.v,
    }
}

impl Stack {
    fn layout<'a>(&self, spec: &'a LayerSpec) -> &'a HssLayout {
        &spec.modes()[self.mode]
    }

    /// Calls `visit` with every row of every block: its range in the flat vector and its start in the array.
    fn for_each_row(&self, spec: &LayerSpec, mut visit: impl FnMut(std::ops::Range<usize>, usize)) {
        let [terms, count, rows, cols] = self.shape;
        for term in 0..terms {
            let offset = spec.offset(term, self.mode);
            for (i, node) in self.layout(spec).level(self.level).iter().enumerate() {
                let block = block(node, self.kind);
                for row in 0..block.rows {
                    let from = offset + block.offset + row * block.cols;
                    visit(from..from + block.cols, ((term * count + i) * rows + row) * cols);
                }
            }
        }
    }

    /// The array, from the flat vector.
    pub(crate) fn gather<T: Copy + Default>(&self, spec: &LayerSpec, flat: &[T]) -> Vec<T> {
        let mut array = vec![T::default(); self.shape.iter().product()];
        self.for_each_row(spec, |range, at| {
            array[at..at + range.len()].copy_from_slice(&flat[range]);
        });
        array
    }

    /// Puts the array into the flat vector.
    ///
    /// # Errors
    /// When the padding is not zero.
    pub(crate) fn scatter<T: Copy + Default + PartialEq>(
        &self,
        spec: &LayerSpec,
        array: &[T],
        flat: &mut [T],
    ) -> Result<(), &'static str> {
        self.for_each_row(spec, |range, at| {
            let len = range.len();
            flat[range].copy_from_slice(&array[at..at + len]);
        });
        if self.gather(spec, flat) == array { Ok(()) } else { Err("padding that is not zero") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_one_place() {
        for (grid, levels, rank) in [(vec![16], 2, 2), (vec![13], 2, 1), (vec![3], 2, 1), (vec![5, 9], 1, 0)] {
            let spec = LayerSpec::uniform(&grid, &grid, levels, rank, 3).unwrap();
            let flat: Vec<f64> = (1..=spec.len()).map(|v| v as f64).collect();
            let mut back = vec![0.0; spec.len()];
            for stack in stacks(&spec) {
                let array = stack.gather(&spec, &flat);
                stack.scatter(&spec, &array, &mut back).unwrap();
            }
            assert_eq!(flat, back);
        }
        let spec = LayerSpec::uniform(&[5], &[5], 1, 1, 1).unwrap();
        let stack = &stacks(&spec)[0];
        assert_eq!((stack.name.as_str(), stack.shape), ("mode0.level1.D", [1, 2, 3, 3]));
        assert!(stack.scatter(&spec, &[1.0; 18], &mut vec![0.0; spec.len()]).is_err());
    }
}
