//! The one error type of the crate: what was wrong, where (file and array), what to do.
//!
//! Every message is one line. Text that comes from a library or a file is flattened first.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with a data set, an array or a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused: missing file, no permission, full disk, failing device.
    #[error("{}: cannot {action}: {error}{}", path.display(), io_hint(error))]
    Io {
        /// The file the caller named (not a temporary name).
        path: PathBuf,
        /// What was being done, as a verb phrase.
        action: &'static str,
        /// The system's error.
        error: io::Error,
    },
    /// The target exists and overwriting was not allowed.
    #[error("{}: the file exists already: choose another name or allow overwriting", path.display())]
    Exists {
        /// The existing file.
        path: PathBuf,
    },
    /// The name's extension is none that this operation knows.
    #[error("{}: unknown file extension: expected {expected}", path.display())]
    UnknownExtension {
        /// The file named.
        path: PathBuf,
        /// The extensions that would do.
        expected: &'static str,
    },
    /// The first bytes of the file are not those of the format its name promises.
    #[error("{}: not a valid {expected} file: {found}", path.display())]
    WrongFormat {
        /// The file.
        path: PathBuf,
        /// The format that the extension promises.
        expected: &'static str,
        /// What the file looks like instead.
        found: String,
    },
    /// The file is truncated or corrupt, or uses a feature the reader does not know.
    #[error("{}: {}cannot be read: {what}", path.display(), array_prefix(array))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The array being read, empty for the file as a whole.
        array: String,
        /// What was found.
        what: String,
    },
    /// No array of that name.
    #[error("{}: no array \"{array}\"; the file has {available}", path.display())]
    NoSuchArray {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        array: String,
        /// What the file has, as a list.
        available: String,
    },
    /// The name belongs to something that is not an array (an HDF5 group).
    #[error("{}: \"{array}\" is a {kind}, not an array of numbers", path.display())]
    NotAnArray {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        array: String,
        /// What it is.
        kind: &'static str,
    },
    /// The element type is not one that can be read as real numbers.
    #[error("{}: array \"{array}\" of shape {shape} has element type {dtype}: save it as float32 or float64", path.display())]
    UnsupportedType {
        /// The file.
        path: PathBuf,
        /// The array.
        array: String,
        /// Its shape, for reading by a person.
        shape: String,
        /// The element type found.
        dtype: String,
    },
    /// The shape cannot be read as samples of a field.
    #[error("{origin}: array \"{array}\" of shape {shape}: {reason}")]
    Shape {
        /// File name, or the name given to an in-memory set.
        origin: String,
        /// The array.
        array: String,
        /// Its shape, for reading by a person.
        shape: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The two arrays of a pair do not fit together.
    #[error("{origin}: {input} and {output} do not fit together: {reason}")]
    Pair {
        /// File name, or the name given to an in-memory set.
        origin: String,
        /// Name and shape of the input array.
        input: String,
        /// Name and shape of the output array.
        output: String,
        /// What disagrees.
        reason: String,
    },
    /// A value is NaN or infinite.
    #[error(
        "{origin}: array \"{array}\", sample {sample}, flat index {index} within the sample: the value is {value}: remove or repair the sample"
    )]
    NonFinite {
        /// File name, or the name given to an in-memory set.
        origin: String,
        /// The array.
        array: String,
        /// Sample number, from 0.
        sample: usize,
        /// Index into the sample's (channel, grid...) values, row-major, from 0.
        index: usize,
        /// The value as read.
        value: f64,
    },
    /// A sample number is outside the set.
    #[error("{origin}: sample {index} does not exist: the set has {samples} samples (0 to {})", samples.saturating_sub(1))]
    SampleOutOfRange {
        /// File name, or the name given to an in-memory set.
        origin: String,
        /// The number asked for.
        index: usize,
        /// How many samples there are.
        samples: usize,
    },
    /// A slice handed in has the wrong length.
    #[error("{what}: got {got} values, expected {expected}")]
    Length {
        /// Which slice.
        what: String,
        /// Its length.
        got: usize,
        /// What it should have been.
        expected: String,
    },
    /// A parameter is outside its range.
    #[error("{name} = {value}: {reason}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// A file that another run left unfinished is in the way.
    #[error("{}: an unfinished set is in the way: {reason}: finish it, or remove it to start anew", path.display())]
    Unfinished {
        /// The unfinished file.
        path: PathBuf,
        /// Why it cannot be gone on with.
        reason: String,
    },
}

impl DataError {
    pub(crate) fn io(path: &Path, action: &'static str, error: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), action, error }
    }

    pub(crate) fn damaged(path: &Path, array: &str, what: impl ToString) -> Self {
        Self::Damaged { path: path.to_path_buf(), array: one_line(array), what: one_line(&what.to_string()) }
    }

    pub(crate) fn parameter(name: &'static str, value: impl ToString, reason: impl Into<String>) -> Self {
        Self::Parameter { name, value: value.to_string(), reason: reason.into() }
    }

    pub(crate) fn length(what: impl Into<String>, got: usize, expected: impl ToString) -> Self {
        Self::Length { what: what.into(), got, expected: expected.to_string() }
    }
}

fn array_prefix(array: &str) -> String {
    if array.is_empty() { String::new() } else { format!("array \"{array}\" ") }
}

fn io_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": free some space or write elsewhere",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ": check the permissions of the file and its folder"
        }
        _ => "",
    }
}

/// Text from a file or a library, flattened to one line and cut to a readable length.
pub(crate) fn one_line(text: &str) -> String {
    const LIMIT: usize = 300;
    let mut line = String::with_capacity(text.len().min(LIMIT + 4));
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().map(|c| if c.is_control() { '?' } else { c }).take(LIMIT));
        if line.len() > LIMIT {
            line.push_str(" ...");
            break;
        }
    }
    line
}

/// At most a dozen names for a message, each cut to a readable length.
pub(crate) fn list_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    const LENGTH: usize = 40;
    let names: Vec<&str> = names.into_iter().collect();
    if names.is_empty() {
        return "no arrays".to_owned();
    }
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| {
            let shown: String = name.chars().take(LENGTH).collect();
            let dots = if shown.len() < name.len() { "..." } else { "" };
            format!("\"{}{dots}\"", one_line(&shown))
        })
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_becomes_one_short_line() {
        assert_eq!(one_line(" a\n b\tc\u{1b}[0m "), "a b c?[0m");
        assert!(one_line(&"word ".repeat(1000)).len() < 320);
        assert!(one_line(&"x".repeat(100_000)).len() < 320);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..20).map(|i| format!("a{i}")).collect();
        let text = list_names(names.iter().map(String::as_str));
        assert!(text.ends_with("and 8 more"), "{text}");
        assert_eq!(list_names([]), "no arrays");
        assert!(list_names(std::iter::repeat_n("x".repeat(1000).as_str(), 20)).len() < 700);
    }
}
