//! `dldl estimate`: pictures in, records out, in input order.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dldl::{Error, Estimator, FaceEstimate, Picture, PictureRecord, RecordOptions, parallel};
use dldl_face::{DecodeOptions, FaceError};

use crate::annotate::{self, Copies};
use crate::inputs::{self, Input};
use crate::outcome::{Outcome, UsageError};
use crate::output::{Format, Printer};
use crate::shared_args::{FaceArgs, ThreadArgs};
use crate::{printing, progress};

/// Estimate the age and attractiveness of faces in pictures
///
/// Finds the faces in each picture and prints for each the estimates of the model, with
/// their standard deviations and intervals. Reads JPEG, PNG, WebP, HEIC, JPEG XL, TIFF,
/// BMP and GIF (first frame), recognized by content, turns them upright and converts
/// their color profiles to sRGB.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Picture files, folders and ZIP or tar archives (searched recursively for files
    /// with a picture's extension, except hidden ones; the others are counted on stderr),
    /// or - for a list of paths on stdin, one per line or separated by NUL
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Also write a copy of each picture into this folder, with boxes, landmarks and
    /// estimates drawn into it (NAME-ages.jpg; the inputs are never modified)
    #[arg(long, value_name = "DIR")]
    annotate: Option<PathBuf>,

    #[command(flatten)]
    face: FaceArgs,

    /// Skip face detection: use the central square of each picture as an aligned face
    #[arg(long)]
    no_detect: bool,

    /// Largest picture, in megapixels. Those of more than 25 are decoded at reduced size;
    /// coordinates are still those of the file
    #[arg(long, value_name = "N", default_value_t = 250,
          value_parser = clap::value_parser!(u64).range(1..=4000))]
    max_megapixels: u64,

    /// Use what can be decoded of damaged and truncated JPEG and PNG files: the estimates
    /// may be wrong
    #[arg(long)]
    accept_damaged: bool,

    #[command(flatten)]
    threads: ThreadArgs,
}

impl Args {
    fn decode_options(&self) -> DecodeOptions {
        let max_pixels = self.max_megapixels * 1_000_000;
        let default = DecodeOptions::default();
        // The default is 4 bytes for each of 250 megapixels.
        let max_memory = default.max_memory.max(4 * max_pixels);
        DecodeOptions { max_pixels, max_memory, accept_damaged: self.accept_damaged, ..default }
    }
}

const EXAMPLES: &str = "\
Examples:
  dldl estimate portrait.jpg
  dldl estimate holiday/ --annotate holiday-with-ages
  find . -name '*.jpg' -mtime -7 | dldl estimate - --format csv > ages.csv
  dldl estimate --format ndjson photos/ | jq -r '.image, .faces[].age.value'
  dldl estimate photos/ --min-quality 0.5 # no estimates for small or blurred faces
  dldl estimate photos/ --threshold 18    # and how probably each person is 18 or older

The JSON of a picture (json prints an array, ndjson one per line):
  {\"image\", \"width\", \"height\", \"model\", \"version\",
   \"faces\": [{\"box\": [x, y, width, height], \"score\",
              \"landmarks\": [[x, y] of left eye, right eye, nose, mouth left, mouth right],
              \"rotation\": 0, 90, 180 or 270, clockwise,
              \"quality\", \"not_assessed\": reason, without estimates (--min-quality),
              \"age\": {\"value\", \"std\", \"interval\": {\"level\", \"low\", \"high\"},
                      \"at_least\": [{\"threshold\", \"probability\"}],
                      \"distribution\": {\"min\", \"step\", \"probabilities\"}}}],
   \"error\"}
Coordinates are pixels of the upright picture. Fields without a value are left out:
\"error\" is present only if the picture failed. A picture without a face has an
empty list of faces and no error. `dldl generate schema` prints the JSON Schema.
In CSV, a picture without a face is a line with empty cells; errors go to stderr.

Exit codes: 0 all done, 1 some inputs failed (the rest are printed), 2 usage error.";

pub fn run(args: Args) -> Result<Outcome> {
    if args.face.distribution && args.format == Format::Table {
        return Err(UsageError::DistributionInTable.into());
    }
    let (estimator, options) = args.face.load()?;
    let inputs = inputs::expand(&args.inputs, args.annotate.as_deref())?;
    let copies = match &args.annotate {
        Some(dir) => {
            let paths: Vec<&Path> = inputs.pictures.iter().map(|i| i.path.as_path()).collect();
            let plan = Copies::plan(dir, &paths);
            let path = || dir.clone();
            Some(plan.map_err(|source| UsageError::CreateFolder { path: path(), source })?)
        }
        None => None,
    };
    let numbered: Vec<(usize, &Input)> = inputs.pictures.iter().enumerate().collect();
    let decode_options = args.decode_options();
    let work = |&(i, input): &(usize, &Input)| {
        let target = copies.as_ref().map(|copies| copies.target(i));
        record(&estimator, input, &decode_options, args.no_detect, &options, target)
    };
    let names: Vec<String> = inputs.pictures.iter().map(Input::name).collect();
    let mut printer = Printer::new(args.format, estimator.engine().info(), &options, &names);
    let bar = progress::bar(inputs.pictures.len());
    let mut failures = 0;
    bar.suspend(|| printer.begin())?;
    let threads = args.threads.count();
    parallel::ordered(&numbered, threads, work, |_, record| {
        failures += usize::from(record.error.is_some());
        bar.inc(1);
        // Stdout may be the terminal that shows the bar.
        bar.suspend(|| printer.record(&record))
    })?;
    bar.finish_and_clear();
    printer.end()?;
    printing::complain(inputs.notes().iter().map(|note| format!("note: {note}")));
    Ok(Outcome::of(failures))
}

/// Estimates one picture.
fn record(
    estimator: &Estimator,
    input: &Input,
    decode_options: &DecodeOptions,
    no_detect: bool,
    options: &RecordOptions,
    target: Option<&Path>,
) -> PictureRecord {
    let (name, model) = (input.name(), &estimator.engine().info().name);
    if let Some(problem) = input.problem() {
        return PictureRecord::failed(name, model, problem.to_owned());
    }
    let error = match see(estimator, input, decode_options, no_detect) {
        Ok((picture, faces)) => {
            let mut record = PictureRecord::new(name, model, &picture, &faces, options);
            let written = target.map(|path| annotate::write(picture, &faces, options, path));
            record.error = written.and_then(Result::err).map(|e| format!("{e:#}"));
            return record;
        }
        Err(Error::Picture(e)) => reason(&e),
        Err(e) => format!("{:#}", anyhow::Error::from(e)),
    };
    PictureRecord::failed(name, model, error)
}

/// The error in one line, with the option that lifts a limit.
fn reason(error: &FaceError) -> String {
    let option = match error.cause() {
        FaceError::TooLarge { .. } | FaceError::TooMuchMemory(_) => "--max-megapixels raises it",
        FaceError::Damaged { format: "JPEG" | "PNG", .. }
        | FaceError::Truncated("JPEG" | "PNG") => "--accept-damaged uses what is left",
        _ => return error.reason(),
    };
    format!("{} ({option})", error.reason())
}

fn see(
    estimator: &Estimator,
    input: &Input,
    options: &DecodeOptions,
    no_detect: bool,
) -> Result<(Picture, Vec<FaceEstimate>), Error> {
    let picture = input.decode(options)?;
    let faces = match no_detect {
        true => vec![estimator.estimate_whole(&picture)?],
        false => estimator.estimate(&picture)?,
    };
    Ok((picture, faces))
}
