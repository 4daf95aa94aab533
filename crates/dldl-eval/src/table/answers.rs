//! The sections of the table about yes-or-no questions: whether an estimate falls into
//! the range that is its label, whether somebody would pass an age check, and whether a
//! value is at least a threshold.

use std::fmt::{self, Formatter};

use super::name_width;
use crate::evaluation::{Assurance, AssuranceGroup, AtLeast, AtLeastGroup, Cutoff, Hits, Measured};

/// The challenge age at which groups are compared.
const CHALLENGE: f64 = 25.0;
/// The rate of errors at which groups are compared, as an index into
/// [`RATES`](crate::evaluation::RATES).
const COMPARED: usize = 1;

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

pub fn at_least(f: &mut Formatter<'_>, table: &AtLeast) -> fmt::Result {
    let AtLeast { threshold, undecided, all, by_sex, by_race, reliability, .. } = table;
    write!(f, "\nat least {threshold}: {} pictures below, {} above", all.below, all.above)?;
    match undecided {
        0 => writeln!(f)?,
        n => writeln!(f, ", {n} ranges on both sides left out")?,
    }
    let score = |name: &str, m: Option<Measured>| {
        m.map_or(String::new(), |m| format!("{name} {:.4} ({})", m.value, range(&m, 1.0, 4)))
    };
    writeln!(
        f,
        "{}, {}, {}",
        score("AUC", all.auc),
        score("Brier score", all.brier),
        score("calibration error", all.calibration_error)
    )?;
    writeln!(f, "{:16}{:>7}{:>12}{:>10}{:>17}", "probability", "n", "predicted", "above", "95 %")?;
    for bin in reliability {
        writeln!(
            f,
            "{:16}{:>7}{:>10.1} %{:>8.1} %{:>17}",
            format!("{:.1} - {:.1}", bin.low, bin.high),
            bin.n,
            100.0 * bin.predicted,
            100.0 * bin.observed.value,
            range(&bin.observed, 100.0, 1)
        )?;
    }
    writeln!(
        f,
        "{:26}{:>8}{:>16}{:>17}{:>13}{:>17}",
        "cutoff so that at most", "cutoff", "below found (%)", "95 %", "above fail", "95 %"
    )?;
    let row = |f: &mut Formatter<'_>, who: &str, row: &Cutoff| {
        let found = row.below_passed.map(complement);
        writeln!(
            f,
            "{:26}{:>8}{:>16}{:>17}{:>13}{:>17}",
            format!("{:.0} % of those {who}", 100.0 * row.rate),
            row.cutoff.map_or("-".into(), |c| format!("{c:.4}")),
            percents(found),
            ends(found),
            percents(row.above_failed),
            ends(row.above_failed)
        )
    };
    for cutoff in &all.at_above_failed {
        row(f, "above fail", cutoff)?;
    }
    for cutoff in &all.at_below_passed {
        row(f, "below pass", cutoff)?;
    }
    let groups: Vec<&AtLeastGroup> = by_sex.iter().chain(by_race).collect();
    let cutoff = all.at_above_failed.get(COMPARED).and_then(|row| row.cutoff);
    let (Some(cutoff), false) = (cutoff, groups.is_empty()) else { return Ok(()) };
    let w = name_width(groups.iter().map(|g| &g.name));
    writeln!(
        f,
        "{:w$}{:>7}{:>7}{:>8}{:>16}{:>17}{:>13}{:>17}",
        format!("cutoff {cutoff:.4}"),
        "below",
        "above",
        "AUC",
        "below found (%)",
        "95 %",
        "above fail",
        "95 %"
    )?;
    for group in groups {
        let row = &group.at_above_failed[COMPARED];
        let found = row.below_passed.map(complement);
        writeln!(
            f,
            "{:w$}{:>7}{:>7}{:>8}{:>16}{:>17}{:>13}{:>17}",
            group.name,
            group.below,
            group.above,
            group.auc.map_or("-".into(), |m| format!("{:.4}", m.value)),
            percents(found),
            ends(found),
            percents(row.above_failed),
            ends(row.above_failed)
        )?;
    }
    Ok(())
}

/// One minus a share.
fn complement(share: Measured) -> Measured {
    let ends = |[low, high]: [f64; 2]| [1.0 - high, 1.0 - low];
    Measured { value: 1.0 - share.value, interval: share.interval.map(ends) }
}

/// A share in percent, and its interval.
fn percents(share: Option<Measured>) -> String {
    share.map_or("-".into(), |m| format!("{:.1}", 100.0 * m.value))
}

fn ends(share: Option<Measured>) -> String {
    share.map_or("-".into(), |m| range(&m, 100.0, 1))
}

/// The interval, multiplied by `times`.
fn range(measured: &Measured, times: f64, digits: usize) -> String {
    measured.interval.map_or("-".into(), |ends| {
        let [low, high] = ends.map(|v| times * v);
        format!("{low:.digits$} - {high:.digits$}")
    })
}
