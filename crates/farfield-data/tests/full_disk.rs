//! A disk that fills up, a folder that may not be written to: one line naming the file, nothing left.
//!
//! The full disk is a limit on the size of files, set by the shell that starts this program again.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::path::Path;

use farfield_data::{
    Array, Axis, Boundary, DType, DataError, FieldShape, TrajectorySpec, TrajectoryWriter, Writer, save_array,
    save_npy, save_npz,
};

const CHILD: &str = "FARFIELD_DATA_TEST_LIMITED";

fn write_set(path: &Path, samples: usize) -> Result<(), DataError> {
    let shape = FieldShape::new(1, &[32, 32]);
    let mut writer = Writer::create(path, &shape, &shape, DType::F64, &BTreeMap::new(), true)?;
    for _ in 0..samples {
        writer.append(&[1.0f64; 1024], &[2.0f64; 1024])?;
    }
    writer.finish()
}

fn write_trajectories(path: &Path) -> Result<(), DataError> {
    let points: Vec<f64> = (0..1024).map(f64::from).collect();
    let spec = TrajectorySpec {
        dataset_name: "made".to_owned(),
        trajectories: 20,
        times: vec![0.0, 1.0],
        fields: vec!["u".to_owned()],
        axes: vec![Axis { name: "x".to_owned(), coordinates: points, boundary: Boundary::Open }],
        scalars: Vec::new(),
        mask: None,
        dtype: DType::F64,
        attributes: BTreeMap::new(),
    };
    let mut writer = TrajectoryWriter::create(path, &spec, false)?;
    for _ in 0..20 {
        writer.append(&[1.0f64; 2048], &[])?;
    }
    writer.finish()
}

fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Runs in the limited child only.
#[test]
fn limited_child() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let folder = Path::new(&folder);
    let check = |name: &str, result: Result<(), DataError>| {
        let text = result.expect_err(name).to_string();
        assert!(text.contains(&format!("{name}: cannot write: ")), "{text}");
        assert!(!text.contains('\n'), "{text}");
        assert_eq!(names(folder), ["kept.h5"], "{name}");
    };
    let array = Array::new(&[1 << 16], &vec![1.0f64; 1 << 16]).unwrap();
    for samples in [5, 100] {
        check("kept.h5", write_set(&folder.join("kept.h5"), samples));
        check("new.h5", write_set(&folder.join("new.h5"), samples));
    }
    check("a.npy", save_npy(&folder.join("a.npy"), &array, false));
    check("a.npz", save_npz(&folder.join("a.npz"), &[("x", &array)], false));
    check("a.h5", save_array(&folder.join("a.h5"), "x", &array, false));
    // Trajectories keep what was written for a later run, under another name.
    let text = write_trajectories(&folder.join("set.h5")).expect_err("trajectories").to_string();
    assert!(text.contains("set.h5: cannot write: ") && !text.contains('\n'), "{text}");
    assert!(!folder.join("set.h5").exists() && !names(folder).iter().any(|name| name.ends_with(".new")));
    assert_eq!(std::fs::read(folder.join("kept.h5")).unwrap(), b"precious");
}

#[test]
fn a_disk_that_fills_up_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kept.h5"), b"precious").unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact limited_child"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, folder.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("1 passed"), "{out}");
    assert!(!err.contains("rust-hdf5"), "{err}");
}

#[test]
fn folders_without_permission_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser may write anywhere; /proc refuses even that.
    let refused =
        if std::fs::write(closed.join("probe"), b"").is_ok() { Path::new("/proc").to_path_buf() } else { closed };
    for name in ["a.h5", "a.npz", "a.npy"] {
        let path = refused.join(name);
        let array = Array::new(&[1], &[1.0f32]).unwrap();
        let text = save_array(&path, "x", &array, false).unwrap_err().to_string();
        assert!(text.contains(&format!("{name}: cannot create: ")), "{text}");
        assert!(!text.contains("partial") && !text.contains('\n'), "{text}");
    }
    let text = write_set(&refused.join("b.h5"), 1).unwrap_err().to_string();
    assert!(text.contains("b.h5: cannot create: "), "{text}");
}
