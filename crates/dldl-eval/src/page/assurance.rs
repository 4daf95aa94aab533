//! Age assurance following NIST's evaluation: false positive and challenge rates by
//! challenge age.

use dldl_plot::{Axis, Ink, Plot};

use super::html::{Table, figure, figures, measured, number, paragraph, text};
use crate::evaluation::{Assurance, AssuranceGroup, ChallengeAge, Evaluation, Measured};

/// The challenge age at which groups are compared.
const COMPARED: f64 = 25.0;

pub(super) fn section(evaluation: &Evaluation) -> String {
    let Some(assurance) = &evaluation.assurance else { return String::new() };
    let Assurance { all, by_sex, by_race } = assurance;
    let mut body = paragraph(
        "Everybody whose estimated age is at least the challenge age passes; everybody else has \
         to prove being 18 or older (following NIST IR 8525). People under 18 who pass are false \
         positives.",
    );
    body += &figures(&[figure(&plot(all), "")]);
    let counts = [all.minors, all.teens, all.adults].map(|n| format!("n = {n}"));
    let head = [
        "challenge age".to_owned(),
        format!("under 18, pass (%), {}", counts[0]),
        format!("14 to 17, pass (%), {}", counts[1]),
        format!("18 to 30, challenged (%), {}", counts[2]),
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
    body += &format!("<h4>By group, at challenge age {COMPARED}</h4>\n");
    let head = [
        "",
        "under 18",
        "pass (%)",
        "14 to 17",
        "pass (%)",
        "18 to 30",
        "challenged (%)",
        "their MAE (years)",
        "mean MAE of sex and year",
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
    let mut plot =
        Plot::new("Effect of the challenge age", x, Axis::stepped("%", 0.0, 100.0, 20.0));
    let mut line = |ink: Ink, name: &str, pick: fn(&ChallengeAge) -> Option<Measured>| {
        let point = |row: &ChallengeAge| Some((row.age, 100.0 * pick(row)?.value));
        let points: Vec<(f64, f64)> = all.rows.iter().filter_map(point).collect();
        plot.line(ink, Some(name), &points);
        plot.dots(ink, None, &points, 2.5);
    };
    line(Ink::Series(1), "under 18, pass", |row| row.minors_passed);
    line(Ink::Series(3), "14 to 17, pass", |row| row.teens_passed);
    line(Ink::Series(0), "18 to 30, challenged", |row| row.adults_challenged);
    plot
}
