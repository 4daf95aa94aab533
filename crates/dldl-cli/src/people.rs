//! The output of `dldl video` by person, as table, JSON or CSV.

use std::io::{self, Write};

use anyhow::Result;
use dldl::{IntervalRecord, LabelSet, ModelInfo, RecordOptions, Task};
use dldl_video::PersonRecord;

use crate::output::{Format, numbers, percent};

/// Prints people to stdout.
pub fn print(
    people: &[PersonRecord],
    format: Format,
    model: &ModelInfo,
    options: &RecordOptions,
) -> Result<()> {
    let heads: Vec<(Task, LabelSet)> =
        model.heads.iter().map(|h| (h.task, h.labels.clone())).collect();
    let mut out = io::stdout().lock();
    match format {
        Format::Table => out.write_all(table(people, &heads, options).as_bytes())?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(people)?)?,
        Format::Ndjson => {
            for person in people {
                writeln!(out, "{}", serde_json::to_string(person)?)?;
            }
        }
        Format::Csv => out.write_all(&csv_of(people, &heads, options)?)?,
    }
    Ok(out.flush()?)
}

/// A line per person and a summary.
pub fn table(
    people: &[PersonRecord],
    heads: &[(Task, LabelSet)],
    options: &RecordOptions,
) -> String {
    let mut text = format!("{:>6}  {:>8} - {:<8}  {:>6}", "person", "first", "last", "frames");
    let mut widths = 0;
    for (task, _) in heads {
        let (w, interval) = (width(*task), format!("{} % interval", percent(options.level)));
        text += &format!("  {task:>w$} {:>6}   {interval:>13}", "+/-");
        widths += 2 + w + 7 + 3 + 13;
        if is_age(*task) {
            for threshold in &options.thresholds {
                text += &format!("  {:>8}", format!(">= {threshold}"));
            }
            widths += 10 * options.thresholds.len();
        }
    }
    text += "  quality  best at\n";
    for person in people {
        text += &format!(
            "{:>6}  {:>8} - {:<8}  {:>6}",
            person.track,
            clock(person.first),
            clock(person.last),
            person.frames
        );
        let mut cells = String::new();
        for (task, labels) in heads {
            let Some(estimate) = person.get(*task) else { continue };
            let IntervalRecord { low, high, .. } = estimate.interval;
            let w = width(*task);
            let digits = if labels.step() < 1.0 { 2 } else { 1 };
            cells += &format!("  {:w$.digits$} {:6.digits$}   ", estimate.value, estimate.std);
            cells += &format!("{:>13}", format!("{low:.digits$} - {high:.digits$}"));
            for tail in &estimate.at_least {
                cells += &format!("  {:>8}", format!("{:.1} %", 100.0 * tail.probability));
            }
        }
        if let Some(reason) = &person.not_assessed {
            cells = format!("  not assessed: {reason}");
        }
        text += &format!("{cells:widths$}  {:>7.2}  ", person.best.quality);
        text += &clock(person.best.time);
        text.push('\n');
    }
    text
}

fn csv_of(
    people: &[PersonRecord],
    heads: &[(Task, LabelSet)],
    options: &RecordOptions,
) -> Result<Vec<u8>> {
    let thresholds = |task: Task| if is_age(task) { &options.thresholds[..] } else { &[] };
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> =
        ["video", "track", "first", "last", "frames"].map(Into::into).into();
    header.extend(["frame", "time", "quality"].map(|part| format!("best_{part}")));
    header.extend(["x", "y", "w", "h"].map(|side| format!("best_box_{side}")));
    for (task, _) in heads {
        header.extend([task.to_string(), format!("{task}_std")]);
        header.extend(["level", "low", "high"].map(|part| format!("{task}_interval_{part}")));
        header.extend(thresholds(*task).iter().map(|t| format!("{task}_at_least_{t}")));
    }
    header.extend(["not_assessed", "model"].map(Into::into));
    for (task, labels) in heads.iter().filter(|_| options.distribution) {
        header.extend(
            labels.values().iter().map(|v| format!("{task}_p_{}", (v * 1e6).round() / 1e6)),
        );
    }
    csv.write_record(&header)?;
    for person in people {
        let best = &person.best;
        let mut cells = vec![person.video.clone(), person.track.to_string()];
        cells.extend([person.first, person.last].map(|v| v.to_string()));
        cells.extend([person.frames.to_string(), best.frame.to_string()]);
        cells.extend([best.time, best.quality].map(|v| v.to_string()));
        cells.extend(best.bbox.map(|v| v.to_string()));
        for (task, _) in heads {
            match person.get(*task) {
                Some(estimate) => cells.extend(numbers(estimate)),
                None => cells.extend(vec![String::new(); 5 + thresholds(*task).len()]),
            }
        }
        cells.extend([person.not_assessed.clone().unwrap_or_default(), person.model.clone()]);
        for (task, labels) in heads.iter().filter(|_| options.distribution) {
            match person.get(*task).and_then(|estimate| estimate.distribution.as_ref()) {
                Some(d) => cells.extend(d.probabilities.iter().map(f64::to_string)),
                None => cells.extend(vec![String::new(); labels.len()]),
            }
        }
        csv.write_record(&cells)?;
    }
    Ok(csv.into_inner()?)
}

/// The width of a task's first column.
fn width(task: Task) -> usize {
    task.name().len().max(6)
}

fn is_age(task: Task) -> bool {
    matches!(task, Task::Age | Task::RealAge)
}

/// Seconds as `minutes:seconds`, with hours if there are any.
pub fn clock(seconds: f64) -> String {
    let tenths = (seconds.max(0.0) * 10.0).round() as u64;
    let (hours, minutes) = (tenths / 36_000, tenths / 600 % 60);
    let seconds = format!("{:02}.{}", tenths / 10 % 60, tenths % 10);
    match hours {
        0 => format!("{minutes}:{seconds}"),
        _ => format!("{hours}:{minutes:02}:{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_on_a_clock() {
        for (seconds, text) in
            [(0.0, "0:00.0"), (59.96, "1:00.0"), (61.25, "1:01.3"), (3723.5, "1:02:03.5")]
        {
            assert_eq!(clock(seconds), text);
        }
    }
}
