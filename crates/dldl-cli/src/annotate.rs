//! Copies of pictures with what was seen drawn in. The drawing itself is in
//! [`dldl_eval::draw`].

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dldl::{FaceEstimate, Picture, Reading};
use dldl_eval::draw::{self, Color, Text};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

const BRIGHT: Color = [255, 200, 0];
const DARK: Color = [24, 24, 24];
const QUALITY: u8 = 92;

/// Where the copies go: one file per input, in its order.
pub struct Copies(Vec<PathBuf>);

impl Copies {
    /// Creates the folder and chooses the names: `NAME-ages.jpg`, and with a
    /// number where that is taken by another input's copy, or by an input.
    pub fn plan(dir: &Path, inputs: &[&Path]) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let dir = dir.canonicalize()?;
        // Some file systems take upper and lower case for the same.
        let key = |path: &Path| path.to_string_lossy().to_lowercase();
        let mut taken: HashSet<String> =
            inputs.iter().filter_map(|p| p.canonicalize().ok()).map(|p| key(&p)).collect();
        let choose = |input: &&Path| {
            let stem = input.file_stem().unwrap_or(input.as_os_str());
            let name = |n: usize| {
                let mut name = OsString::from(stem);
                name.push(if n == 1 { "-ages.jpg".into() } else { format!("-ages-{n}.jpg") });
                dir.join(name)
            };
            let free = (1..).map(name).find(|path| taken.insert(key(path)));
            free.expect("there are more numbers than inputs")
        };
        Ok(Self(inputs.iter().map(choose).collect()))
    }

    /// The copy of input number `i`.
    pub fn target(&self, i: usize) -> &Path {
        &self.0[i]
    }
}

/// Draws the faces, with what is said of each, into the picture and writes it as
/// JPEG, in one step: a file that stands there (or is linked from there) is
/// replaced, not overwritten.
pub fn write(
    mut picture: Picture,
    faces: &[FaceEstimate],
    said: &[Vec<Reading>],
    target: &Path,
) -> Result<()> {
    draw(&mut picture, faces, said);
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::R_4_4_4);
    let side = |n: usize| u16::try_from(n).context("a JPEG has at most 65535 pixels a side");
    let (width, height) = (side(picture.width())?, side(picture.height())?);
    encoder.encode(picture.rgb(), width, height, ColorType::Rgb)?;
    let mut part = target.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, jpeg)
        .and_then(|()| std::fs::rename(&part, target))
        .with_context(|| format!("the copy {} cannot be written", target.display()))
}

/// Boxes and points first, so that no label is hidden by a neighbor's box.
fn draw(picture: &mut Picture, faces: &[FaceEstimate], said: &[Vec<Reading>]) {
    // What is visible depends on the size at which the whole picture is shown.
    let unit = (picture.width() as f32 * picture.height() as f32).sqrt();
    // A thick line would hide a small face.
    let lines = faces.iter().map(|f| (unit / 300.0).min(f.bbox[2] / 24.0).round().max(1.0));
    let lines: Vec<f32> = lines.collect();
    for (face, &line) in faces.iter().zip(&lines) {
        let halo = (line / 3.0).ceil();
        draw::outline(picture, face.bbox, line + 2.0 * halo, DARK, 0.5);
        draw::outline(picture, face.bbox, line, BRIGHT, 1.0);
        let radius = (face.bbox[2] / 50.0).clamp(line * 0.8, line * 2.0);
        for point in face.landmarks.iter().flatten() {
            draw::dot(picture, *point, radius + line / 3.0 + 0.5, DARK, 0.6);
            draw::dot(picture, *point, radius, BRIGHT, 1.0);
        }
    }
    for ((face, said), &line) in faces.iter().zip(said).zip(&lines) {
        label(picture, face, said, line, unit);
    }
}

/// The estimate and its interval on a plate above the box, or where there is room.
fn label(picture: &mut Picture, face: &FaceEstimate, said: &[Reading], line: f32, unit: f32) {
    let labels = std::iter::once(&face.label).chain(&face.further);
    let said = said.iter().zip(labels).map(|(said, label)| {
        let digits = if label.labels().step() < 1.0 { 1 } else { 0 };
        format!("{:.digits$} ({:.digits$}–{:.digits$})", said.estimate, said.low, said.high)
    });
    let said: Vec<String> = said.collect();
    let [x, y, w, h] = face.bbox;
    let size = (w / 8.0).clamp(unit / 120.0, unit / 28.0).max(8.0);
    let text = Text::new(&said.join("  "), size);
    let margin = (size * 0.45).round();
    let (width, height) = ((text.width + 2.0 * margin).ceil(), text.cap_height + 2.0 * margin);
    let edge = (line / 2.0).floor();
    // Flush with the box, or in the middle of one that is narrower.
    let left = x.round() - edge - ((width - w - line) / 2.0).round().max(0.0);
    let left = left.min(picture.width() as f32 - width).max(0.0);
    let above = y.round() - edge - height;
    let below = (y + h).round() + edge;
    let top = match () {
        () if above >= 0.0 => above,
        () if below + height <= picture.height() as f32 => below,
        () => y.max(0.0),
    };
    draw::fill(picture, [left, top, width, height], BRIGHT, 1.0);
    text.draw(picture, [left + margin, top + margin + text.cap_height], DARK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_different_names_and_none_is_an_input() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        std::fs::create_dir_all(&out).unwrap();
        let own = out.join("a-ages.jpg");
        std::fs::write(&own, b"an input").unwrap();
        let inputs = [Path::new("x/a.jpg"), Path::new("y/A.png"), &own, Path::new("b.jpg")];
        let copies = Copies::plan(&out, &inputs).unwrap();
        let names: Vec<String> = (0..4)
            .map(|i| copies.target(i).file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a-ages-2.jpg", "A-ages-3.jpg", "a-ages-ages.jpg", "b-ages.jpg"]);
        assert_eq!(std::fs::read(&own).unwrap(), b"an input");
    }

    #[test]
    fn a_face_is_drawn_wherever_it_lies() {
        let labels = dldl::LabelSet::age();
        let label = dldl::Distribution::gaussian(&labels, 40.0, 3.0).unwrap();
        for bbox in [[40.0, 40.0, 50.0, 60.0], [-20.0, -20.0, 500.0, 500.0], [0.0; 4]] {
            let mut picture = Picture::new(120, 130, vec![255; 3 * 120 * 130]).unwrap();
            let white = picture.clone();
            let landmarks = Some([[bbox[0] + 5.0, bbox[1] + 5.0]; 5]);
            let (label, further) = (label.clone(), vec![label.clone()]);
            let face = FaceEstimate { bbox, score: None, landmarks, label, further };
            let task = "age".to_owned();
            let said = Reading { task, estimate: 40.0, std: 3.0, low: 35.0, high: 45.0 };
            draw(&mut picture, &[face], &[vec![said.clone(), said]]);
            assert_ne!(picture, white);
        }
    }
}
