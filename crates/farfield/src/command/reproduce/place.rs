//! Where the cells of a table live on disk, and why one has no results.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::experiment::Row;
use crate::run_dir::write_file;

/// How long a cell trains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// For the epochs of the budget.
    Epochs,
    /// For so many seconds.
    Seconds(f64),
}

impl Rule {
    /// What ends the names of its cells: `epochs`, or the seconds, as `20s`.
    pub fn name(self) -> String {
        match self {
            Rule::Epochs => "epochs".to_owned(),
            Rule::Seconds(seconds) => format!("{seconds}s"),
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Rule::Epochs => "equal epochs",
            Rule::Seconds(_) => "equal seconds",
        }
    }
}

/// Why a cell has no results, as its file says.
#[derive(Serialize, Deserialize)]
pub struct Missing {
    /// For people.
    pub reason: String,
    /// The limit that was in force, if a limit is the reason.
    pub most_seconds: Option<f64>,
}

/// A cell and where it lives.
pub struct Place<'a> {
    /// Its row.
    pub row: &'a Row,
    /// Its kind of model.
    pub kind: &'a str,
    /// Its seed.
    pub seed: u64,
    /// The directory of the rows.
    pub directory: &'a Path,
}

impl Place<'_> {
    /// Its run directory.
    pub fn cell(&self, rule: Rule) -> PathBuf {
        self.directory.join(&self.row.name).join(format!("{}-seed{}-{}", self.kind, self.seed, rule.name()))
    }

    fn missing_file(&self, rule: Rule) -> PathBuf {
        let mut name = self.cell(rule).into_os_string();
        name.push(".missing.json");
        name.into()
    }

    /// Why it has no results: none if it has, or was never tried. A run that was left out for its time counts only under the same limit.
    pub fn missing(&self, rule: Rule, most_seconds: Option<f64>) -> Option<Missing> {
        let missing: Missing = serde_json::from_slice(&std::fs::read(self.missing_file(rule)).ok()?).ok()?;
        (missing.most_seconds.is_none() || missing.most_seconds == most_seconds).then_some(missing)
    }

    /// Writes why it has no results.
    pub fn set_missing(&self, rule: Rule, reason: String, most_seconds: Option<f64>) -> Result<()> {
        write_in_new_folder(&self.missing_file(rule), &Missing { reason, most_seconds })
    }

    /// Seeds of such a cell that have a run directory or a reason why not.
    pub fn seeds_on_disk(directory: &Path, row: &Row, kind: &str, rule: Rule) -> Vec<u64> {
        let prefix = format!("{kind}-seed");
        let Ok(entries) = std::fs::read_dir(directory.join(&row.name)) else { return Vec::new() };
        let endings = [rule.name(), format!("{}.missing.json", rule.name())];
        let mut seeds: Vec<u64> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (seed, ending) = name.strip_prefix(&prefix)?.split_once('-')?;
                endings.iter().any(|e| e == ending).then(|| seed.parse().ok())?
            })
            .collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds
    }
}

/// Writes a value as JSON into a folder that is made if need be.
pub fn write_in_new_folder(file: &Path, value: &impl Serialize) -> Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot create", folder.display()))?;
    }
    write_file(file, &serde_json::to_vec_pretty(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_found_by_rule_and_limits_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let mut row = Row::default();
        row.name = "row".to_owned();
        let place = |seed| Place { row: &row, kind: "fno", seed, directory: folder.path() };
        std::fs::create_dir_all(place(3).cell(Rule::Epochs)).unwrap();
        std::fs::create_dir_all(place(4).cell(Rule::Seconds(2.5))).unwrap();
        place(1).set_missing(Rule::Epochs, "too long".to_owned(), Some(9.0)).unwrap();
        place(2).set_missing(Rule::Seconds(2.5), "diverged".to_owned(), None).unwrap();
        let seeds = |rule| Place::seeds_on_disk(folder.path(), &row, "fno", rule);
        assert_eq!(seeds(Rule::Epochs), [1, 3]);
        assert_eq!(seeds(Rule::Seconds(2.5)), [2, 4]);
        assert!(seeds(Rule::Seconds(2.0)).is_empty());
        assert_eq!(place(1).missing(Rule::Epochs, Some(9.0)).unwrap().reason, "too long");
        assert!(place(1).missing(Rule::Epochs, Some(10.0)).is_none());
        assert!(place(2).missing(Rule::Seconds(2.5), Some(1.0)).is_some());
        assert!(place(3).missing(Rule::Epochs, None).is_none());
    }
}
