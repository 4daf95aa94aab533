//! Batch norm, ReLU and 2x2 max pooling over one picture in NHWC order, forward
//! and backward. Channels are innermost, in multiples of `LANES`.
//!
//! Every loop is plain Rust, compiled once per instruction set by [`vectorised!`].

use super::conv::Plane;

/// Defines a function whose body is compiled for AVX-512, for AVX2 and for the
/// baseline; the call picks the best that the machine has.
macro_rules! vectorised {
    ($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        pub fn $name($($arg: $type),*) {
            #[inline(always)]
            fn plain($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f")]
                fn avx512($($arg: $type),*) { plain($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) { plain($($arg),*) }
                if is_x86_feature_detected!("avx512f") {
                    // SAFETY: the features were just found.
                    return unsafe { avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the features were just found.
                    return unsafe { avx2($($arg),*) };
                }
            }
            plain($($arg),*)
        }
    };
}

/// Two sums per channel, in f64: over a batch, f32 would lose the variance.
pub struct Sums {
    first: Vec<f64>,
    second: Vec<f64>,
}

/// Pixels summed in f32 before they join the f64 sums.
const RUN: usize = 32;

impl Sums {
    /// Zeros for `channels`.
    pub fn new(channels: usize) -> Self {
        Self { first: vec![0.0; channels], second: vec![0.0; channels] }
    }

    /// Adds `sum z` and `sum z^2` of `[pixels][channels]`.
    pub fn add_squares(&mut self, z: &[f32]) {
        add_squares(z, &mut self.first, &mut self.second);
    }

    /// Adds `sum g` and `sum g (z - mean)` of `[pixels][channels]`.
    pub fn add_products(&mut self, g: &[f32], z: &[f32], mean: &[f32]) {
        add_products(g, z, mean, &mut self.first, &mut self.second);
    }

    /// All parts together, in order.
    pub fn total(parts: &[Self]) -> Self {
        let mut total = Self::new(parts.first().map_or(0, |p| p.first.len()));
        for part in parts {
            total.first.iter_mut().zip(&part.first).for_each(|(t, p)| *t += p);
            total.second.iter_mut().zip(&part.second).for_each(|(t, p)| *t += p);
        }
        total
    }

    /// Mean and variance (divided by n), if the sums are of z and z^2 over `count` pixels.
    pub fn mean_and_variance(&self, count: usize) -> (Vec<f32>, Vec<f32>) {
        let n = count as f64;
        let mean: Vec<f64> = self.first.iter().map(|s| s / n).collect();
        let variance =
            self.second.iter().zip(&mean).map(|(s, m)| (s / n - m * m).max(0.0) as f32).collect();
        (mean.iter().map(|&m| m as f32).collect(), variance)
    }

    /// The first sums in f32.
    pub fn first_f32(&self) -> Vec<f32> {
        self.first.iter().map(|&s| s as f32).collect()
    }

    /// The second sums in f32.
    pub fn second_f32(&self) -> Vec<f32> {
        self.second.iter().map(|&s| s as f32).collect()
    }
}

vectorised! {
    /// See [`Sums::add_squares`].
    pub fn add_squares(z: &[f32], first: &mut [f64], second: &mut [f64]) {
        let channels = first.len();
        let (mut a, mut b) = (vec![0f32; channels], vec![0f32; channels]);
        for run in z.chunks(RUN * channels) {
            a.fill(0.0);
            b.fill(0.0);
            for z in run.chunks_exact(channels) {
                for ((a, b), z) in a.iter_mut().zip(&mut b).zip(z) {
                    *a += z;
                    *b += z * z;
                }
            }
            first.iter_mut().zip(&a).for_each(|(t, a)| *t += f64::from(*a));
            second.iter_mut().zip(&b).for_each(|(t, b)| *t += f64::from(*b));
        }
    }
}

vectorised! {
    /// See [`Sums::add_products`].
    pub fn add_products(g: &[f32], z: &[f32], mean: &[f32], first: &mut [f64], second: &mut [f64]) {
        let channels = first.len();
        let (mut a, mut b) = (vec![0f32; channels], vec![0f32; channels]);
        for (g, z) in g.chunks(RUN * channels).zip(z.chunks(RUN * channels)) {
            a.fill(0.0);
            b.fill(0.0);
            for (g, z) in g.chunks_exact(channels).zip(z.chunks_exact(channels)) {
                for ((((a, b), g), z), m) in a.iter_mut().zip(&mut b).zip(g).zip(z).zip(mean) {
                    *a += g;
                    *b += g * (z - m);
                }
            }
            first.iter_mut().zip(&a).for_each(|(t, a)| *t += f64::from(*a));
            second.iter_mut().zip(&b).for_each(|(t, b)| *t += f64::from(*b));
        }
    }
}

/// Batch norm as `z * scale + shift`.
pub struct Affine {
    /// `gamma / sqrt(variance + epsilon)` per channel.
    pub scale: Vec<f32>,
    /// `beta - mean * scale` per channel.
    pub shift: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)` per channel.
    pub inverse_std: Vec<f32>,
}

impl Affine {
    /// From statistics and parameters per channel.
    pub fn new(mean: &[f32], variance: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32) -> Self {
        let inverse_std: Vec<f32> = variance.iter().map(|v| 1.0 / (v + epsilon).sqrt()).collect();
        let scale: Vec<f32> = gamma.iter().zip(&inverse_std).map(|(g, i)| g * i).collect();
        let shift = beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Self { scale, shift, inverse_std }
    }
}

vectorised! {
    /// `out = max(0, z * scale + shift)`.
    pub fn affine_relu(affine: &Affine, z: &[f32], out: &mut [f32]) {
        let channels = affine.scale.len();
        for (z, out) in z.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            for (((o, z), a), b) in out.iter_mut().zip(z).zip(&affine.scale).zip(&affine.shift) {
                let y = z * a + b;
                *o = if y > 0.0 { y } else { 0.0 };
            }
        }
    }
}

vectorised! {
    /// `g = dout` where the ReLU let through, else 0.
    pub fn affine_relu_backward(affine: &Affine, z: &[f32], dout: &[f32], g: &mut [f32]) {
        let channels = affine.scale.len();
        for ((z, d), g) in
            z.chunks_exact(channels).zip(dout.chunks_exact(channels)).zip(g.chunks_exact_mut(channels))
        {
            for ((((g, d), z), a), b) in g.iter_mut().zip(d).zip(z).zip(&affine.scale).zip(&affine.shift) {
                *g = if z * a + b > 0.0 { *d } else { 0.0 };
            }
        }
    }
}

vectorised! {
    /// `out = maxpool2x2(max(0, z * scale + shift))`; an odd last row or column is dropped.
    pub fn affine_relu_pool(plane: Plane, affine: &Affine, z: &[f32], out: &mut [f32]) {
        let channels = affine.scale.len();
        let (row, half) = (plane.width * channels, plane.width / 2);
        for y in 0..plane.height / 2 {
            let (top, rest) = z[2 * y * row..(2 * y + 2) * row].split_at(row);
            let out = &mut out[y * half * channels..(y + 1) * half * channels];
            for x in 0..half {
                let (l, r) = (2 * x * channels, (2 * x + 1) * channels);
                let (z00, z01) = (&top[l..l + channels], &top[r..r + channels]);
                let (z10, z11) = (&rest[l..l + channels], &rest[r..r + channels]);
                let out = &mut out[x * channels..(x + 1) * channels];
                let (scale, shift) = (&affine.scale[..channels], &affine.shift[..channels]);
                for c in 0..channels {
                    let (a, b) = (scale[c], shift[c]);
                    // A negative scale turns the order round: normalise first.
                    let y00 = z00[c] * a + b;
                    let y01 = z01[c] * a + b;
                    let y10 = z10[c] * a + b;
                    let y11 = z11[c] * a + b;
                    let t = if y01 > y00 { y01 } else { y00 };
                    let u = if y11 > y10 { y11 } else { y10 };
                    let m = if u > t { u } else { t };
                    out[c] = if m > 0.0 { m } else { 0.0 };
                }
            }
        }
    }
}

vectorised! {
    /// `g`: `dout` goes to the first maximum of its 2x2 window, if the ReLU let it through.
    pub fn affine_relu_pool_backward(plane: Plane, affine: &Affine, z: &[f32], dout: &[f32], g: &mut [f32]) {
        let channels = affine.scale.len();
        let (row, half) = (plane.width * channels, plane.width / 2);
        if plane.height % 2 == 1 || plane.width % 2 == 1 {
            g.fill(0.0);
        }
        for y in 0..plane.height / 2 {
            let (top, rest) = z[2 * y * row..(2 * y + 2) * row].split_at(row);
            let (g_top, g_rest) = g[2 * y * row..(2 * y + 2) * row].split_at_mut(row);
            let dout = &dout[y * half * channels..(y + 1) * half * channels];
            for x in 0..half {
                let (l, r) = (2 * x * channels, (2 * x + 1) * channels);
                let (z00, z01) = (&top[l..l + channels], &top[r..r + channels]);
                let (z10, z11) = (&rest[l..l + channels], &rest[r..r + channels]);
                let (g00, g01) = g_top[l..r + channels].split_at_mut(channels);
                let (g10, g11) = g_rest[l..r + channels].split_at_mut(channels);
                let (g01, g11) = (&mut g01[..channels], &mut g11[..channels]);
                let d = &dout[x * channels..(x + 1) * channels];
                let (scale, shift) = (&affine.scale[..channels], &affine.shift[..channels]);
                for c in 0..channels {
                    let (a, b) = (scale[c], shift[c]);
                    let y00 = z00[c] * a + b;
                    let y01 = z01[c] * a + b;
                    let y10 = z10[c] * a + b;
                    let y11 = z11[c] * a + b;
                    let t = if y01 > y00 { y01 } else { y00 };
                    let u = if y11 > y10 { y11 } else { y10 };
                    let (upper, left, right) = (u <= t, y01 <= y00, y11 <= y10);
                    let m = if upper { t } else { u };
                    let d = if m > 0.0 { d[c] } else { 0.0 };
                    let (dt, du) = if upper { (d, 0.0) } else { (0.0, d) };
                    g00[c] = if left { dt } else { 0.0 };
                    g01[c] = if left { 0.0 } else { dt };
                    g10[c] = if right { du } else { 0.0 };
                    g11[c] = if right { 0.0 } else { du };
                }
            }
        }
    }
}

/// Batch norm's backward pass as `dz = g * scale + z * slope + offset`.
pub struct Chain {
    scale: Vec<f32>,
    slope: Vec<f32>,
    offset: Vec<f32>,
}

impl Chain {
    /// `dz = scale (g - dbeta/n - xhat dgamma/n)`, `xhat = (z - mean) inverse_std`
    /// (Ioffe and Szegedy 2015), gathered by powers of z.
    pub fn new(affine: &Affine, mean: &[f32], dgamma: &[f32], dbeta: &[f32], count: usize) -> Self {
        let n = count as f32;
        let slope: Vec<f32> = (0..mean.len())
            .map(|c| -affine.scale[c] * affine.inverse_std[c] * dgamma[c] / n)
            .collect();
        let offset =
            (0..mean.len()).map(|c| -affine.scale[c] * dbeta[c] / n - slope[c] * mean[c]).collect();
        Self { scale: affine.scale.clone(), slope, offset }
    }

    /// Turns the gradient to batch norm's output into the one to its input, in place.
    pub fn apply(&self, z: &[f32], g: &mut [f32]) {
        chain(self, z, g);
    }
}

vectorised! {
    /// See [`Chain::apply`].
    pub fn chain(chain: &Chain, z: &[f32], g: &mut [f32]) {
        let channels = chain.scale.len();
        for (z, g) in z.chunks_exact(channels).zip(g.chunks_exact_mut(channels)) {
            let (a, b, o) = (&chain.scale[..channels], &chain.slope[..channels], &chain.offset[..channels]);
            for c in 0..channels {
                g[c] = g[c] * a[c] + (z[c] * b[c] + o[c]);
            }
        }
    }
}
