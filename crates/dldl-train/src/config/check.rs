//! Validation of a recipe, and whether two recipes describe the same training.

use std::path::PathBuf;

use super::{DataConfig, DeviceKind, Export, HeadConfig, TrainConfig};
use crate::error::TrainError;

impl TrainConfig {
    /// Checks that all values are in range.
    ///
    /// # Errors
    /// [`TrainError::Config`], which names the first field that is not.
    pub fn check(&self) -> Result<(), TrainError> {
        let fail = |what: String| Err(TrainError::Config(what));
        if self.phases.is_empty() {
            return fail("phases: at least one is required".into());
        }
        let spec = self.spec();
        spec.check().map_err(|e| TrainError::Config(format!("net: {e}")))?;
        for (i, phase) in self.phases.iter().enumerate() {
            let problem = phase.problem(spec.size_step());
            if let Some(what) = problem {
                return fail(format!("phase {}: {what}", i + 1));
            }
            for head in &self.heads {
                let (own, other) = (head.outputs(None), head.outputs(phase.method.as_ref()));
                if own != other {
                    let what = "its method needs another number of outputs than the head";
                    return fail(format!("phase {}: {what}", i + 1));
                }
            }
        }
        if self.data.is_empty() || self.heads.is_empty() {
            return fail("data and heads: at least one of each is required".into());
        }
        for (i, data) in self.data.iter().enumerate() {
            if let Some(what) = data.problem() {
                return fail(format!("data {}: {what}", i + 1));
            }
        }
        for (i, head) in self.heads.iter().enumerate() {
            if let Some(what) = head.problem() {
                return fail(format!("head {}: {what}", head.name()));
            }
            if self.heads[..i].iter().any(|other| other.name() == head.name()) {
                return fail(format!("two heads have the name {}", head.name()));
            }
        }
        if let Some(what) = self.sampling.problem() {
            return fail(format!("sampling: {what}"));
        }
        let unit = 0.0..1.0;
        let optimizer = &self.optimizer;
        let checks = [
            (
                self.learning_rate > 0.0 && self.learning_rate.is_finite(),
                "learning_rate must be above 0",
            ),
            (unit.contains(&self.ema), "ema must be at least 0 and below 1"),
            (self.loader_threads > 0, "loader_threads must be at least 1"),
            (self.prefetch > 0, "prefetch must be at least 1"),
            (self.log_every > 0, "log_every must be at least 1"),
            (self.checkpoint_minutes > 0.0, "checkpoint_minutes must be above 0"),
            (
                unit.contains(&optimizer.beta1) && unit.contains(&optimizer.beta2),
                "optimizer: beta1 and beta2 must be at least 0 and below 1",
            ),
            (optimizer.epsilon > 0.0, "optimizer: epsilon must be above 0"),
            (optimizer.weight_decay >= 0.0, "optimizer: weight_decay must be at least 0"),
        ];
        if let Some((_, what)) = checks.iter().find(|(good, _)| !good) {
            return fail((*what).into());
        }
        if let Some(what) = self.schedule.problem() {
            return fail(format!("schedule: {what}"));
        }
        self.augment.check().map_err(|e| TrainError::Config(e.to_string()))
    }

    /// Whether a training by `self` may be continued by `other`: all values that change the
    /// result are equal. Paths, threads, device and reporting may differ.
    pub(crate) fn same_result(&self, other: &Self) -> bool {
        let moved = |head: &HeadConfig| {
            let mut head = head.clone();
            if let HeadConfig::Embedding { embeddings, list, .. } = &mut head {
                (*embeddings, *list) = (PathBuf::new(), PathBuf::new());
            }
            if let HeadConfig::Labels { teacher: Some(teacher), .. } = &mut head {
                let moved = |path: &mut PathBuf| *path = PathBuf::new();
                teacher.models.iter_mut().for_each(moved);
                teacher.distributions.iter_mut().chain(&mut teacher.list).for_each(moved);
            }
            head
        };
        let shape = |config: &Self| Self {
            heads: config.heads.iter().map(moved).collect(),
            data: config
                .data
                .iter()
                .map(|data| DataConfig { cache: PathBuf::new(), ..data.clone() })
                .collect(),
            run: PathBuf::new(),
            name: String::new(),
            device: DeviceKind::Cpu,
            init: None,
            export: Export::Best,
            loader_threads: 1,
            prefetch: 1,
            log_every: 1,
            checkpoint_minutes: 1.0,
            training_data: String::new(),
            license: String::new(),
            ..config.clone()
        };
        shape(self) == shape(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_reporting_may_change_when_resuming() {
        let a = TrainConfig::new("c", "r");
        assert!(a.same_result(&TrainConfig { loader_threads: 7, log_every: 1, ..a.clone() }));
        assert!(a.same_result(&TrainConfig::new("moved", "elsewhere")));
        assert!(!a.same_result(&TrainConfig { learning_rate: 0.5, ..a.clone() }));
        let mut other = a.clone();
        other.data[0].weight = 2.0;
        assert!(!a.same_result(&other));
        let embedding = |folder: &str| {
            let head = format!("kind='embedding', embeddings='{folder}/e.npy', list='{folder}/l'");
            TrainConfig::parse(&format!("cache='c'\nrun='r'\nheads=[{{{head}}}]"), &[]).unwrap()
        };
        assert!(embedding("a").same_result(&embedding("b")) && !a.same_result(&embedding("a")));
    }
}
