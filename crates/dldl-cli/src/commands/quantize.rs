//! `dldl quantize`: converts a model to 8-bit integers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dldl::{Crop, Engine, Estimator, Weights, models, parallel};
use dldl_data::{Cache, Split};
use dldl_eval::{Options, Progress, Source, evaluate};
use dldl_face::crop_main_face_in_file;
use dldl_net::{Figure, quantize};

use crate::inputs::{self, Input};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, complain, thousands};
use crate::progress;
use crate::shared_args::{ModelArgs, ThreadArgs};

/// Convert a model to 8-bit integers
///
/// The quantized file is half as large and runs faster on processors that multiply
/// bytes (VNNI, AMX). All commands that run a model accept it; training, export and
/// quantization need the original. The range of each layer is measured on crops: use a
/// few hundred faces like those that the model will see. If they come from a cache, the
/// change of the error is measured on its val split; otherwise use `dldl eval`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Folder of pictures (searched recursively), or a cache written by `dldl prepare`,
    /// of which the train split is used. Of each picture the main face is used, and
    /// without a face the whole picture
    #[arg(long, value_name = "DIR|CACHE")]
    crops: PathBuf,

    /// File to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,

    /// Number of crops to use, evenly spread over those available
    #[arg(short = 'n', long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,

    /// Skip face detection: use the central square of each picture as an aligned face
    #[arg(long)]
    no_detect: bool,

    #[command(flatten)]
    threads: ThreadArgs,
}

const EXAMPLES: &str = "\
Examples:
  dldl quantize --crops photos --out tiny-int8.safetensors
  dldl quantize --model runs/mine/model.safetensors --crops cache/mine --out mine-int8.safetensors
  dldl eval --model mine-int8.safetensors --dataset cache --root cache/mine

Exit codes: 0 all done, 1 some pictures failed (the rest were used) or the
file could not be written, 2 usage error.";

pub fn run(args: Args) -> Result<Outcome> {
    let weights = models::weights(&args.model.path).map_err(UsageError::new)?;
    let before = models::bytes(&args.model.path).map_err(UsageError::new)?.len();
    let threads = args.threads.count();
    let calibration = match args.crops.join("cache.json").is_file() {
        true => from_cache(&args, &weights, threads)?,
        false => from_folder(&args, &weights, threads)?,
    };
    complain(calibration.failed.iter().map(|(file, reason)| format!("{file}: {reason}")));
    if calibration.crops.is_empty() {
        bail!("{}: no usable crop", args.crops.display());
    }
    let mut quantized = quantize(&weights, &calibration.crops, &calibration.source)?;
    // Metrics and intervals were measured on the original model.
    quantized.describe(|info| {
        info.name = format!("{}-int8", info.name);
        info.figures.clear();
        info.remove_interval_calibration();
    })?;
    let engine = |int8| match int8 {
        true => Engine::from_quantized(&quantized),
        false => Engine::from_weights(&weights),
    };
    let errors = match calibration.measurable {
        true => Some([measured(&args, engine(false)?)?, measured(&args, engine(true)?)?]),
        false => None,
    };
    if let Some([before, after]) = errors {
        let of = format!(
            "{}, val split, {} pixels, without flip fusion, 8-bit integers \
             ({before:.3} in floating point)",
            calibration.dataset, weights.info.input_size
        );
        let figure = Figure { name: "val MAE".into(), value: after, of };
        quantized.describe(|info| info.figures.push(figure))?;
    }
    let bytes = quantized.to_bytes()?.len();
    quantized.save(&args.out).with_context(|| args.out.display().to_string())?;
    let mut text = format!(
        "{} written to {}: {} bytes instead of {}, calibrated on {} crops",
        quantized.info().name,
        args.out.display(),
        thousands(bytes as u64),
        thousands(before as u64),
        thousands(calibration.crops.len() as u64),
    );
    if let Some([before, after]) = errors {
        text += &format!("\nMAE on the cache's val split: {after:.3} instead of {before:.3}");
    }
    printing::print(&text)?;
    Ok(Outcome::of(calibration.failed.len()))
}

/// The mean absolute error on the cache's val split, without flip fusion.
fn measured(args: &Args, engine: Engine) -> Result<f64> {
    let source = Source::open("cache", &args.crops, None)?;
    let threads = args.threads.count();
    let options = Options { split: Some(Split::Val), threads, ..Options::default() };
    let mut bar = None;
    let mut show = |p: Progress| {
        bar.get_or_insert_with(|| progress::bar(p.total)).set_position(p.done as u64);
    };
    let report = evaluate(Estimator::new(engine), &source, &options, &mut show)?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let none = || format!("{}: no readable crop in the val split", args.crops.display());
    report.plain.mae.map(|mae| mae.value).with_context(none)
}

/// The crops that give the scales.
struct CalibrationCrops {
    crops: Vec<Crop>,
    /// Files that could not be used, with the reason.
    failed: Vec<(String, String)>,
    /// Name of the dataset; empty for a folder of pictures.
    dataset: String,
    /// Number and source of the crops, for the model's description.
    source: String,
    /// Whether there are labeled crops to measure errors on.
    measurable: bool,
}

fn from_cache(args: &Args, weights: &Weights, threads: usize) -> Result<CalibrationCrops> {
    if args.no_detect {
        return Err(UsageError::NoDetectOnCache.into());
    }
    let cache = Cache::open(&args.crops).map_err(UsageError::new)?;
    let (given, wanted) = (&cache.manifest().parameters.template, &weights.info.template);
    if given != wanted {
        return Err(UsageError::CropTemplate {
            path: args.crops.clone(),
            found: given.name.clone(),
            expected: wanted.name.clone(),
        }
        .into());
    }
    let size = weights.info.input_size;
    let chosen = spread(&cache.indices(Split::Train), args.count);
    let crop = |&i: &usize| {
        let crop = cache.decode(i).map_err(|e| e.to_string())?;
        Ok(if crop.size() == size { crop } else { dldl_data::resize(&crop, size) })
    };
    let name = |i: &usize| cache.samples()[*i].sample.file.clone();
    let mut found = collect(&chosen, threads, crop, name);
    found.dataset.clone_from(&cache.manifest().dataset);
    found.source += &format!(" of {}, train split", found.dataset);
    found.measurable = !cache.indices(Split::Val).is_empty();
    Ok(found)
}

fn from_folder(args: &Args, weights: &Weights, threads: usize) -> Result<CalibrationCrops> {
    if !args.crops.is_dir() {
        return Err(UsageError::NotAPictureFolder { path: args.crops.clone() }.into());
    }
    let estimator = Estimator::new(Engine::from_weights(weights)?);
    let inputs = inputs::expand(std::slice::from_ref(&args.crops), None)?;
    let chosen = spread(&inputs.pictures.iter().collect::<Vec<_>>(), args.count);
    let crop = |input: &&Input| match input.problem() {
        Some(problem) => Err(problem.to_owned()),
        None => aligned(&estimator, &input.path, args.no_detect),
    };
    let mut found = collect(&chosen, threads, crop, |input| input.name());
    found.source += " of a folder of pictures";
    Ok(found)
}

fn aligned(estimator: &Estimator, path: &Path, no_detect: bool) -> Result<Crop, String> {
    let info = estimator.engine().info();
    let detector = (!no_detect).then(|| estimator.detector());
    crop_main_face_in_file(path, detector, &info.template, info.input_size)
        .map(|main| main.crop)
        .map_err(|e| e.reason())
}

/// Makes the crops in parallel, in order.
fn collect<T: Sync>(
    chosen: &[T],
    threads: usize,
    crop: impl Fn(&T) -> Result<Crop, String> + Sync,
    name: impl Fn(&T) -> String,
) -> CalibrationCrops {
    let bar = progress::bar(chosen.len());
    let (mut crops, mut failed) = (Vec::new(), Vec::new());
    let done = parallel::ordered(chosen, threads, crop, |i, result| {
        bar.inc(1);
        match result {
            Ok(crop) => crops.push(crop),
            Err(reason) => failed.push((name(&chosen[i]), reason)),
        }
        Ok::<_, std::convert::Infallible>(())
    });
    let Ok(()) = done;
    bar.finish_and_clear();
    let source = format!("{} crops", crops.len());
    CalibrationCrops { crops, failed, dataset: String::new(), source, measurable: false }
}

/// At most `count` items at equal distances, since folders are often sorted.
fn spread<T: Clone>(items: &[T], count: u32) -> Vec<T> {
    let count = (count as usize).min(items.len());
    (0..count).map(|i| items[i * items.len() / count].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn items_are_spread_evenly() {
        assert_eq!(spread(&[0, 1, 2, 3, 4, 5, 6], 3), [0, 2, 4]);
        assert_eq!(spread(&[0, 1, 2], 500), [0, 1, 2]);
        assert_eq!(spread(&[0_u8; 0], 500), [0; 0]);
    }
}
