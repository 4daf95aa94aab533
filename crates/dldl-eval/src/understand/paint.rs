//! Draws maps as a bitmap: each over its face, or alone if there is no face to show,
//! with a color bar and a caption.

use dldl::{Crop, Picture};
use dldl_plot::{Canvas, Color, Text};

use super::{Group, Kind, Map, Maps, Measure, color};

/// Side of a map in pixels.
const TILE: usize = 224;
/// Maps per row.
const ACROSS: usize = 5;
const MARGIN: usize = 24;
const GAP: usize = 22;
/// Space above a map for the title, and below it for color bar, numbers and caption.
const ABOVE: usize = 22;
const BELOW: usize = 60;
const INK: Color = [40, 44, 52];
const MUTED: Color = [105, 111, 121];

/// Draws maps. Each map has its own color range, shown below it, because values differ
/// more between bands than within one. Red adds to the estimate and blue lowers it;
/// errors are shown from dark to yellow.
pub fn paint(maps: &Maps) -> Canvas {
    let rows: Vec<Vec<(&Group, &Map)>> = maps.groups.chunks(ACROSS).flat_map(rows).collect();
    let across = rows.iter().map(Vec::len).max().unwrap_or(1);
    let heading = heading(maps);
    let heading = [Text::new(&heading[0], 13.0), Text::new(&heading[1], 9.0)];
    let widest = heading.iter().fold(0.0_f32, |w, text| w.max(text.width())).ceil() as usize;
    let width = 2 * MARGIN + (across * (TILE + GAP) - GAP).max(widest);
    let top = MARGIN + 48;
    let height = top + rows.len() * (ABOVE + TILE + BELOW + GAP);
    let mut canvas = Canvas::white(width, height);
    let left = MARGIN as f32;
    heading[0].draw(&mut canvas, [left, (MARGIN + 13) as f32], INK);
    heading[1].draw(&mut canvas, [left, (MARGIN + 33) as f32], MUTED);
    for (r, row) in rows.iter().enumerate() {
        for (c, (group, map)) in row.iter().enumerate() {
            let at = [MARGIN + c * (TILE + GAP), top + r * (ABOVE + TILE + BELOW + GAP)];
            tile(&mut canvas, at, maps, group, map);
        }
    }
    canvas
}

/// The rows of maps for some groups: a row for each kind of map, or for a single group
/// all maps side by side. Of datasets only the error is drawn; the change of the
/// estimate is in the numbers.
fn rows(groups: &[Group]) -> Vec<Vec<(&Group, &Map)>> {
    let shown = |group: &Group| -> Vec<usize> {
        let with =
            |measure| (0..group.maps.len()).filter(move |&i| group.maps[i].measure == measure);
        let errors: Vec<usize> = with(Measure::Mae).collect();
        if errors.is_empty() { (0..group.maps.len()).collect() } else { errors }
    };
    let maps = groups.first().map(shown).unwrap_or_default();
    match groups {
        [one] => vec![maps.into_iter().map(|i| (one, &one.maps[i])).collect()],
        _ => {
            let row = |i: usize| groups.iter().map(|group| (group, &group.maps[i])).collect();
            maps.into_iter().map(row).collect()
        }
    }
}

fn heading(maps: &Maps) -> [String; 2] {
    let unit = &maps.scale.name;
    let set = maps.groups.iter().any(|group| group.mae.is_some());
    let what = match (maps.kind, set) {
        (Kind::Cam, _) => format!("contribution to the estimate, to first order, in {unit}"),
        (Kind::Occlusion, false) => {
            format!("change of the estimate with a part covered, in {unit}")
        }
        (Kind::Occlusion, true) => format!("mean absolute error with a part covered, in {unit}"),
    };
    let kind = match maps.kind {
        Kind::Cam => "class activation maps",
        Kind::Occlusion => "occlusion",
    };
    [format!("{}: {kind}", maps.model), format!("{}; {what}", file_name(&maps.of))]
}

/// The last component of a path: figures do not show the folders of their author.
fn file_name(of: &str) -> &str {
    of.rsplit(['/', '\\']).next().unwrap_or(of)
}

fn tile(canvas: &mut Canvas, at: [usize; 2], maps: &Maps, group: &Group, map: &Map) {
    let [x, y] = at;
    let (low, high) = map.range();
    let paint = Palette::of(map.measure, low, high);
    let mut name = match group.n {
        1 => group.name.clone(),
        n => format!("{} (n = {n})", group.name),
    };
    if group.maps.len() > 1 {
        name += &format!(", {}", map.name);
    }
    title(&name).draw(canvas, [x as f32, (y + 14) as f32], INK);
    let y = y + ABOVE;
    let face = group.face.as_ref().map(|face| gray(face, TILE));
    for row in 0..TILE {
        for column in 0..TILE {
            let value = value_at(map, maps.kind, column, row);
            let to = [(x + column) as i64, (y + row) as i64];
            let cover = match &face {
                Some(face) => {
                    let shade = face[row * TILE + column];
                    canvas.blend(to[0], to[1], [shade; 3], 1.0);
                    paint.cover(value)
                }
                None => 1.0,
            };
            canvas.blend(to[0], to[1], paint.color(value), cover);
        }
    }
    let bar = y + TILE + 6;
    for column in 0..TILE {
        let value = paint.low + (paint.high - paint.low) * column as f64 / (TILE - 1) as f64;
        for row in 0..8 {
            let to = [(x + column) as i64, (bar + row) as i64];
            canvas.blend(to[0], to[1], paint.color(value), 1.0);
        }
    }
    let digits = maps.scale.digits.saturating_sub(2);
    let number = |value: f64| match map.measure.signed() && value > 0.0 {
        true => format!("+{value:.digits$}"),
        false => format!("{value:.digits$}"),
    };
    let below = (bar + 8 + 14) as f32;
    let ends = [(paint.low, 0.0), (0.5 * (paint.low + paint.high), 0.5), (paint.high, 1.0)];
    for (value, place) in ends {
        let text = Text::new(&number(value), 8.0);
        let left = x as f32 + place * (TILE as f32 - text.width());
        text.draw(canvas, [left, below], MUTED);
    }
    let mut caption = format!("estimate {:.digits$}", group.estimate);
    if let (Some(truth), Some(mae)) = (group.truth, group.mae) {
        caption += &format!(", truth {truth:.digits$}, MAE {mae:.0$}", digits + 1);
    }
    Text::new(&caption, 8.0).draw(canvas, [x as f32, below + 18.0], INK);
}

/// The title of a map, scaled down if it is wider than the map.
fn title(name: &str) -> Text {
    let text = Text::new(name, 10.0);
    match text.width() > TILE as f32 {
        true => Text::new(name, 10.0 * TILE as f32 / text.width()),
        false => text,
    }
}

/// The value of a map at a pixel of its tile. Feature maps are interpolated linearly;
/// covered parts have a constant value.
fn value_at(map: &Map, kind: Kind, x: usize, y: usize) -> f64 {
    let place = |pixel: usize, count: usize| (pixel as f64 + 0.5) * count as f64 / TILE as f64;
    let (x, y) = (place(x, map.columns), place(y, map.rows));
    if kind == Kind::Occlusion {
        return map.values[y as usize * map.columns + x as usize];
    }
    let around = |at: f64, count: usize| {
        let at = (at - 0.5).clamp(0.0, (count - 1) as f64);
        let below = at as usize;
        (below, (below + 1).min(count - 1), at - below as f64)
    };
    let ((left, right, u), (top, bottom, v)) = (around(x, map.columns), around(y, map.rows));
    let row = |y: usize| {
        let at = |x: usize| map.values[y * map.columns + x];
        at(left) + u * (at(right) - at(left))
    };
    row(top) + v * (row(bottom) - row(top))
}

/// A face in grayscale, so that all color comes from the map: `[side][side]`.
fn gray(face: &Crop, side: usize) -> Vec<u8> {
    let picture = Picture::new(face.size(), face.size(), face.rgb().to_vec())
        .expect("the crop's size matches its bytes");
    let luma = |p: &[u8]| {
        let [r, g, b] = [p[0], p[1], p[2]].map(f32::from);
        (0.299 * r + 0.587 * g + 0.114 * b).round() as u8
    };
    picture.resized(side, side).rgb().chunks_exact(3).map(luma).collect()
}

/// Maps values to colors; the range of signed values is symmetric about 0.
struct Palette {
    signed: bool,
    low: f64,
    high: f64,
}

impl Palette {
    fn of(measure: Measure, low: f64, high: f64) -> Self {
        if measure.signed() {
            // A map of zeros must not divide by 0.
            let reach = low.abs().max(high.abs()).max(f64::MIN_POSITIVE);
            return Self { signed: true, low: -reach, high: reach };
        }
        Self { signed: false, low, high: high.max(low + f64::MIN_POSITIVE) }
    }

    /// The relative position of a value in the range: -1..=1 if signed, else 0..=1.
    fn place(&self, value: f64) -> f64 {
        match self.signed {
            true => value / self.high,
            false => (value - self.low) / (self.high - self.low),
        }
    }

    fn color(&self, value: f64) -> Color {
        match self.signed {
            true => color::blue_red(self.place(value)),
            false => color::viridis(self.place(value)),
        }
    }

    /// The opacity over a face: values near 0 of signed maps are transparent.
    fn cover(&self, value: f64) -> f32 {
        match self.signed {
            true => (0.85 * self.place(value).abs()) as f32,
            false => 0.6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scale;
    use dldl::LabelSet;

    fn maps(kind: Kind, measure: Measure, values: [f64; 4], groups: usize) -> Maps {
        let map = Map { name: "x".into(), measure, rows: 2, columns: 2, values: values.into() };
        let group = Group {
            name: "face 1".into(),
            n: 1,
            estimate: 31.4,
            truth: None,
            mae: None,
            maps: vec![map],
            face: None,
        };
        Maps {
            kind,
            model: "m".into(),
            task: dldl_label::Task::Age,
            scale: Scale::new(dldl_label::Task::Age, &LabelSet::age()),
            of: "a/b.jpg".into(),
            size: 96,
            groups: vec![group; groups],
            failed: Vec::new(),
        }
    }

    #[test]
    fn parts_are_colored_and_values_near_0_show_the_face() {
        let mut maps = maps(Kind::Occlusion, Measure::Change, [-2.0, 0.0, 1.0, 2.0], 1);
        let alone = paint(&maps);
        let at =
            |canvas: &Canvas, x: usize, y: usize| canvas.pixel(MARGIN + x, MARGIN + 48 + ABOVE + y);
        assert_eq!(at(&alone, 10, 10), color::blue_red(-1.0));
        assert_eq!(at(&alone, 200, 10), color::blue_red(0.0));
        assert_eq!(at(&alone, 10, 200), color::blue_red(0.5));
        assert_eq!(at(&alone, 200, 200), color::blue_red(1.0));
        maps.groups[0].face = Some(Crop::new(96, vec![77; 3 * 96 * 96]).unwrap());
        let over = paint(&maps);
        assert_eq!(at(&over, 200, 10), [77; 3], "0 is transparent");
        assert_ne!(at(&over, 10, 10), [77; 3]);
    }

    #[test]
    fn feature_maps_are_interpolated_between_their_centers() {
        let maps = maps(Kind::Cam, Measure::Contribution, [0.0, 1.0, 2.0, 3.0], 1);
        let map = &maps.groups[0].maps[0];
        let value = |x, y| value_at(map, Kind::Cam, x, y);
        assert_eq!((value(0, 0), value(223, 223)), (0.0, 3.0));
        assert!((value(56, 56) - 0.0).abs() < 0.02 && (value(112, 112) - 1.5).abs() < 0.02);
        assert_eq!(value_at(map, Kind::Occlusion, 111, 0), 0.0);
        assert_eq!(value_at(map, Kind::Occlusion, 112, 0), 1.0);
    }

    #[test]
    fn long_titles_are_scaled_to_the_width_of_the_map() {
        assert!(title("10-17 (n = 1200), horizontal strips").width() <= TILE as f32 + 0.5);
        assert_eq!(title("grid").width(), Text::new("grid", 10.0).width());
    }

    #[test]
    fn groups_are_wrapped_into_rows_and_constant_maps_are_drawn() {
        let one = paint(&maps(Kind::Cam, Measure::Contribution, [0.0; 4], 1));
        let six = paint(&maps(Kind::Cam, Measure::Contribution, [0.0; 4], 6));
        assert!(six.width() == 2 * MARGIN + 5 * TILE + 4 * GAP && six.height() > one.height());
        let constant = paint(&maps(Kind::Occlusion, Measure::Mae, [4.0; 4], 1));
        assert_eq!(constant.pixel(MARGIN + 50, MARGIN + 48 + ABOVE + 50), color::viridis(0.0));
        let none =
            paint(&Maps { groups: Vec::new(), ..maps(Kind::Cam, Measure::Change, [0.0; 4], 1) });
        assert!(none.width() > 0);
    }
}
