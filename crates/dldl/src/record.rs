//! The record of a picture and its faces: the JSON form of results in all interfaces.
//! Values are rounded only here.

use serde::{Deserialize, Serialize};

use crate::{Distribution, FaceEstimate, HeadEstimate, LabelSet, ModelInfo, Picture, Task};

/// What a record contains.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordOptions {
    /// The probability that an interval contains the true value, 0..=1.
    pub level: f64,
    /// Whether to include the probabilities of all labels.
    pub distribution: bool,
    /// For ages: the thresholds, in years, whose probability of being reached is included
    /// ([`check_thresholds`]).
    pub thresholds: Vec<f64>,
    /// Faces of a lower quality get no estimates, 0..=1.
    pub min_quality: f64,
}

impl RecordOptions {
    /// Why a face gets no estimates; none if it does. Qualities are compared as they are
    /// printed, with two decimals.
    pub fn refusal(&self, face: &FaceEstimate) -> Option<String> {
        let (quality, least) = (round(face.quality, 2), self.min_quality);
        (quality < least).then(|| format!("quality {quality} is below {least}"))
    }
}

impl Default for RecordOptions {
    /// Intervals of 90 % for all faces, without distributions.
    fn default() -> Self {
        Self { level: 0.9, distribution: false, thresholds: Vec::new(), min_quality: 0.0 }
    }
}

/// A picture and its faces. Fields without a value are left out of the JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "A picture and the estimates for its faces"))]
pub struct PictureRecord {
    /// Name of the picture, as it was given.
    pub image: String,
    /// Width in pixels of the upright picture; absent if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Height in pixels of the upright picture; absent if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<usize>,
    /// Of a video, the number of the frame among those that were looked at, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
    /// Of a video, the time of the frame in seconds from its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
    /// Name of the model.
    pub model: String,
    /// Version of this format: 2.
    pub version: u32,
    /// The faces, largest first.
    pub faces: Vec<FaceRecord>,
    /// Why the picture has no results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A face and its estimates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FaceRecord {
    /// Left, top, width and height in pixels of the upright picture, x to the right
    /// and y down; may reach beyond the picture.
    #[serde(rename = "box")]
    pub bbox: [f64; 4],
    /// The detector's confidence that this is a face, 0 to 1; absent without
    /// detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Left eye, right eye, nose, left and right corner of the mouth, left and right
    /// as seen when the face is upright, each `[x, y]`; absent without detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landmarks: Option<[[f64; 2]; 5]>,
    /// By how many degrees the face is turned clockwise in the picture, to the nearest
    /// quarter: 0, 90, 180 or 270; absent without detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<u16>,
    /// In a video, the number of the person: the same in all frames that show the same face
    /// without a longer gap. Absent until it was seen in several frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<u64>,
    /// How well the picture suits an estimate of the age, 0 to 1: the error to be expected
    /// of a clear picture, divided by that to be expected of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// Why the face has no estimates; absent if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_assessed: Option<String>,
    /// Apparent age in years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<EstimateRecord>,
    /// Attractiveness on the scale of the model's raters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attractiveness: Option<EstimateRecord>,
    /// Chronological age in years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real_age: Option<EstimateRecord>,
    /// In a video, the estimates from this frame alone; those above are from all frames so
    /// far in which the person was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single: Option<SingleFrameRecord>,
}

/// The estimates from one frame of a video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SingleFrameRecord {
    /// Apparent age in years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<f64>,
    /// Attractiveness on the scale of the model's raters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attractiveness: Option<f64>,
    /// Chronological age in years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real_age: Option<f64>,
}

impl SingleFrameRecord {
    /// The values of a face's estimates.
    pub fn new(face: &FaceEstimate) -> Self {
        let value = |task| face.get(task).map(|estimate| round(estimate.value, 2));
        Self {
            age: value(Task::Age),
            attractiveness: value(Task::Attractiveness),
            real_age: value(Task::RealAge),
        }
    }

    /// The value of a task.
    pub fn get(&self, task: Task) -> Option<f64> {
        match task {
            Task::Age => self.age,
            Task::Attractiveness => self.attractiveness,
            Task::RealAge => self.real_age,
            _ => None,
        }
    }
}

/// One estimate: years for ages, points for attractiveness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EstimateRecord {
    /// The estimate.
    pub value: f64,
    /// Standard deviation of the distribution.
    pub std: f64,
    /// The interval at the level that was asked for.
    pub interval: IntervalRecord,
    /// Of ages, the probability of being at least as old as each threshold that was asked
    /// for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_least: Vec<AtLeastRecord>,
    /// The whole distribution, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<DistributionRecord>,
}

/// A range that holds the true value with a probability of `level`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IntervalRecord {
    /// The probability, 0 to 1.
    pub level: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The probability that an age is at least a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AtLeastRecord {
    /// The threshold in years.
    pub threshold: f64,
    /// The probability of all ages from the threshold up, 0 to 1.
    pub probability: f64,
}

/// Probabilities of equally spaced labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DistributionRecord {
    /// The first label.
    pub min: f64,
    /// The distance between two labels.
    pub step: f64,
    /// The probability of `min + k * step` at position k.
    pub probabilities: Vec<f64>,
}

impl PictureRecord {
    /// Version of this format.
    pub const VERSION: u32 = 2;

    /// The record of a picture and its estimates.
    ///
    /// # Panics
    /// If the options' level is not in 0..=1.
    pub fn new(
        image: String,
        model: &str,
        picture: &Picture,
        faces: &[FaceEstimate],
        options: &RecordOptions,
    ) -> Self {
        Self {
            image,
            width: Some(picture.full_size().0),
            height: Some(picture.full_size().1),
            frame: None,
            time: None,
            model: model.to_owned(),
            version: Self::VERSION,
            faces: faces.iter().map(|f| FaceRecord::new(f, picture.reduction(), options)).collect(),
            error: None,
        }
    }

    /// The record of a picture that failed, with the error and its causes in one line.
    pub fn failed(image: String, model: &str, error: String) -> Self {
        Self {
            image,
            width: None,
            height: None,
            frame: None,
            time: None,
            model: model.to_owned(),
            version: Self::VERSION,
            faces: Vec::new(),
            error: Some(error),
        }
    }
}

impl FaceRecord {
    /// The record of a face in a picture with this [`Picture::reduction`].
    ///
    /// # Panics
    /// If the options' level is not in 0..=1.
    pub fn new(face: &FaceEstimate, reduction: usize, options: &RecordOptions) -> Self {
        let not_assessed = options.refusal(face);
        let estimate = |task| {
            let estimate = face.get(task).filter(|_| not_assessed.is_none());
            estimate.map(|estimate| EstimateRecord::new(estimate, options))
        };
        let coordinate = |v: f32| round(f64::from(v) * reduction as f64, 1);
        Self {
            bbox: face.bbox.map(coordinate),
            score: face.score.map(|s| round(s.into(), 4)),
            landmarks: face.landmarks.map(|points| points.map(|p| p.map(coordinate))),
            rotation: face.landmarks.as_ref().map(dldl_face::rotation),
            track: None,
            quality: Some(round(face.quality, 2)),
            age: estimate(Task::Age),
            attractiveness: estimate(Task::Attractiveness),
            real_age: estimate(Task::RealAge),
            single: None,
            not_assessed,
        }
    }

    /// Removes the estimates of all other tasks.
    pub fn keep_only(&mut self, task: Task) {
        let all = [
            (Task::Age, &mut self.age),
            (Task::Attractiveness, &mut self.attractiveness),
            (Task::RealAge, &mut self.real_age),
        ];
        for (other, estimate) in all {
            if other != task {
                *estimate = None;
            }
        }
    }

    /// The estimate of a task.
    pub fn get(&self, task: Task) -> Option<&EstimateRecord> {
        match task {
            Task::Age => self.age.as_ref(),
            Task::Attractiveness => self.attractiveness.as_ref(),
            Task::RealAge => self.real_age.as_ref(),
            _ => None,
        }
    }
}

impl EstimateRecord {
    /// The record of an estimate.
    ///
    /// # Panics
    /// If the options' level is not in 0..=1.
    pub fn new(estimate: &HeadEstimate, options: &RecordOptions) -> Self {
        let interval = estimate.interval(options.level);
        let distribution = &estimate.distribution;
        let at_least = |&threshold: &f64| AtLeastRecord {
            threshold,
            probability: round(distribution.at_least(threshold), 4),
        };
        let thresholds = if is_age(estimate.task) { &options.thresholds[..] } else { &[] };
        Self {
            value: round(estimate.value, 2),
            std: round(estimate.std, 2),
            interval: IntervalRecord {
                level: interval.level,
                low: round(interval.low, 2),
                high: round(interval.high, 2),
            },
            at_least: thresholds.iter().map(at_least).collect(),
            distribution: options.distribution.then(|| DistributionRecord::new(distribution)),
        }
    }
}

impl DistributionRecord {
    fn new(distribution: &Distribution) -> Self {
        Self {
            min: distribution.labels().min(),
            step: distribution.labels().step(),
            probabilities: distribution.probabilities().iter().map(|&p| round(p, 6)).collect(),
        }
    }
}

/// Whether a task is an age, which thresholds in years apply to.
fn is_age(task: Task) -> bool {
    matches!(task, Task::Age | Task::RealAge)
}

/// A threshold that a model cannot answer for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ThresholdError {
    /// The model has no head for ages.
    #[error("the model {0} does not estimate ages, which a threshold is compared with")]
    NoAge(String),
    /// The threshold is not above the first label, so that everybody reaches it, or it is
    /// above the last one.
    #[error(
        "the threshold {threshold} is not in the model's range, above {low} and at most {high}"
    )]
    Range {
        /// The threshold.
        threshold: f64,
        /// The first label.
        low: f64,
        /// The last label.
        high: f64,
    },
}

/// Checks that each threshold divides the labels: above the first one and at most the
/// last one.
///
/// # Errors
/// [`ThresholdError::Range`] for the first one that does not.
pub fn check_in_range(thresholds: &[f64], labels: &LabelSet) -> Result<(), ThresholdError> {
    let (low, high) = (labels.min(), labels.max());
    let inside = |t: f64| low < t && t <= high;
    match thresholds.iter().find(|t| !inside(**t)) {
        Some(&threshold) => Err(ThresholdError::Range { threshold, low, high }),
        None => Ok(()),
    }
}

/// Checks that a model can answer for these thresholds: it estimates ages, and they are
/// within its labels.
///
/// # Errors
/// [`ThresholdError`] if not.
pub fn check_thresholds(model: &ModelInfo, thresholds: &[f64]) -> Result<(), ThresholdError> {
    let mut ages = model.heads.iter().filter(|head| is_age(head.task)).peekable();
    if !thresholds.is_empty() && ages.peek().is_none() {
        return Err(ThresholdError::NoAge(model.name.clone()));
    }
    ages.try_for_each(|head| check_in_range(thresholds, &head.labels))
}

fn round(value: f64, digits: i32) -> f64 {
    let unit = 10f64.powi(digits);
    // Adding 0 converts -0 to 0.
    (value * unit).round() / unit + 0.0
}

/// The JSON Schema of [`PictureRecord`]: the content of `face-record.schema.json` in this
/// crate, which a test derives from the type.
pub fn record_schema() -> &'static str {
    include_str!("../face-record.schema.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face() -> FaceEstimate {
        let estimator = crate::Estimator::load("tiny").unwrap();
        let picture = Picture::new(96, 96, vec![128; 3 * 96 * 96]).unwrap();
        let mut face = estimator.estimate_whole(&picture).unwrap();
        face.bbox = [-0.04, 20.26, 30.0, 40.0];
        face.score = Some(0.999_96);
        face.landmarks = Some([[1.25, 2.0]; 5]);
        face.quality = 0.496;
        let age = &mut face.heads[0];
        age.distribution = Distribution::gaussian(&LabelSet::age(), 31.416, 2.0).unwrap();
        (age.value, age.std) = (age.distribution.expectation(), age.distribution.std());
        face
    }

    #[test]
    fn records_are_rounded_and_omit_absent_fields() {
        let picture = Picture::new(2, 1, vec![0; 6]).unwrap();
        let thresholds = vec![18.0, 31.5];
        let options = RecordOptions { distribution: true, thresholds, ..Default::default() };
        let record = PictureRecord::new("a.jpg".into(), "tiny", &picture, &[face()], &options);
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!((json["width"].as_u64(), json["height"].as_u64()), (Some(2), Some(1)));
        assert_eq!((json["version"].as_u64(), json["model"].as_str()), (Some(2), Some("tiny")));
        assert!(json.get("error").is_none());
        let face = &json["faces"][0];
        assert_eq!(face["box"].to_string(), "[0.0,20.3,30.0,40.0]");
        assert_eq!(face["score"], 1.0);
        assert!(face.get("real_age").is_none() && face.get("attractiveness").is_some());
        let age = &face["age"];
        assert_eq!((age["value"].as_f64(), age["std"].as_f64()), (Some(31.42), Some(2.0)));
        assert_eq!(age["interval"]["level"], 0.9);
        // The labels from 32 up: the mean is 31.416.
        let tails = age["at_least"].as_array().unwrap();
        assert_eq!(tails[0], serde_json::json!({ "threshold": 18.0, "probability": 1.0 }));
        let upper = tails[1]["probability"].as_f64().unwrap();
        assert!((0.4..0.5).contains(&upper), "{upper}");
        assert!(face["attractiveness"].get("at_least").is_none());
        let all = age["distribution"]["probabilities"].as_array().unwrap();
        let sum: f64 = all.iter().map(|p| p.as_f64().unwrap()).sum();
        assert!(all.len() == 101 && (sum - 1.0).abs() < 1e-4);
        assert_eq!((face["quality"].as_f64(), face.get("not_assessed")), (Some(0.5), None));
        assert_eq!(serde_json::from_value::<PictureRecord>(json).unwrap(), record);

        let failed = PictureRecord::failed("b.jpg".into(), "tiny", "empty file".into());
        assert_eq!(
            serde_json::to_string(&failed).unwrap(),
            r#"{"image":"b.jpg","model":"tiny","version":2,"faces":[],"error":"empty file"}"#
        );
    }

    #[test]
    fn one_task_can_be_kept() {
        let mut record = FaceRecord::new(&face(), 1, &RecordOptions::default());
        let age = record.age.clone();
        record.keep_only(Task::Age);
        assert_eq!((record.age.clone(), &record.attractiveness), (age, &None));
        record.keep_only(Task::RealAge);
        assert_eq!(record.age, None);
    }

    #[test]
    fn thresholds_are_within_the_ages_of_the_model() {
        let mut model = crate::models::info("tiny").unwrap();
        assert_eq!(check_thresholds(&model, &[18.0, 0.5, 100.0]), Ok(()));
        for wrong in [0.0, -3.0, 100.5, f64::NAN, f64::INFINITY] {
            let refused = check_thresholds(&model, &[18.0, wrong]).unwrap_err();
            assert!(refused.to_string().contains("above 0 and at most 100"), "{refused}");
        }
        model.heads.remove(0);
        assert_eq!(check_thresholds(&model, &[]), Ok(()));
        let refused = check_thresholds(&model, &[3.0]).unwrap_err();
        assert_eq!(refused, ThresholdError::NoAge("tiny".into()));
    }

    #[test]
    fn faces_of_low_quality_are_listed_without_estimates() {
        let of = |min_quality: f64| {
            let options = RecordOptions { min_quality, ..RecordOptions::default() };
            (FaceRecord::new(&face(), 1, &options), options.refusal(&face()))
        };
        // 0.496 is printed as 0.5.
        assert!(of(0.5).0.age.is_some() && of(0.5).1.is_none());
        let (record, refusal) = of(0.51);
        assert_eq!((&record.age, &record.attractiveness), (&None, &None));
        assert_eq!((record.quality, record.not_assessed.clone()), (Some(0.5), refusal));
        assert_eq!(record.not_assessed.as_deref(), Some("quality 0.5 is below 0.51"));
        assert!(record.landmarks.is_some() && record.score.is_some());
    }

    /// After a change of the record, run this test with `UPDATE_SCHEMA=1`.
    #[test]
    fn the_schema_file_is_up_to_date() {
        let schema = schemars::schema_for!(PictureRecord);
        let schema = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write("face-record.schema.json", &schema).unwrap();
        }
        assert_eq!(record_schema(), schema);
    }
}
