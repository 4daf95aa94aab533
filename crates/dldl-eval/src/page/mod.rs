//! The report: evaluations, trainings and maps as one HTML page that needs nothing
//! else: no scripts, no files, no fonts; figures are SVG inside of it. It can be read
//! on a phone, in the dark, and printed. Each section is a file here; all numbers come
//! from the parts as they are, only drawing and wording is done.

mod assurance;
mod calibration;
mod compare;
mod failures;
mod groups;
mod headline;
mod html;
mod looks;
mod model;
mod read;
mod style;
mod training;
mod truth;

use dldl_plot::STYLE;
use serde::Serialize;

use crate::evaluation::Evaluation;
use crate::understand::Maps;
use crate::understand::ranking::Learned;
use html::{details, lines, paragraph, section, text};

pub use read::PageError;
pub use training::{Epoch, Run};

/// What a report is made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Parts {
    /// Evaluations of models, as `dldl eval` writes them.
    pub evaluations: Vec<Evaluation>,
    /// Trainings, by their folders.
    pub runs: Vec<Run>,
    /// What models look at, as `dldl explain` writes it.
    pub maps: Vec<Maps>,
    /// What Ranking and other models believe, as `dldl explain ranking` writes it.
    pub learned: Vec<Learned>,
    /// The files and folders, in their order.
    pub sources: Vec<String>,
}

/// What stands on the page beside the parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Heading {
    /// The page's title; by default it is made of models and datasets.
    pub title: Option<String>,
    /// The command that made the page.
    pub command: String,
    /// The version of the program.
    pub version: String,
}

impl Parts {
    /// The page.
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
        if !(self.maps.is_empty() && self.learned.is_empty()) {
            let looks = looks::chapter(&self.maps, &self.learned);
            chapters.push(("What the models look at".to_owned(), looks));
        }
        chapters.push(("How it was made".to_owned(), self.made(heading)));
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
        let mut said: Vec<String> = vec![
            "Intervals of figures are 95 % intervals: percentiles of a bootstrap of 1,000 \
             samples with a fixed seed, in which people, or pictures that belong together, \
             are drawn, not single pictures."
                .into(),
            "Estimates are those of flip fusion, the mean distribution of a crop and of its \
             mirror image, where nothing else is said."
                .into(),
        ];
        said.extend(self.runs.iter().filter_map(|run| {
            let seed = run.seed?;
            Some(format!("The training {} was made with the seed {seed}.", run.name))
        }));
        body += &said.iter().map(|line| paragraph(line)).collect::<String>();
        let list: String = self.sources.iter().map(|s| format!("<li>{}</li>", text(s))).collect();
        body + &details("Files", &format!("<ul>{list}</ul>\n"))
    }
}

/// Everything about one evaluation.
fn chapter(evaluation: &Evaluation) -> String {
    [
        section("The model and the pictures", &model::section(evaluation)),
        section("How far estimates are from the truth", &headline::section(evaluation)),
        section("Truth and estimate", &truth::section(evaluation)),
        section("By group", &groups::section(evaluation)),
        section("Estimates in their ranges", &groups::hits(evaluation)),
        section("Distributions and intervals", &calibration::section(evaluation)),
        section("Age assurance", &assurance::section(evaluation)),
        section("Failures and largest errors", &failures::section(evaluation)),
    ]
    .concat()
}

fn name_of(evaluation: &Evaluation) -> String {
    let subject = &evaluation.subject;
    format!("{} on {} ({})", subject.model, subject.dataset, subject.split)
}

/// Holds for every estimate of this kind.
const LIMITS: &str = "\
<ul>
<li>An estimate says how a face <em>looks</em> to a model that learned from the labels of a
dataset. It proves nobody's age, and says nothing of a person's worth. Do not decide about
anybody's rights, access or treatment by it alone.</li>
<li>These figures hold for pictures like those of the evaluation. Other cameras, poses, ages and
people give other errors: measure on your own before you rely on any.</li>
<li>Errors differ between groups of people; the tables say how much. Sex and race are the words
of the dataset, not of the people in it, and groups marked as small say little.</li>
<li>Intervals are of chance alone: they do not know of wrong labels, or of a dataset that is not
like the world.</li>
<li>Process faces only where law and consent allow it. The page names files and shows no faces.</li>
</ul>
";

#[cfg(test)]
mod tests;
