//! The 3x3 convolution (stride 1, zero padding 1) of training, on one picture
//! in NHWC order: forward, and its gradients to the input and to the weights.
//! Each is a handful of strided products; see `product.rs` for those.

use super::product::{Strides, product};

/// Height, width and channels of one picture's activations.
#[derive(Clone, Copy, Debug)]
pub struct Plane {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Plane {
    /// Pixels.
    pub fn area(self) -> usize {
        self.height * self.width
    }

    /// Numbers in the copy with a border of one zero pixel, `channels` deep.
    pub fn padded_len(self, channels: usize) -> usize {
        (self.height + 2) * (self.width + 2) * channels
    }
}

/// Copies `x` (`[h][w][c]`) into `out` (`[h+2][w+2][c]`), whose border must be zero already.
pub fn pad(plane: Plane, channels: usize, x: &[f32], out: &mut [f32]) {
    let row = plane.width * channels;
    for y in 0..plane.height {
        let at = ((y + 1) * (plane.width + 2) + 1) * channels;
        out[at..at + row].copy_from_slice(&x[y * row..(y + 1) * row]);
    }
}

/// `[cout][cin][3][3]` to `[ky][kx][cin][cout]`, the order that [`forward`] reads.
pub fn pack(cin: usize, cout: usize, w: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; w.len()];
    for o in 0..cout {
        for i in 0..cin {
            for t in 0..9 {
                out[(t * cin + i) * cout + o] = w[(o * cin + i) * 9 + t];
            }
        }
    }
    out
}

/// `[cout][cin][3][3]` to the weights of the convolution that carries gradients
/// back: turned by 180 degrees, channels swapped (`[ky][kx][cout][cin]`).
pub fn pack_turned(cin: usize, cout: usize, w: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; w.len()];
    for o in 0..cout {
        for i in 0..cin {
            for t in 0..9 {
                out[((8 - t) * cout + o) * cin + i] = w[(o * cin + i) * 9 + t];
            }
        }
    }
    out
}

/// `[ky][kx][cin][cout]` back to `[cout][cin][3][3]`.
pub fn unpack(cin: usize, cout: usize, packed: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; packed.len()];
    for o in 0..cout {
        for i in 0..cin {
            for t in 0..9 {
                out[(o * cin + i) * 9 + t] = packed[(t * cin + i) * cout + o];
            }
        }
    }
    out
}

/// `z = conv(x)`: `padded` is `[h+2][w+2][cin]`, `weights` from [`pack`], `z` is
/// `[h][w][cout]` and is overwritten.
pub fn forward(
    plane: Plane,
    cin: usize,
    cout: usize,
    padded: &[f32],
    weights: &[f32],
    z: &mut [f32],
) {
    let wide = plane.width + 2;
    let s = Strides {
        a_m: cin,
        a_k: 1,
        a_k2: wide * cin,
        b_k: cout,
        b_k2: 3 * cin * cout,
        c_m: cout,
        k: 3 * cin,
        k2: 3,
    };
    for y in 0..plane.height {
        let out = &mut z[y * plane.width * cout..(y + 1) * plane.width * cout];
        product(plane.width, cout, &padded[y * wide * cin..], weights, out, &s, false);
    }
}

/// Adds the gradient to the weights, in [`pack`]'s order, for one picture:
/// `dw[ky][kx][i][o] += sum over pixels of x[y+ky][x+kx][i] * dz[y][x][o]`.
pub fn add_weight_gradient(
    plane: Plane,
    cin: usize,
    cout: usize,
    padded: &[f32],
    dz: &[f32],
    dw: &mut [f32],
) {
    let wide = plane.width + 2;
    // Rows in blocks that stay in the second-level cache while every tile of dw visits them.
    let rows = (96 * 1024 / (plane.width * (cin + cout))).clamp(1, plane.height);
    let mut y = 0;
    while y < plane.height {
        let count = rows.min(plane.height - y);
        let s = Strides {
            a_m: 1,
            a_k: cin,
            a_k2: wide * cin,
            b_k: cout,
            b_k2: plane.width * cout,
            c_m: cout,
            k: plane.width,
            k2: count,
        };
        for ky in 0..3 {
            let dw = &mut dw[ky * 3 * cin * cout..(ky + 1) * 3 * cin * cout];
            let (x, dz) = (&padded[(y + ky) * wide * cin..], &dz[y * plane.width * cout..]);
            product(3 * cin, cout, x, dz, dw, &s, true);
        }
        y += count;
    }
}
