//! Annotated pictures and frames: boxes, landmarks and estimates.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use dldl::{FaceEstimate, Picture, RecordOptions};
use dldl_face::{Chroma, encode_jpeg};
use dldl_plot::{Canvas, Color, Text};

use crate::printing::write_file;

const BRIGHT: Color = [255, 200, 0];
const GRAY: Color = [176, 176, 176];
const DARK: Color = [24, 24, 24];
const QUALITY: u8 = 92;

/// The files of the copies: one per input, in the same order.
pub struct Copies(Vec<PathBuf>);

impl Copies {
    /// Creates the folder and chooses the names: `NAME-ages.jpg`, with a number where
    /// that is the copy of another input, an input, or a link to one.
    pub fn plan(dir: &Path, inputs: &[&Path]) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let dir = dir.canonicalize()?;
        // Some file systems ignore case.
        let key = |path: &Path| path.to_string_lossy().to_lowercase();
        let originals: HashSet<String> =
            inputs.iter().filter_map(|p| p.canonicalize().ok()).map(|p| key(&p)).collect();
        let mut taken = originals.clone();
        let leads_to_input =
            |path: &Path| path.canonicalize().is_ok_and(|p| originals.contains(&key(&p)));
        let choose = |input: &&Path| {
            let stem = input.file_stem().unwrap_or(input.as_os_str());
            let name = |n: usize| {
                let mut name = OsString::from(stem);
                name.push(if n == 1 { "-ages.jpg".into() } else { format!("-ages-{n}.jpg") });
                dir.join(name)
            };
            let free =
                (1..).map(name).find(|path| taken.insert(key(path)) && !leads_to_input(path));
            free.expect("there are more numbers than inputs")
        };
        Ok(Self(inputs.iter().map(choose).collect()))
    }

    /// The copy of input `i`.
    pub fn target(&self, i: usize) -> &Path {
        &self.0[i]
    }
}

/// A face to be drawn.
pub struct Mark<'a> {
    /// With the estimates to be printed.
    pub face: &'a FaceEstimate,
    /// What precedes the estimates; in a video, the number of the person.
    pub name: String,
    /// Whether there are estimates.
    pub assessed: bool,
    /// Whether the first distribution is drawn into the box.
    pub curve: bool,
}

impl Mark<'_> {
    /// Gray for faces that are not assessed.
    fn color(&self) -> Color {
        if self.assessed { BRIGHT } else { GRAY }
    }
}

/// Draws the faces with their estimates and intervals, or that they are not assessed, into
/// the picture and writes it as JPEG.
pub fn write(
    picture: Picture,
    faces: &[FaceEstimate],
    options: &RecordOptions,
    target: &Path,
) -> Result<()> {
    let (width, height) = (picture.width(), picture.height());
    let mut canvas = Canvas::from_rgb(width, height, picture.into_rgb());
    let mark = |face| {
        let assessed = options.refusal(face).is_none();
        Mark { face, name: String::new(), assessed, curve: false }
    };
    draw(&mut canvas, &faces.iter().map(mark).collect::<Vec<_>>(), options.level);
    let jpeg = encode_jpeg(canvas.rgb(), width, height, QUALITY, Chroma::Full)?;
    write_file(target, &jpeg)
}

/// Draws faces with intervals of a level. Boxes and points come first, so that no box covers
/// a neighbor's label.
pub fn draw(canvas: &mut Canvas, marks: &[Mark], level: f64) {
    // Line widths scale with the picture, which is usually viewed as a whole.
    let unit = (canvas.width() as f32 * canvas.height() as f32).sqrt();
    // A thick line would hide a small face.
    let line = |m: &Mark| (unit / 300.0).min(m.face.bbox[2] / 24.0).round().max(1.0);
    let lines: Vec<f32> = marks.iter().map(line).collect();
    for (mark, &line) in marks.iter().zip(&lines) {
        let Mark { face, .. } = mark;
        let halo = (line / 3.0).ceil();
        if mark.curve && mark.assessed {
            draw_curve(canvas, face, line);
        }
        canvas.outline_rect(face.bbox, line + 2.0 * halo, DARK, 0.5);
        canvas.outline_rect(face.bbox, line, mark.color(), 1.0);
        let radius = (face.bbox[2] / 50.0).clamp(line * 0.8, line * 2.0);
        for point in face.landmarks.iter().flatten() {
            canvas.dot(*point, radius + line / 3.0 + 0.5, DARK, 0.6);
            canvas.dot(*point, radius, mark.color(), 1.0);
        }
    }
    for plate in plates(canvas, marks, level, &lines, unit) {
        plate.draw(canvas);
    }
}

/// The height of a distribution's curve.
fn curve_height(face: &FaceEstimate) -> f32 {
    (0.28 * face.bbox[3]).round()
}

/// Draws the first distribution as a curve below the box, or at its bottom where there is no
/// space below: the lowest label at its left side, the highest at its right.
fn draw_curve(canvas: &mut Canvas, face: &FaceEstimate, line: f32) {
    let [x, y, w, h] = face.bbox;
    let (width, height) = ((w + line).round(), curve_height(face));
    // Smaller, it is only noise.
    let Some(head) = face.heads.first().filter(|_| width >= 40.0) else { return };
    let probabilities = head.distribution.probabilities();
    let highest = probabilities.iter().copied().fold(0.0, f64::max);
    let edge = (y + h + 0.5 * line).round();
    let below = edge + height <= canvas.height() as f32;
    // A box may reach beyond the picture.
    let bottom = if below { edge + height } else { edge.min(canvas.height() as f32) };
    let left = (x - 0.5 * line).round();
    canvas.fill_rect([left, bottom - height, width, height], DARK, 0.55);
    for column in 0..width as usize {
        let at = f64::from(column as f32 / width) * (probabilities.len() - 1) as f64;
        let (k, part) = (at as usize, at.fract());
        let next = probabilities[(k + 1).min(probabilities.len() - 1)];
        let share = (probabilities[k] + part * (next - probabilities[k])) / highest;
        let top = (0.9 * f64::from(height) * share).round() as f32;
        canvas.fill_rect([left + column as f32, bottom - top, 1.0, top], BRIGHT, 0.8);
    }
}

/// How much a label says. In a group picture, whole labels would cover each other.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Detail {
    /// All estimates with their intervals.
    Intervals,
    /// All estimates.
    Values,
    /// The first estimate.
    First,
}

/// The labels of all faces, with as much detail as fits without overlaps, the same for all.
fn plates(canvas: &Canvas, marks: &[Mark], level: f64, lines: &[f32], unit: f32) -> Vec<Plate> {
    let with = |detail: Detail| -> Vec<Plate> {
        let both = marks.iter().zip(lines);
        both.map(|(mark, &line)| Plate::new(canvas, mark, level, line, unit, detail)).collect()
    };
    for detail in [Detail::Intervals, Detail::Values] {
        let plates = with(detail);
        let overlaps = |(i, plate): (usize, &Plate)| plates[..i].iter().any(|p| p.covers(plate));
        if !plates.iter().enumerate().any(overlaps) {
            return plates;
        }
    }
    with(Detail::First)
}

/// A label: a plate above the box, or below it if there is no space above.
struct Plate {
    text: Text,
    /// Left, top, width and height.
    area: [f32; 4],
    margin: f32,
    color: Color,
}

impl Plate {
    fn new(canvas: &Canvas, mark: &Mark, level: f64, line: f32, unit: f32, detail: Detail) -> Self {
        let face = mark.face;
        let estimates = face.heads.iter().map(|head| {
            let digits = if head.distribution.labels().step() < 1.0 { 1 } else { 0 };
            let value = format!("{:.digits$}", head.value);
            let interval = head.interval(level);
            match detail {
                Detail::Intervals => {
                    format!("{value} ({:.digits$}–{:.digits$})", interval.low, interval.high)
                }
                Detail::Values | Detail::First => value,
            }
        });
        let shown = if detail == Detail::First { 1 } else { face.heads.len() };
        let estimates: Vec<String> = match (mark.assessed, detail) {
            (true, _) => estimates.take(shown).collect(),
            (false, Detail::Intervals) => {
                vec![format!("not assessed: quality {:.2}", face.quality)]
            }
            (false, Detail::Values) => vec!["not assessed".into()],
            (false, Detail::First) => vec!["-".into()],
        };
        let named = Some(mark.name.clone()).filter(|name| !name.is_empty());
        let estimates: Vec<String> = named.into_iter().chain(estimates).collect();
        let [x, y, w, h] = face.bbox;
        let size = (w / 8.0).clamp(unit / 120.0, unit / 28.0).max(8.0);
        let text = Text::new(&estimates.join("  "), size).bold();
        let margin = (size * 0.45).round();
        let (width, height) =
            ((text.width() + 2.0 * margin).ceil(), text.cap_height() + 2.0 * margin);
        let edge = (line / 2.0).floor();
        // Aligned with the box's left side, or centered on a box that is narrower.
        let left = x.round() - edge - ((width - w - line) / 2.0).round().max(0.0);
        let left = left.min(canvas.width() as f32 - width).max(0.0);
        let above = y.round() - edge - height;
        // The curve stays visible.
        let curve = if mark.curve { curve_height(face) } else { 0.0 };
        let below = (y + h).round() + edge + curve;
        let top = match () {
            () if above >= 0.0 => above,
            () if below + height <= canvas.height() as f32 => below,
            () => y.max(0.0),
        };
        Self { text, area: [left, top, width, height], margin, color: mark.color() }
    }

    fn covers(&self, other: &Self) -> bool {
        let ([x, y, w, h], [u, v, p, q]) = (self.area, other.area);
        x < u + p && u < x + w && y < v + q && v < y + h
    }

    fn draw(&self, canvas: &mut Canvas) {
        let [left, top, ..] = self.area;
        canvas.fill_rect(self.area, self.color, 1.0);
        let baseline = top + self.margin + self.text.cap_height();
        self.text.draw(canvas, [left + self.margin, baseline], DARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_distinct_names_and_are_never_an_input() {
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

    #[cfg(unix)]
    #[test]
    fn copies_do_not_go_through_links_to_inputs() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("a.jpg");
        std::fs::write(&input, b"an input").unwrap();
        std::os::unix::fs::symlink("a.jpg", dir.path().join("a-ages.jpg")).unwrap();
        let copies = Copies::plan(dir.path(), &[&input]).unwrap();
        assert!(copies.target(0).ends_with("a-ages-2.jpg"), "{:?}", copies.target(0));
    }

    #[test]
    fn faces_outside_the_picture_are_drawn() {
        let estimator = dldl::Estimator::load("tiny").unwrap();
        for bbox in [[40.0, 40.0, 50.0, 60.0], [-20.0, -20.0, 500.0, 500.0], [0.0; 4]] {
            let canvas = Canvas::white(120, 130);
            let landmarks = Some([[bbox[0] + 5.0, bbox[1] + 5.0]; 5]);
            let picture = Picture::new(120, 130, canvas.rgb().to_vec()).unwrap();
            let whole = estimator.estimate_whole(&picture).unwrap();
            let face = FaceEstimate { bbox, landmarks, quality: 0.4, ..whole };
            let drawn = |assessed: bool, curve: bool, name: &str| {
                let mut canvas = Canvas::white(120, 130);
                let mark = Mark { face: &face, name: name.into(), assessed, curve };
                draw(&mut canvas, &[mark], 0.9);
                canvas
            };
            let plain = drawn(true, false, "");
            assert!(plain != Canvas::white(120, 130));
            // Faces that are not assessed look different, and so do those with a name.
            assert!(drawn(false, false, "") != plain && drawn(true, false, "#3") != plain);
            assert_eq!(drawn(true, true, "") != plain, bbox[2] > 40.0);
        }
    }

    #[test]
    fn labels_of_neighbors_do_not_overlap() {
        let estimator = dldl::Estimator::load("tiny").unwrap();
        let picture = Picture::new(96, 96, vec![90; 3 * 96 * 96]).unwrap();
        let whole = estimator.estimate_whole(&picture).unwrap();
        let plates_at = |apart: f32| {
            let canvas = Canvas::white(1200, 200);
            let bbox = |i: usize| [20.0 + apart * i as f32, 80.0, 60.0, 70.0];
            let faces: Vec<FaceEstimate> =
                (0..4).map(|i| FaceEstimate { bbox: bbox(i), ..whole.clone() }).collect();
            let mark = |face| Mark { face, name: String::new(), assessed: true, curve: false };
            let marks: Vec<Mark> = faces.iter().map(mark).collect();
            plates(&canvas, &marks, 0.9, &[1.0; 4], 500.0)
        };
        let widths = [300.0, 110.0, 40.0].map(|apart| {
            let plates = plates_at(apart);
            assert!((1..4).all(|i| !plates[i].covers(&plates[i - 1])), "{apart}");
            plates[1].area[2]
        });
        assert!(widths[0] > widths[1] && widths[1] > widths[2], "{widths:?}");
    }
}
