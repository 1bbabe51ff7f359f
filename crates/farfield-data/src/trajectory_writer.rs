//! Writing trajectories to HDF5 in The Well's layout, one after the other, so that a killed run can go on.
//!
//! The file is made whole at the start, beside its target and under another name: groups, attributes, coordinates, and
//! space for all states (on most file systems taken only as it is filled). Trajectories are then written at their
//! offsets, and how many are safely on the device is noted in a second small file, at the latest after every 32 MiB. The last step
//! is a rename. A run that was killed, at any moment, leaves both files; the next writer of the same set takes them up and says
//! in [`TrajectoryWriter::done`] from where to go on. Nobody sees half a set under its own name.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::beside::replace_file;
use crate::error::DataError;
use crate::file_format::FileFormat;
use crate::hdf5::{Hdf5File, write_skeleton};
use crate::real::{DType, Real};
use crate::trajectory_spec::TrajectorySpec;

/// Bytes after which the device is waited for.
const CHECKPOINT: u64 = 32 << 20;

/// Bytes written at a time.
const PIECE: usize = 1 << 20;

/// A file of trajectories being written.
///
/// Dropped without [`Self::finish`], it keeps what was written for a later [`Self::create`] with the same spec;
/// [`Self::discard`] removes it.
pub struct TrajectoryWriter {
    path: PathBuf,
    spec: TrajectorySpec,
    working: PathBuf,
    progress: PathBuf,
    file: File,
    /// Where each field, and each scalar that a trajectory brings, begins in the file.
    fields: Vec<u64>,
    scalars: Vec<u64>,
    done: usize,
    /// Bytes not yet known to be on the device.
    waiting: u64,
    overwrite: bool,
}

impl TrajectoryWriter {
    /// Starts a file, or goes on with an unfinished one of the same spec.
    ///
    /// # Errors
    /// [`DataError::UnknownExtension`] unless the name ends in `.h5` or `.hdf5`; [`DataError::Exists`] without
    /// `overwrite`; [`DataError::Parameter`] and [`DataError::Shape`] for a spec that makes no sense; [`DataError::Unfinished`] if
    /// an unfinished file has another spec or is being written by another process; [`DataError::Io`] for a full disk, a
    /// missing folder or permission.
    pub fn create(path: &Path, spec: &TrajectorySpec, overwrite: bool) -> Result<Self, DataError> {
        if FileFormat::of_name(path) != Some(FileFormat::Hdf5) {
            return Err(DataError::UnknownExtension { path: path.to_path_buf(), expected: ".h5 or .hdf5" });
        }
        spec.check(&path.display().to_string())?;
        if !overwrite && path.symlink_metadata().is_ok() {
            return Err(DataError::Exists { path: path.to_path_buf() });
        }
        let beside = |ending: &str| {
            let mut name = std::ffi::OsString::from(".");
            name.push(path.file_name().unwrap_or_default());
            name.push(ending);
            path.with_file_name(name)
        };
        let (working, progress) = (beside(".unfinished"), beside(".progress"));
        let unfinished = |reason: &str| DataError::Unfinished { path: working.clone(), reason: reason.to_owned() };
        let failed = |e: io::Error| DataError::io(path, "write", e);

        let mut taken_up = None;
        if let (Ok(note), true) = (std::fs::read_to_string(&progress), working.exists()) {
            let (settings, count) = note.trim_end().rsplit_once('\n').unwrap_or(("", ""));
            match count.parse::<usize>() {
                Ok(count) if settings == format!("{spec:?}") && count <= spec.trajectories => taken_up = Some(count),
                _ => return Err(unfinished("it was begun with other settings")),
            }
        }
        if taken_up.is_none() {
            // Without a note, or without a file, nothing was written yet. A note without its file must not outlive this.
            match std::fs::remove_file(&progress) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
                _ => {}
            }
            let made = beside(".new");
            write_skeleton(&made, path, spec)
                .and_then(|()| std::fs::rename(&made, &working).map_err(failed))
                .inspect_err(|_| drop(std::fs::remove_file(&made)))?;
        }
        let file = File::options().read(true).write(true).open(&working).map_err(failed)?;
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => return Err(unfinished("another process is writing it")),
            // Not every file system can lock.
            Ok(()) | Err(std::fs::TryLockError::Error(_)) => {}
        }
        let mut writer = Self {
            path: path.to_path_buf(),
            spec: spec.clone(),
            fields: Vec::new(),
            scalars: Vec::new(),
            done: taken_up.unwrap_or(0),
            waiting: 0,
            overwrite,
            working,
            progress,
            file,
        };
        writer.locate()?;
        if taken_up.is_none() {
            writer.checkpoint()?;
        }
        Ok(writer)
    }

    /// Finds where the arrays lie.
    fn locate(&mut self) -> Result<(), DataError> {
        let file = Hdf5File::open(&self.working)?;
        let offset = |name: String| {
            let array = file.array(&name)?;
            array
                .contiguous_offset()
                .ok_or_else(|| DataError::damaged(&self.working, &name, "it has no place of its own"))
        };
        let fields = self.spec.fields.iter().map(|name| offset(format!("t0_fields/{name}")));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let scalars = self.spec.own_scalars().map(|name| offset(format!("scalars/{name}")));
        self.scalars = scalars.collect::<Result<Vec<_>, _>>()?;
        self.fields = fields;
        Ok(())
    }

    /// Trajectories that are in the file already: the number of the next one.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Writes the next trajectory: `states` of shape (time, field, grid), row-major, and the scalars that are its own, in
    /// the order of the spec.
    ///
    /// # Errors
    /// [`DataError::Length`]; [`DataError::NonFinite`] for a value that is not finite in the type of the file, which leaves the
    /// file as it was; [`DataError::Parameter`] if all trajectories are there; [`DataError::Io`] if the disk is full: what was written
    /// is kept.
    pub fn append<R: Real>(&mut self, states: &[R], scalars: &[f64]) -> Result<(), DataError> {
        let name = || self.path.display().to_string();
        if self.done == self.spec.trajectories {
            return Err(DataError::parameter("trajectories", self.done, format!("{}: all are written", name())));
        }
        if states.len() != self.spec.trajectory_len() {
            let what = format!("{}: states of a trajectory", name());
            return Err(DataError::length(what, states.len(), self.spec.trajectory_len()));
        }
        if scalars.len() != self.scalars.len() {
            return Err(DataError::length(format!("{}: scalars", name()), scalars.len(), self.scalars.len()));
        }
        let single = self.spec.dtype == DType::F32;
        let bad = |v: f64| if single { !(v as f32).is_finite() } else { !v.is_finite() };
        let non_finite = |array: String, index: usize, value: f64| DataError::NonFinite {
            origin: name(),
            array,
            sample: self.done,
            index,
            value,
        };
        if let Some(at) = states.iter().position(|v| bad(v.to_f64())) {
            return Err(non_finite("states (time, field, grid)".to_owned(), at, states[at].to_f64()));
        }
        if let Some(at) = scalars.iter().position(|&v| bad(v)) {
            return Err(non_finite("scalars".to_owned(), at, scalars[at]));
        }
        self.write(states, scalars).map_err(|e| DataError::io(&self.path, "write", e))?;
        self.done += 1;
        self.waiting += (states.len() * self.spec.dtype.size()) as u64;
        if self.waiting >= CHECKPOINT { self.checkpoint() } else { Ok(()) }
    }

    fn write<R: Real>(&mut self, states: &[R], scalars: &[f64]) -> io::Result<()> {
        let size = self.spec.dtype.size();
        let fields = self.fields.len();
        let points = states.len() / (self.spec.times.len() * fields);
        let row = (self.spec.times.len() * points * size) as u64;
        let mut bytes = Vec::with_capacity(PIECE + points * size);
        for (field, &start) in self.fields.iter().enumerate() {
            self.file.seek(SeekFrom::Start(start + self.done as u64 * row))?;
            for state in states.chunks_exact(points).skip(field).step_by(fields) {
                for value in state {
                    encode(value.to_f64(), self.spec.dtype, &mut bytes);
                }
                if bytes.len() >= PIECE {
                    self.file.write_all(&bytes)?;
                    bytes.clear();
                }
            }
            self.file.write_all(&bytes)?;
            bytes.clear();
        }
        for (&value, &start) in scalars.iter().zip(&self.scalars) {
            self.file.seek(SeekFrom::Start(start + (self.done * size) as u64))?;
            encode(value, self.spec.dtype, &mut bytes);
            self.file.write_all(&bytes)?;
            bytes.clear();
        }
        Ok(())
    }

    /// Waits until all trajectories so far are on the device, and notes their number. Called by itself after every 32 MiB.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn checkpoint(&mut self) -> Result<(), DataError> {
        let note = format!("{:?}\n{}\n", self.spec, self.done);
        self.file
            .sync_data()
            .and_then(|()| replace_file(&self.progress, &[note.as_bytes()]))
            .map_err(|e| DataError::io(&self.path, "write", e))?;
        self.waiting = 0;
        Ok(())
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`DataError::Parameter`] if trajectories are missing; [`DataError::Exists`] if the name was taken meanwhile;
    /// [`DataError::Io`]. What was written is kept then.
    pub fn finish(mut self) -> Result<(), DataError> {
        if self.done != self.spec.trajectories {
            return Err(DataError::parameter(
                "trajectories",
                self.done,
                format!("{}: {} were announced", self.path.display(), self.spec.trajectories),
            ));
        }
        self.checkpoint()?;
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::AlreadyExists => DataError::Exists { path: self.path.clone() },
            _ => DataError::io(&self.path, "write", e),
        };
        self.file.sync_all().map_err(failed)?;
        if self.overwrite {
            std::fs::rename(&self.working, &self.path).map_err(failed)?;
        } else {
            let working = tempfile::TempPath::try_from_path(&self.working).map_err(failed)?;
            if let Err(refused) = working.persist_noclobber(&self.path) {
                // A temporary path removes its file when dropped.
                let _ = refused.path.keep();
                return Err(failed(refused.error));
            }
        }
        let _ = std::fs::remove_file(&self.progress);
        #[cfg(unix)]
        if let Ok(folder) =
            File::open(self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
        {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn discard(self) -> Result<(), DataError> {
        std::fs::remove_file(&self.progress)
            .and_then(|()| std::fs::remove_file(&self.working))
            .map_err(|e| DataError::io(&self.path, "remove", e))
    }
}

fn encode(value: f64, dtype: DType, bytes: &mut Vec<u8>) {
    match dtype {
        DType::F32 => bytes.extend_from_slice(&(value as f32).to_le_bytes()),
        DType::F64 => bytes.extend_from_slice(&value.to_le_bytes()),
    }
}
