//! Working memory of a step and its layout.

use crate::planes::Lanes;

/// Working memory of one thread. It grows to the needs of the largest layer.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// Transformed windows: `[coefficient][group][input block][tile of the group]`.
    pub(super) windows: Vec<Lanes>,
    /// Products of one panel: `[coefficient][group][tile of the group][block]`.
    pub(super) sums: Vec<Lanes>,
    /// Output rows of the stem when it is fused with the convolution.
    pub(super) strip: Vec<Lanes>,
}

impl Scratch {
    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        let buffers = [&self.windows, &self.sums, &self.strip];
        size_of::<Lanes>() * buffers.map(Vec::capacity).iter().sum::<usize>()
    }
}

/// Layout of one step in the scratch.
pub(super) struct Layout {
    /// Number of coefficients of a tile.
    pub coefficients: usize,
    /// Number of groups.
    pub groups: usize,
    /// Number of tiles in a group.
    pub group: usize,
    /// Number of blocks of input channels.
    pub blocks: usize,
}

impl Layout {
    /// Distance between coefficients of the windows. Odd, so that the coefficients of a
    /// window do not share a few sets of the cache.
    pub(super) fn window_stride(&self) -> usize {
        (self.groups * self.group * self.blocks) | 1
    }

    /// Distance between coefficients of the sums; odd for the same reason.
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
