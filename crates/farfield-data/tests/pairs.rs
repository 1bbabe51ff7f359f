//! Data sets written and read back: on disk and in memory, all shapes, both types.

use std::collections::BTreeMap;
use std::path::Path;

use farfield_data::{Array, DType, DataError, Dataset, FieldShape, OpenOptions, Real, Side, Writer, save_npz};

/// A value that tells sample and place.
fn value(array: usize, sample: usize, at: usize) -> f64 {
    (array * 100_000 + sample * 1000 + at) as f64 * 0.25
}

fn samples<T: Real>(array: usize, numbers: &[usize], len: usize) -> Vec<T> {
    numbers.iter().flat_map(|&s| (0..len).map(move |at| T::from_f64(value(array, s, at)))).collect()
}

fn write<T: Real>(path: &Path, n: usize, input: &FieldShape, output: &FieldShape, dtype: DType) {
    let attributes = BTreeMap::from([
        ("problem".to_owned(), "made \"up\" π\nsecond line".to_owned()),
        ("config".to_owned(), "{}".repeat(100_000)),
        ("empty".to_owned(), String::new()),
    ]);
    let mut writer = Writer::create(path, input, output, dtype, &attributes, false).unwrap();
    let mut first = 0;
    let mut many = 1;
    while first < n {
        let count = many.min(n - first);
        let numbers: Vec<usize> = (first..first + count).collect();
        writer.append(&samples::<T>(0, &numbers, input.len()), &samples::<T>(1, &numbers, output.len())).unwrap();
        first += count;
        many += 1;
    }
    assert_eq!(writer.samples(), n);
    writer.finish().unwrap();
}

fn check<T: Real>(data: &Dataset, numbers: &[usize]) {
    let (nx, ny) = (data.input_shape().len(), data.output_shape().len());
    let mut x = vec![T::default(); numbers.len() * nx];
    let mut y = vec![T::default(); numbers.len() * ny];
    data.read(numbers, &mut x, &mut y).unwrap();
    assert_eq!(x, samples::<T>(0, numbers, nx));
    assert_eq!(y, samples::<T>(1, numbers, ny));
    x.fill(T::default());
    data.read_inputs(numbers, &mut x).unwrap();
    assert_eq!(x, samples::<T>(0, numbers, nx));
    y.fill(T::default());
    data.read_outputs(numbers, &mut y).unwrap();
    assert_eq!(y, samples::<T>(1, numbers, ny));
}

#[test]
fn hdf5_on_disk_and_in_memory_in_all_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let shapes = [
        (FieldShape::new(1, &[8]), FieldShape::new(1, &[8])),
        (FieldShape::new(3, &[9]), FieldShape::new(1, &[17])),
        (FieldShape::new(1, &[4, 5]), FieldShape::new(2, &[3, 9])),
        (FieldShape::new(2, &[3, 4, 2]), FieldShape::new(1, &[1, 1, 1])),
    ];
    for (k, (input, output)) in shapes.iter().enumerate() {
        for dtype in [DType::F32, DType::F64] {
            for n in [1, 2, 7] {
                let path = folder.path().join(format!("{k}-{dtype}-{n}.h5"));
                write::<f64>(&path, n, input, output, dtype);
                for limit in [0, u64::MAX] {
                    let options =
                        OpenOptions { dims: Some(input.dims()), in_memory_limit: limit, ..OpenOptions::default() };
                    let data = Dataset::open(&path, &options).unwrap();
                    assert_eq!(data.is_on_disk(), limit == 0);
                    assert_eq!((data.len(), data.dtype()), (n, dtype));
                    assert_eq!(data.input_shape(), input);
                    assert_eq!(data.output_shape(), output);
                    assert_eq!(data.shape(Side::Output), output);
                    assert_eq!(data.attributes()["problem"], "made \"up\" π\nsecond line");
                    assert_eq!(data.attributes()["config"].len(), 200_000);
                    assert_eq!(data.attributes()["empty"], "");
                    assert!(data.origin().ends_with(".h5"));
                    let backwards: Vec<usize> = (0..n).rev().collect();
                    check::<f32>(&data, &backwards);
                    check::<f64>(&data, &[n - 1, 0, n - 1]);
                    check::<f64>(&data, &[]);
                    data.check_finite().unwrap();
                }
            }
        }
    }
}

#[test]
fn npz_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.npz");
    let x = Array::new(&[5, 16], &samples::<f32>(0, &[0, 1, 2, 3, 4], 16)).unwrap();
    let y = Array::new(&[5, 2, 8], &samples::<f64>(1, &[0, 1, 2, 3, 4], 16)).unwrap();
    save_npz(&path, &[("x", &x), ("y", &y), ("extra", &x)], false).unwrap();
    let data = Dataset::open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(data.dtype(), DType::F64);
    assert_eq!(data.output_shape(), &FieldShape::new(2, &[8]));
    assert!(data.attributes().is_empty() && !data.is_on_disk() && !data.is_empty());
    check::<f32>(&data, &[4, 0, 2]);

    let named = OpenOptions { input: "extra".into(), output: "x".into(), ..OpenOptions::default() };
    let data = Dataset::open(&path, &named).unwrap();
    assert_eq!(data.output_shape(), &FieldShape::new(1, &[16]));

    let data = Dataset::from_arrays(
        "mine",
        samples::<f32>(0, &[0, 1, 2], 4),
        &[3, 2, 2],
        samples::<f32>(1, &[0, 1, 2], 9),
        &[3, 3, 3],
        &OpenOptions::default(),
    )
    .unwrap();
    assert_eq!((data.len(), data.dtype(), data.origin()), (3, DType::F32, "mine"));
    check::<f64>(&data, &[2, 1]);
}

fn refused(result: Result<Dataset, DataError>, parts: &[&str]) {
    let text = result.unwrap_err().to_string();
    assert!(!text.contains('\n'), "{text}");
    for part in parts {
        assert!(text.contains(part), "\"{part}\" is not in: {text}");
    }
}

#[test]
fn pairs_that_do_not_fit_are_refused() {
    let open = |x: &[usize], y: &[usize], dims: Option<usize>| {
        Dataset::from_arrays(
            "mine",
            vec![0f32; x.iter().product()],
            x,
            vec![0f32; y.iter().product()],
            y,
            &OpenOptions { dims, ..OpenOptions::default() },
        )
    };
    refused(open(&[3, 8], &[4, 8], None), &["mine", "(3, 8)", "(4, 8)", "3 samples against 4"]);
    refused(open(&[3, 5, 8], &[3, 8], None), &["read as 2D and 1D", "dims"]);
    assert!(open(&[3, 5, 8], &[3, 8], Some(1)).is_ok());
    refused(open(&[0, 8], &[0, 8], None), &["mine", "\"x\"", "(0, 8)", "empty"]);
    refused(open(&[3, 8], &[3, 8], Some(3)), &["dims = 3", "\"x\""]);
    refused(open(&[8], &[8], None), &["(8,)", "expected (samples"]);
    refused(open(&[], &[], None), &["()", "expected (samples"]);
    refused(open(&[2, 3, 0], &[2, 3], None), &["length 0"]);
    refused(
        Dataset::from_arrays("mine", vec![0f32; 5], &[2, 3], vec![0f32; 6], &[2, 3], &OpenOptions::default()),
        &["mine", "\"x\"", "(2, 3)", "got 5 values, expected 6"],
    );
}

#[test]
fn reading_outside_is_refused() {
    let data =
        Dataset::from_arrays("mine", vec![0f32; 6], &[2, 3], vec![0f32; 6], &[2, 3], &OpenOptions::default()).unwrap();
    let (mut x, mut y) = ([0f32; 3], [0f32; 3]);
    let text = data.read(&[2], &mut x, &mut y).unwrap_err().to_string();
    assert_eq!(text, "mine: sample 2 does not exist: the set has 2 samples (0 to 1)");
    let text = data.read(&[0, 1], &mut x, &mut y).unwrap_err().to_string();
    assert!(text.contains("got 3 values, expected 2 x 3"), "{text}");
}

#[test]
fn values_that_are_not_finite_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.h5");
    let shape = FieldShape::new(2, &[3]);
    let mut writer = Writer::create(&path, &shape, &shape, DType::F64, &BTreeMap::new(), false).unwrap();
    let good = [1.0f64; 6];
    let mut bad = good;
    bad[4] = f64::INFINITY;
    writer.append(&good, &good).unwrap();
    writer.append(&[1e300; 6], &good).unwrap();
    writer.append(&good, &bad).unwrap();
    writer.finish().unwrap();
    for limit in [0, u64::MAX] {
        let options = OpenOptions { in_memory_limit: limit, dims: Some(1), ..OpenOptions::default() };
        let data = Dataset::open(&path, &options).unwrap();
        let error = data.check_finite().unwrap_err();
        assert!(matches!(
            &error,
            DataError::NonFinite { array, sample: 2, index: 4, .. } if array == "y"
        ));
        let text = error.to_string();
        assert!(text.contains("bad.h5: array \"y\", sample 2, flat index 4"), "{text}");
        assert!(text.contains("inf"), "{text}");
        // 1e300 is finite as stored, not as f32.
        assert!(matches!(data.check_finite_as::<f32>().unwrap_err(), DataError::NonFinite { sample: 1, index: 0, .. }));
    }
}

#[test]
fn a_set_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Dataset>();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.h5");
    let shape = FieldShape::new(1, &[16, 16]);
    write::<f32>(&path, 20, &shape, &shape, DType::F32);
    let options = OpenOptions { in_memory_limit: 0, ..OpenOptions::default() };
    let data = Dataset::open(&path, &options).unwrap();
    std::thread::scope(|scope| {
        for start in 0..4 {
            let data = &data;
            scope.spawn(move || {
                for round in 0..20 {
                    check::<f32>(data, &[(start * 5 + round) % 20, round % 20]);
                }
            });
        }
    });
}

#[test]
fn writers_refuse_what_they_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.h5");
    let shape = FieldShape::new(1, &[4]);
    let none = BTreeMap::new();
    let create = |path: &Path, overwrite| Writer::create(path, &shape, &shape, DType::F32, &none, overwrite);
    let text = |result: Result<Writer, DataError>| result.err().unwrap().to_string();

    assert!(text(create(&folder.path().join("set.npz"), false)).contains("expected .h5 or .hdf5"));
    assert!(text(create(&folder.path().join("no/set.h5"), false)).contains("no/set.h5: cannot create"));
    let empty = FieldShape::new(1, &[]);
    assert!(text(Writer::create(&path, &empty, &shape, DType::F32, &none, false)).contains("input shape"));

    let mut writer = create(&path, false).unwrap();
    let error = writer.append(&[0f32; 6], &[0f32; 6]).unwrap_err().to_string();
    assert!(error.contains("set.h5: samples of x (1 x 4): got 6 values, expected 4 (1 x 4)"), "{error}");
    assert!(writer.append(&[0f32; 8], &[0f32; 4]).is_err());
    assert!(writer.append::<f32>(&[], &[]).is_err());
    assert!(writer.finish().unwrap_err().to_string().contains("empty set"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    // Dropped half-way: nothing is left, an existing file is untouched.
    std::fs::write(&path, b"precious").unwrap();
    assert!(matches!(create(&path, false), Err(DataError::Exists { .. })));
    let mut writer = create(&path, true).unwrap();
    writer.append(&[0f32; 4], &[0f32; 4]).unwrap();
    drop(writer);
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let mut writer = create(&path, true).unwrap();
    writer.append(&[0f32; 4], &[0f32; 4]).unwrap();
    writer.finish().unwrap();
    assert!(Dataset::open(&path, &OpenOptions::default()).is_ok());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Not an assertion on time: the figure is printed (run with `--nocapture`).
#[test]
fn sixteen_samples_of_a_large_set_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.h5");
    let shape = FieldShape::new(1, &[128, 128, 128]);
    let small = FieldShape::new(1, &[1, 1, 1]);
    let mut writer = Writer::create(&path, &shape, &small, DType::F32, &BTreeMap::new(), false).unwrap();
    let mut x = vec![0f32; shape.len()];
    for sample in 0..40 {
        x.fill(sample as f32);
        writer.append(&x, &[sample as f32]).unwrap();
    }
    writer.finish().unwrap();
    let options = OpenOptions { in_memory_limit: 0, ..OpenOptions::default() };
    let data = Dataset::open(&path, &options).unwrap();
    let numbers: Vec<usize> = (0..16).map(|i| (i * 27 + 5) % 40).collect();
    let mut batch = vec![0f32; 16 * shape.len()];
    let start = std::time::Instant::now();
    data.read_inputs(&numbers, &mut batch).unwrap();
    println!("16 samples of {shape}: {:.3} s", start.elapsed().as_secs_f64());
    for (sample, values) in numbers.iter().zip(batch.chunks(shape.len())) {
        assert!(values.iter().all(|&v| v == *sample as f32));
    }
}
