//! Random damage to small files.

use std::path::Path;

use farfield_compress::{CompressOptions, Goal, compress_file, decompress_file};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Small files of all kinds: plain, compressed by factors, by blocks in their order and reordered.
pub fn corpus() -> Vec<Vec<u8>> {
    let plain = |n: usize, entry: &dyn Fn(usize, usize) -> f64| {
        let values = (0..n * n).flat_map(|k| entry(k / n, k % n).to_le_bytes());
        let header = format!(
            "{{\"__metadata__\":{{\"format\":\"pt\"}},\"b\":{{\"dtype\":\"I16\",\"shape\":[2,2],\"data_offsets\":[0,8]}},\
             \"w\":{{\"dtype\":\"F64\",\"shape\":[{n},{n}],\"data_offsets\":[8,{}]}}}}",
            8 + 8 * n * n
        );
        let mut out = (header.len() as u64).to_le_bytes().to_vec();
        out.extend(header.as_bytes());
        out.extend([1, 0, 2, 0, 3, 0, 4, 0]);
        out.extend(values);
        out
    };
    let green = |i: usize, j: usize| (i.min(j) + 1) as f64 * (41 - i.max(j)) as f64;
    let mut out = vec![
        plain(12, &|i, j| (i * j) as f64),
        plain(40, &|i, j| 1.0 / (1 + i + j) as f64),
        plain(40, &green),
        plain(40, &|i, j| green((i * 17) % 40, (j * 13) % 40)),
    ];
    let Ok(folder) = tempfile::tempdir() else { return out };
    for k in 0..out.len() {
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        let options = CompressOptions { leaf_size: 4, ..CompressOptions::new(Goal::Tolerance(1e-6)) };
        let written =
            std::fs::write(&input, &out[k]).is_ok() && compress_file(&input, &output, &options, &|_, _| ()).is_ok();
        if written && let Ok(bytes) = std::fs::read(&output) {
            out.push(bytes);
        }
    }
    out
}

/// Damages a file and gives it to both directions. Returns whether either read it.
///
/// # Panics
/// When an error leaves a file behind, or is not one line.
pub fn try_one(bytes: &[u8], folder: &Path, random: &mut ChaCha8Rng) -> bool {
    let (input, output) = (folder.join("in"), folder.join("out"));
    let damaged = mutate(bytes, random);
    std::fs::write(&input, &damaged).expect("the folder can be written to");
    let options = CompressOptions { leaf_size: 4, ..CompressOptions::new(Goal::Tolerance(1e-3)) };
    let results = [
        compress_file(&input, &output, &options, &|_, _| ()).map(|_| ()),
        decompress_file(&input, &output, Some(1 << 22)).map(|_| ()),
    ];
    let mut read = false;
    for result in results {
        match result {
            Ok(()) => read = true,
            Err(error) => {
                let text = error.to_string();
                assert!(!text.is_empty() && text.lines().count() == 1, "{text}");
            }
        }
    }
    if read {
        let _ = std::fs::remove_file(&output);
    }
    let left = std::fs::read_dir(folder).map_or(0, Iterator::count);
    assert_eq!(left, 1, "a file was left behind");
    read
}

fn mutate(bytes: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap_or_default()) as usize;
    for _ in 0..random.random_range(1..4) {
        if out.is_empty() {
            break;
        }
        let in_header = random.random_range(8..header.min(out.len()).max(9)).min(out.len() - 1);
        let anywhere = random.random_range(0..out.len());
        match random.random_range(0..9) {
            0 => out.truncate(anywhere),
            1 => out[anywhere] ^= 1 << random.random_range(0..8),
            2 => out[in_header] ^= 1 << random.random_range(0..8),
            // Digits for digits: claims that parse.
            3 | 4 => {
                let digits: Vec<usize> = (8..header.min(out.len())).filter(|&i| out[i].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    let at = digits[random.random_range(0..digits.len())];
                    out[at] = b'0' + random.random_range(0..10u8);
                }
            }
            5 => out[random.random_range(0..8usize.min(anywhere + 1))] = random.random_range(0..=255),
            // A longer claim, with the length of the header set right.
            6 => {
                let text = ["9", "00000000", ",", "}", "\"", "\\", "-1", "1e9", "NaN", "[[[[", "\u{e9}"];
                let text = text[random.random_range(0..text.len())];
                out.splice(in_header..in_header, text.bytes());
                let length = (header - 8 + text.len()) as u64;
                let places = out.len().min(8);
                out[..places].copy_from_slice(&length.to_le_bytes()[..places]);
            }
            7 => {
                let end = (anywhere + random.random_range(0..64)).min(out.len());
                let part = out[anywhere..end].to_vec();
                out.splice(anywhere..anywhere, part);
            }
            // Whole numbers of tables and orders, in numbers that are no text.
            _ => {
                let at = random.random_range(header.min(out.len() - 1)..out.len());
                out[at] = [0, 1, 127, 128, 255][random.random_range(0..5)];
            }
        }
    }
    out
}
