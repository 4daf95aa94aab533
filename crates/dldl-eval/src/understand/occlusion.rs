//! The estimate of a picture with parts of it covered (specification 5.7 b).

use dldl::{Crop, Engine, ModelInfo, NetError};

use super::{Map, Measure, head_of};

/// The number of parts in each direction: strips of 32 pixels at 224.
pub const PARTS: usize = 7;

/// The shape of the covered part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// A seventh of the columns, over all rows.
    Vertical,
    /// A seventh of the rows, over all columns.
    Horizontal,
    /// A square, a seventh of the rows and columns.
    Grid,
}

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// The first column and one past the last.
    pub x: [usize; 2],
    /// The first row and one past the last.
    pub y: [usize; 2],
}

impl Pattern {
    /// All patterns, in the order of [`Occluded::covered`].
    pub const ALL: [Self; 3] = [Self::Vertical, Self::Horizontal, Self::Grid];

    /// The number of rows and columns of parts.
    pub fn shape(self) -> (usize, usize) {
        match self {
            Self::Vertical => (1, PARTS),
            Self::Horizontal => (PARTS, 1),
            Self::Grid => (PARTS, PARTS),
        }
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vertical => "vertical strips",
            Self::Horizontal => "horizontal strips",
            Self::Grid => "grid",
        }
    }

    /// The parts of a crop of `size` x `size` pixels, row by row. Each pixel is in exactly
    /// one part; if the side is not a multiple of [`PARTS`], some parts are a pixel wider.
    pub fn regions(self, size: usize) -> Vec<Region> {
        let (rows, columns) = self.shape();
        let part = |i: usize, count: usize| {
            let edge = |i: usize| (i * size + count / 2) / count;
            [edge(i), edge(i + 1)]
        };
        let row =
            |y: usize| (0..columns).map(move |x| Region { x: part(x, columns), y: part(y, rows) });
        (0..rows).flat_map(row).collect()
    }

    /// A map of one value for each part.
    pub(super) fn map(self, measure: Measure, values: Vec<f64>) -> Map {
        let (rows, columns) = self.shape();
        Map { name: self.name().into(), measure, rows, columns, values }
    }
}

/// The estimates of a crop with and without covered parts, in units of the label.
#[derive(Debug, Clone, PartialEq)]
pub struct Occluded {
    /// Without covered parts.
    pub intact: f64,
    /// With each part covered, for each of [`Pattern::ALL`].
    pub covered: [Vec<f64>; 3],
}

/// Estimates a crop with each part covered in turn by the mean color, which is 0 after
/// normalization (to 8 bits: within a hundredth of the standard deviation). The mirror
/// image is covered at the same coordinates, as in the authors' code, and the
/// two views are fused as for an estimate ([`dldl::Head::answer`]). All copies run as one batch.
///
/// # Errors
/// As [`Engine::run`].
///
/// # Panics
/// If the model has no head with index `head`.
pub fn occlusion(engine: &Engine, head: usize, crop: &Crop) -> Result<Occluded, NetError> {
    let (head, range) = head_of(engine, head);
    let color = mean_color(engine.info());
    let views = [crop.clone(), crop.flipped()];
    let regions = Pattern::ALL.map(|pattern| pattern.regions(crop.size()));
    let mut copies = views.to_vec();
    for region in regions.iter().flatten() {
        copies.extend(views.iter().map(|view| covered(view, region, color)));
    }
    let logits = engine.logits(&copies)?;
    let estimate = |pair: &[Vec<f32>]| -> Result<f64, NetError> {
        let decode = |view: &Vec<f32>| head.decode(&view[range.clone()]);
        let both = [decode(&pair[0])?, decode(&pair[1])?];
        Ok(head.answer(&both)?.0)
    };
    let estimates: Vec<f64> = logits.chunks(2).map(estimate).collect::<Result<_, _>>()?;
    let mut rest = estimates[1..].iter().copied();
    let covered = regions.map(|regions| rest.by_ref().take(regions.len()).collect());
    Ok(Occluded { intact: estimates[0], covered })
}

/// The 8-bit color closest to 0 after normalization.
fn mean_color(info: &ModelInfo) -> [u8; 3] {
    info.normalization.mean.map(|mean| (255.0 * mean).round().clamp(0.0, 255.0) as u8)
}

fn covered(crop: &Crop, region: &Region, color: [u8; 3]) -> Crop {
    let mut crop = crop.clone();
    for y in region.y[0]..region.y[1] {
        for x in region.x[0]..region.x[1] {
            let at = 3 * (y * crop.size() + x);
            crop.rgb_mut()[at..at + 3].copy_from_slice(&color);
        }
    }
    crop
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl::{Distribution, models};

    #[test]
    fn parts_match_the_paper_at_224_and_cover_every_pixel_once() {
        let strips = Pattern::Vertical.regions(224);
        assert_eq!(strips[1], Region { x: [32, 64], y: [0, 224] });
        assert_eq!(Pattern::Grid.regions(224)[8], Region { x: [32, 64], y: [32, 64] });
        for size in [32, 64, 96, 160, 224] {
            for pattern in Pattern::ALL {
                let mut count = vec![0; size * size];
                for region in pattern.regions(size) {
                    for y in region.y[0]..region.y[1] {
                        (region.x[0]..region.x[1]).for_each(|x| count[y * size + x] += 1);
                    }
                }
                assert!(count.iter().all(|n| *n == 1), "{pattern:?} at {size}");
            }
        }
    }

    #[test]
    fn covering_a_crop_of_the_mean_color_changes_nothing() {
        let engine = models::engine(models::DEFAULT_MODEL).unwrap();
        let gray = Crop::new(96, mean_color(engine.info()).repeat(96 * 96)).unwrap();
        let result = occlusion(&engine, 0, &gray).unwrap();
        let all = result.covered.iter().flatten();
        assert_eq!(all.clone().count(), 7 + 7 + 49);
        assert!(all.into_iter().all(|v| *v == result.intact));
    }

    #[test]
    fn estimates_match_crops_covered_by_hand() {
        // Without a recalibration, which maps the average and not the distributions.
        let mut weights = models::weights(models::DEFAULT_MODEL).unwrap();
        weights.info.heads[0].calibration = None;
        let engine = Engine::from_weights(&weights).unwrap();
        let rgb = (0..3 * 96 * 96).map(|i| (i * 7 % 256) as u8).collect();
        let crop = Crop::new(96, rgb).unwrap();
        let result = occlusion(&engine, 0, &crop).unwrap();
        // The third row of the grid, second column: rows 27..41, columns 14..27.
        let cover = |mut crop: Crop| {
            for y in 27..41 {
                for x in 14..27 {
                    crop.rgb_mut()[3 * (96 * y + x)..][..3].copy_from_slice(&[152, 118, 104]);
                }
            }
            crop
        };
        let both = [cover(crop.clone()), cover(crop.flipped())];
        let both =
            engine.run(&both).unwrap().into_iter().map(|heads| heads[0].distribution.clone());
        let by_hand = Distribution::average(&both.collect::<Vec<_>>()).unwrap();
        assert_eq!(result.covered[2][2 * 7 + 1], by_hand.expectation());
        let intact = engine.flip_fusion(true).run(&[crop]).unwrap().remove(0);
        assert_eq!(result.intact, intact[0].value);
        assert_ne!(result.intact, by_hand.expectation());
    }
}
