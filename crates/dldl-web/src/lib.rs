//! Ages of faces in the browser. The module holds the model, so nothing is downloaded
//! beside it and no picture leaves the device.
//!
//! `npm/index.js` is what pages import: it turns pictures into pixels and the JSON of this
//! crate into objects. `tools/build_web.sh` builds the package and the page.

use std::rc::Rc;

use dldl::{PictureRecord, RecordOptions, check_thresholds};
use dldl_video::{Analyzer, AnalyzerParams, Frame, frame_record};
use serde::Deserialize;
use wasm_bindgen::prelude::wasm_bindgen;

/// What a record contains, as objects of JavaScript name it.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Options {
    level: f64,
    distribution: bool,
    thresholds: Vec<f64>,
    min_quality: f64,
    /// Whether to look for faces; otherwise the central square of the picture is one.
    detect: bool,
}

impl Default for Options {
    fn default() -> Self {
        let RecordOptions { level, distribution, thresholds, min_quality } =
            RecordOptions::default();
        Self { level, distribution, thresholds, min_quality, detect: true }
    }
}

impl Options {
    fn of_record(&self) -> RecordOptions {
        let Self { level, distribution, min_quality, .. } = *self;
        RecordOptions { level, distribution, thresholds: self.thresholds.clone(), min_quality }
    }
}

/// Detector and model, and the people of a video.
#[wasm_bindgen]
pub struct Estimator {
    estimator: Rc<dldl::Estimator>,
    video: Option<Analyzer<Rc<dldl::Estimator>>>,
    /// The number of the next frame.
    frame: u64,
}

#[wasm_bindgen]
impl Estimator {
    /// Loads the model inside the module.
    ///
    /// # Errors
    /// Never, unless the module is damaged.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Result<Estimator, String> {
        let estimator = dldl::Estimator::load(dldl::DEFAULT_MODEL).map_err(|e| e.to_string())?;
        Ok(Self { estimator: Rc::new(estimator), video: None, frame: 0 })
    }

    /// The JSON of the model's description.
    ///
    /// # Errors
    /// Never: a description is plain data.
    pub fn model(&self) -> Result<String, String> {
        serde_json::to_string(self.estimator.engine().info()).map_err(|e| e.to_string())
    }

    /// The JSON of a picture's record. `rgba` has four bytes per pixel, in rows, as
    /// `ImageData`; `options` is JSON.
    ///
    /// # Errors
    /// Wrong options, or a number of bytes that does not fit the size.
    pub fn estimate(
        &self,
        rgba: &[u8],
        width: usize,
        height: usize,
        options: &str,
    ) -> Result<String, String> {
        let options = self.options(options)?;
        self.record(&picture(rgba, width, height)?, &options)
    }

    /// The JSON of the record of a picture file, decoded here: as by the command line, to
    /// the last digit. (Browsers decode JPEG a little differently.)
    ///
    /// # Errors
    /// Not a picture, a damaged one or one of a format that is not part of the module (HEIC,
    /// JPEG XL and TIFF); wrong options.
    pub fn estimate_file(&self, bytes: &[u8], options: &str) -> Result<String, String> {
        let options = self.options(options)?;
        let picture = dldl::decode(bytes).map_err(|e| e.reason())?;
        self.record(&picture, &options)
    }

    /// The JSON of the record of the next frame of a video, in which faces have tracks and
    /// the estimates are those of all frames so far. `milliseconds` must not fall.
    ///
    /// # Errors
    /// As [`estimate`](Self::estimate).
    pub fn estimate_for_video(
        &mut self,
        rgba: &[u8],
        width: usize,
        height: usize,
        milliseconds: f64,
        options: &str,
    ) -> Result<String, String> {
        let options = self.options(options)?;
        let picture = picture(rgba, width, height)?;
        let analyzer = self.video.get_or_insert_with(|| {
            let params = AnalyzerParams { min_quality: options.min_quality, ..Default::default() };
            Analyzer::new(Rc::clone(&self.estimator), params)
        });
        let frame = Frame { index: self.frame, time: milliseconds / 1000.0, picture };
        self.frame += 1;
        let faces = analyzer.frame(&frame).map_err(|e| e.to_string())?;
        let model = &self.estimator.engine().info().name;
        json(&frame_record("", model, &frame, &faces, &options.of_record()))
    }

    /// Forgets the people of the video: the next frame is the first of another one.
    pub fn reset_video(&mut self) {
        (self.video, self.frame) = (None, 0);
    }

    fn record(&self, picture: &dldl::Picture, options: &Options) -> Result<String, String> {
        let faces = match options.detect {
            true => self.estimator.estimate(picture),
            false => self.estimator.estimate_whole(picture).map(|face| vec![face]),
        };
        let faces = faces.map_err(|e| e.to_string())?;
        let model = &self.estimator.engine().info().name;
        json(&PictureRecord::new(String::new(), model, picture, &faces, &options.of_record()))
    }

    fn options(&self, text: &str) -> Result<Options, String> {
        let options: Options = serde_json::from_str(text).map_err(|e| format!("options: {e}"))?;
        let Options { level, thresholds, .. } = &options;
        if !(0.0 < *level && *level < 1.0) {
            return Err(format!("options: invalid level {level}: expected it between 0 and 1"));
        }
        check_thresholds(self.estimator.engine().info(), thresholds)
            .map_err(|e| format!("options: {e}"))?;
        Ok(options)
    }
}

/// A picture from the bytes of `ImageData`, transparent pixels on white.
fn picture(rgba: &[u8], width: usize, height: usize) -> Result<dldl::Picture, String> {
    if rgba.len() != 4 * width * height {
        let expected = format!("expected {width} x {height} x 4");
        return Err(format!("{} bytes of pixels: {expected}", rgba.len()));
    }
    let mut rgb = Vec::with_capacity(3 * width * height);
    for pixel in rgba.chunks_exact(4) {
        let (color, alpha) = (&pixel[..3], u32::from(pixel[3]));
        rgb.extend(color.iter().map(|&c| match alpha {
            255 => c,
            _ => ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8,
        }));
    }
    dldl::Picture::new(width, height, rgb).map_err(|e| e.to_string())
}

fn json(record: &PictureRecord) -> Result<String, String> {
    serde_json::to_string(record).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The portrait as `ImageData`.
    fn portrait() -> (Vec<u8>, usize, usize) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
        let picture = dldl::decode_file(path.as_ref()).unwrap();
        let rgba = picture.rgb().chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
        (rgba, picture.width(), picture.height())
    }

    #[test]
    fn records_are_those_of_the_library() {
        let (rgba, width, height) = portrait();
        let estimator = Estimator::new().unwrap();
        let text = r#"{"level": 0.8, "thresholds": [25], "distribution": true}"#;
        let json = estimator.estimate(&rgba, width, height, text).unwrap();
        let record: PictureRecord = serde_json::from_str(&json).unwrap();
        let options = RecordOptions {
            level: 0.8,
            thresholds: vec![25.0],
            distribution: true,
            ..RecordOptions::default()
        };
        let picture = picture(&rgba, width, height).unwrap();
        let faces = estimator.estimator.estimate(&picture).unwrap();
        let expected = PictureRecord::new(String::new(), "tiny", &picture, &faces, &options);
        assert_eq!(record, expected);
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
        let file = std::fs::read(file).unwrap();
        assert_eq!(estimator.estimate_file(&file, text).unwrap(), json);
        let whole = r#"{"detect": false}"#;
        let whole = estimator.estimate(&rgba, width, height, whole).unwrap();
        assert!(whole.contains(r#""box":[0.0,0.0,512.0,512.0]"#), "{whole}");
        assert!(estimator.estimate_file(&file[..9000], text).unwrap_err().contains("JPEG"));
    }

    #[test]
    fn faces_of_a_video_have_tracks() {
        let (rgba, width, height) = portrait();
        let mut estimator = Estimator::new().unwrap();
        let track = |estimator: &mut Estimator, time: f64| {
            let json = estimator.estimate_for_video(&rgba, width, height, time, "{}").unwrap();
            let record: PictureRecord = serde_json::from_str(&json).unwrap();
            (record.frame.unwrap(), record.faces[0].track)
        };
        let tracks: Vec<_> = (0..4).map(|i| track(&mut estimator, 40.0 * f64::from(i))).collect();
        assert_eq!(tracks, [(0, None), (1, None), (2, Some(1)), (3, Some(1))]);
        estimator.reset_video();
        assert_eq!(track(&mut estimator, 0.0), (0, None));
    }

    #[test]
    fn wrong_requests_are_refused() {
        let estimator = Estimator::new().unwrap();
        let refused = |bytes: usize, options: &str| {
            estimator.estimate(&vec![0; bytes], 4, 2, options).unwrap_err()
        };
        assert!(refused(31, "{}").contains("expected 4 x 2 x 4"));
        assert!(refused(32, r#"{"level": 90}"#).contains("invalid level 90"));
        assert!(refused(32, r#"{"levle": 0.9}"#).contains("levle"));
        assert!(refused(32, r#"{"thresholds": [180]}"#).contains("range"));
        assert!(estimator.model().unwrap().contains(r#""name":"tiny""#));
    }

    #[test]
    fn transparent_pixels_are_white() {
        let picture = picture(&[10, 20, 30, 255, 0, 0, 0, 0, 0, 0, 0, 51], 3, 1).unwrap();
        assert_eq!(picture.rgb(), [10, 20, 30, 255, 255, 255, 204, 204, 204]);
    }
}
