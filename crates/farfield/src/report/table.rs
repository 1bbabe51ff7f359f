//! Tables of results.

use serde::{Deserialize, Serialize};

use super::html::escaped;
use super::number::{format_count, format_number};

/// A table with a caption; numbers are set to the right.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Caption above the table.
    pub caption: String,
    /// Names of the columns.
    pub header: Vec<String>,
    /// Rows of cells; short rows are filled with empty cells.
    pub rows: Vec<Vec<Cell>>,
    /// Remarks below the table.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One cell of a [`Table`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Nothing was measured; shown as a dash.
    #[default]
    Missing,
    /// Words.
    Text(String),
    /// A measured number, shown as 1.9e-3 or 2.31.
    Number(f64),
    /// A number of things, shown in full with grouped digits.
    Count(u64),
    /// Median over seeds with the smallest and the largest value.
    Spread {
        /// Median.
        median: f64,
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
    },
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_string())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Cell::Number(value)
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Cell::Count(value)
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Cell::Count(value as u64)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Missing, Into::into)
    }
}

impl Cell {
    fn is_numeric(&self) -> bool {
        matches!(self, Cell::Number(_) | Cell::Count(_) | Cell::Spread { .. })
    }

    fn html(&self) -> String {
        match self {
            Cell::Missing => "–".to_string(),
            Cell::Text(text) => escaped(text),
            Cell::Number(value) => signed(&format_number(*value)),
            Cell::Count(value) => format_count(*value),
            Cell::Spread { median, low, high } => format!(
                "{} <span class=\"spread\">({} to {})</span>",
                signed(&format_number(*median)),
                signed(&format_number(*low)),
                signed(&format_number(*high))
            ),
        }
    }
}

/// A leading minus sign in its true width; the exponent keeps the hyphen, so that a number can be copied out.
fn signed(number: &str) -> String {
    match number.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => number.to_string(),
    }
}

impl Table {
    /// The table as HTML.
    pub(super) fn html(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).chain([self.header.len()]).max().unwrap_or(0);
        // A column is set to the right when it holds numbers and no words.
        let numeric: Vec<bool> = (0..columns)
            .map(|c| {
                let mut cells = self.rows.iter().filter_map(|row| row.get(c)).peekable();
                let words = |cell: &Cell| matches!(cell, Cell::Text(_));
                cells.peek().is_some()
                    && self.rows.iter().filter_map(|row| row.get(c)).any(Cell::is_numeric)
                    && !cells.any(words)
            })
            .collect();
        let class = |c: usize| {
            if numeric.get(c).copied().unwrap_or(false) { " class=\"number\"" } else { "" }
        };
        let mut out = String::from("<div class=\"wide\"><table>\n");
        if !self.caption.is_empty() {
            out.push_str(&format!("<caption>{}</caption>\n", escaped(&self.caption)));
        }
        if !self.header.is_empty() {
            out.push_str("<thead><tr>");
            for c in 0..columns {
                let name = self.header.get(c).map_or("", String::as_str);
                out.push_str(&format!("<th scope=\"col\"{}>{}</th>", class(c), escaped(name)));
            }
            out.push_str("</tr></thead>\n");
        }
        out.push_str("<tbody>\n");
        for row in &self.rows {
            out.push_str("<tr>");
            for c in 0..columns {
                let text = row.get(c).map_or_else(String::new, Cell::html);
                out.push_str(&format!("<td{}>{text}</td>", class(c)));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div>\n");
        for note in &self.notes {
            out.push_str(&format!("<p class=\"note\">{}</p>\n", escaped(note)));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_right_words_go_left() {
        let table = Table {
            caption: "a < b".to_string(),
            header: vec!["model".into(), "error".into()],
            rows: vec![vec!["<hss>".into(), 1.9e-3.into()], vec!["mean".into(), Cell::Missing], vec!["short".into()]],
            notes: vec!["n & m".into()],
        };
        let html = table.html();
        assert!(html.contains("<caption>a &lt; b</caption>"));
        assert!(html.contains("<td>&lt;hss&gt;</td><td class=\"number\">1.9e-3</td>"));
        assert!(html.contains("<td>short</td><td class=\"number\"></td>"));
        assert!(html.contains("n &amp; m"));
    }

    #[test]
    fn an_empty_table_is_still_a_table() {
        let html = Table::default().html();
        assert!(html.contains("<tbody>") && html.contains("</table>"));
    }

    #[test]
    fn tables_survive_json() {
        let table = Table {
            rows: vec![vec![
                "a".into(),
                1.5.into(),
                7_usize.into(),
                None::<f64>.into(),
                Cell::Spread { median: 2.0, low: 1.0, high: 3.0 },
            ]],
            ..Table::default()
        };
        let text = serde_json::to_string(&table).expect("to JSON");
        let back: Table = serde_json::from_str(&text).expect("from JSON");
        assert_eq!(back, table);
    }
}
