//! The section of the table about rejecting poor pictures.

use std::fmt::{self, Formatter};

use crate::evaluation::{Rejection, RejectionCurve, RejectionPoint};

/// The text of a cell.
type Cell<'a> = &'a dyn Fn(&RejectionPoint) -> String;

/// The shares that are printed, as indices of points 5 % apart.
const SHOWN: [usize; 6] = [0, 1, 2, 4, 6, 10];

pub fn rejection(f: &mut Formatter<'_>, table: &Rejection, digits: usize) -> fmt::Result {
    let Rejection { n, by_quality, by_std, best_area } = table;
    let line =
        |f: &mut Formatter<'_>, name: &str, curve: &RejectionCurve, cell: Cell<'_>, last: &str| {
            write!(f, "{name:22}")?;
            for point in SHOWN.iter().filter_map(|i| curve.points.get(*i)) {
                write!(f, "{:>9}", cell(point))?;
            }
            match last {
                "" => writeln!(f),
                last => writeln!(f, "{last:>9}"),
            }
        };
    let share = |p: &RejectionPoint| format!("{:.0} %", 100.0 * p.rejected);
    let mae = |p: &RejectionPoint| format!("{:.digits$}", p.mae.value);
    let limit = |p: &RejectionPoint| match p.rejected {
        0.0 => "-".to_owned(),
        _ => format!("{:.2}", p.limit),
    };
    writeln!(f, "\nMAE of the rest if the poorest of {n} pictures are rejected")?;
    line(f, "rejected", by_quality, &share, "area")?;
    let area = |value: f64| format!("{value:.digits$}");
    line(f, "by quality", by_quality, &mae, &area(by_quality.area.value))?;
    line(f, "  below a quality of", by_quality, &limit, "")?;
    line(f, "by spread", by_std, &mae, &area(by_std.area.value))?;
    line(f, "  above +/-", by_std, &limit, "")?;
    writeln!(f, "smallest possible area {}", area(*best_area))
}
