//! Division of rows into strips, and dispatch to the instructions.

use super::panel::Panel;
use super::{Isa, words};
#[cfg(target_arch = "x86_64")]
use super::{amx, panel::LANES, panel::step, x86};
use crate::Level;

/// Largest number of sums in a strip: AMX's four tiles of 16x16.
pub(super) const STRIP: usize = 1024;

/// Computes the strips of two rows for one panel, on one thread.
pub(super) struct Strips<'a> {
    isa: Isa,
    panel: &'a Panel,
    channels: usize,
    width: usize,
    /// With AMX: the tile registers and the width of the strips that they are configured
    /// for.
    #[cfg(target_arch = "x86_64")]
    tiles: Option<(amx::Tiles, usize)>,
}

impl Isa {
    /// Whether panels are 32 channels wide instead of 16.
    pub(super) fn multiplies_wide_panels(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni | Self::Amx => true,
            _ => false,
        }
    }

    /// Whether it multiplies bytes instead of words. Then a network in 8-bit integers is
    /// faster than in floating point, otherwise slower.
    pub fn multiplies_bytes(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni | Self::Avx512Vnni | Self::Amx => true,
            _ => false,
        }
    }

    /// Largest number of columns whose sums fit the registers; even.
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
    fn max_columns(self, panel_width: usize) -> usize {
        match self {
            // Sums are computed for two columns at a time; this is the batch for
            // `finish`.
            Self::Baseline => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 16,
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => x86::MAX_COLUMNS_AVX_VNNI,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => x86::MAX_COLUMNS_AVX512,
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
            let columns = even_part(width, isa.max_columns(panel.width));
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

    /// First column and number of columns, both even, of the strip that contains column
    /// `x`. It may start before `x` if all strips have the same width.
    pub fn at(&self, x: usize) -> (usize, usize) {
        #[cfg(target_arch = "x86_64")]
        if let Some((_, columns)) = self.tiles {
            return (x.min(self.width - columns), columns);
        }
        (x, even_part(self.width - x, self.isa.max_columns(self.panel.width)))
    }

    /// Computes the sums of a strip, `[2][columns][panel's width]`. `input` starts at the
    /// pixel above and to the left of the strip's first one, with rows `row` bytes apart:
    /// `sums[r][x][o] = sum over ky, k of
    /// input[(r + ky) row + x channels + k] weight[ky][k][o]`.
    pub fn sum(&self, input: &[u8], row: usize, columns: usize, sums: &mut [i32]) {
        let (panel, channels) = (self.panel, self.channels);
        assert_eq!(sums.len(), 2 * columns * panel.width, "int8: wrong number of sums");
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
                let (tiles, _) = self.tiles.as_ref().expect("set for AMX");
                tiles.strip(panel, channels, input, row, sums);
            }
        }
    }
}

/// Divides `width` into as few even parts of at most `max` as possible, of about the same
/// size, and returns the first one. Both arguments are even.
fn even_part(width: usize, max: usize) -> usize {
    2 * (width / 2).div_ceil(width.div_ceil(max))
}
