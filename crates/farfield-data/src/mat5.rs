//! MATLAB's MAT files, version 5 (`save -v6`, `-v7`, `scipy.io.savemat`): numeric arrays of every class.
//!
//! Layout after "MAT-File Format" (MathWorks): a header of 128 bytes, then elements of a tag (type, size)
//! and data, padded to 8 bytes; a variable is one `miMATRIX` element of flags, dimensions, name and values,
//! perhaps zlib-compressed as a whole. Values may be stored in a narrower type than the variable's class
//! and lie column-major; they are returned row-major: MATLAB's (N, X, Y) is read as (N, X, Y).
//!
//! Opening reads the headers of all variables. What a header claims is held against the bytes that exist
//! before anything is allocated (zlib packs at most 1032 bytes into one). Complex numbers, text, structs, cells, sparse
//! matrices and objects are listed and not read. Version 7.3 is HDF5: see `hdf5`. Version 4 is not read.

use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::ZlibDecoder;

use crate::array::{Array, checked_len};
use crate::column_major::ColumnMajor;
use crate::error::{DataError, list_names};
use crate::number::{Elements, Number, NumberFormat};
use crate::positioned_file::PositionedFile;
use crate::shape::shape_text;

/// Deflate packs at most 1032 bytes into one.
const MAX_RATIO: u64 = 1100;

/// Length of the header of the file.
const HEADER: u64 = 128;

/// Longest list of dimensions and longest name that are read, in bytes.
const MAX_DIMENSIONS: u64 = 4 * 32;
const MAX_NAME: u64 = 1024;

/// More variables than this are refused.
const MAX_VARIABLES: usize = 10_000;

/// Bytes converted at a time.
const BLOCK: usize = 1 << 20;

const MI_INT8: u32 = 1;
const MI_INT32: u32 = 5;
const MI_UINT32: u32 = 6;
const MI_MATRIX: u32 = 14;
const MI_COMPRESSED: u32 = 15;

/// Byte order of a file by its first 128 bytes, if they are the header of a version 5 file.
pub(crate) fn big_endian(head: &[u8]) -> Option<bool> {
    match head.get(124..128)? {
        [0, 1, b'I', b'M'] => Some(false),
        [1, 0, b'M', b'I'] => Some(true),
        _ => None,
    }
}

/// An open file, its variables listed.
pub(crate) struct Mat5File {
    bytes: PositionedFile,
    big_endian: bool,
    variables: Vec<Variable>,
}

/// One variable.
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// The class as a number format, or what it is instead.
    pub(crate) elements: Elements,
    element: Element,
}

/// Where a top-level element lies.
#[derive(Debug, Clone, Copy)]
struct Element {
    offset: u64,
    len: u64,
    compressed: bool,
}

/// What precedes the values of a variable.
struct MatrixHeader {
    name: String,
    shape: Vec<usize>,
    elements: Elements,
}

impl Mat5File {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = PositionedFile::open(path)?;
        let damaged = |what: &str| DataError::damaged(path, "", what);
        let big_endian = big_endian(&bytes.head(HEADER)?)
            .ok_or_else(|| damaged("its header is not that of a MAT file, version 5"))?;
        let mut file = Self { bytes, big_endian, variables: Vec::new() };
        let mut offset = HEADER;
        while offset < file.bytes.len() {
            let mut tag = [0u8; 8];
            if !file.bytes.contains(offset, 8) {
                return Err(damaged("truncated: it ends within the tag of a variable"));
            }
            file.bytes.read_at(offset, &mut tag).map_err(|e| DataError::io(path, "read", e))?;
            let (kind, len) = (file.word(&tag[..4]), u64::from(file.word(&tag[4..])));
            if kind != MI_MATRIX && kind != MI_COMPRESSED {
                return Err(damaged(&format!("damaged: an element of type {kind} at byte {offset} is no variable")));
            }
            if !file.bytes.contains(offset + 8, len) {
                return Err(damaged(&format!(
                    "truncated or damaged: a variable at byte {offset} claims {len} bytes, the file has {}",
                    file.bytes.len()
                )));
            }
            if file.variables.len() >= MAX_VARIABLES {
                return Err(damaged("it has more than 10000 variables"));
            }
            let element = Element { offset: offset + 8, len, compressed: kind == MI_COMPRESSED };
            let (header, _) = file.start(element, "")?;
            let MatrixHeader { name, shape, elements } = header;
            file.variables.push(Variable { name, shape, elements, element });
            offset += 8 + len;
        }
        file.variables.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(file)
    }

    /// All variables, by name.
    pub(crate) fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The variable `name`, row-major.
    pub(crate) fn read(&self, name: &str) -> Result<Array, DataError> {
        let variable = self.variable(name)?;
        let class = variable.elements.format(self.bytes.path(), name, &variable.shape)?;
        let mut array = ColumnMajor::new(&variable.shape, class.dtype());
        self.for_each_block(name, |format, bytes| array.take(format, bytes))?;
        array.finish().ok_or_else(|| DataError::damaged(self.bytes.path(), name, "damaged: values are missing"))
    }

    /// Hands over the values of the variable `name` in blocks, in the order of the file, with the format they
    /// are stored in.
    pub(crate) fn for_each_block(
        &self,
        name: &str,
        mut take: impl FnMut(NumberFormat, &[u8]),
    ) -> Result<(), DataError> {
        let variable = self.variable(name)?;
        let path = self.bytes.path();
        let class = variable.elements.format(path, name, &variable.shape)?;
        let failed = |e: io::Error| self.failed(name, &e);
        let (_, mut stream) = self.start(variable.element, name)?;
        let Some(format) = self.claim(&mut stream, name, &variable.shape, class)? else {
            return Ok(());
        };
        // Held against the bytes that exist by `claim`.
        let mut left = checked_len(&variable.shape).unwrap_or(0) * format.size();
        let mut block = vec![0u8; left.min(BLOCK)];
        while left > 0 {
            let part = &mut block[..left.min(BLOCK)];
            stream.fill(part).map_err(failed)?;
            take(format, part);
            left -= part.len();
        }
        // Reading to the end makes zlib compare its checksum.
        stream.finish().map_err(failed)
    }

    /// The tag of the values: their format, once shape, class and size agree; `None` for an empty array.
    fn claim(
        &self,
        stream: &mut Stream<'_>,
        name: &str,
        shape: &[usize],
        class: NumberFormat,
    ) -> Result<Option<NumberFormat>, DataError> {
        let damaged = |what: String| DataError::damaged(self.bytes.path(), name, what);
        let count = checked_len(shape).ok_or_else(|| damaged("its shape is too large for this machine".to_owned()))?;
        if count == 0 {
            return Ok(None);
        }
        let (kind, len) = stream.tag().map_err(|e| self.failed(name, &e))?;
        let number = match kind {
            1 => Number::I8,
            2 => Number::U8,
            3 => Number::I16,
            4 => Number::U16,
            5 => Number::I32,
            6 => Number::U32,
            7 => Number::F32,
            9 => Number::F64,
            12 => Number::I64,
            13 => Number::U64,
            other => return Err(damaged(format!("damaged: its values are of type {other}, which are no numbers"))),
        };
        let number = if class.number == Number::Bool && number == Number::U8 { Number::Bool } else { number };
        let format = NumberFormat { number, big_endian: self.big_endian };
        if count.checked_mul(format.size()).map(|bytes| bytes as u64) != Some(len) || len > stream.left() {
            return Err(damaged(format!(
                "truncated or damaged: its shape {} of {format} does not agree with {len} bytes of values in an element of {}",
                shape_text(shape),
                stream.left()
            )));
        }
        Ok(Some(format))
    }

    /// Reads the header of the variable at `element` and stops before the tag of its values.
    fn start(&self, element: Element, name: &str) -> Result<(MatrixHeader, Stream<'_>), DataError> {
        let mut stream = self.stream(element).map_err(|e| self.failed(name, &e))?;
        let header = stream.matrix_header().map_err(|e| self.failed(name, &e))?;
        if let Elements::Numbers(class) = header.elements {
            // Every value takes at least a byte: a shape that claims more is refused before it is listed.
            let count = checked_len(&header.shape).and_then(|n| n.checked_mul(class.size()));
            if count.is_none_or(|bytes| (bytes / class.size()) as u64 > stream.left()) {
                return Err(DataError::damaged(
                    self.bytes.path(),
                    &header.name,
                    format!(
                        "truncated or damaged: its shape {} claims more values than an element of {} bytes can hold",
                        shape_text(&header.shape),
                        element.len
                    ),
                ));
            }
        }
        Ok((header, stream))
    }

    fn stream(&self, element: Element) -> io::Result<Stream<'_>> {
        let section = Section { bytes: &self.bytes, offset: element.offset, left: element.len };
        if !element.compressed {
            let reader = BufReader::with_capacity(1 << 16, section);
            return Ok(Stream {
                reader: Box::new(reader),
                left: element.len,
                small: None,
                big_endian: self.big_endian,
            });
        }
        let reader = ZlibDecoder::new(BufReader::with_capacity(1 << 16, section));
        let mut stream = Stream { reader: Box::new(reader), left: 8, small: None, big_endian: self.big_endian };
        let (kind, len) = stream.tag()?;
        if kind != MI_MATRIX {
            return Err(invalid(&format!("its compressed contents are of type {kind}, not a variable")));
        }
        if len > element.len.saturating_mul(MAX_RATIO) {
            return Err(invalid(&format!("{} compressed bytes claim to hold {len}", element.len)));
        }
        stream.left = len;
        Ok(stream)
    }

    /// The variable `name`.
    pub(crate) fn variable(&self, name: &str) -> Result<&Variable, DataError> {
        self.variables.iter().find(|v| v.name == name).ok_or_else(|| DataError::NoSuchArray {
            path: self.bytes.path().to_path_buf(),
            array: name.to_owned(),
            available: list_names(self.variables.iter().map(|v| v.name.as_str())),
        })
    }

    fn word(&self, bytes: &[u8]) -> u32 {
        word(bytes, self.big_endian)
    }

    fn failed(&self, name: &str, error: &io::Error) -> DataError {
        let path = self.bytes.path();
        match error.kind() {
            io::ErrorKind::UnexpectedEof => DataError::damaged(path, name, "truncated: a variable ends too early"),
            _ => DataError::damaged(path, name, format!("damaged: {error}")),
        }
    }
}

/// A part of the file as a reader.
struct Section<'a> {
    bytes: &'a PositionedFile,
    offset: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        self.bytes.read_at(self.offset, &mut buffer[..count])?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// The bytes of one `miMATRIX` element, read in order.
struct Stream<'a> {
    reader: Box<dyn Read + 'a>,
    left: u64,
    /// Values that lay in the tag itself, and how many of their bytes are used up.
    small: Option<([u8; 4], usize)>,
    big_endian: bool,
}

impl Stream<'_> {
    /// Bytes that the element claims to have still, those in a small tag included.
    fn left(&self) -> u64 {
        self.left + self.small.map_or(0, |(_, used)| 4 - used as u64)
    }

    fn raw(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.left = self.left.checked_sub(buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.reader.read_exact(buffer)
    }

    /// The next tag: type and bytes of data.
    fn tag(&mut self) -> io::Result<(u32, u64)> {
        let mut tag = [0u8; 8];
        self.raw(&mut tag)?;
        let (first, second) = (word(&tag[..4], self.big_endian), word(&tag[4..], self.big_endian));
        let small = first >> 16;
        if small == 0 {
            return Ok((first, u64::from(second)));
        }
        if small > 4 {
            return Err(invalid("a short element claims more than 4 bytes"));
        }
        self.small = Some(([tag[4], tag[5], tag[6], tag[7]], 0));
        Ok((first & 0xffff, u64::from(small)))
    }

    /// The next bytes of the data announced by the last tag.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let Some((bytes, used)) = &mut self.small else {
            return self.raw(buffer);
        };
        let source = bytes.get(*used..*used + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(source);
        *used += buffer.len();
        Ok(())
    }

    /// A whole sub-element of the type `kind` and at most `most` bytes, its padding skipped.
    fn element(&mut self, kind: u32, most: u64, what: &str) -> io::Result<Vec<u8>> {
        let (found, len) = self.tag()?;
        if found != kind || len > most {
            return Err(invalid(&format!("its {what} are of type {found} and {len} bytes")));
        }
        let mut data = vec![0u8; len as usize];
        self.fill(&mut data)?;
        if self.small.take().is_none() {
            let mut padding = [0u8; 8];
            let rest = (len.next_multiple_of(8) - len) as usize;
            self.raw(&mut padding[..rest])?;
        }
        Ok(data)
    }

    fn matrix_header(&mut self) -> io::Result<MatrixHeader> {
        let flags = self.element(MI_UINT32, 8, "flags")?;
        if flags.len() != 8 {
            return Err(invalid("its flags are incomplete"));
        }
        let flags = word(&flags[..4], self.big_endian);
        let (class, complex, logical) = (flags & 0xff, flags & 0x800 != 0, flags & 0x200 != 0);
        if class == 17 {
            // An opaque object has no dimensions.
            let name = self.element(MI_INT8, MAX_NAME, "name")?;
            let name = String::from_utf8_lossy(&name).into_owned();
            return Ok(MatrixHeader { name, shape: Vec::new(), elements: Elements::Other("object".to_owned()) });
        }
        let dimensions = self.element(MI_INT32, MAX_DIMENSIONS, "dimensions")?;
        if dimensions.len() < 8 || dimensions.len() % 4 != 0 {
            return Err(invalid("it has fewer than two dimensions"));
        }
        let shape = dimensions
            .chunks_exact(4)
            .map(|bytes| i32::try_from(word(bytes, self.big_endian)).ok().and_then(|n| usize::try_from(n).ok()))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| invalid("a dimension is negative"))?;
        let name = self.element(MI_INT8, MAX_NAME, "name")?;
        let name = String::from_utf8_lossy(&name).into_owned();
        let (number, class_name) = match class {
            1 => (None, "cell"),
            2 => (None, "struct"),
            3 => (None, "object"),
            4 => (None, "char"),
            5 => (None, "sparse"),
            6 => (Some(Number::F64), "double"),
            7 => (Some(Number::F32), "single"),
            8 => (Some(Number::I8), "int8"),
            9 if logical => (Some(Number::Bool), "logical"),
            9 => (Some(Number::U8), "uint8"),
            10 => (Some(Number::I16), "int16"),
            11 => (Some(Number::U16), "uint16"),
            12 => (Some(Number::I32), "int32"),
            13 => (Some(Number::U32), "uint32"),
            14 => (Some(Number::I64), "int64"),
            15 => (Some(Number::U64), "uint64"),
            16 => (None, "function handle"),
            other => return Err(invalid(&format!("its class {other} is unknown"))),
        };
        let elements = match number {
            Some(number) if !complex => Elements::Numbers(NumberFormat { number, big_endian: self.big_endian }),
            Some(_) => Elements::Other(format!("complex {class_name}")),
            None => Elements::Other(class_name.to_owned()),
        };
        Ok(MatrixHeader { name, shape, elements })
    }

    /// Reads what is left, which after the values of a real array is padding.
    fn finish(&mut self) -> io::Result<()> {
        let mut rest = [0u8; 64];
        let mut total = 0;
        loop {
            match self.reader.read(&mut rest)? {
                0 => return Ok(()),
                count => total += count,
            }
            if total > rest.len() {
                return Err(invalid("there is more after its values"));
            }
        }
    }
}

fn word(bytes: &[u8], big_endian: bool) -> u32 {
    bytes.iter().enumerate().fold(0, |value, (at, &byte)| {
        let place = if big_endian { 3 - at.min(3) } else { at.min(3) };
        value | u32::from(byte) << (8 * place)
    })
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
