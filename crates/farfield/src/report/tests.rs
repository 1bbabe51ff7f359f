//! The report as a whole: files, page, escaping, and data that cannot be drawn.

use std::fs;
use std::path::Path;

use super::picture::png_size;
use super::*;

/// A smooth field and a slightly wrong prediction of it on an `n` by `m` grid.
fn field_2d(n: usize, m: usize) -> FieldSample {
    let line = |n: usize| (0..n).map(|i| i as f64 / n as f64).collect::<Vec<_>>();
    let (x, y) = (line(n), line(m));
    let mut truth = Vec::with_capacity(n * m);
    for x in &x {
        for y in &y {
            truth.push((3.0 * x).sin() * (5.0 * y).cos());
        }
    }
    FieldSample {
        title: "sample".to_string(),
        grid: vec![n, m],
        coordinates: vec![x, y],
        input: truth.iter().map(|v| 30.0 * v).collect(),
        prediction: truth.iter().map(|v| 1.01 * v).collect(),
        truth,
        relative_l2: 0.01,
    }
}

fn field_1d(values: &[f64]) -> FieldSample {
    FieldSample {
        title: "line".to_string(),
        grid: vec![values.len()],
        coordinates: vec![(0..values.len()).map(|i| i as f64).collect()],
        input: values.to_vec(),
        truth: values.to_vec(),
        prediction: values.to_vec(),
        relative_l2: 0.0,
    }
}

fn loss(train: &[f64]) -> LossCurves {
    LossCurves {
        step_name: "epoch".to_string(),
        loss_name: "loss".to_string(),
        steps: (0..train.len() as u64).collect(),
        train: train.to_vec(),
        validation: train.iter().map(|&v| Some(2.0 * v)).collect(),
        learning_rate: vec![1e-3; train.len()],
    }
}

fn plot(x: &[f64], y: &[f64]) -> XyPlot {
    let mut plot = XyPlot::log_log("title", "samples", "error");
    plot.series.push(Series {
        name: "series".to_string(),
        x: x.to_vec(),
        y: y.to_vec(),
        low: y.iter().map(|v| 0.5 * v).collect(),
        high: y.iter().map(|v| 2.0 * v).collect(),
    });
    plot
}

fn report() -> Report {
    Report {
        title: "a <b> & \"c\"".to_string(),
        subtitle: "it's".to_string(),
        facts: vec![("seed".to_string(), "<script>alert(1)</script>".to_string())],
        tables: vec![Table {
            caption: "errors".to_string(),
            header: vec!["model".into(), "error".into()],
            rows: vec![vec!["hss".into(), 1.9e-3.into()]],
            notes: vec![],
        }],
        figures: vec![
            Figure::new("loss", "Loss <of> training", loss(&[1.0, 0.1, 0.01])),
            Figure::new("field", "Field", field_2d(24, 16)),
            Figure::new("samples", "Error", plot(&[10.0, 100.0], &[0.1, 0.01])),
        ],
        notes: vec!["x < y".to_string()],
        config_toml: "name = \"</pre>\"\n".to_string(),
    }
}

/// Panics unless every element that is opened is closed, in order.
fn check_balance(html: &str) {
    let void = ["meta", "img", "br", "hr", "link", "input"];
    let mut open: Vec<String> = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        if tag.starts_with('!') || void.contains(&name.as_str()) {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "</{name}>");
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("list")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into())
        .collect();
    names.sort();
    names
}

#[test]
fn a_report_is_a_page_and_its_pictures_and_nothing_else() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let run = folder.path().join("runs").join("one");
    let page = report().write(&run).expect("write");
    assert_eq!(page, run.join("report.html"));
    assert_eq!(names(&run), ["plots", "report.html"]);
    assert_eq!(names(&run.join("plots")), ["field.png", "loss.png", "loss.svg", "samples.png", "samples.svg"]);
    for figure in &report().figures {
        let bytes = fs::read(run.join(format!("plots/{}.png", figure.name))).expect("read");
        let (width, height) = figure.content.draw().size();
        assert_eq!(png_size(&bytes), Some((2 * width, 2 * height)));
    }
}

#[test]
fn the_page_is_closed_escaped_and_self_contained() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = report().write(folder.path()).expect("write");
    let html = fs::read_to_string(path).expect("read");
    check_balance(&html);
    for text in [
        "<h1>a &lt;b&gt; &amp; &quot;c&quot;</h1>",
        "it&#39;s",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "Loss &lt;of&gt; training",
        "name = &quot;&lt;/pre&gt;&quot;",
        "<td class=\"number\">1.9e-3</td>",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert!(!html.contains("<script") && !html.contains("http"));
    let sources = html.matches("<img src=\"data:image/").count();
    assert_eq!(sources, html.matches("<img").count());
    assert_eq!(sources, 3);
}

#[test]
fn writing_again_gives_the_same_bytes() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = report().write(folder.path()).expect("first");
    let first = fs::read(&path).expect("read");
    report().write(folder.path()).expect("second");
    assert_eq!(fs::read(&path).expect("read"), first);
}

#[test]
fn names_that_cannot_be_files_are_refused_before_anything_is_written() {
    for name in ["", "a/b", "..", "a b", "é"] {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut bad = report();
        bad.figures[1].name = name.to_string();
        let error = bad.write(folder.path()).expect_err("bad name");
        assert!(matches!(error, ReportError::FigureName { .. }), "{error}");
        assert!(names(folder.path()).is_empty());
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut twice = report();
    twice.figures[1].name = "Loss".to_string();
    let error = twice.write(folder.path()).expect_err("duplicate");
    assert!(matches!(error, ReportError::DuplicateFigure { .. }), "{error}");
}

#[test]
fn errors_name_the_path_in_one_line() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("taken");
    fs::write(&file, b"x").expect("a file where a folder should be");
    let message = report().write(&file).expect_err("not a folder").to_string();
    assert!(message.contains("taken") && !message.contains('\n'), "{message}");
    let error = xy_plot(&plot(&[1.0], &[1.0]), Path::new("..")).expect_err("no file name");
    assert!(matches!(error, ReportError::NoFileName { .. }), "{error}");
}

#[test]
fn data_that_cannot_be_drawn_is_noted_and_never_fatal() {
    let hard: [&[f64]; 8] = [
        &[],
        &[1.0],
        &[0.0, 0.0, 0.0],
        &[f64::NAN, f64::NAN],
        &[1.0, f64::INFINITY, 2.0],
        &[-1.0, 0.0, 1e-3],
        &[f64::MIN, f64::MAX],
        &[5e-324, 1e300, f64::NEG_INFINITY],
    ];
    for values in hard {
        let mut slopes =
            SlopeCurves { step_name: "step".to_string(), steps: (0..values.len() as u64).collect(), layers: vec![] };
        let _ = slopes.draw();
        slopes.layers.push(LayerSlopes { name: "layer 1".to_string(), values: values.to_vec() });
        let mut image = field_2d(3, 2);
        for (to, from) in image.prediction.iter_mut().zip(values) {
            *to = *from;
        }
        let mut constant = field_2d(2, 2);
        constant.truth = vec![values.first().copied().unwrap_or(0.0); 4];
        constant.prediction = constant.truth.clone();
        let contents: Vec<FigureContent> = vec![
            loss(values).into(),
            slopes.into(),
            field_1d(values).into(),
            image.into(),
            constant.into(),
            plot(values, values).into(),
            plot(&[1.0, 2.0, 3.0], values).into(),
            ErrorPlot {
                error_name: "error".to_string(),
                sets: vec![ErrorDistribution { name: "test".to_string(), errors: values.to_vec() }],
            }
            .into(),
        ];
        for content in contents {
            let picture = content.draw();
            let bytes = picture.png().expect("encode");
            assert!(png_size(&bytes).is_some());
            if let Some(svg) = picture.svg() {
                for word in ["NaN", "inf ", "inf\""] {
                    assert!(!svg.contains(word), "{values:?}");
                }
            }
        }
    }
    let skipped = loss(&[1.0, f64::NAN, 0.5, 0.0]).draw();
    assert!(skipped.notes().iter().any(|n| n.contains("training loss: 2 values")), "{:?}", skipped.notes());
}

/// A travelling wave on a grid, eight states, and the same a little late.
fn rollout(grid: &[usize]) -> RolloutFields {
    let coordinates: Vec<Vec<f64>> = grid.iter().map(|&n| (0..n).map(|i| i as f64 / n as f64).collect()).collect();
    let times: Vec<f64> = (0..8).map(|t| 0.2 * f64::from(t)).collect();
    let points: usize = grid.iter().product();
    let wave = |lag: f64| {
        let value = |(t, p): (f64, usize)| (6.0 * (p as f64 / points as f64 - t + lag)).sin();
        times.iter().flat_map(|&t| (0..points).map(move |p| (t, p))).map(value).collect::<Vec<f64>>()
    };
    let (truth, prediction) = (wave(0.0), wave(0.01));
    RolloutFields { title: "wave".to_string(), coordinates, times, truth, prediction }
}

#[test]
fn rollouts_are_drawn_in_one_two_and_three_dimensions() {
    for grid in [&[40][..], &[1], &[12, 9], &[6, 5, 4], &[1, 3], &[2000]] {
        let picture = rollout(grid).draw();
        let (width, height) = png_size(&picture.png().expect("encode")).expect("a PNG");
        assert!(width < 1800 && height < 1800, "{grid:?}: {width} x {height}");
        assert!(picture.notes().iter().all(|n| n.starts_with("One point in") || n.starts_with("Of three")));
    }
    let mut holes = rollout(&[6, 6]);
    for states in [&mut holes.truth, &mut holes.prediction] {
        states.iter_mut().step_by(5).for_each(|v| *v = f64::NAN);
    }
    assert!(holes.draw().notes().is_empty() && holes.draw().png().is_ok());
    let mut wild = rollout(&[9]);
    wild.prediction[40..].fill(f64::INFINITY);
    assert!(
        wild.draw().notes().iter().any(|n| n == "32 predicted values are not finite."),
        "{:?}",
        wild.draw().notes()
    );
    assert!(wild.draw().png().is_ok());
    wild.prediction.fill(50.0);
    assert!(wild.draw().notes().iter().any(|n| n.starts_with("Colours span the true values")));
    let mut short = rollout(&[9]);
    short.truth.pop();
    for bad in [short, RolloutFields::default(), RolloutFields { times: vec![0.0], ..rollout(&[9]) }] {
        assert!(bad.draw().notes().iter().any(|n| n.starts_with("Not drawn")));
        assert!(bad.draw().png().is_ok());
    }
}

#[test]
fn errors_of_rollouts_are_drawn_with_what_can_be() {
    let curve = |name: &str, median: &[f64]| RolloutCurve {
        name: name.to_string(),
        median: median.to_vec(),
        largest: median.iter().map(|v| 3.0 * v).collect(),
    };
    let mut curves = RolloutCurves {
        title: "rollout".to_string(),
        times: vec![0.1, 0.2, 0.3],
        models: vec![curve("a", &[0.1, 0.2, 0.4]), curve("no change", &[0.5, 0.7, 0.9])],
    };
    assert!(curves.draw().notes().is_empty() && curves.draw().svg().is_some());
    curves.models[0] = curve("a", &[0.0, 0.2, f64::INFINITY]);
    let notes = curves.draw().notes().to_vec();
    assert!(notes.iter().any(|n| n.starts_with("a, median: 2 values")), "{notes:?}");
    curves.models.clear();
    assert!(curves.draw().png().is_ok());
    assert!(RolloutCurves::default().draw().png().is_ok());
}

#[test]
fn guides_and_levels_far_away_stay_in_the_frame() {
    let mut steep = plot(&[1.0, 10.0, 100.0], &[1.0, 0.5, 0.2]);
    steep.y_scale = Scale::Linear;
    steep.guides.push(Guide { name: "steep".to_string(), exponent: 200.0, through: (1.0, 1.0) });
    steep.guides.push(Guide::default());
    steep.levels.push(Level { name: "not a number".to_string(), value: f64::NAN });
    assert!(steep.draw().png().is_ok());
}

#[test]
fn samples_whose_parts_do_not_fit_say_so() {
    let mut cases = vec![FieldSample::default()];
    let mut short = field_2d(4, 4);
    short.prediction.pop();
    cases.push(short);
    let mut four = field_2d(4, 4);
    four.grid = vec![2; 4];
    cases.push(four);
    let mut backwards = field_2d(4, 4);
    backwards.coordinates[0].reverse();
    cases.push(backwards);
    let mut missing = field_2d(4, 4);
    missing.coordinates.pop();
    cases.push(missing);
    let mut huge = field_2d(4, 4);
    huge.grid = vec![usize::MAX, 2];
    cases.push(huge);
    for sample in cases {
        let picture = sample.draw();
        assert!(picture.notes().iter().any(|n| n.starts_with("Not drawn")), "{:?}", picture.notes());
        assert!(picture.png().is_ok());
    }
}

#[test]
fn large_fields_give_pictures_of_bounded_size() {
    let picture = field_2d(1024, 1500).draw();
    let bytes = picture.png().expect("encode");
    let (width, height) = png_size(&bytes).expect("a PNG");
    assert!(width < 1700 && height < 1700, "{width} x {height}");
    assert!(bytes.len() < 1_500_000, "{} bytes", bytes.len());
    assert!(picture.notes().iter().any(|n| n.contains("grid point in")));
}

#[test]
fn three_dimensions_are_three_slices() {
    let n = 6;
    let line: Vec<f64> = (0..n).map(|i| i as f64).collect();
    let truth: Vec<f64> = (0..n * n * n).map(|i| (i as f64).sin()).collect();
    let sample = FieldSample {
        title: "cube".to_string(),
        grid: vec![n; 3],
        coordinates: vec![line; 3],
        input: vec![],
        prediction: truth.iter().map(|v| v + 0.1).collect(),
        truth,
        relative_l2: 0.1,
    };
    let picture = sample.draw();
    assert!(picture.notes().is_empty(), "{:?}", picture.notes());
    assert!(picture.png().is_ok());
    let mut flat = sample;
    flat.grid = vec![n, 1, n];
    flat.coordinates[1].truncate(1);
    flat.truth.truncate(n * n);
    flat.prediction.truncate(n * n);
    assert!(flat.draw().png().is_ok());
}

#[test]
fn a_report_survives_json() {
    let mut original = report();
    original.figures[1] = Figure::new("line", "Line", field_1d(&[0.5, 0.25, -4.0]));
    let text = serde_json::to_string(&original).expect("to JSON");
    let back: Report = serde_json::from_str(&text).expect("from JSON");
    assert_eq!(back, original);
}

#[test]
fn single_plots_are_written_as_png_and_svg() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("pictures").join("structure");
    let written = hss_structure_plot(100, 3, 4, &path).expect("write");
    assert_eq!(written, [path.with_extension("png"), path.with_extension("svg")]);
    let svg = fs::read_to_string(&written[1]).expect("read");
    assert!(svg.starts_with("<svg viewBox=\"0 0 "));
    check_balance_svg(&svg);
}

/// Counts tags: as many opened as closed.
fn check_balance_svg(svg: &str) {
    let opened = svg.matches('<').count() - svg.matches("<!--").count();
    let closed = svg.matches("</").count();
    let empty = svg.matches("/>").count();
    assert_eq!(opened, 2 * closed + empty);
}
