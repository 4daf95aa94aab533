//! The figures that tables can show: their names, how they are written, and
//! which of two is the better one.

use std::collections::BTreeMap;

use dldl_eval::Evaluation;
use dldl_eval::figures::Breakdown;

/// Which of two figures is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The smaller.
    Lower,
    /// The larger.
    Higher,
    /// Neither.
    Neither,
}

/// A figure that tables can show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name in files.
    pub key: &'static str,
    /// Its name in tables.
    pub header: &'static str,
    /// Digits after the point in tables.
    pub digits: usize,
    /// Which of two is the better one.
    pub better: Better,
}

const fn metric_of(
    key: &'static str,
    header: &'static str,
    digits: usize,
    better: Better,
) -> Metric {
    Metric { key, header, digits, better }
}

/// All figures: first those of a test, with flip fusion, then those of a training.
pub const METRICS: &[Metric] = &[
    metric_of("mae", "MAE", 3, Better::Lower),
    metric_of("rmse", "RMSE", 3, Better::Lower),
    metric_of("pearson", "Pearson", 4, Better::Higher),
    metric_of("cs3", "CS@3 %", 1, Better::Higher),
    metric_of("cs5", "CS@5 %", 1, Better::Higher),
    metric_of("cs8", "CS@8 %", 1, Better::Higher),
    metric_of("epsilon", "ε-error", 4, Better::Lower),
    metric_of("bias", "bias", 3, Better::Neither),
    metric_of("nll", "NLL", 3, Better::Lower),
    metric_of("crps", "CRPS", 3, Better::Lower),
    metric_of("coverage90", "within the 90 % interval", 3, Better::Neither),
    metric_of("width90", "its width", 2, Better::Lower),
    metric_of("plain-mae", "MAE without flip", 3, Better::Lower),
    metric_of("band-mae", "MAE, mean of bands", 3, Better::Lower),
    metric_of("val", "val MAE", 3, Better::Lower),
    metric_of("epoch", "epoch", 1, Better::Neither),
    metric_of("seconds", "s", 0, Better::Neither),
    metric_of("images_per_second", "images/s", 0, Better::Neither),
    metric_of("parameters", "parameters", 0, Better::Neither),
];

/// The metric of that name.
pub fn metric(key: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|m| m.key == key)
}

/// The figures of a test, by name; those that cannot be computed are left out.
pub fn of_evaluation(evaluation: &Evaluation) -> BTreeMap<String, f64> {
    let (fused, whole) = (&evaluation.flip_fusion, &evaluation.probabilistic);
    let ninety = whole.coverage.iter().find(|c| c.level == 0.9);
    let all = [
        ("mae", fused.mae),
        ("rmse", fused.rmse),
        ("pearson", fused.pearson),
        ("bias", fused.bias),
        ("cs3", fused.cs3),
        ("cs5", fused.cs5),
        ("cs8", fused.cs8),
        ("epsilon", fused.epsilon_error),
        ("plain-mae", evaluation.plain.mae),
        ("nll", whole.nll),
        ("crps", whole.crps),
        ("coverage90", ninety.map(|c| c.observed)),
        ("width90", ninety.map(|c| c.width)),
    ];
    let bands = evaluation.breakdowns.iter().find(|b| b.by == evaluation.subject.task.name());
    let bands = bands.and_then(Breakdown::mean_mae).map(|mae| ("band-mae".to_owned(), mae));
    let all = all.into_iter().filter_map(|(key, figure)| Some((key.to_owned(), figure?.value)));
    all.chain(bands).collect()
}
