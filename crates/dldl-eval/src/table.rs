//! An evaluation as a text table. Its JSON has all digits, the groups of combined
//! attributes and the single pictures. Ranges, age assurance and thresholds are in
//! `answers`, intervals by band of the estimate in `estimated`.

mod answers;
mod estimated;
mod rejection;

use std::fmt::{self, Display, Formatter};

use dldl_data::Problem;

use crate::evaluation::{Breakdown, Evaluation, Group, MIN_GROUP, Measured, Metrics};

/// The level of the intervals of groups, as an index into
/// [`LEVELS`](crate::evaluation::LEVELS).
const LEVEL: usize = 2;

impl Display for Evaluation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        self.errors(f)?;
        self.distributions(f)?;
        if let Some(table) = &self.by_estimate {
            estimated::by_estimate(f, self.subject.task.name(), table)?;
        }
        let (single, crossed): (Vec<&Breakdown>, Vec<&Breakdown>) =
            self.breakdowns.iter().partition(|b| !b.by.contains(" x "));
        let digits = self.digits();
        for breakdown in &single {
            groups(f, breakdown, digits)?;
        }
        if single.iter().any(|b| b.groups.iter().any(|g| g.few)) {
            writeln!(f, "* fewer than {MIN_GROUP} pictures: not compared")?;
        }
        crossings(f, &crossed, digits)?;
        if let Some(table) = &self.hits {
            answers::hits(f, table)?;
        }
        if let Some(table) = &self.assurance {
            answers::assurance(f, table)?;
        }
        for table in &self.at_least {
            answers::at_least(f, table)?;
        }
        if let Some(table) = &self.rejection {
            rejection::rejection(f, table, self.digits())?;
        }
        problems(f, "failed", &self.failed)?;
        problems(f, "invalid entries of the dataset", &self.problems)
    }
}

impl Evaluation {
    /// Decimals of errors.
    fn digits(&self) -> usize {
        self.subject.scale.digits
    }

    fn head(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let subject = &self.subject;
        let protocol = subject.protocol.as_ref().map_or(String::new(), |p| format!(", {p}"));
        writeln!(
            f,
            "{} on {} ({}{protocol}): {} pictures",
            subject.model, subject.dataset, subject.split, self.n
        )?;
        writeln!(
            f,
            "{} aligned by a face, {} used whole, {} failed",
            self.crops.aligned, self.crops.whole_picture, self.failures
        )
    }

    fn errors(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scale = &self.subject.scale;
        let [cs3, cs5, cs8] = [3, 5, 8].map(|n| format!("CS@{}", scale.threshold(n)));
        writeln!(
            f,
            "\n{:16}{:>8}{:>8}{cs3:>9}{cs5:>9}{cs8:>9}{:>11}{:>9}{:>8}{:>8}",
            "", "MAE", "RMSE", "eps-error", "Pearson", "bias", "median"
        )?;
        self.line(f, "plain", &self.plain, &|m| Some(m.value))?;
        self.line(f, "mirrored", &self.flipped, &|m| Some(m.value))?;
        self.line(f, "flip fusion", &self.flip_fusion, &|m| Some(m.value))?;
        self.line(f, "  95 % from", &self.flip_fusion, &|m| Some(m.interval?[0]))?;
        self.line(f, "  95 % to", &self.flip_fusion, &|m| Some(m.interval?[1]))?;
        if let Some(base) = &self.baseline {
            let (name, digits) = ("constant", self.digits());
            let median = base.train_median;
            writeln!(
                f,
                "{name:16}{:>8.digits$}  always {median}, the median of the train split",
                base.mae
            )?;
        }
        if self.n_sigma > 0 && self.n_sigma < self.n {
            writeln!(f, "\nthe eps-error is over {} pictures with known sigma", self.n_sigma)?;
        }
        let with = self.flip_fusion.epsilon_error_with_failures;
        if let Some(with) = with.filter(|_| self.failures > 0) {
            writeln!(f, "\neps-error with failures counted as 1: {:.4}", with.value)?;
        }
        // Without names, the pictures of a person count as those of several people.
        match self.n_groups {
            n if n < self.n => {
                writeln!(f, "\n95 % intervals: bootstrap over {n} people or groups of pictures")?;
            }
            n => writeln!(f, "\n95 % intervals: bootstrap over {n} photographs")?,
        }
        Ok(())
    }

    /// A line of errors; `pick` chooses the value or an end of the interval.
    fn line(
        &self,
        f: &mut Formatter<'_>,
        name: &str,
        m: &Metrics,
        pick: &dyn Fn(Measured) -> Option<f64>,
    ) -> fmt::Result {
        let digits = self.digits();
        let cell = |value: Option<Measured>, digits: usize, unit: &str| {
            value.and_then(pick).map_or("-".into(), |v| format!("{v:.digits$}{unit}"))
        };
        let signed = m.bias.and_then(pick).map_or("-".into(), |v| format!("{v:+.digits$}"));
        writeln!(
            f,
            "{name:16}{:>8}{:>8}{:>9}{:>9}{:>9}{:>11}{:>9}{signed:>8}{:>8}",
            cell(m.mae, digits, ""),
            cell(m.rmse, digits, ""),
            cell(m.cs3, 1, " %"),
            cell(m.cs5, 1, " %"),
            cell(m.cs8, 1, " %"),
            cell(m.epsilon_error, 4, ""),
            cell(m.pearson, 4, ""),
            cell(m.median_error, digits, ""),
        )
    }

    fn distributions(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let found = &self.probabilistic;
        let intervals = self.subject.calibration.as_ref().and_then(|c| c.intervals.get(true));
        let how = match intervals {
            Some(i) => {
                let bands = i.bands.as_ref().map_or("", |_| ", by band of the estimate");
                format!("calibrated on {} pictures of {}{bands}", i.n, i.on)
            }
            None => "not calibrated".to_owned(),
        };
        if let (Some(nll), Some(crps)) = (found.nll, found.crps) {
            let digits = self.digits();
            writeln!(
                f,
                "\nnegative log-likelihood {:.3} nats, CRPS {:.digits$}",
                nll.value, crps.value
            )?;
        }
        if !found.coverage.is_empty() {
            writeln!(
                f,
                "\n{:16}{:>9}{:>19}{:>8}   {how}",
                "intervals", "covered", "95 %", "width"
            )?;
        }
        for c in &found.coverage {
            let range = c.observed.interval.map_or("-".into(), |[low, high]| {
                format!("{:.1} - {:.1} %", 100.0 * low, 100.0 * high)
            });
            writeln!(
                f,
                "{:>4.0} %{:10}{:>7.1} %{range:>19}{:>8.2}",
                100.0 * c.level,
                "",
                100.0 * c.observed.value,
                c.width.value
            )?;
        }
        Ok(())
    }
}

/// The groups of one breakdown, and the gap between them.
fn groups(f: &mut Formatter<'_>, breakdown: &Breakdown, digits: usize) -> fmt::Result {
    let w = name_width(breakdown.groups.iter().map(|g| &g.name));
    let by = format!("by {}", breakdown.by);
    writeln!(
        f,
        "\n{by:w$}{:>7}{:>9}{:>17}{:>9}{:>14}{:>8}",
        "n", "MAE", "95 %", "bias", "90 % covered", "width"
    )?;
    for group in &breakdown.groups {
        let Group { name, n, mae, bias, coverage, .. } = group;
        let star = if group.few { "*" } else { "" };
        let (covered, width) = coverage.get(LEVEL).map_or(("-".into(), "-".into()), |c| {
            (format!("{:.1} %", 100.0 * c.observed.value), format!("{:.2}", c.width.value))
        });
        writeln!(
            f,
            "{:w$}{n:>7}{:>9.digits$}{:>17}{:>+9.digits$}{covered:>14}{width:>8}",
            format!("{name}{star}"),
            mae.value,
            range(mae, digits),
            bias.value
        )?;
    }
    gap(f, breakdown, digits)
}

fn gap(f: &mut Formatter<'_>, breakdown: &Breakdown, digits: usize) -> fmt::Result {
    let Breakdown { worst: Some(worst), best: Some(best), gap: Some(gap), .. } = breakdown else {
        return Ok(());
    };
    writeln!(f, "worst {worst}, best {best}, difference {gap:.digits$}")
}

/// A line for each breakdown by two attributes.
fn crossings(f: &mut Formatter<'_>, crossed: &[&Breakdown], digits: usize) -> fmt::Result {
    if crossed.is_empty() {
        return Ok(());
    }
    writeln!(f)?;
    for breakdown in crossed {
        let few = breakdown.groups.iter().filter(|g| g.few).count();
        write!(
            f,
            "{}: {} groups, {few} of them too small; ",
            breakdown.by,
            breakdown.groups.len()
        )?;
        let mae = |name: &str| {
            let found = breakdown.groups.iter().find(|g| g.name == name);
            found.map_or(String::new(), |g| format!("{:.digits$} of {}", g.mae.value, g.n))
        };
        match (&breakdown.worst, &breakdown.best) {
            (Some(worst), Some(best)) => {
                writeln!(f, "worst {worst} ({}), best {best} ({})", mae(worst), mae(best))?;
            }
            _ => writeln!(f, "none to compare")?,
        }
    }
    Ok(())
}

fn problems(f: &mut Formatter<'_>, what: &str, list: &[Problem]) -> fmt::Result {
    if !list.is_empty() {
        writeln!(f, "\n{what}:")?;
    }
    for problem in list {
        writeln!(f, "  {}: {}", problem.file, problem.reason)?;
    }
    Ok(())
}

fn range(measured: &Measured, digits: usize) -> String {
    measured.interval.map_or("-".into(), |[low, high]| format!("{low:.digits$} - {high:.digits$}"))
}

/// The width of a column of names.
fn name_width<'a>(names: impl Iterator<Item = &'a String>) -> usize {
    names.map(|name| name.chars().count() + 1).max().unwrap_or(0).max(16)
}

#[cfg(test)]
mod tests {
    use dldl::LabelSet;
    use dldl_data::Sex;
    use dldl_label::{Conformal, Task};
    use dldl_net::{Calibration, IntervalCalibration, IntervalTables};

    use crate::figures::testing::{many, prediction};
    use crate::{Evaluation, Prediction, Scale, Subject};

    fn evaluation(task: Task, labels: LabelSet, predictions: Vec<Prediction>) -> Evaluation {
        let levels = Conformal::fit(&[0.25, 0.5, 0.75]).unwrap();
        let on = "faces, val split".into();
        let fused = Some(IntervalCalibration { on, n: 3, levels, bands: None });
        let intervals = IntervalTables { fused, unfused: None };
        let subject = Subject {
            model: "m".into(),
            task,
            method: "dldl".into(),
            dataset: "faces".into(),
            split: "test".into(),
            protocol: Some("random:1".into()),
            part: None,
            scale: Scale::new(task, &labels),
            labels,
            calibration: Some(Calibration { intervals, ..Calibration::temperature(1.0) }),
            thresholds: vec![18.0],
        };
        Evaluation::new(subject, predictions, None, Vec::new(), Vec::new())
    }

    fn line<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
        let found = text.lines().find(|l| l.starts_with(start));
        found.unwrap_or_else(|| panic!("no line {start} in {text}")).split_whitespace().collect()
    }

    #[test]
    fn every_section_is_printed() {
        let mut predictions = many(400, 200);
        for (i, p) in predictions.iter_mut().enumerate() {
            p.sex = Some(if i % 2 == 0 { Sex::Male } else { Sex::Female });
            p.range = (i == 7).then_some([0.0, 100.0]);
            p.quality = Some(0.9 - i as f64 / 1000.0);
            p.at_least = vec![(p.fused / 40.0).clamp(0.0, 1.0)];
        }
        let made = evaluation(Task::Age, LabelSet::age(), predictions);
        let text = made.to_string();
        assert_eq!(text.lines().next(), Some("m on faces (test, random:1): 400 pictures"));
        let mae = made.flip_fusion.mae.unwrap();
        let fused = line(&text, "flip fusion");
        assert_eq!(fused[2], format!("{:.3}", mae.value));
        assert_eq!(line(&text, "  95 % from")[3], format!("{:.3}", mae.interval.unwrap()[0]));
        assert!(text.contains("bootstrap over 200 people"));
        assert!(text.contains("calibrated on 3 pictures of faces, val split"), "{text}");
        assert_eq!(line(&text, "  90 %")[0], "90");
        let band = &made.by_estimate.as_ref().unwrap().bands[2];
        let covered = format!("{:.1} %", 100.0 * band.coverage[0].observed.value);
        let by_estimate = line(&text, "20-29");
        assert_eq!((by_estimate.len(), by_estimate[3..5].join(" ")), (12, covered));
        assert_eq!(by_estimate[1], band.n.to_string());
        assert!(text.contains("by estimated age") && !text.contains("without bands"), "{text}");
        assert_eq!(line(&text, "0-2*")[1], "15");
        assert_eq!(line(&text, "female")[1], "200");
        assert!(text.contains("age x sex: 18 groups"), "{text}");
        assert!(text.contains("1 labels are ranges; estimates within theirs: 100.0 %"), "{text}");
        assert_eq!(line(&text, "25 ").len(), 7);
        let [row, of_men] = [made.at_least[0].all.clone(), made.at_least[0].by_sex[0].clone()]
            .map(|group| group.at_above_failed[1]);
        let found = |row: &crate::evaluation::Cutoff| {
            format!("{:.1}", 100.0 * (1.0 - row.below_passed.unwrap().value))
        };
        let counts = format!("at least 18: {} pictures below", made.at_least[0].all.below);
        assert!(text.contains(&counts) && text.contains("1 ranges on both sides"), "{text}");
        assert_eq!(
            line(&text, "5 % of those above fail")[6],
            format!("{:.4}", row.cutoff.unwrap())
        );
        assert_eq!(line(&text, "5 % of those above fail")[7], found(&row));
        let section = text.split(&counts).nth(1).unwrap();
        assert!(line(section, "male ").contains(&found(&of_men).as_str()), "{text}");
        let rejection = made.rejection.as_ref().unwrap();
        let row = line(&text, "by quality");
        assert_eq!(row[2], format!("{:.3}", mae.value));
        assert_eq!(row[8], format!("{:.3}", rejection.by_quality.area.value));
        // A tenth is 40 of 400: the first that stays has the quality of number 359.
        assert_eq!(line(&text, "  below a quality of")[6], "0.54");
        assert!(!text.contains("failed:"));
        let longest = text.lines().map(str::len).max().unwrap();
        assert!(longest <= 110, "{longest}");
    }

    #[test]
    fn scores_are_not_in_years() {
        let predictions = (0..40).map(|i| f64::from(i) / 10.0 + 1.0);
        let predictions = predictions.map(|truth| prediction(truth, truth + 0.25)).collect();
        let text =
            evaluation(Task::Attractiveness, LabelSet::attractiveness_5(), predictions).to_string();
        assert!(text.contains("CS@0.3") && text.contains("by attractiveness"), "{text}");
        assert!(text.contains("0.2500") && text.contains("1.5-2.0*"), "{text}");
        assert!(!text.contains("assurance") && !text.contains("years"), "{text}");
    }

    #[test]
    fn an_evaluation_without_predictions_has_a_table() {
        let text = evaluation(Task::Age, LabelSet::age(), Vec::new()).to_string();
        assert!(text.contains("0 pictures") && text.contains('-'), "{text}");
    }
}
