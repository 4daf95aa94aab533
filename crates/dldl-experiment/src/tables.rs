//! From rows to a table: means and spreads over seeds or folds, published
//! figures beside, and which line is the best. Writing it down is in `write`.

use serde::Serialize;

use crate::figures::{Better, Metric, metric};
use crate::grid::{Cell, Grid};
use crate::rows::Row;
use crate::spec::{Spec, Test};

/// The table of an experiment, as far as it is done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// The experiment's name.
    pub name: String,
    /// The caption.
    pub title: String,
    /// What a reader should know.
    pub about: String,
    /// The command that makes it.
    pub command: String,
    /// The axes that have a column of labels.
    pub axes: Vec<String>,
    /// The axes that the means are over.
    pub over: Vec<String>,
    /// The columns of figures.
    pub columns: Vec<Column>,
    /// The lines, in the order of the file, and after them the published ones.
    pub lines: Vec<Line>,
    /// What is to be said below: what was measured, what is missing, what failed.
    pub notes: Vec<String>,
}

/// A column of figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// The test's name; empty where there is one only, and for trainings.
    pub test: String,
    /// The metric's name in files.
    pub key: String,
    /// What it is called.
    pub header: String,
    /// Digits after the point.
    pub digits: usize,
}

/// A line of figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// One for each axis of the table, at least one.
    pub labels: Vec<String>,
    /// One for each column; none where there is nothing.
    pub figures: Vec<Option<Spread>>,
    /// Whether the figure is the best of its column, to the digits that are shown.
    pub best: Vec<bool>,
    /// Where it is published; none for our own.
    pub source: Option<String>,
}

/// A mean over seeds or folds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the single values, with n - 1; none of one value.
    pub std: Option<f64>,
    /// Of how many values.
    pub n: usize,
}

impl Spread {
    /// Of some values; none of none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let std = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        (n > 0).then_some(Self { mean, std, n })
    }
}

impl Table {
    /// The table of what is done.
    pub fn new(grid: &Grid, rows: &[Row]) -> Self {
        let spec = &grid.spec;
        let shown: Vec<usize> = (0..spec.axes.len()).filter(|&a| !spec.axes[a].over).collect();
        let (columns, metrics) = columns(spec, &grid.cells[0].tests);
        let done = |cell: &Cell| rows.iter().find(|row| row.is_of(cell));
        let mut lines: Vec<Line> = Vec::new();
        let mut seen: Vec<Vec<usize>> = Vec::new();
        for cell in &grid.cells {
            let place: Vec<usize> = shown.iter().map(|&a| cell.choices[a]).collect();
            if seen.contains(&place) {
                continue;
            }
            let same = |c: &&Cell| shown.iter().all(|&a| c.choices[a] == cell.choices[a]);
            let found: Vec<(&Cell, &Row)> = grid
                .cells
                .iter()
                .filter(same)
                .filter_map(|c| Some((c, done(c).filter(|row| row.error.is_none())?)))
                .collect();
            let figure = |(test, metric): &(Option<usize>, &Metric)| {
                let one = |(cell, row): &(&Cell, &Row)| {
                    row.figure(&cell.tests[test.unwrap_or(0)], metric.key)
                };
                Spread::of(&found.iter().filter_map(one).collect::<Vec<f64>>())
            };
            let label = |&a: &usize| spec.axes[a].values[cell.choices[a]].label.clone();
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

/// The columns, and for each the number of its test (none for trainings) and its
/// metric.
fn columns(spec: &Spec, tests: &[Test]) -> (Vec<Column>, Vec<(Option<usize>, &'static Metric)>) {
    let measured = tests.iter().enumerate().flat_map(|(t, test)| {
        test.columns.iter().map(move |key| (Some(t), test.name.as_str(), key))
    });
    let several = tests.len() > 1;
    let trained = spec.training.iter().map(|key| (None, "", key));
    let known = measured.chain(trained).filter_map(|(t, name, key)| {
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

/// Marks the best figures of a column: all that read as the best one does.
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

/// What is to be said below the table.
fn notes(grid: &Grid, rows: &[Row], lines: &[Line]) -> Vec<String> {
    let mut notes = Vec::new();
    let found: Vec<(&Cell, &Row)> = grid
        .cells
        .iter()
        .filter_map(|cell| Some((cell, rows.iter().find(|row| row.is_of(cell))?)))
        .collect();
    for test in &grid.cells[0].tests {
        let name = &test.name;
        let of = |(cell, row): &(&Cell, &Row)| {
            let test = cell.tests.iter().find(|t| t.name == *name)?;
            let place = test.place();
            let measured = row.measured.iter().find(|m| m.test == place && row.error.is_none())?;
            Some((measured.pictures, measured.failed))
        };
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
            n => format!("; in all measurements together, {n} times a picture could not be used"),
        };
        let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
        notes.push(format!("{name}{} split, {pictures}, flip fusion{failed}.", test.split));
    }
    // Of all figures: a row of an older program may lack one of them.
    let sizes: Vec<usize> =
        lines.iter().flat_map(|line| line.figures.iter().flatten().map(|f| f.n)).collect();
    let over: Vec<&str> =
        grid.spec.axes.iter().filter(|a| a.over).map(|a| a.name.as_str()).collect();
    if let (Some(least), Some(most), false) =
        (sizes.iter().min(), sizes.iter().max(), over.is_empty())
    {
        let n = if least == most { format!("{most}") } else { format!("{least} to {most}") };
        let over = over.join(" and ");
        notes.push(format!("Mean ± standard deviation over the {over}s, n = {n}."));
    }
    for (cell, row) in &found {
        if let Some(error) = &row.error {
            let labels: Vec<&str> = cell.labels.values().map(String::as_str).collect();
            notes.push(format!("Left out: {}: {error}.", labels.join(", ")));
        }
    }
    let missing = grid.cells.len() - found.len();
    if missing > 0 {
        notes
            .push(format!("Unfinished: {missing} of {} trainings are not done.", grid.cells.len()));
    }
    notes
}

#[cfg(test)]
mod tests;
