//! The report of `dldl data check` as text.

use std::fmt::Write;

use anyhow::Result;
use dldl_data::check::{Bin, LabelReport, PerSplit};
use dldl_data::similar::{SimilarPair, SimilarPicture};
use dldl_data::{DatasetReport, Problem, SimilarReport};

use crate::printing::thousands;

/// The most findings of a kind that are printed; JSON has all.
const SHOWN: usize = 10;
/// Length of the longest bar of a histogram, in characters.
const BAR: usize = 40;

/// What was found, for people.
pub fn report(found: &DatasetReport) -> Result<String> {
    let mut text = String::new();
    let PerSplit { train, val, test } = found.samples;
    writeln!(
        text,
        "{}: {} {} (protocol {})\n  train {train}, val {val}, test {test}",
        found.dataset,
        thousands(found.samples.total() as u64),
        if found.samples.total() == 1 { "sample" } else { "samples" },
        found.protocol
    )?;
    for (what, counts) in [("sex", &found.sexes), ("race", &found.races)] {
        let known: Vec<String> = counts.iter().map(|(name, n)| format!("{name} {n}")).collect();
        writeln!(text, "  {what}: {}", known.join(", "))?;
    }
    if found.groups > 0 {
        writeln!(text, "  {} people or groups", thousands(found.groups as u64))?;
    }
    if found.identities > 0 {
        writeln!(text, "  {} identities", thousands(found.identities as u64))?;
    }
    for task in &found.tasks {
        task_report(&mut text, task)?;
    }
    let superfluous = found.duplicates.iter().filter(|d| !d.harmful());
    let lines = |list: &[Problem]| -> Vec<String> {
        list.iter().map(|p| format!("{}: {}", p.file, p.reason)).collect()
    };
    let splits = |s: PerSplit| format!("train {}, val {}, test {}", s.train, s.val, s.test);
    let harmful = found.duplicates.iter().filter(|d| d.harmful()).map(|d| {
        let why = if d.contradicting { "different labels" } else { "the same label" };
        format!("{} ({why}; {})", d.files.join(" = "), splits(d.splits))
    });
    let divided = found.divided.iter().map(|d| format!("{}: {}", d.group, splits(d.splits)));
    for (what, list) in [
        ("missing pictures", found.missing.clone()),
        ("unreadable pictures", lines(&found.unreadable)),
        ("duplicates with different labels or in different splits", harmful.collect()),
        ("people or groups in more than one split", divided.collect()),
        ("invalid entries", lines(&found.problems)),
        ("duplicates (not a problem)", superfluous.map(|d| d.files.join(" = ")).collect()),
        ("left out on purpose (not a problem)", lines(&found.left_out)),
    ] {
        section(&mut text, what, &list)?;
    }
    if let Some(similar) = &found.similar {
        similar_report(&mut text, similar)?;
    }
    match found.problem_count() {
        0 => text += "\nno problems found\n",
        1 => text += "\n1 problem found\n",
        n => writeln!(text, "\n{n} problems found")?,
    }
    Ok(text)
}

/// Near-duplicates, by what harm they do.
fn similar_report(text: &mut String, found: &SimilarReport) -> Result<()> {
    write!(
        text,
        "\nlooked for near-duplicates among {} pictures",
        thousands(found.pictures as u64)
    )?;
    for set in &found.against {
        let root = set.root.display();
        let (n, unreadable) = (thousands(set.pictures as u64), set.unreadable);
        write!(text, " and {n} of {} in {root}", set.dataset)?;
        if unreadable > 0 {
            write!(text, " ({unreadable} more are unreadable)")?;
        }
    }
    text.push('\n');
    let listed = |which: &dyn Fn(&SimilarPair) -> bool| -> Vec<String> {
        found.pairs.iter().filter(|pair| which(pair)).map(|pair| line(pair, found)).collect()
    };
    let other = |pair: &SimilarPair| pair.second.against.is_some();
    section(text, "near-duplicates in different splits", &listed(&|p| p.across))?;
    section(text, "near-duplicates in other datasets", &listed(&other))?;
    let apart = |p: &SimilarPair| p.apart && !p.across && !other(p);
    section(text, "near-duplicates with labels far apart", &listed(&apart))?;
    section(text, "near-duplicates (not a problem)", &listed(&|p| !p.harmful()))?;
    if found.grouped > 0 {
        writeln!(
            text,
            "\nnear-duplicates in one group already (not a problem): {}",
            found.grouped
        )?;
    }
    Ok(())
}

/// A pair on one line: what is known about each picture, and how similar they are.
fn line(pair: &SimilarPair, found: &SimilarReport) -> String {
    let picture = |p: &SimilarPicture| {
        let set = p.against.map_or(String::new(), |i| format!("{}: ", found.against[i].dataset));
        let labels = p.labels.iter().map(|(task, label)| match label.range() {
            Some([low, high]) if high.is_infinite() => format!("{task} from {low}"),
            Some([low, high]) => format!("{task} {low} to {high}"),
            None => format!("{task} {}", (100.0 * label.mean()).round() / 100.0),
        });
        let group = p.group.iter().map(|group| format!("group {group}"));
        let known: Vec<String> =
            std::iter::once(p.split.to_string()).chain(labels).chain(group).collect();
        format!("{set}{} ({})", p.file, known.join(", "))
    };
    let mirrored = if pair.mirrored { ", mirrored" } else { "" };
    let (first, second) = (picture(&pair.first), picture(&pair.second));
    format!("{:.3}{mirrored}  {first}  {second}", pair.similarity)
}

fn section(text: &mut String, what: &str, list: &[String]) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{what}: {}", list.len())?;
    for line in list.iter().take(SHOWN) {
        writeln!(text, "  {line}")?;
    }
    if list.len() > SHOWN {
        writeln!(text, "  and {} more (--format json lists all)", list.len() - SHOWN)?;
    }
    Ok(())
}

fn task_report(text: &mut String, task: &LabelReport) -> Result<()> {
    writeln!(
        text,
        "\n{}: {} labels from {:.2} to {:.2}, mean {:.2}",
        task.task,
        task.samples.total(),
        task.min,
        task.max,
        task.mean
    )?;
    let kinds = [
        (task.single, "single values"),
        (task.with_sigma, "with the raters' standard deviation"),
        (task.ratings, "with individual ratings"),
        (task.ranges, "ranges"),
    ];
    let kinds: Vec<String> =
        kinds.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    write!(text, "  {}", kinds.join(", "))?;
    if let Some(sigma) = task.mean_sigma {
        write!(text, "; mean sigma {sigma:.3}")?;
    }
    if task.outside > 0 {
        write!(text, "; {} outside the label range", task.outside)?;
    }
    text.push('\n');
    let most = task.bins.iter().map(|b| b.samples.total()).max().unwrap_or(0).max(1);
    for Bin { from, to, samples } in &task.bins {
        let n = samples.total();
        // Rounded up, so that every bin that is not empty has a bar.
        let bar = "#".repeat((n * BAR).div_ceil(most));
        writeln!(text, "  {from:>5} to {to:<5} {n:>7}  {bar}")?;
    }
    Ok(())
}
