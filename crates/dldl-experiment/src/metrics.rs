//! The metrics that tables can show: their names, their formatting, and which of
//! two values is better. The formulas are in `dldl-label` and `dldl-eval`.

use std::collections::BTreeMap;

use dldl_eval::Evaluation;
use dldl_eval::figures::Breakdown;

/// Which of two values of a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The smaller.
    Lower,
    /// The larger.
    Higher,
    /// Neither.
    Neither,
}

/// A metric that tables can show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name in files.
    pub key: &'static str,
    /// Its column header.
    pub header: &'static str,
    /// Digits after the decimal point in tables.
    pub digits: usize,
    /// Which of two values is better.
    pub better: Better,
}

impl Metric {
    const fn new(key: &'static str, header: &'static str, digits: usize, better: Better) -> Self {
        Self { key, header, digits, better }
    }
}

/// All metrics: those of a test, with flip fusion except for `plain-mae`, and then
/// those of a training.
pub const METRICS: &[Metric] = &[
    Metric::new("mae", "MAE", 3, Better::Lower),
    Metric::new("rmse", "RMSE", 3, Better::Lower),
    Metric::new("pearson", "Pearson", 4, Better::Higher),
    Metric::new("cs3", "CS@3 %", 1, Better::Higher),
    Metric::new("cs5", "CS@5 %", 1, Better::Higher),
    Metric::new("cs8", "CS@8 %", 1, Better::Higher),
    Metric::new("rounded-cs5", "CS@5 % rounded", 1, Better::Higher),
    Metric::new("median-mae", "MAE by median", 3, Better::Lower),
    Metric::new("median-cs5", "CS@5 % by median", 1, Better::Higher),
    Metric::new("epsilon", "ε-error", 4, Better::Lower),
    Metric::new("bias", "bias", 3, Better::Neither),
    Metric::new("nll", "NLL", 3, Better::Lower),
    Metric::new("crps", "CRPS", 3, Better::Lower),
    Metric::new("coverage90", "coverage of the 90 % interval", 3, Better::Neither),
    Metric::new("width90", "width of the 90 % interval", 2, Better::Lower),
    Metric::new("plain-mae", "MAE without flip fusion", 3, Better::Lower),
    Metric::new("band-mae", "MAE, mean of bands", 3, Better::Lower),
    Metric::new("val", "val MAE", 3, Better::Lower),
    Metric::new("epoch", "epoch", 1, Better::Neither),
    Metric::new("seconds", "s", 0, Better::Neither),
    Metric::new("images_per_second", "images/s", 0, Better::Neither),
    Metric::new("parameters", "parameters", 0, Better::Neither),
];

/// The metric with this name in files.
pub fn metric(key: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|m| m.key == key)
}

/// The metrics of an evaluation by name, without those that are undefined for it.
pub fn of_evaluation(evaluation: &Evaluation) -> BTreeMap<String, f64> {
    let (fused, probabilistic) = (&evaluation.flip_fusion, &evaluation.probabilistic);
    let interval = probabilistic.coverage.iter().find(|c| c.level == 0.9);
    let all = [
        ("mae", fused.mae),
        ("rmse", fused.rmse),
        ("pearson", fused.pearson),
        ("bias", fused.bias),
        ("cs3", fused.cs3),
        ("cs5", fused.cs5),
        ("cs8", fused.cs8),
        ("rounded-cs5", evaluation.readouts.rounded_cs5),
        ("median-mae", evaluation.readouts.median_mae),
        ("median-cs5", evaluation.readouts.median_cs5),
        ("epsilon", fused.epsilon_error),
        ("plain-mae", evaluation.plain.mae),
        ("nll", probabilistic.nll),
        ("crps", probabilistic.crps),
        ("coverage90", interval.map(|c| c.observed)),
        ("width90", interval.map(|c| c.width)),
    ];
    let bands = evaluation.breakdowns.iter().find(|b| b.by == evaluation.subject.task.name());
    let bands = bands.and_then(Breakdown::mean_mae).map(|mae| ("band-mae".to_owned(), mae));
    let all = all.into_iter().filter_map(|(key, figure)| Some((key.to_owned(), figure?.value)));
    all.chain(bands).collect()
}
