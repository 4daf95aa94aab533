//! From frames to people: faces are searched for now and then and followed in between, and
//! each person's distributions are averaged over the frames.

use std::collections::HashMap;
use std::ops::Deref;

use dldl::{Error, Estimator, Face, FaceEstimate, HeadEstimate, Picture};

use crate::Frame;
use crate::track::{Detection, Tracked, Tracker, TrackerParams, iou};

/// Parameters of the analysis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnalyzerParams {
    /// The tracker's.
    pub tracker: TrackerParams,
    /// The whole frame is searched for faces at least this often, in seconds. Between two
    /// searches, known faces are followed, which takes a small part of the time. 0 searches
    /// every frame.
    pub search_every: f64,
    /// Faces of a lower quality, 0..=1, do not count for the average.
    pub min_quality: f64,
}

impl Default for AnalyzerParams {
    fn default() -> Self {
        Self { tracker: TrackerParams::default(), search_every: 0.3, min_quality: 0.0 }
    }
}

/// A face in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackedFace {
    /// The face and the estimates from this frame alone.
    pub face: FaceEstimate,
    /// The number of the person, once it was found in several frames.
    pub track: Option<u64>,
    /// The estimates from all frames of the person so far, in the order of the model's
    /// heads; empty if none had the quality.
    pub heads: Vec<HeadEstimate>,
}

/// A person: a track that got a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The number, from 1 in the order of appearance.
    pub track: u64,
    /// Times of the first and the last frame, in seconds.
    pub first: f64,
    /// See `first`.
    pub last: f64,
    /// The number of frames in which the face was found.
    pub frames: u64,
    /// The estimates from all frames together: distributions averaged with the square of
    /// each frame's quality as weight, in the order of the model's heads; empty if no frame
    /// had the quality.
    pub heads: Vec<HeadEstimate>,
    /// The frame of the highest quality.
    pub best: Best,
}

/// The frame that shows a person best.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// The number of the frame.
    pub frame: u64,
    /// Its time in seconds.
    pub time: f64,
    /// The face in it.
    pub face: FaceEstimate,
}

/// What is known of a track.
#[derive(Clone, Debug)]
struct Known {
    id: Option<u64>,
    first: f64,
    last: f64,
    frames: u64,
    heads: Vec<HeadEstimate>,
    weight: f64,
    best: Best,
}

/// Follows and estimates the faces of one video. `E` is a reference to an [`Estimator`], or
/// a pointer that shares one.
#[derive(Debug)]
pub struct Analyzer<E> {
    estimator: E,
    params: AnalyzerParams,
    tracker: Tracker,
    known: HashMap<u64, Known>,
    /// When the whole frame was last searched.
    searched: Option<f64>,
}

/// An expected box and a face with at least this IoU are the same.
const FOUND: f32 = 0.3;

impl<E: Deref<Target = Estimator>> Analyzer<E> {
    /// An analyzer that has seen nothing.
    pub fn new(estimator: E, params: AnalyzerParams) -> Self {
        let tracker = Tracker::new(params.tracker);
        Self { estimator, params, tracker, known: HashMap::new(), searched: None }
    }

    /// The faces of the next frame, largest first.
    ///
    /// # Errors
    /// [`Error::Model`] if the model's outputs are not finite.
    pub fn frame(&mut self, frame: &Frame) -> Result<Vec<TrackedFace>, Error> {
        let faces = self.faces(frame.time, &frame.picture);
        let detection = |face: &Face| Detection { bbox: face.bbox, score: face.score };
        let detections: Vec<Detection> = faces.iter().map(detection).collect();
        let tracked = self.tracker.update(frame.time, &detections);
        let estimates = self.estimator.estimate_faces(&frame.picture, &faces)?;
        let both = estimates.into_iter().zip(tracked);
        let faces = both.map(|(face, tracked)| self.take(frame, face, tracked)).collect();
        self.forget(frame.time);
        faces
    }

    /// The people so far, by number.
    pub fn people(&self) -> Vec<Person> {
        people(self.known.values().cloned())
    }

    /// All people, by number.
    pub fn finish(self) -> Vec<Person> {
        people(self.known.into_values())
    }

    /// Finds the faces: near their expected places, or by a search of the whole picture
    /// when it is time for one or a face has just been lost.
    fn faces(&mut self, time: f64, picture: &Picture) -> Vec<Face> {
        let due = |last: f64| !(0.0..self.params.search_every).contains(&(time - last));
        if !self.searched.is_none_or(due) {
            let expected = self.tracker.expected(time);
            let boxes: Vec<[f32; 4]> = expected.iter().map(|e| e.bbox).collect();
            let faces = self.estimator.detect_near(picture, &boxes);
            let found = |bbox: &[f32; 4]| faces.iter().any(|face| iou(&face.bbox, bbox) >= FOUND);
            if expected.iter().all(|e| !e.present || found(&e.bbox)) {
                return faces;
            }
        }
        self.searched = Some(time);
        self.estimator.detect(picture)
    }

    /// Adds a face to its track.
    fn take(
        &mut self,
        frame: &Frame,
        face: FaceEstimate,
        tracked: Option<Tracked>,
    ) -> Result<TrackedFace, Error> {
        // As qualities are printed and compared elsewhere: with two decimals.
        let assessed = (face.quality * 100.0).round() / 100.0 >= self.params.min_quality;
        let Some(Tracked { key, id }) = tracked else {
            let heads = if assessed { face.heads.clone() } else { Vec::new() };
            return Ok(TrackedFace { face, track: None, heads });
        };
        let best = || Best { frame: frame.index, time: frame.time, face: face.clone() };
        let known = self.known.entry(key).or_insert_with(|| Known {
            id,
            first: frame.time,
            last: frame.time,
            frames: 0,
            heads: Vec::new(),
            weight: 0.0,
            best: best(),
        });
        (known.id, known.last) = (id, frame.time);
        known.frames += 1;
        if face.quality > known.best.face.quality {
            known.best = best();
        }
        if assessed {
            // The error grows as the quality falls: weights by the inverse of its square.
            known.add(&face.heads, face.quality.powi(2).max(1e-6))?;
        }
        Ok(TrackedFace { heads: known.heads.clone(), face, track: id })
    }

    /// Drops tracks that ended without a number: mostly no faces.
    fn forget(&mut self, time: f64) {
        let expected = self.tracker.expected(time);
        let alive = |key: &u64| expected.iter().any(|e| e.key == *key);
        self.known.retain(|key, known| known.id.is_some() || alive(key));
    }
}

impl Known {
    fn add(&mut self, heads: &[HeadEstimate], weight: f64) -> Result<(), Error> {
        self.weight += weight;
        if self.heads.is_empty() {
            self.heads = heads.to_vec();
            return Ok(());
        }
        for (mean, new) in self.heads.iter_mut().zip(heads) {
            *mean = mean.mixed(new, weight / self.weight)?;
        }
        Ok(())
    }
}

fn people(known: impl Iterator<Item = Known>) -> Vec<Person> {
    let person = |known: Known| {
        let Known { id, first, last, frames, heads, best, .. } = known;
        Some(Person { track: id?, first, last, frames, heads, best })
    };
    let mut people: Vec<Person> = known.filter_map(person).collect();
    people.sort_by_key(|person| person.track);
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portrait() -> Picture {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
        dldl::decode_file(path.as_ref()).unwrap()
    }

    /// The picture moved to the right, its left edge repeated.
    fn moved(picture: &Picture, by: usize) -> Picture {
        let (width, height) = (picture.width(), picture.height());
        let pixel = |i: usize| picture.pixel((i % width).saturating_sub(by), i / width);
        Picture::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
    }

    fn frame(index: u64, picture: Picture) -> Frame {
        Frame { index, time: 0.04 * index as f64, picture }
    }

    #[test]
    fn a_moving_face_is_followed_and_its_estimates_are_averaged() {
        let estimator = Estimator::load(dldl::DEFAULT_MODEL).unwrap();
        let mut analyzer = Analyzer::new(&estimator, AnalyzerParams::default());
        let picture = portrait();
        let mut weighted = [0.0; 2];
        for i in 0..12 {
            let faces = analyzer.frame(&frame(i, moved(&picture, 6 * i as usize))).unwrap();
            assert_eq!(faces.len(), 1, "frame {i}");
            let TrackedFace { face, track, heads } = &faces[0];
            assert_eq!(*track, (i >= 2).then_some(1));
            let expected = estimator.detect(&moved(&picture, 6 * i as usize));
            assert!(iou(&face.bbox, &expected[0].bbox) > 0.8, "frame {i}");
            let weight = face.quality.powi(2);
            weighted = [weighted[0] + weight, weighted[1] + weight * face.heads[0].value];
            assert!((heads[0].value - weighted[1] / weighted[0]).abs() < 1e-9);
            assert_eq!(heads.len(), 2);
        }
        let people = analyzer.finish();
        let [person] = &people[..] else { panic!("{} people", people.len()) };
        assert_eq!((person.track, person.frames, person.first), (1, 12, 0.0));
        assert!((person.last - 0.44).abs() < 1e-12);
        assert!((person.heads[0].distribution.expectation() - person.heads[0].value).abs() < 0.5);
        assert!(person.heads[0].interval(0.9).low < person.heads[0].value);
    }

    #[test]
    fn faces_below_the_quality_do_not_count() {
        let estimator = Estimator::load(dldl::DEFAULT_MODEL).unwrap();
        let params = AnalyzerParams { min_quality: 1.0, ..AnalyzerParams::default() };
        let mut analyzer = Analyzer::new(&estimator, params);
        for i in 0..4 {
            let faces = analyzer.frame(&frame(i, portrait().resized(200, 200))).unwrap();
            assert!(faces[0].heads.is_empty() && !faces[0].face.heads.is_empty());
        }
        let people = analyzer.people();
        assert!(people.len() == 1 && people[0].heads.is_empty());
    }

    #[test]
    fn frames_without_faces_have_none() {
        let estimator = Estimator::load(dldl::DEFAULT_MODEL).unwrap();
        let mut analyzer = Analyzer::new(&estimator, AnalyzerParams::default());
        let gray = Picture::new(160, 120, vec![128; 3 * 160 * 120]).unwrap();
        for i in 0..3 {
            assert_eq!(analyzer.frame(&frame(i, gray.clone())).unwrap(), []);
        }
        assert_eq!(analyzer.finish(), []);
    }
}
