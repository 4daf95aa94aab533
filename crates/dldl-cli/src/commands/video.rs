//! `dldl video`: the people in a video and their ages, frame by frame or as a whole.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use dldl::{FaceEstimate, ModelInfo, RecordOptions, parallel};
use dldl_plot::Canvas;
use dldl_video::{
    Analyzer, AnalyzerParams, Ffmpeg, Frame, FrameQueue, FrameReader, Person, PersonRecord,
    ReadOptions, Source, TrackedFace, TrackerParams, VideoWriter, frame_record,
};
use indicatif::ProgressBar;

use crate::annotate::{self, Mark};
use crate::outcome::{Outcome, UsageError};
use crate::output::{Format, Printer};
use crate::shared_args::{FaceArgs, ThreadArgs};
use crate::{interrupt, people, printing, progress};

/// Estimate the ages of people in a video
///
/// Faces are followed from frame to frame, and the estimates of a person's frames are
/// averaged, so that the age settles. The frames are read by the program ffmpeg, which has
/// to be installed.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Video file, - for stdin, or an address (rtsp://, http://)
    #[arg(value_name = "INPUT", required_unless_present = "camera")]
    input: Option<String>,

    /// Read from a camera: its number, such as 0; on Windows its name
    #[arg(long, value_name = "CAMERA", conflicts_with_all = ["input", "start"])]
    camera: Option<String>,

    /// Output format. A table has a line per person; json, ndjson and csv have the faces of
    /// every frame, or with --tracks the people
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Print people instead of frames: first and last time, estimates from all frames, and
    /// the best frame
    #[arg(long)]
    tracks: bool,

    /// Also write a copy of the video with boxes, numbers, ages and distributions drawn into
    /// it. The extension decides the format; sound is kept
    #[arg(long, value_name = "FILE")]
    annotate: Option<PathBuf>,

    #[command(flatten)]
    face: FaceArgs,

    /// Look at no more than N frames per second [default: all frames]
    #[arg(long, value_name = "N", value_parser = positive)]
    fps: Option<f64>,

    /// Begin at this time, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = not_negative)]
    start: Option<f64>,

    /// Read no more than this, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    duration: Option<f64>,

    /// Search whole frames for new faces at least this often, in seconds; in between, known
    /// faces are followed, which is faster. 0 searches every frame
    #[arg(long, value_name = "SECONDS", default_value_t = AnalyzerParams::default().search_every,
          value_parser = not_negative)]
    search_every: f64,

    /// In how many frames a face must be found to count as a person
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..))]
    min_frames: u16,

    /// For how long a face may be out of sight and still be the same person, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = TrackerParams::default().max_gap,
          value_parser = not_negative)]
    max_gap: f64,

    /// The program ffmpeg [default: the one in PATH]
    #[arg(long, value_name = "PATH", env = "DLDL_FFMPEG", hide_env_values = true)]
    ffmpeg: Option<PathBuf>,

    #[command(flatten)]
    threads: ThreadArgs,
}

const EXAMPLES: &str = "\
Examples:
  dldl video clip.mp4                                # a table of the people
  dldl video clip.mp4 --annotate clip-with-ages.mp4
  dldl video clip.mp4 --format ndjson                # a record per frame, as it is ready
  dldl video clip.mp4 --tracks --format csv > people.csv
  dldl video --camera 0                              # until Ctrl-C
  dldl video rtsp://10.0.0.7/door --fps 5 --format ndjson

The JSON of a frame is that of a picture (`dldl help estimate`) with \"frame\", \"time\" in
seconds, and of each face \"track\", the number of the person. Its estimates are those of
all frames of the person so far; \"single\" has the values of this frame alone.
A face gets its number in the third frame (--min-frames).

Damaged frames are counted; the others are used. Ctrl-C ends the video: what was read by
then is printed and written.

Exit codes: 0 all done, 1 the video is damaged (what can be read is printed), 2 usage
error, 130 ended by Ctrl-C.";

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(v) if v > 0.0 && f64::is_finite(v) => Ok(v),
        _ => Err("expected a number above 0".into()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(v) if v >= 0.0 && f64::is_finite(v) => Ok(v),
        _ => Err("expected a number from 0".into()),
    }
}

pub fn run(args: Args) -> Result<Outcome> {
    if args.face.distribution && args.format == Format::Table {
        return Err(UsageError::DistributionInTable.into());
    }
    let (estimator, options) = args.face.load()?;
    let source = match (&args.camera, &args.input) {
        (Some(camera), _) => Source::Camera(camera.clone()),
        (None, input) => Source::parse(input.as_deref().unwrap_or_default()),
    };
    if let (Source::File(input), Some(copy)) = (&source, &args.annotate)
        && let (Ok(input), Ok(copy)) = (Path::new(input).canonicalize(), copy.canonicalize())
        && input == copy
    {
        return Err(UsageError::AnnotateInput { path: copy }.into());
    }
    let read = ReadOptions { fps: args.fps, start: args.start, duration: args.duration };
    let ffmpeg = Ffmpeg::find(args.ffmpeg.as_deref()).map_err(UsageError::new)?;
    let reader = FrameReader::open(&ffmpeg, &source, &read).map_err(UsageError::new)?;
    let stopper = reader.stopper();
    interrupt::handle("finishing the output", move || stopper.stop());
    let queue = FrameQueue::start(reader, source.is_live());

    let model = estimator.engine().info();
    let params = AnalyzerParams {
        tracker: TrackerParams {
            min_hits: args.min_frames.into(),
            max_gap: args.max_gap,
            ..TrackerParams::default()
        },
        search_every: args.search_every,
        min_quality: options.min_quality,
    };
    let mut analyzer = Analyzer::new(&estimator, params);
    let name = source.name();
    let by_person = args.tracks || args.format == Format::Table;
    let mut printer = Printer::of_video(args.format, model, &options);
    if !by_person {
        printer.begin()?;
    }
    let mut copy: Option<VideoWriter> = None;
    let mut status = Status::new(source.is_live() && args.format == Format::Table);
    let pool = parallel::pool(args.threads.count());
    // A reader that closes the pipe ends the video too; the copy is finished all the same.
    let all = (|| -> Result<()> {
        while let Some(frame) = queue.next_frame()? {
            let faces = parallel::install(&pool, || analyzer.frame(&frame))?;
            if !by_person {
                let record = frame_record(&name, &model.name, &frame, &faces, &options);
                status.hidden(|| printer.record(&record))?;
            }
            status.show(&frame, &queue, || lines(&analyzer.people(), &name, model, &options));
            if let Some(path) = &args.annotate {
                let size = [frame.picture.width(), frame.picture.height()];
                let writer = match &mut copy {
                    Some(writer) => writer,
                    None => {
                        let sound = (!source.is_live() && name != "-").then_some((&source, &read));
                        copy.insert(VideoWriter::create(&ffmpeg, path, size, sound)?)
                    }
                };
                writer.write(frame.time, size, &drawn(frame, &faces, &options))?;
            }
        }
        Ok(())
    })();
    status.end();
    // Results are printed even if the copy could not be written.
    let written = copy.map_or(Ok(()), VideoWriter::finish);
    let skipped = queue.skipped();
    let summary = queue.finish();
    if by_person {
        let records = records(&analyzer.finish(), &name, model, &options);
        people::print(&records, args.format, model, &options)?;
        if args.format == Format::Table {
            let found = if records.len() == 1 { "person" } else { "people" };
            let frames = summary.frames - skipped;
            printing::print(&format!("\n{} {found} in {frames} frames", records.len()))?;
        }
    } else {
        printer.end()?;
    }
    all?;
    written?;
    if skipped > 0 {
        let kept_up = "were skipped to keep up with the camera or stream";
        printing::complain([format!("note: {skipped} frames {kept_up}")]);
    }
    if interrupt::requested() {
        return Ok(Outcome::Stopped);
    }
    if summary.errors > 0 {
        let errors = match summary.errors {
            1 => "an error".into(),
            n => format!("{n} errors, the first"),
        };
        let first = printing::printable(&summary.first_error);
        printing::complain([format!("error: {name}: damaged: ffmpeg reported {errors}: {first}")]);
    }
    Ok(Outcome::of(summary.errors))
}

fn records(
    people: &[Person],
    name: &str,
    model: &ModelInfo,
    options: &RecordOptions,
) -> Vec<PersonRecord> {
    people.iter().map(|person| PersonRecord::new(name, model, person, options)).collect()
}

/// The table of the people so far.
fn lines(people: &[Person], name: &str, model: &ModelInfo, options: &RecordOptions) -> String {
    let heads: Vec<_> = model.heads.iter().map(|h| (h.task, h.labels.clone())).collect();
    people::table(&records(people, name, model, options), &heads, options)
}

/// The pixels of a frame with the faces drawn into it.
fn drawn(frame: Frame, faces: &[TrackedFace], options: &RecordOptions) -> Vec<u8> {
    let (width, height) = (frame.picture.width(), frame.picture.height());
    let mut canvas = Canvas::from_rgb(width, height, frame.picture.into_rgb());
    let shown = |tracked: &TrackedFace| match tracked.heads.is_empty() {
        true => tracked.face.clone(),
        false => FaceEstimate { heads: tracked.heads.clone(), ..tracked.face.clone() },
    };
    let shown: Vec<FaceEstimate> = faces.iter().map(shown).collect();
    let mark = |(tracked, face): (_, _)| {
        let TrackedFace { track, heads, .. }: &TrackedFace = tracked;
        let name = track.map_or(String::new(), |track| format!("#{track}"));
        Mark { face, name, assessed: !heads.is_empty(), curve: true }
    };
    let marks: Vec<Mark> = faces.iter().zip(&shown).map(mark).collect();
    annotate::draw(&mut canvas, &marks, options.level);
    canvas.into_rgb()
}

/// What is shown on stderr while the video is read, if that is a terminal: the progress, or
/// for cameras and streams the people.
struct Status {
    bar: ProgressBar,
    live: bool,
    begun: Instant,
    shown: Option<Instant>,
}

/// Time between two updates.
const PAUSE: Duration = Duration::from_millis(250);

impl Status {
    fn new(live: bool) -> Self {
        let bar = ProgressBar::new(0).with_style(progress::style("{msg}"));
        Self { bar, live, begun: Instant::now(), shown: None }
    }

    fn show(&mut self, frame: &Frame, queue: &FrameQueue, table: impl FnOnce() -> String) {
        if self.bar.is_hidden() || self.shown.is_some_and(|shown| shown.elapsed() < PAUSE) {
            return;
        }
        self.shown = Some(Instant::now());
        let rate = (frame.index + 1) as f64 / self.begun.elapsed().as_secs_f64();
        let of =
            queue.duration().map_or(String::new(), |all| format!(" of {}", people::clock(all)));
        let time = people::clock(frame.time);
        let line = format!("{time}{of}, {rate:.0} frames per second");
        self.bar.set_message(if self.live { format!("{}{line}", table()) } else { line });
    }

    /// Hides it while something is printed to stdout, which may be the same terminal.
    fn hidden<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    fn end(&self) {
        self.bar.finish_and_clear();
        let _ = std::io::stderr().flush();
    }
}
