//! A skeleton in words and numbers.

use std::fmt;
use std::ops::RangeInclusive;

use farfield_kernels::H2Spec;

use super::H2Skeleton;
use crate::cluster_tree::ClusterTree;

/// Smallest and largest of some numbers.
fn spread(numbers: impl Iterator<Item = usize>) -> Option<RangeInclusive<usize>> {
    numbers.fold(None, |range: Option<RangeInclusive<usize>>, n| match range {
        Some(range) => Some(n.min(*range.start())..=n.max(*range.end())),
        None => Some(n..=n),
    })
}

fn text(range: Option<RangeInclusive<usize>>) -> String {
    match range {
        None => "-".to_owned(),
        Some(range) if range.start() == range.end() => range.start().to_string(),
        Some(range) => format!("{}-{}", range.start(), range.end()),
    }
}

/// Clusters, points and ranks of one level.
fn level(tree: &ClusterTree, ranks: &[usize], level: usize) -> [String; 3] {
    let clusters = if level <= tree.depth() { tree.level(level) } else { 0..0 };
    let points = spread(clusters.clone().map(|c| tree.cluster(c).len()));
    let ranks = spread(clusters.clone().map(|c| ranks[c]).filter(|&rank| rank > 0));
    [clusters.len().to_string(), text(points), text(ranks)]
}

impl fmt::Display for H2Skeleton {
    /// A line for each level (clusters, points, ranks, pairs by the level of the receiver), the near field, and the parameters of an H2-matrix of these sizes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "H2 skeleton of {} receivers and {} sources", self.nrows(), self.ncols())?;
        let header = ["level", "clusters", "points", "rank", "clusters", "points", "rank", "far pairs", "later layers"];
        let groups = ["", "receivers", "", "", "sources", "", "", "", ""];
        let mut lines = vec![groups.map(str::to_owned), header.map(str::to_owned)];
        for l in 0..=self.rows.depth().max(self.cols.depth()) {
            let [clusters, points, rank] = level(&self.rows, &self.row_ranks, l);
            let [col_clusters, col_points, col_rank] = level(&self.cols, &self.col_ranks, l);
            let count = |pairs: &[(usize, usize)]| {
                pairs.iter().filter(|pair| self.rows.cluster(pair.0).level == l).count().to_string()
            };
            let (far, hidden) = (count(&self.far), count(&self.far_hidden));
            lines.push([l.to_string(), clusters, points, rank, col_clusters, col_points, col_rank, far, hidden]);
        }
        let mut widths = [0; 9];
        for line in &lines {
            widths.iter_mut().zip(line).for_each(|(width, cell)| *width = cell.len().max(*width));
        }
        for line in &lines {
            let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        let (near, later) = (self.near.len(), self.near_hidden.len());
        let (row_leaves, col_leaves) = (self.rows.leaves().count(), self.cols.leaves().count());
        writeln!(f, "near field: {near} pairs of {row_leaves} and {col_leaves} leaves, {later} in later layers")?;
        if self.far.is_empty() {
            writeln!(f, "nothing is far: all blocks are dense")?;
        }
        match self.layout(&H2Spec::linear(), 1, 1) {
            Ok(layout) => {
                let full = self.nrows() as f64 * self.ncols() as f64;
                let share = 100.0 * layout.len() as f64 / full;
                write!(f, "parameters of one linear layer: {} ({share:.1} % of the dense matrix)", layout.len())
            }
            Err(error) => write!(f, "parameters of one linear layer: {error}"),
        }
    }
}
