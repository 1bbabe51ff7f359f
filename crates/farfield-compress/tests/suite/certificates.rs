//! Errors against their certificates, and forms against what they must be.

use farfield_compress::{ErrorNorm, Form, MatrixOptions, NumberType, compress_matrix};
use farfield_matrix::{LinearOperator, Matrix};
use half::{bf16, f16};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::weights::{gaussian, green, permutation, weight};

fn rounded(a: &Matrix<f64>, number: NumberType) -> Matrix<f64> {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| match number {
        NumberType::F16 => f16::from_f64(a[(i, j)].clamp(-6e4, 6e4)).to_f64(),
        NumberType::BF16 => bf16::from_f64(a[(i, j)]).to_f64(),
        NumberType::F32 => f64::from(a[(i, j)] as f32),
        NumberType::F64 => a[(i, j)],
    })
}

fn difference(a: &Matrix<f64>, b: &Matrix<f64>) -> Matrix<f64> {
    Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)] - b[(i, j)])
}

fn norm(a: &Matrix<f64>, norm: ErrorNorm) -> f64 {
    match norm {
        ErrorNorm::Frobenius => a.norm_frobenius(),
        ErrorNorm::Spectral => a.svd().unwrap().s[0],
    }
}

#[test]
fn ten_thousand_matrices_keep_their_certificates_and_tolerances_and_never_grow() {
    let numbers = [NumberType::F64, NumberType::F32, NumberType::BF16, NumberType::F16];
    let forms: Vec<Form> = (0..10_000u64)
        .into_par_iter()
        .map(|seed| {
            let number = numbers[(seed / 10 % 4) as usize];
            let a = rounded(&weight(seed, if seed % 50 < 10 { 72 } else { 24 }), number);
            let options = MatrixOptions {
                tolerance: [0.5, 0.1, 1e-2, 1e-3, 1e-5, 1e-8][(seed / 40 % 6) as usize],
                norm: if seed / 240 % 2 == 0 { ErrorNorm::Frobenius } else { ErrorNorm::Spectral },
                number,
                leaf_size: 4,
                reorder: true,
            };
            let choice = compress_matrix(&a, options).unwrap();
            assert!(choice.bytes <= choice.dense_bytes, "{seed}");
            let Some((factors, certificate)) = &choice.stored else { return choice.form };
            let bound = match options.norm {
                ErrorNorm::Frobenius => certificate.frobenius.value,
                ErrorNorm::Spectral => certificate.spectral.value,
            };
            assert!(bound <= options.tolerance * norm(&a, options.norm) * (1.0 + 1e-12), "{seed}: {choice:?}");
            let error = norm(&difference(&a, &factors.to_dense()), options.norm);
            // The product here rounds as well.
            assert!(error <= bound + 1e-14 * a.norm_frobenius(), "{seed}: {error:e} > {bound:e}");
            let paid = factors.stored() * number.size();
            assert!(paid < choice.bytes && choice.bytes < choice.dense_bytes, "{seed}");
            choice.form
        })
        .collect();
    for form in [Form::Dense, Form::Svd, Form::H, Form::HReordered] {
        let count = forms.iter().filter(|f| **f == form).count();
        assert!(count >= 20, "{form:?} was chosen {count} times");
    }
}

fn green_bytes(shuffle: bool) -> (usize, u64) {
    let n = 1024;
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let order: Vec<usize> = (0..n).collect();
    let (rows, cols) =
        if shuffle { (permutation(n, &mut random), permutation(n, &mut random)) } else { (order.clone(), order) };
    let a = rounded(&green(&rows, &cols), NumberType::F32);
    let options = MatrixOptions { number: NumberType::F32, ..MatrixOptions::new(1e-6) };
    let choice = compress_matrix(&a, options).unwrap();
    let expected = if shuffle { Form::HReordered } else { Form::H };
    assert_eq!(choice.form, expected, "{:?}", choice.alternatives);
    let (factors, certificate) = choice.stored.unwrap();
    let error = difference(&a, &factors.to_dense()).norm_frobenius();
    assert!(error <= certificate.frobenius.value && certificate.frobenius.value <= 1e-6 * choice.norm);
    // The rank that a truncated decomposition needs, which may be dearer than the dense weight.
    let svd = choice.alternatives.iter().find(|a| a.form == Form::Svd).and_then(|a| a.bytes);
    (choice.bytes, svd.unwrap_or(choice.dense_bytes as u64).min(choice.dense_bytes as u64))
}

#[test]
fn a_green_function_is_smaller_as_blocks_than_by_singular_values() {
    let (blocks, svd) = green_bytes(false);
    assert!(svd >= 20 * blocks as u64, "{blocks} against {svd} bytes");
}

#[test]
fn its_structure_is_found_again_after_a_random_permutation_of_rows_and_columns() {
    let (shuffled, svd) = green_bytes(true);
    assert!(svd >= 20 * shuffled as u64, "{shuffled} against {svd} bytes");
    let (ordered, _) = green_bytes(false);
    // The orders take two bytes a row and a column.
    assert!(shuffled <= ordered + 2 * 2048 + 1000, "{shuffled} against {ordered} bytes");
}

#[test]
fn random_weights_stay_dense_and_say_why() {
    let a = gaussian(200, 180, &mut ChaCha8Rng::seed_from_u64(1));
    let choice = compress_matrix(&a, MatrixOptions::new(1e-2)).unwrap();
    assert_eq!((choice.form, choice.bytes), (Form::Dense, choice.dense_bytes));
    let note = |form| choice.alternatives.iter().find(|a| a.form == form).unwrap().note.clone().unwrap();
    assert!(note(Form::Svd).contains("proven") && note(Form::HReordered).contains("|cos|"), "{choice:?}");
    assert!(choice.reason.contains("nothing pays"));
}

#[test]
fn products_are_those_of_the_dense_form() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let (rows, cols) = (permutation(96, &mut random), permutation(120, &mut random));
    let choice = compress_matrix(&green(&rows, &cols), MatrixOptions::new(1e-4)).unwrap();
    let (factors, _) = choice.stored.unwrap();
    assert!(factors.row_order().is_some() && factors.blocks().len() > 4);
    let dense = factors.to_dense();
    let (x, y) = (gaussian(120, 3, &mut random), gaussian(96, 2, &mut random));
    assert!(difference(&factors.apply(&x).unwrap(), &dense.apply(&x).unwrap()).norm_frobenius() < 1e-12);
    let transposed = difference(&factors.apply_transpose(&y).unwrap(), &dense.apply_transpose(&y).unwrap());
    assert!(transposed.norm_frobenius() < 1e-12);
    assert!(factors.apply(&y).is_err() && factors.apply_transpose(&x).is_err());
}

#[test]
fn bad_arguments_are_errors() {
    let mut a = gaussian(4, 4, &mut ChaCha8Rng::seed_from_u64(3));
    for tolerance in [-1.0, 1.0, f64::NAN] {
        assert!(compress_matrix(&a, MatrixOptions::new(tolerance)).is_err());
    }
    assert!(compress_matrix(&a, MatrixOptions { leaf_size: 0, ..MatrixOptions::new(0.1) }).is_err());
    assert!(compress_matrix(&Matrix::zeros(0, 3), MatrixOptions::new(0.1)).is_err());
    a[(1, 2)] = f64::INFINITY;
    let error = compress_matrix(&a, MatrixOptions::new(0.1)).unwrap_err().to_string();
    assert_eq!(error, "entry (1, 2) of the matrix is inf: every entry must be finite");
}
