//! The block against a slow f64 version written from the definitions, and its
//! gradients against that version's numeric differences.

use super::*;

struct Case {
    shape: BlockShape,
    x: Vec<f64>,
    w: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
    /// The loss is the sum of output times these.
    pull: Vec<f64>,
}

fn numbers(n: usize, seed: usize) -> Vec<f64> {
    (0..n).map(|i| (((i + 1) * 7919 + seed * 104_729) % 10_007) as f64 / 5003.0 - 1.0).collect()
}

impl Case {
    fn new(shape: BlockShape) -> Self {
        let c = shape.cout;
        Self {
            shape,
            x: numbers(shape.batch * shape.height * shape.width * shape.cin, 1),
            w: numbers(c * shape.cin * 9, 2),
            // Negative scales too: they turn the pool's order round.
            gamma: numbers(c, 3),
            beta: numbers(c, 4),
            pull: numbers(shape.output().iter().product(), 5),
        }
    }

    fn conv(&self) -> Vec<f64> {
        let BlockShape { batch, height, width, cin, cout, .. } = self.shape;
        let mut z = vec![0.0; batch * height * width * cout];
        for n in 0..batch {
            for y in 0..height {
                for x in 0..width {
                    for o in 0..cout {
                        let mut sum = 0.0;
                        for (ky, kx) in (0..3).flat_map(|a| (0..3).map(move |b| (a, b))) {
                            let (sy, sx) = (y + ky, x + kx);
                            if sy == 0 || sx == 0 || sy > height || sx > width {
                                continue;
                            }
                            for i in 0..cin {
                                sum += self.x[((n * height + sy - 1) * width + sx - 1) * cin + i]
                                    * self.w[((o * cin + i) * 3 + ky) * 3 + kx];
                            }
                        }
                        z[((n * height + y) * width + x) * cout + o] = sum;
                    }
                }
            }
        }
        z
    }

    fn output(&self) -> Vec<f64> {
        let BlockShape { batch, height, width, cout, pool, .. } = self.shape;
        let mut z = self.conv();
        let n = (batch * height * width) as f64;
        for c in 0..cout {
            let mean = z.iter().skip(c).step_by(cout).sum::<f64>() / n;
            let var = z.iter().skip(c).step_by(cout).map(|z| (z - mean).powi(2)).sum::<f64>() / n;
            for z in z.iter_mut().skip(c).step_by(cout) {
                let y =
                    (*z - mean) / (var + f64::from(EPSILON)).sqrt() * self.gamma[c] + self.beta[c];
                *z = y.max(0.0);
            }
        }
        if !pool {
            return z;
        }
        let [_, h, w, _] = self.shape.output();
        let mut out = Vec::new();
        for (n, y, x, c) in (0..batch).flat_map(|n| {
            (0..h).flat_map(move |y| (0..w).flat_map(move |x| (0..cout).map(move |c| (n, y, x, c))))
        }) {
            let at = |dy, dx| z[((n * height + 2 * y + dy) * width + 2 * x + dx) * cout + c];
            out.push(at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1)));
        }
        out
    }

    fn loss(&self) -> f64 {
        self.output().iter().zip(&self.pull).map(|(o, p)| o * p).sum()
    }
}

fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect()
}

fn shapes() -> Vec<BlockShape> {
    let s = |batch, height, width, cin, cout, pool| BlockShape {
        batch,
        height,
        width,
        cin,
        cout,
        pool,
    };
    vec![
        s(2, 4, 6, 3, 16, false),
        s(3, 4, 4, 16, 16, true),
        s(1, 5, 7, 16, 32, true),
        s(9, 3, 2, 32, 16, false),
        s(2, 17, 15, 16, 48, true),
    ]
}

#[test]
fn forward_agrees_with_the_definitions() {
    for shape in shapes() {
        let case = Case::new(shape);
        let got = forward(
            &shape,
            &narrow(&case.x),
            &narrow(&case.w),
            &narrow(&case.gamma),
            &narrow(&case.beta),
        );
        for (i, (g, w)) in got.conv.iter().zip(case.conv()).enumerate() {
            assert!((f64::from(*g) - w).abs() < 1e-4, "{shape:?} conv at {i}: {g} {w}");
        }
        for (i, (g, w)) in got.output.iter().zip(case.output()).enumerate() {
            assert!((f64::from(*g) - w).abs() < 1e-4, "{shape:?} output at {i}: {g} {w}");
        }
    }
}

#[test]
fn in_use_with_the_batchs_own_statistics_it_is_the_block_in_training() {
    for shape in shapes() {
        let case = Case::new(shape);
        let (x, w, gamma, beta) =
            (narrow(&case.x), narrow(&case.w), narrow(&case.gamma), narrow(&case.beta));
        let f = forward(&shape, &x, &w, &gamma, &beta);
        assert_eq!(apply(&shape, &x, &w, &gamma, &beta, &f.mean, &f.variance), f.output);
    }
}

#[test]
fn gradients_agree_with_numeric_differences() {
    for shape in shapes() {
        let mut case = Case::new(shape);
        let (x, w, gamma, beta) =
            (narrow(&case.x), narrow(&case.w), narrow(&case.gamma), narrow(&case.beta));
        let kept = forward(&shape, &x, &w, &gamma, &beta);
        let wants_input = shape.cin % LANES == 0;
        let kept = (&kept.conv[..], &kept.mean[..], &kept.variance[..]);
        let got = backward(&shape, &x, &w, &gamma, &beta, kept, &narrow(&case.pull), wants_input);
        let mut compare = |name: &str, got: &[f32], pick: fn(&mut Case) -> &mut Vec<f64>| {
            // Every number would take minutes; a stride that is prime to the shapes visits all kinds.
            for i in (0..got.len()).step_by((got.len() / 23).max(1)) {
                let step = 1e-6;
                let at = pick(&mut case)[i];
                pick(&mut case)[i] = at + step;
                let up = case.loss();
                pick(&mut case)[i] = at - step;
                let down = case.loss();
                pick(&mut case)[i] = at;
                let want = (up - down) / (2.0 * step);
                let error = (f64::from(got[i]) - want).abs();
                assert!(
                    error < 2e-3 * (1.0 + want.abs()),
                    "{shape:?} {name} at {i}: {} {want}",
                    got[i]
                );
            }
        };
        if let Some(dx) = &got.input {
            compare("input", dx, |c| &mut c.x);
        }
        compare("weights", &got.weights, |c| &mut c.w);
        compare("gamma", &got.gamma, |c| &mut c.gamma);
        compare("beta", &got.beta, |c| &mut c.beta);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let shape = BlockShape { batch: 11, height: 8, width: 8, cin: 16, cout: 32, pool: true };
    let case = Case::new(shape);
    let (x, w, gamma, beta) =
        (narrow(&case.x), narrow(&case.w), narrow(&case.gamma), narrow(&case.beta));
    let run = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let f = forward(&shape, &x, &w, &gamma, &beta);
            let kept = (&f.conv[..], &f.mean[..], &f.variance[..]);
            let b = backward(&shape, &x, &w, &gamma, &beta, kept, &narrow(&case.pull), true);
            (f.output, b.input, b.weights, b.gamma)
        })
    };
    assert_eq!(run(1), run(3));
}
