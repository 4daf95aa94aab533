//! Pictures that could not be used, and those with the largest errors: by file name,
//! never shown.

use super::html::{Table, details, number, paragraph, text};
use crate::evaluation::{Evaluation, LEVELS, Prediction};
use dldl_data::{Problem, Sex};

/// The number of errors, and of problems of a kind, that are listed.
const LISTED: usize = 20;

pub(super) fn section(evaluation: &Evaluation) -> String {
    let n = evaluation.n + evaluation.failures;
    let mut body = paragraph(&format!(
        "{} of {n} pictures could not be used ({} %). {} were used whole: no face was found, or \
         detection was skipped.",
        evaluation.failures,
        number(Some(100.0 * evaluation.failure_rate), 2),
        evaluation.crops.whole_picture,
    ));
    body += &problems("Pictures that failed", &evaluation.failed);
    body += &problems("Invalid entries of the dataset", &evaluation.problems);
    body + &largest(evaluation)
}

fn problems(name: &str, list: &[Problem]) -> String {
    if list.is_empty() {
        return String::new();
    }
    let line = |p: &Problem| format!("<li>{}: {}</li>\n", text(&p.file), text(&p.reason));
    let lines: String = list.iter().take(LISTED).map(line).collect();
    let more = match list.len() {
        n if n > LISTED => format!("<li>and {} more</li>\n", n - LISTED),
        _ => String::new(),
    };
    details(&format!("{name} ({})", list.len()), &format!("<ul>{lines}{more}</ul>\n"))
}

fn largest(evaluation: &Evaluation) -> String {
    let mut worst: Vec<&Prediction> = evaluation.predictions.iter().collect();
    let error = |p: &Prediction| (p.fused - p.truth).abs();
    worst.sort_by(|a, b| error(b).total_cmp(&error(a)));
    worst.truncate(LISTED);
    if worst.is_empty() {
        return String::new();
    }
    let digits = evaluation.subject.scale.digits.saturating_sub(2);
    let ninety = LEVELS.iter().position(|level| *level == 0.9).unwrap_or(0);
    let head = [
        "file",
        "truth",
        "estimate",
        "error",
        "90 % interval",
        "in interval",
        "sex",
        "race",
        "crop",
    ];
    let mut table = Table::new(&head);
    for p in worst {
        let [low, high] = p.intervals[ninety];
        let sex = p.sex.map_or("–", |sex| match sex {
            Sex::Male => "male",
            Sex::Female => "female",
        });
        table.row(
            "",
            &[
                text(&p.file),
                number(Some(p.truth), digits.min(if p.truth.fract() == 0.0 { 0 } else { digits })),
                number(Some(p.fused), digits),
                number(Some(p.fused - p.truth), digits),
                format!("{} to {}", number(Some(low), digits), number(Some(high), digits)),
                if (low..=high).contains(&p.truth) { "yes" } else { "no" }.into(),
                sex.into(),
                text(p.race.as_deref().unwrap_or("–")),
                if p.aligned { "aligned" } else { "whole picture" }.into(),
            ],
        );
    }
    format!("<h4>The {LISTED} largest errors</h4>\n{}", table.finish())
}
