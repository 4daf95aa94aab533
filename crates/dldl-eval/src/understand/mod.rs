//! Interpretation of models (specification 5.7): class activation maps of the
//! expectation ([`cam()`]) and estimates under occlusion ([`occlusion()`]), of one face
//! or averaged over a dataset by band ([`over_set`]); learned distributions beside those of
//! the labels ([`learned()`]); and the relation between Ranking and label distributions in
//! trained models ([`ranking`]). `paint` draws maps as a bitmap, [`crate::page`] as part of
//! a report.

mod cam;
pub mod color;
mod learned;
mod occlusion;
mod paint;
pub mod ranking;
mod ranking_figure;
mod set;
mod table;

use dldl::{Crop, Engine, Head, NetError, Task};
use dldl_data::Problem;
use serde::{Deserialize, Serialize};

use crate::{EvalError, Scale};

pub use cam::{cam, slope};
pub use learned::{
    Learned, LearnedDistribution, LearnedFace, LearnedOptions, learned, learned_figure,
};
pub use occlusion::{Occluded, PARTS, Pattern, Region, occlusion};
pub use paint::paint;
pub(crate) use ranking_figure::rank_curve_plots;
pub use ranking_figure::{rank_code_figure, rank_curves_figure};
pub use set::{SetOptions, over_set};

/// Why maps cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum UnderstandError {
    /// The dataset has no suitable samples.
    #[error(transparent)]
    Set(#[from] EvalError),
    /// The model cannot run, or does not support such maps.
    #[error(transparent)]
    Model(#[from] NetError),
    /// Models that are compared have different labels.
    #[error("{first} and {second} have different labels: compare models with the same labels")]
    OtherLabels {
        /// The first model.
        first: String,
        /// The other one.
        second: String,
    },
    /// A picture that was asked for by its name.
    #[error("{file} is not in the split, or has no label of the task: see `dldl data check`")]
    NoSuchFile {
        /// The name.
        file: String,
    },
}

/// The method of interpretation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Class activation maps of the expectation.
    Cam,
    /// Occlusion of parts of the picture.
    Occlusion,
}

/// The quantity that a map shows, in units of the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The contribution of a position to the estimate, to first order.
    Contribution,
    /// The estimate with this part covered, minus that of the intact picture.
    Change,
    /// The mean absolute error over a dataset with this part covered.
    Mae,
}

impl Measure {
    /// Whether its sign has a meaning.
    pub fn signed(self) -> bool {
        self != Self::Mae
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Contribution => "contribution to the estimate",
            Self::Change => "change of the estimate",
            Self::Mae => "mean absolute error",
        }
    }
}

/// Values over the crop, which is divided into equal rows and columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// How the crop was divided: `features`, `vertical strips`, `horizontal
    /// strips` or `grid`.
    pub name: String,
    /// The quantity.
    pub measure: Measure,
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// `[rows][columns]`, from the top left.
    pub values: Vec<f64>,
}

impl Map {
    /// The smallest and the largest value.
    pub fn range(&self) -> (f64, f64) {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        self.values.iter().fold((low, high), |(low, high), &v| (low.min(v), high.max(v)))
    }
}

/// The maps of one face, or the mean maps of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its name: `face 1`, `all`, `20-29`.
    pub name: String,
    /// The number of faces.
    pub n: usize,
    /// The mean estimate, each fused over crop and mirror image, in units of the label.
    pub estimate: f64,
    /// The mean true label, if known.
    pub truth: Option<f64>,
    /// The mean absolute error, if the true labels are known.
    pub mae: Option<f64>,
    /// The maps.
    pub maps: Vec<Map>,
    /// The crop, or the mean of the crops; `None` for so few crops that their mean would
    /// still show a recognizable person.
    #[serde(skip)]
    pub face: Option<Crop>,
}

/// Maps of a picture or a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Maps {
    /// The method of interpretation.
    pub kind: Kind,
    /// The model's name.
    pub model: String,
    /// The task.
    pub task: Task,
    /// Unit, digits and bands of the values.
    pub scale: Scale,
    /// The picture's name, or the dataset's with its split.
    pub of: String,
    /// Side of the crops in pixels.
    pub size: usize,
    /// The faces, or all faces and the bands.
    pub groups: Vec<Group>,
    /// The pictures that failed, with the reason.
    #[serde(default)]
    pub failed: Vec<Problem>,
}

impl Maps {
    /// Computes the maps of the crops of one picture, named `face 1`, `face 2` and so on.
    ///
    /// # Errors
    /// [`NetError`] if the model cannot run, or, for [`Kind::Cam`], is quantized.
    ///
    /// # Panics
    /// If the model has no head with index `head`.
    pub fn of_crops(
        kind: Kind,
        engine: &Engine,
        head: usize,
        crops: &[Crop],
        picture: &str,
    ) -> Result<Self, NetError> {
        let mut groups = Vec::new();
        for (i, crop) in crops.iter().enumerate() {
            let (estimate, maps) = maps_of(kind, engine, head, crop)?;
            groups.push(Group {
                name: format!("face {}", i + 1),
                n: 1,
                estimate,
                truth: None,
                mae: None,
                maps,
                face: Some(crop.clone()),
            });
        }
        let size = crops.first().map_or(engine.info().input_size, |crop| crop.size());
        let Head { task, labels, .. } = head_of(engine, head).0;
        let (model, scale) = (engine.info().name.clone(), Scale::new(task, &labels));
        Ok(Self { kind, model, task, scale, of: picture.into(), size, groups, failed: vec![] })
    }

    /// The maps as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("maps can be written as JSON")
    }
}

/// The estimate and the maps of one crop.
fn maps_of(
    kind: Kind,
    engine: &Engine,
    head: usize,
    crop: &Crop,
) -> Result<(f64, Vec<Map>), NetError> {
    match kind {
        Kind::Cam => {
            let (map, estimate) = cam(engine, head, crop)?;
            Ok((estimate, vec![map]))
        }
        Kind::Occlusion => {
            let occluded = occlusion(engine, head, crop)?;
            let change = |v: f64| v - occluded.intact;
            let maps = Pattern::ALL.into_iter().zip(&occluded.covered);
            let maps = maps.map(|(p, values)| {
                p.map(Measure::Change, values.iter().copied().map(change).collect())
            });
            Ok((occluded.intact, maps.collect()))
        }
    }
}

/// A head by its index, and the range of its outputs.
fn head_of(engine: &Engine, head: usize) -> (Head, std::ops::Range<usize>) {
    let info = engine.info();
    (info.heads[head].clone(), info.output_ranges().swap_remove(head))
}
