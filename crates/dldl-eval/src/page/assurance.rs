//! Age assurance after NIST's evaluation: what a challenge age lets through and whom
//! it bothers.

use dldl_plot::{Axis, Ink, Plot};

use super::html::{Table, figure, figures, measured, number, paragraph, text};
use crate::evaluation::{Assurance, AssuranceGroup, ChallengeAge, Evaluation, Measured};

/// The challenge age at which groups are compared.
const COMPARED: f64 = 25.0;

pub(super) fn section(evaluation: &Evaluation) -> String {
    let Some(assurance) = &evaluation.assurance else { return String::new() };
    let Assurance { all, by_sex, by_race } = assurance;
    let mut body = paragraph(
        "A shop lets everybody in whose estimate is at least the challenge age and asks the \
         others for a proof of being 18 (after NIST IR 8525). People below 18 who pass are its \
         false positives.",
    );
    body += &figures(&[figure(&plot(all), "")]);
    let counts = [all.minors, all.teens, all.adults].map(|n| format!("n = {n}"));
    let head = [
        "challenge age".to_owned(),
        format!("below 18 pass (%), {}", counts[0]),
        format!("14 to 17 pass (%), {}", counts[1]),
        format!("18 to 30 are asked (%), {}", counts[2]),
    ];
    let mut table = Table::new(&head.each_ref().map(String::as_str));
    for row in &all.rows {
        table.row(
            "",
            &[
                number(Some(row.age), 0),
                measured(row.minors_passed, 100.0, 1),
                measured(row.teens_passed, 100.0, 1),
                measured(row.adults_challenged, 100.0, 1),
            ],
        );
    }
    body += &table.finish();
    body += &format!("<h4>By group, at the challenge age {COMPARED}</h4>\n");
    let head = [
        "",
        "below 18",
        "pass (%)",
        "14 to 17",
        "pass (%)",
        "18 to 30",
        "are asked (%)",
        "their MAE (years)",
        "MAE by sex and year",
    ];
    let mut table = Table::new(&head);
    for group in std::iter::once(all).chain(by_sex).chain(by_race) {
        let row = group.rows.iter().find(|row| row.age == COMPARED);
        let share =
            |pick: fn(&ChallengeAge) -> Option<Measured>| measured(row.and_then(pick), 100.0, 1);
        table.row(
            "",
            &[
                text(&group.name),
                group.minors.to_string(),
                share(|row| row.minors_passed),
                group.teens.to_string(),
                share(|row| row.teens_passed),
                group.adults.to_string(),
                share(|row| row.adults_challenged),
                measured(group.adults_mae, 1.0, 2),
                number(group.adults_mae_by_cell, 2),
            ],
        );
    }
    body + &table.finish()
}

fn plot(all: &AssuranceGroup) -> Plot {
    let ages = all.rows.iter().map(|row| row.age);
    let (low, high) = ages.fold((f64::MAX, f64::MIN), |(l, h), age| (l.min(age), h.max(age)));
    let x = Axis::stepped("challenge age (years)", low, high.max(low + 1.0), 2.0);
    let mut plot = Plot::new("What a challenge age costs", x, Axis::stepped("%", 0.0, 100.0, 20.0));
    let mut line = |ink: Ink, name: &str, pick: fn(&ChallengeAge) -> Option<Measured>| {
        let point = |row: &ChallengeAge| Some((row.age, 100.0 * pick(row)?.value));
        let points: Vec<(f64, f64)> = all.rows.iter().filter_map(point).collect();
        plot.line(ink, Some(name), &points);
        plot.dots(ink, None, &points, 2.5);
    };
    line(Ink::Series(1), "below 18 pass", |row| row.minors_passed);
    line(Ink::Series(3), "14 to 17 pass", |row| row.teens_passed);
    line(Ink::Series(0), "18 to 30 are asked", |row| row.adults_challenged);
    plot
}
