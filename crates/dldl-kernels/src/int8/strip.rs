//! Which columns of output pixels are computed together, and by what.

use super::panel::Panel;
use super::{Isa, words};
#[cfg(target_arch = "x86_64")]
use super::{amx, panel::LANES, panel::step, x86};
use crate::Level;

/// Most sums of a strip: AMX's four tiles of 16x16.
pub(super) const STRIP: usize = 1024;

/// What computes the strips of two rows for one panel, on this thread.
pub(super) struct Strips<'a> {
    isa: Isa,
    panel: &'a Panel,
    channels: usize,
    width: usize,
    /// With AMX: the registers, and the width of all strips, for which they are
    /// configured.
    #[cfg(target_arch = "x86_64")]
    tiles: Option<(amx::Tiles, usize)>,
}

impl Isa {
    /// Whether panels of 32 channels are multiplied.
    pub(super) fn multiplies_wide_panels(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni | Self::Amx => true,
            _ => false,
        }
    }

    /// Whether bytes are multiplied, or words.
    pub(super) fn multiplies_bytes(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni | Self::Avx512Vnni | Self::Amx => true,
            _ => false,
        }
    }

    /// Most columns of a strip, such that its sums fit the registers; even.
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
    fn most_columns(self, panel_width: usize) -> usize {
        match self {
            // In blocks of two; this is what `finish` takes at once.
            Self::Baseline => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 16,
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => x86::MOST_COLUMNS_AVX_VNNI,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => x86::MOST_COLUMNS_AVX512,
            #[cfg(target_arch = "x86_64")]
            Self::Amx => STRIP / 2 / panel_width,
        }
    }
}

impl<'a> Strips<'a> {
    /// For rows of `width` pixels.
    pub fn new(isa: Isa, panel: &'a Panel, channels: usize, width: usize) -> Self {
        #[cfg(target_arch = "x86_64")]
        let tiles = (isa == Isa::Amx).then(|| {
            let columns = even_part(width, isa.most_columns(panel.width));
            let wide = panel.width > LANES;
            let pixels = if wide { columns } else { columns / 2 };
            (amx::Tiles::new(pixels, step(channels), wide), columns)
        });
        Self {
            isa,
            panel,
            channels,
            width,
            #[cfg(target_arch = "x86_64")]
            tiles,
        }
    }

    /// First column and number of columns, both even, of the strip that goes on
    /// at column `x`. It may begin before, if all strips are of one width.
    pub fn at(&self, x: usize) -> (usize, usize) {
        #[cfg(target_arch = "x86_64")]
        if let Some((_, columns)) = self.tiles {
            return (x.min(self.width - columns), columns);
        }
        (x, even_part(self.width - x, self.isa.most_columns(self.panel.width)))
    }

    /// The sums of a strip, `[2][columns][panel's width]`: with `input` from the
    /// pixel above and left of the strip's first one, rows `row` bytes apart,
    /// `sums[r][x][o] = sum over ky, k of
    /// input[(r + ky) row + x channels + k] weight[ky][k][o]`.
    pub fn sum(&self, input: &[u8], row: usize, columns: usize, sums: &mut [i32]) {
        let (panel, channels) = (self.panel, self.channels);
        assert_eq!(sums.len(), 2 * columns * panel.width, "int8: a strip of another size");
        match self.isa {
            Isa::Baseline => {
                words::strip(Level::Baseline, panel, channels, input, row, columns, sums)
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => words::strip(Level::Avx2, panel, channels, input, row, columns, sums),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => x86::avx_vnni(panel, channels, input, row, columns, sums),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => x86::avx512_vnni(panel, channels, input, row, columns, sums),
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => {
                let (tiles, _) = self.tiles.as_ref().expect("made for AMX");
                tiles.strip(panel, channels, input, row, sums);
            }
        }
    }
}

/// The first of the fewest even parts of `width` up to `most` (both even), all
/// about the same.
fn even_part(width: usize, most: usize) -> usize {
    2 * (width / 2).div_ceil(width.div_ceil(most))
}
