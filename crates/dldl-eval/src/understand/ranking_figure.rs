//! Figures on the relation between Ranking and label distributions: the limit as sigma
//! goes to 0, and the curves of trained models.

use dldl_label::{Distribution, LabelSet, ranking_code, ranking_target};
use dldl_plot::{Axis, Ink, Pen, Plot, Sheet};

use super::ranking::{Aligned, RankCurves, RankGroup};

/// The age in the figure of the limit.
const AGE: f64 = 31.0;
/// The standard deviations in the figure of the limit, in years.
const SIGMAS: [f64; 4] = [4.0, 2.0, 1.0, 0.5];

/// Draws label distributions of one age with decreasing sigma, and next to them one
/// minus their cumulative distributions with the rank code, which is their limit.
/// Returns an SVG file.
pub fn rank_code_figure() -> String {
    let ages = LabelSet::age();
    let range = || Axis::stepped("age l_k (years)", AGE - 12.0, AGE + 12.0, 4.0);
    let plot = |title: &str, y: Axis| Plot::new(title, range(), y).area(300.0, 210.0);
    let mut density = plot("label distribution p", Axis::stepped("probability", 0.0, 0.8, 0.2));
    let y = Axis::stepped("P(label > l_k)", 0.0, 1.0, 0.2);
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
        "The age {AGE} as a label distribution: as sigma goes to 0, one minus its cumulative \
         distribution converges to the rank code."
    );
    let title = "Ranking learns the cumulative distribution";
    Sheet::new(title, &subtitle, vec![density, ranks]).columns(2).to_svg()
}

/// Draws P(label > l_k) according to trained models. Returns an SVG file.
pub fn rank_curves_figure(rank_curves: &RankCurves) -> String {
    let distance = rank_curves.groups.first().and_then(|group| group.difference);
    let difference = distance.map_or(String::new(), |d| format!("; mean difference {d:.4}"));
    let subtitle = format!("{}, crop and mirror image averaged{difference}", rank_curves.of);
    let title = "P(label > l_k) according to trained models";
    Sheet::new(title, &subtitle, rank_curve_plots(rank_curves)).columns(3).to_svg()
}

/// The plots of [`rank_curves_figure`]: aligned by the true label if it is known, then by
/// group.
pub(crate) fn rank_curve_plots(rank_curves: &RankCurves) -> Vec<Plot> {
    let mut plots: Vec<Plot> =
        rank_curves.aligned.iter().map(|a| aligned(rank_curves, a)).collect();
    plots.extend(rank_curves.groups.iter().map(|group| curves(rank_curves, group)));
    plots
}

fn name(rank_curves: &RankCurves, model: usize) -> String {
    let model = &rank_curves.models[model];
    let what = if model.ranks { "sigmoids" } else { "1 - cumulative" };
    format!("{} ({}): {what}", model.name, model.method)
}

/// The second model is dashed, so that both are seen where they agree.
fn pen(model: usize) -> Pen {
    let ink = Ink::Series(model);
    if model == 1 { ink.dashed() } else { ink.into() }
}

fn curves(rank_curves: &RankCurves, group: &RankGroup) -> Plot {
    let unit = &rank_curves.scale.name;
    let (low, high) =
        (rank_curves.scale.bands[0], rank_curves.scale.bands[rank_curves.scale.band_count()]);
    let x = Axis::linear(&format!("l_k ({unit})"), low, high);
    let title = match (group.n, group.truth) {
        (n, Some(truth)) => format!("{} (n = {n}, mean truth {truth:.1})", group.name),
        (_, None) => group.name.clone(),
    };
    let mut plot = Plot::new(&title, x, Axis::stepped("mean P(label > l_k)", 0.0, 1.0, 0.2));
    for (m, (model, curve)) in rank_curves.models.iter().zip(&group.curves).enumerate() {
        let points: Vec<(f64, f64)> =
            model.labels.iter().copied().zip(curve.iter().copied()).collect();
        plot.line(pen(m), Some(&name(rank_curves, m)), &points);
    }
    plot
}

fn aligned(rank_curves: &RankCurves, aligned: &Aligned) -> Plot {
    let unit = &rank_curves.scale.name;
    let reach = aligned.offsets.iter().fold(0.0_f64, |m, d| m.max(d.abs()));
    let x = Axis::linear(&format!("distance from the true label ({unit})"), -reach, reach);
    let y = Axis::stepped("mean P(label > l_k)", 0.0, 1.0, 0.2);
    let mut plot = Plot::new("all faces, true label at 0", x, y);
    for (m, curve) in aligned.curves.iter().enumerate() {
        let points: Vec<(f64, f64)> =
            aligned.offsets.iter().copied().zip(curve.iter().copied()).collect();
        plot.line(pen(m), Some(&name(rank_curves, m)), &points);
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
    use super::super::ranking::RankModel;
    use super::*;
    use crate::Scale;

    #[test]
    fn the_figure_of_the_limit_has_all_sigmas_and_the_rank_code() {
        let svg = rank_code_figure();
        for part in ["sigma 4", "sigma 0.5", "rank code, the limit", "P(label &gt; l_k)"] {
            assert!(svg.contains(part), "{part}");
        }
        // Two plots of 4 lines with 25 dots each, and the code.
        assert_eq!(svg.matches("<circle").count(), 2 * 4 * 25);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn curves_are_labeled_by_model_and_group() {
        let model = |name: &str, ranks| RankModel {
            name: name.into(),
            method: "m".into(),
            ranks,
            labels: vec![0.0, 50.0],
            mae: None,
            violation: 0.0,
        };
        let rank_curves = RankCurves {
            of: "set (test)".into(),
            task: dldl_label::Task::Age,
            scale: Scale::new(dldl_label::Task::Age, &LabelSet::age()),
            models: vec![model("rank", true), model("dldl", false)],
            groups: vec![RankGroup {
                name: "18-29".into(),
                n: 7,
                truth: Some(24.0),
                curves: vec![vec![1.0, 0.0]; 2],
                difference: Some(0.0125),
            }],
            aligned: None,
            failed: Vec::new(),
        };
        let svg = rank_curves_figure(&rank_curves);
        for part in ["rank (m): sigmoids", "dldl (m): 1 - cumulative", "18-29 (n = 7", "0.0125"] {
            assert!(svg.contains(part), "{part}");
        }
    }
}
