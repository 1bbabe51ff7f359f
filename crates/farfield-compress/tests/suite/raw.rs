//! safetensors files put together byte by byte.

use std::path::Path;

/// One tensor: name, type, shape, bytes.
pub type Raw = (String, &'static str, Vec<usize>, Vec<u8>);

/// A tensor of f32.
pub fn f32s(name: &str, shape: &[usize], values: impl IntoIterator<Item = f64>) -> Raw {
    let bytes = values.into_iter().flat_map(|x| (x as f32).to_le_bytes()).collect();
    (name.to_owned(), "F32", shape.to_vec(), bytes)
}

/// The bytes of a file with these tensors, and texts of the metadata.
pub fn file(metadata: &[(&str, &str)], tensors: &[Raw]) -> Vec<u8> {
    let mut entries = Vec::new();
    if !metadata.is_empty() {
        let texts: Vec<String> = metadata.iter().map(|(k, t)| format!("{k:?}:{t:?}")).collect();
        entries.push(format!("\"__metadata__\":{{{}}}", texts.join(",")));
    }
    let mut at = 0;
    for (name, dtype, shape, bytes) in tensors {
        let end = at + bytes.len();
        entries.push(format!("{name:?}:{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}}"));
        at = end;
    }
    with_header(&format!("{{{}}}", entries.join(",")), &tensors.iter().flat_map(|t| t.3.clone()).collect::<Vec<_>>())
}

/// The bytes of a file with this header.
pub fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

/// The names in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
