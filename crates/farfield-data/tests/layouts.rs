//! MAT files and the layouts of published data sets (`fixtures/make_layouts.py`): how they are recognised and read, and
//! what is refused of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use farfield_data::{
    Array, ArrayData, DType, DataError, Dataset, FieldShape, Normalization, Normalizer, OpenOptions, Side, Task,
    Trajectories, inspect, read_array, save_npz,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// State of trajectory `i` at step `t`, see `make_layouts.py`.
fn state(i: usize, t: usize, grid: &[usize]) -> Vec<f64> {
    let points: usize = grid.iter().product();
    let place = |at: usize| match grid {
        [_] => at,
        _ => 10 * (at / grid[1]) + at % grid[1],
    };
    (0..points).map(|at| (1000 * i + 100 * t + place(at)) as f64).collect()
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

fn options() -> OpenOptions {
    OpenOptions::default()
}

#[test]
fn every_class_of_mat_files_is_row_major() {
    for file in ["classes.mat", "classes_plain.mat"] {
        for (class, dtype) in [
            ("int8", DType::F32),
            ("int16", DType::F32),
            ("int32", DType::F64),
            ("int64", DType::F64),
            ("uint8", DType::F32),
            ("uint16", DType::F32),
            ("uint32", DType::F64),
            ("uint64", DType::F64),
            ("single", DType::F32),
            ("double", DType::F64),
        ] {
            let array = read_array(&fixture(file), Some(&format!("c_{class}"))).unwrap();
            assert_eq!((array.shape.as_slice(), array.data.dtype()), (&[2, 3, 4][..], dtype), "{file} {class}");
            let shift = if class.starts_with('u') { 0.0 } else { 12.0 };
            let expected: Vec<f64> = (0..24).map(|v| f64::from(v) - shift).collect();
            assert_eq!(array.data.to_vec::<f64>(), expected, "{file} {class}");
        }
        let read = |name: &str| read_array(&fixture(file), Some(name));
        let logical: Vec<f32> = (0..24).map(|v| if v % 3 == 0 { 1.0 } else { 0.0 }).collect();
        assert_eq!(read("logical").unwrap().data, ArrayData::F32(logical));
        let scalar = read("scalar").unwrap();
        assert_eq!((scalar.shape, scalar.data), (vec![1, 1], ArrayData::F64(vec![2.5])));
        assert_eq!(read("row").unwrap().shape, [1, 5]);
        assert_eq!(read("none").unwrap().shape, [0, 3]);
        refused(read("complex"), &[file, "\"complex\" of shape (3, 4)", "complex double", "save it as"]);
        refused(read("text"), &["\"text\"", "char"]);
        refused(read("record"), &["\"record\"", "struct"]);
        refused(read("cell"), &["\"cell\"", "element type cell"]);
        refused(read("sparse"), &["\"sparse\"", "sparse"]);
        refused(read("missing"), &[file, "no array \"missing\"", "\"c_double\""]);
        refused(Dataset::open(&fixture(file), &options()), &["no array \"x\""]);

        let summary = inspect(&fixture(file), None).unwrap();
        assert_eq!(summary.format, "MAT (version 5)");
        let find = |name: &str| summary.arrays.iter().find(|a| a.name == name).unwrap();
        let double = find("c_double");
        assert_eq!((double.min, double.max, double.mean), (Some(-12.0), Some(11.0), Some(-0.5)));
        assert_eq!((find("logical").dtype.as_str(), find("logical").max), ("bool", Some(1.0)));
        for name in ["record", "cell", "sparse", "text", "complex"] {
            assert!(find(name).problem.is_some(), "{name}");
        }
    }
}

#[test]
fn big_endian_mat_files_with_narrowed_values() {
    let read = |name: &str| read_array(&fixture("big_endian.mat"), Some(name)).unwrap();
    let expected: Vec<f64> = (0..24).map(f64::from).collect();
    let a = read("a");
    assert_eq!((a.shape.as_slice(), a.data), (&[2, 3, 4][..], ArrayData::F64(expected.clone())));
    assert_eq!(read("u").data, ArrayData::F64(expected.iter().map(|v| 10.0 * v).collect()));
    assert_eq!(read("few").data, ArrayData::F64(vec![7.0, 8.0]));
    assert_eq!(read("packed").data, ArrayData::F32((0..24u8).map(|v| f32::from(v) / 4.0).collect()));
    let pairs = Dataset::open(&fixture("big_endian.mat"), &OpenOptions { dims: Some(1), ..options() }).unwrap();
    assert_eq!((pairs.len(), pairs.input_shape()), (2, &FieldShape::new(3, &[4])));
}

#[test]
fn matlab_7_3_is_turned_round() {
    let path = fixture("v73.mat");
    let read = |name: &str| read_array(&path, Some(name));
    let u = read("u").unwrap();
    assert_eq!(u.shape, [3, 4, 5, 6]);
    let values = u.data.to_vec::<f64>();
    for i in 0..3 {
        for t in 0..6 {
            let expected = state(i, t + 1, &[4, 5]);
            let got: Vec<f64> = (0..20).map(|at| values[(i * 20 + at) * 6 + t]).collect();
            assert_eq!(got, expected);
        }
    }
    assert_eq!(read("flags").unwrap().shape, [4, 6]);
    assert_eq!(read("flags").unwrap().data.to_vec::<f32>()[2], 0.0);
    assert_eq!(read("flags").unwrap().data.to_vec::<f32>()[13], 0.0 + 1.0);
    for (name, part) in [("text", "char"), ("cell", "cell"), ("complex", "real"), ("none", "empty array")] {
        refused(read(name), &["v73.mat", name, part]);
    }
    refused(read("record"), &["\"record\" is a group"]);
    let summary = inspect(&path, None).unwrap();
    assert_eq!(summary.format, "HDF5");
    let names: Vec<&str> = summary.arrays.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["a", "cell", "complex", "flags", "none", "t", "text", "u", "record/b"]);
    assert_eq!(summary.arrays[7].shape, [3, 4, 5, 6]);
}

#[test]
fn fno_pairs_in_mat() {
    let data = Dataset::open(&fixture("fno_pairs.mat"), &options()).unwrap();
    assert_eq!((data.len(), data.layout()), (5, "FNO / neuraloperator pairs"));
    assert_eq!(data.input_shape(), &FieldShape::new(1, &[4, 6]));
    let (mut x, mut y) = (vec![0f64; 24], vec![0f64; 24]);
    data.read(&[3], &mut x, &mut y).unwrap();
    assert_eq!(x, state(3, 0, &[4, 6]));
    assert_eq!(y, x.iter().map(|v| -v / 4.0).collect::<Vec<_>>());
    assert!(data.trajectory_pairs().is_none() && data.mask().is_none());
    assert_eq!((data.groups(), data.samples_of(&[2, 0])), (5, vec![2, 0]));
    let task = OpenOptions { task: Some(Task::OneStep), ..options() };
    refused(Dataset::open(&fixture("fno_pairs.mat"), &task), &["fno_pairs.mat", "pairs", "one-step"]);
    refused(Trajectories::open(&fixture("fno_pairs.mat"), &options()), &["not a valid set of trajectories"]);
    let named = OpenOptions { input: "Kcoeff".into(), output: "sol".into(), ..options() };
    assert_eq!(Dataset::open(&fixture("fno_pairs.mat"), &named).unwrap().layout(), "pairs");
    let wrong = OpenOptions { input: "Kcoeff".into(), output: "u".into(), ..options() };
    refused(Dataset::open(&fixture("fno_pairs.mat"), &wrong), &["no array \"u\"", "\"coeff\""]);
}

/// The same trajectories in three formats: `a` at t = 0, then `u`, time last.
#[test]
fn diffusion_pde_in_three_formats() {
    for name in ["diffusionpde.mat", "v73.mat", "in_time.npz"] {
        let set = Arc::new(Trajectories::open(&fixture(name), &options()).unwrap());
        assert_eq!((set.len(), set.state_shape()), (3, &FieldShape::new(1, &[4, 5])), "{name}");
        assert_eq!((set.times().len(), set.times()[0], set.times()[6]), (7, 0.0, 1.0));
        assert_eq!(set.usual_task(), Task::FirstToLast);
        assert_eq!(set.field_names(), ["u"]);
        let mut whole = vec![0f64; 7 * 20];
        set.read_trajectory(2, &mut whole).unwrap();
        let expected: Vec<f64> = (0..7).flat_map(|t| state(2, t, &[4, 5])).collect();
        assert_eq!(whole, expected);
        set.check_finite().unwrap();

        let forward = Dataset::open(&fixture(name), &options()).unwrap();
        let pairs = forward.trajectory_pairs().unwrap();
        assert_eq!((forward.len(), pairs.task(), pairs.locate(2)), (3, Task::FirstToLast, (2, 0)));
        let (mut x, mut y) = (vec![0f32; 20], vec![0f32; 20]);
        forward.read(&[1], &mut x, &mut y).unwrap();
        let as_f32 = |v: Vec<f64>| v.into_iter().map(|v| v as f32).collect::<Vec<_>>();
        assert_eq!((x, y), (as_f32(state(1, 0, &[4, 5])), as_f32(state(1, 6, &[4, 5]))));

        let inverse = OpenOptions { task: Some(Task::LastToFirst), residual: true, ..options() };
        let inverse = Dataset::open(&fixture(name), &inverse).unwrap();
        assert_eq!(inverse.trajectory_pairs().unwrap().locate(1), (1, 6));
        let (mut x, mut y) = (vec![0f64; 20], vec![0f64; 20]);
        inverse.read(&[2], &mut x, &mut y).unwrap();
        assert_eq!((x, y), (state(2, 6, &[4, 5]), vec![-600.0; 20]));
    }
}

#[test]
fn pdebench_files() {
    for limit in [0, u64::MAX] {
        let on = OpenOptions { in_memory_limit: limit, ..options() };
        let data = Dataset::open(&fixture("pdebench.h5"), &on).unwrap();
        assert_eq!((data.len(), data.groups(), data.is_on_disk()), (4 * 5, 4, limit == 0));
        assert_eq!(data.input_shape(), &FieldShape::new(1, &[16]));
        assert_eq!(data.coordinates().unwrap()[0][1], 1.5 / 16.0);
        let set = data.trajectory_pairs().unwrap().trajectories();
        assert_eq!((set.times().len(), set.times()[5]), (6, 5.0 / 8.0));
        let (mut x, mut y) = (vec![0f64; 32], vec![0f64; 32]);
        data.read(&[19, 3], &mut x, &mut y).unwrap();
        assert_eq!(x, [state(3, 4, &[16]), state(0, 3, &[16])].concat());
        assert_eq!(y, [state(3, 5, &[16]), state(0, 4, &[16])].concat());
        assert_eq!(data.samples_of(&[2]), [10, 11, 12, 13, 14]);
        assert!(data.layout().contains("PDEBench"));

        let darcy = Dataset::open(&fixture("pdebench_darcy.h5"), &on).unwrap();
        assert_eq!(
            (darcy.len(), darcy.input_shape(), darcy.output_shape()),
            (5, &FieldShape::new(1, &[4, 6]), &FieldShape::new(1, &[4, 6]))
        );
        assert_eq!(darcy.coordinates().unwrap()[1], [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
        assert_eq!(darcy.attributes()["beta"], "1.0");
        let (mut x, mut y) = (vec![0f64; 24], vec![0f64; 24]);
        darcy.read(&[4], &mut x, &mut y).unwrap();
        assert_eq!((x[7], y[7]), (4011.0, -4011.0 / 4.0));

        let flow = Dataset::open(&fixture("pdebench_cfd.h5"), &on).unwrap();
        assert_eq!((flow.len(), flow.input_shape()), (3 * 4, &FieldShape::new(3, &[8])));
        let set = flow.trajectory_pairs().unwrap().trajectories();
        assert_eq!(set.field_names(), ["density", "pressure", "Vx"]);
        let mut u = vec![0f64; 24];
        set.read_state(2, 4, &mut u).unwrap();
        let expected: Vec<f64> =
            [0.0, 0.5, 1.0].iter().flat_map(|shift| state(2, 4, &[8]).into_iter().map(move |v| v + shift)).collect();
        assert_eq!(u, expected);
    }
}

#[test]
fn the_well_file_and_folder() {
    for limit in [0, u64::MAX] {
        let on = OpenOptions { in_memory_limit: limit, ..options() };
        let set = Trajectories::open(&fixture("well_0.hdf5"), &on).unwrap();
        assert_eq!((set.len(), set.is_on_disk(), set.layout()), (3, limit == 0, "The Well (HDF5)"));
        assert_eq!(set.field_names(), ["A", "B", "v_x", "v_y"]);
        assert_eq!(set.times(), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(set.axis_names(), ["x", "y"]);
        assert_eq!(set.coordinates()[0], [-1.0, -0.5, 0.0, 0.5]);
        assert_eq!(set.periodic(), Some(&[true, true][..]));
        assert_eq!((set.scalar_names(), set.scalars(2)), (vec!["F", "k"], Some(vec![0.5, 0.25])));
        assert_eq!(set.scalars(3), None);
        assert_eq!(set.skipped(), ["t0_fields/height"]);
        assert_eq!(set.attributes()["dataset_name"], "gray_scott_reaction_diffusion");
        let mut u = vec![0f64; 4 * 24];
        set.read_state(1, 3, &mut u).unwrap();
        let a = state(1, 3, &[4, 6]);
        let map = |f: &dyn Fn(f64) -> f64| a.iter().map(|&v| f(v)).collect::<Vec<_>>();
        assert_eq!(u, [map(&|v| v), map(&|v| v + 0.5), map(&|v| v + 1.0), map(&|v| -v)].concat());
        refused(set.read_state(3, 0, &mut u), &["well_0.hdf5", "sample 3 does not exist"]);
        refused(set.read_state(0, 5, &mut u), &["step = 5", "5 states"]);
        refused(set.read_state(0, 0, &mut u[1..]), &["got 95 values, expected 96"]);
    }

    let folder = tempfile::tempdir().unwrap();
    for name in ["well_0.hdf5", "well_1.hdf5"] {
        std::fs::copy(fixture(name), folder.path().join(name)).unwrap();
    }
    let data =
        Dataset::open(folder.path(), &OpenOptions { time_stride: 2, unroll: 2, residual: true, ..options() }).unwrap();
    let pairs = data.trajectory_pairs().unwrap();
    // Only F differs between the files.
    assert_eq!(pairs.scalar_channels(), ["F"]);
    assert_eq!((data.len(), pairs.per_trajectory(), data.groups()), (6, 1, 6));
    assert_eq!((data.input_shape(), data.output_shape()), (&FieldShape::new(5, &[4, 6]), &FieldShape::new(8, &[4, 6])));
    let (mut x, mut y) = (vec![0f64; 5 * 24], vec![0f64; 8 * 24]);
    data.read(&[4], &mut x, &mut y).unwrap();
    assert_eq!(x[..24], state(1, 0, &[4, 6]));
    assert_eq!(x[96..], [0.125; 24]);
    // Two strides of two steps: +200 in A, B, v_x and -200 in v_y, twice.
    let once: Vec<f64> = [200.0, 200.0, 200.0, -200.0].iter().flat_map(|&v| [v; 24]).collect();
    assert_eq!(y, [once.clone(), once].concat());
    // The same, of a set that was opened for one step.
    let one = Dataset::open(folder.path(), &OpenOptions { time_stride: 2, residual: true, ..options() }).unwrap();
    assert_eq!((one.len(), one.unrolled(1).unwrap().len()), (18, 18));
    let two = one.unrolled(2).unwrap();
    assert_eq!((two.len(), two.input_shape(), two.output_shape()), (6, data.input_shape(), data.output_shape()));
    let (mut again_x, mut again_y) = (vec![0f64; 5 * 24], vec![0f64; 8 * 24]);
    two.read(&[4], &mut again_x, &mut again_y).unwrap();
    assert_eq!((again_x, again_y), (x, y));
    refused(one.unrolled(3), &["3 steps of that length do not fit a trajectory of 5 states"]);
    refused(one.unrolled(0), &["unroll = 0"]);
    let all = OpenOptions { scalars: Some(true), ..options() };
    assert_eq!(Dataset::open(folder.path(), &all).unwrap().input_shape().channels, 6);
    let none = OpenOptions { scalars: Some(false), ..options() };
    assert_eq!(Dataset::open(folder.path(), &none).unwrap().input_shape().channels, 4);
    for (bad, part) in [
        (OpenOptions { time_stride: 5, ..options() }, "do not fit a trajectory of 5 states"),
        (OpenOptions { time_stride: 0, ..options() }, "time_stride = 0"),
        (OpenOptions { unroll: usize::MAX, ..options() }, "do not fit"),
        (
            OpenOptions { task: Some(Task::LastToFirst), unroll: 2, ..options() },
            "no meaning for the task last-to-first",
        ),
    ] {
        refused(Dataset::open(folder.path(), &bad), &[part]);
    }
    std::fs::copy(fixture("pdebench.h5"), folder.path().join("z.h5")).unwrap();
    refused(Dataset::open(folder.path(), &options()), &["z.h5", "their fields or grids differ"]);
    let empty = tempfile::tempdir().unwrap();
    refused(Dataset::open(empty.path(), &options()), &["no .h5 or .hdf5 files"]);
}

#[test]
fn states_and_times_in_npz() {
    let data = Dataset::open(&fixture("steps.npz"), &options()).unwrap();
    let pairs = data.trajectory_pairs().unwrap();
    assert_eq!((data.len(), pairs.scalar_channels()), (12, vec!["viscosity"]));
    let (mut x, mut y) = (vec![0f64; 16], vec![0f64; 8]);
    data.read(&[7], &mut x, &mut y).unwrap();
    assert_eq!(x, [state(1, 3, &[8]), vec![0.25; 8]].concat());
    assert_eq!(y, state(1, 4, &[8]));
    // The normaliser and the check of values see a set like any other.
    let fit = Normalizer::fit(&data, &data.samples_of(&[0]), Side::Output, Normalization::Max).unwrap();
    assert_eq!(fit.scale(), [407.0]);
    data.check_finite_as::<f32>().unwrap();
}

#[test]
fn trajectories_in_memory_and_their_errors() {
    let states: Vec<f64> = (0..2 * 3 * 2 * 4).map(f64::from).collect();
    let make = |shape: &[usize], times: &[f64], scalar: &[f64]| {
        Trajectories::from_arrays("made", states.clone(), shape, times, &[("nu", scalar)])
    };
    let set = Arc::new(make(&[2, 3, 2, 4], &[0.0, 0.5, 2.0], &[1.0, 3.0]).unwrap());
    let data = Dataset::from_trajectories(Arc::clone(&set), &options()).unwrap();
    assert_eq!((data.len(), data.input_shape()), (4, &FieldShape::new(3, &[4])));
    let (mut x, mut y) = (vec![0f64; 12], vec![0f64; 8]);
    data.read(&[3], &mut x, &mut y).unwrap();
    let from = |first: u8| (first..first + 8).map(f64::from).collect::<Vec<_>>();
    assert_eq!((x, y), ([from(32), vec![3.0; 4]].concat(), from(40)));

    refused(make(&[2, 3, 2, 5], &[0.0, 0.5, 2.0], &[1.0, 3.0]), &["made", "(2, 3, 2, 5)", "got 48"]);
    refused(make(&[2, 3, 8], &[0.0, 0.5, 2.0], &[1.0, 3.0]), &["expected (trajectories, times, channels"]);
    refused(make(&[2, 3, 2, 4], &[0.0, 0.5], &[1.0, 3.0]), &["\"times\"", "3 states"]);
    refused(make(&[2, 3, 2, 4], &[0.0, 0.5, 0.5], &[1.0, 3.0]), &["times must increase", "0.5"]);
    refused(make(&[2, 3, 2, 4], &[0.0, f64::NAN, 0.5], &[1.0, 3.0]), &["time 1 is NaN"]);
    refused(make(&[2, 3, 2, 4], &[0.0, 0.5, 2.0], &[1.0]), &["scalar \"nu\"", "got 1 values, expected 2"]);
    let one = Trajectories::from_arrays("one", vec![0f32; 4], &[1, 1, 1, 4], &[0.0], &[]).unwrap();
    refused(Dataset::from_trajectories(Arc::new(one), &options()), &["one", "at least two"]);
    let mut bad = states.clone();
    bad[24 + 8 + 5] = f64::INFINITY;
    let bad = Trajectories::from_arrays("bad", bad, &[2, 3, 2, 4], &[0.0, 1.0, 2.0], &[]).unwrap();
    refused(bad.check_finite(), &["bad", "\"u1\"", "sample 1", "index 13", "inf"]);
    let bad = Dataset::from_trajectories(Arc::new(bad), &options()).unwrap();
    refused(bad.check_finite(), &["sample 1"]);
}

/// Files of known names whose arrays do not fit.
#[test]
fn arrays_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.npz");
    let zeros = |shape: &[usize]| Array::new(shape, &vec![0.5f32; shape.iter().product()]).unwrap();
    let times = |n: usize| Array::new(&[n], &(0..n).map(|t| t as f64).collect::<Vec<_>>()).unwrap();
    let open = |arrays: &[(&str, &Array)]| {
        save_npz(&path, arrays, true).unwrap();
        Dataset::open(&path, &options())
    };
    refused(open(&[("u", &zeros(&[2, 5, 8])), ("t", &times(6))]), &["f.npz", "\"u\" of shape (2, 5, 8)", "6 times"]);
    refused(open(&[("u", &zeros(&[2, 5, 8])), ("t", &zeros(&[5]))]), &["times must increase"]);
    refused(open(&[("a", &zeros(&[2, 8])), ("u", &zeros(&[2, 8, 5])), ("t", &times(4))]), &["\"times\"", "5 states"]);
    refused(open(&[("a", &zeros(&[2, 8])), ("u", &zeros(&[3, 8, 5]))]), &["(2, 8)", "(3, 8, 5)"]);
    refused(open(&[("a", &zeros(&[2, 8])), ("u", &zeros(&[2, 9, 5]))]), &["time as last axis"]);
    refused(open(&[("tensor", &zeros(&[2, 5, 8])), ("t-coordinate", &times(9))]), &["\"times\"", "5 states"]);
    refused(
        open(&[("tensor", &zeros(&[2, 5, 8])), ("x-coordinate", &times(9))]),
        &["\"x-coordinate\" of shape (9,)", "8 points"],
    );
    refused(open(&[("tensor", &zeros(&[5]))]), &["\"tensor\" of shape (5,)", "expected (samples, time, grid)"]);
    refused(open(&[("tensor", &zeros(&[2, 0, 8]))]), &["there is no state"]);
    refused(open(&[("tensor", &zeros(&[2, 5]))]), &["\"tensor\" of shape (2, 5)"]);
    refused(open(&[("nu", &zeros(&[3, 4, 4])), ("tensor", &zeros(&[2, 1, 4, 4]))]), &["3 samples against 2"]);
    refused(
        open(&[("density", &zeros(&[2, 5, 8])), ("pressure", &zeros(&[2, 5, 9])), ("Vx", &zeros(&[2, 5, 8]))]),
        &["\"pressure\" of shape (2, 5, 9)", "\"density\" has shape (2, 5, 8)"],
    );
    refused(open(&[("u", &zeros(&[2, 5, 8]))]), &["no array \"x\"", "\"u\""]);
    let nan = Array::new(&[2], &[0.5f64, f64::NAN]).unwrap();
    refused(open(&[("u", &zeros(&[2, 5, 8])), ("t", &times(5)), ("nu", &nan)]), &["\"nu\", sample 1", "NaN"]);
    let both = open(&[("u", &zeros(&[2, 5, 2, 8])), ("t", &times(5))]).unwrap();
    assert_eq!(both.input_shape(), &FieldShape::new(2, &[8]));
}

#[test]
fn masks_travel_with_a_set() {
    let hole = [8, 9, 14, 15];
    for name in ["masked.h5", "masked.npz"] {
        let data = Dataset::open(&fixture(name), &options()).unwrap();
        let mask = data.mask().unwrap();
        assert_eq!((mask.grid(), mask.count()), (&[4, 6][..], 20));
        assert!((0..24).all(|at| mask.inside()[at] != hole.contains(&at)), "{name}");
        let without = OpenOptions { mask: None, ..options() };
        assert!(Dataset::open(&fixture(name), &without).unwrap().mask().is_none());
        let other = OpenOptions { mask: Some("holes".into()), ..options() };
        refused(Dataset::open(&fixture(name), &other), &["no array \"holes\""]);
        let wrong = OpenOptions { mask: Some("x".into()), ..options() };
        refused(Dataset::open(&fixture(name), &wrong), &["\"x\" of shape (5, 4, 6)", "shape of the grid, (4, 6)"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.npz");
    let x = Array::new(&[2, 4, 4], &[1f32; 32]).unwrap();
    for (mask, part) in [
        (Array::new(&[4, 4], &[0f32; 16]).unwrap(), "no point is inside"),
        (Array::new(&[4, 4], &[0.5f32; 16]).unwrap(), "not 0.5"),
        (Array::new(&[16], &[1f32; 16]).unwrap(), "(4, 4)"),
    ] {
        save_npz(&path, &[("x", &x), ("y", &x), ("mask", &mask)], true).unwrap();
        refused(Dataset::open(&path, &options()), &["f.npz: array \"mask\"", part]);
        let problem = inspect(&path, None).unwrap().problem.unwrap();
        assert!(problem.contains(part), "{problem}");
    }
}

#[test]
fn inspect_says_what_a_set_means() {
    let summary = |name: &str| inspect(&fixture(name), None).unwrap();
    let well = summary("well_0.hdf5");
    let set = well.trajectories.as_ref().unwrap();
    assert_eq!((set.trajectories, set.times, set.first_time, set.last_time), (3, 5, 0.0, 40.0));
    assert_eq!((set.fields.join(" "), set.scalars.join(" ")), ("A B v_x v_y".into(), "F k".into()));
    assert_eq!((set.usual_task, set.periodic.as_deref()), (Task::OneStep, Some(&[true, true][..])));
    assert_eq!(set.skipped, ["t0_fields/height"]);
    assert_eq!(well.layout.as_deref(), Some("The Well (HDF5)"));
    let pairs = well.pairs.unwrap();
    assert_eq!((pairs.samples, pairs.input), (12, FieldShape::new(4, &[4, 6])));
    let time_last = summary("diffusionpde.mat");
    assert_eq!(time_last.trajectories.unwrap().usual_task, Task::FirstToLast);
    assert_eq!(time_last.pairs.unwrap().samples, 3);
    let masked = summary("masked.h5");
    assert_eq!((masked.mask.unwrap().inside, masked.layout.as_deref()), (20, Some("pairs")));
    assert!(masked.trajectories.is_none() && masked.problem.is_none());
    let json = serde_json::to_value(summary("pdebench.h5")).unwrap();
    assert_eq!((&json["trajectories"]["usual_task"], &json["pairs"]["samples"]), (&"one-step".into(), &20.into()));
    assert_eq!(summary("pdebench_darcy.h5").pairs.unwrap().samples, 5);
    assert_eq!(summary("classes.mat").layout, None);
}

/// A file of The Well with bytes replaced, everywhere they occur.
fn patched(folder: &Path, replacements: &[(&[u8], &[u8])]) -> PathBuf {
    let mut bytes = std::fs::read(fixture("well_0.hdf5")).unwrap();
    for (from, to) in replacements {
        assert_eq!(from.len(), to.len());
        let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    let path = folder.join("well.hdf5");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn files_of_the_well_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let open = |from: &[u8], to: &[u8]| Trajectories::open(&patched(folder.path(), &[(from, to)]), &options());
    refused(open(b"spatial_dims", b"spatial_dimz"), &["well.hdf5", "\"dimensions\"", "spatial_dims", "is missing"]);
    refused(open(b"field_names", b"field_namez"), &["\"t0_fields\"", "field_names"]);
    refused(open(b"sample_varying", b"sample_varyinz"), &["\"t0_fields/A\"", "sample_varying is missing"]);
    refused(open(b"dim_varying", b"dim_varyinz"), &["dim_varying is missing"]);
    refused(open(b"t2_fields", b"t9_fields"), &["no array \"t2_fields\""]);
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let times = floats(&[0.0, 10.0, 20.0, 30.0, 40.0]);
    refused(open(&times, &floats(&[0.0, 10.0, f32::NAN, 30.0, 40.0])), &["\"times\"", "time 2 is NaN"]);
    refused(open(&times, &floats(&[0.0, 10.0, 10.0, 30.0, 40.0])), &["times must increase"]);
    let axis = floats(&[-1.0, -0.5, 0.0, 0.5]);
    let bad = floats(&[-1.0, f32::INFINITY, 0.0, 0.5]);
    refused(open(&axis, &bad), &["\"dimensions/x\"", "coordinate 1 is inf"]);
    let longs = |values: &[u64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let shape = longs(&[3, 5, 4, 6]);
    refused(open(&shape, &longs(&[3, 4, 4, 6])), &["\"t0_fields/A\" of shape (3, 4, 4, 6)", "ask for (3, 5, 4, 6)"]);
    refused(open(&shape, &longs(&[2, 5, 4, 6])), &["n_trajectories says 3", "fields have 2"]);
    refused(open(&shape, &longs(&[u64::MAX, 5, 4, 6])), &["too large"]);
    let values = floats(&[1000.0, 1001.0, 1002.0, 1003.0]);
    let set = open(&values, &floats(&[1000.0, f32::NAN, 1002.0, 1003.0])).unwrap();
    refused(set.check_finite(), &["\"A\", sample 1, flat index 1", "NaN"]);
    let long = open(b"PERIODIC", b"OPENOPEN").unwrap();
    assert_eq!(long.periodic(), Some(&[false, false][..]));
}
