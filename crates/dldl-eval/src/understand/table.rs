//! Maps and rank curves as text tables and as CSV.

use std::fmt::{self, Write};

use super::ranking::RankCurves;
use super::{Map, Maps};

/// A block of numbers for each map, below the name of its group.
impl fmt::Display for Maps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.scale.digits.saturating_sub(2);
        let faces: usize = self.groups.first().map_or(0, |group| group.n);
        writeln!(
            f,
            "{} on {}, crops of {} pixels, {}",
            self.model, self.of, self.size, self.scale.name
        )?;
        for group in &self.groups {
            write!(f, "\n{}: estimate {:.digits$}", group.name, group.estimate)?;
            if faces > 1 {
                write!(f, ", n = {}", group.n)?;
            }
            if let (Some(truth), Some(mae)) = (group.truth, group.mae) {
                write!(f, ", truth {truth:.digits$}, MAE {mae:.0$}", digits + 1)?;
            }
            writeln!(f)?;
            for map in &group.maps {
                writeln!(f, "  {}, {}", map.name, map.measure.name())?;
                for row in map.values.chunks(map.columns) {
                    let cells = row.iter().map(|v| format!("{v:>8.0$}", digits + 1));
                    writeln!(f, "  {}", cells.collect::<String>())?;
                }
            }
        }
        for (i, problem) in self.failed.iter().enumerate() {
            if i == 0 {
                writeln!(f, "\nfailed:")?;
            }
            writeln!(f, "  {}: {}", problem.file, problem.reason)?;
        }
        Ok(())
    }
}

impl Maps {
    /// CSV with a line for each value: group, n, map, measure, row, column, value.
    pub fn to_csv(&self) -> String {
        let mut out = String::from("group,n,map,measure,row,column,value\n");
        for group in &self.groups {
            for map in &group.maps {
                let Map { name, measure, columns, .. } = map;
                let measure = measure.name();
                for (i, value) in map.values.iter().enumerate() {
                    let (row, column) = (i / columns, i % columns);
                    let (group, n) = (&group.name, group.n);
                    let _ = writeln!(out, "{group},{n},{name},{measure},{row},{column},{value}");
                }
            }
        }
        out
    }
}

/// A line for each model and each group.
impl fmt::Display for RankCurves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: P(label > l_k) of {} models\n", self.of, self.models.len())?;
        writeln!(f, "{:24}{:16}{:>16}{:>8}{:>11}", "model", "method", "curve", "MAE", "violation")?;
        for model in &self.models {
            let curve = if model.ranks { "sigmoids" } else { "1 - cumulative" };
            let mae = model.mae.map_or("-".into(), |mae| format!("{mae:.3}"));
            let (name, method) = (&model.name, &model.method);
            writeln!(f, "{name:24}{method:16}{curve:>16}{mae:>8}{:>11.4}", model.violation)?;
        }
        writeln!(f, "\n{:16}{:>8}{:>8}{:>12}", "group", "n", "truth", "difference")?;
        for group in &self.groups {
            let truth = group.truth.map_or("-".into(), |truth| format!("{truth:.1}"));
            let difference = group.difference.map_or("-".into(), |d| format!("{d:.4}"));
            writeln!(f, "{:16}{:>8}{truth:>8}{difference:>12}", group.name, group.n)?;
        }
        for (i, problem) in self.failed.iter().enumerate() {
            if i == 0 {
                writeln!(f, "\nfailed:")?;
            }
            writeln!(f, "  {}: {}", problem.file, problem.reason)?;
        }
        Ok(())
    }
}

impl RankCurves {
    /// CSV with a line for each value: group, n, model, label, P(label > l_k).
    pub fn to_csv(&self) -> String {
        let mut out = String::from("group,n,model,label,more\n");
        for group in &self.groups {
            for (model, curve) in self.models.iter().zip(&group.curves) {
                for (label, value) in model.labels.iter().zip(curve) {
                    let name = quoted(&model.name);
                    let (group, n) = (&group.name, group.n);
                    let _ = writeln!(out, "{group},{n},{name},{label},{value}");
                }
            }
        }
        out
    }

    /// The curves as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("curves can be written as JSON")
    }
}

/// Quotes a CSV cell if necessary (RFC 4180).
pub(super) fn quoted(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Group, Kind, Measure};
    use super::*;
    use crate::Scale;
    use dldl::LabelSet;

    #[test]
    fn tables_and_csv_have_every_value() {
        let map = Map {
            name: "grid".into(),
            measure: Measure::Change,
            rows: 2,
            columns: 2,
            values: vec![0.25, -1.5, 3.0, 4.125],
        };
        let group = Group {
            name: "face 1".into(),
            n: 1,
            estimate: 31.44,
            truth: None,
            mae: None,
            maps: vec![map],
            face: None,
        };
        let maps = Maps {
            kind: Kind::Occlusion,
            model: "m".into(),
            task: dldl_label::Task::Age,
            scale: Scale::new(dldl_label::Task::Age, &LabelSet::age()),
            of: "a.jpg".into(),
            size: 96,
            groups: vec![group],
            failed: Vec::new(),
        };
        let text = maps.to_string();
        for part in ["m on a.jpg", "estimate 31.4", "change of the estimate", "-1.50", "3.00"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let csv = maps.to_csv();
        assert_eq!(csv.lines().count(), 5);
        assert!(csv.contains("face 1,1,grid,change of the estimate,1,1,4.125"));
        assert_eq!(serde_json::from_str::<Maps>(&maps.to_json()).unwrap(), maps);
    }

    #[test]
    fn names_with_separators_are_quoted() {
        assert_eq!([quoted("a b"), quoted("a,\"b\"")], ["a b", "\"a,\"\"b\"\"\""]);
    }
}
