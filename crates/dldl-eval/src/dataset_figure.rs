//! A dataset as a figure: how many pictures each split has, and the histogram of their labels.

use dldl_data::check::{LabelReport, PerSplit};
use dldl_data::{DatasetReport, Split};
use dldl_plot::{Axis, Ink, Plot, Sheet};

/// Charts a dataset: a row for each task with a histogram for each split that has labels. The
/// heading is the dataset's line of a table: pictures, splits, people or groups, and labels.
pub fn dataset_figure(report: &DatasetReport) -> Sheet {
    let PerSplit { train, val, test } = report.samples;
    let mut line = format!(
        "{} pictures: train {}, val {}, test {}",
        thousands(report.samples.total()),
        thousands(train),
        thousands(val),
        thousands(test)
    );
    if report.groups > 0 {
        line += &format!("; {} people or groups", thousands(report.groups));
    }
    for task in &report.tasks {
        line += &format!("; {} {} to {}, mean {:.2}", task.task, task.min, task.max, task.mean);
    }
    let splits: Vec<Split> = Split::ALL
        .into_iter()
        .filter(|split| report.tasks.iter().any(|task| of(task.samples, *split) > 0))
        .collect();
    let rows = report.tasks.iter().flat_map(|task| {
        splits.iter().enumerate().map(|(column, split)| histogram(task, *split, column == 0))
    });
    let title = format!("{} (protocol {})", report.dataset, report.protocol);
    Sheet::new(&title, &line, rows.collect()).columns(splits.len()).scale(1.4)
}

fn of(samples: PerSplit, split: Split) -> usize {
    match split {
        Split::Train => samples.train,
        Split::Val => samples.val,
        Split::Test => samples.test,
    }
}

/// The histogram of the labels of one split. Ranges are categories: they differ in width.
fn histogram(task: &LabelReport, split: Split, first: bool) -> Plot {
    let most = task.bins.iter().map(|bin| of(bin.samples, split)).max().unwrap_or(0);
    let ranges = task.ranges == task.samples.total();
    let x = if ranges {
        let names: Vec<String> =
            task.bins.iter().map(|bin| format!("{}-{}", bin.from, bin.to)).collect();
        Axis::names(task.task.name(), &names)
    } else {
        let low = task.bins.first().map_or(0.0, |bin| bin.from);
        let high = task.bins.last().map_or(1.0, |bin| bin.to);
        Axis::linear(task.task.name(), low, high)
    };
    let y = Axis::linear(if first { "pictures" } else { "" }, 0.0, most.max(1) as f64);
    let n = of(task.samples, split);
    let title = format!("{split}: {}", thousands(n));
    let mut plot = Plot::new(&title, x, y).area(300.0, 190.0);
    let ink = Ink::Series(split as usize);
    for (i, bin) in task.bins.iter().enumerate() {
        let n = of(bin.samples, split);
        if n == 0 {
            continue;
        }
        let sides = if ranges { [i as f64 - 0.45, i as f64 + 0.45] } else { [bin.from, bin.to] };
        let hint = format!("{} to {}: {}", bin.from, bin.to, thousands(n));
        plot.rect(ink, sides, [0.0, n as f64], 0.8, &hint);
    }
    plot
}

fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits"))
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_with_labels_has_a_histogram() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = String::from("file,age,attractiveness,split\n");
        for i in 0..1200 {
            let split = if i % 4 == 0 { "test" } else { "train" };
            table += &format!("{i}.jpg,{},{},{split}\n", i % 90, 1 + i % 5);
        }
        std::fs::write(dir.path().join("labels.csv"), table).unwrap();
        let set = dldl_data::load("csv", dir.path(), None).unwrap();
        let report = dldl_data::check(&set, 1, &|_| {}).unwrap();
        let svg = dataset_figure(&report).to_svg();
        for part in [
            "csv (protocol published)",
            "1,200 pictures: train 900, val 0, test 300; age 0 to 89, mean 43.75",
            "train: 900",
            "test: 300",
            "attractiveness",
            "10 to 15: ",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains("val: "));
    }

    #[test]
    fn thousands_are_separated() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(n), text);
        }
    }
}
