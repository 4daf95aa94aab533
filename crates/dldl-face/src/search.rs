//! The P-Net over the pyramid of reduced pictures: from a picture to candidate
//! windows, in tiles that are searched in parallel. What becomes of the
//! candidates is [`crate::detect`]'s business.

use crate::Picture;
use crate::detect::DetectorStage;
use crate::geometry::Scored;
use crate::nets::{Color, PNet};
use crate::pyramid::Reduction;
use dldl_kernels::{Lanes, max_pool_rows};
use std::ops::Range;

/// A window with the corrections that a network wants for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub window: Scored,
    pub offsets: [f32; 4],
}

/// Some of the P-Net's output at one scale. Tiles bound the memory that a large
/// picture needs, stay in the cache and run in parallel; cut like this they
/// give exactly what the whole would give.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    pub scale: f64,
    /// Size of the reduced picture.
    width: usize,
    height: usize,
    /// Of the output.
    rows: Range<usize>,
    columns: Range<usize>,
}

/// The working memory of one thread.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    reduction: Reduction,
    colors: Vec<Color>,
    /// Two rows behind the first convolution, and what pooling makes of them:
    /// three rows, the newest in place of the oldest.
    first: [Vec<Lanes>; 2],
    pooled: [Vec<Lanes>; 3],
    second: [Vec<Lanes>; 3],
    third: Vec<Lanes>,
    head: Vec<Lanes>,
}

impl Tile {
    /// The most output rows and columns of a tile.
    const ROWS: usize = 32;
    const COLUMNS: usize = 256;

    /// The tiles of one scale, in rows from the top, each from the left.
    pub(crate) fn split(picture: &Picture, scale: f64) -> Vec<Tile> {
        let side = |n: usize| (n as f64 * scale + 1.0) as usize;
        let (width, height) = (side(picture.width()), side(picture.height()));
        // 3x3 convolution, 2x2 pooling (rounded up), two 3x3 convolutions.
        let output = |n: usize| (n - 2).div_ceil(2) - 4;
        // Equal parts, but for rounding.
        let parts = |n: usize, most: usize| {
            let step = n.div_ceil(n.div_ceil(most).max(1)).max(1);
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

    /// Rows or columns of the reduced picture that a range of the output
    /// depends on.
    fn input(output: &Range<usize>, side: usize) -> Range<usize> {
        2 * output.start..(2 * output.end + 10).min(side)
    }

    /// The windows in this tile whose probability is at least `threshold`, by
    /// rows and columns.
    pub(crate) fn search(
        &self,
        picture: &Picture,
        net: &PNet,
        threshold: f32,
        scratch: &mut Scratch,
        begin: &(impl Fn(DetectorStage) + Sync),
    ) -> Vec<Candidate> {
        let Scratch { reduction, colors, first, pooled, second, third, head } = scratch;
        begin(DetectorStage::Pyramid);
        let (rows, columns) =
            (Self::input(&self.rows, self.height), Self::input(&self.columns, self.width));
        let width = columns.len();
        let size = (self.width, self.height);
        reduction.whole(picture, size, rows.clone(), columns, colors);

        begin(DetectorStage::PNet);
        let inputs: Vec<&[Color]> = colors.chunks_exact(width).collect();
        let narrow = (width - 2).div_ceil(2);
        let shape = |rows: &mut [Vec<Lanes>], blocks: usize, width: usize| {
            rows.iter_mut().for_each(|row| row.resize(blocks * width, Lanes::default()));
        };
        shape(first, net.conv1.output_blocks(), width - 2);
        shape(pooled, net.conv1.output_blocks(), narrow);
        shape(second, net.conv2.output_blocks(), narrow - 2);
        shape(std::slice::from_mut(third), net.conv3.output_blocks(), narrow - 4);
        shape(std::slice::from_mut(head), net.head.output_blocks(), narrow - 4);
        // Three rows of three, the oldest first.
        fn last(rows: &[Vec<Lanes>; 3], newest: usize) -> [&[Lanes]; 3] {
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
            net.conv2.row(&last(pooled, y % 3), narrow, &mut second[y % 3]);
            if y < 4 {
                continue;
            }
            net.conv3.row(&last(second, y % 3), narrow - 2, third);
            net.head.row(&[third], narrow - 4, head);
            self.collect(self.rows.start + y - 4, head, threshold, &mut found);
        }
        found
    }

    /// The candidates in one row of the output.
    fn collect(&self, y: usize, row: &[Lanes], threshold: f32, found: &mut Vec<Candidate>) {
        // Safely below the logit of the threshold, to spare most of the pixels
        // the exponential.
        let hopeless = (threshold / (1.0 - threshold)).ln() - 0.01;
        let scale = self.scale as f32;
        for (x, Lanes(out)) in self.columns.clone().zip(row) {
            if out[1] - out[0] < hopeless {
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
            found.push(Candidate { window: Scored { corners, score }, offsets });
        }
    }
}

/// Softmax of two logits, the second being "face".
pub(crate) fn face_probability(none: f32, face: f32) -> f32 {
    1.0 / (1.0 + (none - face).exp())
}
