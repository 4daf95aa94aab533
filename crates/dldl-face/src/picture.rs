//! The decoded picture.

use crate::FaceError;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

/// An upright RGB picture, 8 bits per channel, sRGB values. It has at least one
/// pixel, and exactly three bytes per pixel.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
    reduction: usize,
    full_size: (usize, usize),
}

impl Picture {
    /// A picture from its pixels: `3 * width * height` bytes, rows from the top,
    /// pixels from the left, each as red, green, blue.
    ///
    /// # Errors
    /// [`FaceError::WrongLength`] if `rgb` has another length, or the picture
    /// has no pixels.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self, FaceError> {
        let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(3));
        if rgb.is_empty() || expected != Some(rgb.len()) {
            return Err(FaceError::WrongLength { width, height, bytes: rgb.len() });
        }
        Ok(Self { width, height, rgb, reduction: 1, full_size: (width, height) })
    }

    /// The picture as a reduced version of a file of this size: each pixel stands for a
    /// square of `reduction` pixels, fewer at the right and bottom.
    pub(crate) fn reduced_from(self, full_size: (usize, usize), reduction: usize) -> Self {
        Self { reduction, full_size, ..self }
    }

    /// How many pixels of the file are one pixel here, across and down: 1, or more for a
    /// large file that was decoded at reduced size. Coordinates in the file are this times
    /// those in the picture.
    pub fn reduction(&self) -> usize {
        self.reduction
    }

    /// Width and height in pixels of the upright picture in the file.
    pub fn full_size(&self) -> (usize, usize) {
        self.full_size
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels: `[height][width][3]` bytes, rows from the top.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels, mutable. Their number cannot change.
    pub fn rgb_mut(&mut self) -> &mut [u8] {
        &mut self.rgb
    }

    /// The pixels, `[height][width][3]` bytes.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    /// Red, green and blue at column `x` of row `y`.
    ///
    /// # Panics
    /// If the pixel is outside the picture.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        assert!(x < self.width && y < self.height, "pixel ({x}, {y}) is outside the picture");
        let at = 3 * (y * self.width + x);
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// The picture resized with antialiasing: bicubic (Catmull-Rom), with the kernel
    /// widened by the scale factor when downscaling.
    ///
    /// # Panics
    /// If `width` or `height` is 0.
    pub fn resized(&self, width: usize, height: usize) -> Picture {
        self.region_resized([0.0, 0.0, self.width as f64, self.height as f64], width, height)
    }

    /// The rectangle `[x, y, width, height]`, which must be inside the picture.
    pub(crate) fn cut(&self, [x, y, width, height]: [usize; 4]) -> Picture {
        let row = |y: usize| &self.rgb[3 * (y * self.width + x)..][..3 * width];
        let rgb = (y..y + height).flat_map(row).copied().collect();
        Picture { width, height, rgb, reduction: 1, full_size: (width, height) }
    }

    /// The averages of squares of `factor` x `factor` pixels. What is left of the last rows
    /// and columns is dropped, unless the picture is smaller than a square.
    pub(crate) fn averaged(&self, factor: usize) -> Picture {
        let factor = factor.min(self.width).min(self.height).clamp(1, 255);
        let (width, height) = (self.width / factor, self.height / factor);
        let samples = 3 * width * factor;
        let mut sums = vec![0_u16; samples];
        let mut rgb = Vec::with_capacity(3 * width * height);
        let area = (factor * factor) as u32;
        for rows in self.rgb.chunks_exact(3 * self.width * factor) {
            sums.fill(0);
            for row in rows.chunks_exact(3 * self.width) {
                for (sum, &v) in sums.iter_mut().zip(row) {
                    *sum += u16::from(v);
                }
            }
            for pixels in sums.chunks_exact(3 * factor) {
                let mut total = [area / 2; 3];
                for pixel in pixels.as_chunks::<3>().0 {
                    for (total, &v) in total.iter_mut().zip(pixel) {
                        *total += u32::from(v);
                    }
                }
                rgb.extend(total.map(|total| (total / area) as u8));
            }
        }
        Picture { width, height, rgb, reduction: 1, full_size: (width, height) }
    }

    /// The rectangle `[x, y, width, height]`, which must be inside the picture,
    /// resized to `width` x `height` pixels as in [`Picture::resized`].
    pub(crate) fn region_resized(&self, region: [f64; 4], width: usize, height: usize) -> Picture {
        assert!(width > 0 && height > 0, "a picture needs at least one pixel");
        let [x, y, w, h] = region;
        let size = |n: usize| u32::try_from(n).expect("sides fit 32 bits");
        // Typed views: an untyped resize would compile the kernels of all pixel formats.
        let from =
            TypedImageRef::<U8x3>::from_buffer(size(self.width), size(self.height), &self.rgb)
                .expect("a picture has 3 bytes per pixel");
        let mut rgb = vec![0; 3 * width * height];
        let mut to = TypedImage::<U8x3>::from_buffer(size(width), size(height), &mut rgb)
            .expect("the buffer has 3 bytes per pixel");
        let options = ResizeOptions::new()
            .crop(x, y, w, h)
            .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
        let resized = Resizer::new().resize_typed(&from, &mut to, &options);
        resized.expect("the region is inside the picture");
        Picture { width, height, rgb, reduction: 1, full_size: (width, height) }
    }
}

/// The size only: a picture has millions of pixels.
impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_checks_the_length() {
        assert!(Picture::new(2, 1, vec![0; 6]).is_ok());
        assert!(Picture::new(2, 1, vec![0; 5]).is_err());
        assert!(Picture::new(0, 1, vec![]).is_err());
    }

    #[test]
    fn sizes_whose_product_wraps_are_refused() {
        // With wrapping multiplication, 3 * width * height is 6 and 2.
        let half = 1 << (usize::BITS - 1);
        let third = usize::MAX / 3 + 1;
        for (width, height, bytes) in [(half + 1, 2, 6), (third, 1, 2)] {
            let error = Picture::new(width, height, vec![0; bytes]).unwrap_err().to_string();
            assert!(error.contains(&width.to_string()), "{error}");
        }
    }

    #[test]
    fn cuts_have_the_pixels_of_the_rectangle() {
        let picture = Picture::new(4, 3, (0..36).collect()).unwrap();
        let part = picture.cut([1, 2, 2, 1]);
        assert_eq!(
            (part.width(), part.height(), part.rgb()),
            (2, 1, &[27, 28, 29, 30, 31, 32][..])
        );
    }

    #[test]
    fn averages_are_those_of_whole_squares() {
        let picture = Picture::new(5, 3, (0..45).map(|i| i * 5).collect()).unwrap();
        let half = picture.averaged(2);
        assert_eq!((half.width(), half.height()), (2, 1));
        // (0 + 15 + 75 + 90) / 4, and so on.
        assert_eq!(half.rgb(), [45, 50, 55, 75, 80, 85]);
        assert_eq!(picture.averaged(1), picture);
        // Not below one pixel: squares of 3.
        assert_eq!((picture.averaged(9).width(), picture.averaged(9).height()), (1, 1));
    }

    #[test]
    fn downscaling_averages_stripes() {
        // One-pixel stripes of 0 and 200 must become gray instead of aliasing.
        let rgb = (0..64 * 48).flat_map(|i| [if i % 2 == 0 { 0 } else { 200 }; 3]).collect();
        let small = Picture::new(64, 48, rgb).unwrap().resized(16, 12);
        assert_eq!((small.width(), small.height()), (16, 12));
        for y in 1..11 {
            for x in 1..15 {
                assert!(small.pixel(x, y)[0].abs_diff(100) < 4, "{:?}", small.pixel(x, y));
            }
        }
    }
}
