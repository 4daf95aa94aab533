//! Estimation of all faces in a picture: detection, alignment and model combined.

use std::path::Path;

use dldl_face::{align, crop_faces, whole_picture};

use crate::{
    Crop, Detector, DetectorParams, Engine, Error, Face, HeadEstimate, Measures, ModelInfo,
    Picture, Task, models, quality,
};

/// A face and its estimates. Coordinates are pixels of the upright picture, x to the
/// right, y down, from its top left corner.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceEstimate {
    /// Left, top, width, height. May reach beyond the picture.
    pub bbox: [f32; 4],
    /// The detector's confidence that this is a face, 0..=1; `None` without detection
    /// ([`Estimator::estimate_whole`]).
    pub score: Option<f32>,
    /// Left eye, right eye, nose, left and right corner of the mouth, left and
    /// right as seen when the face is upright; `None` without detection.
    pub landmarks: Option<[[f32; 2]; 5]>,
    /// How well the picture of this face suits an estimate, 0..=1 ([`quality`]).
    pub quality: f64,
    /// One estimate for each head of the model, in the model's order.
    pub heads: Vec<HeadEstimate>,
}

impl FaceEstimate {
    /// The estimate of a task, if the model has a head for it.
    pub fn get(&self, task: Task) -> Option<&HeadEstimate> {
        self.heads.iter().find(|head| head.task == task)
    }

    /// The apparent age in years, if the model estimates it.
    pub fn age(&self) -> Option<&HeadEstimate> {
        self.get(Task::Age)
    }

    /// The attractiveness on the scale of the model's raters, if the model estimates
    /// it.
    pub fn attractiveness(&self) -> Option<&HeadEstimate> {
        self.get(Task::Attractiveness)
    }
}

/// Detector, alignment and model in one. Can be shared between threads.
#[derive(Debug)]
pub struct Estimator {
    detector: Detector,
    engine: Engine,
}

impl Estimator {
    /// Loads a built-in model by its name ([`models::names`]) or a weights file by its
    /// path, with the detector's defaults and flip fusion.
    ///
    /// # Errors
    /// As [`models::engine`].
    pub fn load(model: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::new(models::engine(model)?.flip_fusion(true)))
    }

    /// Wraps an engine, with the detector's defaults.
    pub fn new(engine: Engine) -> Self {
        Self { detector: Detector::new(DetectorParams::default()), engine }
    }

    /// Sets whether the model also runs on each face's mirror image and the two
    /// distributions are averaged: slightly more accurate, at twice the model's time.
    pub fn flip_fusion(mut self, on: bool) -> Self {
        self.engine = self.engine.flip_fusion(on);
        self
    }

    /// Sets the detector's parameters.
    ///
    /// # Panics
    /// As [`Detector::new`].
    pub fn detector_params(mut self, params: DetectorParams) -> Self {
        self.detector = Detector::new(params);
        self
    }

    /// The face detector.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The model; [`Engine::info`] is its description.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Estimates all faces in the picture, largest first. The list is empty if there is no
    /// face.
    ///
    /// # Errors
    /// [`Error::Model`] if the model's outputs are not finite, [`Error::Picture`] if
    /// the detector panics.
    pub fn estimate(&self, picture: &Picture) -> Result<Vec<FaceEstimate>, Error> {
        let ModelInfo { template, input_size, .. } = self.engine.info();
        let crops = crop_faces(picture, &self.detector, template, *input_size)?;
        let (faces, crops): (Vec<Face>, Vec<Crop>) = crops.into_iter().unzip();
        self.estimate_crops(picture, &faces, &crops)
    }

    /// Estimates faces that are known already, in their order: what
    /// [`estimate`](Self::estimate) does after the detection.
    ///
    /// # Errors
    /// [`Error::Model`] if the model's outputs are not finite.
    pub fn estimate_faces(
        &self,
        picture: &Picture,
        faces: &[Face],
    ) -> Result<Vec<FaceEstimate>, Error> {
        let crops: Vec<Crop> = faces.iter().map(|face| self.crop(picture, face)).collect();
        self.estimate_crops(picture, faces, &crops)
    }

    /// Estimates faces from their crops.
    fn estimate_crops(
        &self,
        picture: &Picture,
        faces: &[Face],
        crops: &[Crop],
    ) -> Result<Vec<FaceEstimate>, Error> {
        let size = [picture.width(), picture.height()];
        let heads = self.engine.run(crops)?.into_iter();
        let estimates =
            faces.iter().zip(crops).zip(heads).map(|((face, crop), heads)| FaceEstimate {
                bbox: face.bbox,
                score: Some(face.score),
                landmarks: Some(face.landmarks),
                quality: quality_of(&Measures::new(crop, Some(face), size), &heads),
                heads,
            });
        Ok(estimates.collect())
    }

    /// Estimates a picture that is an aligned face: its largest centered square is the
    /// crop and the box.
    ///
    /// # Errors
    /// As [`Estimator::estimate`].
    pub fn estimate_whole(&self, picture: &Picture) -> Result<FaceEstimate, Error> {
        let side = picture.width().min(picture.height()) as f32;
        let left = (picture.width() as f32 - side) / 2.0;
        let top = (picture.height() as f32 - side) / 2.0;
        let crop = self.whole_crop(picture);
        let measures = Measures::new(&crop, None, [picture.width(), picture.height()]);
        let heads = self.engine.run(&[crop])?.swap_remove(0);
        Ok(FaceEstimate {
            bbox: [left, top, side, side],
            score: None,
            landmarks: None,
            quality: quality_of(&measures, &heads),
            heads,
        })
    }

    /// The first step of [`estimate`](Self::estimate): the faces, largest first.
    pub fn detect(&self, picture: &Picture) -> Vec<Face> {
        self.detector.detect(picture)
    }

    /// Replaces [`detect`](Self::detect) where the faces are expected at these boxes, as in
    /// the next frame of a video; see [`Detector::detect_near`].
    pub fn detect_near(&self, picture: &Picture, boxes: &[[f32; 4]]) -> Vec<Face> {
        self.detector.detect_near(picture, boxes)
    }

    /// The second step: the aligned crop of a face, the model's input.
    pub fn crop(&self, picture: &Picture, face: &Face) -> Crop {
        let info = self.engine.info();
        align(picture, &face.landmarks, &info.template, info.input_size)
    }

    /// Replaces [`crop`](Self::crop) for a picture without a detected face.
    pub fn whole_crop(&self, picture: &Picture) -> Crop {
        whole_picture(picture, self.engine.info().input_size)
    }
}

/// The quality of a face with these estimates.
fn quality_of(measures: &Measures, heads: &[HeadEstimate]) -> f64 {
    let age = [Task::Age, Task::RealAge].iter().find_map(|&task| {
        let head = heads.iter().find(|head| head.task == task)?;
        Some([head.value, head.std])
    });
    quality(measures, age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Distribution;

    fn portrait() -> Picture {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
        dldl_face::decode_file(path.as_ref()).unwrap()
    }

    #[test]
    fn the_face_of_the_portrait_is_detected() {
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
        assert!((0.4..=1.0).contains(&face.quality), "{}", face.quality);
        let age = face.age().unwrap();
        assert_eq!(age.std, age.distribution.std());
        let interval = age.interval(0.9);
        assert!(0.0 <= interval.low && interval.low < age.value && age.value < interval.high);
        let head = &estimator.engine().info().heads[0];
        assert_eq!(interval, head.interval(&age.distribution, age.value, 0.9, true));
        assert_eq!(face.get(Task::Attractiveness), face.attractiveness());
        assert!(face.attractiveness().is_some() && face.get(Task::RealAge).is_none());
    }

    /// Portraits that lie on their sides or upside down have the ages of the upright ones.
    #[test]
    fn ages_of_turned_portraits_are_those_of_upright_ones() {
        let Some(folder) = dldl_testdata::dataset("london/images/neutral_front") else { return };
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let estimator = Estimator::load(models::DEFAULT_MODEL).unwrap();
        let age = |picture: &Picture, rotation: u16| {
            let face = estimator.estimate(picture).ok()?.into_iter().next()?;
            let turned = dldl_face::rotation(&face.landmarks?) == rotation;
            turned.then(|| face.age().unwrap().value)
        };
        let (mut near, mut all) = (0, 0);
        for file in files.iter().step_by(8).take(12) {
            let mut picture = dldl_face::decode_file(file).unwrap();
            let upright = age(&picture, 0).expect("an upright face");
            for rotation in [90, 180, 270] {
                picture = quarter(&picture);
                let found = age(&picture, rotation);
                near += usize::from(found.is_some_and(|age| (age - upright).abs() <= 3.0));
                all += 1;
            }
        }
        assert!(all == 36 && near >= 35, "{near} of {all}");
    }

    /// The picture turned clockwise by a quarter.
    fn quarter(picture: &Picture) -> Picture {
        let (width, height) = (picture.width(), picture.height());
        let pixel = |i: usize| picture.pixel(i / height, height - 1 - i % height);
        Picture::new(height, width, (0..width * height).flat_map(pixel).collect()).unwrap()
    }

    #[test]
    fn steps_agree_with_estimate_and_flip_fusion_averages() {
        let picture = portrait();
        let fused = Estimator::load(models::DEFAULT_MODEL).unwrap();
        let plain = Estimator::load(models::DEFAULT_MODEL).unwrap().flip_fusion(false);
        let crop = plain.crop(&picture, &plain.detect(&picture)[0]);
        let both = plain.engine().run(&[crop.clone(), crop.flipped()]).unwrap();
        assert_eq!(plain.estimate(&picture).unwrap()[0].heads, both[0]);
        let both = both.into_iter().map(|heads| heads[0].distribution.clone());
        let both: Vec<_> = both.collect();
        let average = Distribution::average(&both).unwrap();
        // Averaged before it is recalibrated, here after it.
        let fused = fused.estimate(&picture).unwrap();
        let fused = fused[0].heads[0].distribution.probabilities();
        let differences = fused.iter().zip(average.probabilities()).map(|(a, b)| (a - b).abs());
        assert!(differences.fold(0.0, f64::max) < 1e-12);
    }

    #[test]
    fn whole_pictures_are_cropped_to_the_centered_square() {
        let estimator = Estimator::load(models::DEFAULT_MODEL).unwrap();
        let picture = portrait().resized(300, 200);
        let face = estimator.estimate_whole(&picture).unwrap();
        assert_eq!(face.bbox, [50.0, 0.0, 200.0, 200.0]);
        assert_eq!((face.score, face.landmarks), (None, None));
    }

    #[test]
    fn small_copies_of_a_picture_have_a_lower_quality() {
        let estimator = Estimator::load(models::DEFAULT_MODEL).unwrap();
        let quality = |side: usize| {
            let small = portrait().resized(side, side);
            (estimator.estimate(&small).unwrap()[0].quality, small)
        };
        let [(full, _), (half, _), (small, picture)] = [512, 180, 120].map(quality);
        assert!(full > half && half > small, "{full} {half} {small}");
        // Without detection, it is that of the whole crop.
        let whole = estimator.estimate_whole(&picture).unwrap();
        let crop = estimator.whole_crop(&picture);
        let measures = Measures::new(&crop, None, [120, 120]);
        assert_eq!(whole.quality, quality_of(&measures, &whole.heads));
    }

    #[test]
    fn pictures_without_a_face_give_no_estimates() {
        let estimator = Estimator::load(models::DEFAULT_MODEL).unwrap();
        let gray = Picture::new(64, 48, vec![128; 3 * 64 * 48]).unwrap();
        assert_eq!(estimator.estimate(&gray).unwrap(), []);
    }
}
