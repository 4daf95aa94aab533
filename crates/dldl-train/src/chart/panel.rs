//! One panel of a chart: axes, lines over epochs, where the resolution changes,
//! and the best point.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{INK, MUTED, VALIDATION};
use crate::canvas::SANS;
use crate::log::EpochRecord;

pub(super) const GRID: RGBColor = RGBColor(226, 229, 233);

pub(super) type Area<B> = DrawingArea<B, Shift>;
pub(super) type Point = (f64, f64);

/// A line of a panel.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) color: RGBAColor,
    pub(super) width: u32,
    pub(super) dots: bool,
    pub(super) points: Vec<Point>,
}

/// The range of the values with some air. Of the thin lines the highest few
/// percent are left out: the first steps are far above everything else.
fn range(lines: &[Line]) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for line in lines {
        let mut values: Vec<f64> = line.points.iter().map(|p| p.1).collect();
        values.sort_by(f64::total_cmp);
        let (Some(first), Some(last)) = (values.first(), values.last()) else { continue };
        let most = if line.dots { *last } else { values[(values.len() - 1) * 97 / 100] };
        (low, high) = (low.min(*first), high.max(most));
    }
    if low > high {
        return (0.0, 1.0);
    }
    let air = 0.08 * (high - low).max(1e-6 + 0.01 * high.abs());
    ((low - air).max(0.0), high + air)
}

pub(super) fn panel<B: DrawingBackend>(
    area: &Area<B>,
    y_label: &str,
    x_label: Option<&str>,
    end: f64,
    lines: &[Line],
    epochs: &[&EpochRecord],
    best: Option<Point>,
) -> Result<(), Box<dyn std::error::Error>>
where
    B::ErrorType: 'static,
{
    let (low, high) = range(lines);
    // As many as tell some labels within the range apart.
    let digits = (1.3 - (high - low).log10()).ceil().clamp(1.0, 6.0) as usize;
    let font = |size: u32| (SANS, size).into_font();
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(24)
        .x_label_area_size(if x_label.is_some() { 48 } else { 28 })
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..end, low..high)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(MUTED)
        .x_labels(((end as usize).min(12) + 1).max(3))
        .y_labels(6)
        .x_label_formatter(&|x| {
            if (x - x.round()).abs() < 1e-6 { format!("{x:.0}") } else { format!("{x:.1}") }
        })
        .y_label_formatter(&|y| format!("{y:.digits$}"))
        .label_style(font(14).color(&INK))
        .axis_desc_style(font(15).color(&INK))
        .x_desc(x_label.unwrap_or_default())
        .y_desc(y_label)
        .draw()?;

    // Where the resolution changes.
    let mut start = 0.0;
    for (i, epoch) in epochs.iter().enumerate() {
        let first = i == 0 || epochs[i - 1].phase != epoch.phase;
        if !first {
            continue;
        }
        if i > 0 {
            start = epochs[i - 1].epoch as f64;
            let line = [(start, low), (start, high)];
            chart.draw_series(DashedLineSeries::new(line, 4, 4, MUTED.stroke_width(1)))?;
        }
        let style = font(13).color(&MUTED).pos(Pos::new(HPos::Left, VPos::Top));
        let text = EmptyElement::at((start, high))
            + Text::new(format!("{} px", epoch.size), (6, 4), style);
        chart.draw_series(std::iter::once(text))?;
    }

    for line in lines.iter().filter(|l| !l.points.is_empty()) {
        let style = ShapeStyle { color: line.color, filled: true, stroke_width: line.width };
        let inside = line.points.iter().copied().filter(|p| p.1 <= high);
        chart.draw_series(LineSeries::new(inside.clone(), style))?;
        // Dots on every epoch would run into each other in long trainings.
        if line.dots && line.points.len() <= 80 {
            chart.draw_series(inside.map(|p| Circle::new(p, 3, style)))?;
        }
    }
    if let Some(at) = best {
        let mae = at.1;
        let ring = Circle::new(at, 7, VALIDATION.stroke_width(2));
        chart.draw_series(std::iter::once(ring))?;
        let near_end = at.0 > 0.85 * end;
        let (side, dx) = if near_end { (HPos::Right, -4) } else { (HPos::Left, 4) };
        let style = font(15).color(&INK).pos(Pos::new(side, VPos::Bottom));
        let text = EmptyElement::at(at) + Text::new(format!("{mae:.2}"), (dx, -12), style);
        chart.draw_series(std::iter::once(text))?;
    }
    Ok(())
}
