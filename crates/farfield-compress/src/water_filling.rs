//! Sharing out a tolerance over the blocks of a weight so that it costs the fewest bytes.
//!
//! Squared errors of disjoint blocks add exactly, so "fewest bytes with `sum_b e_b^2 <= T^2`" separates once the error has a price: for a price
//! `lambda` per squared error every block takes, on its own, the cheapest of
//!
//! * dense: `m n b` bytes, no error;
//! * low rank: the singular values with `lambda sigma^2 > (m + n) b` are kept, the others dropped;
//! * split: what its children cost.
//!
//! This is water-filling: over all low-rank blocks together, the singular values with the least squared error per byte saved are dropped first. Bytes fall and
//! errors grow as `lambda` falls, so bisection finds the `lambda` of a tolerance or of a budget, also of one shared by several weights. A result is
//! the best one for its own error; what is left of the tolerance below it (partitions change in jumps) is spent at a fixed partition by dropping
//! further singular values, smallest first.
//!
//! Cost: one pass over the singular values a step, about 60 steps.

use crate::block_spectra::BlockSpectra;

/// Bytes of the parts of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prices {
    /// Of one number.
    pub number: f64,
    /// Of a block beside its numbers.
    pub block: f64,
    /// Weight of a squared error; 1 for one weight alone.
    pub importance: f64,
}

/// How each block of the partition is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlannedBlock {
    /// Its node.
    pub node: usize,
    /// Its rank; `None` if it is dense.
    pub rank: Option<usize>,
}

/// A partition with ranks.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub blocks: Vec<PlannedBlock>,
    pub bytes: f64,
    pub square_error: f64,
}

impl BlockSpectra {
    /// The cheapest partition where a squared error costs `lambda` bytes.
    pub fn plan_at(&self, lambda: f64, prices: Prices) -> Plan {
        #[derive(Clone, Copy)]
        enum Take {
            Dense,
            LowRank(usize),
            Split,
        }
        let lambda = lambda * prices.importance;
        let mut best = vec![(0.0, 0.0, Take::Dense); self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let (m, n) = (node.rows.len() as f64, node.cols.len() as f64);
            let mut choice = (m * n * prices.number + prices.block, 0.0, Take::Dense);
            let value = |bytes: f64, error: f64| if error > 0.0 { bytes + lambda * error } else { bytes };
            if let Some(squares) = &node.squares {
                let step = (m + n) * prices.number;
                let rank = squares.partition_point(|&s| s > 0.0 && lambda * s > step);
                let error: f64 = squares[rank..].iter().rev().sum();
                let bytes = rank as f64 * step + prices.block;
                if value(bytes, error) < value(choice.0, choice.1) {
                    choice = (bytes, error, Take::LowRank(rank));
                }
            }
            if !node.children.is_empty() {
                let children = &best[node.children.clone()];
                let bytes: f64 = children.iter().map(|c| c.0).sum();
                let error: f64 = children.iter().map(|c| c.1).sum();
                if value(bytes, error) < value(choice.0, choice.1) {
                    choice = (bytes, error, Take::Split);
                }
            }
            best[i] = choice;
        }
        let (mut blocks, mut open) = (Vec::new(), vec![0]);
        while let Some(node) = open.pop() {
            match best[node].2 {
                Take::Split => open.extend(self.nodes[node].children.clone().rev()),
                Take::Dense => blocks.push(PlannedBlock { node, rank: None }),
                Take::LowRank(rank) => blocks.push(PlannedBlock { node, rank: Some(rank) }),
            }
        }
        Plan { blocks, bytes: best[0].0, square_error: best[0].1 }
    }

    /// The cheapest partition with a squared error of at most `square_tolerance`.
    pub fn plan_for(&self, square_tolerance: f64, prices: Prices) -> Plan {
        let prices = Prices { importance: 1.0, ..prices };
        let (mut low, mut high) = (-400.0, 400.0);
        let mut plan = self.plan_at(2f64.powf(high), prices);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            let next = self.plan_at(2f64.powf(middle), prices);
            if next.square_error <= square_tolerance {
                (high, plan) = (middle, next);
            } else {
                low = middle;
            }
        }
        self.spend(&mut plan, square_tolerance, prices);
        plan
    }

    /// Drops further singular values of the partition while the error stays within `square_tolerance`.
    fn spend(&self, plan: &mut Plan, square_tolerance: f64, prices: Prices) {
        let mut candidates = Vec::new();
        for (k, block) in plan.blocks.iter().enumerate() {
            if let (Some(rank), Some(squares)) = (block.rank, &self.nodes[block.node].squares) {
                let node = &self.nodes[block.node];
                let step = (node.rows.len() + node.cols.len()) as f64 * prices.number;
                candidates.extend(squares[..rank].iter().map(|&s| (s / step, s, step, k)));
            }
        }
        candidates.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.3.cmp(&b.3)));
        for (_, square, step, k) in candidates {
            if plan.square_error + square > square_tolerance {
                break;
            }
            // Within a block the smallest come first, so the rank goes down by one.
            plan.square_error += square;
            plan.bytes -= step;
            plan.blocks[k].rank = plan.blocks[k].rank.map(|rank| rank.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_spectra::BlockNode;

    /// A whole of 8 x 8 with four quarters.
    fn spectra(whole: Option<Vec<f64>>, quarters: [Vec<f64>; 4]) -> BlockSpectra {
        let mut nodes = vec![BlockNode { rows: 0..8, cols: 0..8, level: 0, squares: whole, children: 1..5 }];
        for (q, squares) in quarters.into_iter().enumerate() {
            let (i, j) = (q / 2 * 4, q % 2 * 4);
            let rows = i..i + 4;
            nodes.push(BlockNode { rows, cols: j..j + 4, level: 1, squares: Some(squares), children: 0..0 });
        }
        BlockSpectra { nodes }
    }

    const PRICES: Prices = Prices { number: 1.0, block: 0.0, importance: 1.0 };

    #[test]
    fn small_singular_values_of_all_blocks_are_dropped_first() {
        let tree = spectra(None, [vec![100.0, 4.0], vec![9.0, 1.0], vec![1.0], vec![100.0, 100.0, 100.0]]);
        let plan = tree.plan_for(2.0, PRICES);
        let ranks: Vec<_> = plan.blocks.iter().map(|b| b.rank).collect();
        // Two of eight numbers each would be no less than the sixteen of a dense quarter.
        assert_eq!(ranks, [None, Some(1), Some(0), None]);
        assert_eq!((plan.square_error, plan.bytes), (2.0, 40.0));
    }

    #[test]
    fn what_is_left_of_the_tolerance_is_spent() {
        let tree = spectra(None, [vec![3.0], vec![3.0], vec![3.0], vec![3.0]]);
        let plan = tree.plan_for(7.0, PRICES);
        assert_eq!((plan.square_error, plan.bytes), (6.0, 16.0));
        assert_eq!(tree.plan_for(0.0, PRICES).bytes, 32.0);
    }

    #[test]
    fn the_whole_is_kept_where_it_is_cheaper() {
        let one = || vec![25.0];
        let tree = spectra(Some(vec![100.0]), [one(), one(), one(), one()]);
        assert_eq!(tree.plan_for(0.0, PRICES).blocks, [PlannedBlock { node: 0, rank: Some(1) }]);
        let dense = spectra(None, [vec![1.0; 4], vec![1.0; 4], vec![1.0; 4], vec![1.0; 4]]);
        let plan = dense.plan_for(0.0, Prices { block: 1.0, ..PRICES });
        assert_eq!(plan.blocks, [PlannedBlock { node: 0, rank: None }]);
    }
}
