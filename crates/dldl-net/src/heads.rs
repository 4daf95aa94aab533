//! The heads of a model: each has a task and its own outputs on the shared
//! network. In the network's last layer the heads' outputs follow each other in
//! the order of [`ModelInfo::heads`].

use std::ops::Range;
use std::sync::Arc;

use dldl_label::{Distribution, LabelSet, Method, Recalibration, Task};
use serde::{Deserialize, Serialize};

use crate::{Calibration, IntervalCalibration, IntervalTables, ModelInfo, NetError};

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
    /// the temperature of its calibration and before its recalibration, which belongs
    /// to the [answer](Self::answer).
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
    /// in units of the label ([`Method::estimate`]), corrected by the recalibration.
    pub fn value(&self, distribution: &Distribution) -> f64 {
        self.corrected(self.method.estimate(distribution))
    }

    fn corrected(&self, value: f64) -> f64 {
        self.recalibration().map_or(value, |map| map.value(value))
    }

    /// The correction of estimates and distributions, if there is one.
    pub fn recalibration(&self) -> Option<&Recalibration> {
        self.calibration.as_ref()?.recalibration.as_ref()
    }

    /// The estimate and the distribution of a face, from the decoded distributions of its
    /// crop and, with flip fusion, of the mirror image: their average, and the estimate
    /// that the method reads from them ([`Method::fused_estimate`]). A recalibration then
    /// corrects both by the same map.
    ///
    /// # Errors
    /// [`NetError::Label`] if there are no distributions or their labels differ.
    pub fn answer(&self, views: &[Distribution]) -> Result<(f64, Distribution), NetError> {
        let value = self.corrected(self.method.fused_estimate(views)?);
        let distribution = match views {
            [one] => one.clone(),
            _ => Distribution::average(views)?,
        };
        match self.recalibration() {
            Some(map) => Ok((value, map.distribution(&distribution))),
            None => Ok((value, distribution)),
        }
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
        let held = self.recalibration().is_some();
        interval(distribution, value, level, self.intervals(fused), held)
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
    recalibrated: bool,
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
    /// With a recalibration or levels by band, the interval always contains the
    /// estimate: it is extended to it where a low level of a skewed distribution would
    /// leave out its mean. Otherwise that can happen.
    ///
    /// # Panics
    /// If `level` is not in 0..=1.
    pub fn interval(&self, level: f64) -> Interval {
        let table = self.calibrated.as_deref();
        interval(&self.distribution, self.value, level, table, self.recalibrated)
    }

    /// The estimate from two pictures of the same face, with the share of the other one:
    /// the [mixture](Distribution::mixed) of the distributions and, for the value, the mean
    /// with the same weights. Intervals stay those of a single picture's calibration.
    ///
    /// # Errors
    /// [`NetError::Label`] if the label sets differ, or `share` is not from 0 to 1.
    pub fn mixed(&self, other: &Self, share: f64) -> Result<Self, NetError> {
        let distribution = self.distribution.mixed(&other.distribution, share)?;
        Ok(Self {
            value: (1.0 - share) * self.value + share * other.value,
            std: distribution.std(),
            distribution,
            ..self.clone()
        })
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
    recalibrated: bool,
) -> Interval {
    let own = table.map_or(level, |table| table.levels_of(value).level(level));
    let (low, high) = distribution.conformal_interval(own);
    // Models without these keep their intervals to the bit.
    if recalibrated || table.is_some_and(|table| table.bands.is_some()) {
        return Interval { level, low: low.min(value), high: high.max(value) };
    }
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
            recalibrated: self.head.recalibration().is_some(),
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

    /// Removes the calibration of all intervals and keeps temperatures and
    /// recalibrations. For a model that is derived from the one they were calibrated
    /// with.
    pub fn remove_interval_calibration(&mut self) {
        for head in &mut self.heads {
            let kept = head.calibration.take();
            let kept = kept.map(|c| Calibration { intervals: IntervalTables::default(), ..c });
            // A temperature of 1 changes nothing.
            head.calibration = kept.filter(|c| c.temperature != 1.0 || c.recalibration.is_some());
        }
    }
}

#[cfg(test)]
mod tests;
