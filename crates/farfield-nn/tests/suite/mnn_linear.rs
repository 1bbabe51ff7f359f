//! Without activation and with one layer a level, MNN-H and MNN-H2 are hierarchical matrices: ranks of their far fields.

use burn::tensor::Device;
use farfield_data::FieldShape;
use farfield_nn::rivals::{Activation, MnnConfig, Padding};
use farfield_nn::{AnyModel, Model};

use crate::mnn::{CONNECTIONS, both, largest_difference, model, read, shape, tensor, values};

/// The matrix of an affine network, row-major.
fn matrix(model: &AnyModel, field: &FieldShape, device: &Device) -> Vec<f64> {
    let n = field.points();
    let zero = read(model.forward(tensor(&vec![0.0; n], field, device)));
    let mut units = vec![0.0; n * n];
    (0..n).for_each(|i| units[i * (n + 1)] = 1.0);
    let columns = read(model.forward(tensor(&units, field, device)));
    (0..n * n).map(|k| columns[k % n * n + k / n] - zero[k / n]).collect()
}

/// Rank of some rows and columns of a matrix, by elimination with complete pivoting.
fn rank(matrix: &[f64], n: usize, rows: &[usize], columns: &[usize]) -> usize {
    let mut a: Vec<Vec<f64>> = rows.iter().map(|i| columns.iter().map(|j| matrix[i * n + j]).collect()).collect();
    let largest = a.iter().flatten().fold(0.0, |m: f64, v| m.max(v.abs()));
    for step in 0..rows.len().min(columns.len()) {
        let places = (step..rows.len()).flat_map(|i| (step..columns.len()).map(move |j| (i, j)));
        let Some((i, j)) = places.max_by(|p, q| a[p.0][p.1].abs().total_cmp(&a[q.0][q.1].abs())) else { break };
        if a[i][j].abs() <= 1e-12 * largest {
            return step;
        }
        a.swap(step, i);
        a.iter_mut().for_each(|row| row.swap(step, j));
        let pivot = a[step].clone();
        for row in &mut a[step + 1..] {
            let factor = row[step] / pivot[step];
            row.iter_mut().zip(&pivot).for_each(|(r, p)| *r -= factor * p);
        }
    }
    rows.len().min(columns.len())
}

#[test]
fn without_activation_and_with_one_layer_they_are_hierarchical_matrices() {
    let device = Device::flex();
    let (n, levels, alpha) = (128usize, 4usize, 3usize);
    let (field, leaf) = (shape(1, &[n]), n >> levels);
    for connection in CONNECTIONS {
        let config = MnnConfig {
            levels: Some(levels),
            hidden_channels: alpha,
            n_layers: 1,
            connection,
            padding: Padding::Zero,
            // All pairs of the four boxes: with the default 2 the first and the last do not see each other in one layer.
            coarsest_band: 3,
            activation: Activation::None,
            ..MnnConfig::default()
        };
        for (nested, any) in both(&config).into_iter().enumerate() {
            let model = model(&any, &field, &field, &device);
            // Affine: twice the difference to the value at zero.
            let (x, zero) = (values(1, &field), vec![0.0; n]);
            let twice: Vec<f64> = x.iter().map(|x| 2.0 * x).collect();
            let [x, zero, twice] = [x, zero, twice].map(|x| read(model.forward(tensor(&x, &field, &device))));
            let line: Vec<f64> = x.iter().zip(&zero).map(|(x, z)| 2.0 * x - z).collect();
            assert!(largest_difference(&twice, &line) < 1e-12);

            let a = matrix(&model, &field, &device);
            for level in 2..=levels {
                let (boxes, size) = (1usize << level, n >> level);
                for i in 0..boxes {
                    let own: Vec<usize> = (i * size..(i + 1) * size).collect();
                    // Finer levels, with bands of three boxes, reach less than two boxes of this one.
                    let far: Vec<usize> = (0..n).filter(|p| (p / size).abs_diff(i) > 2).collect();
                    if far.is_empty() {
                        continue;
                    }
                    // Each of the levels from 2 to this one gives rank alpha. In MNN-H they add up; nested bases share theirs.
                    let most = if nested == 1 { alpha } else { size.min((level - 1) * alpha) };
                    let ranks = [rank(&a, n, &own, &far), rank(&a, n, &far, &own)];
                    assert!(ranks.iter().all(|r| (alpha..=most).contains(r)), "{any:?}, {level}, {i}: {ranks:?}");
                }
            }
            // Neighbours are coupled by full matrices.
            let near: Vec<usize> = (leaf..2 * leaf).collect();
            assert_eq!(rank(&a, n, &(0..leaf).collect::<Vec<_>>(), &near), leaf);
        }
    }
}
