//! From rows to a table: means and standard deviations over seeds or folds (errors pooled over
//! people who are left out one at a time),
//! published figures, and the best value of each column. The output formats are in
//! `write`.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::grid::{Grid, Trial};
use crate::metrics::{Better, Metric, metric};
use crate::pool::{is_pooled, pooled};
use crate::rows::{Row, TestResult};
use crate::spec::{Spec, Test};

/// The table of an experiment, made from the trials that are done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// The experiment's name.
    pub name: String,
    /// The caption.
    pub title: String,
    /// A short description.
    pub about: String,
    /// The command that generates it.
    pub command: String,
    /// The axes with a column of labels.
    pub axes: Vec<String>,
    /// The axes over which the means are taken.
    pub over: Vec<String>,
    /// The columns with figures.
    pub columns: Vec<Column>,
    /// The lines, in the order of the file, followed by the published ones.
    pub lines: Vec<Line>,
    /// Notes below the table: what was evaluated, what is missing, what failed.
    pub notes: Vec<String>,
}

/// A column of figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// The test's name; empty if there is only one, and for columns about trainings.
    pub test: String,
    /// The metric's key.
    pub key: String,
    /// The header.
    pub header: String,
    /// Digits after the decimal point.
    pub digits: usize,
}

/// A line of figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// One for each axis of the table, at least one.
    pub labels: Vec<String>,
    /// One for each column; `None` if there is no value.
    pub figures: Vec<Option<Spread>>,
    /// For each column, whether the figure is the best one to the digits shown.
    pub best: Vec<bool>,
    /// Where the line was published; `None` for the experiment's own.
    pub source: Option<String>,
}

/// A mean over seeds or folds, with its spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation (n - 1); `None` for a single value.
    pub std: Option<f64>,
    /// The number of values.
    pub n: usize,
}

impl Spread {
    /// Mean and standard deviation of the values; `None` if there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let std = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        (n > 0).then_some(Self { mean, std, n })
    }
}

impl Table {
    /// The table of the trials that have a row.
    pub fn new(grid: &Grid, rows: &[Row]) -> Self {
        let spec = &grid.spec;
        let shown: Vec<usize> = (0..spec.axes.len()).filter(|&a| !spec.axes[a].over).collect();
        let (columns, metrics) = columns(spec, &grid.trials[0].tests);
        let done = |trial: &Trial| rows.iter().find(|row| row.is_of(trial));
        let mut lines: Vec<Line> = Vec::new();
        let mut seen: Vec<Vec<usize>> = Vec::new();
        for trial in &grid.trials {
            let place: Vec<usize> = shown.iter().map(|&a| trial.indices[a]).collect();
            if seen.contains(&place) {
                continue;
            }
            let same = |t: &&Trial| shown.iter().all(|&a| t.indices[a] == trial.indices[a]);
            let found: Vec<(&Trial, &Row)> = grid
                .trials
                .iter()
                .filter(same)
                .filter_map(|t| Some((t, done(t).filter(|row| row.error.is_none())?)))
                .collect();
            let figure = |(test, metric): &(Option<usize>, &Metric)| {
                if let Some(test) = *test {
                    let results: Vec<&TestResult> =
                        found.iter().filter_map(|(t, row)| row.result(&t.tests[test])).collect();
                    if is_pooled(&results) {
                        return pooled(&results, metric.key);
                    }
                }
                let one = |(trial, row): &(&Trial, &Row)| {
                    row.figure(&trial.tests[test.unwrap_or(0)], metric.key)
                };
                Spread::of(&found.iter().filter_map(one).collect::<Vec<f64>>())
            };
            let label = |&a: &usize| spec.axes[a].values[trial.indices[a]].label.clone();
            let labels = match shown.is_empty() {
                true => vec![spec.name.clone()],
                false => shown.iter().map(label).collect(),
            };
            let figures: Vec<Option<Spread>> = metrics.iter().map(figure).collect();
            let best = vec![false; figures.len()];
            lines.push(Line { labels, figures, best, source: None });
            seen.push(place);
        }
        for (c, (_, metric)) in metrics.iter().enumerate() {
            mark_best(&mut lines, c, metric);
        }
        let own = lines.len();
        lines.extend(published(spec, &columns, lines[0].labels.len()));
        let axes = shown.iter().map(|&a| spec.axes[a].name.clone());
        let axes = if shown.is_empty() { vec![String::new()] } else { axes.collect() };
        let over = spec.axes.iter().filter(|axis| axis.over);
        Self {
            name: spec.name.clone(),
            title: spec.title.clone(),
            about: spec.about.clone(),
            command: format!("dldl experiment {}", grid.path.display()),
            axes,
            over: over.map(|axis| axis.name.clone()).collect(),
            columns,
            notes: notes(grid, rows, &lines[..own]),
            lines,
        }
    }
}

/// The columns, and for each the index of its test (`None` for columns about
/// trainings) and its metric.
fn columns(spec: &Spec, tests: &[Test]) -> (Vec<Column>, Vec<(Option<usize>, &'static Metric)>) {
    let tested = tests.iter().enumerate().flat_map(|(t, test)| {
        test.columns.iter().map(move |key| (Some(t), test.name.as_str(), key))
    });
    let several = tests.len() > 1;
    let trained = spec.training.iter().map(|key| (None, "", key));
    let known = tested.chain(trained).filter_map(|(t, name, key)| {
        let metric = metric(key)?;
        let test = if several { name.to_owned() } else { String::new() };
        let header = match test.is_empty() {
            true => metric.header.to_owned(),
            false => format!("{test}: {}", metric.header),
        };
        let column = Column { test, key: key.clone(), header, digits: metric.digits };
        Some((column, (t, metric)))
    });
    known.unzip()
}

/// Marks the best figures of a column: all that are printed like the best one.
fn mark_best(lines: &mut [Line], column: usize, metric: &Metric) {
    let means: Vec<f64> =
        lines.iter().filter_map(|line| Some(line.figures[column]?.mean)).collect();
    let best = match metric.better {
        Better::Lower => means.iter().copied().reduce(f64::min),
        Better::Higher => means.iter().copied().reduce(f64::max),
        Better::Neither => None,
    };
    let Some(best) = best.filter(|_| means.len() > 1) else { return };
    let text = |value: f64| format!("{value:.*}", metric.digits);
    for line in lines {
        line.best[column] = line.figures[column].is_some_and(|f| text(f.mean) == text(best));
    }
}

/// The lines of the published figures.
fn published<'a>(
    spec: &'a Spec,
    columns: &'a [Column],
    labels: usize,
) -> impl Iterator<Item = Line> + 'a {
    let first = columns.first().map_or_else(String::new, |column| column.test.clone());
    spec.references.iter().map(move |reference| {
        let test = if reference.test.is_empty() { &first } else { &reference.test };
        let figure = |column: &Column| {
            let here = column.test.is_empty() || column.test == *test;
            let published = reference.figures.get(&column.key).filter(|_| here)?;
            Spread::of(published.values())
        };
        let mut line = vec![String::new(); labels];
        line[0].clone_from(&reference.label);
        Line {
            labels: line,
            figures: columns.iter().map(figure).collect(),
            best: vec![false; columns.len()],
            source: Some(reference.source.clone()),
        }
    })
}

/// The notes below the table.
fn notes(grid: &Grid, rows: &[Row], lines: &[Line]) -> Vec<String> {
    let mut notes = Vec::new();
    let found: Vec<(&Trial, &Row)> = grid
        .trials
        .iter()
        .filter_map(|trial| Some((trial, rows.iter().find(|row| row.is_of(trial))?)))
        .collect();
    for test in &grid.trials[0].tests {
        let name = &test.name;
        let of = |(trial, row): &(&Trial, &Row)| {
            let test = trial.tests.iter().find(|t| t.name == *name)?;
            let test = test.without_display();
            let result = row.results.iter().find(|r| r.test == test && row.error.is_none())?;
            Some((result.pictures, result.failed))
        };
        let results: Vec<&TestResult> = found
            .iter()
            .filter_map(|(t, row)| row.result(t.tests.iter().find(|t| t.name == *name)?))
            .collect();
        if is_pooled(&results) {
            let people: BTreeSet<_> = results.iter().map(|result| &result.protocol).collect();
            let n = people.len();
            notes.push(format!(
                "Errors are pooled: each picture of the {n} people left out counts once."
            ));
        }
        let counts: Vec<(usize, usize)> = found.iter().filter_map(of).collect();
        let (Some(least), Some(most)) = (counts.iter().min(), counts.iter().max()) else {
            continue;
        };
        let pictures = match least.0 == most.0 {
            true => format!("{} pictures", most.0),
            false => format!("{} to {} pictures", least.0, most.0),
        };
        let failed: usize = counts.iter().map(|(_, failed)| failed).sum();
        let failed = match failed {
            0 => String::new(),
            n => format!("; {n} failed, summed over all trainings"),
        };
        let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
        notes.push(format!("{name}{} split, {pictures}, flip fusion{failed}.", test.split));
    }
    // Of all figures: a row from an older version may lack one of them.
    let sizes: Vec<usize> =
        lines.iter().flat_map(|line| line.figures.iter().flatten().map(|f| f.n)).collect();
    let over: Vec<&str> =
        grid.spec.axes.iter().filter(|a| a.over).map(|a| a.name.as_str()).collect();
    if let (Some(least), Some(most), false) =
        (sizes.iter().min(), sizes.iter().max(), over.is_empty())
        && (found.len() < 2 || *most > 1)
    {
        let n = if least == most { format!("{most}") } else { format!("{least} to {most}") };
        let over = over.join(" and ");
        notes.push(format!("Mean ± standard deviation over the {over}s, n = {n}."));
    }
    for (trial, row) in &found {
        if let Some(error) = &row.error {
            let labels: Vec<&str> = trial.labels.values().map(String::as_str).collect();
            notes.push(format!("Failed: {}: {error}.", labels.join(", ")));
        }
    }
    let (missing, all) = (grid.trials.len() - found.len(), grid.trials.len());
    if missing > 0 {
        notes.push(format!("Incomplete: {missing} of {all} trainings are missing."));
    }
    notes
}

#[cfg(test)]
mod tests;
