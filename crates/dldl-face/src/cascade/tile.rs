//! The P-Net on one level of the pyramid: from a picture to candidate windows, in
//! tiles that run in parallel.

use super::{Candidate, PNet};
use crate::geometry::ScoredBox;
use crate::nets::{NormalizedPixel, face_probability};
use crate::pyramid::Downscaler;
use crate::{DetectorStage, Picture};
use dldl_kernels::{Lanes, max_pool_rows};
use std::ops::Range;

/// A rectangle of the P-Net's output at one scale. Tiles bound the memory that a
/// large picture needs, fit in the cache and run in parallel. Their input overlaps,
/// so that the results equal those of the whole picture exactly.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    pub scale: f64,
    /// Size of the downscaled picture.
    width: usize,
    height: usize,
    /// The tile's rows and columns of the output.
    rows: Range<usize>,
    columns: Range<usize>,
}

/// The working memory of one thread.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    downscaler: Downscaler,
    pixels: Vec<NormalizedPixel>,
    /// Two output rows of the first convolution. Then, of pooling and of the second
    /// convolution, the last three rows: each new one replaces the oldest.
    first: [Vec<Lanes>; 2],
    pooled: [Vec<Lanes>; 3],
    second: [Vec<Lanes>; 3],
    third: Vec<Lanes>,
    head: Vec<Lanes>,
}

impl Tile {
    /// The largest number of output rows and columns of a tile.
    const ROWS: usize = 32;
    const COLUMNS: usize = 256;

    /// The tiles of one scale, from the top left, row by row.
    pub(crate) fn split(picture: &Picture, scale: f64) -> Vec<Tile> {
        let side = |n: usize| (n as f64 * scale + 1.0) as usize;
        let (width, height) = (side(picture.width()), side(picture.height()));
        // 3x3 convolution, 2x2 pooling (rounded up), two 3x3 convolutions.
        let output = |n: usize| (n - 2).div_ceil(2) - 4;
        // Parts of equal length, except for rounding.
        let parts = |n: usize, longest: usize| {
            let step = n.div_ceil(n.div_ceil(longest).max(1)).max(1);
            (0..n).step_by(step).map(move |first| first..n.min(first + step))
        };
        parts(output(height), Self::ROWS)
            .flat_map(|rows| {
                parts(output(width), Self::COLUMNS).map(move |columns| Tile {
                    scale,
                    width,
                    height,
                    rows: rows.clone(),
                    columns,
                })
            })
            .collect()
    }

    /// The rows or columns of the downscaled picture that a range of the output
    /// depends on.
    fn input_range(output: &Range<usize>, side: usize) -> Range<usize> {
        2 * output.start..(2 * output.end + 10).min(side)
    }

    /// The windows in this tile with a face probability of at least `threshold`, in
    /// row-major order.
    pub(crate) fn search(
        &self,
        picture: &Picture,
        net: &PNet,
        threshold: f32,
        scratch: &mut Scratch,
        on_stage: &(impl Fn(DetectorStage) + Sync),
    ) -> Vec<Candidate> {
        let Scratch { downscaler, pixels, first, pooled, second, third, head } = scratch;
        on_stage(DetectorStage::Pyramid);
        let (rows, columns) = (
            Self::input_range(&self.rows, self.height),
            Self::input_range(&self.columns, self.width),
        );
        let width = columns.len();
        let size = (self.width, self.height);
        downscaler.whole(picture, size, rows.clone(), columns, pixels);

        on_stage(DetectorStage::PNet);
        let inputs: Vec<&[NormalizedPixel]> = pixels.chunks_exact(width).collect();
        let narrow = (width - 2).div_ceil(2);
        let shape = |rows: &mut [Vec<Lanes>], blocks: usize, width: usize| {
            rows.iter_mut().for_each(|row| row.resize(blocks * width, Lanes::default()));
        };
        shape(first, net.conv1.output_blocks(), width - 2);
        shape(pooled, net.conv1.output_blocks(), narrow);
        shape(second, net.conv2.output_blocks(), narrow - 2);
        shape(std::slice::from_mut(third), net.conv3.output_blocks(), narrow - 4);
        shape(std::slice::from_mut(head), net.head.output_blocks(), narrow - 4);
        // The last three rows, oldest first.
        fn last_three(rows: &[Vec<Lanes>; 3], newest: usize) -> [&[Lanes]; 3] {
            [1, 2, 3].map(|age| &rows[(newest + age) % 3][..])
        }
        let mut found = Vec::new();
        for y in 0..self.rows.len() + 4 {
            let pair = (inputs.len() - 2).min(2 * y + 2) - 2 * y;
            for (dy, row) in first.iter_mut().enumerate().take(pair) {
                net.conv1.row(&inputs[2 * y + dy..2 * y + dy + 3], width, row);
            }
            let pair = [&first[0][..], &first[1][..]];
            let pair = &pair[..(inputs.len() - 2 - 2 * y).min(2)];
            max_pool_rows(pair, width - 2, 2, &mut pooled[y % 3]);
            if y < 2 {
                continue;
            }
            net.conv2.row(&last_three(pooled, y % 3), narrow, &mut second[y % 3]);
            if y < 4 {
                continue;
            }
            net.conv3.row(&last_three(second, y % 3), narrow - 2, third);
            net.head.row(&[third], narrow - 4, head);
            self.collect(self.rows.start + y - 4, head, threshold, &mut found);
        }
        found
    }

    /// Adds the candidates in one row of the output.
    fn collect(&self, y: usize, row: &[Lanes], threshold: f32, found: &mut Vec<Candidate>) {
        // Just below the logit of the threshold, so that most pixels need no
        // exponential.
        let min_logit = (threshold / (1.0 - threshold)).ln() - 0.01;
        let scale = self.scale as f32;
        for (x, Lanes(out)) in self.columns.clone().zip(row) {
            if out[1] - out[0] < min_logit {
                continue;
            }
            let score = face_probability(out[0], out[1]);
            if score < threshold {
                continue;
            }
            let (x, y) = (x as f32, y as f32);
            let near = |v: f32| ((2.0 * v + 1.0) / scale).floor();
            let far = |v: f32| ((2.0 * v + 12.0) / scale).floor();
            let corners = [near(x), near(y), far(x), far(y)];
            let offsets = [out[2], out[3], out[4], out[5]];
            found.push(Candidate { window: ScoredBox { corners, score }, offsets });
        }
    }
}
