//! The results of a video as records: a frame is a [`PictureRecord`], a person a
//! [`PersonRecord`]. Values are rounded only here.

use dldl::{
    EstimateRecord, FaceEstimate, FaceRecord, ModelInfo, PictureRecord, RecordOptions,
    SingleFrameRecord, Task,
};
use serde::{Deserialize, Serialize};

use crate::{Frame, Person, TrackedFace};

/// The record of a frame: that of a picture, with the frame's number and time, and with the
/// track of each face. Estimates are those of all frames of the person so far;
/// [`FaceRecord::single`] has those of the frame alone.
///
/// # Panics
/// If the options' level is not in 0..=1.
pub fn frame_record(
    image: &str,
    model: &str,
    frame: &Frame,
    faces: &[TrackedFace],
    options: &RecordOptions,
) -> PictureRecord {
    let mut record = PictureRecord::new(image.to_owned(), model, &frame.picture, &[], options);
    (record.frame, record.time) = (Some(frame.index), Some(round(frame.time, 3)));
    record.faces = faces.iter().map(|face| face_record(face, options)).collect();
    record
}

/// The record of a face in a frame: see [`frame_record`].
///
/// # Panics
/// If the options' level is not in 0..=1.
pub fn face_record(tracked: &TrackedFace, options: &RecordOptions) -> FaceRecord {
    let TrackedFace { face, track, heads } = tracked;
    let of_frame = FaceRecord::new(face, 1, options);
    if heads.is_empty() {
        return FaceRecord { track: *track, ..of_frame };
    }
    // The average counts, whatever the quality of this frame.
    let options = RecordOptions { min_quality: 0.0, ..options.clone() };
    let averaged = FaceEstimate { heads: heads.clone(), ..face.clone() };
    let single = of_frame.not_assessed.is_none().then(|| SingleFrameRecord::new(face));
    FaceRecord { track: *track, single, ..FaceRecord::new(&averaged, 1, &options) }
}

/// A person in a video. Fields without a value are left out of the JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PersonRecord {
    /// Name of the video, as it was given.
    pub video: String,
    /// The number of the person, as in the frames' records.
    pub track: u64,
    /// The time of the first frame with the person, in seconds.
    pub first: f64,
    /// The time of the last one.
    pub last: f64,
    /// In how many frames the face was found.
    pub frames: u64,
    /// The frame that shows the face best.
    pub best: BestFrameRecord,
    /// Apparent age in years, from all frames together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<EstimateRecord>,
    /// Attractiveness on the scale of the model's raters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attractiveness: Option<EstimateRecord>,
    /// Chronological age in years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real_age: Option<EstimateRecord>,
    /// Why there are no estimates; absent if there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_assessed: Option<String>,
    /// Name of the model.
    pub model: String,
    /// Version of this format: that of the frames' records.
    pub version: u32,
}

/// The frame that shows a person best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestFrameRecord {
    /// The number of the frame.
    pub frame: u64,
    /// Its time in seconds.
    pub time: f64,
    /// Left, top, width and height of the face in pixels.
    #[serde(rename = "box")]
    pub bbox: [f64; 4],
    /// Its quality, 0 to 1.
    pub quality: f64,
}

impl PersonRecord {
    /// The record of a person.
    ///
    /// # Panics
    /// If the options' level is not in 0..=1.
    pub fn new(video: &str, model: &ModelInfo, person: &Person, options: &RecordOptions) -> Self {
        let estimate = |task: Task| {
            let head = person.heads.iter().find(|head| head.task == task)?;
            Some(EstimateRecord::new(head, options))
        };
        let refusal = || options.refusal(&person.best.face).map(|why| format!("at best, {why}"));
        let best = &person.best;
        Self {
            video: video.to_owned(),
            track: person.track,
            first: round(person.first, 3),
            last: round(person.last, 3),
            frames: person.frames,
            best: BestFrameRecord {
                frame: best.frame,
                time: round(best.time, 3),
                bbox: best.face.bbox.map(|v| round(v.into(), 1)),
                quality: round(best.face.quality, 2),
            },
            age: estimate(Task::Age),
            attractiveness: estimate(Task::Attractiveness),
            real_age: estimate(Task::RealAge),
            not_assessed: person.heads.is_empty().then(refusal).flatten(),
            model: model.name.clone(),
            version: PictureRecord::VERSION,
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

fn round(value: f64, digits: i32) -> f64 {
    let unit = 10f64.powi(digits);
    (value * unit).round() / unit + 0.0
}
