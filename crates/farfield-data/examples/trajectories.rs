//! Writes a few travelling waves in The Well's layout, with a hole in the domain, and reads them back as pairs.
//!
//! ```text
//! cargo run -p farfield-data --example trajectories -- waves.h5
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use farfield_data::{
    Axis, Boundary, DType, Dataset, Mask, OpenOptions, ScalarSpec, ScalarValues, Task, Trajectories, TrajectorySpec,
    TrajectoryWriter,
};

const POINTS: (usize, usize) = (16, 12);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = std::env::args().nth(1).map_or_else(|| folder.path().join("waves.h5"), PathBuf::from);
    let axis = |name: &str, points: usize, boundary| Axis {
        name: name.to_owned(),
        coordinates: (0..points).map(|i| i as f64 / points as f64).collect(),
        boundary,
    };
    let scalar = |name: &str, values| ScalarSpec { name: name.to_owned(), values };
    let hole: Vec<bool> = (0..POINTS.0 * POINTS.1).map(|at| at / POINTS.1 < 6 || at % POINTS.1 < 8).collect();
    let spec = TrajectorySpec {
        dataset_name: "travelling_waves".to_owned(),
        trajectories: 4,
        times: (0..5).map(|step| 0.25 * f64::from(step)).collect(),
        fields: vec!["u".to_owned(), "v".to_owned()],
        axes: vec![axis("x", POINTS.0, Boundary::Periodic), axis("y", POINTS.1, Boundary::Wall)],
        scalars: vec![scalar("speed", ScalarValues::PerTrajectory), scalar("height", ScalarValues::Shared(0.5))],
        mask: Some(Mask::new(&[POINTS.0, POINTS.1], &hole)?),
        dtype: DType::F32,
        attributes: BTreeMap::from([("seed".to_owned(), "0".to_owned())]),
    };

    let mut writer = TrajectoryWriter::create(&path, &spec, true)?;
    for trajectory in writer.done()..spec.trajectories {
        let speed = 1.0 + trajectory as f64;
        let mut states = Vec::with_capacity(spec.trajectory_len());
        for time in &spec.times {
            for shift in [0.0, 0.25] {
                for x in &spec.axes[0].coordinates {
                    let value = 0.5 * (std::f64::consts::TAU * (x - speed * time + shift)).sin();
                    states.extend(spec.axes[1].coordinates.iter().map(|y| value * (1.0 + y)));
                }
            }
        }
        writer.append(&states, &[speed])?;
    }
    writer.finish()?;

    let options = OpenOptions { task: Some(Task::OneStep), residual: true, ..OpenOptions::default() };
    let trajectories = Arc::new(Trajectories::open(&path, &options)?);
    println!("{trajectories:?}, periodic {:?}", trajectories.periodic());
    let pairs = Dataset::from_trajectories(trajectories, &options)?;
    println!("{} pairs {} -> {}", pairs.len(), pairs.input_shape(), pairs.output_shape());
    Ok(())
}
