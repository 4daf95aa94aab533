//! `dldl estimate`: pictures in, records out, in the order of the inputs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::Result;
use dldl::{Error, Estimator, FaceError, FaceEstimate, Picture, Reading, parallel};

use crate::annotate::{self, Copies};
use crate::inputs::{self, Input};
use crate::outcome::{Outcome, UsageError};
use crate::output::{Format, Printer, Record, Rounding};
use crate::progress;
use crate::shared_args::{ModelArgs, ThreadArgs};

/// Estimate the ages of the faces in pictures
///
/// Finds all faces in each picture and prints, for each, the expected age, its
/// standard deviation and an interval. Pictures: JPEG, PNG, WebP, BMP, GIF
/// (first frame), TIFF, whatever they are called; EXIF orientation is honored.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Picture files, folders (searched with the folders below them for files
    /// that are named like pictures, hidden ones left out), or - for a list of
    /// paths on stdin, one a line or separated by NUL
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,

    /// How the results are printed
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Also write a copy of each picture into this folder, with boxes, points
    /// and ages with their intervals drawn (NAME-ages.jpg; the inputs are never
    /// touched)
    #[arg(long, value_name = "DIR")]
    annotate: Option<PathBuf>,

    #[command(flatten)]
    model: ModelArgs,

    /// Do not search faces: take the middle square of each picture for a face
    /// that is aligned already
    #[arg(long)]
    no_detect: bool,

    /// Also print the probability of every age (not as a table)
    #[arg(long)]
    distribution: bool,

    /// The probability that the printed interval holds, between 0 and 1; of
    /// pictures like those that the model was calibrated on, if it was
    #[arg(long, value_name = "LEVEL", default_value_t = 0.9, value_parser = level)]
    interval: f64,

    /// Look at each face only as it is, not also at its mirror image: a little
    /// faster, a little less accurate
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
  dldl estimate --format ndjson photos/ | jq -r '.image, .faces[].age.mean'

The JSON of a picture (json prints an array of them, ndjson one a line):
  {\"image\", \"width\", \"height\",
   \"faces\": [{\"box\": [x, y, width, height], \"score\",
              \"landmarks\": [[x, y] of left eye, right eye, nose, mouth left, mouth right],
              \"age\": {\"mean\", \"std\", \"interval\": {\"level\", \"low\", \"high\"},
                      \"distribution\": {\"min\", \"step\", \"probabilities\"}}}],
   \"model\", \"error\"}
Coordinates are pixels of the upright picture. \"error\" is there only where
something failed. A picture without a face has no faces and no error.

Exit codes: 0 all done, 1 some inputs failed (the rest are printed), 2 wrong usage.";

fn level(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(level) if 0.0 < level && level < 1.0 => Ok(level),
        _ => Err("a number between 0 and 1 is needed, such as 0.9".into()),
    }
}

pub fn run(args: Args) -> Result<Outcome> {
    if args.distribution && args.format == Format::Table {
        let what = "--distribution needs --format json, ndjson or csv: a table has no room for it";
        return Err(UsageError::new(what).into());
    }
    let estimator =
        Estimator::load(&args.model.path).map_err(UsageError::new)?.flip_fusion(!args.no_flip);
    let inputs = inputs::expand(&args.inputs, args.annotate.as_deref())?;
    let copies = match &args.annotate {
        Some(dir) => {
            let paths: Vec<&Path> = inputs.iter().map(|i| i.path.as_path()).collect();
            let plan = Copies::plan(dir, &paths);
            Some(plan.map_err(|e| UsageError::new(format!("{}: {e}", dir.display())))?)
        }
        None => None,
    };
    let numbered: Vec<(usize, &Input)> = inputs.iter().enumerate().collect();
    let rounding = Rounding { level: args.interval, distribution: args.distribution };
    let work = |&(i, input): &(usize, &Input)| {
        let target = copies.as_ref().map(|copies| copies.target(i));
        one(&estimator, input, args.no_detect, &rounding, target)
    };
    let names: Vec<String> = inputs.iter().map(Input::name).collect();
    let mut printer = Printer::new(args.format, estimator.engine().info(), &rounding, &names);
    let bar = progress::bar(inputs.len());
    let mut failures = 0;
    bar.suspend(|| printer.begin())?;
    let threads = args.threads.count();
    parallel::ordered(&numbered, threads, work, |_, record| {
        failures += usize::from(record.error.is_some());
        bar.inc(1);
        // Below the bar there may be the same terminal.
        bar.suspend(|| printer.record(&record))
    })?;
    bar.finish_and_clear();
    printer.end()?;
    Ok(Outcome::of(failures))
}

/// All that happens to one picture.
fn one(
    estimator: &Estimator,
    input: &Input,
    no_detect: bool,
    rounding: &Rounding,
    target: Option<&Path>,
) -> Record {
    let info = estimator.engine().info();
    let mut record = Record::new(input.name(), info);
    if let Some(problem) = &input.problem {
        record.error = Some(problem.clone());
        return record;
    }
    // A decoder that panics on a malformed file must not take the others along.
    let seen = catch_unwind(AssertUnwindSafe(|| see(estimator, &input.path, no_detect)));
    match seen {
        Ok(Ok((picture, faces))) => {
            record.fill(&picture, &faces, info, rounding);
            let said: Vec<Vec<Reading>> =
                faces.iter().map(|face| face.readings(info, rounding.level)).collect();
            let written = target.map(|path| annotate::write(picture, &faces, &said, path));
            record.error = written.and_then(Result::err).map(|e| format!("{e:#}"));
        }
        Ok(Err(Error::Picture(FaceError::InFile { error, .. }))) => {
            record.error = Some(error.to_string());
        }
        Ok(Err(e)) => record.error = Some(e.to_string()),
        Err(_) => record.error = Some("internal error: the decoder or detector panicked".into()),
    }
    record
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
    fn levels_lie_between_0_and_1() {
        assert_eq!(level("0.9"), Ok(0.9));
        for bad in ["0", "1", "90", "-0.5", "nan", "inf", "", "x"] {
            assert!(level(bad).is_err(), "{bad}");
        }
    }
}
