//! The model and the pictures of an evaluation.

use dldl::{ModelInfo, models};

use super::html::{details, lines, number, text};
use crate::evaluation::Evaluation;

pub(super) fn section(evaluation: &Evaluation) -> String {
    let subject = &evaluation.subject;
    // The weights of built-in models are available here, with their description.
    let known = models::names().contains(&subject.model.as_str());
    let info = known.then(|| models::info(&subject.model).ok()).flatten();
    let labels = &subject.labels;
    let unit = &subject.scale.name;
    let mut list = vec![
        ("model", subject.model.clone()),
        ("estimates", format!("{} in {unit}", subject.task)),
        ("method", subject.method.clone()),
        ("labels", format!("{} to {} in steps of {}", labels.min(), labels.max(), labels.step())),
    ];
    if let Some(info) = &info {
        list.extend(of_weights(info));
    }
    let intervals = subject.calibration.as_ref().and_then(|c| c.intervals.get(true));
    let calibrated = match intervals {
        Some(done) => {
            let bands = done.bands.as_ref().map_or("", |_| ", by band of the estimate");
            format!("intervals, on {} pictures of {}{bands}", done.n, done.on)
        }
        None => "no: intervals of the predicted distribution".into(),
    };
    list.push(("calibrated", calibrated));
    list.push(("pictures", pictures(evaluation)));
    if let Some(protocol) = &subject.protocol {
        list.push(("splits", protocol.clone()));
    }
    definitions(&list) + &info.as_ref().map_or(String::new(), recipe)
}

/// How the model was trained, from its weights file.
fn recipe(info: &ModelInfo) -> String {
    match info.recipe.as_str() {
        "" => String::new(),
        recipe => details("How the model was trained", &format!("<pre>{}</pre>\n", lines(recipe))),
    }
}

/// A short description of a model, from its weights file.
pub(super) fn of_weights(info: &ModelInfo) -> Vec<(&'static str, String)> {
    let mut list = vec![
        ("network", info.net.name()),
        ("parameters", info.net.parameter_count().to_string()),
        ("crops", format!("{0}x{0} pixels, template {1}", info.input_size, info.template.name)),
    ];
    let optional = [("trained on", &info.training_data), ("license", &info.license)];
    list.extend(optional.into_iter().filter(|s| !s.1.is_empty()).map(|(n, s)| (n, s.clone())));
    list
}

fn pictures(evaluation: &Evaluation) -> String {
    let Evaluation { subject, n, n_groups, failures, crops, .. } = evaluation;
    format!(
        "{n} of {} ({}), {n_groups} people or groups; {} aligned by a face, {} used whole, \
         {failures} failed ({} %)",
        subject.dataset,
        subject.split,
        crops.aligned,
        crops.whole_picture,
        number(Some(100.0 * evaluation.failure_rate), 2),
    )
}

/// A list of names and values, given as plain text.
pub(super) fn definitions(list: &[(&str, String)]) -> String {
    let entry = |(name, value): &(&str, String)| {
        format!("<dt>{}</dt><dd>{}</dd>\n", text(name), text(value))
    };
    format!("<dl>\n{}</dl>\n", list.iter().map(entry).collect::<String>())
}
