//! Figures of the bridge between Ranking and label distributions: the theorem as
//! sigma shrinks, and what trained models have learned.

use dldl_label::{Distribution, LabelSet, ranking_code, ranking_target};
use dldl_plot::{Axis, Ink, Pen, Plot, Sheet};

use super::ranking::{Aligned, Beliefs, Learned};

/// The age of the theorem's figure.
const AGE: f64 = 31.0;
/// Its standard deviations, in years.
const SIGMAS: [f64; 4] = [4.0, 2.0, 1.0, 0.5];

/// Label distributions of one age with smaller and smaller sigma, and beside them
/// one minus their cumulative distributions with the rank code that they come to: an
/// SVG file.
pub fn theorem_figure() -> String {
    let ages = LabelSet::age();
    let range = || Axis::stepped("age l_k (years)", AGE - 12.0, AGE + 12.0, 4.0);
    let plot = |title: &str, y: Axis| Plot::new(title, range(), y).area(300.0, 210.0);
    let mut density = plot("label distribution p", Axis::stepped("probability", 0.0, 0.8, 0.2));
    let y = Axis::stepped("probability of more than l_k", 0.0, 1.0, 0.2);
    let mut ranks = plot("1 - Tp, and the rank code", y);
    let inside = |pairs: Vec<(f64, f64)>| -> Vec<(f64, f64)> {
        pairs.into_iter().filter(|(l, _)| (l - AGE).abs() <= 12.0).collect()
    };
    for (i, sigma) in SIGMAS.into_iter().enumerate() {
        let d = Distribution::gaussian(&ages, AGE, sigma).expect("a finite mean and sigma");
        let (ink, name) = (Ink::Series(i), format!("sigma {sigma}"));
        let p = inside(ages.values().into_iter().zip(d.probabilities().iter().copied()).collect());
        density.line(ink, Some(&name), &p);
        density.dots(ink, None, &p, 1.8);
        let r = inside(ages.values().into_iter().zip(ranking_target(&d)).collect());
        ranks.line(ink, Some(&name), &r);
        ranks.dots(ink, None, &r, 1.8);
    }
    let code = inside(ages.values().into_iter().zip(ranking_code(&ages, AGE)).collect());
    ranks.line(Ink::Muted.dashed(), Some("rank code, the limit"), &code);
    let subtitle = format!(
        "The age {AGE} as a label distribution: as sigma shrinks, one minus its cumulative \
         distribution becomes Ranking's code."
    );
    let title = "Ranking learns the cumulative distribution";
    Sheet::new(title, &subtitle, vec![density, ranks]).columns(2).to_svg()
}

/// What trained models believe of "more than l_k", side by side: an SVG file.
pub fn learned_figure(learned: &Learned) -> String {
    let distance = learned.groups.first().and_then(|group| group.apart);
    let apart = distance.map_or(String::new(), |d| format!("; on average {d:.4} apart"));
    let subtitle = format!("{}, crop and mirror image averaged{apart}", learned.of);
    let title = "What trained models believe of \"more than l_k\"";
    Sheet::new(title, &subtitle, learned_plots(learned)).columns(3).to_svg()
}

/// The same as single plots: aligned by the truth, where it is known, then by group.
pub(crate) fn learned_plots(learned: &Learned) -> Vec<Plot> {
    let mut plots: Vec<Plot> = learned.aligned.iter().map(|a| aligned(learned, a)).collect();
    plots.extend(learned.groups.iter().map(|group| curves(learned, group)));
    plots
}

fn name(learned: &Learned, model: usize) -> String {
    let model = &learned.models[model];
    let what = if model.ranks { "its sigmoids" } else { "1 - cumulative" };
    format!("{} ({}): {what}", model.name, model.method)
}

/// The second model is dashed, so that both are seen where they agree.
fn pen(model: usize) -> Pen {
    let ink = Ink::Series(model);
    if model == 1 { ink.dashed() } else { ink.into() }
}

fn curves(learned: &Learned, group: &Beliefs) -> Plot {
    let unit = &learned.scale.name;
    let (low, high) = (learned.scale.bands[0], learned.scale.bands[learned.scale.band_count()]);
    let x = Axis::linear(&format!("l_k ({unit})"), low, high);
    let title = match (group.n, group.truth) {
        (n, Some(truth)) => format!("{} (n = {n}, mean truth {truth:.1})", group.name),
        (_, None) => group.name.clone(),
    };
    let mut plot = Plot::new(&title, x, Axis::stepped("mean P(more)", 0.0, 1.0, 0.2));
    for (m, (model, curve)) in learned.models.iter().zip(&group.curves).enumerate() {
        let points: Vec<(f64, f64)> =
            model.labels.iter().copied().zip(curve.iter().copied()).collect();
        plot.line(pen(m), Some(&name(learned, m)), &points);
    }
    plot
}

fn aligned(learned: &Learned, aligned: &Aligned) -> Plot {
    let unit = &learned.scale.name;
    let reach = aligned.offsets.iter().fold(0.0_f64, |m, d| m.max(d.abs()));
    let x = Axis::linear(&format!("distance from the truth ({unit})"), -reach, reach);
    let y = Axis::stepped("mean P(more)", 0.0, 1.0, 0.2);
    let mut plot = Plot::new("all, each face's truth moved to 0", x, y);
    for (m, curve) in aligned.curves.iter().enumerate() {
        let points: Vec<(f64, f64)> =
            aligned.offsets.iter().copied().zip(curve.iter().copied()).collect();
        plot.line(pen(m), Some(&name(learned, m)), &points);
    }
    plot.line(
        Ink::Muted.dashed(),
        Some("rank code"),
        &[(-reach, 1.0), (0.0, 1.0), (0.0, 0.0), (reach, 0.0)],
    );
    plot
}

#[cfg(test)]
mod tests {
    use super::super::ranking::Believer;
    use super::*;
    use crate::Scale;

    #[test]
    fn the_theorems_figure_has_all_sigmas_and_the_code() {
        let svg = theorem_figure();
        for part in ["sigma 4", "sigma 0.5", "rank code, the limit", "probability of more than"] {
            assert!(svg.contains(part), "{part}");
        }
        // Two plots of 4 lines with 25 dots each, and the code.
        assert_eq!(svg.matches("<circle").count(), 2 * 4 * 25);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn learned_curves_are_named_by_model_and_group() {
        let model = |name: &str, ranks| Believer {
            name: name.into(),
            method: "m".into(),
            ranks,
            labels: vec![0.0, 50.0],
            mae: None,
            rises: 0.0,
        };
        let learned = Learned {
            of: "set (test)".into(),
            task: dldl_label::Task::Age,
            scale: Scale::new(dldl_label::Task::Age, &LabelSet::age()),
            models: vec![model("rank", true), model("dldl", false)],
            groups: vec![Beliefs {
                name: "18-29".into(),
                n: 7,
                truth: Some(24.0),
                curves: vec![vec![1.0, 0.0]; 2],
                apart: Some(0.0125),
            }],
            aligned: None,
            failed: Vec::new(),
        };
        let svg = learned_figure(&learned);
        for part in ["rank (m): its sigmoids", "dldl (m): 1 - cumulative", "18-29 (n = 7", "0.0125"]
        {
            assert!(svg.contains(part), "{part}");
        }
    }
}
