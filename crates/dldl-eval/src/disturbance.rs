//! What can be wrong with a picture or with a crop, on purpose and to a known
//! degree, so that a model's errors under it can be measured. Nothing here is
//! random; the variations that a training draws are in `dldl_data::Augment`.

use std::fmt;
use std::str::FromStr;

use dldl::Picture;
use dldl_net::Template;
use serde::{Deserialize, Serialize};

/// Something wrong with a picture, before faces are searched in it, or with how
/// the crop is cut out of it. As text, and so in JSON, it is its name and its
/// numbers: `blur:2`, `move:0.1,0`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Disturbance {
    /// The crop is moved by these fractions of its side, to the right and down.
    Move([f64; 2]),
    /// The crop shows a part of the picture whose side is this many times what it
    /// should be: above 1 the face is smaller in it.
    Scale(f64),
    /// The picture is turned clockwise by this many degrees, its borders repeated.
    Rotate(f64),
    /// This fraction of the picture's width and height is cut off at each side;
    /// below 0, the borders are repeated by as much.
    Cut(f64),
    /// A Gaussian blur of this standard deviation, in pixels of the picture.
    Blur(f64),
    /// The picture is reduced to this fraction of its size and enlarged again.
    Low(f64),
    /// The picture is compressed as JPEG of this quality, 1..=100.
    Jpeg(u8),
    /// The picture without its colors.
    Gray,
    /// The brightness is multiplied by this.
    Light(f64),
}

impl Disturbance {
    /// Those of the tables: crops moved and scaled as a detector may err, turned
    /// heads, narrow and wide pictures, and pictures of poor quality.
    pub const STANDARD: [Self; 20] = [
        Self::Move([0.1, 0.0]),
        Self::Move([-0.1, 0.0]),
        Self::Move([0.0, 0.1]),
        Self::Move([0.0, -0.1]),
        Self::Scale(0.8),
        Self::Scale(0.9),
        Self::Scale(1.1),
        Self::Scale(1.25),
        Self::Rotate(15.0),
        Self::Rotate(30.0),
        Self::Cut(0.1),
        Self::Cut(-0.3),
        Self::Blur(1.0),
        Self::Blur(2.0),
        Self::Low(0.5),
        Self::Low(0.25),
        Self::Jpeg(30),
        Self::Jpeg(10),
        Self::Gray,
        Self::Light(0.5),
    ];

    /// The picture as it is then.
    pub fn picture(&self, picture: Picture) -> Picture {
        let (w, h) = (picture.width(), picture.height());
        match *self {
            Self::Move(_) | Self::Scale(_) => picture,
            Self::Rotate(degrees) => rotated(&picture, degrees.to_radians()),
            Self::Cut(fraction) => cut(&picture, fraction),
            Self::Blur(sigma) => blurred(&picture, sigma),
            Self::Low(fraction) => {
                let less = |n: usize| ((n as f64 * fraction).round() as usize).max(1);
                picture.resized(less(w), less(h)).resized(w, h)
            }
            Self::Jpeg(quality) => compressed(picture, quality),
            Self::Gray => mapped(picture, |[r, g, b]| {
                [0.299 * r + 0.587 * g + 0.114 * b; 3] // ITU-R BT.601
            }),
            Self::Light(factor) => mapped(picture, |rgb| rgb.map(|v| v * factor as f32)),
        }
    }

    /// The template by which the crop is cut out then.
    pub fn template(&self, template: &Template) -> Template {
        let points = template.points.map(|[x, y]| match *self {
            // What is shown moves to the right: the face in it to the left.
            Self::Move([right, down]) => [x - right, y - down],
            Self::Scale(factor) => [x, y].map(|v| 0.5 + (v - 0.5) / factor),
            _ => [x, y],
        });
        Template { points, ..template.clone() }
    }

    fn is_sound(&self) -> bool {
        match *self {
            Self::Move(by) => by.iter().all(|v| v.abs() <= 1.0),
            Self::Scale(v) => (0.1..=10.0).contains(&v),
            Self::Rotate(v) => v.abs() <= 180.0,
            Self::Cut(v) => (-2.0..=0.45).contains(&v),
            Self::Blur(v) => v > 0.0 && v <= 50.0,
            Self::Low(v) => v > 0.0 && v <= 1.0,
            Self::Jpeg(v) => (1..=100).contains(&v),
            Self::Gray => true,
            Self::Light(v) => v > 0.0 && v <= 10.0,
        }
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Move([right, down]) => write!(f, "move:{right},{down}"),
            Self::Scale(v) => write!(f, "scale:{v}"),
            Self::Rotate(v) => write!(f, "rotate:{v}"),
            Self::Cut(v) => write!(f, "cut:{v}"),
            Self::Blur(v) => write!(f, "blur:{v}"),
            Self::Low(v) => write!(f, "low:{v}"),
            Self::Jpeg(v) => write!(f, "jpeg:{v}"),
            Self::Gray => write!(f, "gray"),
            Self::Light(v) => write!(f, "light:{v}"),
        }
    }
}

impl FromStr for Disturbance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let number = || value.trim().parse::<f64>().ok();
        let found = match name {
            "move" => value.split_once(',').and_then(|(right, down)| {
                Some(Self::Move([right.trim().parse().ok()?, down.trim().parse().ok()?]))
            }),
            "scale" => number().map(Self::Scale),
            "rotate" => number().map(Self::Rotate),
            "cut" => number().map(Self::Cut),
            "blur" => number().map(Self::Blur),
            "low" => number().map(Self::Low),
            "jpeg" => value.trim().parse().ok().map(Self::Jpeg),
            "gray" => value.is_empty().then_some(Self::Gray),
            "light" => number().map(Self::Light),
            _ => None,
        };
        found.filter(Self::is_sound).ok_or_else(|| {
            format!(
                "{text} is no disturbance: move:RIGHT,DOWN (in sides of the crop), scale:FACTOR, \
                 rotate:DEGREES, cut:FRACTION, blur:PIXELS, low:FRACTION, jpeg:QUALITY, gray or \
                 light:FACTOR"
            )
        })
    }
}

impl From<Disturbance> for String {
    fn from(disturbance: Disturbance) -> Self {
        disturbance.to_string()
    }
}

impl TryFrom<String> for Disturbance {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A picture with its pixels replaced.
fn mapped(mut picture: Picture, map: impl Fn([f32; 3]) -> [f32; 3]) -> Picture {
    for pixel in picture.rgb_mut().as_chunks_mut::<3>().0 {
        *pixel = map(pixel.map(f32::from)).map(rounded);
    }
    picture
}

fn rounded(v: f32) -> u8 {
    (v + 0.5).clamp(0.0, 255.0) as u8
}

/// A picture whose pixels are those of another at the places that `place` says,
/// what lies between them linear, what lies outside the border's.
fn sampled(
    from: &Picture,
    (width, height): (usize, usize),
    place: impl Fn(f32, f32) -> (f32, f32),
) -> Picture {
    let last = |n: usize| (n - 1) as f32;
    let mut rgb = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = place(x as f32, y as f32);
            let (u, v) = (u.clamp(0.0, last(from.width())), v.clamp(0.0, last(from.height())));
            let (x0, y0) = (u as usize, v as usize);
            let (x1, y1) = ((x0 + 1).min(from.width() - 1), (y0 + 1).min(from.height() - 1));
            let (across, down) = (u - x0 as f32, v - y0 as f32);
            let corners = [(x0, y0), (x1, y0), (x0, y1), (x1, y1)].map(|(x, y)| from.pixel(x, y));
            for c in 0..3 {
                let [a, b, p, q] = corners.map(|pixel| f32::from(pixel[c]));
                let (top, bottom) = (a + across * (b - a), p + across * (q - p));
                rgb.push(rounded(top + down * (bottom - top)));
            }
        }
    }
    Picture::new(width, height, rgb).expect("three bytes were pushed for every pixel")
}

fn rotated(picture: &Picture, angle: f64) -> Picture {
    let (sin, cos) = (angle.sin() as f32, angle.cos() as f32);
    let (cx, cy) = ((picture.width() - 1) as f32 / 2.0, (picture.height() - 1) as f32 / 2.0);
    sampled(picture, (picture.width(), picture.height()), |x, y| {
        let (x, y) = (x - cx, y - cy);
        (cx + cos * x + sin * y, cy - sin * x + cos * y)
    })
}

fn cut(picture: &Picture, fraction: f64) -> Picture {
    let off = |n: usize| {
        let most = (n as f64 - 1.0) / 2.0;
        (n as f64 * fraction).round().min(most.floor())
    };
    let (x, y) = (off(picture.width()), off(picture.height()));
    let left = |n: usize, off: f64| (n as f64 - 2.0 * off) as usize;
    let size = (left(picture.width(), x), left(picture.height(), y));
    sampled(picture, size, |u, v| (u + x as f32, v + y as f32))
}

/// Along the rows and then along the columns, up to three standard deviations.
fn blurred(picture: &Picture, sigma: f64) -> Picture {
    let reach = (3.0 * sigma).ceil() as isize;
    let weight = |i: isize| (-0.5 * (i as f64 / sigma).powi(2)).exp() as f32;
    let weights: Vec<f32> = (-reach..=reach).map(weight).collect();
    let sum: f32 = weights.iter().sum();
    let (w, h) = (picture.width() as isize, picture.height() as isize);
    let pass = |from: &[f32], along: (isize, isize)| -> Vec<f32> {
        let mut to = vec![0.0; from.len()];
        for y in 0..h {
            for x in 0..w {
                let at = 3 * (y * w + x) as usize;
                for (i, weight) in (-reach..=reach).zip(&weights) {
                    let x = (x + i * along.0).clamp(0, w - 1);
                    let y = (y + i * along.1).clamp(0, h - 1);
                    let other = 3 * (y * w + x) as usize;
                    for c in 0..3 {
                        to[at + c] += weight / sum * from[other + c];
                    }
                }
            }
        }
        to
    };
    let from: Vec<f32> = picture.rgb().iter().map(|&v| f32::from(v)).collect();
    let rgb = pass(&pass(&from, (1, 0)), (0, 1)).into_iter().map(rounded).collect();
    Picture::new(picture.width(), picture.height(), rgb).expect("one value for each one before")
}

/// A picture too large for JPEG is left as it is.
fn compressed(picture: Picture, quality: u8) -> Picture {
    let mut bytes = Vec::new();
    let (Ok(width), Ok(height)) = (picture.width().try_into(), picture.height().try_into()) else {
        return picture;
    };
    jpeg_encoder::Encoder::new(&mut bytes, quality)
        .encode(picture.rgb(), width, height, jpeg_encoder::ColorType::Rgb)
        .expect("three bytes a pixel, into memory");
    dldl::decode(&bytes).expect("what was just compressed is a JPEG")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slope() -> Picture {
        let rgb = (0..40 * 30).flat_map(|i| [(i % 40 * 5) as u8, (i / 40 * 8) as u8, 100]);
        Picture::new(40, 30, rgb.collect()).unwrap()
    }

    #[test]
    fn texts_are_read_and_written() {
        for disturbance in Disturbance::STANDARD {
            assert_eq!(disturbance.to_string().parse(), Ok(disturbance));
            let json = serde_json::to_string(&disturbance).unwrap();
            assert_eq!(serde_json::from_str::<Disturbance>(&json).unwrap(), disturbance);
        }
        for bad in ["", "blur", "blur:", "blur:-1", "blur:nan", "move:0.1", "gray:1", "jpeg:0"] {
            let message = bad.parse::<Disturbance>().unwrap_err();
            assert!(message.contains("no disturbance"), "{bad}: {message}");
        }
    }

    #[test]
    fn a_moved_and_a_scaled_crop_show_what_they_should() {
        let picture = slope();
        let template = Template::default_face();
        // Where a crop of 10 pixels would show the picture's part from (10, 10) on.
        let landmarks = template.points.map(|p| p.map(|v| (10.0 + 10.0 * v) as f32));
        let shown = |disturbance: Disturbance| {
            let crop = dldl_face::align(&picture, &landmarks, &disturbance.template(&template), 10);
            // Red says the column, green the row.
            let at = 3 * (4 * 10 + 4);
            [f64::from(crop.rgb()[at]) / 5.0, f64::from(crop.rgb()[at + 1]) / 8.0]
        };
        let close = |got: [f64; 2], x: f64, y: f64| {
            assert!((got[0] - x).abs() < 0.3 && (got[1] - y).abs() < 0.3, "{got:?}");
        };
        close(shown(Disturbance::Scale(1.0)), 14.0, 14.0);
        close(shown(Disturbance::Move([0.1, 0.0])), 15.0, 14.0);
        close(shown(Disturbance::Move([0.0, -0.2])), 14.0, 12.0);
        // Pixel 4's center is half a pixel before the middle of the crop.
        close(shown(Disturbance::Scale(2.0)), 13.5, 13.5);
    }

    #[test]
    fn pictures_are_turned_cut_and_changed() {
        let picture = slope();
        let [turned, narrow, wide, dark] = [
            Disturbance::Rotate(180.0),
            Disturbance::Cut(0.1),
            Disturbance::Cut(-0.5),
            Disturbance::Light(0.5),
        ]
        .map(|d| d.picture(picture.clone()));
        assert_eq!(turned.pixel(0, 0), picture.pixel(39, 29));
        assert_eq!((narrow.width(), narrow.height()), (32, 24));
        assert_eq!(narrow.pixel(0, 0), picture.pixel(4, 3));
        assert_eq!((wide.width(), wide.height()), (80, 60));
        assert_eq!([wide.pixel(0, 0), wide.pixel(20, 15)], [picture.pixel(0, 0); 2]);
        assert_eq!(dark.pixel(39, 29)[0], 98);
        // A quarter turn clockwise brings the left border to the top.
        let square = Picture::new(2, 2, vec![9, 9, 9, 0, 0, 0, 9, 9, 9, 0, 0, 0]).unwrap();
        let quarter = Disturbance::Rotate(90.0).picture(square);
        assert_eq!([quarter.pixel(0, 0), quarter.pixel(1, 0)], [[9; 3]; 2]);
        let gray = Disturbance::Gray.picture(picture.clone());
        assert!(gray.rgb().as_chunks::<3>().0.iter().all(|p| p[0] == p[1] && p[1] == p[2]));
    }

    #[test]
    fn poor_pictures_lose_detail_and_keep_their_mean() {
        let rgb = (0..64 * 64).flat_map(|i| [if i % 2 == 0 { 0u8 } else { 200 }; 3]).collect();
        let stripes = Picture::new(64, 64, rgb).unwrap();
        for disturbance in [Disturbance::Blur(1.5), Disturbance::Low(0.25)] {
            let out = disturbance.picture(stripes.clone());
            let middle = out.pixel(32, 32)[0];
            assert!(middle.abs_diff(100) < 5, "{disturbance}: {middle}");
        }
        let jpeg = Disturbance::Jpeg(10).picture(slope());
        assert_eq!((jpeg.width(), jpeg.height()), (40, 30));
        assert_ne!(jpeg, slope());
        assert!(jpeg.pixel(20, 15)[0].abs_diff(100) < 40);
    }
}
