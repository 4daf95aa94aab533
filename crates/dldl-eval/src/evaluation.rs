//! An evaluation as a value: what a model said of every picture, and the figures
//! that follow from it. It is what `dldl eval` writes as JSON, and all that
//! tables, comparisons and report pages are made from. How predictions are made
//! is in [`crate::evaluate()`], how figures are computed in `figures` and its
//! neighbours.

use dldl::{Calibration, LabelSet};
use dldl_data::{Problem, Sex};
use serde::{Deserialize, Serialize};

use crate::Scale;

/// The levels of the intervals that are looked at, as shares of 1.
pub const LEVELS: [f64; 4] = [0.5, 0.8, 0.9, 0.95];

/// Groups of fewer pictures are shown, but marked, and are neither the worst nor
/// the best of a breakdown.
pub const MIN_GROUP: usize = 30;

/// What was evaluated, on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The model's name.
    pub model: String,
    /// What was estimated: `age` or `attractiveness`.
    pub task: String,
    /// The name of the method that the model was trained with.
    pub method: String,
    /// The dataset's name.
    pub dataset: String,
    /// The split's name, or `all`.
    pub split: String,
    /// How the splits came about, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The labels that the model knows.
    pub labels: LabelSet,
    /// Unit, thresholds and bands, by task and labels.
    pub scale: Scale,
    /// What the model's intervals were calibrated on, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// What the model says of one labelled picture, in units of the label.
///
/// Where the label is a range, `nll`, `crps` and coverage are those of a truth
/// that is equally likely any of the range's labels, and `pit` is that of its
/// middle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The picture, as the dataset names it.
    pub file: String,
    /// The true value, or the raters' mean, or the middle of a range.
    pub truth: f64,
    /// The raters' standard deviation, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// Both ends of the label, both included, where it is a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// Sex as the dataset records it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<Sex>,
    /// Race or ethnicity in the dataset's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub race: Option<String>,
    /// The person, or the pictures that belong together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether the crop is aligned by a face's landmarks; if not, it is the
    /// whole picture.
    pub aligned: bool,
    /// The estimate from the crop as it is.
    pub plain: f64,
    /// The estimate from its mirror image.
    pub flipped: f64,
    /// The estimate from the mean of the two distributions. What follows is of
    /// that mean, too.
    pub fused: f64,
    /// The standard deviation.
    pub std: f64,
    /// The probability of less than the truth ([`dldl::Distribution::pit`]).
    pub pit: f64,
    /// The negative logarithm of the density at the truth, in nats.
    pub nll: f64,
    /// The continuous ranked probability score, in units of the label.
    pub crps: f64,
    /// Both ends of the intervals of the [`LEVELS`], calibrated if the model is.
    pub intervals: [[f64; 2]; LEVELS.len()],
}

/// A figure, and how far chance alone would move it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The figure of the pictures at hand.
    pub value: f64,
    /// The 95 % interval: percentiles of the bootstrap over people
    /// ([`dldl_label::metrics::bootstrap`]). None where all pictures show one
    /// person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

/// How far estimates are from the truth. A figure is none where there is nothing
/// to compute it from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean absolute error, in units of the label.
    pub mae: Option<Measured>,
    /// Root of the mean squared error, in units of the label.
    pub rmse: Option<Measured>,
    /// Pearson's correlation coefficient, -1..=1.
    pub pearson: Option<Measured>,
    /// The mean of estimate minus truth: above 0, the model says too much.
    pub bias: Option<Measured>,
    /// The median absolute error, in units of the label.
    pub median_error: Option<Measured>,
    /// Percentage of samples with an error of at most 3 times the scale's
    /// [`unit`](Scale::unit), 0..=100.
    pub cs3: Option<Measured>,
    /// The same of at most 5.
    pub cs5: Option<Measured>,
    /// The same of at most 8.
    pub cs8: Option<Measured>,
    /// The same of at most 0, 1, ..., 15.
    pub cs_curve: Vec<Threshold>,
    /// ChaLearn's epsilon-error, 0..=1, over the samples whose sigma is known.
    pub epsilon_error: Option<Measured>,
    /// The same as the challenge counted it: a picture that could not be used
    /// counts 1.
    pub epsilon_error_with_failures: Option<Measured>,
}

/// A point of the curve of cumulative scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The error, in units of the label.
    pub error: f64,
    /// How many of a hundred samples have at most that.
    pub percent: f64,
}

/// How good the distributions and the intervals are, after flip fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probabilistic {
    /// The mean negative logarithm of the density at the truth, in nats.
    pub nll: Option<Measured>,
    /// The mean continuous ranked probability score, in units of the label: the
    /// MAE, if every distribution were one label alone.
    pub crps: Option<Measured>,
    /// How the intervals do, one entry for each of the [`LEVELS`].
    pub coverage: Vec<Coverage>,
    /// How many truths have which cumulative probability, in 20 bins from 0 to 1:
    /// flat, if the distributions are right.
    pub pit: Vec<usize>,
    /// Promised against observed coverage, by levels from 0.05 to 0.95.
    pub reliability: Vec<Reliability>,
}

/// How the intervals of one level do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The share of truths that should be inside, 0..=1.
    pub level: f64,
    /// The share that is.
    pub observed: Measured,
    /// The mean width, in units of the label.
    pub width: Measured,
}

/// A point of the reliability curve; all are shares, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// The level.
    pub level: f64,
    /// The share of truths inside the distribution's central interval of this
    /// level, as the network says it.
    pub distribution: f64,
    /// The same of the calibrated interval; none for a model that is not
    /// calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<f64>,
}

/// The samples, told apart by something that is known of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// By what: `age`, `sex`, `race`, or two of them: `age x sex`.
    pub by: String,
    /// The groups, in order.
    pub groups: Vec<Group>,
    /// The group with the largest MAE, of those that are large enough.
    pub worst: Option<String>,
    /// The group with the smallest.
    pub best: Option<String>,
    /// The difference of their MAE, in units of the label.
    pub gap: Option<f64>,
}

/// A group of samples; the figures are those of flip fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The group's name.
    pub name: String,
    /// How many pictures.
    pub n: usize,
    /// Whether there are fewer than [`MIN_GROUP`].
    pub few: bool,
    /// Mean absolute error, in units of the label.
    pub mae: Measured,
    /// The mean of estimate minus truth.
    pub bias: Measured,
    /// How the intervals do.
    pub coverage: Vec<Coverage>,
}

/// Where labels are ranges: how many estimates fall into theirs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hits {
    /// How many labels are ranges.
    pub n: usize,
    /// The share whose estimate, rounded to a label, lies in the range, 0..=1.
    pub share: Measured,
    /// The same by race, where it is known.
    pub by_race: Vec<GroupHits>,
    /// The race with the smallest share, of those that are large enough.
    pub worst: Option<String>,
    /// The one with the largest.
    pub best: Option<String>,
}

/// The share of a group's estimates that fall into their ranges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupHits {
    /// The group's name.
    pub name: String,
    /// How many pictures.
    pub n: usize,
    /// Whether there are fewer than [`MIN_GROUP`].
    pub few: bool,
    /// The share, 0..=1.
    pub share: Measured,
}

/// Age assurance after NIST's evaluation (FATE, NIST IR 8525): a shop lets
/// everybody in whose estimate is at least the challenge age, and asks the others
/// for a proof of being 18. Shares are 0..=1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assurance {
    /// Everybody.
    pub all: AssuranceGroup,
    /// By sex, where it is known.
    pub by_sex: Vec<AssuranceGroup>,
    /// By race, where it is known.
    pub by_race: Vec<AssuranceGroup>,
}

/// Age assurance for one group of people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssuranceGroup {
    /// The group's name.
    pub name: String,
    /// How many are below 18.
    pub minors: usize,
    /// How many of these are 14 to 17.
    pub teens: usize,
    /// How many are 18 to 30.
    pub adults: usize,
    /// Mean absolute error of those from 18 to 30, in years.
    pub adults_mae: Option<Measured>,
    /// One row for each challenge age from 20 to 30.
    pub rows: Vec<ChallengeAge>,
}

/// What a challenge age costs; none where there is nobody of that age.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChallengeAge {
    /// The challenge age, in years.
    pub age: f64,
    /// False positives: the share of those below 18 who are let in.
    pub minors_passed: Option<Measured>,
    /// The same of those from 14 to 17.
    pub teens_passed: Option<Measured>,
    /// The share of those from 18 to 30 who are asked for a proof.
    pub adults_challenged: Option<Measured>,
}

/// Always predicting one value: what a model must beat.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The median label of the train split.
    pub train_median: f64,
    /// The mean absolute error of predicting it for every evaluated sample.
    pub mae: f64,
}

/// How the crops came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crops {
    /// Aligned by a face's landmarks.
    pub aligned: usize,
    /// The whole picture: no face was found, or none was looked for.
    pub whole_picture: usize,
}

/// An evaluation. Its text form is a table for people; as JSON the figures have
/// all their digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What was evaluated.
    #[serde(flatten)]
    pub subject: Subject,
    /// How many pictures the figures are of.
    pub n: usize,
    /// How many of them have a known sigma, which the epsilon-error is of.
    pub n_sigma: usize,
    /// How many people, or groups of pictures that belong together; the
    /// intervals are of a bootstrap over these.
    pub n_groups: usize,
    /// How many pictures could not be used; they are not in the figures.
    pub failures: usize,
    /// The share of pictures that could not be used (NIST's failure to
    /// process), 0..=1.
    pub failure_rate: f64,
    /// How the crops came about.
    pub crops: Crops,
    /// From the crop as it is.
    pub plain: Metrics,
    /// From its mirror image.
    pub flipped: Metrics,
    /// From the mean of both distributions.
    pub flip_fusion: Metrics,
    /// The distributions and intervals.
    pub probabilistic: Probabilistic,
    /// Predicting the train split's median; none without one.
    pub baseline: Option<Baseline>,
    /// By band of the truth, sex, race and their crossings, where they are known.
    pub breakdowns: Vec<Breakdown>,
    /// Estimates in their ranges; none where no label is a range.
    pub hits: Option<Hits>,
    /// Age assurance; none where nobody is below 18, or what was estimated is not
    /// an age.
    pub assurance: Option<Assurance>,
    /// The pictures that could not be used, and why.
    pub failed: Vec<Problem>,
    /// Entries of the dataset that are no samples, and why, of all splits.
    pub problems: Vec<Problem>,
    /// What the model said, picture by picture.
    pub predictions: Vec<Prediction>,
}
