//! Fields on scattered points: coordinates written, read back, and refused where they do not fit.

use std::collections::BTreeMap;
use std::path::Path;

use farfield_data::{
    Array, DType, DataError, Dataset, FieldShape, OpenOptions, Points, Side, Writer, inspect, save_npz,
};

fn array(shape: &[usize]) -> Array {
    let len = shape.iter().product();
    let values: Vec<f64> = (0..len).map(|i| i as f64 * 0.25).collect();
    Array::new(shape, &values).unwrap()
}

fn npz(path: &Path, arrays: &[(&str, &[usize])]) {
    let arrays: Vec<(&str, Array)> = arrays.iter().map(|(name, shape)| (*name, array(shape))).collect();
    let arrays: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (*name, array)).collect();
    save_npz(path, &arrays, true).unwrap();
}

#[test]
fn points_survive_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for (dims, sources, receivers) in [(1, 5, 5), (2, 6, 4), (3, 9, 1)] {
        let path = folder.path().join(format!("{dims}.h5"));
        let points = |n: usize, shift: f64| {
            let numbers: Vec<f64> = (0..n * dims).map(|i| (i as f64 + shift).sin()).collect();
            Points::new(dims, &numbers).unwrap()
        };
        let (x_points, y_points) = (points(sources, 0.0), points(receivers, 0.5));
        let (x, y) = (FieldShape::new(2, &[sources]), FieldShape::new(1, &[receivers]));
        let mut writer = Writer::create(&path, &x, &y, DType::F32, &BTreeMap::new(), false).unwrap();
        writer.points(Side::Output, &y_points).unwrap();
        writer.points(Side::Input, &x_points).unwrap();
        writer.append(&vec![1.0f32; 3 * x.len()], &vec![2.0f32; 3 * y.len()]).unwrap();
        writer.finish().unwrap();
        for limit in [0, u64::MAX] {
            let options = OpenOptions { in_memory_limit: limit, ..OpenOptions::default() };
            let data = Dataset::open(&path, &options).unwrap();
            assert_eq!((data.input_shape(), data.output_shape(), data.len()), (&x, &y, 3));
            // Coordinates keep their precision beside single-precision fields.
            assert_eq!((data.points(Side::Input), data.points(Side::Output)), (Some(&x_points), Some(&y_points)));
            assert!(data.coordinates().is_none());
        }
        let summary = inspect(&path, None).unwrap();
        let found = summary.points.unwrap();
        assert_eq!((found.dims, found.sources, found.receivers), (dims, sources, receivers));
        assert_eq!(summary.pairs.unwrap().input, x);
        assert_eq!(summary.problem, None);
    }
}

#[test]
fn one_array_serves_both_sides_and_decides_the_shape() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.npz");
    // Without points, (4, 5, 8) are fields on 5 x 8 points.
    npz(&path, &[("x", &[4, 5, 8]), ("y", &[4, 8]), ("points", &[8, 3])]);
    let data = Dataset::open(&path, &OpenOptions::default()).unwrap();
    assert_eq!((data.input_shape(), data.output_shape()), (&FieldShape::new(5, &[8]), &FieldShape::new(1, &[8])));
    let points = data.points(Side::Input).unwrap();
    assert_eq!((points.dims(), points.get(2)), (3, Some(&[1.5, 1.75, 2.0][..])));
    assert_eq!(Some(points), data.points(Side::Output));

    // A line, as a vector.
    npz(&path, &[("x", &[4, 8]), ("y", &[4, 8]), ("points", &[8])]);
    assert_eq!(Dataset::open(&path, &OpenOptions::default()).unwrap().points(Side::Input).unwrap().dims(), 1);

    // Not asked for, or the field itself.
    npz(&path, &[("x", &[4, 8]), ("y", &[4, 8]), ("points", &[7, 7, 7])]);
    let without = OpenOptions { points: false, ..OpenOptions::default() };
    assert!(Dataset::open(&path, &without).unwrap().points(Side::Input).is_none());
    npz(&path, &[("points", &[4, 8]), ("y", &[4, 8])]);
    let named = OpenOptions { input: "points".to_owned(), ..OpenOptions::default() };
    assert!(Dataset::open(&path, &named).unwrap().points(Side::Input).is_none());
}

#[test]
fn points_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.npz");
    for (arrays, dims, parts) in [
        (
            &[("x", &[4, 8][..]), ("y", &[4, 8]), ("points", &[7, 2])][..],
            None,
            &["\"points\"", "(7, 2)", "8 points"][..],
        ),
        (&[("x", &[4, 8]), ("y", &[4, 6]), ("points", &[8, 2])], None, &["\"points\"", "6 points"]),
        (&[("x", &[4, 8]), ("y", &[4, 8]), ("points", &[8, 4])], None, &["(8, 4)", "one to three coordinates"]),
        (&[("x", &[4, 8]), ("y", &[4, 8]), ("points", &[2, 8, 2])], None, &["(2, 8, 2)", "(points, dimension)"]),
        (&[("x", &[4, 8]), ("y", &[4, 8]), ("source_points", &[8, 2])], None, &["no array \"receiver_points\""]),
        (&[("x", &[4, 8]), ("y", &[4, 8]), ("receiver_points", &[8, 2])], None, &["no array \"source_points\""]),
        (
            &[("x", &[4, 8]), ("y", &[4, 8]), ("points", &[8, 2]), ("receiver_points", &[8, 2])],
            None,
            &["\"points\"", "\"receiver_points\" is there as well"],
        ),
        (
            &[("x", &[4, 8]), ("y", &[4, 5]), ("source_points", &[8, 2]), ("receiver_points", &[5, 3])],
            None,
            &["\"receiver_points\"", "(5, 3)", "\"source_points\" has 2 coordinates"],
        ),
        (&[("x", &[4, 5, 8]), ("y", &[4, 5, 8]), ("points", &[40, 2])], Some(2), &["one axis", "1 x 5 x 8"]),
    ] {
        npz(&path, arrays);
        let error = Dataset::open(&path, &OpenOptions { dims, ..OpenOptions::default() }).unwrap_err().to_string();
        assert!(!error.contains('\n') && error.contains("bad.npz"), "{error}");
        for part in parts {
            assert!(error.contains(part), "\"{part}\" is not in: {error}");
        }
        let summary = inspect(&path, dims).unwrap();
        assert_eq!((summary.problem.is_some(), summary.points), (true, None), "{error}");
    }
    let bad = Array::new(&[2, 2], &[0.0, 1.0, f64::INFINITY, 0.0]).unwrap();
    save_npz(&path, &[("x", &array(&[3, 2])), ("y", &array(&[3, 2])), ("points", &bad)], true).unwrap();
    let error = Dataset::open(&path, &OpenOptions::default()).unwrap_err().to_string();
    assert!(error.contains("coordinate 0 of point 1 is inf"), "{error}");
}

#[test]
fn points_in_memory_and_in_a_writer_must_fit() {
    let set = || -> Result<Dataset, DataError> {
        Dataset::from_arrays("mine", vec![0f32; 6], &[2, 3], vec![0f32; 8], &[2, 4], &OpenOptions::default())
    };
    let points = |n: usize| Points::new(2, &vec![0.5; 2 * n]).unwrap();
    let data = set().unwrap().with_points(Some((points(3), points(4)))).unwrap();
    assert_eq!(data.points(Side::Output), Some(&points(4)));
    assert!(data.with_points(None).unwrap().points(Side::Output).is_none());
    let error = set().unwrap().with_points(Some((points(3), points(3)))).unwrap_err().to_string();
    assert!(error.contains("3 points") && error.contains("mine: outputs are 1 x 4"), "{error}");
    let line = Points::new(1, &[0.0; 3]).unwrap();
    let error = set().unwrap().with_points(Some((line.clone(), points(4)))).unwrap_err().to_string();
    assert!(error.contains("dimension"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.h5");
    let (x, y) = (FieldShape::new(1, &[3]), FieldShape::new(1, &[2, 2]));
    let create = || Writer::create(&path, &x, &y, DType::F64, &BTreeMap::new(), true).unwrap();
    let mut writer = create();
    writer.points(Side::Input, &points(3)).unwrap();
    assert!(writer.points(Side::Input, &points(3)).unwrap_err().to_string().contains("given twice"));
    assert!(writer.points(Side::Output, &points(4)).unwrap_err().to_string().contains("outputs are 1 x 2 x 2"));
    // One side alone could not be read back.
    writer.append(&[0.0; 3], &[0.0; 4]).unwrap();
    assert!(writer.finish().unwrap_err().to_string().contains("receiver_points"));
    let mut writer = create();
    assert!(writer.points(Side::Input, &points(4)).unwrap_err().to_string().contains("4 points"));
}
