//! Training's building block: 3x3 convolution, batch norm, ReLU and, where a
//! stage ends, 2x2 max pooling, forward and backward, for a batch in NHWC order.
//!
//! No autodiff and no framework: slices in, vectors out. The sums run in an
//! order that the number of threads does not change.

mod conv;
mod norm;
mod product;

use conv::Plane;
use rayon::prelude::*;

pub use product::LANES;

/// Added to the variance before its root is taken.
pub const EPSILON: f32 = 1e-5;

/// Pictures handled by one task; fixed, so that sums do not depend on the threads.
const TASKS: usize = 8;

/// What one block is: sizes of the batch and whether a 2x2 max pool ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockShape {
    /// Pictures.
    pub batch: usize,
    /// Input (and convolution output) rows.
    pub height: usize,
    /// Input (and convolution output) columns.
    pub width: usize,
    /// Input channels.
    pub cin: usize,
    /// Output channels, a multiple of [`LANES`].
    pub cout: usize,
    /// Whether a 2x2 max pool with stride 2 follows.
    pub pool: bool,
}

impl BlockShape {
    /// Shape of the output: `[batch, height, width, cout]`.
    pub fn output(&self) -> [usize; 4] {
        let half = if self.pool { 2 } else { 1 };
        [self.batch, self.height / half, self.width / half, self.cout]
    }

    fn plane(&self) -> Plane {
        Plane { height: self.height, width: self.width }
    }

    /// Pictures a task takes.
    fn chunk(&self) -> usize {
        self.batch.div_ceil(TASKS).max(1)
    }

    fn check(&self, x: &[f32], w: &[f32], gamma: &[f32], beta: &[f32]) {
        assert!(self.cout.is_multiple_of(LANES), "output channels come in multiples of {LANES}");
        assert_eq!(x.len(), self.batch * self.plane().area() * self.cin, "input");
        assert_eq!(w.len(), self.cout * self.cin * 9, "weights");
        assert_eq!((gamma.len(), beta.len()), (self.cout, self.cout), "scale and shift");
    }
}

/// What [`forward`] gives.
pub struct Forward {
    /// `[batch, height (/2), width (/2), cout]`.
    pub output: Vec<f32>,
    /// Batch mean per channel.
    pub mean: Vec<f32>,
    /// Batch variance (divided by n) per channel.
    pub variance: Vec<f32>,
    /// The convolution's output before normalisation, for [`backward`].
    pub conv: Vec<f32>,
}

/// What [`backward`] gives.
pub struct Gradients {
    /// To the input, `[batch, height, width, cin]`; `None` if not asked for.
    pub input: Option<Vec<f32>>,
    /// To the weights, `[cout, cin, 3, 3]`.
    pub weights: Vec<f32>,
    /// To batch norm's scale, `[cout]`.
    pub gamma: Vec<f32>,
    /// To batch norm's shift, `[cout]`.
    pub beta: Vec<f32>,
}

/// The block in training: statistics of this batch.
///
/// `x` is `[batch, height, width, cin]`, `w` `[cout, cin, 3, 3]`.
///
/// # Panics
/// If a slice's length does not fit the shape.
pub fn forward(shape: &BlockShape, x: &[f32], w: &[f32], gamma: &[f32], beta: &[f32]) -> Forward {
    shape.check(x, w, gamma, beta);
    let (z, sums) = convolve(shape, x, w);
    let (mean, variance) =
        norm::Sums::total(&sums).mean_and_variance(shape.batch * shape.plane().area());
    let affine = norm::Affine::new(&mean, &variance, gamma, beta, EPSILON);
    let output = activate(shape, &affine, &z);
    Forward { output, mean, variance, conv: z }
}

/// The block in use: the running statistics instead of the batch's. Output as
/// [`Forward::output`].
///
/// # Panics
/// If a slice's length does not fit the shape.
pub fn apply(
    shape: &BlockShape,
    x: &[f32],
    w: &[f32],
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    variance: &[f32],
) -> Vec<f32> {
    shape.check(x, w, gamma, beta);
    let (z, _) = convolve(shape, x, w);
    activate(shape, &norm::Affine::new(mean, variance, gamma, beta, EPSILON), &z)
}

/// The convolution's output and its sums per task.
fn convolve(shape: &BlockShape, x: &[f32], w: &[f32]) -> (Vec<f32>, Vec<norm::Sums>) {
    let (plane, cin, cout) = (shape.plane(), shape.cin, shape.cout);
    let weights = conv::pack(cin, cout, w);
    let (size_in, size) = (plane.area() * cin, plane.area() * cout);
    let mut z = vec![0.0; shape.batch * size];
    let sums: Vec<norm::Sums> = z
        .par_chunks_mut(shape.chunk() * size)
        .zip(x.par_chunks(shape.chunk() * size_in))
        .map(|(z, x)| {
            let mut padded = vec![0.0; plane.padded_len(cin)];
            let mut sums = norm::Sums::new(cout);
            for (z, x) in z.chunks_mut(size).zip(x.chunks(size_in)) {
                conv::pad(plane, cin, x, &mut padded);
                conv::forward(plane, cin, cout, &padded, &weights, z);
                sums.add_squares(z);
            }
            sums
        })
        .collect();
    (z, sums)
}

/// Batch norm, ReLU and the pool on the convolution's output.
fn activate(shape: &BlockShape, affine: &norm::Affine, z: &[f32]) -> Vec<f32> {
    let (plane, size) = (shape.plane(), shape.plane().area() * shape.cout);
    let mut output = vec![0.0; shape.output().iter().product()];
    let size_out = output.len() / shape.batch.max(1);
    output.par_chunks_mut(size_out).zip(z.par_chunks(size)).for_each(|(out, z)| {
        if shape.pool {
            norm::affine_relu_pool(plane, affine, z, out);
        } else {
            norm::affine_relu(affine, z, out);
        }
    });
    output
}

/// Gradients of the block, given the gradient `dout` to its output and what
/// [`forward`] kept. The batch statistics' own share is included.
///
/// # Panics
/// If a slice's length does not fit the shape, or if the gradient to the input
/// is asked for and `cin` is no multiple of [`LANES`].
#[allow(clippy::too_many_arguments)] // one call, the operands of one formula
pub fn backward(
    shape: &BlockShape,
    x: &[f32],
    w: &[f32],
    gamma: &[f32],
    beta: &[f32],
    kept: (&[f32], &[f32], &[f32]),
    dout: &[f32],
    input_gradient: bool,
) -> Gradients {
    shape.check(x, w, gamma, beta);
    let (z, mean, variance) = kept;
    let (plane, cin, cout) = (shape.plane(), shape.cin, shape.cout);
    let (size_in, size) = (plane.area() * cin, plane.area() * cout);
    let size_out = shape.output()[1..].iter().product::<usize>();
    assert_eq!(z.len(), shape.batch * size, "convolution output");
    assert_eq!(dout.len(), shape.batch * size_out, "output gradient");
    let affine = norm::Affine::new(mean, variance, gamma, beta, EPSILON);

    // Through pool and ReLU: the gradient to batch norm's output, and its two sums.
    let mut g = vec![0.0; z.len()];
    let sums: Vec<norm::Sums> = g
        .par_chunks_mut(shape.chunk() * size)
        .zip(z.par_chunks(shape.chunk() * size))
        .zip(dout.par_chunks(shape.chunk() * size_out))
        .map(|((g, z), dout)| {
            let mut sums = norm::Sums::new(cout);
            for ((g, z), dout) in g.chunks_mut(size).zip(z.chunks(size)).zip(dout.chunks(size_out))
            {
                if shape.pool {
                    norm::affine_relu_pool_backward(plane, &affine, z, dout, g);
                } else {
                    norm::affine_relu_backward(&affine, z, dout, g);
                }
                sums.add_products(g, z, mean);
            }
            sums
        })
        .collect();
    let sums = norm::Sums::total(&sums);
    let dbeta = sums.first_f32();
    let dgamma: Vec<f32> =
        sums.second_f32().iter().zip(&affine.inverse_std).map(|(s, i)| s * i).collect();

    // Through batch norm and the convolution.
    let turned = if input_gradient { conv::pack_turned(cin, cout, w) } else { Vec::new() };
    let chain = norm::Chain::new(&affine, mean, &dgamma, &dbeta, shape.batch * plane.area());
    let mut dx = vec![0.0; if input_gradient { x.len() } else { 0 }];
    let chunk = shape.chunk();
    let work = |x: &[f32], z: &[f32], g: &mut [f32], mut dx: Option<&mut [f32]>| {
        let mut padded = vec![0.0; plane.padded_len(cin)];
        let mut padded_g = vec![0.0; if input_gradient { plane.padded_len(cout) } else { 0 }];
        let mut dw = vec![0.0; w.len()];
        for (i, (x, z)) in x.chunks(size_in).zip(z.chunks(size)).enumerate() {
            let g = &mut g[i * size..(i + 1) * size];
            chain.apply(z, g);
            conv::pad(plane, cin, x, &mut padded);
            conv::add_weight_gradient(plane, cin, cout, &padded, g, &mut dw);
            if let Some(dx) = dx.as_deref_mut() {
                conv::pad(plane, cout, g, &mut padded_g);
                let dx = &mut dx[i * size_in..(i + 1) * size_in];
                conv::forward(plane, cout, cin, &padded_g, &turned, dx);
            }
        }
        dw
    };
    let tasks = x
        .par_chunks(chunk * size_in)
        .zip(z.par_chunks(chunk * size))
        .zip(g.par_chunks_mut(chunk * size));
    let partial: Vec<Vec<f32>> = if input_gradient {
        tasks
            .zip(dx.par_chunks_mut(chunk * size_in))
            .map(|(((x, z), g), dx)| work(x, z, g, Some(dx)))
            .collect()
    } else {
        tasks.map(|((x, z), g)| work(x, z, g, None)).collect()
    };
    let mut dw = vec![0.0; w.len()];
    for part in &partial {
        dw.iter_mut().zip(part).for_each(|(d, p)| *d += p);
    }
    Gradients {
        input: input_gradient.then_some(dx),
        weights: conv::unpack(cin, cout, &dw),
        gamma: dgamma,
        beta: dbeta,
    }
}

#[cfg(test)]
mod tests;
