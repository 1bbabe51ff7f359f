//! `docs/pytorch_loader.py` against our own reader. The layers are tested where torch is installed.

use std::path::Path;
use std::process::Command;

use farfield_compress::{CompressOptions, CompressedFile, Goal, StoredKind};

use crate::files::network;

const SCRIPT: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import pytorch_loader as loader

tensors, records = loader.read(sys.argv[2])
for k, record in enumerate(records):
    loader.dense(tensors, record).astype("<f8").tofile(f"{sys.argv[3]}/{k}")
try:
    import torch
except ImportError:
    print("numpy")
    sys.exit()
for record in records:
    layer = loader.linear(tensors, record, np.ones(record["shape"][0], np.float32)).double()
    w = loader.dense(tensors, record).reshape(record["shape"][0], -1)
    x = np.random.default_rng(0).standard_normal((5, w.shape[1]))
    y = layer(torch.from_numpy(x)).detach().numpy()
    assert np.abs(y - x @ w.T - 1).max() < 1e-10 * np.abs(y).max(), record
print("torch")
"#;

#[test]
fn the_python_loader_reads_the_same_weights() {
    let python = Command::new("python3").args(["-c", "import numpy"]).output();
    if !python.is_ok_and(|out| out.status.success()) {
        assert!(std::env::var_os("FARFIELD_REQUIRE_NUMPY").is_none(), "python3 with numpy is asked for and not there");
        println!("skipped: python3 with numpy is not installed");
        return;
    }
    let place = network();
    place.compress(&CompressOptions::new(Goal::Tolerance(2e-2)));
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let run = Command::new("python3")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["-c", SCRIPT])
        .args([docs.as_path(), &place.path("small"), place.0.path()])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    println!("{}", String::from_utf8_lossy(&run.stdout));
    let compressed = CompressedFile::open(&place.path("small")).unwrap();
    let kinds: Vec<StoredKind> = compressed.records().iter().map(|record| record.kind).collect();
    assert!(kinds.contains(&StoredKind::Svd) && kinds.contains(&StoredKind::H));
    for (k, record) in compressed.records().iter().enumerate() {
        let bytes = std::fs::read(place.0.path().join(k.to_string())).unwrap();
        let theirs: Vec<f64> = bytes.as_chunks().0.iter().map(|&x| f64::from_le_bytes(x)).collect();
        let dense = compressed.factors(record).unwrap().to_dense();
        let ours = dense.to_row_major();
        let largest = ours.iter().fold(0.0f64, |a, x| a.max(x.abs()));
        assert_eq!(theirs.len(), ours.len());
        assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-12 * largest), "{}", record.name);
    }
}
