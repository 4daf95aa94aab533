//! `dldl quantize`: a model in 8-bit integers from one in floating point.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dldl::{Crop, Engine, Estimator, Figure, Weights, models, parallel, quantize};
use dldl_data::{Cache, Split, main_face};
use dldl_eval::{Options, Progress, Source, evaluate};

use crate::inputs::{self, Input};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, thousands};
use crate::progress;
use crate::shared_args::{ModelArgs, ThreadArgs};

/// Make a model of 8-bit integers from one in floating point
///
/// The file is half the size, and runs faster where the processor multiplies
/// bytes (VNNI, AMX). All commands that run a model take it; to train on, to
/// export and to quantize again takes the model that it was made from. How far
/// the numbers reach in each layer is found on crops: a few hundred faces like
/// those that the model will see. What it costs is measured on the val split if
/// they come from a cache; else `dldl eval` tells.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// A folder of pictures (searched with the folders below it), or a cache
    /// that `dldl prepare` made, of which the train split is taken. The largest
    /// face of a picture is taken; a picture without one, whole
    #[arg(long, value_name = "DIR|CACHE")]
    crops: PathBuf,

    /// The file to write; one that stands there is replaced
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,

    /// The number of crops that are used, evenly spread over those that there are
    #[arg(short = 'n', long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,

    /// Do not search faces: take the middle square of each picture for a face
    /// that is aligned already
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

Exit codes: 0 all done, 1 some pictures failed (the rest were used) or nothing
could be written, 2 wrong usage.";

pub fn run(args: Args) -> Result<Outcome> {
    let weights = models::weights(&args.model.path).map_err(UsageError::new)?;
    let before = models::bytes(&args.model.path).map_err(UsageError::new)?.len();
    let threads = args.threads.count();
    let taken = match args.crops.join("cache.json").is_file() {
        true => of_cache(&args, &weights, threads)?,
        false => of_folder(&args, &weights, threads)?,
    };
    for (file, reason) in &taken.failed {
        // Who closed stderr does not want to know.
        let _ = writeln!(std::io::stderr(), "{file}: {reason}");
    }
    if taken.crops.is_empty() {
        bail!("{}: no crop to go by", args.crops.display());
    }
    let mut quantized = quantize(&weights, &taken.crops, &taken.source)?;
    // What was measured was measured of another model, and so were its intervals.
    quantized.describe(|info| {
        info.name = format!("{}-int8", info.name);
        info.figures.clear();
        info.forget_intervals();
    })?;
    let engine = |int8| match int8 {
        true => Engine::from_quantized(&quantized),
        false => Engine::from_weights(&weights),
    };
    let errors = match taken.measurable {
        true => Some([measured(&args, engine(false)?)?, measured(&args, engine(true)?)?]),
        false => None,
    };
    if let Some([before, after]) = errors {
        let of = format!(
            "{}, val split, {} pixels, without flip fusion, 8-bit integers \
             ({before:.3} in floating point)",
            taken.dataset, weights.info.input_size
        );
        let figure = Figure { name: "val MAE".into(), value: after, of };
        quantized.describe(|info| info.figures.push(figure))?;
    }
    let bytes = quantized.to_bytes()?.len();
    quantized.save(&args.out)?;
    let mut text = format!(
        "{} written to {}: {} bytes instead of {}, by {} crops",
        quantized.info().name,
        args.out.display(),
        thousands(bytes as u64),
        thousands(before as u64),
        thousands(taken.crops.len() as u64),
    );
    if let Some([before, after]) = errors {
        text += &format!("\nMAE on the cache's val split: {after:.3} instead of {before:.3}");
    }
    printing::print(&text)?;
    Ok(Outcome::of(taken.failed.len()))
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
    let none = || format!("{}: no crop of the val split can be read", args.crops.display());
    report.plain.mae.map(|mae| mae.value).with_context(none)
}

/// The crops to go by, and the files that gave none.
struct Taken {
    crops: Vec<Crop>,
    failed: Vec<(String, String)>,
    /// In words, for the description: of which data, and all of it.
    dataset: String,
    source: String,
    /// Whether there are labeled crops to measure errors on.
    measurable: bool,
}

fn of_cache(args: &Args, weights: &Weights, threads: usize) -> Result<Taken> {
    if args.no_detect {
        return Err(UsageError::new("--no-detect: the crops of a cache are aligned already").into());
    }
    let cache = Cache::open(&args.crops).map_err(UsageError::new)?;
    let (given, wanted) = (&cache.manifest().parameters.template, &weights.info.template);
    if given != wanted {
        return Err(UsageError::new(format!(
            "{}: aligned by the template \"{}\", the model needs \"{}\"",
            args.crops.display(),
            given.name,
            wanted.name
        ))
        .into());
    }
    let size = weights.info.input_size;
    let chosen = spread(&cache.indices(Split::Train), args.count);
    let crop = |&i: &usize| {
        let crop = cache.decode(i).map_err(|e| e.to_string())?;
        Ok(if crop.size == size { crop } else { dldl_data::resize(&crop, size) })
    };
    let name = |i: &usize| cache.samples()[*i].sample.file.clone();
    let mut taken = all(&chosen, threads, crop, name);
    taken.dataset.clone_from(&cache.manifest().dataset);
    taken.source += &format!(" of {}, train split", taken.dataset);
    taken.measurable = !cache.indices(Split::Val).is_empty();
    Ok(taken)
}

fn of_folder(args: &Args, weights: &Weights, threads: usize) -> Result<Taken> {
    if !args.crops.is_dir() {
        let what = "neither a folder of pictures nor a cache that `dldl prepare` made";
        return Err(UsageError::new(format!("{}: {what}", args.crops.display())).into());
    }
    let estimator = Estimator::new(Engine::from_weights(weights)?);
    let chosen = spread(&inputs::expand(std::slice::from_ref(&args.crops), None)?, args.count);
    let crop = |input: &Input| match &input.problem {
        Some(problem) => Err(problem.clone()),
        None => aligned(&estimator, &input.path, args.no_detect),
    };
    let mut taken = all(&chosen, threads, crop, Input::name);
    taken.source += " of a folder of pictures";
    Ok(taken)
}

fn aligned(estimator: &Estimator, path: &Path, no_detect: bool) -> Result<Crop, String> {
    // Not `decode_file`: the message names the file already.
    let bytes = std::fs::read(path).map_err(|e| format!("cannot be read: {e}"))?;
    let picture = dldl::decode(&bytes).map_err(|e| e.to_string())?;
    let faces = if no_detect { Vec::new() } else { estimator.detect(&picture) };
    Ok(match main_face(&faces, picture.width(), picture.height()) {
        Some(face) => estimator.crop(&picture, &faces[face]),
        None => estimator.whole_crop(&picture),
    })
}

/// The crops of all these, in their order.
fn all<T: Sync>(
    chosen: &[T],
    threads: usize,
    crop: impl Fn(&T) -> Result<Crop, String> + Sync,
    name: impl Fn(&T) -> String,
) -> Taken {
    let bar = progress::bar(chosen.len());
    let (mut crops, mut failed) = (Vec::new(), Vec::new());
    // A decoder that panics on a malformed file must not take the others along.
    let work = |item: &T| {
        let panicked = |_| Err("internal error: the decoder or detector panicked".into());
        catch_unwind(AssertUnwindSafe(|| crop(item))).unwrap_or_else(panicked)
    };
    let done = parallel::ordered(chosen, threads, work, |i, result| {
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
    Taken { crops, failed, dataset: String::new(), source, measurable: false }
}

/// So many of the items, or all, at equal distances: a folder is often sorted.
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
