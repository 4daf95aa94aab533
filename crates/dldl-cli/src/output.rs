//! What `dldl estimate` prints: a record per picture, as table, JSON or CSV.
//! Numbers are rounded here, and only here.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Stdout, Write};

use anyhow::Result;
use dldl::{Distribution, FaceEstimate, LabelSet, ModelInfo, Picture, Reading};
use serde::Serialize;

use crate::printing;

/// How the results are printed.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line per face, for people
    Table,
    /// One array with an object per picture
    Json,
    /// An object per picture and line, each as soon as it is there
    Ndjson,
    /// A line per face, with a header
    Csv,
}

/// What of a distribution is printed.
pub struct Rounding {
    /// The probability that the interval holds.
    pub level: f64,
    /// Whether all probabilities are wanted.
    pub distribution: bool,
}

/// A picture and its faces, as they are printed.
#[derive(Serialize)]
pub struct Record {
    image: String,
    /// None where the picture could not be read, as the height.
    width: Option<usize>,
    height: Option<usize>,
    faces: Vec<FaceRecord>,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Serialize)]
struct FaceRecord {
    #[serde(rename = "box")]
    bbox: [f64; 4],
    /// None without detection, as the landmarks.
    score: Option<f64>,
    landmarks: Option<[[f64; 2]; 5]>,
    /// One entry for each of the model's tasks, under its name: `age`.
    #[serde(flatten)]
    labels: BTreeMap<String, LabelRecord>,
}

#[derive(Serialize)]
struct LabelRecord {
    mean: f64,
    std: f64,
    interval: Interval,
    #[serde(skip_serializing_if = "Option::is_none")]
    distribution: Option<Probabilities>,
}

#[derive(Serialize)]
struct Interval {
    level: f64,
    low: f64,
    high: f64,
}

/// The probability of `min + k step` is number k.
#[derive(Serialize)]
struct Probabilities {
    min: f64,
    step: f64,
    probabilities: Vec<f64>,
}

impl Record {
    /// A picture of which nothing is known yet.
    pub fn new(image: String, model: &ModelInfo) -> Self {
        let model = model.name.clone();
        Self { image, width: None, height: None, faces: Vec::new(), model, error: None }
    }

    /// Enters what was seen in the picture.
    pub fn fill(
        &mut self,
        picture: &Picture,
        faces: &[FaceEstimate],
        model: &ModelInfo,
        rounding: &Rounding,
    ) {
        self.width = Some(picture.width());
        self.height = Some(picture.height());
        let face = |face: &FaceEstimate| FaceRecord {
            bbox: face.bbox.map(|v| round(v.into(), 1)),
            score: face.score.map(|s| round(s.into(), 4)),
            landmarks: face.landmarks.map(|points| points.map(|p| p.map(|v| round(v.into(), 1)))),
            labels: {
                let labels = std::iter::once(&face.label).chain(&face.further);
                let said = face.readings(model, rounding.level).into_iter().zip(labels);
                let said = said.map(|(reading, label)| {
                    (reading.task.clone(), LabelRecord::of(&reading, label, rounding))
                });
                said.collect()
            },
        };
        self.faces = faces.iter().map(face).collect();
    }
}

impl LabelRecord {
    fn of(reading: &Reading, label: &Distribution, rounding: &Rounding) -> Self {
        let (low, high) = (round(reading.low, 2), round(reading.high, 2));
        let distribution = rounding.distribution.then(|| Probabilities {
            min: label.labels().min(),
            step: label.labels().step(),
            probabilities: label.probabilities().iter().map(|&p| round(p, 6)).collect(),
        });
        Self {
            mean: round(reading.estimate, 2),
            std: round(reading.std, 2),
            interval: Interval { level: rounding.level, low, high },
            distribution,
        }
    }
}

fn round(value: f64, digits: i32) -> f64 {
    let unit = 10f64.powi(digits);
    // Adding 0 makes a zero of a negative one.
    (value * unit).round() / unit + 0.0
}

/// The widest column of picture names in a table, in characters.
const MAX_NAME: usize = 48;

/// Prints records one by one.
pub struct Printer {
    format: Format,
    out: BufWriter<Stdout>,
    heads: Vec<(String, LabelSet)>,
    distribution: bool,
    level: f64,
    /// Width of a table's first column.
    name_width: usize,
    pictures: usize,
    without_face: usize,
    failures: usize,
    faces: usize,
}

impl Printer {
    /// A printer on stdout for pictures of these names.
    pub fn new(format: Format, model: &ModelInfo, rounding: &Rounding, names: &[String]) -> Self {
        let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
        Self {
            format,
            out: BufWriter::new(io::stdout()),
            heads: model.heads().into_iter().map(|(h, _)| (h.task, h.labels)).collect(),
            distribution: rounding.distribution,
            level: rounding.level,
            name_width: longest.clamp("picture".len(), MAX_NAME),
            pictures: 0,
            without_face: 0,
            failures: 0,
            faces: 0,
        }
    }

    /// What comes before the first record.
    pub fn begin(&mut self) -> Result<()> {
        match self.format {
            Format::Table => {
                let w = self.name_width;
                let mut head = format!("{:w$}", "picture");
                for (task, _) in &self.heads {
                    let interval = format!("{} % interval", round(100.0 * self.level, 2));
                    let w = task.chars().count().max(6);
                    head += &format!("  {task:>w$} {:>6}   {interval:>13}", "+/-");
                }
                head += &format!("  {:>5}  box (x y width height)", "score");
                match printing::color() {
                    true => writeln!(self.out, "\x1b[1m{head}\x1b[0m")?,
                    false => writeln!(self.out, "{head}")?,
                }
            }
            Format::Json => write!(self.out, "[")?,
            Format::Ndjson => {}
            Format::Csv => {
                let header = self.csv_header();
                self.csv_line(&header)?;
            }
        }
        Ok(self.out.flush()?)
    }

    /// A picture's record. As table and CSV, errors go to stderr.
    pub fn record(&mut self, record: &Record) -> Result<()> {
        self.pictures += 1;
        self.faces += record.faces.len();
        self.failures += usize::from(record.error.is_some());
        self.without_face += usize::from(record.faces.is_empty() && record.error.is_none());
        match self.format {
            Format::Table => self.table_lines(record)?,
            Format::Json => {
                let comma = if self.pictures == 1 { "\n" } else { ",\n" };
                write!(self.out, "{comma}{}", serde_json::to_string(record)?)?;
            }
            Format::Ndjson => writeln!(self.out, "{}", serde_json::to_string(record)?)?,
            Format::Csv => {
                for (i, face) in record.faces.iter().enumerate() {
                    let line = self.csv_cells(record, i, face);
                    self.csv_line(&line)?;
                }
            }
        }
        self.out.flush()?;
        if let (Format::Table | Format::Csv, Some(error)) = (self.format, &record.error) {
            let _ = writeln!(io::stderr(), "error: {}: {error}", record.image);
        }
        Ok(())
    }

    /// What comes after the last record.
    pub fn end(&mut self) -> Result<()> {
        match self.format {
            Format::Table => {
                let count = |n: usize, one: &str, many: &str| match n {
                    1 => format!("1 {one}"),
                    _ => format!("{n} {many}"),
                };
                write!(
                    self.out,
                    "\n{} in {}",
                    count(self.faces, "face", "faces"),
                    count(self.pictures, "picture", "pictures")
                )?;
                if self.without_face > 0 {
                    write!(self.out, ", {} without a face", self.without_face)?;
                }
                if self.failures > 0 {
                    write!(self.out, ", {} failed", self.failures)?;
                }
                writeln!(self.out)?;
            }
            Format::Json if self.pictures == 0 => writeln!(self.out, "]")?,
            Format::Json => writeln!(self.out, "\n]")?,
            Format::Ndjson | Format::Csv => {}
        }
        Ok(self.out.flush()?)
    }

    fn table_lines(&mut self, record: &Record) -> io::Result<()> {
        let name = shortened(&printable(&record.image), self.name_width);
        let w = self.name_width;
        if record.faces.is_empty() && record.error.is_none() {
            return writeln!(self.out, "{name:w$}  no face found");
        }
        for face in &record.faces {
            let mut line = format!("{name:w$}");
            for (task, labels) in &self.heads {
                let Some(label) = face.labels.get(task) else { continue };
                let Interval { low, high, .. } = label.interval;
                let w = task.chars().count().max(6);
                // Scores have finer steps than years.
                let digits = if labels.step() < 1.0 { 2 } else { 1 };
                line += &format!("  {:w$.digits$} {:6.digits$}   ", label.mean, label.std);
                line += &format!("{:>13}", format!("{low:.digits$} - {high:.digits$}"));
            }
            let score = face.score.map_or("-".into(), |s| format!("{s:.2}"));
            let [x, y, width, height] = face.bbox;
            writeln!(self.out, "{line}  {score:>5}  {x:.0} {y:.0} {width:.0} {height:.0}")?;
        }
        Ok(())
    }

    fn csv_header(&self) -> Vec<String> {
        let mut cells: Vec<String> = ["image", "width", "height", "face"].map(Into::into).into();
        cells.extend(["x", "y", "w", "h"].map(|side| format!("box_{side}")));
        cells.push("score".into());
        for point in ["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"] {
            cells.extend(["x", "y"].map(|axis| format!("{point}_{axis}")));
        }
        for (task, _) in &self.heads {
            cells.extend([task.clone(), format!("{task}_std")]);
            cells.extend(["level", "low", "high"].map(|part| format!("{task}_interval_{part}")));
        }
        cells.push("model".into());
        for (i, (task, labels)) in self.heads.iter().enumerate().filter(|_| self.distribution) {
            let prefix = if i == 0 { "p".to_owned() } else { format!("{task}_p") };
            cells.extend(labels.values().iter().map(|v| format!("{prefix}_{}", round(*v, 6))));
        }
        cells
    }

    /// The cells of face number `i` of a picture, in the header's order.
    fn csv_cells(&self, record: &Record, i: usize, face: &FaceRecord) -> Vec<String> {
        let side = |n: Option<usize>| n.map_or(String::new(), |n| n.to_string());
        let mut cells =
            vec![record.image.clone(), side(record.width), side(record.height), i.to_string()];
        cells.extend(face.bbox.map(|v| v.to_string()));
        cells.push(face.score.map_or(String::new(), |s| s.to_string()));
        match &face.landmarks {
            Some(points) => cells.extend(points.iter().flatten().map(f64::to_string)),
            None => cells.extend(vec![String::new(); 10]),
        }
        let labels: Vec<&LabelRecord> =
            self.heads.iter().filter_map(|(task, _)| face.labels.get(task)).collect();
        for label in &labels {
            let Interval { level, low, high } = label.interval;
            cells.extend([label.mean, label.std, level, low, high].map(|v| v.to_string()));
        }
        cells.push(record.model.clone());
        let all = labels.iter().flat_map(|label| &label.distribution);
        cells.extend(all.flat_map(|d| &d.probabilities).map(f64::to_string));
        cells
    }

    fn csv_line(&mut self, cells: &[String]) -> Result<()> {
        let mut line = csv::Writer::from_writer(Vec::new());
        line.write_record(cells)?;
        Ok(self.out.write_all(&line.into_inner()?)?)
    }
}

/// Without control characters, which could do anything to a terminal.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The end of a name that is too long: the folders above say the least.
fn shortened(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    std::iter::once('…').chain(name.chars().skip(length + 1 - width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face() -> FaceEstimate {
        FaceEstimate {
            bbox: [-0.04, 20.26, 30.0, 40.0],
            score: Some(0.999_96),
            landmarks: Some([[1.25, 2.0]; 5]),
            label: Distribution::gaussian(&LabelSet::age(), 31.416, 2.0).unwrap(),
            further: Vec::new(),
        }
    }

    #[test]
    fn records_have_the_documented_form_and_rounding() {
        let info = dldl::models::weights(dldl::DEFAULT_MODEL).unwrap().info;
        let mut record = Record::new("a.jpg".into(), &info);
        let picture = Picture::new(2, 1, vec![0; 6]).unwrap();
        record.fill(&picture, &[face()], &info, &Rounding { level: 0.9, distribution: true });
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!((json["width"].as_u64(), json["height"].as_u64()), (Some(2), Some(1)));
        assert!(json.get("error").is_none());
        let face = &json["faces"][0];
        assert_eq!(face["box"].to_string(), "[0.0,20.3,30.0,40.0]");
        assert_eq!(face["score"], 1.0);
        let age = &face["age"];
        assert_eq!((age["mean"].as_f64(), age["std"].as_f64()), (Some(31.42), Some(2.0)));
        assert_eq!(age["interval"]["level"], 0.9);
        let all = age["distribution"]["probabilities"].as_array().unwrap();
        let sum: f64 = all.iter().map(|p| p.as_f64().unwrap()).sum();
        assert!(all.len() == 101 && (sum - 1.0).abs() < 1e-4);
    }

    #[test]
    fn every_head_has_its_entry_and_its_columns() {
        let mut info = dldl::models::weights(dldl::DEFAULT_MODEL).unwrap().info;
        let labels = LabelSet::attractiveness_5();
        let label = Distribution::gaussian(&labels, 3.2, 0.5).unwrap();
        let (task, method) = ("attractiveness".to_owned(), info.method);
        info.further_heads = vec![dldl::Head { task, labels, method, calibration: None }];
        let rounding = Rounding { level: 0.9, distribution: true };
        let mut record = Record::new("a.jpg".into(), &info);
        let picture = Picture::new(2, 1, vec![0; 6]).unwrap();
        let both = FaceEstimate { further: vec![label], ..face() };
        record.fill(&picture, &[both], &info, &rounding);
        let json = serde_json::to_value(&record).unwrap();
        let face = &json["faces"][0];
        assert_eq!(
            (&face["age"]["mean"], &face["attractiveness"]["mean"]),
            (&31.42.into(), &3.2.into())
        );
        let printer = Printer::new(Format::Csv, &info, &rounding, &[]);
        let (header, line) =
            (printer.csv_header(), printer.csv_cells(&record, 0, &record.faces[0]));
        assert_eq!((header.len(), line.len()), (126 + 5 + 41, 126 + 5 + 41));
        let column = header.iter().position(|name| name == "attractiveness").unwrap();
        assert_eq!(line[column], "3.2");
        assert_eq!(header.last().unwrap(), "attractiveness_p_5");
    }

    #[test]
    fn csv_lines_are_as_long_as_their_header() {
        let mut info = dldl::models::weights(dldl::DEFAULT_MODEL).unwrap().info;
        info.further_heads.clear();
        for (distribution, length) in [(false, 25), (true, 126)] {
            let rounding = Rounding { level: 0.9, distribution };
            let printer = Printer::new(Format::Csv, &info, &rounding, &[]);
            let mut record = Record::new("a.jpg".into(), &info);
            let picture = Picture::new(2, 1, vec![0; 6]).unwrap();
            let whole = FaceEstimate { score: None, landmarks: None, ..face() };
            record.fill(&picture, &[face(), whole], &info, &rounding);
            assert_eq!(printer.csv_header().len(), length);
            for face in &record.faces {
                assert_eq!(printer.csv_cells(&record, 0, face).len(), length);
            }
        }
    }

    #[test]
    fn long_names_keep_their_end_and_control_characters_go() {
        assert_eq!(shortened("a/b/c.jpg", 9), "a/b/c.jpg");
        assert_eq!(shortened("aa/b/c.jpg", 9), "…/b/c.jpg");
        assert_eq!(printable("a\x1b[2J\n.jpg"), "a\u{fffd}[2J\u{fffd}.jpg");
    }
}
