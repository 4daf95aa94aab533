//! The heads of a model: each has a task and its own outputs on the shared
//! network. In the network's last layer the heads' outputs follow each other in
//! the order of [`ModelInfo::heads`].

use std::ops::Range;
use std::sync::Arc;

use dldl_label::{Distribution, LabelSet, Method, Task};
use serde::{Deserialize, Serialize};

use crate::{Calibration, IntervalCalibration, ModelInfo, NetError};

/// One task of a model, and how its outputs are decoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The task.
    pub task: Task,
    /// The labels that its distributions are over.
    pub labels: LabelSet,
    /// The training method, which also determines how outputs are decoded.
    pub method: Method,
    /// Corrections fitted after the training, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

impl Head {
    /// A head without calibration.
    pub fn new(task: Task, labels: LabelSet, method: Method) -> Self {
        Self { task, labels, method, calibration: None }
    }

    /// Number of its outputs.
    pub fn outputs(&self) -> usize {
        self.method.head_size(&self.labels)
    }

    /// The distribution that its outputs (logits) for one crop stand for, after
    /// the temperature of its calibration.
    ///
    /// # Errors
    /// [`NetError::Label`] if their number is wrong or one is not finite.
    pub fn decode(&self, logits: &[f32]) -> Result<Distribution, NetError> {
        let temperature = self.calibration.as_ref().map_or(1.0, |c| c.temperature);
        let logits: Vec<f32> =
            logits.iter().map(|&v| (f64::from(v) / temperature) as f32).collect();
        Ok(self.method.decode(&self.labels, &logits)?)
    }

    /// The estimate: the one number that the method reads from a decoded distribution,
    /// in units of the label ([`Method::estimate`]).
    pub fn value(&self, distribution: &Distribution) -> f64 {
        self.method.estimate(distribution)
    }

    /// The estimate and the distribution of a face, from the decoded distributions of its
    /// crop and, with flip fusion, of the mirror image: their average, and the estimate
    /// that the method reads from them ([`Method::fused_estimate`]).
    ///
    /// # Errors
    /// [`NetError::Label`] if there are no distributions or their labels differ.
    pub fn answer(&self, views: &[Distribution]) -> Result<(f64, Distribution), NetError> {
        let value = self.method.fused_estimate(views)?;
        let distribution = match views {
            [one] => one.clone(),
            _ => Distribution::average(views)?,
        };
        Ok((value, distribution))
    }

    /// How its intervals are calibrated for distributions with (`fused`) or
    /// without flip fusion, if they are.
    pub fn intervals(&self, fused: bool) -> Option<&IntervalCalibration> {
        self.calibration.as_ref()?.intervals.get(fused)
    }

    /// The interval of a distribution that was (`fused`) or was not averaged with
    /// that of the mirror image, and of the estimate `value` that belongs to it; see
    /// [`HeadEstimate::interval`].
    ///
    /// # Panics
    /// If `level` is not in 0..=1.
    pub fn interval(
        &self,
        distribution: &Distribution,
        value: f64,
        level: f64,
        fused: bool,
    ) -> Interval {
        interval(distribution, value, level, self.intervals(fused))
    }
}

/// A range that holds the true value with a probability of `level`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The probability, 0..=1.
    pub level: f64,
    /// The lower end, in units of the label.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The estimate of one head for one face.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadEstimate {
    /// The task.
    pub task: Task,
    /// The estimate, in units of the label: years, or points.
    pub value: f64,
    /// The distribution's standard deviation, in units of the label.
    pub std: f64,
    /// The whole distribution.
    pub distribution: Distribution,
    calibrated: Option<Arc<IntervalCalibration>>,
}

impl HeadEstimate {
    /// The interval that holds the true value with a probability of `level`.
    ///
    /// If the model's intervals are calibrated ([`Self::is_calibrated`]), that
    /// probability is true of pictures like those they were calibrated on: on average
    /// over all of them or, if the levels are by band, over those whose *estimate* is in
    /// the same band as this one. It is not a probability by band of the true value, and
    /// only approximate for other people and other cameras.
    /// Otherwise this is the distribution's own interval at that level
    /// ([`Distribution::conformal_interval`]), as reliable as the network's confidence.
    ///
    /// # Panics
    /// If `level` is not in 0..=1.
    pub fn interval(&self, level: f64) -> Interval {
        interval(&self.distribution, self.value, level, self.calibrated.as_deref())
    }

    /// Whether intervals are calibrated, for the kind of distribution that this
    /// is (with or without flip fusion).
    pub fn is_calibrated(&self) -> bool {
        self.calibrated.is_some()
    }
}

fn interval(
    distribution: &Distribution,
    value: f64,
    level: f64,
    table: Option<&IntervalCalibration>,
) -> Interval {
    let own = table.map_or(level, |table| table.levels_of(value).level(level));
    let (low, high) = distribution.conformal_interval(own);
    Interval { level, low, high }
}

/// A head ready to decode: with its outputs' place, and its interval tables where
/// estimates can share them.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    head: Head,
    outputs: Range<usize>,
    /// For plain and for fused distributions.
    tables: [Option<Arc<IntervalCalibration>>; 2],
}

impl Decoder {
    /// The decoders of all heads.
    pub fn all(info: &ModelInfo) -> Vec<Self> {
        let decoder = |(head, outputs): (&Head, Range<usize>)| {
            let table = |fused| head.intervals(fused).map(|table| Arc::new(table.clone()));
            Self { head: head.clone(), outputs, tables: [table(false), table(true)] }
        };
        info.heads.iter().zip(info.output_ranges()).map(decoder).collect()
    }

    /// The estimate from the network's outputs for a crop and, with flip fusion,
    /// its mirror image ([`Head::answer`]).
    pub fn estimate(
        &self,
        logits: &[f32],
        mirrored: Option<&[f32]>,
    ) -> Result<HeadEstimate, NetError> {
        let views = [logits].into_iter().chain(mirrored);
        let decoded = views.map(|logits| self.head.decode(&logits[self.outputs.clone()]));
        let (value, distribution) = self.head.answer(&decoded.collect::<Result<Vec<_>, _>>()?)?;
        Ok(HeadEstimate {
            task: self.head.task,
            value,
            std: distribution.std(),
            distribution,
            calibrated: self.tables[usize::from(mirrored.is_some())].clone(),
        })
    }
}

impl ModelInfo {
    /// The head of a task.
    pub fn head(&self, task: Task) -> Option<&Head> {
        self.heads.iter().find(|head| head.task == task)
    }

    /// The head of a task, to be changed.
    pub fn head_mut(&mut self, task: Task) -> Option<&mut Head> {
        self.heads.iter_mut().find(|head| head.task == task)
    }

    /// The places of the heads' outputs in the network's, in the heads' order.
    pub fn output_ranges(&self) -> Vec<Range<usize>> {
        let mut from = 0;
        let range = |head: &Head| {
            let range = from..from + head.outputs();
            from = range.end;
            range
        };
        self.heads.iter().map(range).collect()
    }

    /// Removes the calibration of all intervals and keeps temperatures. For a
    /// model that is derived from the one they were calibrated with.
    pub fn remove_interval_calibration(&mut self) {
        for head in &mut self.heads {
            let temperature = head.calibration.take().map(|c| c.temperature);
            // A temperature of 1 changes nothing.
            head.calibration = temperature.filter(|&t| t != 1.0).map(Calibration::temperature);
        }
    }
}

#[cfg(test)]
mod tests {
    use dldl_label::{Bands, Conformal};

    use super::*;
    use crate::{Crop, Engine, IntervalTables, NetSpec, Precision, Weights};

    fn two_heads() -> Weights {
        let one = Weights::random("one", NetSpec::vgg16(1, 16, 101)).unwrap();
        let mut info = one.info.clone();
        info.net.outputs = 101 + 41;
        let mut second =
            Head::new(Task::Attractiveness, LabelSet::attractiveness_5(), Method::Dldl);
        second.calibration = Some(Calibration::temperature(2.0));
        info.heads.push(second);
        let tensor = |(name, shape): (String, Vec<usize>)| {
            let count: usize = shape.iter().product();
            let own = one.info.net.tensors();
            let old = own.iter().any(|(n, _)| *n == name).then(|| one.tensor(&name));
            let mut values = old.unwrap_or_default().to_vec();
            // The second head's values repeat some of the first's.
            values.extend_from_within(..count - values.len());
            (name, values)
        };
        let tensors = info.net.tensors().into_iter().map(tensor).collect();
        Weights::new(info, tensors).unwrap()
    }

    fn table() -> IntervalCalibration {
        let scores: Vec<f64> = (1..=999).map(|i| 0.5 + f64::from(i) / 2000.0).collect();
        let levels = Conformal::fit(&scores).unwrap();
        IntervalCalibration { on: "faces, val split".into(), n: 999, levels, bands: None }
    }

    fn crop() -> Crop {
        Crop::new(64, (0..3 * 64 * 64).map(|i| (i % 251) as u8).collect()).unwrap()
    }

    #[test]
    fn calibrated_intervals_apply_to_the_matching_kind_of_estimate_only() {
        let d = Distribution::gaussian(&LabelSet::age(), 30.0, 2.0).unwrap();
        let mut head = two_heads().info.heads.remove(0);
        let ends = |level| {
            let (low, high) = d.conformal_interval(level);
            Interval { level: 0.9, low, high }
        };
        assert_eq!(head.interval(&d, 30.0, 0.9, true), ends(0.9));
        let intervals = IntervalTables { fused: Some(table()), unfused: None };
        head.calibration = Some(Calibration { intervals, ..Calibration::temperature(1.0) });
        // The 900th of 999 scores.
        assert_eq!(head.interval(&d, 30.0, 0.9, true), ends(0.95));
        assert_eq!(head.interval(&d, 30.0, 0.9, false), ends(0.9));

        let mut weights = two_heads();
        weights.info.heads[0].calibration = head.calibration.clone();
        let plain = Engine::from_weights(&weights).unwrap();
        let estimate = plain.run(&[crop()]).unwrap().remove(0).remove(0);
        assert!(!estimate.is_calibrated());
        let fused = plain.flip_fusion(true).run(&[crop()]).unwrap().remove(0).remove(0);
        assert!(fused.is_calibrated());
        let (low, high) = fused.distribution.conformal_interval(0.95);
        assert_eq!(fused.interval(0.9), Interval { level: 0.9, low, high });
    }

    /// The band follows from the estimate, not from the distribution's own mean.
    #[test]
    fn levels_by_band_follow_the_estimate() {
        let scores: Vec<f64> = (1..=200).map(|i| f64::from(i) / 200.0).collect();
        let estimates: Vec<f64> = scores.iter().map(|s| 100.0 * s).collect();
        let bands = Bands::fit(&[0.0, 50.0], &estimates, &scores, 50).unwrap();
        let banded = IntervalCalibration { bands: Some(bands.clone()), ..table() };
        let mut weights = two_heads();
        let intervals = IntervalTables { fused: None, unfused: Some(banded) };
        let calibration = Calibration { intervals, ..Calibration::temperature(1.0) };
        weights.info.heads[0].calibration = Some(calibration);
        let head = &weights.info.heads[0];
        let d = Distribution::gaussian(&LabelSet::age(), 50.0, 2.0).unwrap();
        let ends = |own| {
            let (low, high) = d.conformal_interval(own);
            Interval { level: 0.5, low, high }
        };
        let [young, old] = [49.9, 50.0].map(|value| bands.levels(value).level(0.5));
        assert!(young < 0.3 && old > 0.7);
        assert_eq!(head.interval(&d, 49.9, 0.5, false), ends(young));
        assert_eq!(head.interval(&d, 50.0, 0.5, false), ends(old));
        // Not for the other kind of distribution.
        assert_eq!(head.interval(&d, 49.9, 0.5, true), ends(0.5));

        let text = serde_json::to_string(&weights.info).unwrap();
        assert!(text.contains(r#""bands":[{"from":0.0,"n":99,"#), "{text}");
        assert_eq!(serde_json::from_str::<ModelInfo>(&text).unwrap(), weights.info);
        let engine = Engine::from_weights(&weights).unwrap();
        let estimate = engine.run(&[crop()]).unwrap().remove(0).remove(0);
        let own = bands.levels(estimate.value).level(0.8);
        let (low, high) = estimate.distribution.conformal_interval(own);
        assert_eq!(estimate.interval(0.8), Interval { level: 0.8, low, high });
    }

    #[test]
    fn heads_are_written_and_read_and_check_their_tables() {
        let mut head = two_heads().info.heads.remove(0);
        let intervals = IntervalTables { fused: Some(table()), unfused: Some(table()) };
        head.calibration = Some(Calibration { intervals, ..Calibration::temperature(1.0) });
        let text = serde_json::to_string(&head).unwrap();
        assert_eq!(serde_json::from_str::<Head>(&text).unwrap(), head);
        let text = text.replace(r#""levels":["#, r#""levels":[2.0,"#);
        assert!(serde_json::from_str::<Head>(&text).is_err());
    }

    #[test]
    fn each_head_decodes_its_own_outputs() {
        let weights = two_heads();
        let bytes = weights.to_bytes(Precision::F32).unwrap();
        assert_eq!(Weights::from_bytes(&bytes).unwrap(), weights);
        assert_eq!(weights.info.output_ranges(), [0..101, 101..142]);

        let engine = Engine::from_bytes(&bytes).unwrap();
        let crops = [crop()];
        let both = engine.run(&crops).unwrap().remove(0);
        assert_eq!(both.len(), 2);
        let alone = Weights::random("one", NetSpec::vgg16(1, 16, 101)).unwrap();
        let alone = Engine::from_weights(&alone).unwrap();
        assert_eq!(alone.run(&crops).unwrap()[0][0], both[0]);
        let logits = engine.logits(&crops).unwrap().remove(0);
        let halved: Vec<f32> = logits[101..].iter().map(|v| v / 2.0).collect();
        let expected = Method::Dldl.decode(&LabelSet::attractiveness_5(), &halved).unwrap();
        assert_eq!((both[1].task, both[1].std), (Task::Attractiveness, expected.std()));
        assert_eq!(both[1].distribution, expected);
        // Flip fusion averages every head's distributions.
        let mirrored = engine.run(&[crops[0].flipped()]).unwrap().remove(0);
        let fused = engine.flip_fusion(true).run(&crops).unwrap().remove(0);
        for ((a, b), fused) in both.iter().zip(&mirrored).zip(&fused) {
            let pair = [a.distribution.clone(), b.distribution.clone()];
            assert_ne!(pair[0], pair[1]);
            assert_eq!(fused.distribution, Distribution::average(&pair).unwrap());
        }
    }

    /// The estimate is the mean of two counts, the distribution the average of two.
    #[test]
    fn flip_fusion_of_counts_is_the_mean_of_two_counts() {
        let mut weights = Weights::random("ranks", NetSpec::vgg16(1, 16, 100)).unwrap();
        weights.info.heads[0].method = Method::RankingBce;
        let engine = Engine::from_weights(&weights).unwrap();
        let views = [crop(), crop().flipped()];
        let both = views.clone().map(|view| engine.run(&[view]).unwrap().remove(0).remove(0));
        let [plain, mirrored] = both.map(|one| (one.value, one.distribution));
        let fused = engine.flip_fusion(true).run(&views[..1]).unwrap().remove(0).remove(0);
        assert_eq!(fused.value, 0.5 * (plain.0 + mirrored.0));
        let average = Distribution::average(&[plain.1, mirrored.1]).unwrap();
        assert_eq!(fused.distribution, average);
    }

    #[test]
    fn removing_interval_calibration_keeps_temperatures() {
        let mut info = two_heads().info;
        let intervals = || IntervalTables { fused: Some(table()), unfused: None };
        for (task, temperature) in [(Task::Age, 1.0), (Task::Attractiveness, 4.0)] {
            let head = info.head_mut(task).unwrap();
            let intervals = intervals();
            head.calibration =
                Some(Calibration { intervals, ..Calibration::temperature(temperature) });
        }
        info.remove_interval_calibration();
        assert_eq!(info.head(Task::Age).unwrap().calibration, None);
        let kept = Some(Calibration::temperature(4.0));
        assert_eq!(info.head(Task::Attractiveness).unwrap().calibration, kept);
        assert!(info.head(Task::RealAge).is_none());
    }

    #[test]
    fn heads_that_do_not_match_are_rejected() {
        let good = two_heads().info;
        assert!(good.check().is_ok());
        let mut same = good.clone();
        same.heads[1].task = Task::Age;
        assert!(same.check().unwrap_err().to_string().contains("age"));
        let mut few = good.clone();
        few.net.outputs = 101;
        assert!(few.check().unwrap_err().to_string().contains("142"));
        let mut none = good.clone();
        none.heads.clear();
        assert!(none.check().is_err());
        let mut cold = good;
        cold.heads[1].calibration = Some(Calibration::temperature(0.0));
        assert!(cold.check().is_err());
    }
}
