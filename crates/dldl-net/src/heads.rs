//! What the outputs of a network mean where there are several heads on one
//! trunk. In the file, and in the network's last layer, the first head's
//! outputs come first and the further ones' follow.

use std::ops::Range;

use dldl_label::{Distribution, LabelSet, Method};
use serde::{Deserialize, Serialize};

use crate::{Calibration, IntervalCalibration, ModelInfo, NetError};

/// One thing that a model estimates, and the outputs that say it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// What it estimates: `age` or `attractiveness`.
    pub task: String,
    /// The grid of labels that it stands for.
    pub labels: LabelSet,
    /// How the labels were learned, and how outputs are decoded.
    pub method: Method,
    /// How its outputs are corrected, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

impl Head {
    /// Number of its outputs.
    pub fn outputs(&self) -> usize {
        self.method.head_size(&self.labels)
    }

    /// The distribution that its outputs for one picture stand for, corrected.
    ///
    /// # Errors
    /// [`NetError::Label`] if their number is wrong or one is not finite.
    pub fn decode(&self, logits: &[f32]) -> Result<Distribution, NetError> {
        let temperature = self.calibration.as_ref().map_or(1.0, |c| c.temperature);
        let logits: Vec<f32> =
            logits.iter().map(|&v| (f64::from(v) / temperature) as f32).collect();
        Ok(self.method.decode(&self.labels, &logits)?)
    }

    /// The one number that the model answers with, in units of the label
    /// ([`Method::estimate`]).
    pub fn estimate(&self, distribution: &Distribution) -> f64 {
        self.method.estimate(distribution)
    }

    /// The interval that the truth lies in with a probability of `level`, as both
    /// ends, in units of the label. Where the head's intervals are calibrated,
    /// that is true of pictures like those they were calibrated on; else it is
    /// the distribution's own [`conformal_interval`](Distribution::conformal_interval),
    /// true as far as the network is right about itself.
    ///
    /// # Panics
    /// When `level` is not in `[0, 1]`.
    pub fn interval(&self, distribution: &Distribution, level: f64) -> (f64, f64) {
        let calibrated = self.intervals().map(|intervals| intervals.levels.level(level));
        distribution.conformal_interval(calibrated.unwrap_or(level))
    }

    /// How its intervals are calibrated, if they are.
    pub fn intervals(&self) -> Option<&IntervalCalibration> {
        self.calibration.as_ref()?.intervals.as_ref()
    }
}

impl ModelInfo {
    /// All heads, the first one of `task`, `labels` and `method` first, each with
    /// the range of its outputs.
    pub fn heads(&self) -> Vec<(Head, Range<usize>)> {
        let first = Head {
            task: self.task.clone(),
            labels: self.labels.clone(),
            method: self.method,
            calibration: self.calibration.clone(),
        };
        let mut from = 0;
        let place = |head: Head| {
            let range = from..from + head.outputs();
            from = range.end;
            (head, range)
        };
        std::iter::once(first).chain(self.further_heads.iter().cloned()).map(place).collect()
    }

    /// Takes away what intervals were calibrated to; temperatures stay. For a
    /// model that is not quite the one they were calibrated with.
    pub fn forget_intervals(&mut self) {
        let further = self.further_heads.iter_mut().map(|head| &mut head.calibration);
        for place in std::iter::once(&mut self.calibration).chain(further) {
            // A temperature of 1 changes nothing.
            *place = match place.take() {
                Some(Calibration { temperature, .. }) if temperature != 1.0 => {
                    Some(Calibration::temperature(temperature))
                }
                _ => None,
            };
        }
    }

    /// Corrects the head of that task from now on; false if there is none.
    pub fn calibrate(&mut self, task: &str, calibration: Calibration) -> bool {
        let further = self.further_heads.iter_mut().find(|head| head.task == task);
        let place = match further {
            _ if self.task == task => &mut self.calibration,
            Some(head) => &mut head.calibration,
            None => return false,
        };
        *place = Some(calibration);
        true
    }
}

#[cfg(test)]
mod tests {
    use dldl_label::Conformal;

    use super::*;
    use crate::{Crop, Engine, NetSpec, Precision, Weights};

    fn two_heads() -> Weights {
        let one = Weights::random("one", NetSpec::vgg16(1, 16, 101)).unwrap();
        let mut info = one.info.clone();
        info.net.outputs = 101 + 41;
        let temperature = Some(Calibration::temperature(2.0));
        info.further_heads = vec![Head {
            task: "attractiveness".into(),
            labels: LabelSet::attractiveness_5(),
            method: Method::Dldl,
            calibration: temperature,
        }];
        let tensor = |(name, shape): (String, Vec<usize>)| {
            let count: usize = shape.iter().product();
            let own = one.info.net.tensors();
            let old = own.iter().any(|(n, _)| *n == name).then(|| one.tensor(&name));
            let mut values = old.unwrap_or_default().to_vec();
            // The second head's numbers are some of the first's.
            values.extend_from_within(..count - values.len());
            (name, values)
        };
        let tensors = info.net.tensors().into_iter().map(tensor).collect();
        Weights::new(info, tensors).unwrap()
    }

    #[test]
    fn intervals_are_calibrated_where_the_file_says_how() {
        let ages = LabelSet::age();
        let d = Distribution::gaussian(&ages, 30.0, 2.0).unwrap();
        let scores: Vec<f64> = (1..=999).map(|i| 0.5 + f64::from(i) / 2000.0).collect();
        let levels = Conformal::fit(&scores).unwrap();
        let mut head = two_heads().info.heads().remove(0).0;
        assert_eq!(head.interval(&d, 0.9), d.conformal_interval(0.9));
        let on = "faces, val split".to_owned();
        let intervals = Some(IntervalCalibration { on, n: 999, levels: levels.clone() });
        head.calibration = Some(Calibration { temperature: 1.0, intervals });
        // The 900th of 999 scores.
        assert_eq!(head.interval(&d, 0.9), d.conformal_interval(0.95));
        let text = serde_json::to_string(&head).unwrap();
        assert_eq!(serde_json::from_str::<Head>(&text).unwrap(), head);
        // As files were before, and with intervals alone.
        let old: Calibration = serde_json::from_str(r#"{"temperature":1.5}"#).unwrap();
        assert_eq!(old, Calibration::temperature(1.5));
        assert_eq!(serde_json::to_string(&old).unwrap(), r#"{"temperature":1.5}"#);
        let text = text.replace(r#""temperature":1.0,"#, "");
        assert_eq!(serde_json::from_str::<Head>(&text).unwrap(), head);
        let text = text.replace(r#""levels":["#, r#""levels":[2.0,"#);
        assert!(serde_json::from_str::<Head>(&text).is_err());
    }

    #[test]
    fn every_head_gets_its_outputs_and_the_first_is_what_it_is_alone() {
        let weights = two_heads();
        let bytes = weights.to_bytes(Precision::F32).unwrap();
        assert_eq!(Weights::from_bytes(&bytes).unwrap(), weights);
        let ranges: Vec<Range<usize>> = weights.info.heads().into_iter().map(|h| h.1).collect();
        assert_eq!(ranges, [0..101, 101..142]);

        let crop = Crop::new(64, (0..3 * 64 * 64).map(|i| (i % 251) as u8).collect()).unwrap();
        let engine = Engine::from_bytes(&bytes).unwrap();
        let crops = [crop];
        let both = engine.run_heads(&crops).unwrap().remove(0);
        assert_eq!(both.len(), 2);
        assert_eq!(engine.run(&crops).unwrap()[0], both[0]);
        let alone = Weights::random("one", NetSpec::vgg16(1, 16, 101)).unwrap();
        let alone = Engine::from_weights(&alone).unwrap();
        assert_eq!(alone.run(&crops).unwrap()[0], both[0]);
        let logits = engine.logits(&crops).unwrap().remove(0);
        let halved: Vec<f32> = logits[101..].iter().map(|v| v / 2.0).collect();
        let expected = Method::Dldl.decode(&LabelSet::attractiveness_5(), &halved).unwrap();
        assert_eq!(both[1], expected);
        // Flip fusion averages both.
        let fused = engine.flip_fusion(true);
        let mirrored = [crops[0].flipped()];
        let pair = [both[1].clone(), fused.run_heads(&mirrored).unwrap().remove(0).remove(1)];
        assert_ne!(pair[0], pair[1]);
        assert_eq!(fused.run_heads(&crops).unwrap()[0][1], pair[1]);
    }

    #[test]
    fn each_head_has_a_calibration_of_its_own() {
        let mut info = two_heads().info;
        let of = |info: &ModelInfo, i: usize| info.heads()[i].0.calibration.clone();
        let [a, b] = [3.0, 4.0].map(Calibration::temperature);
        assert!(info.calibrate("age", a.clone()) && info.calibrate("attractiveness", b.clone()));
        assert_eq!((of(&info, 0), of(&info, 1)), (Some(a), Some(b.clone())));
        assert!(!info.calibrate("height", b.clone()));
        let levels = Conformal::fit(&[0.5]).unwrap();
        let intervals = Some(IntervalCalibration { on: "faces".into(), n: 1, levels });
        info.calibrate("age", Calibration { temperature: 1.0, intervals: intervals.clone() });
        info.calibrate("attractiveness", Calibration { temperature: 4.0, intervals });
        info.forget_intervals();
        assert_eq!((of(&info, 0), of(&info, 1)), (None, Some(b)));
    }

    #[test]
    fn heads_that_do_not_fit_are_refused() {
        let good = two_heads().info;
        assert!(good.check().is_ok());
        let mut same = good.clone();
        same.further_heads[0].task = "age".into();
        assert!(same.check().unwrap_err().to_string().contains("age"));
        let mut few = good.clone();
        few.net.outputs = 101;
        assert!(few.check().unwrap_err().to_string().contains("142"));
        let mut cold = good;
        cold.further_heads[0].calibration = Some(Calibration::temperature(0.0));
        assert!(cold.check().is_err());
    }

    #[test]
    fn a_file_with_one_head_does_not_speak_of_heads() {
        let info = Weights::random("one", NetSpec::vgg16(1, 16, 101)).unwrap().info;
        assert!(!serde_json::to_string(&info).unwrap().contains("heads"));
    }
}
