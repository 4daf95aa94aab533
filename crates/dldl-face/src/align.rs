//! From a picture and a face's landmarks to the crop that is a network's input.
//! The template belongs to the network's weights; here it is an argument.

use crate::{Picture, Similarity};
use dldl_net::{Crop, Template};

/// A crop of `size` x `size` pixels in which the face is translated, rotated and
/// scaled (never sheared or mirrored) so that its landmarks are as close as
/// possible to the template's.
///
/// `landmarks` are the five points of [`crate::Face`], in pixels. The transform is
/// the least-squares similarity from template to picture ([`Similarity::fit`]), as
/// in Matlab's `cp2tform`, which the paper used. Sampling is bilinear, after
/// antialiased downscaling where the picture has a higher resolution than the
/// crop. Outside the picture, its border pixels are repeated.
///
/// If the landmarks coincide or are not finite, the result is [`whole_picture`].
///
/// # Panics
/// If `size` is 0.
pub fn align(
    picture: &Picture,
    landmarks: &[[f32; 2]; 5],
    template: &Template,
    size: usize,
) -> Crop {
    let from = template.points.map(|p| p.map(|v| v * size as f64));
    let to = landmarks.map(|p| p.map(f64::from));
    match Similarity::fit(&from, &to) {
        Some(map) => warp(picture, &map, size),
        None => whole_picture(picture, size),
    }
}

/// The largest centered square of the picture, resized to `size` x `size` pixels:
/// used instead of an aligned crop where no face was found.
///
/// # Panics
/// If `size` is 0.
pub fn whole_picture(picture: &Picture, size: usize) -> Crop {
    let side = picture.width().min(picture.height()) as f64;
    let (x, y) = ((picture.width() as f64 - side) / 2.0, (picture.height() as f64 - side) / 2.0);
    let square = picture.region_resized([x, y, side, side], size, size);
    Crop::new(size, square.into_rgb()).expect("a resized picture has the requested size")
}

/// The crop whose pixel at p is the picture's at `map(p)`.
fn warp(picture: &Picture, map: &Similarity, size: usize) -> Crop {
    assert!(size > 0, "a crop needs at least one pixel");
    let scale = map.scale();
    if scale <= 1.0 {
        return sample(picture, [0.0, 0.0], [1.0, 1.0], map, size);
    }
    // More than one picture pixel per crop pixel: first downscale the needed region
    // by that factor, so that thin lines do not alias, and a face gives the same
    // crop at any resolution.
    let side = size as f64;
    let corners = [[0.0, 0.0], [side, 0.0], [0.0, side], [side, side]].map(|p| map.apply(p));
    // The two resampling kernels together reach three crop pixels.
    let margin = 3.0 * scale + 1.0;
    let span = |axis: usize, len: usize| {
        let values = corners.map(|c| c[axis]);
        let low = values.iter().copied().fold(f64::INFINITY, f64::min) - margin;
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) + margin;
        let last = (len - 1) as f64;
        let low = low.floor().clamp(0.0, last);
        (low, high.ceil().clamp(low + 1.0, len as f64) - low)
    };
    let (x, width) = span(0, picture.width());
    let (y, height) = span(1, picture.height());
    let downscaled = |n: f64| (n / scale).round().max(1.0);
    let (w, h) = (downscaled(width), downscaled(height));
    let region = picture.region_resized([x, y, width, height], w as usize, h as usize);
    sample(&region, [x, y], [w / width, h / height], map, size)
}

/// Bilinear sampling. `pixels` is the region of the picture that starts at
/// `origin`, scaled by `zoom`.
fn sample(
    pixels: &Picture,
    origin: [f64; 2],
    zoom: [f64; 2],
    map: &Similarity,
    size: usize,
) -> Crop {
    let from = pixels.rgb();
    let mut rgb = Vec::with_capacity(3 * size * size);
    // The two neighbors of a position between pixel centers, and the weight
    // of the second.
    let neighbors = |v: f64, len: usize| {
        let v = (v - 0.5).clamp(0.0, (len - 1) as f64);
        let low = v as usize;
        (low, (low + 1).min(len - 1), (v - low as f64) as f32)
    };
    for v in 0..size {
        for u in 0..size {
            let [x, y] = map.apply([u as f64 + 0.5, v as f64 + 0.5]);
            let (x0, x1, fx) = neighbors((x - origin[0]) * zoom[0], pixels.width());
            let (y0, y1, fy) = neighbors((y - origin[1]) * zoom[1], pixels.height());
            let at = |x: usize, y: usize| {
                let at = 3 * (y * pixels.width() + x);
                &from[at..at + 3]
            };
            let (a, b, c, d) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
            for k in 0..3 {
                let mix = |p: u8, q: u8, t: f32| f32::from(p) + t * (f32::from(q) - f32::from(p));
                let (top, bottom) = (mix(a[k], b[k], fx), mix(c[k], d[k], fx));
                rgb.push((top + fy * (bottom - top) + 0.5) as u8);
            }
        }
    }
    Crop::new(size, rgb).expect("three bytes were pushed for every pixel")
}
