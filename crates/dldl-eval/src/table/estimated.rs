//! The section of the table about intervals by band of the estimate.

use std::fmt::{self, Formatter};

use super::{LEVEL, name_width};
use crate::evaluation::{ByEstimate, Coverage};

pub fn by_estimate(f: &mut Formatter<'_>, task: &str, table: &ByEstimate) -> fmt::Result {
    let Some(first) = table.bands.first() else { return Ok(()) };
    let by = format!("by estimated {task}");
    let w = name_width(table.bands.iter().map(|b| &b.name).chain([&by]));
    write!(f, "\n{by:w$}{:>7}{:>9}", "n", "bias")?;
    for c in &first.coverage {
        write!(f, "{:>9}", format!("{:.0} %", 100.0 * c.level))?;
    }
    write!(f, "{:>8}", "width")?;
    let banded = table.bands.iter().all(|b| !b.one_table.is_empty());
    writeln!(f, "{}", if banded { "   without bands   width" } else { "" })?;
    let percent = |c: &Coverage| format!("{:.1} %", 100.0 * c.observed.value);
    for band in &table.bands {
        let star = if band.few { "*" } else { "" };
        let name = format!("{}{star}", band.name);
        write!(f, "{name:w$}{:>7}{:>+9.2}", band.n, band.bias.value)?;
        for c in &band.coverage {
            write!(f, "{:>9}", percent(c))?;
        }
        if let Some(c) = band.coverage.get(LEVEL) {
            write!(f, "{:>8.2}", c.width.value)?;
        }
        if let Some(c) = band.one_table.get(LEVEL).filter(|_| banded) {
            write!(f, "{:>16}{:>8.2}", percent(c), c.width.value)?;
        }
        writeln!(f)?;
    }
    let level = 100.0 * first.coverage.get(LEVEL).map_or(0.0, |c| c.level);
    let bands = match table.calibrated {
        true => "calibrated by band: the levels are promised in each of these",
        false => "not calibrated by band: levels are promised on average over all estimates",
    };
    writeln!(f, "widths are of the {level:.0} % interval; {bands}")
}
