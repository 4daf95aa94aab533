//! Class activation and occlusion maps, as colored cells without any face; and the rank
//! curves of Ranking and other models.

use dldl_plot::{Axis, Plot, escape};

use super::html::{figure, figures, paragraph};
use crate::understand::color::{blue_red, viridis};
use crate::understand::ranking::RankCurves;
use crate::understand::{Group, Kind, Map, Maps, Measure, rank_curve_plots};

/// Side of a map in pixels.
const SIDE: f64 = 120.0;

pub(super) fn chapter(maps: &[Maps], rank_curves: &[RankCurves]) -> String {
    let maps: String = maps.iter().map(of_maps).collect();
    maps + &rank_curves.iter().map(of_rank_curves).collect::<String>()
}

fn of_maps(maps: &Maps) -> String {
    let unit = &maps.scale.name;
    let kind = match maps.kind {
        Kind::Cam => "Class activation maps",
        Kind::Occlusion => "Occlusion",
    };
    let mut body = format!("<h3>{kind}: {}, {}</h3>\n", escape(&maps.model), escape(&maps.of));
    body += &paragraph(&match maps.kind {
        Kind::Cam => format!(
            "The contribution of each cell of the last feature map to the estimate, to first \
             order, in {unit}: red raises it, blue lowers it. Crops are {0}x{0} pixels; the left \
             of a map is the left of the crop. Each map has its own color range, given below it.",
            maps.size
        ),
        Kind::Occlusion => format!(
            "Parts of the crop are covered with the mean color, one at a time, in the crop and at \
             the same place in its mirror image. Values are in {unit}; yellow is the largest \
             error, red a higher and blue a lower estimate. Each map has its own color range."
        ),
    });
    let count = maps.groups.first().map_or(0, |group| group.maps.len());
    for i in 0..count {
        let first = &maps.groups[0].maps[i];
        let heading = format!("{}, {}", first.name, first.measure.name());
        body += &format!("<h4>{}</h4>\n<div class=\"figures small\">\n", escape(&heading));
        for group in &maps.groups {
            if let Some(map) = group.maps.get(i) {
                body +=
                    &figure(&tile(group, map), &range(map, maps.scale.digits.saturating_sub(2)));
            }
        }
        body += "</div>\n";
    }
    body
}

fn tile(group: &Group, map: &Map) -> Plot {
    let axis = |parts: usize| Axis::bare(0.0, parts as f64);
    let title =
        if group.n > 1 { format!("{} ({})", group.name, group.n) } else { group.name.clone() };
    let mut plot = Plot::new(&title, axis(map.columns), axis(map.rows)).area(SIDE, SIDE);
    let (low, high) = map.range();
    let reach = low.abs().max(high.abs()).max(f64::MIN_POSITIVE);
    for (i, value) in map.values.iter().enumerate() {
        let color = match map.measure {
            Measure::Mae => viridis((value - low) / (high - low).max(f64::MIN_POSITIVE)),
            Measure::Contribution | Measure::Change => blue_red(value / reach),
        };
        let (row, column) = (i / map.columns, (i % map.columns) as f64);
        // Rows are numbered from the top.
        let y = (map.rows - row) as f64;
        plot.cell(color, [column, column + 1.0], [y - 1.0, y], &format!("{value:.3}"));
    }
    plot
}

fn range(map: &Map, digits: usize) -> String {
    let (low, high) = map.range();
    let digits = digits + 1;
    match map.measure.signed() {
        true => format!("{low:+.digits$} to {high:+.digits$}"),
        false => format!("{low:.digits$} to {high:.digits$}"),
    }
}

fn of_rank_curves(rank_curves: &RankCurves) -> String {
    let mut body = format!("<h3>Ranking and distributions: {}</h3>\n", escape(&rank_curves.of));
    body += &paragraph(
        "P(label > l_k) according to each model: the sigmoids of a Ranking model, or one \
         minus the cumulative distribution of a distribution model.",
    );
    let plots: Vec<String> = rank_curve_plots(rank_curves).iter().map(|p| figure(p, "")).collect();
    body + &figures(&plots)
}
