//! One array in NumPy's `.npy` format (versions 1 to 3), alone or as an entry of an `.npz`.
//!
//! Reading takes floats of 2, 4 and 8 bytes, integers and booleans, of either byte order, row-major.
//! Fortran order, objects, complex numbers, strings and structures are refused. The header is parsed
//! by `npyz` after two guards that it needs: the product of the axes must not overflow, and brackets
//! must not nest so deep that the parser overflows its stack. The values are converted block by block,
//! after the size that the header claims was compared with the bytes that exist.

use std::io::{self, Read, Write};
use std::path::Path;

use npyz::{Endianness, NpyHeader, Order, TypeChar, WriterBuilder};

use crate::array::{Array, ArrayData, checked_len};
use crate::error::{DataError, one_line};
use crate::number::{Elements, Number, NumberFormat};
use crate::shape::shape_text;

/// First bytes of every `.npy`.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// Longest header read: NumPy itself warns above 10 000 bytes.
const HEADER_LIMIT: usize = 1 << 16;

/// Deepest nesting of brackets; a plain array has 2.
const NESTING_LIMIT: usize = 16;

/// Bytes converted at a time.
const BLOCK: usize = 1 << 20;

/// What a header says, before the values are read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NpyInfo {
    pub(crate) shape: Vec<usize>,
    pub(crate) elements: Elements,
}

/// A reader that stands at the first value, and what the header said.
pub(crate) struct NpyReader<R> {
    reader: R,
    pub(crate) info: NpyInfo,
    path: std::path::PathBuf,
    name: String,
}

impl<R: Read> NpyReader<R> {
    /// Parses the header. `available` is the size of the whole `.npy` in bytes, header included; an
    /// array of numbers whose header claims another size is refused before anything is allocated.
    pub(crate) fn new(mut reader: R, available: u64, path: &Path, name: &str) -> Result<Self, DataError> {
        let damaged = |what: &str| DataError::damaged(path, name, what);
        let (header, header_len) = parse_header(&mut reader)
            .map_err(|e| damaged(&format!("not a valid npy header: {}", one_line(&e.to_string()))))?;
        let shape: Option<Vec<usize>> = header.shape().iter().map(|&axis| usize::try_from(axis).ok()).collect();
        let shape = shape.ok_or_else(|| damaged("an axis is too long for this machine"))?;
        let elements = elements(&header);
        if let Elements::Numbers(format) = elements {
            let claimed = checked_len(&shape)
                .and_then(|n| n.checked_mul(format.size()))
                .and_then(|n| n.checked_add(header_len))
                .ok_or_else(|| damaged("its shape is too large for this machine"))?;
            if claimed as u64 != available {
                return Err(damaged(&format!(
                    "truncated or damaged: its header (shape {}, {format}) claims {claimed} bytes, {available} exist",
                    shape_text(&shape)
                )));
            }
            if header.order() == Order::Fortran && shape.len() > 1 {
                return Err(DataError::UnsupportedType {
                    path: path.to_path_buf(),
                    array: name.to_owned(),
                    shape: shape_text(&shape),
                    dtype: format!("{format} in Fortran order, which is not read (use numpy.ascontiguousarray)"),
                });
            }
        }
        Ok(Self { reader, info: NpyInfo { shape, elements }, path: path.to_path_buf(), name: name.to_owned() })
    }

    /// Hands over the values in blocks, in order.
    pub(crate) fn for_each_block(
        mut self,
        mut take: impl FnMut(NumberFormat, &[u8]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let format = self.info.elements.format(&self.path, &self.name, &self.info.shape)?;
        // Checked against the bytes that exist in `new`.
        let mut left = checked_len(&self.info.shape).unwrap_or(0) * format.size();
        let mut block = vec![0u8; left.min(BLOCK)];
        while left > 0 {
            let part = &mut block[..left.min(BLOCK)];
            self.reader.read_exact(part).map_err(|e| self.read_error(e))?;
            take(format, part)?;
            left -= part.len();
        }
        // Reading to the end makes a zip entry compare its checksum.
        let mut rest = [0u8; 1];
        self.reader.read(&mut rest).map_err(|e| self.read_error(e))?;
        Ok(())
    }

    /// The whole array.
    pub(crate) fn read(self) -> Result<Array, DataError> {
        let format = self.info.elements.format(&self.path, &self.name, &self.info.shape)?;
        let shape = self.info.shape.clone();
        let mut data = ArrayData::with_capacity(format.dtype(), checked_len(&shape).unwrap_or(0));
        self.for_each_block(|format, bytes| {
            format.append(bytes, &mut data);
            Ok(())
        })?;
        Ok(Array { shape, data })
    }

    fn read_error(&self, error: io::Error) -> DataError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                DataError::damaged(&self.path, &self.name, "truncated: the values end too early")
            }
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                DataError::damaged(&self.path, &self.name, format!("damaged: {error}"))
            }
            _ => DataError::io(&self.path, "read", error),
        }
    }
}

/// The parsed header and its length in bytes, magic included.
fn parse_header(reader: &mut impl Read) -> io::Result<(NpyHeader, usize)> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut bytes = vec![0u8; 10];
    reader.read_exact(&mut bytes)?;
    if !bytes.starts_with(MAGIC) {
        return Err(invalid("it does not start as one"));
    }
    let text_len = if bytes[6] == 1 {
        usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))
    } else {
        bytes.resize(12, 0);
        reader.read_exact(&mut bytes[10..])?;
        u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize
    };
    if text_len > HEADER_LIMIT {
        return Err(invalid("it is longer than 64 KiB"));
    }
    let start = bytes.len();
    bytes.resize(start + text_len, 0);
    reader.read_exact(&mut bytes[start..])?;
    let text = &bytes[start..];

    let mut depth = 0usize;
    for byte in text {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_LIMIT {
            return Err(invalid("its brackets are nested too deep"));
        }
    }
    // Every number in the header, the axes among them: what the parser multiplies cannot overflow
    // if the product of all of them does not.
    let product =
        text.split(|b| !b.is_ascii_digit()).filter(|digits| !digits.is_empty()).try_fold(1u64, |product, digits| {
            let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
            product.checked_mul(value.max(1))
        });
    if product.is_none() {
        return Err(invalid("its shape is impossibly large"));
    }
    let header = NpyHeader::from_reader(bytes.as_slice())?;
    Ok((header, bytes.len()))
}

fn elements(header: &NpyHeader) -> Elements {
    let dtype = header.dtype();
    let other = || Elements::Other(one_line(&dtype.descr()));
    let npyz::DType::Plain(type_str) = &dtype else {
        return other();
    };
    let number = match (type_str.type_char(), type_str.size_field()) {
        (TypeChar::Float, 2) => Number::F16,
        (TypeChar::Float, 4) => Number::F32,
        (TypeChar::Float, 8) => Number::F64,
        (TypeChar::Int, 1) => Number::I8,
        (TypeChar::Int, 2) => Number::I16,
        (TypeChar::Int, 4) => Number::I32,
        (TypeChar::Int, 8) => Number::I64,
        (TypeChar::Uint, 1) => Number::U8,
        (TypeChar::Uint, 2) => Number::U16,
        (TypeChar::Uint, 4) => Number::U32,
        (TypeChar::Uint, 8) => Number::U64,
        (TypeChar::Bool, 1) => Number::Bool,
        (TypeChar::Object, _) => {
            return Elements::Other("object (pickled Python objects)".to_owned());
        }
        _ => return other(),
    };
    Elements::Numbers(NumberFormat { number, big_endian: type_str.endianness() == Endianness::Big })
}

/// Writes `array` (already checked) as version 1, little-endian, row-major.
pub(crate) fn write(writer: &mut impl Write, array: &Array) -> io::Result<()> {
    fn values<T: npyz::AutoSerialize + Copy>(writer: &mut impl Write, shape: &[u64], values: &[T]) -> io::Result<()> {
        let mut npy = npyz::WriteOptions::new().default_dtype().shape(shape).writer(writer).begin_nd()?;
        npy.extend(values.iter().copied())?;
        npy.finish()
    }
    let shape: Vec<u64> = array.shape.iter().map(|&axis| axis as u64).collect();
    match &array.data {
        ArrayData::F32(data) => values(writer, &shape, data),
        ArrayData::F64(data) => values(writer, &shape, data),
    }
}

/// A text as version 1, an array without axes of one string in NumPy's four bytes a character.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let characters: Vec<u32> = text.chars().map(u32::from).collect();
    // A string of no characters has no type in NumPy; trailing zeros are not part of a string.
    let header = format!("{{'descr': '<U{}', 'fortran_order': False, 'shape': (), }}", characters.len().max(1));
    // Padded so that the values start at a multiple of 64.
    let start = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64);
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(((start - MAGIC.len() - 4) as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.resize(start - 1, b' ');
    bytes.push(b'\n');
    bytes.extend(characters.iter().flat_map(|c| c.to_le_bytes()));
    if characters.is_empty() {
        bytes.extend([0; 4]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Array, DataError> {
        NpyReader::new(bytes, bytes.len() as u64, Path::new("a.npy"), "a")?.read()
    }

    fn message(bytes: &[u8]) -> String {
        let text = read(bytes).unwrap_err().to_string();
        assert!(text.starts_with("a.npy: ") && !text.contains('\n'), "{text}");
        text
    }

    #[test]
    fn what_is_written_is_read() {
        for (shape, data) in [
            (vec![2, 3], ArrayData::F32((0..6).map(|i| i as f32).collect())),
            (vec![], ArrayData::F64(vec![4.5])),
            (vec![0, 3], ArrayData::F32(vec![])),
            (vec![5], ArrayData::F64(vec![1.0, f64::NAN, -0.0, 1e300, f64::INFINITY])),
        ] {
            let array = Array { shape, data };
            let mut bytes = Vec::new();
            write(&mut bytes, &array).unwrap();
            let back = read(&bytes).unwrap();
            assert_eq!(format!("{back:?}"), format!("{array:?}"));
        }
    }

    #[test]
    fn a_text_is_a_string_of_numpy() {
        for (sample, length) in [("{\"a\": \"\u{e9}\u{1f600}\"}", 11), ("", 1)] {
            let bytes = text(sample);
            let (header, start) = parse_header(&mut bytes.as_slice()).unwrap();
            assert_eq!((header.shape(), header.dtype().descr()), (&[][..], format!("'<U{length}'")));
            assert_eq!((start % 64, bytes.len()), (0, start + 4 * length));
            let values: String = bytes[start..]
                .as_chunks::<4>()
                .0
                .iter()
                .filter_map(|c| char::from_u32(u32::from_le_bytes(*c)))
                .collect();
            assert_eq!(values.trim_end_matches('\0'), sample);
        }
    }

    #[test]
    fn types_of_users() {
        let header = |descr: &str| format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}\n");
        let big: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect();
        assert_eq!(read(&npy(&header(">f4"), &big)).unwrap().data, ArrayData::F32(vec![1.5, -2.0]));
        assert_eq!(read(&npy(&header("|u1"), &[3, 4])).unwrap().data, ArrayData::F32(vec![3.0, 4.0]));
        assert_eq!(read(&npy(&header("|b1"), &[0, 1])).unwrap().data, ArrayData::F32(vec![0.0, 1.0]));
        let long: Vec<u8> = [7i64, -1].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(read(&npy(&header("<i8"), &long)).unwrap().data, ArrayData::F64(vec![7.0, -1.0]));
        for (descr, part) in [("|O", "object (pickled Python objects)"), ("<c8", "<c8"), ("|S4", "S4"), ("<U4", "U4")] {
            assert!(message(&npy(&header(descr), &[0; 64])).contains(part));
        }
        let record = "{'descr': [('p', '<f4'), ('q', '<i2')], 'fortran_order': False, 'shape': (2,), }\n";
        assert!(message(&npy(record, &[0; 64])).contains("save it as float32 or float64"));
    }

    #[test]
    fn fortran_order_is_refused_unless_it_is_the_same() {
        let two = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }\n";
        assert!(message(&npy(two, &[0; 16])).contains("ascontiguousarray"));
        let one = "{'descr': '<f4', 'fortran_order': True, 'shape': (4,), }\n";
        assert!(read(&npy(one, &[0; 16])).is_ok());
        assert!(message(&npy(one, &[0; 17])).contains("exist"));
    }

    #[test]
    fn hostile_headers_neither_allocate_nor_panic() {
        for shape in [
            "(9223372036854775807,)",
            "(4294967296, 4294967296, 4)",
            "(18446744073709551615, 0)",
            "(99999999999999999999999999,)",
            "(1099511627776,)",
            "(-4,)",
            "5",
            "(2, 'a')",
        ] {
            let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
            message(&npy(&header, &[0; 64]));
        }
        message(&npy(&"(".repeat(60_000), &[]));
        message(&npy(&format!("{}{}", "[".repeat(60_000), "]".repeat(5)), &[]));
        message(&npy("", &[]));
        message(&npy("{}", &[]));
        message(&npy("[1, 2]", &[]));
        message(&npy("{'descr': '<f8', 'shape': (1,)}", &[0; 8]));
        let mut long = MAGIC.to_vec();
        long.extend([2, 0, 0xff, 0xff, 0xff, 0xff]);
        assert!(message(&long).contains("64 KiB"));
        let mut version = npy("{}", &[]);
        version[6] = 9;
        message(&version);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let array = Array::new(&[3, 5], &[1.25f64; 15]).unwrap();
        let mut bytes = Vec::new();
        write(&mut bytes, &array).unwrap();
        for len in 0..bytes.len() {
            message(&bytes[..len]);
            // The claimed size is right, the values themselves end early.
            let size = bytes.len() as u64;
            let reader = NpyReader::new(&bytes[..len], size, Path::new("a.npy"), "a");
            assert!(reader.and_then(NpyReader::read).is_err());
        }
        assert_eq!(read(&bytes).unwrap(), array);
    }
}
