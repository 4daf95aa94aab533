//! Comparison of every instruction set with naive loops, to the last bit.

use proptest::prelude::*;

use super::*;

/// The operands of a [`Conv3x3`].
#[derive(Clone, Debug)]
struct Case {
    height: usize,
    width: usize,
    channels: usize,
    outputs: usize,
    pool: bool,
    /// `[height][width][channels]`
    pixels: Vec<u8>,
    /// Border value of each channel.
    border: Vec<u8>,
    /// `[outputs][channels][3][3]`
    weight: Vec<i8>,
    multiplier: Vec<f32>,
    offset: Vec<f32>,
}

impl Case {
    fn new(seed: u64, [h, w, channels, outputs]: [usize; 4], pool: bool) -> Self {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as u32
        };
        let (height, width) = (2 * h, 2 * w);
        // Every other case has extreme values only, with the largest sums.
        let extreme = seed.is_multiple_of(2);
        let mut byte = |low: u8, high: u8| match next() {
            n if extreme => {
                if n % 5 == 0 {
                    low
                } else {
                    high
                }
            }
            n => low.wrapping_add((n % (u32::from(high.wrapping_sub(low)) + 1)) as u8),
        };
        let pixels = (0..height * width * channels).map(|_| byte(0, 255)).collect();
        let border = (0..channels).map(|_| byte(0, 255)).collect();
        let weight: Vec<i8> =
            (0..outputs * channels * 9).map(|_| byte(-127i8 as u8, 127) as i8).collect();
        let mut real = |low: f32, high: f32| low + (high - low) * (byte(0, 255) as f32 / 255.0);
        let typical = 9.0 * channels as f32 * 255.0 * 127.0;
        let multiplier = (0..outputs).map(|_| real(10.0, 600.0) / typical).collect();
        let offset = (0..outputs).map(|_| real(-60.0, 200.0)).collect();
        Self { height, width, channels, outputs, pool, pixels, border, weight, multiplier, offset }
    }

    /// `[height][width][outputs]`, before scaling.
    fn sums(&self) -> Vec<i32> {
        let (h, w, c) = (self.height, self.width, self.channels);
        let at = |y: usize, x: usize, i: usize| {
            // Shifted by one: index 0 is the border.
            let inside = (1..=h).contains(&y) && (1..=w).contains(&x);
            i32::from(if inside {
                self.pixels[((y - 1) * w + x - 1) * c + i]
            } else {
                self.border[i]
            })
        };
        let mut sums = Vec::new();
        for y in 0..h {
            for x in 0..w {
                for weight in self.weight.chunks_exact(9 * c) {
                    let terms = weight.iter().enumerate().map(|(k, &weight)| {
                        at(y + k % 9 / 3, x + k % 3, k / 9) * i32::from(weight)
                    });
                    sums.push(terms.sum());
                }
            }
        }
        sums
    }

    /// The sums after scaling, ReLU and pooling.
    fn scaled(&self) -> Vec<f32> {
        let n = self.outputs;
        let scaled: Vec<f32> = self
            .sums()
            .iter()
            .enumerate()
            .map(|(i, &sum)| (sum as f32 * self.multiplier[i % n] + self.offset[i % n]).max(0.0))
            .collect();
        if !self.pool {
            return scaled;
        }
        let at = |y: usize, x: usize, o: usize| scaled[(y * self.width + x) * n + o];
        let mut pooled = Vec::new();
        for y in (0..self.height).step_by(2) {
            for x in (0..self.width).step_by(2) {
                for o in 0..n {
                    let [top, bottom] = [y, y + 1].map(|y| at(y, x, o).max(at(y, x + 1, o)));
                    pooled.push(top.max(bottom));
                }
            }
        }
        pooled
    }

    fn run<T: Activation>(&self, isa: Isa, previous: T, threads: usize) -> Vec<T> {
        let mut input = vec![99; enclosed_len(self.channels, self.height, self.width)];
        enclose(&self.pixels, self.width, &self.border, false, &mut input);
        let conv = Conv3x3::new(
            isa,
            &self.weight,
            self.channels,
            &self.multiplier,
            &self.offset,
            self.pool,
        );
        let (h, w) = conv.output_size(self.height, self.width);
        let mut output = vec![previous; enclosed_len(self.outputs, h, w)];
        conv.forward(&input, self.height, self.width, &mut output, threads);
        output
    }
}

/// `[h][w][c]` with a border of zeros.
fn enclosed<T: Activation>(inner: &[T], h: usize, w: usize, c: usize) -> Vec<T> {
    let mut all = vec![T::ZERO; enclosed_len(c, h, w)];
    for (y, row) in inner.chunks_exact(w * c).enumerate() {
        all[((y + 1) * (w + 1) + 1) * c..][..w * c].copy_from_slice(row);
    }
    all
}

fn check(case: &Case) {
    let scaled = case.scaled();
    let bytes: Vec<u8> = scaled.iter().map(|v| v.round_ties_even().min(255.0) as u8).collect();
    let by = if case.pool { 2 } else { 1 };
    let (h, w) = (case.height / by, case.width / by);
    for isa in Isa::available() {
        assert_eq!(case.run(isa, 77, 1), enclosed(&bytes, h, w, case.outputs), "{isa}, u8");
        assert_eq!(case.run(isa, 7.0, 1), enclosed(&scaled, h, w, case.outputs), "{isa}, f32");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_instruction_set_is_exact(
        seed: u64,
        h in 1usize..5,
        w in 1usize..24,
        channels in 1usize..80,
        outputs in 1usize..70,
        pool: bool,
    ) {
        check(&Case::new(seed, [h, w, channels, outputs], pool));
    }
}

/// Shapes of the networks, and the largest possible sums.
#[test]
fn network_shapes_are_exact() {
    for (seed, [h, w, channels, outputs]) in [
        [4, 112, 3, 16],
        [2, 112, 16, 16],
        [7, 7, 128, 128],
        [3, 14, 64, 128],
        [2, 28, 32, 64],
        [1, 1, 512, 48],
        [1, 2, 4096, 2],
    ]
    .into_iter()
    .enumerate()
    {
        check(&Case::new(seed as u64, [h, w, channels, outputs], true));
        check(&Case::new(seed as u64 + 1, [h, w, channels, outputs], false));
    }
}

#[test]
fn result_does_not_depend_on_threads() {
    let case = Case::new(5, [33, 20, 24, 40], true);
    let in_pool = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| case.run::<u8>(Isa::detect(), 1, threads))
    };
    assert_eq!(in_pool(1), in_pool(3));
}

#[test]
fn detection_respects_a_forced_level() {
    let forced = std::env::var_os(crate::LEVEL_VARIABLE).is_some_and(|v| !v.is_empty());
    let best = *Isa::available().last().unwrap();
    if forced {
        assert_eq!(Isa::detect().level(), crate::Level::detect());
        assert_ne!(Isa::detect().name(), "amx");
    } else {
        assert_eq!(Isa::detect(), best);
    }
}

#[test]
fn enclose_surrounds_pixels_with_a_border() {
    let mut output = vec![0; enclosed_len(2, 1, 2)];
    enclose(&[1, 2, 3, 4], 2, &[8, 9], false, &mut output);
    assert_eq!(output[..18], [8, 9, 8, 9, 8, 9, 8, 9, 1, 2, 3, 4, 8, 9, 8, 9, 8, 9]);
    enclose(&[1, 2, 3, 4], 2, &[8, 9], true, &mut output);
    assert_eq!(output[6..14], [8, 9, 3, 4, 1, 2, 8, 9]);
}
