//! Cluster trees in files.

use super::container::{Reader, Writer};
use crate::cluster_tree::ClusterTree;
use crate::error::MatrixError;
use crate::points::BoundingBox;

/// Adds `NAME.sizes`, `NAME.order` and, if there are any, `NAME.boxes`.
pub(super) fn write(writer: &mut Writer, name: &str, tree: &ClusterTree) {
    let clusters = tree.clusters();
    let sizes = clusters.iter().flat_map(|c| [c.len() as u64, c.children.len() as u64]).collect();
    writer.integers(&format!("{name}.sizes"), &[clusters.len(), 2], sizes);
    writer.integers(&format!("{name}.order"), &[tree.len()], tree.order().iter().map(|&i| i as u64).collect());
    let boxes: Option<Vec<&BoundingBox>> = clusters.iter().map(|c| c.bounding_box.as_ref()).collect();
    if let Some(boxes) = boxes {
        let columns = 2 * boxes.first().map_or(0, |b| b.low.len());
        let corners = boxes.iter().flat_map(|b| b.low.iter().chain(&b.high)).copied().collect();
        writer.doubles(&format!("{name}.boxes"), &[boxes.len(), columns], corners);
    }
}

/// The tree, checked.
pub(super) fn read(reader: &Reader, name: &str) -> Result<ClusterTree, MatrixError> {
    let sizes = reader.integers(&format!("{name}.sizes"), 2)?;
    let (sizes, _) = sizes.as_chunks::<2>();
    let order = reader.integers(&format!("{name}.order"), 1)?;
    let boxes = format!("{name}.boxes");
    let boxes = if reader.has(&boxes) {
        let (corners, columns) = reader.doubles(&boxes)?;
        if columns == 0 || columns % 2 == 1 {
            return Err(reader.damaged(format!("the boxes of tree {name:?} have {columns} coordinates")));
        }
        let split = |row: &[f64]| {
            let (low, high) = row.split_at(columns / 2);
            BoundingBox { low: low.to_vec(), high: high.to_vec() }
        };
        Some(corners.chunks_exact(columns).map(split).collect())
    } else {
        None
    };
    ClusterTree::from_sizes(sizes, order, boxes)
}
