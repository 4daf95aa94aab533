//! The color changes of [`crate::augment`].

/// The weights of red, green and blue in gray (ITU-R BT.601), as in the paper's code.
const GRAY: [f32; 3] = [0.299, 0.587, 0.114];

fn gray_of(p: &[f32]) -> f32 {
    GRAY[0] * p[0] + GRAY[1] * p[1] + GRAY[2] * p[2]
}

/// The mean gray value of interleaved RGB.
pub(crate) fn mean_gray(pixels: &[f32]) -> f32 {
    let sum: f32 = pixels.chunks_exact(3).map(gray_of).sum();
    sum / (pixels.len() / 3) as f32
}

/// Changes of brightness, contrast and saturation in any order, composed into one affine
/// map `own * c + gray * g + offset` of the channel `c` and the gray value `g` of the pixel.
/// This is exact, because gray is linear and its mean is known after each step.
pub(crate) struct ColorJitter {
    own: f32,
    gray: f32,
    offset: f32,
    /// The mean gray value of the picture before the map.
    mean: f32,
}

impl ColorJitter {
    pub(crate) fn new(mean: f32) -> ColorJitter {
        ColorJitter { own: 1.0, gray: 0.0, offset: 0.0, mean }
    }

    pub(crate) fn brightness(&mut self, a: f32) {
        self.own *= a;
        self.gray *= a;
        self.offset *= a;
    }

    pub(crate) fn contrast(&mut self, a: f32) {
        let mean = (self.own + self.gray) * self.mean + self.offset;
        self.brightness(a);
        self.offset += (1.0 - a) * mean;
    }

    pub(crate) fn saturation(&mut self, a: f32) {
        let total = self.own + self.gray;
        self.own *= a;
        self.gray = total - self.own;
    }

    /// The mapped red, green and blue, not clamped to 0..=255.
    pub(crate) fn apply(&self, p: &[f32]) -> [f32; 3] {
        let base = self.gray * gray_of(p) + self.offset;
        [0, 1, 2].map(|c| self.own * p[c] + base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn composed_changes_equal_sequential_changes(
            steps in prop::collection::vec((0usize..3, 0.0f32..2.0), 0..6),
            picture in prop::collection::vec(0.0f32..255.0, 27..28),
        ) {
            let mut color = ColorJitter::new(mean_gray(&picture));
            let mut expected = picture.clone();
            for (kind, a) in steps {
                match kind {
                    0 => color.brightness(a),
                    1 => color.contrast(a),
                    _ => color.saturation(a),
                }
                // Blending with black, with the mean gray, with the gray picture.
                let mean = mean_gray(&expected);
                for p in expected.chunks_exact_mut(3) {
                    let other = [0.0, mean, gray_of(p)][kind];
                    p.iter_mut().for_each(|c| *c = a * *c + (1.0 - a) * other);
                }
            }
            for (p, e) in picture.chunks_exact(3).zip(expected.chunks_exact(3)) {
                for (v, e) in color.apply(p).into_iter().zip(e) {
                    prop_assert!((v - e).abs() < 1e-2 * (1.0 + e.abs()), "{} {}", v, e);
                }
            }
        }
    }
}
