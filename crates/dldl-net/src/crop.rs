//! The input of a network: an aligned square crop, and the template with the positions
//! of the five landmarks in it. `dldl-face` extracts crops from pictures.

use serde::{Deserialize, Serialize};

use crate::NetError;

/// An aligned square picture of a face, 8-bit RGB.
#[derive(Clone, PartialEq, Eq)]
pub struct Crop {
    size: usize,
    rgb: Vec<u8>,
}

impl Crop {
    /// A crop of `size` x `size` pixels from interleaved RGB.
    ///
    /// # Errors
    /// [`NetError::Crop`] if the size is 0 or `rgb` does not have `3 size^2` bytes.
    pub fn new(size: usize, rgb: Vec<u8>) -> Result<Self, NetError> {
        let needed = size.checked_mul(size).and_then(|n| n.checked_mul(3));
        if size == 0 || needed != Some(rgb.len()) {
            return Err(NetError::Crop(format!(
                "invalid RGB crop of {size}x{size} pixels: {} bytes",
                rgb.len()
            )));
        }
        Ok(Self { size, rgb })
    }

    /// Side in pixels, above 0.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The pixels, `[size][size][3]`, rows from the top.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels, mutable.
    pub fn rgb_mut(&mut self) -> &mut [u8] {
        &mut self.rgb
    }

    /// The pixels, `[size][size][3]`, rows from the top.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    /// The mirror image (left and right swapped).
    pub fn flipped(&self) -> Self {
        let rgb = self
            .rgb
            .chunks_exact(3 * self.size)
            .flat_map(|row| row.chunks_exact(3).rev().flatten().copied())
            .collect();
        Self { size: self.size, rgb }
    }
}

impl std::fmt::Debug for Crop {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Crop({0}x{0})", self.size)
    }
}

/// The positions of the landmarks in a crop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// Left eye, right eye, nose, left and right corner of the mouth, as seen in
    /// the picture; `[x, y]` in units of the crop's side, from its top left corner.
    pub points: [[f64; 2]; 5],
}

/// Size of the default template's face relative to the paper's (estimated in
/// specification 3.3: 60 of 224 pixels between the eyes). With 1.6 the face fills the
/// crop from brows to chin, as in UTKFace's chips; with 1.0 most of the crop would be
/// outside the chip.
const TEMPLATE_SCALE: f64 = 1.6;

/// Distance of the default template's face above the crop's center, in pixels of 224: the
/// chin needs more space than the brows.
const TEMPLATE_RISE: f64 = 12.0;

impl Template {
    /// The template that the shipped models use. Symmetric about the vertical
    /// axis; 96 pixels between the eyes in a crop of 224.
    pub fn default_face() -> Self {
        let shape = [[-30.0, -33.0], [30.0, -33.0], [0.0, 4.0], [-26.0, 31.5], [26.0, 31.5]];
        let points = shape.map(|[x, y]| {
            [
                (112.0 + TEMPLATE_SCALE * x) / 224.0,
                (112.0 + TEMPLATE_SCALE * y - TEMPLATE_RISE) / 224.0,
            ]
        });
        Self { name: "face-43".into(), points }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_with_the_wrong_number_of_bytes_are_rejected() {
        assert!(Crop::new(2, vec![0; 12]).is_ok());
        assert!(Crop::new(2, vec![0; 11]).is_err());
        assert!(Crop::new(0, vec![]).is_err());
        // 3 * size^2 wraps to 0.
        assert!(Crop::new(1 << 32, vec![]).is_err());
    }

    #[test]
    fn flipping_swaps_only_left_and_right() {
        let crop = Crop::new(2, vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]).unwrap();
        assert_eq!(crop.flipped().rgb, [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
        assert_eq!(crop.flipped().flipped(), crop);
    }

    #[test]
    fn the_template_is_symmetric_and_inside_the_crop() {
        let [left, right, nose, mouth_left, mouth_right] = Template::default_face().points;
        for (l, r) in [(left, right), (mouth_left, mouth_right)] {
            assert!((l[0] + r[0] - 1.0).abs() < 1e-12 && l[1] == r[1]);
        }
        assert_eq!(nose[0], 0.5);
        assert!(((right[0] - left[0]) * 224.0 - 96.0).abs() < 1e-9);
        assert!(0.1 < left[1] && mouth_left[1] < 0.9);
    }
}
