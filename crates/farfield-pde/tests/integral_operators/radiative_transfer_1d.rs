//! Radiative transfer: matrix entries against quadrature, solutions against closed forms, literature and finer grids.

use std::f64::consts::PI;

use farfield_pde::{Family, PdeError, ProblemOptions, RadiativeTransferSlab, SampleKey, Stream, problem};

/// Fifteen points of Kronrod's rule, non-negative half, with the weights of Gauss's seven.
const KRONROD: [(f64, f64, f64); 8] = [
    (0.0, 0.209_482_141_084_727_83, 0.417_959_183_673_469_4),
    (0.207_784_955_007_898_47, 0.204_432_940_075_298_9, 0.0),
    (0.405_845_151_377_397_2, 0.190_350_578_064_785_4, 0.381_830_050_505_118_9),
    (0.586_087_235_467_691_1, 0.169_004_726_639_267_9, 0.0),
    (0.741_531_185_599_394_4, 0.140_653_259_715_525_92, 0.279_705_391_489_276_64),
    (0.864_864_423_359_769_1, 0.104_790_010_322_250_18, 0.0),
    (0.949_107_912_342_758_5, 0.063_092_092_629_978_56, 0.129_484_966_168_869_7),
    (0.991_455_371_120_812_6, 0.022_935_322_010_529_224, 0.0),
];

/// Adaptive quadrature by bisection, to an absolute error of about `tolerance`.
fn adaptive(f: &dyn Fn(f64) -> f64, a: f64, b: f64, tolerance: f64) -> f64 {
    let (middle, half) = (0.5 * (a + b), 0.5 * (b - a));
    let (mut kronrod, mut gauss) = (0.0, 0.0);
    for (x, w, v) in KRONROD {
        let sides = if x == 0.0 { f(middle) } else { f(middle - x * half) + f(middle + x * half) };
        kronrod += w * sides;
        gauss += v * sides;
    }
    if half * (kronrod - gauss).abs() < tolerance || half < 1e-15 {
        return half * kronrod;
    }
    adaptive(f, a, middle, 0.5 * tolerance) + adaptive(f, middle, b, 0.5 * tolerance)
}

/// E_1 by its series up to 2, else by the trapezoidal rule for `int exp(-x (1 + e^t)) e^t / (1 + e^t) dt` over the real line: neither is
/// what the crate does.
fn e1(x: f64) -> f64 {
    if x < 2.0 {
        let (mut sum, mut term) = (0.0, -1.0);
        for k in 1..40 {
            term *= -x / f64::from(k);
            sum += term / f64::from(k);
        }
        return sum - x.ln() - 0.577_215_664_901_532_9;
    }
    let step = 0.25;
    let value = |t: f64| (-x * (1.0 + t.exp())).exp() / (1.0 + (-t).exp());
    step * (-160..24).map(|k| value(step * f64::from(k))).sum::<f64>()
}

fn coefficients(n: usize, strength: f64) -> Vec<f64> {
    let bump = |x: f64, c: f64| (-(x - c) * (x - c) / 6e-3).exp();
    (0..n).map(|i| (i as f64 + 0.5) / n as f64).map(|x| strength * (2.0 * bump(x, 0.3) + bump(x, 0.62))).collect()
}

#[test]
fn slab_entries_agree_with_adaptive_quadrature() {
    // Thin cells as in the data, and thick ones, whose kernel leaves the range of the series.
    for (n, strength, absorption) in [(320, 1.0, 0.2), (1280, 1.0, 0.2), (40, 60.0, 3.0), (6, 0.0, 0.05)] {
        let scattering = coefficients(n, strength);
        let slab = RadiativeTransferSlab::new(&scattering, absorption).unwrap();
        let h = 1.0 / n as f64;
        let total: Vec<f64> = scattering.iter().map(|s| s + absorption).collect();
        let depth = |i: usize| h * (total[..i].iter().sum::<f64>() + 0.5 * total[i]);
        for i in [0, n / 7, n / 3] {
            for j in [0, n / 7, n / 7 + 1, n / 3 + 2, n / 2, n - 1] {
                let (from, to) = (depth(i), depth(j));
                // y runs over cell j from its centre.
                let f = |y: f64| 0.5 * e1((from - to - total[j] * y).abs());
                let half = 0.5 * h;
                let expected = adaptive(&f, -half, 0.0, 1e-16 * h) + adaptive(&f, 0.0, half, 1e-16 * h);
                let error = (slab.kernel()[i * n + j] - expected).abs();
                assert!(error < 1e-12 * expected.max(1e-3 * h), "n = {n}, ({i}, {j}): {error:e} of {expected:e}");
            }
        }
    }
}

#[test]
fn rows_of_the_slab_sum_to_the_closed_form() {
    // Without scattering, u = (2 - E_2(tau) - E_2(tau_1 - tau)) / (2 mu): exact on any grid.
    let (n, mu) = (50, 2.0);
    let slab = RadiativeTransferSlab::new(&vec![0.0; n], mu).unwrap();
    let e2 = |x: f64| (-x).exp() - x * e1(x);
    for (i, u) in slab.solve().unwrap().iter().enumerate() {
        let tau = mu * (i as f64 + 0.5) / n as f64;
        let exact = (2.0 - e2(tau) - e2(mu - tau)) / (2.0 * mu);
        assert!((u - exact).abs() < 1e-13, "{i}: {u} against {exact}");
    }
}

/// Sood, Forster and Parsons, Analytical benchmark test set for criticality code verification, Prog. Nucl. Energy 42 (2003): a slab with c
/// neutrons from a collision is critical at the half thickness r, in mean free paths. The largest eigenvalue of K mu_t is then 1/c.
#[test]
fn critical_slabs_of_the_literature() {
    for (c, r) in [(1.30, 0.937_725_56), (1.40, 0.736_603_55), (1.02, 5.665_505_456_2)] {
        let eigenvalue = |n: usize| {
            let slab = RadiativeTransferSlab::new(&vec![0.0; n], 2.0 * r).unwrap();
            let mut v = vec![1.0; n];
            let mut largest: f64 = 0.0;
            for _ in 0..400 {
                let product: Vec<f64> = slab
                    .kernel()
                    .chunks_exact(n)
                    .map(|row| 2.0 * r * row.iter().zip(&v).map(|(k, v)| k * v).sum::<f64>())
                    .collect();
                largest = product.iter().copied().fold(0.0, f64::max);
                v = product.iter().map(|p| p / largest).collect();
            }
            largest
        };
        // Order 2: two grids give one more order.
        let (coarse, fine) = (eigenvalue(60), eigenvalue(120));
        let limit = fine + (fine - coarse) / 3.0;
        assert!((limit * c - 1.0).abs() < 2e-6, "c = {c}: {limit} against {}", 1.0 / c);
    }
}

/// Largest difference at the centres that a grid shares with one of `finer` times as many cells, `finer` odd.
fn distance(coarse: &[f64], fine: &[f64], finer: usize) -> f64 {
    let shared = fine.iter().skip(finer / 2).step_by(finer);
    coarse.iter().zip(shared).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn the_slab_converges_with_order_two() {
    let solve = |n: usize| RadiativeTransferSlab::new(&coefficients(n, 2.5), 0.2).unwrap().solve().unwrap();
    let finest = solve(1620);
    let errors: Vec<f64> =
        [(20, 81), (60, 27), (180, 9)].map(|(n, finer)| distance(&solve(n), &finest, finer)).to_vec();
    let orders: Vec<f64> = errors.windows(2).map(|e| (e[0] / e[1]).log(3.0)).collect();
    println!("errors {errors:?}, orders {orders:?}");
    assert!(orders.iter().all(|order| (1.8..2.3).contains(order)), "{errors:?}: {orders:?}");
}

#[test]
fn slab_solutions_satisfy_their_equation() {
    for absorption in [0.0, 0.2, 30.0] {
        let scattering: Vec<f64> = coefficients(80, 20.0).iter().map(|s| s + 0.01).collect();
        let slab = RadiativeTransferSlab::new(&scattering, absorption).unwrap();
        let u = slab.solve().unwrap();
        for (row, u_i) in slab.kernel().chunks_exact(80).zip(&u) {
            let right: f64 = row.iter().zip(&scattering).zip(&u).map(|((k, mu), u)| k * (mu * u + 1.0)).sum();
            assert!((u_i - right).abs() < 1e-12 * u_i.abs(), "{u_i} against {right}");
        }
    }
}

#[test]
fn bad_coefficients_are_refused() {
    let refused = |scattering: &[f64], absorption| {
        let error = RadiativeTransferSlab::new(scattering, absorption).err().unwrap();
        assert!(!error.to_string().contains('\n'));
        error
    };
    assert!(matches!(refused(&[], 0.2), PdeError::Size { field: "n", value: 0, .. }));
    for bad in [f64::NAN, f64::INFINITY, -1e-9] {
        assert!(matches!(refused(&[1.0, bad], 0.2), PdeError::Value { field: "scattering", .. }));
        assert!(matches!(refused(&[1.0, 1.0], bad), PdeError::Value { field: "absorption", .. }));
    }
    assert!(refused(&[1.0, 0.0], 0.0).to_string().contains("cell 1"));
    assert!(RadiativeTransferSlab::new(&[1.0, 0.0], 1e-300).is_ok());
}

#[test]
fn the_data_are_the_papers() {
    for n in [320, 640] {
        let options = ProblemOptions { n: Some(n), ..ProblemOptions::default() };
        let map = problem("radiative-transfer-1d", &options).unwrap();
        assert_eq!((map.grid(), map.output_grid(), map.families()), (vec![n], vec![n], vec![Family::Paper]));
        assert!(!map.is_linear() && map.coordinates()[0][0] == 0.5 / n as f64);
        let key = SampleKey { seed: 4, stream: Stream::Train, index: 2 };
        let (mut mu, mut u) = (vec![0.0; n], vec![0.0; n]);
        map.sample(Family::Paper, key, &mut mu, &mut u).unwrap();
        let mass = mu.iter().sum::<f64>() / n as f64;
        assert!((0.2..0.6).contains(&mass), "{mass}");
        let highest = mu.iter().copied().fold(0.0, f64::max);
        assert!(highest > 0.1 / (2.0 * PI * 4e-3).sqrt() && highest < 0.6 / (2.0 * PI * 2e-3).sqrt());
        let slab = RadiativeTransferSlab::new(&mu, 0.2).unwrap();
        assert_eq!(slab.solve().unwrap(), u);
    }
}
