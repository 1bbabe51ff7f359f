//! The header of a safetensors file, checked before anything that it says is used.

use std::collections::HashSet;
use std::fmt;

use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// The texts of `__metadata__`, in the order of the file.
pub(crate) type Metadata = Vec<(String, String)>;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    begin: u64,
    bytes: usize,
}

impl TensorInfo {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Type of its numbers.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its shape; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes of its numbers.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// First byte after the header.
    pub(crate) fn begin(&self) -> u64 {
        self.begin
    }
}

/// The metadata and the tensors, by their place in the file, of a header that is followed by `data` bytes.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &[u8], data: u64) -> Result<(Metadata, Vec<TensorInfo>), String> {
    let text = std::str::from_utf8(text).map_err(|_| "its header is not UTF-8".to_owned())?;
    if !text.starts_with('{') {
        return Err("its header does not begin with a brace".to_owned());
    }
    let header: Header = serde_json::from_str(text).map_err(|e| format!("its header: {e}"))?;
    let mut tensors = Vec::with_capacity(header.tensors.len());
    for (name, claim) in header.tensors {
        let dtype = claim.dtype.as_str();
        let Ok(dtype) = serde_json::from_value::<Dtype>(serde_json::Value::from(dtype)) else {
            return Err(format!("tensor {name:?} has the unknown type {dtype:?}"));
        };
        let [begin, end] = claim.data_offsets;
        if begin > end || end > data {
            return Err(format!("tensor {name:?} claims bytes {begin} to {end} of {data}"));
        }
        let too_large = || format!("tensor {name:?} of shape {:?} is too large", Shape(&claim.shape));
        let elements = claim.shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n)).ok_or_else(too_large)?;
        let bits = elements.checked_mul(dtype.bitsize() as u64).ok_or_else(too_large)?;
        if bits % 8 != 0 || bits / 8 != end - begin {
            let held = end - begin;
            return Err(format!(
                "tensor {name:?} of shape {:?} and type {dtype:?} takes {bits} bits, it has {held} bytes",
                Shape(&claim.shape)
            ));
        }
        let number = |n: u64| usize::try_from(n).map_err(|_| too_large());
        let shape = claim.shape.iter().map(|&n| number(n)).collect::<Result<Vec<_>, _>>()?;
        let bytes = number(end - begin)?;
        tensors.push(TensorInfo { name, dtype, shape, begin, bytes });
    }
    tensors.sort_by_key(|tensor| (tensor.begin, tensor.bytes));
    let mut at = 0;
    for tensor in &tensors {
        if tensor.begin != at {
            let what = if tensor.begin < at { "overlap those before" } else { "leave a gap" };
            return Err(format!(
                "the bytes of tensor {:?} {what}: they begin at {}, not {at}",
                tensor.name, tensor.begin
            ));
        }
        at += tensor.bytes as u64;
    }
    if at != data {
        return Err(format!("its tensors take {at} bytes, {data} follow the header"));
    }
    Ok((header.metadata, tensors))
}

/// Prints the first dimensions of a shape: a hostile one may have millions.
struct Shape<'a>(&'a [u64]);

impl fmt::Debug for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(8)];
        if shown.len() == self.0.len() { write!(f, "{shown:?}") } else { write!(f, "{shown:?}...") }
    }
}

/// What the header says of a tensor.
#[derive(Deserialize)]
struct Claim {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The header as it stands in the file. Names that occur twice are errors: readers disagree on which one counts.
struct Header {
    metadata: Metadata,
    tensors: Vec<(String, Claim)>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header { metadata: Vec::new(), tensors: Vec::new() };
                let mut seen = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(format!("the name {name:?} occurs twice")));
                    }
                    if name == "__metadata__" {
                        header.metadata = map.next_value::<Texts>()?.0;
                    } else {
                        header.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// The texts of the metadata, in order and each key once.
struct Texts(Metadata);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let (mut texts, mut seen) = (Vec::new(), HashSet::new());
                while let Some((key, text)) = map.next_entry::<String, String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format!("the key {key:?} of __metadata__ occurs twice")));
                    }
                    texts.push((key, text));
                }
                Ok(Texts(texts))
            }

            fn visit_unit<E: Error>(self) -> Result<Texts, E> {
                Ok(Texts(Vec::new()))
            }
        }
        deserializer.deserialize_any(Entries)
    }
}
