//! Files with random damage: every one is an error or a result, never a panic, and on an error nothing is written.

#[path = "../../examples/fuzz_reader/mutate.rs"]
mod mutate;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[test]
fn thousands_of_damaged_files_are_errors_or_results() {
    let corpus = mutate::corpus();
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let outcomes = (0..3000).map(|k| mutate::try_one(&corpus[k % corpus.len()], folder.path(), &mut random));
    let (read, refused) = outcomes.fold((0, 0), |(a, b), ok| if ok { (a + 1, b) } else { (a, b + 1) });
    assert!(read > 100 && refused > 1000, "{read} read, {refused} refused");
}
