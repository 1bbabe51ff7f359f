//! A finished drawing and its encodings: PNG always, SVG where it is made of lines and text only.
//!
//! The rasteriser of kuva smooths edges in one direction only, so pictures are drawn at [`OVERSAMPLING`] times the final
//! resolution and averaged down; field images are then copied in pixel by pixel, without any resampling.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use kuva::backend::raster::RasterBackend;
use kuva::backend::svg::SvgBackend;
use kuva::render::render::Scene;

use super::colour::Rgb;
use super::error::ReportError;
use super::store::{create_folder, folder_of, write_whole};

/// Pixels of the PNG for each unit of length of the drawing.
pub(super) const PIXELS_PER_UNIT: u32 = 2;
/// Samples averaged into one pixel, along each direction.
const OVERSAMPLING: u32 = 2;

/// An image placed on a drawing; position and size in pixels of the final PNG.
#[derive(Debug)]
pub(super) struct Bitmap {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Row by row from the top, `width * height` of them.
    pub(super) pixels: Vec<Rgb>,
}

/// A drawing ready to be encoded. Made by the `draw` method of the plot descriptions.
#[derive(Debug)]
pub struct Picture {
    scene: Scene,
    bitmaps: Vec<Bitmap>,
    notes: Vec<String>,
}

impl Picture {
    pub(super) fn new(scene: Scene, bitmaps: Vec<Bitmap>, notes: Vec<String>) -> Self {
        Self { scene, bitmaps, notes }
    }

    /// Width and height of the drawing in CSS pixels; the PNG has twice as many of each.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.scene.width.round() as u32, self.scene.height.round() as u32)
    }

    /// What was left out of the drawing and why, one sentence each; empty when everything was drawn.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The PNG file, RGB, 144 dots an inch.
    ///
    /// # Errors
    /// [`ReportError::Encode`] when the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        let (width, height) = self.size();
        let (width, height) = (width * PIXELS_PER_UNIT, height * PIXELS_PER_UNIT);
        let fail = |message: String| ReportError::Encode { width, height, message };
        let fine = RasterBackend::new()
            .with_scale((PIXELS_PER_UNIT * OVERSAMPLING) as f32)
            .render_scene(&self.scene)
            .map_err(fail)?;
        let mut pixels = average_down(&fine, width, height).map_err(fail)?;
        for bitmap in &self.bitmaps {
            copy_in(bitmap, &mut pixels, width, height);
        }
        encode(&pixels, width, height).map_err(|error| fail(error.to_string()))
    }

    /// The SVG text; none for drawings that hold field images, which are far smaller as PNG.
    #[must_use]
    pub fn svg(&self) -> Option<String> {
        if !self.bitmaps.is_empty() {
            return None;
        }
        let (width, height) = self.size();
        let text = SvgBackend::new().render_scene(&self.scene);
        // Without a view box a viewer cannot scale the picture.
        Some(text.replacen("<svg ", &format!("<svg viewBox=\"0 0 {width} {height}\" "), 1))
    }

    /// Writes `path` with the extension `png`, and beside it `svg` where there is one; returns the files written.
    ///
    /// The folder is created. Each file is written whole or not at all.
    ///
    /// # Errors
    /// [`ReportError::NoFileName`], [`ReportError::CreateFolder`], [`ReportError::Write`], [`ReportError::Encode`].
    pub fn write(&self, path: &Path) -> Result<Vec<PathBuf>, ReportError> {
        if path.file_name().is_none() {
            return Err(ReportError::NoFileName { path: path.to_path_buf() });
        }
        create_folder(&folder_of(path))?;
        let mut written = Vec::with_capacity(2);
        let png = path.with_extension("png");
        write_whole(&png, &self.png()?)?;
        written.push(png);
        if let Some(text) = self.svg() {
            let svg = path.with_extension("svg");
            write_whole(&svg, text.as_bytes())?;
            written.push(svg);
        }
        Ok(written)
    }
}

/// Decodes the oversampled picture and averages squares of `OVERSAMPLING` pixels into one RGB pixel.
fn average_down(fine: &[u8], width: u32, height: u32) -> Result<Vec<u8>, String> {
    let mut reader = png::Decoder::new(Cursor::new(fine)).read_info().map_err(|error| error.to_string())?;
    let size = reader.output_buffer_size().ok_or("the picture does not fit in memory")?;
    let mut samples = vec![0; size];
    let info = reader.next_frame(&mut samples).map_err(|error| error.to_string())?;
    let side = OVERSAMPLING as usize;
    let (width, height) = (width as usize, height as usize);
    let stride = info.line_size;
    if info.color_type != png::ColorType::Rgba
        || (info.width as usize) < width * side
        || (info.height as usize) < height * side
    {
        return Err("the rasteriser returned another size or format".to_string());
    }
    let mut out = vec![0; width * height * 3];
    for (y, row) in out.chunks_exact_mut(width * 3).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let mut sum = [0_usize; 3];
            for dy in 0..side {
                let start = (y * side + dy) * stride + x * side * 4;
                for sample in samples[start..start + 4 * side].chunks_exact(4) {
                    for (total, &value) in sum.iter_mut().zip(sample) {
                        *total += usize::from(value);
                    }
                }
            }
            for (value, total) in pixel.iter_mut().zip(sum) {
                *value = ((total + side * side / 2) / (side * side)) as u8;
            }
        }
    }
    Ok(out)
}

fn copy_in(bitmap: &Bitmap, pixels: &mut [u8], width: u32, height: u32) {
    let rows = bitmap.height.min(height.saturating_sub(bitmap.top));
    let columns = bitmap.width.min(width.saturating_sub(bitmap.left)) as usize;
    for row in 0..rows {
        let from = (row * bitmap.width) as usize;
        let to = 3 * ((bitmap.top + row) as usize * width as usize + bitmap.left as usize);
        for (pixel, &(r, g, b)) in pixels[to..to + 3 * columns].chunks_exact_mut(3).zip(&bitmap.pixels[from..]) {
            pixel.copy_from_slice(&[r, g, b]);
        }
    }
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    // 72 units of the drawing to the inch.
    let per_metre = (f64::from(PIXELS_PER_UNIT) * 72.0 / 0.0254).round() as u32;
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: per_metre, yppu: per_metre, unit: png::Unit::Meter }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Width and height in the header of a PNG file; for tests.
#[cfg(test)]
pub(super) fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(8..16)?;
    let (w, h) = header.split_at(4);
    Some((u32::from_be_bytes(w.try_into().ok()?), u32::from_be_bytes(h.try_into().ok()?)))
}
