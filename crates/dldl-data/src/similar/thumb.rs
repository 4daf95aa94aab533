//! Small gray pictures.

use std::path::Path;

use dldl_face::{DecodeOptions, FaceError, decode_file_with, whole_picture};

/// The side of a [`Thumb`] in pixels.
pub(super) const SIDE: usize = 64;
/// Large pictures are decoded at a half, a quarter or an eighth of their size, so that at
/// most about this many pixels remain: still at least twice [`SIDE`] across.
const DECODED_PIXELS: u64 = 16 * (SIDE * SIDE) as u64;

/// The middle square of a picture, gray, `SIDE` x `SIDE` pixels from the top left.
#[derive(Clone)]
pub(super) struct Thumb(Box<[u8; SIDE * SIDE]>);

impl Thumb {
    /// Reads a picture file.
    pub(super) fn read(path: &Path) -> Result<Self, FaceError> {
        let options = DecodeOptions { full_size_pixels: DECODED_PIXELS, ..Default::default() };
        let crop = whole_picture(&decode_file_with(path, &options)?, SIDE);
        let mut gray = Box::new([0; SIDE * SIDE]);
        for (gray, p) in gray.iter_mut().zip(crop.rgb().as_chunks::<3>().0) {
            let [r, g, b] = p.map(u32::from);
            // ITU-R BT.601, in 1/1024.
            *gray = ((306 * r + 601 * g + 117 * b + 512) / 1024) as u8;
        }
        Ok(Self(gray))
    }

    /// The mirror image.
    pub(super) fn mirrored(&self) -> Self {
        let mut mirrored = self.clone();
        mirrored.0.chunks_exact_mut(SIDE).for_each(<[u8]>::reverse);
        mirrored
    }

    /// The means of squares of pixels, `side` x `side`; `side` must divide [`SIDE`].
    pub(super) fn reduced(&self, side: usize) -> Vec<f32> {
        let step = SIDE / side;
        let mut sums = vec![0u32; side * side];
        for (y, row) in self.0.chunks_exact(SIDE).enumerate() {
            let sums = &mut sums[y / step * side..][..side];
            for (sum, pixels) in sums.iter_mut().zip(row.chunks_exact(step)) {
                *sum += pixels.iter().map(|&v| u32::from(v)).sum::<u32>();
            }
        }
        let scale = 1.0 / (step * step) as f32;
        sums.into_iter().map(|sum| sum as f32 * scale).collect()
    }

    /// Sums for [`Sums::mean`].
    pub(super) fn sums(&self) -> Sums {
        let mut sums = vec![0.0; (SIDE + 1) * (SIDE + 1)];
        for y in 0..SIDE {
            let mut row = 0.0;
            for x in 0..SIDE {
                row += f32::from(self.0[y * SIDE + x]);
                sums[(y + 1) * (SIDE + 1) + x + 1] = sums[y * (SIDE + 1) + x + 1] + row;
            }
        }
        Sums(sums)
    }
}

/// The sums of all pixels above and to the left.
pub(super) struct Sums(Vec<f32>);

impl Sums {
    /// The mean gray of a rectangle in pixels, with fractions of pixels at its border.
    pub(super) fn mean(&self, [x0, x1]: [f32; 2], [y0, y1]: [f32; 2]) -> f32 {
        let at = |x: f32, y: f32| {
            let (i, j) = ((x as usize).min(SIDE - 1), (y as usize).min(SIDE - 1));
            let (fx, fy) = (x - i as f32, y - j as f32);
            let row = |j: usize| {
                let [a, b] = [i, i + 1].map(|i| self.0[j * (SIDE + 1) + i]);
                a + fx * (b - a)
            };
            row(j) + fy * (row(j + 1) - row(j))
        };
        (at(x1, y1) - at(x0, y1) - at(x1, y0) + at(x0, y0)) / ((x1 - x0) * (y1 - y0))
    }
}

#[cfg(test)]
impl Thumb {
    /// From a function of column and row.
    pub(super) fn from_fn(gray: impl Fn(usize, usize) -> u8) -> Self {
        let pixels: Vec<u8> = (0..SIDE * SIDE).map(|i| gray(i % SIDE, i / SIDE)).collect();
        Self(pixels.into_boxed_slice().try_into().expect("SIDE squared"))
    }
}
