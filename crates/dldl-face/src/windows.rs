//! Networks on windows of a picture.

use crate::geometry::ScoredBox;
use crate::nets::{NormalizedPixel, Scratch, WindowNet};
use crate::pyramid::{Downscaler, PixelRect};
use crate::turned::turned_pixels;
use crate::{DetectorStage, Picture};
use dldl_kernels::LANES;
use rayon::prelude::*;
use std::cell::RefCell;

/// Windows per parallel task of [`run_on_windows`].
const BATCH: usize = 8;

/// Working memory of [`run_on_windows`].
#[derive(Debug, Default)]
struct WindowScratch {
    downscaler: Downscaler,
    pixels: Vec<NormalizedPixel>,
    net: Scratch,
}

// Working memory of each thread, kept between pictures.
thread_local! {
    static WINDOWS: RefCell<WindowScratch> = RefCell::default();
}

/// Runs `net` on every window of the picture, resized to the network's input.
/// Windows outside the picture are omitted from the result.
pub(crate) fn run_on_windows(
    net: &WindowNet,
    stage: DetectorStage,
    picture: &Picture,
    windows: &[ScoredBox],
    on_stage: &(impl Fn(DetectorStage) + Sync),
) -> Vec<(ScoredBox, [f32; LANES])> {
    let run = |windows: &[ScoredBox]| {
        WINDOWS.with_borrow_mut(|WindowScratch { downscaler, pixels, net: scratch }| {
            on_stage(DetectorStage::Windows);
            pixels.clear();
            let mut used = Vec::with_capacity(windows.len());
            for window in windows {
                if let Some(rect) = pixels_inside(window, picture) {
                    downscaler.append(picture, rect, net.size, pixels);
                    used.push(*window);
                }
            }
            on_stage(stage);
            let outputs = net.run(pixels, scratch);
            used.into_iter().zip(outputs).map(|(w, out)| (w, out.0)).collect::<Vec<_>>()
        })
    };
    windows.par_chunks(BATCH).flat_map_iter(run).collect()
}

/// The logit of "face", relative to "no face", for a window as it is and turned
/// counterclockwise by one, two and three quarters. None for a window outside the
/// picture.
pub(crate) fn logits_in_turns(
    net: &WindowNet,
    picture: &Picture,
    window: &ScoredBox,
) -> Option<[f32; 4]> {
    let rect = pixels_inside(window, picture)?;
    WINDOWS.with_borrow_mut(|WindowScratch { downscaler, pixels, net: scratch }| {
        pixels.clear();
        downscaler.append(picture, rect, net.size, pixels);
        for turns in 1..4 {
            let whole = &pixels[..net.size * net.size];
            pixels.extend(turned_pixels(whole, [net.size; 2], turns));
        }
        let out = net.run(pixels, scratch);
        Some([0, 1, 2, 3].map(|i| out[i].0[1] - out[i].0[0]))
    })
}

/// The pixels of the picture inside a window, if there are any. The corners are
/// truncated to whole pixels, which count from 1; the last one is included.
fn pixels_inside(window: &ScoredBox, picture: &Picture) -> Option<PixelRect> {
    let [x1, y1, x2, y2] = window.corners.map(|v| v as i64);
    let (x1, y1) = (x1.max(1) - 1, y1.max(1) - 1);
    let (x2, y2) = (x2.min(picture.width() as i64), y2.min(picture.height() as i64));
    (x2 > x1 && y2 > y1).then(|| PixelRect {
        x: x1 as usize,
        y: y1 as usize,
        width: (x2 - x1) as usize,
        height: (y2 - y1) as usize,
    })
}
