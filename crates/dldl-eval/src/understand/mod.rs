//! What a model looks at (specification 5.7), as data: class activation maps for
//! the expectation ([`cam()`]) and the estimate under occlusion ([`occlusion()`]), of
//! one face or averaged over a set by band ([`over_set`]); and the link between
//! Ranking and label distributions on trained models ([`ranking`]). Painting maps as a
//! bitmap is in `paint`, as part of a page in [`crate::page`].

mod cam;
pub mod color;
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
pub use occlusion::{Occluded, PARTS, Pattern, Region, occlusion};
pub use paint::paint;
pub(crate) use ranking_figure::learned_plots;
pub use ranking_figure::{learned_figure, theorem_figure};
pub use set::{SetOptions, over_set};

/// Why there are no maps.
#[derive(Debug, thiserror::Error)]
pub enum UnderstandError {
    /// The set has nothing that fits.
    #[error(transparent)]
    Set(#[from] EvalError),
    /// The model cannot run, or cannot give such maps.
    #[error(transparent)]
    Model(#[from] NetError),
}

/// How one finds out what a model looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Class activation maps for the expectation.
    Cam,
    /// Covering parts of the picture.
    Occlusion,
}

/// What the numbers of a map are, all in units of the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// What a place adds to the estimate, to first order; below 0 it lowers it.
    Contribution,
    /// The estimate with this part covered, less that of the picture as it is.
    Change,
    /// The mean absolute error over a set with this part covered.
    Mae,
}

impl Measure {
    /// Whether 0 divides the numbers into two kinds.
    pub fn signed(self) -> bool {
        self != Self::Mae
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Contribution => "contribution to the estimate",
            Self::Change => "change of the estimate",
            Self::Mae => "mean absolute error",
        }
    }
}

/// Numbers over the crop: its rows and columns divided into equal parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// How the crop was divided: `features`, `vertical strips`, `horizontal
    /// strips` or `grid`.
    pub name: String,
    /// What the numbers are.
    pub measure: Measure,
    /// Rows of parts.
    pub rows: usize,
    /// Columns of parts.
    pub columns: usize,
    /// `[rows][columns]`, from the top.
    pub values: Vec<f64>,
}

impl Map {
    /// The smallest and the largest number.
    pub fn range(&self) -> (f64, f64) {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        self.values.iter().fold((low, high), |(low, high), &v| (low.min(v), high.max(v)))
    }
}

/// The maps of one face, or the mean maps of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Which ones: `face 1`, `all`, `20-29`.
    pub name: String,
    /// How many faces.
    pub n: usize,
    /// The mean estimate (of crop and mirror image), in units of the label.
    pub estimate: f64,
    /// The mean truth, where it is known.
    pub truth: Option<f64>,
    /// The mean absolute error, where the truth is known.
    pub mae: Option<f64>,
    /// The maps.
    pub maps: Vec<Map>,
    /// The crop, or the mean of the crops: none where these are so few that
    /// their mean would still show a person.
    #[serde(skip)]
    pub face: Option<Crop>,
}

/// Maps and what they are of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Maps {
    /// How they were made.
    pub kind: Kind,
    /// The model's name.
    pub model: String,
    /// What it estimates.
    pub task: Task,
    /// Unit and digits of the numbers.
    pub scale: Scale,
    /// The picture's name, or the dataset's with its split.
    pub of: String,
    /// Side of the crops in pixels.
    pub size: usize,
    /// The faces or the bands.
    pub groups: Vec<Group>,
    /// The pictures that could not be used, and why.
    #[serde(default)]
    pub failed: Vec<Problem>,
}

impl Maps {
    /// The maps of crops of one picture, named `face 1`, `face 2` and so on.
    ///
    /// # Errors
    /// [`NetError`] if the model cannot run, or, for [`Kind::Cam`], is quantized.
    ///
    /// # Panics
    /// If the model has no head number `head`.
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

    /// As indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("maps are plain data")
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
            let seen = occlusion(engine, head, crop)?;
            let change = |v: f64| v - seen.intact;
            let maps = Pattern::ALL.into_iter().zip(&seen.covered);
            let maps = maps.map(|(p, values)| {
                p.map(Measure::Change, values.iter().copied().map(change).collect())
            });
            Ok((seen.intact, maps.collect()))
        }
    }
}

/// A head by its number, and the range of its outputs.
fn head_of(engine: &Engine, head: usize) -> (Head, std::ops::Range<usize>) {
    let info = engine.info();
    (info.heads[head].clone(), info.output_ranges().swap_remove(head))
}
