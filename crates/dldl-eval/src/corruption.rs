//! Corruptions of pictures and crops by a known amount, to measure a model's errors under
//! them. Nothing here is random; random augmentation is in `dldl_data::Augment`.

use std::fmt;
use std::str::FromStr;

use dldl::Picture;
use dldl_face::{Chroma, encode_jpeg};
use dldl_net::Template;
use serde::{Deserialize, Serialize};

/// A corruption of a picture before face detection, or of the alignment of the crop. As
/// text and in JSON, it is a name with numbers: `blur:2`, `move:0.1,0`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Corruption {
    /// Moves the crop to the right and down, by fractions of its side.
    Move([f64; 2]),
    /// Scales the area that the crop shows: above 1, the face becomes smaller.
    Scale(f64),
    /// Rotates the picture clockwise by degrees, with repeated borders.
    Rotate(f64),
    /// Cuts off this fraction of the width and height at each side; if negative, repeats
    /// the borders instead.
    Cut(f64),
    /// Gaussian blur of this standard deviation, in pixels of the picture.
    Blur(f64),
    /// Reduces the picture to this fraction of its size and enlarges it again.
    Downscale(f64),
    /// Compresses the picture as JPEG of this quality, 1..=100.
    Jpeg(u8),
    /// Removes the colors.
    Gray,
    /// Multiplies the brightness.
    Brightness(f64),
}

impl Corruption {
    /// The standard list: changes that nobody sees (another encoding, a crop as another
    /// detector would make it), crops moved and scaled like errors of a detector, rotated,
    /// narrow and wide pictures, and pictures of poor quality.
    pub const STANDARD: [Self; 23] = [
        Self::Jpeg(95),
        Self::Move([0.02, 0.02]),
        Self::Scale(1.03),
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
        Self::Downscale(0.5),
        Self::Downscale(0.25),
        Self::Jpeg(30),
        Self::Jpeg(10),
        Self::Gray,
        Self::Brightness(0.5),
    ];

    /// Applies the corruption to a picture.
    pub fn picture(&self, picture: Picture) -> Picture {
        let (w, h) = (picture.width(), picture.height());
        match *self {
            Self::Move(_) | Self::Scale(_) => picture,
            Self::Rotate(degrees) => rotated(&picture, degrees.to_radians()),
            Self::Cut(fraction) => cut(&picture, fraction),
            Self::Blur(sigma) => blurred(&picture, sigma),
            Self::Downscale(fraction) => {
                let less = |n: usize| ((n as f64 * fraction).round() as usize).max(1);
                picture.resized(less(w), less(h)).resized(w, h)
            }
            Self::Jpeg(quality) => compressed(picture, quality),
            Self::Gray => mapped(picture, |[r, g, b]| {
                [0.299 * r + 0.587 * g + 0.114 * b; 3] // ITU-R BT.601
            }),
            Self::Brightness(factor) => mapped(picture, |rgb| rgb.map(|v| v * factor as f32)),
        }
    }

    /// Applies the corruption to the template that crops are aligned with.
    pub fn template(&self, template: &Template) -> Template {
        let points = template.points.map(|[x, y]| match *self {
            // As the crop moves to the right, the face in it moves to the left.
            Self::Move([right, down]) => [x - right, y - down],
            Self::Scale(factor) => [x, y].map(|v| 0.5 + (v - 0.5) / factor),
            _ => [x, y],
        });
        Template { points, ..template.clone() }
    }

    fn is_valid(&self) -> bool {
        match *self {
            Self::Move(by) => by.iter().all(|v| v.abs() <= 1.0),
            Self::Scale(v) => (0.1..=10.0).contains(&v),
            Self::Rotate(v) => v.abs() <= 180.0,
            Self::Cut(v) => (-2.0..=0.45).contains(&v),
            Self::Blur(v) => v > 0.0 && v <= 50.0,
            Self::Downscale(v) => v > 0.0 && v <= 1.0,
            Self::Jpeg(v) => (1..=100).contains(&v),
            Self::Gray => true,
            Self::Brightness(v) => v > 0.0 && v <= 10.0,
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Move([right, down]) => write!(f, "move:{right},{down}"),
            Self::Scale(v) => write!(f, "scale:{v}"),
            Self::Rotate(v) => write!(f, "rotate:{v}"),
            Self::Cut(v) => write!(f, "cut:{v}"),
            Self::Blur(v) => write!(f, "blur:{v}"),
            Self::Downscale(v) => write!(f, "downscale:{v}"),
            Self::Jpeg(v) => write!(f, "jpeg:{v}"),
            Self::Gray => write!(f, "gray"),
            Self::Brightness(v) => write!(f, "brightness:{v}"),
        }
    }
}

impl FromStr for Corruption {
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
            "downscale" | "low" => number().map(Self::Downscale),
            "jpeg" => value.trim().parse().ok().map(Self::Jpeg),
            "gray" => value.is_empty().then_some(Self::Gray),
            "brightness" | "light" => number().map(Self::Brightness),
            _ => None,
        };
        found.filter(Self::is_valid).ok_or_else(|| {
            format!(
                "invalid corruption `{text}`: expected move:RIGHT,DOWN (in sides of the crop), \
                 scale:FACTOR, rotate:DEGREES, cut:FRACTION, blur:PIXELS, downscale:FRACTION, \
                 jpeg:QUALITY, gray or brightness:FACTOR"
            )
        })
    }
}

impl From<Corruption> for String {
    fn from(corruption: Corruption) -> Self {
        corruption.to_string()
    }
}

impl TryFrom<String> for Corruption {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Maps every pixel.
fn mapped(mut picture: Picture, map: impl Fn([f32; 3]) -> [f32; 3]) -> Picture {
    for pixel in picture.rgb_mut().as_chunks_mut::<3>().0 {
        *pixel = map(pixel.map(f32::from)).map(rounded);
    }
    picture
}

fn rounded(v: f32) -> u8 {
    (v + 0.5).clamp(0.0, 255.0) as u8
}

/// Resamples a picture: `place` maps pixels of the result to positions in `from`, which
/// are interpolated linearly and clamped to the borders.
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

/// Blurs rows, then columns, with a kernel of three standard deviations.
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

/// Compresses a picture; one too large for JPEG is returned unchanged.
fn compressed(picture: Picture, quality: u8) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    match encode_jpeg(picture.rgb(), width, height, quality, Chroma::ByQuality) {
        Ok(jpeg) => dldl::decode(&jpeg).expect("the encoder writes valid JPEG"),
        Err(_) => picture,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slope() -> Picture {
        let rgb = (0..40 * 30).flat_map(|i| [(i % 40 * 5) as u8, (i / 40 * 8) as u8, 100]);
        Picture::new(40, 30, rgb.collect()).unwrap()
    }

    #[test]
    fn corruptions_round_trip_as_text() {
        for corruption in Corruption::STANDARD {
            assert_eq!(corruption.to_string().parse(), Ok(corruption));
            let json = serde_json::to_string(&corruption).unwrap();
            assert_eq!(serde_json::from_str::<Corruption>(&json).unwrap(), corruption);
        }
        for (old, new) in [("low:0.25", "downscale:0.25"), ("light:0.5", "brightness:0.5")] {
            assert_eq!(old.parse::<Corruption>().unwrap().to_string(), new);
        }
        for bad in ["", "blur", "blur:", "blur:-1", "blur:nan", "move:0.1", "gray:1", "jpeg:0"] {
            let message = bad.parse::<Corruption>().unwrap_err();
            assert!(message.contains("invalid corruption"), "{bad}: {message}");
        }
    }

    #[test]
    fn crops_are_moved_and_scaled() {
        let picture = slope();
        let template = Template::default_face();
        // A crop of 10 pixels shows the part of the picture from (10, 10).
        let landmarks = template.points.map(|p| p.map(|v| (10.0 + 10.0 * v) as f32));
        let shown = |corruption: Corruption| {
            let crop = dldl_face::align(&picture, &landmarks, &corruption.template(&template), 10);
            // Red encodes the column, green the row.
            let at = 3 * (4 * 10 + 4);
            [f64::from(crop.rgb()[at]) / 5.0, f64::from(crop.rgb()[at + 1]) / 8.0]
        };
        let close = |got: [f64; 2], x: f64, y: f64| {
            assert!((got[0] - x).abs() < 0.3 && (got[1] - y).abs() < 0.3, "{got:?}");
        };
        close(shown(Corruption::Scale(1.0)), 14.0, 14.0);
        close(shown(Corruption::Move([0.1, 0.0])), 15.0, 14.0);
        close(shown(Corruption::Move([0.0, -0.2])), 14.0, 12.0);
        // The center of pixel 4 is half a pixel before the middle of the crop.
        close(shown(Corruption::Scale(2.0)), 13.5, 13.5);
    }

    #[test]
    fn pictures_are_rotated_cut_and_recolored() {
        let picture = slope();
        let [turned, narrow, wide, dark] = [
            Corruption::Rotate(180.0),
            Corruption::Cut(0.1),
            Corruption::Cut(-0.5),
            Corruption::Brightness(0.5),
        ]
        .map(|d| d.picture(picture.clone()));
        assert_eq!(turned.pixel(0, 0), picture.pixel(39, 29));
        assert_eq!((narrow.width(), narrow.height()), (32, 24));
        assert_eq!(narrow.pixel(0, 0), picture.pixel(4, 3));
        assert_eq!((wide.width(), wide.height()), (80, 60));
        assert_eq!([wide.pixel(0, 0), wide.pixel(20, 15)], [picture.pixel(0, 0); 2]);
        assert_eq!(dark.pixel(39, 29)[0], 98);
        // A rotation by 90 degrees clockwise brings the left border to the top.
        let square = Picture::new(2, 2, vec![9, 9, 9, 0, 0, 0, 9, 9, 9, 0, 0, 0]).unwrap();
        let quarter = Corruption::Rotate(90.0).picture(square);
        assert_eq!([quarter.pixel(0, 0), quarter.pixel(1, 0)], [[9; 3]; 2]);
        let gray = Corruption::Gray.picture(picture.clone());
        assert!(gray.rgb().as_chunks::<3>().0.iter().all(|p| p[0] == p[1] && p[1] == p[2]));
    }

    #[test]
    fn poor_pictures_lose_detail_and_keep_their_mean() {
        let rgb = (0..64 * 64).flat_map(|i| [if i % 2 == 0 { 0u8 } else { 200 }; 3]).collect();
        let stripes = Picture::new(64, 64, rgb).unwrap();
        for corruption in [Corruption::Blur(1.5), Corruption::Downscale(0.25)] {
            let out = corruption.picture(stripes.clone());
            let middle = out.pixel(32, 32)[0];
            assert!(middle.abs_diff(100) < 5, "{corruption}: {middle}");
        }
        let jpeg = Corruption::Jpeg(10).picture(slope());
        assert_eq!((jpeg.width(), jpeg.height()), (40, 30));
        assert_ne!(jpeg, slope());
        assert!(jpeg.pixel(20, 15)[0].abs_diff(100) < 40);
    }
}
