//! A report as plain data, and its writing into a run directory.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::distribution::ErrorPlot;
use super::dot_plot::DotPlot;
use super::error::ReportError;
use super::field::FieldSample;
use super::html::{Drawn, page};
use super::picture::Picture;
use super::rollout::{RolloutCurves, RolloutFields};
use super::store::{create_folder, write_whole};
use super::structure::hss_structure;
use super::table::Table;
use super::training::{LossCurves, SlopeCurves};
use super::xy_plot::XyPlot;

/// Everything a report shows.
///
/// The data can be stored and read back with serde; JSON has no NaN and no infinity, so a report that holds them cannot be
/// read back from JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Heading of the page.
    pub title: String,
    /// One line below it.
    pub subtitle: String,
    /// Short facts, name and value: data set, seed, device, time.
    pub facts: Vec<(String, String)>,
    /// Tables of results.
    pub tables: Vec<Table>,
    /// Figures, in order.
    pub figures: Vec<Figure>,
    /// Remarks, one paragraph each.
    pub notes: Vec<String>,
    /// The configuration of the run as TOML.
    pub config_toml: String,
}

/// A figure: the data of a picture, the name of its files and its caption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Name of the files in `plots/`, without extension: letters, digits, `-` and `_`.
    pub name: String,
    /// Text below the picture.
    pub caption: String,
    /// What is drawn.
    pub content: FigureContent,
}

impl Figure {
    /// A figure from its parts.
    #[must_use]
    pub fn new(name: impl Into<String>, caption: impl Into<String>, content: impl Into<FigureContent>) -> Self {
        Self { name: name.into(), caption: caption.into(), content: content.into() }
    }
}

/// The data of a figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FigureContent {
    /// Loss and learning rate during training.
    Loss(LossCurves),
    /// Slopes of the activations during training.
    Slopes(SlopeCurves),
    /// One sample: input, truth, prediction, error.
    Field(FieldSample),
    /// Distribution of errors over samples.
    Errors(ErrorPlot),
    /// Errors of models against time.
    RolloutCurves(RolloutCurves),
    /// A trajectory, true and predicted.
    RolloutFields(RolloutFields),
    /// Series in one frame.
    Plot(XyPlot),
    /// Rows of dots.
    Dots(DotPlot),
    /// Block structure of an HSS matrix.
    Structure {
        /// Rows and columns.
        n: usize,
        /// Levels below the root; there are `2^levels` leaves.
        levels: usize,
        /// Rank of the coupling blocks.
        rank: usize,
    },
}

impl FigureContent {
    /// Draws the figure.
    #[must_use]
    pub fn draw(&self) -> Picture {
        match self {
            FigureContent::Loss(data) => data.draw(),
            FigureContent::Slopes(data) => data.draw(),
            FigureContent::Field(data) => data.draw(),
            FigureContent::Errors(data) => data.draw(),
            FigureContent::RolloutCurves(data) => data.draw(),
            FigureContent::RolloutFields(data) => data.draw(),
            FigureContent::Plot(data) => data.draw(),
            FigureContent::Dots(data) => data.draw(),
            FigureContent::Structure { n, levels, rank } => hss_structure(*n, *levels, *rank),
        }
    }
}

impl From<LossCurves> for FigureContent {
    fn from(data: LossCurves) -> Self {
        FigureContent::Loss(data)
    }
}

impl From<SlopeCurves> for FigureContent {
    fn from(data: SlopeCurves) -> Self {
        FigureContent::Slopes(data)
    }
}

impl From<FieldSample> for FigureContent {
    fn from(data: FieldSample) -> Self {
        FigureContent::Field(data)
    }
}

impl From<ErrorPlot> for FigureContent {
    fn from(data: ErrorPlot) -> Self {
        FigureContent::Errors(data)
    }
}

impl From<DotPlot> for FigureContent {
    fn from(data: DotPlot) -> Self {
        FigureContent::Dots(data)
    }
}

impl From<RolloutCurves> for FigureContent {
    fn from(data: RolloutCurves) -> Self {
        FigureContent::RolloutCurves(data)
    }
}

impl From<RolloutFields> for FigureContent {
    fn from(data: RolloutFields) -> Self {
        FigureContent::RolloutFields(data)
    }
}

impl From<XyPlot> for FigureContent {
    fn from(data: XyPlot) -> Self {
        FigureContent::Plot(data)
    }
}

impl Report {
    /// Writes `report.html` and the pictures `plots/NAME.png`, and `plots/NAME.svg` for those without images, into `dir`,
    /// which is created. Returns the path of the page.
    ///
    /// Files of the same names are replaced, each whole or not at all; the page is written last. Names of figures are
    /// checked before anything is written.
    ///
    /// # Errors
    /// [`ReportError::FigureName`] and [`ReportError::DuplicateFigure`] for bad names, [`ReportError::CreateFolder`] and
    /// [`ReportError::Write`] with the path for failures of the file system, [`ReportError::Encode`].
    pub fn write(&self, dir: &Path) -> Result<PathBuf, ReportError> {
        self.check_names()?;
        create_folder(dir)?;
        let plots = dir.join("plots");
        if !self.figures.is_empty() {
            create_folder(&plots)?;
        }
        let mut drawn = Vec::with_capacity(self.figures.len());
        for figure in &self.figures {
            let one = Drawn::new(figure.content.draw())?;
            write_whole(&plots.join(format!("{}.png", figure.name)), &one.png)?;
            if let Some(svg) = one.picture.svg() {
                write_whole(&plots.join(format!("{}.svg", figure.name)), svg.as_bytes())?;
            }
            drawn.push(one);
        }
        let path = dir.join("report.html");
        write_whole(&path, page(self, &drawn).as_bytes())?;
        Ok(path)
    }

    fn check_names(&self) -> Result<(), ReportError> {
        let mut seen = HashSet::new();
        for figure in &self.figures {
            let name = &figure.name;
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || name.len() > 80 || !name.chars().all(allowed) {
                return Err(ReportError::FigureName { name: name.clone() });
            }
            // Some file systems do not tell capital letters from small ones.
            if !seen.insert(name.to_ascii_lowercase()) {
                return Err(ReportError::DuplicateFigure { name: name.clone() });
            }
        }
        Ok(())
    }
}
