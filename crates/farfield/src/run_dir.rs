//! Run directories: `config.toml`, `model.safetensors`, `checkpoint/`, `metrics.jsonl`, `results.json`, `report.html`, `plots/`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::failure::bad_input;
use crate::run_config::RunConfig;

/// A directory that a run writes into.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// A new directory for a run: `path`, which must not exist unless `force`, or the first free of `runs/NAME`,
    /// `runs/NAME-2`, ...
    pub fn create(path: Option<&Path>, name: &str, force: bool) -> Result<Self> {
        let path = match path {
            Some(path) => {
                Self::check(path, force)?;
                if force {
                    clear(path)?;
                }
                path.to_owned()
            }
            None => {
                let runs = Path::new("runs");
                let candidates =
                    std::iter::once(runs.join(name)).chain((2..).map(|i| runs.join(format!("{name}-{i}"))));
                candidates.into_iter().find(|p| !p.exists()).context("no free name under runs/")?
            }
        };
        std::fs::create_dir_all(&path)
            .with_context(|| format!("{}: cannot create the run directory", path.display()))?;
        Ok(Self { path })
    }

    /// Whether a run may be written to `path`.
    ///
    /// # Errors
    /// When there is something already and no `force`, or something that is not a run.
    pub fn check(path: &Path, force: bool) -> Result<()> {
        if !path.is_file() && !is_full(path) {
            return Ok(());
        }
        if !force {
            return Err(bad_input(format!(
                "{}: exists already: choose another --out, or --force to replace it",
                path.display()
            )));
        }
        if !path.join("config.toml").is_file() {
            return Err(bad_input(format!("{}: not a run directory, it is left alone", path.display())));
        }
        Ok(())
    }

    /// The directory of an existing run.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.join("config.toml").is_file() {
            return Err(bad_input(format!("{}: not a run directory: it has no config.toml", path.display())));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The trained model.
    pub fn model_file(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// The configuration that the run was made from.
    pub fn config(&self) -> Result<RunConfig> {
        RunConfig::load(&self.path.join("config.toml"))
    }

    /// Writes a file of the run whole or not at all.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<()> {
        write_file(&self.path.join(name), contents)
    }
}

/// Writes a file whole or not at all: beside, to disk, then renamed.
pub fn write_file(target: &Path, contents: &[u8]) -> Result<()> {
    farfield_data::replace_file(target, &[contents]).with_context(|| format!("{}: cannot write", target.display()))
}

/// Whether a directory has anything in it.
fn is_full(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

/// Removes what a run leaves behind, and nothing else.
fn clear(path: &Path) -> Result<()> {
    for name in ["config.toml", "model.safetensors", "metrics.jsonl", "results.json", "report.html"] {
        remove(&path.join(name), false)?;
    }
    for name in ["checkpoint", "plots"] {
        remove(&path.join(name), true)?;
    }
    Ok(())
}

fn remove(path: &Path, directory: bool) -> Result<()> {
    let result = if directory { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match result {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("{}: cannot remove", path.display()))
        }
        _ => Ok(()),
    }
}
