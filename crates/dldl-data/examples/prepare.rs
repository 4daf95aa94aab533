//! Packs a dataset: `prepare FORMAT ROOT OUT [THREADS]`. The command `dldl
//! prepare` does the same with more options.

use std::path::Path;
use std::time::Instant;

use dldl_data::{Parameters, Progress, prepare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [format, root, out, rest @ ..] = args.as_slice() else {
        return Err("usage: prepare FORMAT ROOT OUT [THREADS]".into());
    };
    let threads = rest.first().map_or(Ok(0), |t| t.parse())?;
    let dataset = dldl_data::load(format, Path::new(root), None)?;
    let start = Instant::now();
    let show = |p: Progress| {
        if p.done.is_multiple_of(500) {
            eprintln!("{} of {} in {:.0?}", p.done, p.total, start.elapsed());
        }
    };
    let report = prepare(&dataset, Path::new(out), &Parameters::default(), threads, &show)?;
    println!("{:?}, {} kept, {:.1?}", report.counts, report.kept, start.elapsed());
    Ok(())
}
