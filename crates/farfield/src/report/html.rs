//! The page of a report: one file with its style and pictures inside, no scripts, nothing loaded from elsewhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::document::Report;
use super::error::ReportError;
use super::picture::Picture;

/// SVG text longer than this is replaced by the PNG in the page.
const LARGEST_SVG: usize = 200_000;

const STYLE: &str = "\
:root{color-scheme:light}
body{margin:0;background:#fff;color:#222;font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
main{max-width:56rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:1.75rem;line-height:1.25;margin:0}
.subtitle{color:#555;font-size:1.05rem;margin:.35rem 0 1.6rem}
h2{font-size:1.2rem;margin:2.6rem 0 .8rem;padding-bottom:.3rem;border-bottom:1px solid #ddd}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(12.5rem,1fr));gap:.9rem 1.5rem;margin:0;padding:1rem 1.15rem;background:#f6f7f9;border-radius:8px}
dt{font-size:.8rem;color:#666}
dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.wide{overflow-x:auto;margin:1.2rem 0 .5rem}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding-bottom:.5rem}
th,td{text-align:left;padding:.38rem 0 .38rem 1.15rem;vertical-align:baseline}
th:first-child,td:first-child{padding-left:0;white-space:nowrap}
th{font-weight:600;font-size:.84rem;color:#444;border-top:1.5px solid #222;border-bottom:1px solid #222;vertical-align:bottom}
td{border-bottom:1px solid #e8e8e8}
tbody tr:last-child td{border-bottom:1.5px solid #222}
.number{text-align:right;white-space:nowrap}
.spread{color:#777;font-size:.85em}
.note,.notes{color:#555;font-size:.88rem}
.note{margin:.25rem 0}
figure{margin:2.2rem 0}
figure img{display:block;max-width:100%;height:auto}
figcaption{color:#444;font-size:.92rem;margin-top:.5rem}
figcaption .note{display:block;color:#8a4b00}
pre{background:#f6f7f9;border-radius:8px;padding:1rem 1.15rem;overflow-x:auto;font-size:.85rem;line-height:1.45}
summary{cursor:pointer;color:#333}
footer{margin-top:3rem;color:#888;font-size:.82rem}
@media print{main{max-width:none;padding:0}figure,table{break-inside:avoid}}
";

/// `text` with the characters replaced that have a meaning in HTML; control characters become spaces.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A picture as an `img` element that holds its bytes.
fn image(picture: &Picture, png: &[u8], caption: &str) -> String {
    let (width, height) = picture.size();
    let source = match picture.svg().filter(|svg| svg.len() <= LARGEST_SVG) {
        Some(svg) => format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg)),
        None => format!("data:image/png;base64,{}", STANDARD.encode(png)),
    };
    format!("<img src=\"{source}\" width=\"{width}\" height=\"{height}\" alt=\"{}\">", escaped(caption))
}

/// A picture with the bytes of its PNG, ready for the page.
pub(super) struct Drawn {
    pub(super) picture: Picture,
    pub(super) png: Vec<u8>,
}

impl Drawn {
    pub(super) fn new(picture: Picture) -> Result<Self, ReportError> {
        let png = picture.png()?;
        Ok(Self { picture, png })
    }
}

/// The whole page; `drawn` holds one entry for each figure of the report.
pub(super) fn page(report: &Report, drawn: &[Drawn]) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.push_str(&format!("<title>{}</title>\n", escaped(&report.title)));
    out.push_str(&format!("<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"));
    out.push_str(&format!("<h1>{}</h1>\n", escaped(&report.title)));
    out.push_str(&format!("<p class=\"subtitle\">{}</p>\n", escaped(&report.subtitle)));
    if !report.facts.is_empty() {
        out.push_str("<dl>\n");
        for (name, value) in &report.facts {
            out.push_str(&format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped(name), escaped(value)));
        }
        out.push_str("</dl>\n");
    }
    if !report.tables.is_empty() {
        out.push_str("<h2>Results</h2>\n");
        for table in &report.tables {
            out.push_str(&table.html());
        }
    }
    if !report.figures.is_empty() {
        out.push_str("<h2>Figures</h2>\n");
        for (figure, drawn) in report.figures.iter().zip(drawn) {
            out.push_str("<figure>\n");
            out.push_str(&image(&drawn.picture, &drawn.png, &figure.caption));
            out.push_str(&format!("\n<figcaption>{}", escaped(&figure.caption)));
            for note in drawn.picture.notes() {
                out.push_str(&format!("<span class=\"note\">{}</span>", escaped(note)));
            }
            out.push_str("</figcaption>\n</figure>\n");
        }
    }
    if !report.notes.is_empty() {
        out.push_str("<h2>Notes</h2>\n<ul class=\"notes\">\n");
        for note in &report.notes {
            out.push_str(&format!("<li>{}</li>\n", escaped(note)));
        }
        out.push_str("</ul>\n");
    }
    if !report.config_toml.is_empty() {
        out.push_str("<h2>Configuration</h2>\n<details>\n<summary>config.toml</summary>\n<pre>");
        out.push_str(&escaped(&report.config_toml));
        out.push_str("</pre>\n</details>\n");
    }
    out.push_str(&format!(
        "<footer>Written by farfield {}.</footer>\n</main>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    ));
    out
}
