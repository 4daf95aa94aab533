//! The description as JSON, in the current form and in version 1, which had no
//! `version` field and kept the first head's fields beside `further_heads`.

use dldl_label::{LabelSet, Method, Task};
use serde::{Deserialize, Serialize};

use super::{Calibration, Figure, IntervalCalibration, ModelInfo, Normalization, Quantization};
use crate::{Head, NetSpec, Template};

/// Both forms in one: what a version does not have is absent.
#[derive(Serialize, Deserialize)]
pub(super) struct Model {
    #[serde(default = "first_version")]
    version: u32,
    name: String,
    net: NetSpec,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    heads: Vec<Head>,
    template: Template,
    input_size: usize,
    #[serde(alias = "normalisation")]
    normalization: Normalization,
    #[serde(default)]
    training_data: String,
    #[serde(default)]
    recipe: String,
    #[serde(default, alias = "licence")]
    license: String,
    #[serde(default)]
    figures: Vec<Figure>,
    #[serde(default, alias = "quantisation", skip_serializing_if = "Option::is_none")]
    quantization: Option<Quantization>,

    // Version 1 alone.
    #[serde(default, skip_serializing)]
    task: Option<Task>,
    #[serde(default, skip_serializing)]
    labels: Option<LabelSet>,
    #[serde(default, skip_serializing)]
    method: Option<Method>,
    #[serde(default, skip_serializing)]
    calibration: Option<Calibration>,
    #[serde(default, skip_serializing)]
    further_heads: Vec<Head>,
}

fn first_version() -> u32 {
    1
}

impl TryFrom<Model> for ModelInfo {
    type Error = String;

    fn try_from(model: Model) -> Result<Self, String> {
        let heads = match model.version {
            1 => {
                let missing = |field: &str| format!("missing field `{field}`");
                let first = Head {
                    task: model.task.ok_or_else(|| missing("task"))?,
                    labels: model.labels.ok_or_else(|| missing("labels"))?,
                    method: model.method.ok_or_else(|| missing("method"))?,
                    calibration: model.calibration,
                };
                std::iter::once(first).chain(model.further_heads).collect()
            }
            ModelInfo::VERSION => model.heads,
            other => {
                return Err(format!(
                    "version {other} is newer than this program knows ({}): use a newer dldl",
                    ModelInfo::VERSION
                ));
            }
        };
        Ok(Self {
            name: model.name,
            net: model.net,
            heads,
            template: model.template,
            input_size: model.input_size,
            normalization: model.normalization,
            training_data: model.training_data,
            recipe: model.recipe,
            license: model.license,
            figures: model.figures,
            quantization: model.quantization,
        })
    }
}

impl From<ModelInfo> for Model {
    fn from(info: ModelInfo) -> Self {
        Self {
            version: ModelInfo::VERSION,
            name: info.name,
            net: info.net,
            heads: info.heads,
            template: info.template,
            input_size: info.input_size,
            normalization: info.normalization,
            training_data: info.training_data,
            recipe: info.recipe,
            license: info.license,
            figures: info.figures,
            quantization: info.quantization,
            task: None,
            labels: None,
            method: None,
            calibration: None,
            further_heads: Vec::new(),
        }
    }
}

/// In version 1 there was one table, that for fused distributions.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum IntervalTables {
    Fused(IntervalCalibration),
    Both(Both),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Both {
    #[serde(default)]
    fused: Option<IntervalCalibration>,
    #[serde(default)]
    unfused: Option<IntervalCalibration>,
}

impl From<IntervalTables> for super::IntervalTables {
    fn from(tables: IntervalTables) -> Self {
        match tables {
            IntervalTables::Fused(table) => Self { fused: Some(table), unfused: None },
            IntervalTables::Both(Both { fused, unfused }) => Self { fused, unfused },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION_1: &str = r#"{
        "name": "old", "task": "age", "further_field": 1,
        "net": {"stages": [[8]], "pooling": "hybrid", "outputs": 142},
        "labels": {"min": 0.0, "max": 100.0, "step": 1.0},
        "method": {"name": "dldl-v2", "lambda": 1.0, "scaling": "per-sample"},
        "template": {"name": "t", "points": [[0.3,0.3],[0.7,0.3],[0.5,0.5],[0.4,0.7],[0.6,0.7]]},
        "input_size": 64,
        "normalisation": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
        "licence": "none",
        "calibration": {"temperature": 1.5},
        "further_heads": [{"task": "attractiveness",
            "labels": {"min": 1.0, "max": 5.0, "step": 0.1}, "method": {"name": "dldl"}}]
    }"#;

    #[test]
    fn version_1_is_read_and_version_2_is_written() {
        let info: ModelInfo = serde_json::from_str(VERSION_1).unwrap();
        info.check().unwrap();
        let tasks: Vec<Task> = info.heads.iter().map(|head| head.task).collect();
        assert_eq!(tasks, [Task::Age, Task::Attractiveness]);
        assert_eq!(info.heads[0].calibration, Some(Calibration::temperature(1.5)));
        assert_eq!(info.license, "none");
        let text = serde_json::to_string(&info).unwrap();
        assert!(text.contains(r#""version":2"#) && !text.contains("further_heads"), "{text}");
        assert_eq!(serde_json::from_str::<ModelInfo>(&text).unwrap(), info);
    }

    #[test]
    fn newer_versions_and_missing_fields_are_named() {
        let newer = VERSION_1.replacen('{', r#"{"version": 3,"#, 1);
        let error = serde_json::from_str::<ModelInfo>(&newer).unwrap_err().to_string();
        assert!(error.contains("version 3"), "{error}");
        let error =
            VERSION_1.replace("\"method\": {\"name\": \"dldl-v2\"", "\"way\": {\"name\": 1");
        let error = serde_json::from_str::<ModelInfo>(&error).unwrap_err().to_string();
        assert!(error.contains("missing field `method`"), "{error}");
    }

    #[test]
    fn a_single_table_is_that_of_fused_distributions() {
        let levels: Vec<String> = (1..100).map(|i| format!("0.{i:02}")).collect();
        let table = format!(r#"{{"on": "faces", "n": 5, "levels": [{}]}}"#, levels.join(","));
        let old: Calibration =
            serde_json::from_str(&format!(r#"{{"intervals": {table}}}"#)).unwrap();
        assert_eq!((old.temperature, old.intervals.get(true).unwrap().n), (1.0, 5));
        assert!(old.intervals.get(false).is_none());
        // The same levels for every estimate.
        let fused = old.intervals.get(true).unwrap();
        assert!(fused.bands.is_none() && std::ptr::eq(fused.levels_of(3.0), &fused.levels));
        let text = serde_json::to_string(&old).unwrap();
        assert!(text.contains(r#""intervals":{"fused":"#), "{text}");
        assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), old);
        let plain = serde_json::to_string(&Calibration::temperature(1.5)).unwrap();
        assert_eq!(plain, r#"{"temperature":1.5}"#);
    }
}
