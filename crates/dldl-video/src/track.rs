//! Faces followed from frame to frame, by box and motion, in two steps as ByteTrack does
//! (Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box",
//! 2022): tracks are first paired with sure detections, then those that are left with
//! unsure ones, such as blurred faces. Only sure ones begin a track.

use crate::assignment::best_pairs;

/// A face that was found in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Left, top, width, height in pixels.
    pub bbox: [f32; 4],
    /// The detector's confidence, 0..=1.
    pub score: f32,
}

/// Parameters of the tracker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerParams {
    /// From this score up, a detection is sure.
    pub sure: f32,
    /// For how many seconds a face may be missing and still be the same track.
    pub max_gap: f64,
    /// In how many frames without a gap a face must be found to get a number; at least 1.
    pub min_hits: usize,
}

impl Default for TrackerParams {
    fn default() -> Self {
        Self { sure: 0.9, max_gap: 1.0, min_hits: 3 }
    }
}

/// The track of a detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Identifies the track from its first frame on.
    pub key: u64,
    /// Its number, from 1, once it has enough frames.
    pub id: Option<u64>,
}

/// Where a face is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The track.
    pub key: u64,
    /// Left, top, width, height in pixels.
    pub bbox: [f32; 4],
    /// Whether it was found in the last frame.
    pub present: bool,
}

/// Follows faces. Time is in seconds and never runs backward.
#[derive(Clone, Debug)]
pub struct Tracker {
    params: TrackerParams,
    tracks: Vec<Track>,
    /// The time of the last frame.
    time: Option<f64>,
    next_key: u64,
    next_id: u64,
}

#[derive(Clone, Debug)]
struct Track {
    key: u64,
    id: Option<u64>,
    /// The last detection.
    bbox: [f32; 4],
    /// Of the box's center, in pixels per second.
    velocity: [f64; 2],
    time: f64,
    hits: usize,
}

/// A missing face goes on at its speed for about this long, in seconds.
const MOMENTUM: f64 = 0.4;
/// The weight of the last step in the speed.
const NEWEST: f64 = 0.5;
/// Boxes are compared after they were enlarged by this factor, so that a quick face overlaps
/// its expected place (as in "C-BIoU", Yang et al. 2023).
const ENLARGED: f32 = 1.6;
/// The least IoU of enlarged boxes of one face.
const MIN_IOU: f32 = 0.2;

impl Tracker {
    /// A tracker that has seen nothing.
    pub fn new(params: TrackerParams) -> Self {
        Self { params, tracks: Vec::new(), time: None, next_key: 0, next_id: 1 }
    }

    /// Where the faces are expected at this time.
    pub fn expected(&self, time: f64) -> Vec<Expected> {
        let of = |track: &Track| Expected {
            key: track.key,
            bbox: track.at(time),
            present: Some(track.time) == self.time,
        };
        self.tracks.iter().map(of).collect()
    }

    /// Takes the detections of the next frame; the track of each, in their order. An unsure
    /// detection that continues no track has none.
    pub fn update(&mut self, time: f64, detections: &[Detection]) -> Vec<Option<Tracked>> {
        let time = self.time.map_or(time, |last| last.max(time));
        let pause = self.time.map_or(0.0, |last| time - last);
        self.time = Some(time);
        // With few frames per second, a gap is still two frames.
        let max_gap = self.params.max_gap.max(2.5 * pause);
        self.tracks.retain(|track| time - track.time <= max_gap);

        let mut tracked: Vec<Option<Tracked>> = vec![None; detections.len()];
        let mut free: Vec<usize> = (0..self.tracks.len()).collect();
        for sure in [true, false] {
            let of_step = |&d: &usize| (detections[d].score >= self.params.sure) == sure;
            let candidates: Vec<usize> = (0..detections.len()).filter(of_step).collect();
            let similarity = |&t: &usize| -> Vec<f32> {
                let expected = self.tracks[t].at(time);
                candidates.iter().map(|&d| similarity(&expected, &detections[d].bbox)).collect()
            };
            let rows: Vec<Vec<f32>> = free.iter().map(similarity).collect();
            let pairs = best_pairs(&rows, candidates.len());
            let mut rest = Vec::new();
            for (&t, pair) in free.iter().zip(pairs) {
                match pair {
                    Some(c) => {
                        let d = candidates[c];
                        self.tracks[t].take(time, detections[d].bbox);
                        if self.tracks[t].hits >= self.params.min_hits {
                            self.number(t);
                        }
                        tracked[d] = Some(self.tracks[t].tracked());
                    }
                    None => rest.push(t),
                }
            }
            free = rest;
        }
        // A face that was not found again before it got a number was none.
        self.tracks.retain(|track| track.id.is_some() || track.time == time);

        for (detection, tracked) in detections.iter().zip(&mut tracked) {
            if tracked.is_none() && detection.score >= self.params.sure {
                self.tracks.push(Track {
                    key: self.next_key,
                    id: None,
                    bbox: detection.bbox,
                    velocity: [0.0; 2],
                    time,
                    hits: 1,
                });
                self.next_key += 1;
                let t = self.tracks.len() - 1;
                if self.params.min_hits <= 1 {
                    self.number(t);
                }
                *tracked = Some(self.tracks[t].tracked());
            }
        }
        tracked
    }

    /// Gives a track its number.
    fn number(&mut self, t: usize) {
        if self.tracks[t].id.is_none() {
            self.tracks[t].id = Some(self.next_id);
            self.next_id += 1;
        }
    }
}

impl Track {
    fn tracked(&self) -> Tracked {
        Tracked { key: self.key, id: self.id }
    }

    /// The box expected at a time: the last one, moved.
    fn at(&self, time: f64) -> [f32; 4] {
        let gap = (time - self.time).max(0.0);
        // The speed falls off exponentially.
        let way = MOMENTUM * (1.0 - (-gap / MOMENTUM).exp());
        let [x, y, w, h] = self.bbox;
        [x + (self.velocity[0] * way) as f32, y + (self.velocity[1] * way) as f32, w, h]
    }

    fn take(&mut self, time: f64, bbox: [f32; 4]) {
        let gap = time - self.time;
        if gap > 0.0 {
            let (from, to) = (center(&self.bbox), center(&bbox));
            for (axis, velocity) in self.velocity.iter_mut().enumerate() {
                let step = f64::from(to[axis] - from[axis]) / gap;
                // The first step is all there is.
                let weight = if self.hits == 1 { 1.0 } else { NEWEST };
                *velocity += weight * (step - *velocity);
            }
        }
        (self.bbox, self.time) = (bbox, time);
        self.hits += 1;
    }
}

fn center(&[x, y, w, h]: &[f32; 4]) -> [f32; 2] {
    [x + 0.5 * w, y + 0.5 * h]
}

/// How likely two boxes are one face: the IoU of both enlarged, or 0 if that is small.
fn similarity(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let iou = iou(&enlarged(a), &enlarged(b));
    if iou >= MIN_IOU { iou } else { 0.0 }
}

fn enlarged(&[x, y, w, h]: &[f32; 4]) -> [f32; 4] {
    let by = 0.5 * (ENLARGED - 1.0);
    [x - by * w, y - by * h, ENLARGED * w, ENLARGED * h]
}

/// The intersection of two boxes over their union.
pub(crate) fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let side = |axis: usize| {
        let end = (a[axis] + a[axis + 2]).min(b[axis] + b[axis + 2]);
        (end - a[axis].max(b[axis])).max(0.0)
    };
    let shared = side(0) * side(1);
    let union = a[2] * a[3] + b[2] * b[3] - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: f64 = 0.04;

    fn face(x: f32, y: f32, size: f32) -> Detection {
        Detection { bbox: [x, y, size, 1.2 * size], score: 0.999 }
    }

    fn ids(tracked: &[Option<Tracked>]) -> Vec<Option<u64>> {
        tracked.iter().map(|t| t.and_then(|t| t.id)).collect()
    }

    #[test]
    fn a_face_gets_its_number_in_the_third_frame_and_keeps_it() {
        let mut tracker = Tracker::new(TrackerParams::default());
        for i in 0..50 {
            // It moves by a quarter of its size per frame and grows.
            let step = i as f32;
            let found = tracker.update(FRAME * i as f64, &[face(15.0 * step, 40.0, 60.0 + step)]);
            assert_eq!(ids(&found), [(i >= 2).then_some(1)], "{i}");
            assert_eq!(found[0].unwrap().key, 0);
        }
    }

    #[test]
    fn single_detections_get_no_number() {
        let mut tracker = Tracker::new(TrackerParams::default());
        assert_eq!(ids(&tracker.update(0.0, &[face(0.0, 0.0, 50.0)])), [None]);
        assert!(tracker.update(FRAME, &[]).is_empty() && tracker.expected(FRAME).is_empty());
        let once = TrackerParams { min_hits: 1, ..TrackerParams::default() };
        assert_eq!(ids(&Tracker::new(once).update(0.0, &[face(0.0, 0.0, 50.0)])), [Some(1)]);
    }

    /// Two faces move past each other; one hides the other for seven frames.
    #[test]
    fn crossing_faces_keep_their_numbers() {
        let mut tracker = Tracker::new(TrackerParams::default());
        for i in 0..60 {
            let step = i as f32;
            let (a, b) = (face(10.0 * step, 100.0, 80.0), face(600.0 - 10.0 * step, 110.0, 76.0));
            let apart = (a.bbox[0] - b.bbox[0]).abs();
            let hidden = apart < 60.0;
            let seen = if hidden { vec![a] } else { vec![a, b] };
            let found = ids(&tracker.update(FRAME * i as f64, &seen));
            if i >= 2 {
                assert_eq!(found, [Some(1), Some(2)][..seen.len()], "frame {i}");
            }
        }
    }

    #[test]
    fn a_gap_of_less_than_a_second_is_bridged_and_a_longer_one_is_not() {
        for (gap, id) in [(0.8, 1), (1.5, 2)] {
            let mut tracker = Tracker::new(TrackerParams::default());
            let mut time = 0.0;
            let mut show = |tracker: &mut Tracker, from: f64, frames: usize| {
                time = from;
                let mut last = None;
                for _ in 0..frames {
                    last = ids(&tracker.update(time, &[face(100.0, 100.0, 60.0)]))[0];
                    time += FRAME;
                }
                (last, time)
            };
            let (first, end) = show(&mut tracker, 0.0, 10);
            assert_eq!(first, Some(1));
            let mut empty = end;
            while empty < end + gap {
                tracker.update(empty, &[]);
                empty += FRAME;
            }
            assert_eq!(show(&mut tracker, empty, 5).0, Some(id), "a gap of {gap} s");
        }
    }

    #[test]
    fn faces_enter_and_leave() {
        let mut tracker = Tracker::new(TrackerParams::default());
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..100 {
            let mut faces = vec![face(100.0, 100.0, 60.0)];
            if (20..50).contains(&i) {
                faces.push(face(400.0, 100.0, 60.0));
            }
            if i >= 80 {
                // Long after the second one left, at the same place.
                faces.push(face(400.0, 100.0, 60.0));
            }
            seen.extend(ids(&tracker.update(FRAME * i as f64, &faces)).into_iter().flatten());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn unsure_detections_continue_tracks_and_begin_none() {
        let mut tracker = Tracker::new(TrackerParams::default());
        let unsure = |x: f32| Detection { score: 0.75, ..face(x, 0.0, 60.0) };
        for i in 0..5 {
            tracker.update(FRAME * i as f64, &[face(0.0, 0.0, 60.0)]);
        }
        for i in 5..10 {
            let found = tracker.update(FRAME * i as f64, &[unsure(300.0), unsure(2.0)]);
            assert_eq!(ids(&found), [None, Some(1)]);
            assert_eq!(found[0], None);
        }
    }

    /// One frame per second: faces that stay in place are followed all the same.
    #[test]
    fn few_frames_per_second_do_not_end_tracks() {
        let mut tracker = Tracker::new(TrackerParams::default());
        for i in 0..10 {
            let found = tracker.update(f64::from(i) * 2.0, &[face(50.0, 50.0, 100.0)]);
            assert_eq!(ids(&found), [(i >= 2).then_some(1)]);
        }
    }

    #[test]
    fn the_expected_place_follows_the_motion() {
        let mut tracker = Tracker::new(TrackerParams::default());
        for i in 0..10 {
            tracker.update(FRAME * f64::from(i), &[face(8.0 * i as f32, 0.0, 60.0)]);
        }
        let next = tracker.expected(FRAME * 10.0)[0];
        assert!((next.bbox[0] - 80.0).abs() < 1.5 && next.present, "{next:?}");
        tracker.update(FRAME * 10.0, &[]);
        assert!(!tracker.expected(FRAME * 11.0)[0].present);
    }
}
