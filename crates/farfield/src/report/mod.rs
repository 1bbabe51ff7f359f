//! Reports: what a run shows to people.
//!
//! A [`Report`] is plain data (facts, tables, figures, notes) that the commands fill. [`Report::write`] turns it into one
//! self-contained page `report.html` (style and pictures inside, no scripts, nothing loaded from elsewhere) and the same
//! pictures as files in `plots/`: PNG always, SVG for drawings of lines.
//!
//! | data | picture |
//! | --- | --- |
//! | [`LossCurves`], [`SlopeCurves`] | curves against epochs or steps |
//! | [`FieldSample`] | input, truth, prediction and signed error in 1D, 2D, 3D |
//! | [`RolloutCurves`], [`RolloutFields`] | errors of models against time, and one trajectory beside the true one |
//! | [`ErrorPlot`] | distribution of errors over the samples of several sets |
//! | [`XyPlot`] | series with bands, levels and guides, for example error against number of samples |
//! | [`DotPlot`] | a number for each pair of a row and a series, beside the number it is compared with |
//! | [`hss_structure`] | the blocks of an HSS matrix, coloured by rank |
//! | [`BlockStructure`] | the leaves of any hierarchical matrix, coloured by rank |
//!
//! Numbers that cannot be drawn (not finite, or not positive on a logarithmic axis) are left out, counted, and noted with
//! the figure; no data makes a picture fail. Pictures are the same bytes for the same data.

mod blocks;
mod canvas;
mod colour;
mod distribution;
mod document;
mod dot_plot;
mod error;
mod field;
mod field_images;
mod field_lines;
mod heat_map;
mod html;
mod lettering;
mod number;
mod panel;
mod picture;
mod polyline;
mod rollout;
mod stack;
mod store;
mod structure;
mod table;
#[cfg(test)]
mod tests;
mod ticks;
mod training;
mod xy_plot;

pub use blocks::{BlockStructure, DrawnBlock};
pub use distribution::{ErrorDistribution, ErrorPlot};
pub use document::{Figure, FigureContent, Report};
pub use dot_plot::{DotPlot, DotSeries};
pub use error::ReportError;
pub use field::FieldSample;
pub use number::{format_count, format_number};
pub use picture::Picture;
pub use rollout::{RolloutCurve, RolloutCurves, RolloutFields};
pub use structure::{hss_structure, hss_structure_plot};
pub use table::{Cell, Table};
pub use ticks::Scale;
pub use training::{LayerSlopes, LossCurves, SlopeCurves};
pub use xy_plot::{Guide, Level, Series, XyPlot, xy_plot};
