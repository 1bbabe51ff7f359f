//! Which blocks a block-sparse layer has, and where their numbers lie.
//!
//! A layer maps vectors of numbers in *slots*, one a cluster, to vectors in other slots. For every pair `(k, l)` of the pattern it has a block, of as many rows
//! as output slot `k` and columns as input slot `l` have numbers (H2-NN, arXiv 2212.12899, eq. 4):
//!
//! ```text
//! y_k = f( b_k + sum over pairs (k, l) of h(W_kl x_l + c_kl) )
//! ```
//!
//! with `f` outside and `h` inside. In the second variant (end of section 2.2) every block is a feed-forward network of its own, of `unit_depth` products:
//! `h(W_kl^(d) g(... g(W_kl^(1) x_l + c^(1)) ...) + c^(d))`. With [`BlockLayerSpec::bias`] there are `b_k` where the list of `k` is not empty, and `c` before
//! every activation inside a block that is not the identity. A slot without pairs gets zeros.
//!
//! In the flat slice the outputs come in groups (one a level); in a group, for each product of the units all blocks and then all its biases; then all
//! `b_k`. Blocks are row-major, in the order of output and input.

use std::ops::Range;

use super::activation::Activation;
use crate::error::LayoutError;
use crate::layout::Block;

/// What happens in one block-sparse layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockLayerSpec {
    /// `f`, on the sum; ReLU by default.
    pub outside: Activation,
    /// `h`, on the contribution of each block before summation; the identity by default.
    pub inside: Activation,
    /// Products in each block; 1 by default. More make each block a network of its own.
    pub unit_depth: usize,
    /// Numbers between the products of a block; by default as many as the block has rows.
    pub unit_width: Option<usize>,
    /// `g`, between the products of a block; ReLU by default.
    pub unit_activation: Activation,
    /// Whether a constant is added before every activation and to every sum; not by default.
    pub bias: bool,
}

impl Default for BlockLayerSpec {
    fn default() -> Self {
        Self {
            outside: Activation::Relu,
            inside: Activation::Identity,
            unit_depth: 1,
            unit_width: None,
            unit_activation: Activation::Relu,
            bias: false,
        }
    }
}

impl BlockLayerSpec {
    /// `y_k = sum W_kl x_l`.
    pub fn linear() -> Self {
        Self { outside: Activation::Identity, ..Self::default() }
    }

    /// The activation behind product `j` of a block.
    pub(super) fn link_activation(&self, j: usize) -> Activation {
        if j + 1 == self.unit_depth { self.inside } else { self.unit_activation }
    }

    /// Whether the contributions of all blocks are summed as they come out of the products.
    pub(super) fn is_plain(&self) -> bool {
        self.unit_depth == 1 && self.inside.is_identity()
    }

    pub(super) fn check(&self, what: &'static str) -> Result<(), LayoutError> {
        for activation in [self.outside, self.inside, self.unit_activation] {
            activation.check()?;
        }
        if self.unit_depth == 0 || self.unit_width == Some(0) {
            let reason = "a block needs at least one product, and its hidden width at least one number".to_owned();
            return Err(LayoutError::Pattern { what, reason });
        }
        Ok(())
    }
}

/// A named piece of the flat slice: blocks of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// As `far.0.level2.W`; no two parts of a layer share a name.
    pub name: String,
    /// Its place in the flat slice.
    pub range: Range<usize>,
    /// Its blocks, one after the other without gaps; a bias is a block of one column.
    pub blocks: Vec<Block>,
    /// For each block how many numbers enter each sum that it has a part in, and how many sums each of its inputs goes into: the fans of
    /// Glorot's initialisation when the layer is seen as one sparse matrix. For the block alone they are its columns and rows. `(0, 0)` for biases.
    pub fans: Vec<(usize, usize)>,
}

impl Part {
    /// `[count, rows, columns]` when all blocks have one shape.
    pub fn stacked(&self) -> Option<[usize; 3]> {
        let first = self.blocks.first()?;
        let same = self.blocks.iter().all(|b| (b.rows, b.cols) == (first.rows, first.cols));
        same.then_some([self.blocks.len(), first.rows, first.cols])
    }

    /// Whether its blocks are biases.
    pub fn is_bias(&self) -> bool {
        self.fans.first() == Some(&(0, 0))
    }
}

/// Where the numbers of a cluster lie among those of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub start: usize,
    pub len: usize,
}

/// One pair; its products are `links[number * unit_depth ..][..unit_depth]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub output: usize,
    pub input: usize,
}

/// One product of a block: its matrix and its bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub weights: Block,
    pub bias: Option<usize>,
}

/// Slots, pairs and offsets of one block-sparse layer. Cost of construction: O(pairs log pairs).
#[derive(Clone, Debug, PartialEq)]
pub struct BlockPattern {
    pub(super) spec: BlockLayerSpec,
    pub(super) outputs: Vec<Slot>,
    pub(super) inputs: Vec<Slot>,
    /// By output, then by input.
    pub(super) pairs: Vec<Pair>,
    pub(super) links: Vec<Link>,
    /// First pair of each output.
    pub(super) by_output: Vec<usize>,
    /// First place of each input in `pairs_by_input`, which lists pairs by input, then by output.
    pub(super) by_input: Vec<usize>,
    pub(super) pairs_by_input: Vec<usize>,
    /// Where `b_k` lies.
    pub(super) sum_bias: Vec<Option<usize>>,
    /// Multiply-adds of all outputs (inputs) before each.
    pub(super) output_work: Vec<usize>,
    pub(super) input_work: Vec<usize>,
    /// The largest number of rows of a product.
    pub(super) widest: usize,
    range: Range<usize>,
    n_out: usize,
    n_in: usize,
}

/// What [`BlockPattern::build`] makes a pattern of.
pub(super) struct Template<'a> {
    pub what: &'static str,
    pub outputs: Vec<Slot>,
    pub inputs: Vec<Slot>,
    /// Numbers of the whole vectors, of which the slots are parts.
    pub sizes: (usize, usize),
    pub pairs: &'a [(usize, usize)],
    /// Names and outputs of the groups, in order.
    pub groups: Vec<(String, Range<usize>)>,
    pub spec: BlockLayerSpec,
}

/// Hands out places in the flat slice and keeps the names.
#[derive(Default)]
pub(super) struct Places {
    pub len: usize,
    pub parts: Vec<Part>,
}

impl Places {
    fn place(&mut self, what: &'static str, rows: usize, cols: usize) -> Result<Block, LayoutError> {
        let block = Block { offset: self.len, rows, cols };
        let end = rows.checked_mul(cols).and_then(|len| self.len.checked_add(len));
        // Bytes must be addressable too.
        self.len = end
            .filter(|&end| end <= 1 << 48)
            .ok_or_else(|| LayoutError::Pattern { what, reason: "it has too many parameters".to_owned() })?;
        Ok(block)
    }

    fn part(&mut self, name: String, first: usize, blocks: Vec<Block>, fans: Vec<(usize, usize)>) {
        if !blocks.is_empty() {
            self.parts.push(Part { name, range: first..self.len, blocks, fans });
        }
    }
}

impl BlockPattern {
    /// The pattern of slots of these sizes, one behind the other, with a block for every `(output, input)`.
    ///
    /// # Errors
    /// [`LayoutError::Pattern`] for a pair that names no slot or occurs twice, a unit without products, or too many parameters;
    /// [`LayoutError::Slope`] for a slope that is not positive.
    pub fn new(
        outputs: &[usize],
        inputs: &[usize],
        pairs: &[(usize, usize)],
        spec: BlockLayerSpec,
    ) -> Result<Self, LayoutError> {
        let (outputs, n_out) = slots(outputs);
        let (inputs, n_in) = slots(inputs);
        let groups = vec![(String::new(), 0..outputs.len())];
        let what = "block-sparse layer";
        Self::build(
            Template { what, outputs, inputs, sizes: (n_out, n_in), pairs, groups, spec },
            &mut Places::default(),
        )
    }

    pub(super) fn build(template: Template, places: &mut Places) -> Result<Self, LayoutError> {
        let Template { what, outputs, inputs, sizes: (n_out, n_in), pairs, groups, spec } = template;
        spec.check(what)?;
        let bad = |(k, l): (usize, usize), reason: &str| {
            Err(LayoutError::Pattern { what, reason: format!("the pair ({k}, {l}) {reason}") })
        };
        if let Some(&pair) = pairs.iter().find(|(k, l)| *k >= outputs.len() || *l >= inputs.len()) {
            return bad(pair, &format!("is not among {} outputs and {} inputs", outputs.len(), inputs.len()));
        }
        let mut sorted = pairs.to_vec();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|w| w[0] == w[1]) {
            return bad(twice[0], "occurs twice");
        }
        let (by_output, by_input) =
            (starts(outputs.len(), pairs.iter().map(|p| p.0)), starts(inputs.len(), pairs.iter().map(|p| p.1)));
        let pairs: Vec<Pair> = sorted.iter().map(|&(output, input)| Pair { output, input }).collect();
        let mut pairs_by_input: Vec<usize> = (0..pairs.len()).collect();
        pairs_by_input.sort_by_key(|&p| pairs[p].input);

        let depth = spec.unit_depth;
        let size = |pair: Pair, j: usize| {
            let (rows, cols) = (outputs[pair.output].len, inputs[pair.input].len);
            let hidden = spec.unit_width.unwrap_or(rows);
            (if j + 1 == depth { rows } else { hidden }, if j == 0 { cols } else { hidden })
        };
        let row_fan =
            |k: usize| -> usize { (by_output[k]..by_output[k + 1]).map(|p| size(pairs[p], depth - 1).1).sum() };
        let row_fans: Vec<usize> = (0..outputs.len()).map(row_fan).collect();
        let col_fan = |l: usize| -> usize {
            pairs_by_input[by_input[l]..by_input[l + 1]].iter().map(|&p| size(pairs[p], 0).0).sum()
        };
        let col_fans: Vec<usize> = (0..inputs.len()).map(col_fan).collect();
        let blank = Link { weights: Block { offset: 0, rows: 0, cols: 0 }, bias: None };
        let mut links = vec![blank; pairs.len() * depth];
        let mut sum_bias = vec![None; outputs.len()];
        let begin = places.len;
        for (group, range) in groups {
            let name = |kind: &str| if group.is_empty() { kind.to_owned() } else { format!("{group}.{kind}") };
            let of_group = by_output[range.start]..by_output[range.end];
            for j in 0..depth {
                let number = if depth == 1 { String::new() } else { j.to_string() };
                let (first, mut blocks, mut fans) = (places.len, Vec::new(), Vec::new());
                for p in of_group.clone() {
                    let (rows, cols) = size(pairs[p], j);
                    links[p * depth + j].weights = places.place(what, rows, cols)?;
                    blocks.push(links[p * depth + j].weights);
                    let into = if j + 1 == depth { row_fans[pairs[p].output] } else { cols };
                    fans.push((into, if j == 0 { col_fans[pairs[p].input] } else { rows }));
                }
                places.part(name(&format!("W{number}")), first, blocks, fans);
                if spec.bias && !spec.link_activation(j).is_identity() {
                    let (first, mut blocks) = (places.len, Vec::new());
                    for p in of_group.clone() {
                        let block = places.place(what, size(pairs[p], j).0, 1)?;
                        links[p * depth + j].bias = Some(block.offset);
                        blocks.push(block);
                    }
                    let fans = vec![(0, 0); blocks.len()];
                    places.part(name(&format!("c{number}")), first, blocks, fans);
                }
            }
            if spec.bias {
                let (first, mut blocks) = (places.len, Vec::new());
                for k in range.filter(|&k| by_output[k] < by_output[k + 1]) {
                    let block = places.place(what, outputs[k].len, 1)?;
                    sum_bias[k] = Some(block.offset);
                    blocks.push(block);
                }
                let fans = vec![(0, 0); blocks.len()];
                places.part(name("b"), first, blocks, fans);
            }
        }
        let widest = links.iter().map(|link| link.weights.rows).max().unwrap_or(0);
        let work = |pair: usize| links[pair * depth..][..depth].iter().map(|l| l.weights.len()).sum::<usize>();
        let mut output_work = vec![0; outputs.len() + 1];
        let mut input_work = vec![0; inputs.len() + 1];
        for (p, pair) in pairs.iter().enumerate() {
            output_work[pair.output + 1] += work(p);
            input_work[pair.input + 1] += work(p);
        }
        for work in [&mut output_work, &mut input_work] {
            (1..work.len()).for_each(|i| work[i] += work[i - 1]);
        }
        Ok(Self {
            spec,
            outputs,
            inputs,
            pairs,
            links,
            by_output,
            by_input,
            pairs_by_input,
            sum_bias,
            output_work,
            input_work,
            widest,
            range: begin..places.len,
            n_out,
            n_in,
        })
    }

    /// Numbers of an output vector.
    pub fn n_out(&self) -> usize {
        self.n_out
    }

    /// Numbers of an input vector.
    pub fn n_in(&self) -> usize {
        self.n_in
    }

    /// Its place in the flat slice; `0..len` for a pattern made by [`BlockPattern::new`].
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// What the layer does.
    pub fn spec(&self) -> &BlockLayerSpec {
        &self.spec
    }

    /// Multiply-adds of a product with one vector.
    pub fn multiply_adds(&self) -> usize {
        self.output_work[self.output_work.len() - 1]
    }

    /// The pairs `(output, input)`, by output and then by input.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (usize, usize)> {
        self.pairs.iter().map(|pair| (pair.output, pair.input))
    }

    /// Matrix `j` of the block of pair `p`; matrix 0 takes the input.
    ///
    /// # Panics
    /// When there is no such pair or matrix, as for a slice.
    pub fn block(&self, p: usize, j: usize) -> Block {
        assert!(j < self.spec.unit_depth, "matrix {j} of a block of {}", self.spec.unit_depth);
        self.links[p * self.spec.unit_depth + j].weights
    }
}

/// Slots one behind the other, and the sum of their sizes.
fn slots(sizes: &[usize]) -> (Vec<Slot>, usize) {
    let mut end = 0usize;
    let slots = sizes.iter().map(|&len| {
        let slot = Slot { start: end, len };
        end = end.saturating_add(len);
        slot
    });
    (slots.collect(), end)
}

/// Where each of `0..n` begins when the keys are sorted; one more than `n`.
fn starts(n: usize, keys: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut starts = vec![0; n + 1];
    keys.for_each(|k| starts[k + 1] += 1);
    (0..n).for_each(|k| starts[k + 1] += starts[k]);
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_follow_the_documented_order() {
        let spec = BlockLayerSpec {
            inside: Activation::Relu,
            unit_depth: 2,
            unit_width: Some(5),
            bias: true,
            ..BlockLayerSpec::default()
        };
        let pattern = BlockPattern::new(&[2, 3], &[4, 1], &[(1, 1), (0, 0), (1, 0)], spec).unwrap();
        assert_eq!(pattern.pairs().collect::<Vec<_>>(), [(0, 0), (1, 0), (1, 1)]);
        // First products 5 x 4, 5 x 4, 5 x 1, their biases, second products 2 x 5, 3 x 5, 3 x 5, their biases, biases of the sums.
        assert_eq!(pattern.block(1, 0), Block { offset: 20, rows: 5, cols: 4 });
        assert_eq!(pattern.block(2, 0), Block { offset: 40, rows: 5, cols: 1 });
        assert_eq!(pattern.links[4].bias, Some(55));
        assert_eq!(pattern.block(0, 1), Block { offset: 60, rows: 2, cols: 5 });
        assert_eq!(pattern.links[1].bias, Some(100));
        assert_eq!(pattern.sum_bias, [Some(108), Some(110)]);
        assert_eq!((pattern.len(), pattern.multiply_adds()), (113, 45 + 40));
    }

    #[test]
    fn bad_patterns_are_errors() {
        let spec = BlockLayerSpec::default();
        let error =
            |pairs: &[(usize, usize)], spec| BlockPattern::new(&[2, 2], &[3], pairs, spec).unwrap_err().to_string();
        assert_eq!(error(&[(2, 0)], spec), "block-sparse layer: the pair (2, 0) is not among 2 outputs and 1 inputs");
        assert_eq!(error(&[(1, 0), (1, 0)], spec), "block-sparse layer: the pair (1, 0) occurs twice");
        let nothing = BlockLayerSpec { unit_depth: 0, ..spec };
        assert!(error(&[], nothing).contains("at least one product"));
        let falling = BlockLayerSpec { outside: Activation::LeakyRelu { slope: -0.1 }, ..spec };
        assert_eq!(error(&[], falling), "the slope of a LeakyReLU is -0.1, it must be positive");
        let huge = BlockPattern::new(&[usize::MAX / 2], &[usize::MAX / 2], &[(0, 0)], spec).unwrap_err();
        assert!(huge.to_string().contains("too many parameters"));
    }
}
