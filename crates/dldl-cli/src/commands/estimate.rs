//! `dldl estimate`: pictures in, records out, in input order.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dldl::{Error, Estimator, FaceEstimate, Picture, PictureRecord, RecordOptions, parallel};

use crate::annotate::{self, Copies};
use crate::inputs::{self, Input};
use crate::outcome::{Outcome, UsageError};
use crate::output::{Format, Printer};
use crate::progress;
use crate::shared_args::{ModelArgs, ThreadArgs};

/// Estimate the age and attractiveness of faces in pictures
///
/// Finds the faces in each picture and prints for each the estimates of the model, with
/// their standard deviations and intervals. Reads JPEG, PNG, WebP, BMP, GIF (first
/// frame) and TIFF, recognized by content; EXIF orientation is honored.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Picture files, folders (searched recursively for files with a picture's
    /// extension, except hidden ones), or - for a list of paths on stdin, one per line
    /// or separated by NUL
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
    model: ModelArgs,

    /// Skip face detection: use the central square of each picture as an aligned face
    #[arg(long)]
    no_detect: bool,

    /// Also print the probability of every label (not in tables)
    #[arg(long)]
    distribution: bool,

    /// Probability of the printed intervals, between 0 and 1; of a calibrated model,
    /// the share of true values that they cover on pictures like those it was
    /// calibrated on
    #[arg(long, value_name = "LEVEL", default_value_t = 0.9, value_parser = level)]
    interval: f64,

    /// Do not average with the estimate of the mirror image: faster, slightly less
    /// accurate
    #[arg(long)]
    no_flip: bool,

    #[command(flatten)]
    threads: ThreadArgs,
}

const EXAMPLES: &str = "\
Examples:
  dldl estimate portrait.jpg
  dldl estimate holiday/ --annotate holiday-with-ages
  find . -name '*.jpg' -mtime -7 | dldl estimate - --format csv > ages.csv
  dldl estimate --format ndjson photos/ | jq -r '.image, .faces[].age.value'

The JSON of a picture (json prints an array, ndjson one per line):
  {\"image\", \"width\", \"height\", \"model\", \"version\",
   \"faces\": [{\"box\": [x, y, width, height], \"score\",
              \"landmarks\": [[x, y] of left eye, right eye, nose, mouth left, mouth right],
              \"age\": {\"value\", \"std\", \"interval\": {\"level\", \"low\", \"high\"},
                      \"distribution\": {\"min\", \"step\", \"probabilities\"}}}],
   \"error\"}
Coordinates are pixels of the upright picture. Fields without a value are left out:
\"error\" is present only if the picture failed. A picture without a face has an
empty list of faces and no error. `dldl generate schema` prints the JSON Schema.

Exit codes: 0 all done, 1 some inputs failed (the rest are printed), 2 usage error.";

fn level(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(level) if 0.0 < level && level < 1.0 => Ok(level),
        _ => Err("expected a number between 0 and 1, such as 0.9".into()),
    }
}

pub fn run(args: Args) -> Result<Outcome> {
    if args.distribution && args.format == Format::Table {
        return Err(UsageError::DistributionInTable.into());
    }
    let estimator =
        Estimator::load(&args.model.path).map_err(UsageError::new)?.flip_fusion(!args.no_flip);
    let inputs = inputs::expand(&args.inputs, args.annotate.as_deref())?;
    let copies = match &args.annotate {
        Some(dir) => {
            let paths: Vec<&Path> = inputs.iter().map(|i| i.path.as_path()).collect();
            let plan = Copies::plan(dir, &paths);
            let path = || dir.clone();
            Some(plan.map_err(|source| UsageError::CreateFolder { path: path(), source })?)
        }
        None => None,
    };
    let numbered: Vec<(usize, &Input)> = inputs.iter().enumerate().collect();
    let options = RecordOptions { level: args.interval, distribution: args.distribution };
    let work = |&(i, input): &(usize, &Input)| {
        let target = copies.as_ref().map(|copies| copies.target(i));
        record(&estimator, input, args.no_detect, &options, target)
    };
    let names: Vec<String> = inputs.iter().map(Input::name).collect();
    let mut printer = Printer::new(args.format, estimator.engine().info(), &options, &names);
    let bar = progress::bar(inputs.len());
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
    Ok(Outcome::of(failures))
}

/// Estimates one picture.
fn record(
    estimator: &Estimator,
    input: &Input,
    no_detect: bool,
    options: &RecordOptions,
    target: Option<&Path>,
) -> PictureRecord {
    let (name, model) = (input.name(), &estimator.engine().info().name);
    if let Some(problem) = &input.problem {
        return PictureRecord::failed(name, model, problem.clone());
    }
    let error = match see(estimator, &input.path, no_detect) {
        Ok((picture, faces)) => {
            let mut record = PictureRecord::new(name, model, &picture, &faces, options);
            let written = target.map(|path| annotate::write(picture, &faces, options.level, path));
            record.error = written.and_then(Result::err).map(|e| format!("{e:#}"));
            return record;
        }
        Err(Error::Picture(e)) => e.reason(),
        Err(e) => format!("{:#}", anyhow::Error::from(e)),
    };
    PictureRecord::failed(name, model, error)
}

fn see(
    estimator: &Estimator,
    path: &Path,
    no_detect: bool,
) -> Result<(Picture, Vec<FaceEstimate>), Error> {
    let picture = dldl::decode_file(path)?;
    let faces = match no_detect {
        true => vec![estimator.estimate_whole(&picture)?],
        false => estimator.estimate(&picture)?,
    };
    Ok((picture, faces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_between_0_and_1() {
        assert_eq!(level("0.9"), Ok(0.9));
        for bad in ["0", "1", "90", "-0.5", "nan", "inf", "", "x"] {
            assert!(level(bad).is_err(), "{bad}");
        }
    }
}
