//! The report: evaluations, trainings and maps as one self-contained HTML page, without
//! scripts, external files or fonts; figures are inline SVG. It is readable on a phone,
//! in dark mode and in print. Each section is a file here. All numbers come from the
//! parts; the page only formats them.

mod assurance;
mod at_least;
mod calibration;
mod compare;
mod failures;
mod groups;
mod headline;
mod html;
mod looks;
mod model;
mod read;
mod rejection;
mod style;
mod training;
mod truth;

use dldl_plot::STYLE;
use serde::Serialize;

use crate::evaluation::Evaluation;
use crate::understand::Maps;
use crate::understand::ranking::RankCurves;
use html::{details, lines, paragraph, section, text};

pub use read::PageError;
pub use training::{Epoch, Run};

/// The contents of a report.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Parts {
    /// Evaluations of models, as `dldl eval` writes them.
    pub evaluations: Vec<Evaluation>,
    /// Trainings, read from their run folders.
    pub runs: Vec<Run>,
    /// Class activation and occlusion maps, as `dldl explain` writes them.
    pub maps: Vec<Maps>,
    /// P(label > l_k) of Ranking and other models, as `dldl explain ranking` writes it.
    pub rank_curves: Vec<RankCurves>,
    /// The files and folders that were read, in order.
    pub sources: Vec<String>,
}

/// Title and origin of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Heading {
    /// The title; by default it names models and datasets.
    pub title: Option<String>,
    /// The command that made the page.
    pub command: String,
    /// The version of the program.
    pub version: String,
}

impl Parts {
    /// The page as HTML.
    pub fn to_html(&self, heading: &Heading) -> String {
        let title = heading.title.clone().unwrap_or_else(|| self.title());
        let mut chapters = Vec::new();
        if self.evaluations.len() > 1 {
            chapters.push(("Comparison".to_owned(), compare::chapter(&self.evaluations)));
        }
        for evaluation in &self.evaluations {
            chapters.push((name_of(evaluation), chapter(evaluation)));
        }
        for run in &self.runs {
            chapters.push((format!("Training {}", run.name), training::chapter(run)));
        }
        if !(self.maps.is_empty() && self.rank_curves.is_empty()) {
            let looks = looks::chapter(&self.maps, &self.rank_curves);
            chapters.push(("What the models look at".to_owned(), looks));
        }
        chapters.push(("How this report was made".to_owned(), self.made(heading)));
        chapters.push(("Limits and responsible use".to_owned(), LIMITS.to_owned()));
        let links: String = (chapters.iter().enumerate())
            .map(|(i, (name, _))| format!("<li><a href=\"#c{i}\">{}</a></li>", text(name)))
            .collect();
        let body: String = (chapters.iter().enumerate())
            .map(|(i, (name, body))| {
                format!("<article id=\"c{i}\">\n<h2>{}</h2>\n{body}</article>\n", text(name))
            })
            .collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{0}</title>\n<style>\n{1}{STYLE}</style>\n</head>\n<body>\n\
             <header><h1>{0}</h1>\n<nav aria-label=\"Contents\"><ul>{links}</ul></nav></header>\n\
             <main>\n{body}</main>\n</body>\n</html>\n",
            text(&title),
            style::PAGE,
        )
    }

    /// All parts as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("parts are plain data")
    }

    fn title(&self) -> String {
        match (&self.evaluations[..], &self.runs[..]) {
            ([one], _) => format!("{} on {}", one.subject.model, one.subject.dataset),
            ([], [run, ..]) => format!("Training {}", run.name),
            ([], []) => "What models look at".into(),
            (several, _) => format!("{} evaluations", several.len()),
        }
    }

    fn made(&self, heading: &Heading) -> String {
        let mut body = paragraph(&format!("By dldl {}, with", heading.version));
        body += &format!("<pre>{}</pre>\n", lines(&heading.command));
        let mut notes: Vec<String> = vec![
            "Intervals of metrics are 95 % intervals: percentiles of a bootstrap of 1,000 \
             resamples with a fixed seed. Where it is known which pictures show the same person \
             or belong together, these groups are resampled, otherwise single photographs."
                .into(),
            "Unless stated otherwise, estimates use flip fusion: the mean of the distributions \
             of a crop and of its mirror image."
                .into(),
        ];
        notes.extend(self.runs.iter().filter_map(|run| {
            let seed = run.seed?;
            Some(format!("The training {} used the seed {seed}.", run.name))
        }));
        body += &notes.iter().map(|line| paragraph(line)).collect::<String>();
        let list: String = self.sources.iter().map(|s| format!("<li>{}</li>", text(s))).collect();
        body + &details("Files", &format!("<ul>{list}</ul>\n"))
    }
}

/// All sections about one evaluation.
fn chapter(evaluation: &Evaluation) -> String {
    [
        section("The model and the pictures", &model::section(evaluation)),
        section("Errors", &headline::section(evaluation)),
        section("Truth and estimate", &truth::section(evaluation)),
        section("By group", &groups::section(evaluation)),
        section("Estimates within their ranges", &groups::hits(evaluation)),
        section("Distributions and intervals", &calibration::section(evaluation)),
        section("Age assurance", &assurance::section(evaluation)),
        section("Thresholds", &at_least::section(evaluation)),
        section("Rejecting poor pictures", &rejection::section(evaluation)),
        section("Failures and largest errors", &failures::section(evaluation)),
    ]
    .concat()
}

fn name_of(evaluation: &Evaluation) -> String {
    let subject = &evaluation.subject;
    format!("{} on {} ({})", subject.model, subject.dataset, subject.split)
}

/// Applies to every report.
const LIMITS: &str = "\
<ul>
<li>An estimate says how a face <em>looks</em> to a model trained on the labels of a dataset. It
proves nobody's age and says nothing about a person's worth. Do not base decisions about
anybody's rights, access or treatment on it alone.</li>
<li>These numbers hold for pictures like those of the evaluation. Other cameras, poses, ages and
people lead to other errors: measure on your own data before you rely on them.</li>
<li>Errors differ between groups of people; the tables show by how much. Sex and race are recorded
as in the dataset, not as stated by the people in it. Groups marked as small are unreliable.</li>
<li>Intervals cover sampling error only, not wrong labels or a dataset that does not represent
your use.</li>
<li>Process faces only where law and consent allow it. This page names files but shows no faces.</li>
</ul>
";

#[cfg(test)]
mod tests;
