//! Drawing by lines, areas, text and images in units of CSS pixels, origin at the top left.
//!
//! A thin layer over kuva's scene that keeps its traps in one place: text between dollar signs would be typeset as
//! mathematics, dashes restart at every vertex, bold text is ignored by the rasteriser unless given as rich text, and a
//! stroke has no opacity.

use kuva::render::render::{PathData, Primitive, Scene, TextAnchor, TextSpan};

use super::colour::{INK, Rgb};
use super::lettering::{literal, printable};
use super::picture::{Bitmap, PIXELS_PER_UNIT, Picture};
use super::polyline::{dashes, simplify};

/// Size of tick labels and legends.
pub(super) const SMALL: u32 = 12;
/// Size of axis labels and panel titles.
pub(super) const NORMAL: u32 = 13;
/// Size of the title of a picture.
pub(super) const LARGE: u32 = 15;

/// Which point of a text its coordinates name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl From<Anchor> for TextAnchor {
    fn from(anchor: Anchor) -> Self {
        match anchor {
            Anchor::Start => TextAnchor::Start,
            Anchor::Middle => TextAnchor::Middle,
            Anchor::End => TextAnchor::End,
        }
    }
}

/// Line pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Dash {
    Solid,
    /// Lengths of a stroke and of the gap after it.
    Pattern(f64, f64),
}

/// Colour, width and pattern of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) colour: Rgb,
    pub(super) width: f64,
    pub(super) dash: Dash,
}

impl Stroke {
    pub(super) fn solid(colour: Rgb, width: f64) -> Self {
        Self { colour, width, dash: Dash::Solid }
    }

    pub(super) fn dashed(colour: Rgb, width: f64, stroke: f64, gap: f64) -> Self {
        Self { colour, width, dash: Dash::Pattern(stroke, gap) }
    }
}

/// Marker shapes, in the order in which series take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    Down,
}

impl Marker {
    pub(super) fn of_series(index: usize) -> Self {
        [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Diamond, Marker::Down][index % 5]
    }
}

/// A rectangle of the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// A drawing being made.
#[derive(Debug)]
pub(super) struct Canvas {
    scene: Scene,
    bitmaps: Vec<Bitmap>,
    notes: Vec<String>,
    clips: usize,
}

fn paint(colour: Rgb) -> kuva::render::color::Color {
    kuva::render::color::Color::Rgb(colour.0, colour.1, colour.2)
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        let mut scene = Scene::new(width.ceil().max(1.0), height.ceil().max(1.0));
        scene.font_family = Some("DejaVu Sans, Verdana, Bitstream Vera Sans, Arial, sans-serif".to_string());
        Self { scene, bitmaps: Vec::new(), notes: Vec::new(), clips: 0 }
    }

    pub(super) fn finish(self) -> Picture {
        Picture::new(self.scene, self.bitmaps, self.notes)
    }

    /// Records what could not be drawn.
    pub(super) fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }

    pub(super) fn text(&mut self, x: f64, y: f64, text: &str, size: u32, anchor: Anchor) {
        self.coloured_text(x, y, text, size, anchor, INK);
    }

    /// Text whose baseline passes through `(x, y)`.
    pub(super) fn coloured_text(&mut self, x: f64, y: f64, text: &str, size: u32, anchor: Anchor, colour: Rgb) {
        self.scene.add(Primitive::Text {
            x,
            y,
            content: literal(text),
            size,
            anchor: anchor.into(),
            rotate: None,
            bold: false,
            color: Some(paint(colour)),
        });
    }

    pub(super) fn bold_text(&mut self, x: f64, y: f64, text: &str, size: u32, anchor: Anchor) {
        let mut span = TextSpan::plain(printable(text));
        span.bold = true;
        self.scene.add(Primitive::RichText {
            x,
            y,
            spans: vec![span],
            size,
            anchor: anchor.into(),
            color: Some(paint(INK)),
        });
    }

    /// Text read from bottom to top, centred at `(x, y)`.
    pub(super) fn upward_text(&mut self, x: f64, y: f64, text: &str, size: u32) {
        self.scene.add(Primitive::Text {
            x,
            y,
            content: literal(text),
            size,
            anchor: TextAnchor::Middle,
            rotate: Some(-90.0),
            bold: false,
            color: Some(paint(INK)),
        });
    }

    pub(super) fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, stroke: Stroke) {
        self.polyline(&[(x1, y1), (x2, y2)], stroke);
    }

    /// A line through `points`; points closer to the line than the eye can see are dropped.
    pub(super) fn polyline(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let points = simplify(points, 0.08);
        if points.len() < 2 {
            return;
        }
        let parts = match stroke.dash {
            Dash::Solid => vec![points],
            Dash::Pattern(on, off) => dashes(&points, on, off),
        };
        self.scene.add(Primitive::GroupStart {
            transform: None,
            title: None,
            extra_attrs: Some("stroke-linejoin=\"round\"".to_string()),
        });
        for part in parts {
            self.scene.add(Primitive::PolyLine {
                points: part,
                stroke: paint(stroke.colour),
                stroke_width: stroke.width,
                stroke_dasharray: None,
            });
        }
        self.scene.add(Primitive::GroupEnd);
    }

    /// Fills the polygon `points`.
    pub(super) fn fill(&mut self, points: &[(f64, f64)], colour: Rgb, opacity: f64) {
        if points.len() < 3 {
            return;
        }
        let mut d = String::with_capacity(points.len() * 16);
        for (i, (x, y)) in points.iter().enumerate() {
            let command = if i == 0 { 'M' } else { 'L' };
            d.push_str(&format!("{command} {x:.2} {y:.2} "));
        }
        d.push('Z');
        self.scene.add(Primitive::Path(Box::new(PathData {
            d,
            fill: Some(paint(colour)),
            stroke: kuva::render::color::Color::None,
            stroke_width: 0.0,
            opacity: (opacity < 1.0).then_some(opacity),
            stroke_dasharray: None,
        })));
    }

    pub(super) fn rectangle(&mut self, area: Area, colour: Rgb) {
        self.scene.add(Primitive::Rect {
            x: area.left,
            y: area.top,
            width: area.width,
            height: area.height,
            fill: paint(colour),
            stroke: None,
            stroke_width: None,
            opacity: None,
        });
    }

    pub(super) fn frame(&mut self, area: Area, stroke: Stroke) {
        let (l, t, r, b) = (area.left, area.top, area.right(), area.bottom());
        self.polyline(&[(l, t), (r, t), (r, b), (l, b), (l, t)], stroke);
    }

    /// A filled marker with a thin white edge, about `radius` from centre to rim.
    pub(super) fn marker(&mut self, shape: Marker, x: f64, y: f64, radius: f64, colour: Rgb) {
        let outline = |r: f64| -> Vec<(f64, f64)> {
            match shape {
                Marker::Circle => (0..32)
                    .map(|i| {
                        let a = f64::from(i) * std::f64::consts::TAU / 32.0;
                        (x + r * a.cos(), y + r * a.sin())
                    })
                    .collect(),
                Marker::Square => {
                    let h = 0.88 * r;
                    vec![(x - h, y - h), (x + h, y - h), (x + h, y + h), (x - h, y + h)]
                }
                Marker::Triangle => vec![(x, y - 1.2 * r), (x + 1.08 * r, y + 0.75 * r), (x - 1.08 * r, y + 0.75 * r)],
                Marker::Down => vec![(x, y + 1.2 * r), (x + 1.08 * r, y - 0.75 * r), (x - 1.08 * r, y - 0.75 * r)],
                Marker::Diamond => vec![(x, y - 1.25 * r), (x + 1.25 * r, y), (x, y + 1.25 * r), (x - 1.25 * r, y)],
            }
        };
        self.fill(&outline(radius + 1.0), (255, 255, 255), 1.0);
        self.fill(&outline(radius), colour, 1.0);
    }

    /// Draws only inside `area` what `body` draws.
    pub(super) fn clipped(&mut self, area: Area, body: impl FnOnce(&mut Self)) {
        let id = format!("clip-{}", self.clips);
        self.clips += 1;
        self.scene.defs.push(format!(
            "<clipPath id=\"{id}\"><rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\"/></clipPath>",
            area.left, area.top, area.width, area.height
        ));
        self.scene.add(Primitive::ClipStart { x: area.left, y: area.top, width: area.width, height: area.height, id });
        body(self);
        self.scene.add(Primitive::ClipEnd);
    }

    /// Places an image of `columns * rows` pixels with its corner at `(left, top)`, which must fall on whole pixels of
    /// the PNG; `pixel(column, row)` counts from the top left.
    pub(super) fn image(
        &mut self,
        left: f64,
        top: f64,
        columns: u32,
        rows: u32,
        mut pixel: impl FnMut(u32, u32) -> Rgb,
    ) {
        let mut pixels = Vec::with_capacity(columns as usize * rows as usize);
        for row in 0..rows {
            for column in 0..columns {
                pixels.push(pixel(column, row));
            }
        }
        let scale = f64::from(PIXELS_PER_UNIT);
        self.bitmaps.push(Bitmap {
            left: (left * scale).round() as u32,
            top: (top * scale).round() as u32,
            width: columns,
            height: rows,
            pixels,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_and_control_characters_are_harmless() {
        let mut canvas = Canvas::new(200.0, 50.0);
        canvas.text(10.0, 20.0, "cost $5 & $6 <b>\u{1}", 12, Anchor::Start);
        let svg = canvas.finish().svg().expect("no images");
        assert!(svg.contains("cost $5 &amp; $6 &lt;b&gt; "), "{svg}");
    }
}
