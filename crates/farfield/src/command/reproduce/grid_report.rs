//! The numbers of a table or figure for people: on the terminal, and as a page with tables and pictures.

use super::outcome::{CellOutcome, Grid, RowOutcome, Runs};
use crate::report::{
    Cell, DotPlot, DotSeries, Figure, Level, Report, Scale, Series, Table, XyPlot, format_count, format_number,
};

/// Picks the runs of one way of comparing.
type Pick = fn(&CellOutcome) -> &Runs;

/// The two ways of comparing.
const RULES: [(&str, Pick); 2] = [("equal epochs", |cell| &cell.epochs), ("equal seconds", |cell| &cell.seconds)];

/// Names of the trivial predictors.
fn baseline_name(key: &str) -> &str {
    match key {
        "linear" => "linear least squares",
        "block_diagonal" => "block-diagonal least squares",
        "no_change" => "no change",
        other => other,
    }
}

/// The median, and the range if there are several seeds.
fn spread_text(runs: &Runs) -> String {
    match runs.spread() {
        None if runs.missing.is_empty() => "-".to_owned(),
        None => "*".to_owned(),
        Some([low, median, high]) if runs.runs.len() > 1 => {
            let [low, median, high] = [low, median, high].map(format_number);
            format!("{median} ({low}, {high})")
        }
        Some([_, median, _]) => format_number(median),
    }
}

fn effort_text(runs: &Runs) -> String {
    let Some(first) = runs.runs.first() else { return String::new() };
    format!("{} steps, {:.0} s", format_count(first.steps), first.seconds)
}

/// Everything that a reader of the numbers of a row must know.
fn remarks(row: &RowOutcome) -> Vec<String> {
    let mut remarks = Vec::new();
    if !row.differs.is_empty() {
        remarks.push(format!("{}: not the paper's sizes: {}.", row.name, row.differs.join(", ")));
    }
    for cell in &row.cells {
        if let (Some(run), Some(paper)) = (cell.epochs.runs.first(), cell.paper_steps)
            && run.steps != paper
        {
            remarks.push(format!("{}, {}: {} steps instead of {paper}.", row.name, cell.model, run.steps));
        }
        for (rule, runs) in RULES {
            let missing = runs(cell).missing.iter();
            remarks.extend(missing.map(|reason| format!("{}, {}, {rule}: {reason}.", row.name, cell.model)));
        }
    }
    remarks.extend(row.notes.iter().map(|note| format!("{}: {note}", row.name)));
    remarks
}

/// Prints the table.
pub fn print(grid: &Grid) {
    println!();
    println!("{} ({}), budget {}, {} threads", grid.title, grid.source, grid.budget, grid.threads);
    for row in grid.rows.iter().filter(|row| is_there(row)) {
        println!();
        let seconds = row.equal_seconds.map_or_else(String::new, |s| format!("{s:.0} s each"));
        println!("{}: {}", row.title, row.metric.title());
        println!(
            "  {:29} {:>11} {:>8} {:>28} {:>23} {:>28} {:>9} {:>7}",
            "model",
            "parameters",
            "paper's",
            "equal epochs",
            "",
            format!("equal seconds, {seconds}"),
            "paper",
            "ratio"
        );
        for cell in &row.cells {
            let paper = cell.paper.as_ref();
            println!(
                "  {:29} {:>11} {:>8} {:>28} {:>23} {:>28} {:>9} {:>7}",
                cell.model,
                cell.parameters.map_or_else(|| "-".to_owned(), |p| format_count(p as u64)),
                paper.map_or("", |p| &p.parameters),
                spread_text(&cell.epochs),
                effort_text(&cell.epochs),
                spread_text(&cell.seconds),
                paper.map_or_else(String::new, |p| format_number(p.error)),
                cell.epochs.ratio.map_or_else(String::new, |r| format!("{r:.2}"))
            );
        }
        for (key, &error) in &row.baselines {
            println!("  {:29} {:>11} {:>8} {:>28}", baseline_name(key), "", "", format_number(error));
        }
    }
    println!();
    for remark in grid.rows.iter().filter(|row| is_there(row)).flat_map(remarks).chain(grid.notes.iter().cloned()) {
        println!("note: {remark}");
    }
    println!(
        "ratio: our median at equal epochs over the paper's error; median (lowest, highest) over seeds; * not run, see the notes"
    );
}

/// Whether anything of a row was run, or tried.
fn is_there(row: &RowOutcome) -> bool {
    let tried = |runs: &Runs| !runs.runs.is_empty() || !runs.missing.is_empty();
    row.cells.iter().any(|cell| RULES.iter().any(|(_, runs)| tried(runs(cell))))
}

/// The page.
pub fn report(grid: &Grid, x_label: Option<&str>, toml: &str) -> Report {
    let rows: Vec<&RowOutcome> = grid.rows.iter().filter(|row| is_there(row)).collect();
    let figures = match x_label {
        Some(label) => curves(grid, &rows, label),
        None => dots(grid, &rows),
    };
    Report {
        title: grid.title.clone(),
        subtitle: format!("{}; budget {}, {} threads", grid.source, grid.budget, grid.threads),
        facts: Vec::new(),
        tables: rows.iter().map(|row| table(row)).collect(),
        figures,
        notes: grid.notes.clone(),
        config_toml: toml.to_owned(),
    }
}

fn cell_of(runs: &Runs) -> Cell {
    match runs.spread() {
        Some([low, median, high]) if runs.runs.len() > 1 => Cell::Spread { median, low, high },
        Some([_, median, _]) => Cell::Number(median),
        None => Cell::Missing,
    }
}

fn table(row: &RowOutcome) -> Table {
    let seconds = row.equal_seconds.map_or_else(|| "equal seconds".to_owned(), |s| format!("equal seconds ({s:.0} s)"));
    let header =
        ["model", "parameters", "paper's", "equal epochs", "steps, seconds", &seconds, "paper", "ours / paper"];
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for cell in &row.cells {
        let paper = cell.paper.as_ref();
        rows.push(vec![
            cell.model.as_str().into(),
            cell.parameters.into(),
            paper.map_or(Cell::Missing, |p| p.parameters.as_str().into()),
            cell_of(&cell.epochs),
            effort_text(&cell.epochs).into(),
            cell_of(&cell.seconds),
            paper.map(|p| p.error).into(),
            cell.epochs.ratio.into(),
        ]);
    }
    for (key, &error) in &row.baselines {
        rows.push(vec![baseline_name(key).into(), Cell::Missing, Cell::Missing, error.into()]);
    }
    Table {
        caption: format!("{}: {}", row.title, row.metric.title()),
        header: header.iter().map(|h| (*h).to_owned()).collect(),
        rows,
        notes: remarks(row),
    }
}

/// One picture a rule: rows of dots, ours and the paper's.
fn dots(grid: &Grid, rows: &[&RowOutcome]) -> Vec<Figure> {
    let mut models: Vec<&str> = Vec::new();
    for cell in rows.iter().flat_map(|row| &row.cells) {
        if !models.contains(&cell.model.as_str()) {
            models.push(&cell.model);
        }
    }
    let figure = |(rule, runs): (&str, Pick)| {
        let of = |row: &RowOutcome, model: &str| row.cells.iter().position(|cell| cell.model == model);
        let mut series: Vec<DotSeries> = models
            .iter()
            .map(|&model| DotSeries {
                name: model.to_owned(),
                ours: rows.iter().map(|row| runs(&row.cells[of(row, model)?]).spread()).collect(),
                theirs: rows.iter().map(|row| Some(row.cells[of(row, model)?].paper.as_ref()?.error)).collect(),
            })
            .collect();
        if rows.iter().any(|row| row.linear && row.baselines.contains_key("linear")) {
            let linear = |row: &&RowOutcome| row.baselines.get("linear").filter(|_| row.linear).map(|&e| [e, e, e]);
            series.push(DotSeries {
                name: "linear least squares".to_owned(),
                ours: rows.iter().map(linear).collect(),
                theirs: Vec::new(),
            });
        }
        if !series.iter().any(|s| s.ours.iter().any(Option::is_some)) {
            return None;
        }
        let plot = DotPlot {
            title: format!("{}, {rule}", grid.title),
            subtitle: "filled: ours (bar: lowest to highest seed); hollow: the paper's number".to_owned(),
            x_label: "test error".to_owned(),
            rows: rows.iter().map(|row| row.name.clone()).collect(),
            series,
        };
        let caption =
            format!("Test errors at {rule}, budget {}, beside the numbers that the paper prints.", grid.budget);
        Some(Figure::new(rule.replace(' ', "-"), caption, plot))
    };
    RULES.into_iter().filter_map(figure).collect()
}

/// One picture a rule and value of the third axis: error against the first axis, one curve a model and value of the second.
fn curves(grid: &Grid, rows: &[&RowOutcome], x_label: &str) -> Vec<Figure> {
    let mut figures: Vec<&str> = Vec::new();
    for point in rows.iter().filter_map(|row| row.point.as_ref()) {
        if !figures.contains(&point.figure.as_str()) {
            figures.push(&point.figure);
        }
    }
    let mut drawn = Vec::new();
    for (rule, runs) in RULES {
        for (i, &name) in figures.iter().enumerate() {
            let title = [grid.title.as_str(), name, rule].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>();
            let y_label = rows.first().map_or("", |row| row.metric.title());
            let mut plot = XyPlot::log_log(title.join(", "), x_label, y_label);
            if rows.iter().filter_map(|row| row.point.as_ref()).any(|point| point.x <= 0.0) {
                plot.x_scale = Scale::Linear;
            }
            for row in rows {
                let Some(point) = row.point.as_ref().filter(|point| point.figure == name) else { continue };
                for cell in &row.cells {
                    let Some([low, median, high]) = runs(cell).spread() else { continue };
                    let key = match (point.series.is_empty(), row.cells.len()) {
                        (true, _) => cell.model.clone(),
                        (false, 1) => point.series.clone(),
                        (false, _) => format!("{}, {}", cell.model, point.series),
                    };
                    let series = match plot.series.iter().position(|s| s.name == key) {
                        Some(found) => &mut plot.series[found],
                        None => {
                            plot.series.push(Series { name: key, ..Series::default() });
                            plot.series.last_mut().expect("just pushed")
                        }
                    };
                    series.x.push(point.x);
                    series.y.push(median);
                    series.low.push(low);
                    series.high.push(high);
                }
            }
            if plot.series.is_empty() {
                continue;
            }
            trivial(&mut plot, rows, name);
            let caption = format!(
                "Test error at {rule}, budget {}: median over the seeds, band from the lowest to the highest.",
                grid.budget
            );
            drawn.push(Figure::new(format!("{}-{i}", rule.replace(' ', "-")), caption, plot));
        }
    }
    drawn
}

/// Least squares as a curve where it depends on the abscissa; the mean as a level.
fn trivial(plot: &mut XyPlot, rows: &[&RowOutcome], figure: &str) {
    let of_figure =
        || rows.iter().filter_map(|row| Some((row.point.as_ref()?, *row))).filter(|(p, _)| p.figure == figure);
    let mut linear = Series { name: "linear least squares".to_owned(), ..Series::default() };
    for (point, row) in of_figure().filter(|(_, row)| row.linear) {
        if let Some(&error) = row.baselines.get("linear")
            && !linear.x.contains(&point.x)
        {
            linear.x.push(point.x);
            linear.y.push(error);
        }
    }
    if !linear.x.is_empty() {
        plot.series.push(linear);
    }
    for key in ["no_change", "mean"] {
        let values: Vec<f64> = of_figure().filter_map(|(_, row)| row.baselines.get(key).copied()).collect();
        if let Some(&value) = values.get(values.len() / 2) {
            plot.levels.push(Level { name: baseline_name(key).to_owned(), value });
        }
    }
}
