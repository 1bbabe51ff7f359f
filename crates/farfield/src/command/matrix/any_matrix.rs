//! A hierarchical matrix of any format.

use std::path::Path;

use anyhow::Result;
use farfield_matrix::{Accuracy, Certificate, Factorization, H2Matrix, HMatrix, Hodlr, Hss, LinearOperator, file};

use crate::failure::bad_input;
use crate::report::DrawnBlock;

/// What a matrix file can hold.
pub enum AnyMatrix {
    /// HODLR.
    Hodlr(Hodlr<f64>),
    /// HSS.
    Hss(Hss<f64>),
    /// H.
    H(HMatrix<f64>),
    /// H2.
    H2(H2Matrix<f64>),
}

impl AnyMatrix {
    /// Reads a matrix and its certificate.
    pub fn load(path: &Path) -> Result<(Self, Option<Certificate>)> {
        let kind = file::info(path)?.kind;
        Ok(match kind.as_str() {
            "hodlr" => file::load(path).map(|(m, c)| (Self::Hodlr(m), c))?,
            "hss" => file::load(path).map(|(m, c)| (Self::Hss(m), c))?,
            "h" => file::load(path).map(|(m, c)| (Self::H(m), c))?,
            "h2" => file::load(path).map(|(m, c)| (Self::H2(m), c))?,
            _ => return Err(bad_input(format!("{}: matrices of kind {kind:?} are not known", path.display()))),
        })
    }

    /// Writes the matrix with its certificate.
    pub fn save(&self, path: &Path, certificate: &Certificate) -> Result<()> {
        let certificate = Some(certificate);
        match self {
            Self::Hodlr(m) => file::save(path, m, certificate)?,
            Self::Hss(m) => file::save(path, m, certificate)?,
            Self::H(m) => file::save(path, m, certificate)?,
            Self::H2(m) => file::save(path, m, certificate)?,
        }
        Ok(())
    }

    /// Short name of the format.
    pub fn format(&self) -> &'static str {
        match self {
            Self::Hodlr(_) => "hodlr",
            Self::Hss(_) => "hss",
            Self::H(_) => "h",
            Self::H2(_) => "h2",
        }
    }

    /// The matrix as a linear map.
    pub fn operator(&self) -> &dyn LinearOperator<f64> {
        match self {
            Self::Hodlr(m) => m,
            Self::Hss(m) => m,
            Self::H(m) => m,
            Self::H2(m) => m,
        }
    }

    /// A factorisation, of H-matrices to the relative accuracy `lu_tolerance`; nothing for H2-matrices, which have none here.
    pub fn factored(&self, lu_tolerance: f64) -> Result<Option<Box<dyn Factorization<f64>>>> {
        Ok(match self {
            Self::Hodlr(m) => Some(Box::new(m.factor()?)),
            Self::Hss(m) => Some(Box::new(m.ulv()?)),
            Self::H(m) => Some(Box::new(m.lu(Accuracy::relative(lu_tolerance)?, 0)?.0)),
            Self::H2(_) => None,
        })
    }

    /// Bytes of the stored numbers.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Hodlr(m) => m.memory_bytes(),
            Self::Hss(m) => m.memory_bytes(),
            Self::H(m) => m.memory_bytes(),
            Self::H2(m) => m.memory_bytes(),
        }
    }

    /// The leaves, for a drawing.
    pub fn blocks(&self) -> Vec<DrawnBlock> {
        let leaves = match self {
            Self::Hodlr(m) => m.leaves(),
            Self::Hss(m) => m.leaves(),
            Self::H(m) => m.leaves(),
            Self::H2(m) => m.leaves(),
        };
        leaves.into_iter().map(|leaf| DrawnBlock { rows: leaf.rows, cols: leaf.cols, rank: leaf.rank }).collect()
    }
}
