//! Trajectories written and read back; runs that are killed and go on; what is refused.

use std::collections::BTreeMap;
use std::path::Path;

use farfield_data::{
    Axis, Boundary, DType, DataError, Dataset, FieldShape, Mask, OpenOptions, ScalarSpec, ScalarValues, Task,
    Trajectories, TrajectorySpec, TrajectoryWriter, Writer,
};

const GRID: [usize; 2] = [4, 6];

fn spec(dtype: DType, seed: u64) -> TrajectorySpec {
    let axis = |name: &str, points: usize, boundary| Axis {
        name: name.to_owned(),
        coordinates: (0..points).map(|i| i as f64 / 8.0 - 1.0).collect(),
        boundary,
    };
    let scalar = |name: &str, values| ScalarSpec { name: name.to_owned(), values };
    let inside: Vec<bool> = (0..24).map(|at| at != 9).collect();
    TrajectorySpec {
        dataset_name: "made".to_owned(),
        trajectories: 7,
        times: vec![0.0, 0.5, 1.5],
        fields: vec!["A".to_owned(), "B".to_owned()],
        axes: vec![axis("x", GRID[0], Boundary::Periodic), axis("y", GRID[1], Boundary::Wall)],
        scalars: vec![scalar("F", ScalarValues::Shared(0.0625)), scalar("k", ScalarValues::PerTrajectory)],
        mask: Some(Mask::new(&GRID, &inside).unwrap()),
        dtype,
        attributes: BTreeMap::from([("seed".to_owned(), seed.to_string())]),
    }
}

fn states(trajectory: usize) -> Vec<f64> {
    (0..3 * 2 * 24).map(|at| (trajectory * 1000 + at) as f64 * 0.25).collect()
}

fn append(writer: &mut TrajectoryWriter, upto: usize) {
    for trajectory in writer.done()..upto {
        writer.append(&states(trajectory), &[trajectory as f64]).unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn check(path: &Path, dtype: DType) {
    for limit in [0, u64::MAX] {
        let options = OpenOptions { in_memory_limit: limit, ..OpenOptions::default() };
        let set = Trajectories::open(path, &options).unwrap();
        assert_eq!((set.len(), set.dtype(), set.is_on_disk()), (7, dtype, limit == 0));
        assert_eq!((set.times(), set.field_names()), (&[0.0, 0.5, 1.5][..], &["A".to_owned(), "B".to_owned()][..]));
        assert_eq!((set.state_shape(), set.periodic()), (&FieldShape::new(2, &GRID), Some(&[true, false][..])));
        assert_eq!((set.scalar_names(), set.scalars(5)), (vec!["F", "k"], Some(vec![0.0625, 5.0])));
        assert_eq!(set.coordinates()[1], [-1.0, -0.875, -0.75, -0.625, -0.5, -0.375]);
        assert_eq!((set.mask().unwrap().count(), set.attributes()["seed"].as_str()), (23, "3"));
        for trajectory in [6, 0, 3] {
            let mut all = vec![0f64; 3 * 2 * 24];
            set.read_trajectory(trajectory, &mut all).unwrap();
            assert_eq!(all, states(trajectory));
        }
        let data = Dataset::open(path, &options).unwrap();
        assert_eq!((data.len(), data.trajectory_pairs().unwrap().scalar_channels()), (14, vec!["k"]));
        assert_eq!(data.mask(), set.mask());
    }
}

#[test]
fn what_is_written_is_read_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    for dtype in [DType::F32, DType::F64] {
        let path = folder.path().join("set.h5");
        let mut writer = TrajectoryWriter::create(&path, &spec(dtype, 3), true).unwrap();
        append(&mut writer, 7);
        writer.finish().unwrap();
        assert_eq!(names(folder.path()), ["set.h5"]);
        check(&path, dtype);
    }
    let mut writer = TrajectoryWriter::create(&folder.path().join("other.h5"), &spec(DType::F32, 0), false).unwrap();
    append(&mut writer, 2);
    writer.discard().unwrap();
    assert_eq!(names(folder.path()), ["set.h5"]);
}

const CHILD: &str = "FARFIELD_DATA_TEST_KILLED";

/// Runs in the child that is killed only.
#[test]
fn killed_child() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let folder = Path::new(&folder);
    let mut writer = TrajectoryWriter::create(&folder.join("set.h5"), &spec(DType::F32, 3), false).unwrap();
    append(&mut writer, 3);
    writer.checkpoint().unwrap();
    append(&mut writer, 5);
    std::fs::write(folder.join("ready"), b"").unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_run_goes_on_from_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.h5");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed_child"])
        .env(CHILD, folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !folder.path().join("ready").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let busy = TrajectoryWriter::create(&path, &spec(DType::F32, 3), false).err().unwrap().to_string();
    assert!(busy.contains("another process"), "{busy}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!path.exists());
    let other = TrajectoryWriter::create(&path, &spec(DType::F32, 4), false).err().unwrap();
    assert!(matches!(other, DataError::Unfinished { .. }) && other.to_string().contains("other settings"), "{other}");

    let mut writer = TrajectoryWriter::create(&path, &spec(DType::F32, 3), false).unwrap();
    assert_eq!(writer.done(), 3);
    append(&mut writer, 7);
    writer.finish().unwrap();
    check(&path, DType::F32);
    assert_eq!(names(folder.path()), ["ready", "set.h5"]);

    let whole = folder.path().join("whole.h5");
    let mut writer = TrajectoryWriter::create(&whole, &spec(DType::F32, 3), false).unwrap();
    append(&mut writer, 7);
    writer.finish().unwrap();
    assert!(std::fs::read(&path).unwrap() == std::fs::read(&whole).unwrap(), "the two files differ");
}

/// A run killed between the two files that it makes at the start.
#[test]
fn half_begun_files_are_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.h5");
    let begin = |done: usize| {
        let mut writer = TrajectoryWriter::create(&path, &spec(DType::F32, 3), false).unwrap();
        assert_eq!(writer.done(), done);
        append(&mut writer, 2);
        writer.checkpoint().unwrap();
    };
    begin(0);
    std::fs::remove_file(folder.path().join(".set.h5.progress")).unwrap();
    begin(0);
    std::fs::remove_file(folder.path().join(".set.h5.unfinished")).unwrap();
    begin(0);
    begin(2);
    std::fs::write(folder.path().join(".set.h5.progress"), b"nonsense").unwrap();
    let error = TrajectoryWriter::create(&path, &spec(DType::F32, 3), false).err().unwrap();
    assert!(matches!(error, DataError::Unfinished { .. }), "{error}");
}

#[test]
fn bad_specs_and_trajectories_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.h5");
    let refused = |change: &dyn Fn(&mut TrajectorySpec), part: &str| {
        let mut changed = spec(DType::F32, 3);
        change(&mut changed);
        let error = TrajectoryWriter::create(&path, &changed, false).err().unwrap().to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
        assert!(names(folder.path()).is_empty());
    };
    refused(&|s| s.trajectories = 0, "must not be empty");
    refused(&|s| s.trajectories = usize::MAX / 8, "too large");
    refused(&|s| s.times = vec![0.0, 0.0], "must increase");
    refused(&|s| s.axes.clear(), "one, two or three axes");
    refused(&|s| s.axes[0].coordinates[2] = f64::NAN, "must be finite");
    refused(&|s| s.axes[1].name = "x".into(), "the name is taken");
    refused(&|s| s.fields[0] = "a/b".into(), "without a slash");
    refused(&|s| s.fields[0] = "mask".into(), "the name is taken");
    refused(&|s| s.scalars[0].name = "grid_type".into(), "the name is taken");
    refused(&|s| s.scalars[0].values = ScalarValues::Shared(f64::NAN), "must be finite");
    refused(&|s| s.mask = Some(Mask::new(&[6, 4], &[true; 24]).unwrap()), "shape of the grid");

    let text = TrajectoryWriter::create(&folder.path().join("set.npz"), &spec(DType::F32, 3), false).err().unwrap();
    assert!(matches!(text, DataError::UnknownExtension { .. }));
    let mut writer = TrajectoryWriter::create(&path, &spec(DType::F32, 3), false).unwrap();
    let message = |result: Result<(), DataError>| result.unwrap_err().to_string();
    assert!(message(writer.append(&states(0)[1..], &[0.0])).contains("got 143 values, expected 144"));
    assert!(message(writer.append(&states(0), &[])).contains("scalars: got 0 values, expected 1"));
    let mut bad = states(0);
    bad[30] = 1e39;
    assert!(message(writer.append(&bad, &[0.0])).contains("sample 0, flat index 30"));
    assert!(message(writer.append(&states(0), &[f64::NAN])).contains("NaN"));
    append(&mut writer, 7);
    assert!(message(writer.append(&states(0), &[0.0])).contains("all are written"));
    std::fs::write(&path, b"theirs").unwrap();
    assert!(message(writer.finish()).contains("exists already"));
    assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    std::fs::remove_file(&path).unwrap();
    let writer = TrajectoryWriter::create(&path, &spec(DType::F32, 3), false).unwrap();
    assert_eq!(writer.done(), 7);
    writer.finish().unwrap();
    check(&path, DType::F32);
    assert!(matches!(TrajectoryWriter::create(&path, &spec(DType::F32, 3), false), Err(DataError::Exists { .. })));

    let early = TrajectoryWriter::create(&folder.path().join("early.h5"), &spec(DType::F32, 3), false).unwrap();
    assert!(message(early.finish()).contains("7 were announced"));
}

#[test]
fn pairs_are_written_with_their_mask() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.h5");
    let shape = FieldShape::new(1, &GRID);
    let inside: Vec<bool> = (0..24).map(|at| at % 5 != 0).collect();
    let mask = Mask::new(&GRID, &inside).unwrap();
    let mut writer = Writer::create(&path, &shape, &shape, DType::F32, &BTreeMap::new(), false).unwrap();
    writer.append(&[1f32; 48], &[2f32; 48]).unwrap();
    let wrong = Mask::new(&[24], &inside).unwrap();
    assert!(writer.mask(&wrong).unwrap_err().to_string().contains("the grid is (4, 6)"));
    writer.mask(&mask).unwrap();
    assert!(writer.mask(&mask).unwrap_err().to_string().contains("given twice"));
    writer.append(&[3f32; 24], &[4f32; 24]).unwrap();
    writer.finish().unwrap();
    let options = OpenOptions { dims: Some(2), ..OpenOptions::default() };
    let data = Dataset::open(&path, &options).unwrap();
    assert_eq!((data.len(), data.mask()), (3, Some(&mask)));
    let task = OpenOptions { task: Some(Task::OneStep), ..options };
    assert!(Dataset::open(&path, &task).is_err());
    let data = data.with_mask(None).unwrap();
    assert!(data.mask().is_none());
    assert!(data.with_mask(Some(wrong)).is_err());
}
