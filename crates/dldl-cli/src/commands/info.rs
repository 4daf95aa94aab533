//! `dldl info`: describes a model.

use std::path::PathBuf;

use anyhow::Result;
use dldl::{Method, ModelInfo, models};
use dldl_net::IntervalCalibration;
use serde::Serialize;

use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, ReportFormat, thousands};
use crate::shared_args::model_help;

/// Describe a model: network, labels, training data, license, measured errors
///
/// Everything is read from the weights file.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(value_name = "NAME|PATH", default_value = dldl::DEFAULT_MODEL, help = model_help())]
    model: PathBuf,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
}

const EXAMPLES: &str = "\
Examples:
  dldl info
  dldl info runs/mine/model.safetensors --format json";

pub fn run(args: Args) -> Result<Outcome> {
    let bytes = models::bytes(&args.model).map_err(UsageError::new)?.len() as u64;
    // Loads the whole model, so that a file that cannot run is not described.
    let engine = models::engine(&args.model).map_err(UsageError::new)?;
    let info = engine.info();
    match args.format {
        ReportFormat::Table => printing::print(&text(info, bytes))?,
        ReportFormat::Json => {
            printing::print(&serde_json::to_string_pretty(&description(info, bytes))?)?
        }
    }
    Ok(Outcome::Complete)
}

/// The description in the file, and values derived from it.
#[derive(Serialize)]
struct Description<'a> {
    #[serde(flatten)]
    info: &'a ModelInfo,
    /// The network's name.
    network: String,
    parameters: usize,
    /// Multiply-accumulates for a crop of the input size.
    macs: u64,
    file_bytes: u64,
}

fn description(info: &ModelInfo, file_bytes: u64) -> Description<'_> {
    let (network, parameters) = (info.net.name(), info.net.parameter_count());
    Description { info, network, parameters, macs: info.net.macs(info.input_size), file_bytes }
}

fn text(info: &ModelInfo, bytes: u64) -> String {
    let net = &info.net;
    let widths: Vec<String> = net.layers().iter().map(|(w, _)| w.to_string()).collect();
    let [left, right, ..] = info.template.points;
    let size = info.input_size;
    let given = |text: &str| if text.is_empty() { "not given".to_owned() } else { text.to_owned() };
    let mut lines = vec![
        ("model", info.name.clone()),
        ("estimates", {
            let tasks: Vec<&str> = info.heads.iter().map(|head| head.task.name()).collect();
            tasks.join(" and ")
        }),
        ("network", format!("{}: 3x3 convolutions of {} channels", net.name(), widths.join(" "))),
        ("parameters", thousands(net.parameter_count() as u64)),
        (
            "work",
            format!("{} million multiply-adds per face", thousands(net.macs(size) / 1_000_000)),
        ),
        (
            "input",
            format!(
                "{size}x{size} pixels, RGB; template {}, eyes {:.0} pixels apart",
                info.template.name,
                (right[0] - left[0]) * size as f64
            ),
        ),
    ];
    for head in &info.heads {
        let labels = &head.labels;
        let task = if info.heads.len() == 1 { String::new() } else { format!(" ({})", head.task) };
        lines.push((
            "labels",
            format!(
                "{}: {} to {} by {}{task}",
                labels.len(),
                labels.min(),
                labels.max(),
                labels.step()
            ),
        ));
        lines.push(("method", method(&head.method)));
        lines.push((
            "intervals",
            match (head.intervals(true), head.intervals(false)) {
                (Some(table), Some(_)) => calibrated(table, ""),
                (Some(table), None) => calibrated(table, ", with flip fusion only"),
                (None, Some(table)) => calibrated(table, ", without flip fusion only"),
                (None, None) => "not calibrated".to_owned(),
            },
        ));
        if let Some(calibration) = head.calibration.as_ref().filter(|c| c.temperature != 1.0) {
            lines.push(("temperature", calibration.temperature.to_string()));
        }
        if let Some(map) = head.recalibration() {
            lines.push(("recalibration", printing::recalibration(map)));
        }
        if let Some(chosen) = head.calibration.as_ref().and_then(|c| c.chosen.as_ref()) {
            let what = format!("{} pictures of {}, first half", chosen.n, chosen.on);
            lines.push(("chosen on", what));
        }
    }
    if let Some(quantization) = &info.quantization {
        lines.extend([
            ("weights", quantization.weights.clone()),
            ("activations", quantization.activations.clone()),
            ("quantized with", quantization.calibration.clone()),
        ]);
    }
    lines.extend([
        ("training data", given(&info.training_data)),
        ("recipe", first_paragraph(&given(&info.recipe))),
        ("license", given(&info.license)),
    ]);
    for (i, figure) in info.figures.iter().enumerate() {
        let name = if i == 0 { "figures" } else { "" };
        lines.push((name, format!("{} {:.3} ({})", figure.name, figure.value, figure.of)));
    }
    lines.push(("file", format!("{} bytes", thousands(bytes))));
    lines.iter().map(|(name, value)| format!("{name:14} {}\n", indented(value))).collect()
}

fn calibrated(table: &IntervalCalibration, kind: &str) -> String {
    let bands = table.bands.as_ref().map_or(String::new(), |bands| {
        let edges: Vec<String> = bands.edges().iter().skip(1).map(f64::to_string).collect();
        format!(", by band of the estimate (from {})", edges.join(", "))
    });
    format!("calibrated on {} pictures of {}{bands}{kind}", table.n, table.on)
}

/// The method's name and parameters.
fn method(method: &Method) -> String {
    let fields = serde_json::to_value(method).unwrap_or_default();
    let fields = fields.as_object().into_iter().flatten().filter(|(key, _)| *key != "name");
    let parameters: Vec<String> = fields
        .map(|(key, value)| format!("{key} {}", value.to_string().replace('"', "")))
        .collect();
    format!("{} {}", method.name(), parameters.join(", "))
}

/// Cuts a recipe, which may be pages long, after its first paragraph.
fn first_paragraph(text: &str) -> String {
    match text.split_once("\n\n") {
        Some((first, _)) => format!("{first}\n... (--format json has all of it)"),
        None => text.to_owned(),
    }
}

/// Indents further lines to the column of the first.
fn indented(value: &str) -> String {
    value.trim_end().replace('\n', &format!("\n{:15}", ""))
}
