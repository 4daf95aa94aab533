//! Working memory of a step, and where its numbers lie in it.

use crate::planes::Lanes;

/// Working memory of one thread, which grows to what the largest layer needs.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// Transformed windows: `[coefficient][group][input block][tile of the group]`.
    pub(super) windows: Vec<Lanes>,
    /// Products of one panel: `[coefficient][group][tile of the group][block]`.
    pub(super) sums: Vec<Lanes>,
    /// Rows of a convolution that is fused with the one before it.
    pub(super) strip: Vec<Lanes>,
}

impl Scratch {
    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let buffers = [&self.windows, &self.sums, &self.strip];
        size_of::<Lanes>() * buffers.map(Vec::capacity).iter().sum::<usize>()
    }
}

/// Where the numbers of one step lie in the scratch.
pub(super) struct Layout {
    /// Coefficients of a tile.
    pub coefficients: usize,
    pub groups: usize,
    /// Tiles of a group.
    pub group: usize,
    /// Blocks of input channels.
    pub blocks: usize,
}

impl Layout {
    /// From one coefficient of the windows to the next. Odd, so that the
    /// places of a window do not fall into the same few sets of the cache.
    pub(super) fn window_stride(&self) -> usize {
        (self.groups * self.group * self.blocks) | 1
    }

    /// From one coefficient of the sums to the next; odd as above.
    pub(super) fn sum_stride(&self, panel_blocks: usize) -> usize {
        (self.groups * self.group * panel_blocks) | 1
    }

    pub(super) fn window(&self, tile: usize, block: usize) -> usize {
        let (group, tile) = (tile / self.group, tile % self.group);
        (group * self.blocks + block) * self.group + tile
    }

    pub(super) fn reserve(&self, scratch: &mut Scratch, panel_blocks: usize) {
        let grow = |buffer: &mut Vec<Lanes>, stride: usize| {
            if buffer.len() < self.coefficients * stride {
                buffer.resize(self.coefficients * stride, Lanes::default());
            }
        };
        grow(&mut scratch.windows, self.window_stride());
        grow(&mut scratch.sums, self.sum_stride(panel_blocks));
    }
}
