//! Comparison of the training kernels with the formulas in double precision, and of their
//! gradients with finite differences, on every level.

use super::*;
use crate::{BN_EPSILON, LANES, Lanes, Level};

/// `[batch, channels, height, width]` or a convolution's weights, row-major.
type Numbers = Vec<f64>;

fn numbers(n: usize, seed: usize) -> Numbers {
    (0..n).map(|i| (((i + 1) * 7919 + seed * 104_729) % 10_007) as f64 / 5003.0 - 1.0).collect()
}

fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect()
}

/// Two layers with batch norm and ReLU, followed by max pooling or averaging. The loss is
/// the sum of the outputs times `pull`.
#[derive(Clone)]
struct Case {
    batch: usize,
    height: usize,
    width: usize,
    /// Channels of the image (0: the lower layer's output is the input), of the lower
    /// layer and of the upper one.
    channels: [usize; 3],
    end: End,
    /// The image, or the lower layer's output.
    x: Numbers,
    stem: Numbers,
    w: Numbers,
    gamma: [Numbers; 2],
    beta: [Numbers; 2],
    pull: Numbers,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Pool,
    Average,
}

impl Case {
    fn new(batch: usize, (height, width): (usize, usize), channels: [usize; 3], end: End) -> Self {
        let [picture, below, above] = channels;
        let input = if picture > 0 { picture } else { below };
        Self {
            batch,
            height,
            width,
            channels,
            end,
            x: numbers(batch * input * height * width, 1),
            stem: numbers(below * picture * 9, 6),
            w: numbers(above * below * 9, 2),
            // Includes negative scales, which invert the order in the pool.
            gamma: [numbers(below, 3), numbers(above, 7)],
            beta: [numbers(below, 4), numbers(above, 8)],
            pull: numbers(batch * above * height * width, 5),
        }
    }

    fn maps(&self, layer: usize) -> Maps {
        Maps { channels: self.channels[1 + layer], height: self.height, width: self.width }
    }

    fn name(&self) -> String {
        let Self { batch, height, width, channels, end, .. } = self;
        format!("{batch} of {height} x {width}, {channels:?}, {end:?}")
    }

    /// The 3x3 convolution with a border of zeros.
    fn conv(&self, x: &[f64], w: &[f64], cin: usize, cout: usize) -> Numbers {
        let (h, wide) = (self.height, self.width);
        let mut z = Vec::with_capacity(self.batch * cout * h * wide);
        for (n, o) in pairs(self.batch, cout) {
            for (y, x0) in pairs(h, wide) {
                let mut sum = 0.0;
                for i in 0..cin {
                    for (ky, kx) in pairs(3, 3) {
                        let (sy, sx) = (y + ky, x0 + kx);
                        if sy > 0 && sx > 0 && sy <= h && sx <= wide {
                            sum += x[((n * cin + i) * h + sy - 1) * wide + sx - 1]
                                * w[(o * cin + i) * 9 + ky * 3 + kx];
                        }
                    }
                }
                z.push(sum);
            }
        }
        z
    }

    /// Batch norm with the batch's own statistics.
    fn norm(&self, z: &[f64], layer: usize) -> Numbers {
        let (c, area) = (self.channels[1 + layer], self.height * self.width);
        let mut out = z.to_vec();
        for k in 0..c {
            let each = || z.chunks(area).skip(k).step_by(c).flatten();
            let n = (self.batch * area) as f64;
            let mean = each().sum::<f64>() / n;
            let variance = each().map(|z| (z - mean).powi(2)).sum::<f64>() / n;
            let scale = self.gamma[layer][k] / (variance + BN_EPSILON).sqrt();
            for z in out.chunks_mut(area).skip(k).step_by(c).flatten() {
                *z = (*z - mean) * scale + self.beta[layer][k];
            }
        }
        out
    }

    /// The outputs of both convolutions, and the final output.
    fn run(&self) -> [Numbers; 3] {
        let [picture, below, above] = self.channels;
        let z0 = match picture {
            0 => self.x.clone(),
            _ => self.conv(&self.x, &self.stem, picture, below),
        };
        let relu = |x: Numbers| x.into_iter().map(|x| x.max(0.0)).collect::<Numbers>();
        let z1 = self.conv(&relu(self.norm(&z0, 0)), &self.w, below, above);
        let y = relu(self.norm(&z1, 1));
        let (h, w) = (self.height, self.width);
        let mut out = Vec::new();
        for map in y.chunks(h * w) {
            match self.end {
                End::Average => out.push(map.iter().sum::<f64>() / (h * w) as f64),
                End::Pool => {
                    for (y, x) in pairs(h / 2, w / 2) {
                        let four = pairs(2, 2).map(|(i, j)| map[(2 * y + i) * w + 2 * x + j]);
                        out.push(four.fold(f64::MIN, f64::max));
                    }
                }
            }
        }
        [z0, z1, out]
    }

    fn loss(&self) -> f64 {
        self.run()[2].iter().zip(&self.pull).map(|(o, p)| o * p).sum()
    }

    /// The same computed by the kernels, with gradients.
    fn kernels(&self, level: Level) -> Found {
        let Self { batch, channels: [picture, below, above], .. } = *self;
        let (maps, area) = ([self.maps(0), self.maps(1)], self.height * self.width);
        let mut scratch = Scratch::default();
        let pictures = narrow(&self.x);
        let stem = narrow(&self.stem);
        let gamma = self.gamma.each_ref().map(|g| narrow(g));
        let beta = self.beta.each_ref().map(|b| narrow(b));
        let mut z0 = vec![Lanes::default(); batch * maps[0].size()];
        let norm = |sums: &Sums, layer: usize| {
            let (mean, variance) = sums.mean_and_variance(maps[layer].channels, batch * area);
            Norm::new(&mean, &variance, &gamma[layer], &beta[layer])
        };
        let sums = if picture > 0 {
            stem_forward(level, &pictures, &stem, maps[0], &mut z0, &scratch)
        } else {
            let mut sums = Sums::new(maps[0].blocks());
            into_lanes(&pictures, &maps[0], &mut z0);
            for (i, &x) in self.x.iter().enumerate() {
                let channel = i / area % below;
                sums.first[channel] += x;
                sums.second[channel] += x * x;
            }
            sums
        };
        let norm0 = norm(&sums, 0);
        let source = Source { values: &z0, maps: maps[0], norm: &norm0 };
        let mut kernels = Kernels::default();
        kernels.set(level, &narrow(&self.w), above, below, true);
        let mut z1 = vec![Lanes::default(); batch * maps[1].size()];
        let pools = self.end == End::Pool;
        let after = if pools { maps[1].pooled() } else { maps[1] };
        let mut pooled = vec![Lanes::default(); if pools { batch * after.size() } else { 0 }];
        let output = Output { z: &mut z1, pooled: &mut pooled, gamma: &gamma[1] };
        let sums = forward(level, batch, source, &kernels, output, &scratch);
        let norm1 = norm(&sums, 1);
        let last = Source { values: if pools { &pooled } else { &z1 }, maps: after, norm: &norm1 };

        let pull = narrow(&self.pull);
        let mut top = Vec::new();
        let (out, sums) = match self.end {
            End::Average => {
                let means = average(batch, last);
                let sums = average_backward(last, &pull[..means.len()], &mut top);
                (means, sums)
            }
            End::Pool => {
                // As a layer above: apply norm and ReLU, and return the gradient
                // through the ReLU.
                let kept = from_lanes(&pooled, &after, after.size());
                let (mean, scale, shift) = (&norm1.mean, &norm1.scale, &norm1.shift);
                let mut sums = Sums::new(after.blocks());
                let mut out = Vec::new();
                let mut through = Vec::new();
                for (i, (&z, &pull)) in kept.iter().zip(&pull).enumerate() {
                    let c = i / after.area() % above;
                    let lane = |lanes: &[Lanes]| lanes[c / LANES].0[c % LANES];
                    let y = z * lane(scale) + lane(shift);
                    let g = if y > 0.0 { pull } else { 0.0 };
                    out.push(y.max(0.0));
                    through.push(g);
                    sums.first[c] += f64::from(g);
                    sums.second[c] += f64::from(g) * f64::from(z - lane(mean));
                }
                top.resize(pooled.len(), Lanes::default());
                into_lanes(&through, &after, &mut top);
                (out, sums)
            }
        };
        let found_z = [(&z0, 0), (&z1, 1)].map(|(z, i)| from_lanes(z, &maps[i], maps[i].size()));

        let (dgamma1, dbeta1, chain) = norm1.backward(&sums, batch * area);
        let pool: &[f32] = if pools { &gamma[1] } else { &[] };
        let gradient = Gradient { values: &top, stride: after.size(), pool, chain: &chain };
        let mut dw = vec![f32::NAN; self.w.len()];
        let sums =
            backward(level, batch, source, &kernels, gradient, &mut z1, &mut dw, &mut scratch);
        let (dgamma0, dbeta0, chain) = norm0.backward(&sums, batch * area);
        // The gradient with respect to the lower layer's output.
        let g = from_lanes(&z1, &maps[0], maps[1].size());
        let z = &found_z[0];
        let dx = (0..g.len()).map(|i| {
            let c = i / area % below;
            let lane = |lanes: &[Lanes]| lanes[c / LANES].0[c % LANES];
            lane(&chain.scale) * g[i] + lane(&chain.slope) * z[i] + lane(&chain.offset)
        });
        let dx = dx.collect();
        let mut dstem = vec![f32::NAN; stem.len()];
        if picture > 0 {
            let stride = maps[1].size();
            let gradient = Gradient { values: &z1, stride, pool: &[], chain: &chain };
            stem_backward(level, &pictures, maps[0], gradient, &z0, &mut dstem, &scratch);
        }
        let (dgamma, dbeta) = ([dgamma0, dgamma1], [dbeta0, dbeta1]);
        Found { z: found_z, out, dx, dstem, dw, dgamma, dbeta }
    }
}

/// Results of the kernels.
#[derive(Debug, PartialEq)]
struct Found {
    z: [Vec<f32>; 2],
    out: Vec<f32>,
    /// With respect to the lower layer's output.
    dx: Vec<f32>,
    dstem: Vec<f32>,
    dw: Vec<f32>,
    dgamma: [Vec<f32>; 2],
    dbeta: [Vec<f32>; 2],
}

fn pairs(a: usize, b: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..a).flat_map(move |i| (0..b).map(move |j| (i, j)))
}

/// Index and lane of element `i` of `[batch, channels, height, width]`, with images
/// `stride` apart.
fn place(i: usize, maps: &Maps, stride: usize) -> (usize, usize) {
    let (x, y) = (i % maps.width, i / maps.width % maps.height);
    let (c, n) = (i / maps.area() % maps.channels, i / maps.area() / maps.channels);
    (n * stride + maps.at(y, c / LANES) + x, c % LANES)
}

fn into_lanes(from: &[f32], maps: &Maps, to: &mut [Lanes]) {
    for (i, &x) in from.iter().enumerate() {
        let (at, lane) = place(i, maps, maps.size());
        to[at].0[lane] = x;
    }
}

fn from_lanes(from: &[Lanes], maps: &Maps, stride: usize) -> Vec<f32> {
    let batch = from.len() / stride;
    let count = batch * maps.channels * maps.area();
    let each = (0..count).map(|i| place(i, maps, stride));
    each.map(|(at, lane)| from[at].0[lane]).collect()
}

/// Sizes that fill tiles, vectors and groups, and sizes that do not.
fn cases() -> Vec<Case> {
    vec![
        Case::new(2, (8, 8), [0, 16, 16], End::Pool),
        Case::new(3, (5, 7), [0, 16, 32], End::Pool),
        Case::new(1, (9, 6), [0, 20, 33], End::Average),
        Case::new(9, (3, 2), [0, 32, 48], End::Average),
        Case::new(2, (6, 17), [3, 16, 16], End::Pool),
        Case::new(5, (4, 13), [3, 5, 20], End::Average),
    ]
}

/// Asserts that numbers agree within `tolerance` of the largest.
fn close(name: &str, got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let wrong = (f64::from(*got) - expected).abs();
        assert!(
            wrong <= tolerance * scale,
            "{name} at {i}: {got}, expected {expected} (scale {scale})"
        );
    }
}

#[test]
fn forward_pass_matches_the_formulas() {
    for case in cases() {
        let [z0, z1, out] = case.run();
        for level in Level::available() {
            let (found, name) = (case.kernels(level), format!("{} {level}", case.name()));
            close(&format!("{name}: lower"), &found.z[0], &z0, 1e-5);
            close(&format!("{name}: upper"), &found.z[1], &z1, 1e-5);
            close(&format!("{name}: end"), &found.out, &out, 1e-5);
        }
    }
}

/// Finite differences of the loss with respect to some of the numbers that `at` selects,
/// spread over all of them.
fn differences(
    case: &Case,
    count: usize,
    at: impl Fn(&mut Case) -> &mut Numbers,
) -> Vec<(usize, f64)> {
    const STEP: f64 = 1e-6;
    let probes = count.min(24);
    let each = (0..probes).map(|k| {
        let i = (k * count) / probes + (k * 31) % (count / probes);
        let moved = |by: f64| {
            let mut case = case.clone();
            at(&mut case)[i] += by;
            case.loss()
        };
        (i, (moved(STEP) - moved(-STEP)) / (2.0 * STEP))
    });
    each.collect()
}

#[test]
fn gradients_match_finite_differences() {
    for case in cases() {
        let found: Vec<_> =
            Level::available().into_iter().map(|level| (level, case.kernels(level))).collect();
        let check = |what: &str,
                     get: &dyn Fn(&Found) -> &Vec<f32>,
                     at: &dyn Fn(&mut Case) -> &mut Numbers| {
            let wanted = differences(&case, get(&found[0].1).len(), at);
            for (level, found) in &found {
                let got: Vec<f32> = wanted.iter().map(|(i, _)| get(found)[*i]).collect();
                let expected: Vec<f64> = wanted.iter().map(|(_, d)| *d).collect();
                // Some derivatives before batch norm are exactly 0, so the scale is
                // that of all probes.
                close(&format!("{} {level}: {what}", case.name()), &got, &expected, 1e-4);
            }
        };
        check("kernels", &|f| &f.dw, &|c| &mut c.w);
        for layer in 0..2 {
            check("gamma", &|f| &f.dgamma[layer], &|c| &mut c.gamma[layer]);
            check("beta", &|f| &f.dbeta[layer], &|c| &mut c.beta[layer]);
        }
        match case.channels[0] {
            0 => check("input", &|f| &f.dx, &|c| &mut c.x),
            _ => check("first kernels", &|f| &f.dstem, &|c| &mut c.stem),
        }
    }
}

/// With several tasks and steps, and with a single task on several threads.
#[test]
fn result_does_not_depend_on_threads() {
    for case in [
        Case::new(20, (12, 12), [3, 16, 32], End::Pool),
        Case::new(1, (40, 36), [0, 16, 16], End::Average),
    ] {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| case.kernels(Level::detect()))
        };
        let one = run(1);
        // NaN is unequal to itself and would fail the comparison below.
        assert!(one.dw.iter().chain(&one.dstem).all(|x| x.is_finite()));
        assert_eq!(one, run(2), "{}", case.name());
        assert_eq!(one, run(5), "{}", case.name());
    }
}

/// Working memory that a larger layer has used before does not affect the result.
#[test]
fn reused_memory_does_not_change_the_result() {
    let level = Level::detect();
    let maps = Maps { channels: 16, height: 6, width: 5 };
    let run = |scratch: &mut Scratch, maps: Maps, batch: usize| {
        let channels = maps.channels;
        let norm = Norm::new(
            &vec![0.1; channels],
            &vec![1.0; channels],
            &vec![1.0; channels],
            &vec![0.2; channels],
        );
        let mut values = vec![Lanes::default(); batch * maps.size()];
        into_lanes(&narrow(&numbers(batch * channels * maps.area(), 1)), &maps, &mut values);
        let mut kernels = Kernels::default();
        kernels.set(level, &narrow(&numbers(channels * channels * 9, 2)), channels, channels, true);
        let source = Source { values: &values, maps, norm: &norm };
        let mut z = vec![Lanes::default(); values.len()];
        let output = Output { z: &mut z, pooled: &mut [], gamma: &[] };
        let sums = forward(level, batch, source, &kernels, output, scratch);
        let (_, _, chain) = norm.backward(&sums, batch * maps.area());
        let gradient = Gradient { values: &values, stride: maps.size(), pool: &[], chain: &chain };
        let mut weights = vec![0.0; channels * channels * 9];
        let sums =
            backward(level, batch, source, &kernels, gradient, &mut z, &mut weights, scratch);
        (sums, z, weights)
    };
    let mut used = Scratch::default();
    run(&mut used, Maps { channels: 48, height: 20, width: 22 }, 3);
    assert!(run(&mut used, maps, 2) == run(&mut Scratch::default(), maps, 2));
}
