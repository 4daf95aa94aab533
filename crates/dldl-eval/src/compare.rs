//! Several evaluations side by side: a row for each, matrices of models by datasets, and
//! differences on the same pictures (`paired`). All numbers are taken from the
//! evaluations. Formatting is in `text`.

mod paired;
mod text;

use dldl_label::Task;
use dldl_label::metrics::mae_rescaled;
use serde::{Deserialize, Serialize};

use crate::{Evaluation, Measured};

pub use paired::Difference;
pub use text::Layout;

/// Evaluations side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// A row per evaluation, in the given order.
    pub rows: Vec<Row>,
    /// For each task, matrices of MAE, MAE after rescaling, and Pearson's correlation.
    pub matrices: Vec<Matrix>,
    /// Each evaluation against the first one of the same dataset, picture by picture.
    #[serde(default)]
    pub differences: Vec<Difference>,
}

/// One evaluation; all metrics are those of flip fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The name of the evaluation: its file, as given.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// The method that the model was trained with.
    pub method: String,
    /// The task.
    pub task: Task,
    /// The dataset's name.
    pub dataset: String,
    /// The split's name, or `all`.
    pub split: String,
    /// Number of pictures.
    pub n: usize,
    /// Number of pictures that could not be used.
    pub failures: usize,
    /// Mean absolute error, in units of the label.
    pub mae: Option<Measured>,
    /// Mean absolute error after the best linear map of the estimates, for different
    /// scales ([`mae_rescaled`]).
    pub mae_rescaled: Option<f64>,
    /// Root of the mean squared error.
    pub rmse: Option<Measured>,
    /// Pearson's correlation coefficient.
    pub pearson: Option<Measured>,
    /// The mean of estimate minus truth.
    pub bias: Option<Measured>,
    /// Percentage of errors up to 5 units of the scale.
    pub cs5: Option<Measured>,
    /// ChaLearn's epsilon-error.
    pub epsilon_error: Option<Measured>,
    /// Mean negative log-likelihood, in nats.
    pub nll: Option<Measured>,
    /// Mean continuous ranked probability score.
    pub crps: Option<Measured>,
    /// The share of true values in the 90 % interval, 0..=1.
    pub coverage90: Option<Measured>,
    /// The mean width of the 90 % interval.
    pub width90: Option<Measured>,
    /// Decimals of errors in tables.
    pub digits: usize,
}

/// One metric by model and dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// The task.
    pub task: Task,
    /// The metric: `MAE`, `MAE rescaled` or `Pearson`.
    pub figure: String,
    /// The datasets, with their splits.
    pub columns: Vec<String>,
    /// Models and their values, one per column; none if not evaluated.
    pub models: Vec<(String, Vec<Option<f64>>)>,
    /// Decimals in tables.
    pub digits: usize,
}

impl Row {
    fn new(name: &str, evaluation: &Evaluation) -> Self {
        let Evaluation { subject, flip_fusion: m, probabilistic, predictions, .. } = evaluation;
        let seen: Vec<f64> = predictions.iter().map(|p| p.fused).collect();
        let truth: Vec<f64> = predictions.iter().map(|p| p.truth).collect();
        let ninety = probabilistic.coverage.iter().find(|c| c.level == 0.9);
        Self {
            name: name.to_owned(),
            model: subject.model.clone(),
            method: subject.method.clone(),
            task: subject.task,
            dataset: subject.dataset.clone(),
            split: subject.split.clone(),
            n: evaluation.n,
            failures: evaluation.failures,
            mae: m.mae,
            mae_rescaled: mae_rescaled(&seen, &truth),
            rmse: m.rmse,
            pearson: m.pearson,
            bias: m.bias,
            cs5: m.cs5,
            epsilon_error: m.epsilon_error,
            nll: probabilistic.nll,
            crps: probabilistic.crps,
            coverage90: ninety.map(|c| c.observed),
            width90: ninety.map(|c| c.width),
            digits: subject.scale.digits,
        }
    }

    fn column(&self) -> String {
        format!("{} ({})", self.dataset, self.split)
    }
}

impl Comparison {
    /// Puts evaluations side by side, each with a unique name (its file).
    pub fn new(evaluations: &[(String, Evaluation)]) -> Self {
        let rows: Vec<Row> = evaluations.iter().map(|(name, e)| Row::new(name, e)).collect();
        let mut tasks: Vec<Task> = Vec::new();
        for row in &rows {
            if !tasks.contains(&row.task) {
                tasks.push(row.task);
            }
        }
        let matrices = tasks.into_iter().flat_map(|task| {
            let rows: Vec<&Row> = rows.iter().filter(|row| row.task == task).collect();
            let digits = rows.iter().map(|row| row.digits).max().unwrap_or(3);
            [
                matrix(task, "MAE", &rows, digits, |row| Some(row.mae?.value)),
                matrix(task, "MAE rescaled", &rows, digits, |row| row.mae_rescaled),
                matrix(task, "Pearson", &rows, 4, |row| Some(row.pearson?.value)),
            ]
        });
        let matrices = matrices.collect();
        Self { rows, matrices, differences: paired::differences(evaluations) }
    }
}

/// The metric that `pick` selects. Rows are labeled with the models' names, or with the
/// evaluations' if a model has several evaluations on one dataset.
fn matrix(
    task: Task,
    figure: &str,
    rows: &[&Row],
    digits: usize,
    pick: impl Fn(&Row) -> Option<f64>,
) -> Matrix {
    let clash = |a: &Row, b: &Row| a.model == b.model && a.column() == b.column();
    let ambiguous = (1..rows.len()).any(|i| rows[..i].iter().any(|other| clash(other, rows[i])));
    let mut columns: Vec<String> = Vec::new();
    let mut models: Vec<(String, Vec<Option<f64>>)> = Vec::new();
    for row in rows {
        if !columns.contains(&row.column()) {
            columns.push(row.column());
        }
    }
    for row in rows {
        let name = if ambiguous { &row.name } else { &row.model };
        let place = models.iter().position(|(model, _)| model == name).unwrap_or_else(|| {
            models.push((name.clone(), vec![None; columns.len()]));
            models.len() - 1
        });
        let column = columns.iter().position(|column| *column == row.column());
        models[place].1[column.expect("it is there")] = pick(row);
    }
    Matrix { task, figure: figure.to_owned(), columns, models, digits }
}

#[cfg(test)]
mod tests {
    use dldl::LabelSet;

    use super::*;
    use crate::figures::testing::{many, prediction, years};
    use crate::{Prediction, Subject};

    fn evaluation(model: &str, dataset: &str, predictions: Vec<Prediction>) -> Evaluation {
        let subject = Subject {
            model: model.into(),
            task: Task::Age,
            method: "dldl".into(),
            dataset: dataset.into(),
            split: "test".into(),
            protocol: None,
            part: None,
            labels: LabelSet::age(),
            scale: years(),
            calibration: None,
            thresholds: Vec::new(),
        };
        Evaluation::new(subject, predictions, None, Vec::new(), Vec::new())
    }

    fn named(all: Vec<Evaluation>) -> Vec<(String, Evaluation)> {
        all.into_iter().enumerate().map(|(i, e)| (format!("{i}.json"), e)).collect()
    }

    #[test]
    fn matrices_have_a_cell_per_model_and_dataset() {
        let off = |by: f64| (0..40).map(|i| prediction(f64::from(i), f64::from(i) + by)).collect();
        let all = named(vec![
            evaluation("a", "one", off(1.0)),
            evaluation("a", "two", off(2.0)),
            evaluation("b|c", "one", off(3.0)),
        ]);
        let found = Comparison::new(&all);
        let mae = &found.matrices[0];
        assert_eq!(mae.columns, ["one (test)", "two (test)"]);
        assert_eq!(mae.models[0], ("a".into(), vec![Some(1.0), Some(2.0)]));
        assert_eq!(mae.models[1], ("b|c".into(), vec![Some(3.0), None]));
        // Rescaling removes a constant error.
        assert!(found.rows[2].mae_rescaled.unwrap() < 1e-9);
        let text = found.to_text(Layout::Text);
        assert!(text.contains("MAE (age), model by dataset") && text.contains("3.000"), "{text}");
        let markdown = found.to_text(Layout::Markdown);
        assert!(markdown.contains("| b\\|c"), "{markdown}");
        let rule = markdown.lines().nth(1).unwrap();
        assert_eq!(rule.matches('|').count(), 16, "{rule}");
        let json = found.to_text(Layout::Json);
        assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap(), found);
    }

    #[test]
    fn evaluations_of_one_model_are_named_by_file() {
        let all =
            named(vec![evaluation("a", "x", many(30, 30)), evaluation("a", "x", many(40, 40))]);
        let found = Comparison::new(&all);
        let names: Vec<&str> = found.matrices[0].models.iter().map(|m| m.0.as_str()).collect();
        assert_eq!(names, ["0.json", "1.json"]);
        // With one dataset, tables have no matrices.
        assert!(!found.to_text(Layout::Text).contains("by dataset"));
    }

    #[test]
    fn csv_has_all_digits_and_quotes_cells() {
        let all = named(vec![evaluation("a, \"b\"", "x", many(30, 30))]);
        let found = Comparison::new(&all);
        let csv = found.to_text(Layout::Csv);
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[1].starts_with("0.json,\"a, \"\"b\"\"\",dldl,age,x,test,30,0,"), "{csv}");
        let mae = found.rows[0].mae.unwrap().value;
        assert!(lines[1].contains(&format!(",{mae},")));
        let (head, row) = (lines[0].matches(',').count(), lines[1].matches(',').count());
        assert_eq!(head, row - 1, "one comma is inside quotes");
    }

    /// Two models whose errors vary a lot from picture to picture, and always alike.
    #[test]
    fn differences_are_taken_picture_by_picture() {
        let off = |more: f64| -> Vec<Prediction> {
            let one = |i: usize| {
                let truth = (i % 60) as f64;
                let p = prediction(truth, truth + 20.0 * (i % 7) as f64 / 7.0 + more);
                Prediction { file: format!("{i}.jpg"), ..p }
            };
            (0..300).map(one).collect()
        };
        let mut fewer = off(0.5);
        fewer.truncate(250);
        let all = named(vec![
            evaluation("a", "x", off(0.0)),
            evaluation("a", "y", off(0.0)),
            evaluation("b", "x", off(1.0)),
            evaluation("c", "x", fewer),
        ]);
        let found = Comparison::new(&all);
        let [b, c] = &found.differences[..] else { panic!("{:?}", found.differences) };
        assert_eq!((b.name.as_str(), b.reference.as_str(), b.n), ("2.json", "0.json", 300));
        assert_eq!((c.name.as_str(), c.n), ("3.json", 250));
        assert!((b.mae.value - 1.0).abs() < 1e-9 && (c.mae.value - 0.5).abs() < 1e-9);
        let [low, high] = b.mae.interval.unwrap();
        assert!(high - low < 1e-6, "the difference is always 1: {low} to {high}");
        let text = found.to_text(Layout::Text);
        assert!(text.contains("on the same pictures") && text.contains("+1.000"), "{text}");
    }
}
