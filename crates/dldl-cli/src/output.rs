//! The output of `dldl estimate` and of the frames of `dldl video`: a record per picture, as
//! table, JSON or CSV.

use std::io::{self, BufWriter, Stdout, Write};

use anyhow::Result;
use dldl::{
    EstimateRecord, FaceRecord, IntervalRecord, LabelSet, ModelInfo, PictureRecord, RecordOptions,
    Task,
};

use crate::printing::{self, printable};

/// Output format of the results.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: one line per face
    Table,
    /// One array with one object per picture
    Json,
    /// One object per picture and line, each as soon as it is ready
    Ndjson,
    /// A header, and one line per face, or per picture without one
    Csv,
}

/// The widest column of picture names in a table, in characters.
const MAX_NAME: usize = 48;

/// Prints records one by one.
pub struct Printer {
    format: Format,
    out: BufWriter<Stdout>,
    heads: Vec<(Task, LabelSet)>,
    distribution: bool,
    level: f64,
    /// The thresholds of ages.
    thresholds: Vec<f64>,
    /// Width of a table's first column.
    name_width: usize,
    pictures: usize,
    without_face: usize,
    failures: usize,
    faces: usize,
    /// Whether faces of low quality are not assessed.
    choosy: bool,
    not_assessed: usize,
    /// Whether the pictures are frames of a video.
    video: bool,
}

impl Printer {
    /// A printer to stdout for pictures with these names.
    pub fn new(
        format: Format,
        model: &ModelInfo,
        options: &RecordOptions,
        names: &[String],
    ) -> Self {
        let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
        Self {
            format,
            out: BufWriter::new(io::stdout()),
            heads: model.heads.iter().map(|h| (h.task, h.labels.clone())).collect(),
            distribution: options.distribution,
            level: options.level,
            thresholds: options.thresholds.clone(),
            name_width: longest.clamp("picture".len(), MAX_NAME),
            pictures: 0,
            without_face: 0,
            failures: 0,
            faces: 0,
            choosy: options.min_quality > 0.0,
            not_assessed: 0,
            video: false,
        }
    }

    /// A printer for the frames of a video.
    pub fn of_video(format: Format, model: &ModelInfo, options: &RecordOptions) -> Self {
        Self { video: true, ..Self::new(format, model, options, &[]) }
    }

    /// Prints what precedes the first record: the header or the opening bracket.
    pub fn begin(&mut self) -> Result<()> {
        match self.format {
            Format::Table => {
                let w = self.name_width;
                let mut head = format!("{:w$}", "picture");
                for (task, _) in &self.heads {
                    let interval = format!("{} % interval", percent(self.level));
                    let w = task.name().len().max(6);
                    head += &format!("  {task:>w$} {:>6}   {interval:>13}", "+/-");
                    for threshold in self.thresholds_of(*task) {
                        head += &format!("  {:>8}", format!(">= {threshold}"));
                    }
                }
                head += &format!("  {:>5}  quality  box (x y width height)", "score");
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

    /// Prints the record of a picture. In tables and CSV, errors go to stderr.
    pub fn record(&mut self, record: &PictureRecord) -> Result<()> {
        self.pictures += 1;
        self.faces += record.faces.len();
        self.not_assessed += record.faces.iter().filter(|f| f.not_assessed.is_some()).count();
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
                if record.faces.is_empty() && record.error.is_none() {
                    let line = self.csv_cells_without_face(record);
                    self.csv_line(&line)?;
                }
            }
        }
        self.out.flush()?;
        if let (Format::Table | Format::Csv, Some(error)) = (self.format, &record.error) {
            printing::complain([format!("error: {}: {error}", printable(&record.image))]);
        }
        Ok(())
    }

    /// Prints what follows the last record: the summary or the closing bracket.
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
                if self.not_assessed > 0 {
                    write!(self.out, ", {} not assessed", self.not_assessed)?;
                }
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

    fn table_lines(&mut self, record: &PictureRecord) -> io::Result<()> {
        let name = shortened(&printable(&record.image), self.name_width);
        let w = self.name_width;
        if record.faces.is_empty() && record.error.is_none() {
            return writeln!(self.out, "{name:w$}  no face found");
        }
        for face in &record.faces {
            let mut line = format!("{name:w$}");
            for (task, labels) in &self.heads {
                let Some(estimate) = face.get(*task) else { continue };
                let IntervalRecord { low, high, .. } = estimate.interval;
                let w = task.name().len().max(6);
                // Scores have finer steps than years.
                let digits = if labels.step() < 1.0 { 2 } else { 1 };
                line += &format!("  {:w$.digits$} {:6.digits$}   ", estimate.value, estimate.std);
                line += &format!("{:>13}", format!("{low:.digits$} - {high:.digits$}"));
                for tail in &estimate.at_least {
                    line += &format!("  {:>8}", format!("{:.1} %", 100.0 * tail.probability));
                }
            }
            if let Some(reason) = &face.not_assessed {
                let width =
                    self.name_width + self.heads.iter().map(|h| self.width_of(h.0)).sum::<usize>();
                line = format!("{:width$}", format!("{line}  not assessed: {reason}"));
            }
            let score = face.score.map_or("-".into(), |s| format!("{s:.2}"));
            let quality = face.quality.map_or("-".into(), |q| format!("{q:.2}"));
            let [x, y, width, height] = face.bbox;
            writeln!(
                self.out,
                "{line}  {score:>5}  {quality:>7}  {x:.0} {y:.0} {width:.0} {height:.0}"
            )?;
        }
        Ok(())
    }

    /// The width of the columns of a task in a table.
    fn width_of(&self, task: Task) -> usize {
        2 + task.name().len().max(6) + 7 + 3 + 13 + 10 * self.thresholds_of(task).len()
    }

    /// The thresholds that estimates of a task are compared with.
    fn thresholds_of(&self, task: Task) -> &[f64] {
        match task {
            Task::Age | Task::RealAge => &self.thresholds,
            _ => &[],
        }
    }

    fn csv_header(&self) -> Vec<String> {
        let mut cells: Vec<String> = ["image", "width", "height", "face"].map(Into::into).into();
        if self.video {
            cells.extend(["frame", "time", "track"].map(Into::into));
        }
        cells.extend(["x", "y", "w", "h"].map(|side| format!("box_{side}")));
        cells.extend(["score", "rotation", "quality"].map(Into::into));
        for point in ["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"] {
            cells.extend(["x", "y"].map(|axis| format!("{point}_{axis}")));
        }
        for (task, _) in &self.heads {
            if self.video {
                cells.push(format!("{task}_single"));
            }
            cells.extend([task.to_string(), format!("{task}_std")]);
            cells.extend(["level", "low", "high"].map(|part| format!("{task}_interval_{part}")));
            cells.extend(self.thresholds_of(*task).iter().map(|t| format!("{task}_at_least_{t}")));
        }
        cells.push("model".into());
        if self.choosy {
            cells.push("not_assessed".into());
        }
        for (i, (task, labels)) in self.heads.iter().enumerate().filter(|_| self.distribution) {
            let prefix = if i == 0 { "p".to_owned() } else { format!("{task}_p") };
            cells.extend(labels.values().iter().map(|v| format!("{prefix}_{}", rounded(*v))));
        }
        cells
    }

    /// The cells of face number `i` of a picture, in the header's order.
    fn csv_cells(&self, record: &PictureRecord, i: usize, face: &FaceRecord) -> Vec<String> {
        let side = |n: Option<usize>| n.map_or(String::new(), |n| n.to_string());
        let mut cells =
            vec![record.image.clone(), side(record.width), side(record.height), i.to_string()];
        if self.video {
            cells.extend(frame_cells(record, Some(face)));
        }
        cells.extend(face.bbox.map(|v| v.to_string()));
        let numbers_of = [face.score, face.rotation.map(f64::from), face.quality];
        cells.extend(numbers_of.map(|v| v.map_or(String::new(), |v| v.to_string())));
        match &face.landmarks {
            Some(points) => cells.extend(points.iter().flatten().map(f64::to_string)),
            None => cells.extend(vec![String::new(); 10]),
        }
        for (task, _) in &self.heads {
            if self.video {
                let single = face.single.as_ref().and_then(|single| single.get(*task));
                cells.push(single.map_or(String::new(), |v| v.to_string()));
            }
            match face.get(*task) {
                Some(estimate) => cells.extend(numbers(estimate)),
                None => cells.extend(vec![String::new(); 5 + self.thresholds_of(*task).len()]),
            }
        }
        cells.push(record.model.clone());
        if self.choosy {
            cells.push(face.not_assessed.clone().unwrap_or_default());
        }
        for (task, labels) in self.heads.iter().filter(|_| self.distribution) {
            match face.get(*task).and_then(|estimate| estimate.distribution.as_ref()) {
                Some(d) => cells.extend(d.probabilities.iter().map(f64::to_string)),
                None => cells.extend(vec![String::new(); labels.len()]),
            }
        }
        cells
    }

    /// The line of a picture without a face: its name, size and the model.
    fn csv_cells_without_face(&self, record: &PictureRecord) -> Vec<String> {
        let side = |n: Option<usize>| n.map_or(String::new(), |n| n.to_string());
        let [frame, time, _] = frame_cells(record, None);
        let cell = |name: String| match name.as_str() {
            "image" => record.image.clone(),
            "frame" => frame.clone(),
            "time" => time.clone(),
            "width" => side(record.width),
            "height" => side(record.height),
            "model" => record.model.clone(),
            _ => String::new(),
        };
        self.csv_header().into_iter().map(cell).collect()
    }

    fn csv_line(&mut self, cells: &[String]) -> Result<()> {
        let mut line = csv::Writer::from_writer(Vec::new());
        line.write_record(cells)?;
        Ok(self.out.write_all(&line.into_inner()?)?)
    }
}

/// The number and time of a frame and the track of a face in it.
fn frame_cells(record: &PictureRecord, face: Option<&FaceRecord>) -> [String; 3] {
    [
        record.frame.map_or(String::new(), |n| n.to_string()),
        record.time.map_or(String::new(), |t| t.to_string()),
        face.and_then(|face| face.track).map_or(String::new(), |n| n.to_string()),
    ]
}

/// The cells of an estimate, without its distribution.
pub fn numbers(estimate: &EstimateRecord) -> Vec<String> {
    let IntervalRecord { level, low, high } = estimate.interval;
    let tails = estimate.at_least.iter().map(|tail| tail.probability);
    let all = [estimate.value, estimate.std, level, low, high].into_iter().chain(tails);
    all.map(|v| v.to_string()).collect()
}

/// A level in percent, without the noise of binary fractions.
pub fn percent(level: f64) -> f64 {
    (level * 1e4).round() / 1e2
}

/// A label without the noise of binary fractions.
fn rounded(label: f64) -> f64 {
    (label * 1e6).round() / 1e6
}

/// Shortens a long name to its end, which tells more than the folders above.
fn shortened(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    std::iter::once('…').chain(name.chars().skip(length + 1 - width)).collect()
}

#[cfg(test)]
mod tests {
    use dldl::{DistributionRecord, models};

    use super::*;

    fn estimate(value: f64, labels: &LabelSet, distribution: bool) -> EstimateRecord {
        let probabilities = vec![0.0; labels.len()];
        let (min, step) = (labels.min(), labels.step());
        EstimateRecord {
            value,
            std: 2.0,
            interval: IntervalRecord { level: 0.9, low: 28.0, high: 35.0 },
            at_least: Vec::new(),
            distribution: distribution.then_some(DistributionRecord { min, step, probabilities }),
        }
    }

    /// A face with estimates for all heads of a model.
    fn face(model: &ModelInfo, distribution: bool) -> FaceRecord {
        let of = |task| model.head(task).map(|head| estimate(3.2, &head.labels, distribution));
        FaceRecord {
            bbox: [0.0, 20.3, 30.0, 40.0],
            score: Some(0.99),
            landmarks: Some([[1.25, 2.0]; 5]),
            rotation: Some(0),
            track: None,
            single: None,
            quality: Some(0.75),
            not_assessed: None,
            age: of(Task::Age),
            attractiveness: of(Task::Attractiveness),
            real_age: of(Task::RealAge),
        }
    }

    #[test]
    fn csv_lines_have_the_columns_of_their_header() {
        let both = models::info(dldl::DEFAULT_MODEL).unwrap();
        let mut ages = both.clone();
        ages.heads.truncate(1);
        for (model, distribution, length) in
            [(&ages, false, 27), (&ages, true, 128), (&both, false, 32), (&both, true, 174)]
        {
            let options = RecordOptions { distribution, ..RecordOptions::default() };
            let printer = Printer::new(Format::Csv, model, &options, &[]);
            let header = printer.csv_header();
            assert_eq!(header.len(), length);
            let options = RecordOptions { min_quality: 0.5, ..options };
            let choosy = Printer::new(Format::Csv, model, &options, &[]);
            let reason = Some("blurred".to_owned());
            let blank = FaceRecord {
                age: None,
                attractiveness: None,
                not_assessed: reason.clone(),
                ..face(model, distribution)
            };
            let record = PictureRecord::failed("a.jpg".into(), "tiny", String::new());
            let line = choosy.csv_cells(&record, 0, &blank);
            assert_eq!((line.len(), choosy.csv_header().len()), (length + 1, length + 1));
            let at = choosy.csv_header().iter().position(|name| name == "not_assessed");
            assert_eq!(Some(&line[at.unwrap()]), reason.as_ref());
            let mut record = PictureRecord::failed("a.jpg".into(), "tiny", String::new());
            let whole = FaceRecord { score: None, landmarks: None, ..face(model, distribution) };
            record.faces = vec![face(model, distribution), whole];
            for face in &record.faces {
                let line = printer.csv_cells(&record, 0, face);
                assert_eq!(line.len(), length);
                for task in model.heads.iter().map(|head| head.task.name()) {
                    assert_eq!(line[header.iter().position(|name| name == task).unwrap()], "3.2");
                }
            }
        }
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("a/b/c.jpg", 9), "a/b/c.jpg");
        assert_eq!(shortened("aa/b/c.jpg", 9), "…/b/c.jpg");
    }
}
