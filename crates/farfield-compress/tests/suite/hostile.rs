//! Files that lie.

use farfield_compress::{CompressOptions, Goal, SafetensorsFile, compress_file, decompress_file};

use crate::raw::{Raw, f32s, file, names, with_header};

/// What compressing and restoring such a file say; nothing may be written.
fn errors(bytes: &[u8]) -> [String; 2] {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::write(&input, bytes).unwrap();
    let first = compress_file(&input, &output, &CompressOptions::new(Goal::Tolerance(0.1)), &|_, _| ()).unwrap_err();
    let second = decompress_file(&input, &output, None).map(|_| ()).unwrap_err();
    assert_eq!(names(folder.path()), ["in"]);
    [first, second].map(|error| {
        let text = error.to_string();
        assert!(error.is_bad_input() && text.lines().count() == 1 && text.len() < 600, "{text}");
        text
    })
}

#[test]
fn damaged_files_are_refused_with_one_line() {
    let good = file(&[], &[f32s("w", &[2, 2], [1.0, 2.0, 3.0, 4.0])]);
    let entry = |dtype: &str, shape: &str, at: &str| {
        format!("\"w\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{at}}}")
    };
    let header = |text: &str| with_header(text, &[0; 16]);
    let one = |dtype: &str, shape: &str, at: &str| header(&format!("{{{}}}", entry(dtype, shape, at)));
    let mut long = good.clone();
    long[..8].copy_from_slice(&(1u64 << 40).to_le_bytes());
    let mut longest = good.clone();
    longest[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let twice = format!("{{{},{}}}", entry("F32", "[2,2]", "[0,16]"), entry("F32", "[2,2]", "[0,16]"));
    let second = |at: &str| {
        let other = entry("F32", "[2]", at).replace("\"w\"", "\"v\"");
        header(&format!("{{{},{other}}}", entry("F32", "[2]", "[0,8]")))
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "0 bytes"),
        (b"short".to_vec(), "5 bytes"),
        (b"\x89PNG\r\n\x1a\n and so on".to_vec(), "claims"),
        (long, "claims 1099511627776 bytes"),
        (longest, "claims"),
        (good[..good.len() - 1].to_vec(), "claims bytes 0 to 16 of 15"),
        (good[..40].to_vec(), "claims"),
        ([&good[..], b"x"].concat(), "17 follow the header"),
        (header("[]"), "brace"),
        (header("{\"w\":"), "its header"),
        (header("{\"w\":3}"), "its header"),
        (with_header("\u{0}", &[]), "brace"),
        (header(&twice), "\"w\" occurs twice"),
        (header("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}"), "\"a\" of __metadata__ occurs twice"),
        (header("{\"__metadata__\":{\"a\":1}}"), "its header"),
        (one("F31", "[2,2]", "[0,16]"), "unknown type \"F31\""),
        (one("F32", "[2,3]", "[0,16]"), "takes 192 bits, it has 16 bytes"),
        (one("F32", "[2,2]", "[16,0]"), "claims bytes 16 to 0"),
        (one("F32", "[2,2]", "[0,99]"), "claims bytes 0 to 99"),
        (one("F32", "[4294967296,4294967296]", "[0,16]"), "too large"),
        (one("F32", "[1099511627776,1048576]", "[0,16]"), "too large"),
        (one("F32", "[18446744073709551616]", "[0,16]"), "its header"),
        (one("F32", "[-2,2]", "[0,16]"), "its header"),
        (one("F32", "[1000000,1000]", "[0,16]"), "takes 32000000000 bits"),
        (second("[4,12]"), "overlap"),
        (second("[12,20]"), "claims bytes 12 to 20 of 16"),
        (second("[0,8]"), "overlap"),
        (header(&format!("{{{}}}", entry("F32", "[2]", "[8,16]"))), "gap"),
    ];
    for (bytes, expected) in cases {
        for error in errors(&bytes) {
            assert!(error.contains(expected), "{error:?} has no {expected:?}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(SafetensorsFile::open(folder.path()).is_err() && SafetensorsFile::open(&folder.path().join("no")).is_err());
}

#[test]
fn headers_with_millions_of_dimensions_are_refused_in_one_short_line() {
    let ones = vec!["0"; 100_000].join(",");
    let header = format!("{{\"w\":{{\"dtype\":\"F32\",\"shape\":[{ones}],\"data_offsets\":[0,4]}}}}");
    for error in errors(&with_header(&header, &[0; 4])) {
        assert!(error.contains("takes 0 bits, it has 4 bytes"), "{error}");
    }
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name_and_index() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let values = |at: usize, x: f64| (0..24).map(move |i| if i == at { x } else { 1.0 });
    for (x, text) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let tensors = [f32s("bias", &[24], values(3, x)), f32s("w", &[2, 3, 4], values(17, x))];
        std::fs::write(&input, file(&[], &tensors)).unwrap();
        for goal in [Goal::Tolerance(0.1), Goal::Ratio(2.0)] {
            let error =
                compress_file(&input, &output, &CompressOptions::new(goal), &|_, _| ()).unwrap_err().to_string();
            assert!(error.contains(&format!("tensor \"w\" holds {text} at index [1, 1, 1]")), "{error}");
        }
        assert_eq!(names(folder.path()), ["in"]);
        // Not selected, it is copied with its bits.
        let options = CompressOptions { skip: vec!["w".to_owned()], ..CompressOptions::new(Goal::Tolerance(0.1)) };
        compress_file(&input, &output, &options, &|_, _| ()).unwrap();
        assert_eq!(std::fs::read(&input).unwrap(), std::fs::read(&output).unwrap());
        std::fs::remove_file(&output).unwrap();
    }
}

/// A file that claims to hold the weight `w` of this shape in these parts.
fn claimed(kind: &str, shape: &str, parts: &[Raw]) -> Vec<u8> {
    let record = format!("{{\"name\":\"w\",\"kind\":\"{kind}\",\"shape\":{shape},\"error\":0.0,\"weight_norm\":1.0}}");
    let text = format!("{{\"version\":1,\"norm\":\"frobenius\",\"tensors\":[{record}]}}");
    file(&[("farfield.compress", &text)], parts)
}

fn integers(name: &str, shape: &[usize], values: &[i16]) -> Raw {
    (name.to_owned(), "I16", shape.to_vec(), values.iter().flat_map(|x| x.to_le_bytes()).collect())
}

#[test]
fn compressed_files_that_lie_are_refused() {
    let factor = |part: &str, rows, rank| f32s(&format!("w.ff.{part}"), &[rows, rank], vec![1.0; rows * rank]);
    let blocks = |table: &[i16], values: usize| {
        let table = integers("w.ff.blocks", &[table.len() / 5, 5], table);
        vec![table, f32s("w.ff.values", &[values], vec![1.0; values])]
    };
    let ordered = |rows: &[i16]| {
        let orders = vec![integers("w.ff.rows", &[rows.len()], rows), integers("w.ff.cols", &[2], &[1, 0])];
        [blocks(&[0, 2, 0, 2, -1], 4), orders].concat()
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (file(&[("farfield.compress", "{}")], &[]), "unreadable"),
        (claimed("tucker", "[2,2]", &[]), "unreadable"),
        (claimed("svd", "[2,2]", &[]), "missing"),
        (claimed("svd", "[2,2]", &[factor("U", 2, 1)]), "missing"),
        (claimed("svd", "[2,2]", &[factor("U", 2, 1), factor("V", 2, 2)]), "do not fit"),
        (claimed("svd", "[2,3]", &[factor("U", 2, 1), factor("V", 2, 1)]), "do not fit"),
        (claimed("svd", "[4]", &[factor("U", 2, 1), factor("V", 2, 1)]), "not that of a weight"),
        (claimed("svd", "[16777216,16777216]", &[factor("U", 2, 1), factor("V", 2, 1)]), "--max-bytes"),
        (claimed("svd", "[4294967296,4294967296]", &[factor("U", 2, 1), factor("V", 2, 1)]), "too large"),
        (claimed("h", "[2,2]", &blocks(&[0, 2, 0, 1, -1], 2)), "do not tile"),
        (claimed("h", "[2,2]", &blocks(&[0, 2, 0, 1, -1, 0, 2, 0, 1, -1], 4)), "do not tile"),
        (claimed("h", "[2,2]", &blocks(&[0, 2, 0, 2, -1], 5)), "more values"),
        (claimed("h", "[2,2]", &blocks(&[0, 2, 0, 2, -1], 3)), "lies outside"),
        (claimed("h", "[2,2]", &blocks(&[0, 2, 0, 3, -1], 6)), "lies outside"),
        (claimed("h", "[2,2]", &blocks(&[0, 2, -1, 2, -1], 4)), "lies outside"),
        (claimed("h", "[2,2]", &blocks(&[0, 2, 0, 2, 30000], 4)), "lies outside"),
        (claimed("h", "[2,2]", &ordered(&[0, 0])), "no permutation"),
        (claimed("h", "[2,2]", &ordered(&[0, 2])), "no permutation"),
        (claimed("h", "[2,2]", &ordered(&[0, 1, 2])), "no permutation"),
        (claimed("h", "[2,2]", &ordered(&[0, 1])[..3]), "one of its orders is missing"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    for (bytes, expected) in cases {
        std::fs::write(&input, bytes).unwrap();
        let error = decompress_file(&input, &output, None).unwrap_err().to_string();
        assert!(error.contains(expected) && error.lines().count() == 1, "{error:?} has no {expected:?}");
        assert_eq!(names(folder.path()), ["in"]);
    }
    // The same with nothing wrong.
    std::fs::write(&input, claimed("h", "[2,2]", &ordered(&[1, 0]))).unwrap();
    decompress_file(&input, &output, None).unwrap();
    assert!(decompress_file(&input, &output, Some(15)).unwrap_err().to_string().contains("restores to 16 bytes"));
}
