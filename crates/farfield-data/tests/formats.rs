//! Files made by h5py and NumPy (`fixtures/make.py`), and what is refused of them.

use std::path::{Path, PathBuf};

use farfield_data::{
    Array, ArrayData, DType, DataError, Dataset, FieldShape, OpenOptions, inspect, read_array, save_array, save_npy,
    save_npz,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// x[s, i, j] = 100 s + 10 i + j
fn x(sample: usize) -> Vec<f64> {
    (0..36).map(|at| (100 * sample + 10 * (at / 9) + at % 9) as f64).collect()
}

const PAIRS: [(&str, DType); 10] = [
    ("contiguous.h5", DType::F64),
    ("big_endian.h5", DType::F64),
    ("gzip_shuffle.h5", DType::F64),
    ("lzf.h5", DType::F64),
    ("inner_chunks.h5", DType::F64),
    ("row_chunks.h5", DType::F64),
    ("latest.h5", DType::F64),
    ("half_and_int.h5", DType::F32),
    ("deflated.npz", DType::F64),
    ("plain.npz", DType::F64),
];

#[test]
fn h5py_and_numpy_files_are_read() {
    for (name, dtype) in PAIRS {
        for limit in [0, u64::MAX] {
            let options = OpenOptions { dims: Some(2), in_memory_limit: limit, ..OpenOptions::default() };
            let data = Dataset::open(&fixture(name), &options).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!((data.len(), data.dtype()), (5, dtype), "{name}");
            assert_eq!(data.input_shape(), &FieldShape::new(1, &[4, 9]));
            if name.ends_with("h5") {
                assert_eq!(data.is_on_disk(), limit == 0);
                assert_eq!(data.attributes()["problem"], "made by h5py");
                assert_eq!(data.attributes()["count"], "5");
            }
            let order = [4, 0, 3, 3, 1, 2];
            let (mut got_x, mut got_y) = (vec![0f32; 6 * 36], vec![0f64; 6 * 36]);
            data.read_inputs(&order, &mut got_x).unwrap();
            data.read_outputs(&order, &mut got_y).unwrap();
            for (k, &sample) in order.iter().enumerate() {
                for (at, value) in x(sample).into_iter().enumerate() {
                    assert_eq!(f64::from(got_x[36 * k + at]), value, "{name}");
                    assert_eq!(got_y[36 * k + at], -value / 4.0, "{name}");
                }
            }
            data.check_finite().unwrap();
        }
        let summary = inspect(&fixture(name), None).unwrap();
        assert_eq!(summary.problem, None);
        let pairs = summary.pairs.unwrap();
        assert_eq!((pairs.samples, pairs.input.channels, pairs.input.dims()), (5, 4, 1));
        let x = &summary.arrays[0];
        assert_eq!((x.min, x.max, x.mean), (Some(0.0), Some(438.0), Some(219.0)));
        assert_eq!((x.shape.as_slice(), x.non_finite), (&[5, 4, 9][..], 0));
    }
}

fn refused<T>(result: Result<T, DataError>, parts: &[&str]) {
    let Err(error) = result else {
        panic!("accepted: {parts:?}");
    };
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    for part in parts {
        assert!(text.contains(part), "\"{part}\" is not in: {text}");
    }
}

#[test]
fn odd_arrays_are_read_or_refused_by_name() {
    let odd = fixture("odd.h5");
    let read = |name: &str| read_array(&odd, Some(name));
    let inner = read("group/x").unwrap();
    assert_eq!(inner.shape, [5, 4, 9]);
    assert_eq!(read("/group/deeper/y").unwrap().shape, [5, 4, 9]);
    let scalar = read("scalar").unwrap();
    assert_eq!((scalar.shape.len(), scalar.data), (0, ArrayData::F64(vec![3.5])));
    assert!(matches!(read("long").unwrap().data, ArrayData::F64(v) if v[35] == 38.0));
    assert_eq!(read("empty").unwrap().shape, [0, 9]);
    let flags = read("flags").unwrap();
    assert_eq!((flags.data.to_vec::<f32>()[3], flags.data.to_vec::<f32>()[4]), (0.0, 1.0));
    for (name, part) in [
        ("text", "save it as float32 or float64"),
        ("complex", "save it as float32 or float64"),
        ("records", "save it as float32 or float64"),
        ("unwritten", "never written"),
        ("half_written", "1 of its 4 chunks were written"),
        ("group", "\"group\" is a group, not an array"),
        ("missing", "no array \"missing\"; the file has \"complex\""),
        ("group/missing", "no array \"group/missing\""),
        ("scalar/x", "no array \"scalar/x\""),
    ] {
        refused(read(name), &["odd.h5", name, part]);
    }
    let two = read_array(&fixture("two_unlimited.h5"), Some("x"));
    refused(two, &["two_unlimited.h5: array \"x\" cannot be read", "B-tree"]);
    refused(read_array(&odd, None), &["odd.h5", "say which one to read"]);

    let open = |input: &str, output: &str| {
        let options = OpenOptions { input: input.into(), output: output.into(), ..OpenOptions::default() };
        Dataset::open(&odd, &options)
    };
    assert!(open("group/x", "group/deeper/y").is_ok());
    refused(open("x", "y"), &["odd.h5: no array \"x\"", "\"group/x\""]);
    refused(open("scalar", "long"), &["\"scalar\"", "()", "expected (samples"]);
    refused(open("empty", "long"), &["\"empty\"", "(0, 9)", "empty"]);
    refused(open("group/x", "text"), &["\"text\""]);

    let summary = inspect(&odd, None).unwrap();
    let find = |name: &str| summary.arrays.iter().find(|a| a.name == name).unwrap();
    assert_eq!(find("scalar").mean, Some(3.5));
    assert!(find("text").problem.is_some() && find("unwritten").problem.is_some());
    assert_eq!(find("group/x").max, Some(438.0));
    assert!(summary.pairs.is_none() && summary.problem.is_none());
}

#[test]
fn arrays_go_round_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let arrays = [
        Array::new(&[2, 3], &[1.5f32, -0.0, 3.0, f32::MAX, 1e-40, 7.0]).unwrap(),
        Array::new(&[4], &[1e300f64, 2.0, f64::MIN_POSITIVE, -1.0]).unwrap(),
        Array::new(&[], &[2.5f64]).unwrap(),
        Array::new(&[1, 2, 1, 2, 1], &[1.0f32, 2.0, 3.0, 4.0]).unwrap(),
    ];
    for extension in ["npy", "npz", "h5", "hdf5", "NPY"] {
        let path = folder.path().join(format!("a.{extension}"));
        for array in &arrays {
            save_array(&path, "u", array, true).unwrap();
            assert_eq!(&read_array(&path, None).unwrap(), array);
            assert_eq!(&read_array(&path, Some("u")).unwrap(), array);
        }
        refused(save_array(&path, "u", &arrays[0], false), &["exists already"]);
        let mut broken = arrays[0].clone();
        broken.shape.push(2);
        refused(save_array(&path, "u", &broken, true), &["(2, 3, 2)", "got 6 values"]);
        assert_eq!(&read_array(&path, None).unwrap(), &arrays[3]);
        let summary = inspect(&path, None).unwrap();
        assert_eq!((summary.arrays.len(), summary.arrays[0].mean), (1, Some(2.5)));
    }
    let plain = folder.path().join("a.txt");
    refused(save_array(&plain, "u", &arrays[0], false), &["a.txt", ".npy, .npz, .h5"]);
    let h5 = folder.path().join("b.h5");
    let empty = Array::new::<f32>(&[0, 3], &[]).unwrap();
    refused(save_array(&h5, "u", &empty, false), &["empty array"]);
    refused(save_array(&h5, "a/b", &arrays[0], false), &["without a slash"]);
    assert!(!h5.exists());
    let npy = folder.path().join("empty.npy");
    save_npy(&npy, &empty, false).unwrap();
    assert_eq!(read_array(&npy, None).unwrap(), empty);
    let two = folder.path().join("two.npz");
    save_npz(&two, &[("a", &arrays[0]), ("b", &arrays[1])], false).unwrap();
    refused(read_array(&two, None), &["\"a\", \"b\"", "say which one"]);
    save_npz(&two, &[("a", &arrays[0]), ("x", &arrays[1])], true).unwrap();
    assert_eq!(read_array(&two, None).unwrap(), arrays[1]);
}

#[test]
fn wrong_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let open = |path: &Path| Dataset::open(path, &OpenOptions::default());
    let hdf5 = std::fs::read(fixture("contiguous.h5")).unwrap();
    refused(open(&make("a.h5", b"")), &["a.h5", "it is empty"]);
    refused(open(&make("a.h5", b"hello")), &["a.h5", "no known format"]);
    refused(open(&make("a.npz", &hdf5)), &["a.npz", "its contents are HDF5"]);
    refused(open(&make("a.csv", b"1,2")), &["a.csv", ".npz, .h5, .hdf5 or .mat"]);
    refused(open(&folder.path().join("none.h5")), &["none.h5", "cannot open"]);
    refused(open(folder.path()), &["a.h5", "no known format"]);
    refused(read_array(folder.path(), None), &["folder"]);
    let npy = folder.path().join("x.npy");
    save_npy(&npy, &Array::new(&[2, 3], &[0f32; 6]).unwrap(), false).unwrap();
    refused(open(&npy), &["x.npy", "one array only"]);
    let npz = folder.path().join("x.npz");
    save_npz(&npz, &[("x", &Array::new(&[2, 3], &[0f32; 6]).unwrap())], false).unwrap();
    refused(open(&npz), &["x.npz: no array \"y\"; the file has \"x\""]);
}

#[test]
fn inspect_counts_what_is_not_finite() {
    let folder = tempfile::tempdir().unwrap();
    let values = [1.0f64, f64::NAN, 3.0, f64::INFINITY, -4.0, f64::NEG_INFINITY];
    let bad = Array::new(&[2, 3], &values).unwrap();
    let none = Array::new(&[2, 1], &[f64::NAN; 2]).unwrap();
    let path = folder.path().join("bad.npz");
    save_npz(&path, &[("x", &bad), ("y", &none)], false).unwrap();
    let summary = inspect(&path, None).unwrap();
    let x = &summary.arrays[0];
    assert_eq!((x.min, x.max, x.mean, x.non_finite), (Some(-4.0), Some(3.0), Some(0.0), 3));
    let y = &summary.arrays[1];
    assert_eq!((y.min, y.max, y.mean, y.non_finite), (None, None, None, 2));
    assert_eq!(summary.pairs.as_ref().unwrap().samples, 2);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["arrays"][0]["non_finite"], 3);
    assert_eq!(json["pairs"]["input"]["grid"][0], 3);
    assert_eq!(json["format"], "npz");
    let problem = inspect(&path, Some(2)).unwrap().problem.unwrap();
    assert!(problem.contains("dims = 2 needs 3 axes"), "{problem}");
}
