//! The sections of the table about yes-or-no questions: whether an estimate falls into
//! the range that is its label, and whether somebody would pass an age check.

use std::fmt::{self, Formatter};

use super::name_width;
use crate::evaluation::{Assurance, AssuranceGroup, Hits, Measured};

/// The challenge age at which groups are compared.
const CHALLENGE: f64 = 25.0;

pub fn hits(f: &mut Formatter<'_>, hits: &Hits) -> fmt::Result {
    let percent = |m: &Measured| format!("{:.1} %", 100.0 * m.value);
    writeln!(
        f,
        "\n{} labels are ranges; estimates within theirs: {}",
        hits.n,
        percent(&hits.share)
    )?;
    let w = name_width(hits.by_race.iter().map(|g| &g.name));
    for group in &hits.by_race {
        let star = if group.few { "*" } else { "" };
        let name = format!("{}{star}", group.name);
        writeln!(f, "{name:w$}{:>7}{:>9}", group.n, percent(&group.share))?;
    }
    match (&hits.worst, &hits.best) {
        (Some(worst), Some(best)) => writeln!(f, "worst {worst}, best {best}"),
        _ => Ok(()),
    }
}

pub fn assurance(f: &mut Formatter<'_>, table: &Assurance) -> fmt::Result {
    let all = &table.all;
    writeln!(
        f,
        "\nage assurance: {} pictures of people under 18 ({} from 14 to 17), {} from 18 to 30",
        all.minors, all.teens, all.adults
    )?;
    if let (Some(mae), Some(by_cell)) = (all.adults_mae, all.adults_mae_by_cell) {
        let (mae, cells) = (mae.value, all.adults_cells);
        writeln!(
            f,
            "MAE from 18 to 30: {mae:.3}; mean of {cells} groups by sex and year: {by_cell:.3}"
        )?;
    }
    let percent =
        |m: Option<Measured>| m.map_or("-".into(), |m| format!("{:.1} %", 100.0 * m.value));
    writeln!(
        f,
        "{:16}{:>14}{:>14}{:>15}",
        "challenge age", "under 18 pass", "14-17 pass", "18-30 asked"
    )?;
    for row in &all.rows {
        writeln!(
            f,
            "{:<16}{:>14}{:>14}{:>15}",
            row.age,
            percent(row.minors_passed),
            percent(row.teens_passed),
            percent(row.adults_challenged)
        )?;
    }
    let groups: Vec<&AssuranceGroup> = table.by_sex.iter().chain(&table.by_race).collect();
    if groups.is_empty() {
        return Ok(());
    }
    let w = name_width(groups.iter().map(|g| &g.name));
    writeln!(
        f,
        "\n{:w$}{:>9}{:>7}{:>7}{:>14}{:>11}{:>12}{:>11}",
        format!("challenge age {CHALLENGE}"),
        "under 18",
        "14-17",
        "18-30",
        "under 18 pass",
        "14-17 pass",
        "18-30 asked",
        "18-30 MAE"
    )?;
    for group in groups {
        let Some(row) = group.rows.iter().find(|r| r.age == CHALLENGE) else { continue };
        writeln!(
            f,
            "{:w$}{:>9}{:>7}{:>7}{:>14}{:>11}{:>12}{:>11}",
            group.name,
            group.minors,
            group.teens,
            group.adults,
            percent(row.minors_passed),
            percent(row.teens_passed),
            percent(row.adults_challenged),
            group.adults_mae.map_or("-".into(), |m| format!("{:.3}", m.value))
        )?;
    }
    Ok(())
}
