//! Saving and loading: the same bits back, and one clear error for every file that is not what it should be.

use std::path::{Path, PathBuf};

use farfield_matrix::file::{self, FileFormat};
use farfield_matrix::{Accuracy, ClusterTree, Hodlr, Hss, HssLayout, Matrix, MatrixError, Nested, Points, Splitting};

fn hodlr(tree: ClusterTree) -> (Hodlr<f64>, farfield_matrix::Certificate) {
    let n = tree.len();
    let a = Matrix::from_fn(n, n, |i, j| 1.0 / (1.0 + i.abs_diff(j) as f64) + (i * j % 7) as f64 * 1e-3);
    Hodlr::from_dense(&a, tree, Accuracy::relative(1e-6).unwrap()).unwrap()
}

fn general_tree() -> ClusterTree {
    ClusterTree::from_nested(&Nested::Split(vec![
        Nested::Leaf(vec![8, 3, 1]),
        Nested::Split(vec![Nested::Leaf(vec![0]), Nested::Leaf(vec![]), Nested::Leaf(vec![2, 9, 4])]),
        Nested::Split(vec![Nested::Leaf(vec![7, 6, 5])]),
    ]))
    .unwrap()
}

fn round_trip<M: FileFormat + PartialEq + std::fmt::Debug>(matrix: &M) {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("a.ffm"), folder.path().join("b.ffm"));
    file::save(&path, matrix, None).unwrap();
    let (loaded, certificate) = file::load::<M>(&path).unwrap();
    assert!(&loaded == matrix && certificate.is_none());
    file::save(&again, &loaded, None).unwrap();
    assert!(std::fs::read(&path).unwrap() == std::fs::read(&again).unwrap(), "the same bytes");
    let info = file::info(&path).unwrap();
    assert_eq!((info.kind.as_str(), info.scalar.as_str()), (M::KIND, M::SCALAR));
}

#[test]
fn round_trips_give_the_same_bits() {
    let points = Points::new(2, (0..2 * 90).map(|i| (i as f64 * 0.754_877_666).fract()).collect()).unwrap();
    for tree in [
        ClusterTree::bisection(77, 9).unwrap(),
        ClusterTree::bisection(1, 9).unwrap(),
        ClusterTree::with_levels(3, 3).unwrap(),
        general_tree(),
        ClusterTree::geometric(&points, 8, Splitting::Boxes).unwrap(),
    ] {
        let (h, _) = hodlr(tree);
        round_trip(&h);
        let (hss, _) = h.to_hss(Accuracy::relative(1e-4).unwrap()).unwrap();
        round_trip(&hss);
    }
    let single = Matrix::from_fn(30, 30, |i, j| 1.0 / (1 + i + j) as f32);
    let tree = ClusterTree::bisection(30, 4).unwrap();
    round_trip(&Hodlr::from_dense(&single, tree, Accuracy::relative(1e-3).unwrap()).unwrap().0);
    let layout = HssLayout::new(12, 20, 2, 3).unwrap();
    let data = (0..layout.len()).map(|i| (i as f64).sin()).collect();
    round_trip(&Hss::from_parts(layout, data).unwrap());
}

#[test]
fn certificates_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ffm");
    let (h, certificate) = hodlr(ClusterTree::bisection(50, 8).unwrap());
    file::save(&path, &h, Some(&certificate)).unwrap();
    assert_eq!(file::load::<Hodlr<f64>>(&path).unwrap().1, Some(certificate.clone()));
    assert_eq!(file::info(&path).unwrap().certificate, Some(certificate));
}

#[track_caller]
fn refused<M: FileFormat>(path: &Path, part: &str) {
    match file::load::<M>(path) {
        Err(MatrixError::File { path: named, reason }) => {
            assert_eq!(named, path.display().to_string());
            assert!(reason.contains(part), "{reason}");
        }
        Err(other) => panic!("not a file error: {other}"),
        Ok(_) => panic!("the file was read"),
    }
}

#[test]
fn other_kinds_numbers_and_versions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ffm");
    refused::<Hodlr<f64>>(&path, "cannot read");
    let (h, _) = hodlr(ClusterTree::bisection(20, 8).unwrap());
    file::save(&path, &h, None).unwrap();
    refused::<Hss<f64>>(&path, "its kind is \"hodlr\", expected \"hss\"");
    refused::<Hodlr<f32>>(&path, "its scalar is \"f64\", expected \"f32\"");
    let text = std::fs::read(&path).unwrap();
    let changed = replaced(&text, b"\"version\":\"1\"", b"\"version\":\"2\"");
    std::fs::write(&path, changed).unwrap();
    refused::<Hodlr<f64>>(&path, "its version is \"2\", expected \"1\"");
    std::fs::write(&path, replaced(&text, b"farfield-matrix", b"farfield-mattix")).unwrap();
    refused::<Hodlr<f64>>(&path, "its format is");
    std::fs::write(&path, b"not a matrix").unwrap();
    refused::<Hodlr<f64>>(&path, "damaged, or not a safetensors file");
    std::fs::write(&path, b"").unwrap();
    refused::<Hodlr<f64>>(&path, "damaged, or not a safetensors file");
    // A safetensors file of somebody else.
    let header = br#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  "#;
    let mut foreign = (header.len() as u64).to_le_bytes().to_vec();
    foreign.extend(header);
    foreign.extend([0; 4]);
    std::fs::write(&path, foreign).unwrap();
    refused::<Hodlr<f64>>(&path, "its metadata have no key \"format\"");
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let at = bytes.windows(old.len()).position(|w| w == old).unwrap();
    let mut out = bytes.to_vec();
    out[at..at + new.len()].copy_from_slice(new);
    out
}

/// Reading damaged bytes gives the matrix or a file error, never a panic, and takes no more memory than the file has.
fn survives<M: FileFormat>(path: &PathBuf, bytes: &[u8]) -> bool {
    std::fs::write(path, bytes).unwrap();
    match file::load::<M>(path) {
        Ok(_) => false,
        Err(MatrixError::File { .. }) => true,
        Err(other) => panic!("not a file error: {other}"),
    }
}

#[test]
fn files_cut_short_or_with_a_byte_changed_are_errors_or_other_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ffm");
    let (h, certificate) = hodlr(general_tree());
    let (hss, _) = h.to_hss(Accuracy::relative(1e-4).unwrap()).unwrap();
    file::save(&path, &h, Some(&certificate)).unwrap();
    let of_hodlr = std::fs::read(&path).unwrap();
    file::save(&path, &hss, None).unwrap();
    let of_hss = std::fs::read(&path).unwrap();
    for length in (0..of_hodlr.len()).step_by(61).chain([of_hodlr.len() - 1]) {
        assert!(survives::<Hodlr<f64>>(&path, &of_hodlr[..length]), "cut to {length} bytes");
    }
    let mut longer = of_hodlr.clone();
    longer.push(0);
    assert!(survives::<Hodlr<f64>>(&path, &longer));
    let mut refusals = 0;
    for at in (0..of_hodlr.len()).step_by(5) {
        let mut bytes = of_hodlr.clone();
        bytes[at] ^= [0x01, 0x80, 0xff][at % 3];
        refusals += usize::from(survives::<Hodlr<f64>>(&path, &bytes));
    }
    // Bytes of the values may change without notice; those of the header, the tree and the ranks may not.
    assert!(refusals > 100, "{refusals}");
    for at in (0..of_hss.len()).step_by(7) {
        let mut bytes = of_hss.clone();
        bytes[at] ^= 0x40;
        survives::<Hss<f64>>(&path, &bytes);
    }
}

#[test]
fn huge_claims_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ffm");
    let (h, _) = hodlr(ClusterTree::bisection(20, 8).unwrap());
    file::save(&path, &h, None).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // The tensors lie after the header in the order of their names: the ranks come first.
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for claim in [u64::MAX, 1 << 60, 1 << 40] {
        let mut bytes = bytes.clone();
        bytes[8 + length..16 + length].copy_from_slice(&claim.to_le_bytes());
        assert!(survives::<Hodlr<f64>>(&path, &bytes));
    }
    // A header that claims to be as long as the address space.
    let mut bytes = bytes.clone();
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(survives::<Hodlr<f64>>(&path, &bytes));
}

#[test]
fn a_failed_save_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let (h, _) = hodlr(ClusterTree::bisection(20, 8).unwrap());
    let missing = folder.path().join("no such folder").join("a.ffm");
    assert!(matches!(file::save(&missing, &h, None), Err(MatrixError::File { .. })));
    // A folder in the place of the file: nothing is left beside it.
    let taken = folder.path().join("taken.ffm");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("inside"), b"x").unwrap();
    assert!(file::save(&taken, &h, None).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
