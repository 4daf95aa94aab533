//! The geometric part of [`crate::augment`].

/// The geometric map: flip, rotation and magnification about the center, then a shift in
/// units of the side.
pub(crate) struct Affine {
    /// Radians.
    pub(crate) angle: f64,
    pub(crate) zoom: f64,
    pub(crate) shift: [f64; 2],
    pub(crate) flip: bool,
}

impl Affine {
    pub(crate) fn is_identity(&self) -> bool {
        self.angle == 0.0 && self.zoom == 1.0 && self.shift == [0.0; 2] && !self.flip
    }

    /// One bilinear pass over interleaved RGB, from side `from` to side `to`. Pixels outside
    /// repeat the border.
    pub(crate) fn warp(&self, src: &[f32], from: usize, to: usize) -> Vec<f32> {
        let (sin, cos) = self.angle.sin_cos();
        let mirror = if self.flip { -1.0 } else { 1.0 };
        // Pixels of the source per pixel of the result, along its x and y.
        let step = from as f64 / (to as f64 * self.zoom);
        let along_x = [(mirror * cos * step) as f32, (-sin * step) as f32];
        let along_y = [(mirror * sin * step) as f32, (cos * step) as f32];
        let middle = (from as f64 - 1.0) / 2.0;
        let origin = [
            (middle - mirror * self.shift[0] * from as f64) as f32,
            (middle - self.shift[1] * from as f64) as f32,
        ];
        let center = (to as f32 - 1.0) / 2.0;
        let limit = (from - 1) as f32;
        let mut out = Vec::with_capacity(3 * to * to);
        for y in 0..to {
            let v = y as f32 - center;
            for x in 0..to {
                let u = x as f32 - center;
                let sx = (origin[0] + u * along_x[0] + v * along_y[0]).clamp(0.0, limit);
                let sy = (origin[1] + u * along_x[1] + v * along_y[1]).clamp(0.0, limit);
                let (x0, y0) = (sx as usize, sy as usize);
                let (fx, fy) = (sx - x0 as f32, sy - y0 as f32);
                let right = if x0 + 1 < from { 3 } else { 0 };
                let below = if y0 + 1 < from { 3 * from } else { 0 };
                let at = 3 * (y0 * from + x0);
                let top = &src[at..at + 3];
                let top_right = &src[at + right..at + right + 3];
                let bottom = &src[at + below..at + below + 3];
                let bottom_right = &src[at + below + right..at + below + right + 3];
                for c in 0..3 {
                    let a = top[c] + fx * (top_right[c] - top[c]);
                    let b = bottom[c] + fx * (bottom_right[c] - bottom[c]);
                    out.push(a + fy * (b - a));
                }
            }
        }
        out
    }
}
