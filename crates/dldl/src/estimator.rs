//! Picture in, faces with label distributions out. Each step is another
//! crate's; here they are joined.

use std::path::Path;

use dldl_face::{align, whole_picture};

use crate::{
    Crop, Detector, DetectorParams, Distribution, Engine, Error, Face, Head, ModelInfo, NetError,
    Picture, models,
};

/// A face and what the model says of it. All coordinates are pixels of the
/// upright picture, x to the right, y down, from its top left corner.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceEstimate {
    /// Left, top, width, height. May reach beyond the picture.
    pub bbox: [f32; 4],
    /// The detector's probability that this is a face, 0..=1; none where
    /// nothing was detected ([`Estimator::estimate_whole`]).
    pub score: Option<f32>,
    /// Left eye, right eye, nose, left and right corner of the mouth, left and
    /// right as seen in the picture; none where nothing was detected.
    pub landmarks: Option<[[f32; 2]; 5]>,
    /// The distribution over the model's labels: over ages in years for a model
    /// of ages. [`readings`](Self::readings) has the numbers in it.
    pub label: Distribution,
    /// Those of the model's further heads, in the order of
    /// [`ModelInfo::further_heads`].
    pub further: Vec<Distribution>,
}

/// What one head of the model says of a face, as numbers in units of the label.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What is estimated: `age` or `attractiveness`.
    pub task: String,
    /// The number that the model answers with.
    pub estimate: f64,
    /// The distribution's standard deviation.
    pub std: f64,
    /// The lower end of the interval ([`Head::interval`]).
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl FaceEstimate {
    /// The numbers in the distributions, one entry for each head of the model
    /// that they are from: estimates, and intervals that hold the truth with a
    /// probability of `level`, calibrated if the model is.
    ///
    /// # Panics
    /// If `level` is not in 0..=1.
    pub fn readings(&self, model: &ModelInfo, level: f64) -> Vec<Reading> {
        let labels = std::iter::once(&self.label).chain(&self.further);
        let read = |((head, _), label): ((Head, _), &Distribution)| {
            let (low, high) = head.interval(label, level);
            let (estimate, std) = (head.estimate(label), label.std());
            Reading { task: head.task, estimate, std, low, high }
        };
        model.heads().into_iter().zip(labels).map(read).collect()
    }
}

/// Detector, alignment and model behind one call. Can be shared between threads.
#[derive(Debug)]
pub struct Estimator {
    detector: Detector,
    engine: Engine,
}

impl Estimator {
    /// With a built-in model by its name ([`models::names`]) or a weights file
    /// by its path, the detector's defaults, and flip fusion.
    ///
    /// # Errors
    /// As [`models::engine`].
    pub fn load(model: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::new(models::engine(model)?.flip_fusion(true)))
    }

    /// With an engine as it is, and the detector's defaults.
    pub fn new(engine: Engine) -> Self {
        Self { detector: Detector::new(DetectorParams::default()), engine }
    }

    /// Whether the model also looks at each face's mirror image and the two
    /// distributions are averaged: a little more accurate, at twice the model's
    /// time.
    pub fn flip_fusion(mut self, on: bool) -> Self {
        self.engine = self.engine.flip_fusion(on);
        self
    }

    /// Searches faces with other parameters.
    ///
    /// # Panics
    /// As [`Detector::new`].
    pub fn detector(mut self, params: DetectorParams) -> Self {
        self.detector = Detector::new(params);
        self
    }

    /// The model, with [`Engine::info`], what it says of itself.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The faces in the picture, largest first; none is no error.
    ///
    /// # Errors
    /// [`Error::Model`] if the model's outputs are not finite.
    pub fn estimate(&self, picture: &Picture) -> Result<Vec<FaceEstimate>, Error> {
        let faces = self.detect(picture);
        let crops: Vec<Crop> = faces.iter().map(|face| self.crop(picture, face)).collect();
        let labels = self.engine.run_heads(&crops)?;
        let joined = faces.into_iter().zip(labels).map(|(face, mut labels)| {
            let bbox = face.bbox;
            let (score, landmarks) = (Some(face.score), Some(face.landmarks));
            FaceEstimate { bbox, score, landmarks, label: labels.remove(0), further: labels }
        });
        Ok(joined.collect())
    }

    /// Takes the largest centered square of the picture for a face that is
    /// aligned already. The box is that square.
    ///
    /// # Errors
    /// As [`Estimator::estimate`].
    pub fn estimate_whole(&self, picture: &Picture) -> Result<FaceEstimate, Error> {
        let side = picture.width().min(picture.height()) as f32;
        let left = (picture.width() as f32 - side) / 2.0;
        let top = (picture.height() as f32 - side) / 2.0;
        let labels = self.engine.run_heads(&[self.whole_crop(picture)])?.pop();
        let mut further = labels.ok_or_else(|| NetError::Crop("a crop without a result".into()))?;
        let (bbox, label) = ([left, top, side, side], further.remove(0));
        Ok(FaceEstimate { bbox, score: None, landmarks: None, label, further })
    }

    /// The first step of [`estimate`](Self::estimate): the faces, largest first.
    pub fn detect(&self, picture: &Picture) -> Vec<Face> {
        self.detector.detect(picture)
    }

    /// The second step: the face as the model wants to see it.
    pub fn crop(&self, picture: &Picture, face: &Face) -> Crop {
        let info = self.engine.info();
        align(picture, &face.landmarks, &info.template, info.input_size)
    }

    /// What stands for [`crop`](Self::crop) where no face was searched or found.
    pub fn whole_crop(&self, picture: &Picture) -> Crop {
        whole_picture(picture, self.engine.info().input_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portrait() -> Picture {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
        dldl_face::decode_file(path.as_ref()).unwrap()
    }

    #[test]
    fn the_portrait_has_one_face_where_it_is() {
        let estimator = Estimator::load(models::DEFAULT_MODEL).unwrap();
        let faces = estimator.estimate(&portrait()).unwrap();
        assert_eq!(faces.len(), 1);
        let face = &faces[0];
        let [x, y, w, h] = face.bbox;
        // The face is right of (160, 50) and left of (290, 220).
        assert!(x > 150.0 && y > 40.0 && x + w < 300.0 && y + h < 240.0, "{:?}", face.bbox);
        assert!(face.score.unwrap() > 0.9);
        for [px, py] in face.landmarks.unwrap() {
            assert!((x..x + w).contains(&px) && (y..y + h).contains(&py));
        }
        let info = estimator.engine().info();
        let age = face.readings(info, 0.9).remove(0);
        assert_eq!((age.task.as_str(), age.std), ("age", face.label.std()));
        assert!(0.0 <= age.low && age.low < age.estimate && age.estimate < age.high, "{age:?}");
        let (head, _) = info.heads().remove(0);
        assert_eq!((age.low, age.high), head.interval(&face.label, 0.9));
    }

    #[test]
    fn steps_and_whole_agree_and_flip_fusion_averages() {
        let picture = portrait();
        let fused = Estimator::load(models::DEFAULT_MODEL).unwrap();
        let plain = Estimator::load(models::DEFAULT_MODEL).unwrap().flip_fusion(false);
        let crop = plain.crop(&picture, &plain.detect(&picture)[0]);
        let both = plain.engine().run(&[crop.clone(), crop.flipped()]).unwrap();
        assert_eq!(plain.estimate(&picture).unwrap()[0].label, both[0]);
        let average = Distribution::average(&both).unwrap();
        assert_eq!(fused.estimate(&picture).unwrap()[0].label, average);
    }

    #[test]
    fn a_whole_picture_is_its_centerd_square() {
        let estimator = Estimator::load(models::DEFAULT_MODEL).unwrap();
        let picture = portrait().resized(300, 200);
        let face = estimator.estimate_whole(&picture).unwrap();
        assert_eq!(face.bbox, [50.0, 0.0, 200.0, 200.0]);
        assert_eq!((face.score, face.landmarks), (None, None));
    }

    #[test]
    fn a_picture_without_a_face_is_no_error() {
        let estimator = Estimator::load(models::DEFAULT_MODEL).unwrap();
        let gray = Picture::new(64, 48, vec![128; 3 * 64 * 48]).unwrap();
        assert_eq!(estimator.estimate(&gray).unwrap(), []);
    }
}
