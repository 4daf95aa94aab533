//! Strips by AMX, whose tile registers hold matrices of 16 rows by 64 bytes.
//! The intrinsics are not stable in Rust, hence the assembly.
#![allow(unsafe_code)]

use std::arch::asm;
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::sync::LazyLock;

use super::panel::{LANES, Panel, STEP};

/// Whether the processor has AMX with 8-bit integers and the operating system
/// lets this process use it. The first call requests the permission.
pub(super) fn is_available() -> bool {
    static AVAILABLE: LazyLock<bool> = LazyLock::new(|| has_amx() && permitted());
    *AVAILABLE
}

fn has_amx() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
    if __cpuid(0).eax < 7 || !is_x86_feature_detected!("xsave") {
        return false;
    }
    // CPUID: OSXSAVE; AMX-TILE and AMX-INT8.
    if __cpuid(1).ecx & 1 << 27 == 0 || __cpuid_count(7, 0).edx & 0b11 << 24 != 0b11 << 24 {
        return false;
    }
    // SAFETY: the processor has XSAVE, and OSXSAVE says that XGETBV may be used.
    let saved = unsafe { _xgetbv(0) };
    // The system saves the tiles' configuration and data.
    saved & 0b11 << 17 == 0b11 << 17
}

/// Linux reserves memory for the tiles only in processes that request it.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const SYS_ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XFEATURE_XTILEDATA: usize = 18;
    let mut result = SYS_ARCH_PRCTL;
    // SAFETY: the call reads and writes no memory of ours, and an older kernel
    // rejects it as unknown. `syscall` clobbers rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// Unknown on other systems, hence unused there.
#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// `LDTILECFG`'s operand.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// For each of the eight tiles; the other eight entries are reserved.
    bytes_per_row: [u16; 16],
    rows: [u8; 16],
}

/// The tile shape: what the registers are configured for, and what every strip
/// is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    /// Rows of the activation tiles, 1 to 16.
    pixels: usize,
    /// Groups of four bytes in a row of the activation tiles, which are the rows
    /// of the weight tiles; 1 to 16.
    quads: usize,
    /// Whether panels are 32 channels wide instead of 16: tile 7 then holds
    /// weights instead of activations.
    wide: bool,
}

impl Shape {
    /// # Panics
    /// If `pixels` or `quads` is not in 1..=16.
    fn new(pixels: usize, quads: usize, wide: bool) -> Self {
        assert!((1..=LANES).contains(&pixels), "amx: tiles of {pixels} pixels");
        assert!((1..=STEP).contains(&quads), "amx: tiles of {quads} quads");
        Self { pixels, quads, wide }
    }

    /// Output channels of a panel.
    fn panel_width(self) -> usize {
        if self.wide { 2 * LANES } else { LANES }
    }

    /// Columns of a strip: two rows of them, in four tiles of sums.
    fn columns(self) -> usize {
        if self.wide { self.pixels } else { 2 * self.pixels }
    }

    /// Sums in tiles 0 to 3, activations in 4 and 5, weights in 6, and tile 7
    /// for a second tile of weights or a third of activations.
    fn configuration(self) -> Configuration {
        let sums = (self.pixels as u8, 64);
        let activations = (self.pixels as u8, 4 * self.quads as u16);
        let weights = (self.quads as u8, 64);
        let last = if self.wide { weights } else { activations };
        let shapes = [sums, sums, sums, sums, activations, activations, weights, last];
        let mut configuration = Configuration {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            bytes_per_row: [0; 16],
            rows: [0; 16],
        };
        for (i, (rows, bytes)) in shapes.into_iter().enumerate() {
            (configuration.rows[i], configuration.bytes_per_row[i]) = (rows, bytes);
        }
        configuration
    }

    /// Checks a strip's operands: with them, [`Tiles::strip`] reads and writes
    /// only inside the slices.
    ///
    /// # Panics
    /// If the panel has another shape or a slice is too short.
    fn assert_fits(
        self,
        panel: &Panel,
        channels: usize,
        input: &[u8],
        row_stride: usize,
        sums: &[i32],
    ) {
        assert_eq!(panel.width, self.panel_width(), "amx: tiles for panels of another width");
        assert!(
            panel.quads > 0 && panel.quads.is_multiple_of(self.quads),
            "amx: tiles of {} quads for a panel of {}",
            self.quads,
            panel.quads
        );
        assert!(panel.bytes.len() >= 3 * panel.quads * panel.width * 4, "amx: weights too short");
        let last = 3 * row_stride + (self.columns() - 1) * channels;
        assert!(input.len() >= last + 4 * panel.quads, "amx: input too short");
        assert!(sums.len() >= 2 * self.columns() * panel.width, "amx: sums too short");
    }
}

thread_local! {
    static CONFIGURED: Cell<bool> = const { Cell::new(false) };
}

/// The right to use this thread's tile registers, held by one owner at a time:
/// a second configuration would destroy the first one's tiles.
struct TileOwner {
    /// The registers belong to a thread.
    not_send: PhantomData<*const ()>,
}

impl TileOwner {
    /// `None` while the thread has another owner.
    fn acquire() -> Option<Self> {
        (!CONFIGURED.replace(true)).then_some(Self { not_send: PhantomData })
    }
}

impl Drop for TileOwner {
    fn drop(&mut self) {
        CONFIGURED.set(false);
    }
}

/// The tile registers of this thread, configured for a layer; released when
/// dropped.
pub(super) struct Tiles {
    shape: Shape,
    /// Dropped after the registers are released.
    _owner: TileOwner,
}

/// What the loop of [`Tiles::strip`] needs besides its registers.
#[repr(C)]
struct Loop {
    /// Tile products per row of taps.
    steps: usize,
    /// Bytes from one step's activations to the next one's.
    step_input: usize,
    /// Bytes from one step's weights to the next one's.
    step_weights: usize,
    /// Bytes from the last step's activations to those of the next row of taps.
    next_row: usize,
    /// Destinations of the four tiles of sums.
    sums: [*mut i32; 4],
}

/// An `asm!` block that runs `$products` for every step of every row of taps and
/// stores the tiles of sums. It is a single block, since the compiler does not
/// keep registers from one block to the next.
macro_rules! strip_loop {
    ($products:tt, $advance:tt, { $($operands:tt)* }) => {
        strip_loop!(@ $products $advance { $($operands)* })
    };
    (@ [$($product:literal,)*] [$($advance:literal,)*] { $($operands:tt)* }) => {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "mov {rows:e}, 3",
            "2:",
            "mov {steps}, qword ptr [{l} + {STEPS}]",
            "3:",
            $($product,)*
            "add {w}, qword ptr [{l} + {STEP_WEIGHTS}]",
            "mov {by}, qword ptr [{l} + {STEP_INPUT}]",
            $($advance,)*
            "dec {steps}",
            "jnz 3b",
            "mov {by}, qword ptr [{l} + {NEXT_ROW}]",
            $($advance,)*
            "dec {rows:e}",
            "jnz 2b",
            "mov {w}, qword ptr [{l} + {SUMS}]",
            "tilestored [{w} + {weight_stride}*1], tmm0",
            "mov {w}, qword ptr [{l} + {SUMS} + 8]",
            "tilestored [{w} + {weight_stride}*1], tmm1",
            "mov {w}, qword ptr [{l} + {SUMS} + 16]",
            "tilestored [{w} + {weight_stride}*1], tmm2",
            "mov {w}, qword ptr [{l} + {SUMS} + 24]",
            "tilestored [{w} + {weight_stride}*1], tmm3",
            rows = out(reg) _,
            steps = out(reg) _,
            by = out(reg) _,
            STEPS = const offset_of!(Loop, steps),
            STEP_INPUT = const offset_of!(Loop, step_input),
            STEP_WEIGHTS = const offset_of!(Loop, step_weights),
            NEXT_ROW = const offset_of!(Loop, next_row),
            SUMS = const offset_of!(Loop, sums),
            $($operands)*
            out("tmm0") _,
            out("tmm1") _,
            out("tmm2") _,
            out("tmm3") _,
            out("tmm4") _,
            out("tmm5") _,
            out("tmm6") _,
            out("tmm7") _,
            options(nostack),
        )
    };
}

impl Tiles {
    /// For tiles of `pixels` times `quads`, both at most 16, and panels of 32
    /// channels (`wide`) or 16.
    ///
    /// # Panics
    /// If AMX is not available, a dimension is out of range, or this thread has
    /// other `Tiles`.
    pub(super) fn new(pixels: usize, quads: usize, wide: bool) -> Self {
        assert!(is_available(), "amx: not available on this processor");
        let shape = Shape::new(pixels, quads, wide);
        let owner = TileOwner::acquire().expect("amx: the thread's tiles are already in use");
        let configuration = shape.configuration();
        // SAFETY: AMX is available and permitted; the configuration is 64 bytes
        // of a valid form (palette 1: 8 tiles of at most 16 rows of 64 bytes).
        // The instruction clears all tiles.
        unsafe {
            asm!(
                "ldtilecfg [{}]",
                in(reg) &configuration,
                out("tmm0") _,
                out("tmm1") _,
                out("tmm2") _,
                out("tmm3") _,
                out("tmm4") _,
                out("tmm5") _,
                out("tmm6") _,
                out("tmm7") _,
                options(nostack, readonly, preserves_flags),
            );
        }
        Self { shape, _owner: owner }
    }

    /// As `strip` of the other instruction sets, for `pixels` columns if the
    /// panel is 32 channels wide and twice as many if it is 16.
    ///
    /// # Panics
    /// If a slice is too short or the panel does not fit the configuration.
    pub(super) fn strip(
        &self,
        panel: &Panel,
        channels: usize,
        input: &[u8],
        row_stride: usize,
        sums: &mut [i32],
    ) {
        let shape = self.shape;
        shape.assert_fits(panel, channels, input, row_stride, sums);
        // Offsets of the four tiles of sums in [row][column][channel].
        let row = shape.columns() * panel.width;
        let right = if shape.wide { LANES } else { shape.pixels * LANES };
        let weight_stride = 4 * panel.width;
        let step_input = 4 * shape.quads;
        // SAFETY: the pointers stay inside `sums`, by the assertions.
        let sums = unsafe {
            let first = sums.as_mut_ptr();
            [first, first.add(right), first.add(row), first.add(row + right)]
        };
        let l = Loop {
            steps: panel.quads / shape.quads,
            step_input,
            step_weights: shape.quads * weight_stride,
            next_row: row_stride.wrapping_sub(4 * panel.quads),
            sums,
        };
        let (a, w) = (input.as_ptr(), panel.bytes.as_ptr());
        // SAFETY: `self` proves that this thread's tiles are configured for
        // `shape`, so a tile of activations takes `pixels` rows of `4 * quads`
        // bytes. The assertions bound what is read: all weights, and of the
        // input `3 * row_stride + (columns - 1) * channels + 4 * panel.quads`
        // bytes (each of two output rows reads three input rows, the second one
        // starting a row further); and what is written to `sums`.
        unsafe {
            if shape.wide {
                strip_loop!(
                    [
                        "tileloadd tmm6, [{w} + {weight_stride}*1]",
                        "tileloadd tmm4, [{a} + {channels}*1]",
                        "tdpbusd tmm0, tmm4, tmm6",
                        "tileloadd tmm7, [{w} + {weight_stride}*1 + 64]",
                        "tdpbusd tmm1, tmm4, tmm7",
                        "tileloadd tmm5, [{b} + {channels}*1]",
                        "tdpbusd tmm2, tmm5, tmm6",
                        "tdpbusd tmm3, tmm5, tmm7",
                    ],
                    ["add {a}, {by}", "add {b}, {by}",],
                    {
                        a = inout(reg) a => _,
                        b = inout(reg) a.add(row_stride) => _,
                        w = inout(reg) w => _,
                        l = in(reg) &l,
                        channels = in(reg) channels,
                        weight_stride = in(reg) weight_stride,
                    }
                );
            } else {
                strip_loop!(
                    [
                        "tileloadd tmm6, [{w} + {weight_stride}*1]",
                        "tileloadd tmm4, [{a} + {channels}*1]",
                        "tdpbusd tmm0, tmm4, tmm6",
                        "tileloadd tmm5, [{a_right} + {channels}*1]",
                        "tdpbusd tmm1, tmm5, tmm6",
                        "tileloadd tmm7, [{b} + {channels}*1]",
                        "tdpbusd tmm2, tmm7, tmm6",
                        "tileloadd tmm4, [{b_right} + {channels}*1]",
                        "tdpbusd tmm3, tmm4, tmm6",
                    ],
                    [
                        "add {a}, {by}",
                        "add {a_right}, {by}",
                        "add {b}, {by}",
                        "add {b_right}, {by}",
                    ],
                    {
                        a = inout(reg) a => _,
                        a_right = inout(reg) a.add(shape.pixels * channels) => _,
                        b = inout(reg) a.add(row_stride) => _,
                        b_right = inout(reg) a.add(row_stride + shape.pixels * channels) => _,
                        w = inout(reg) w => _,
                        l = in(reg) &l,
                        channels = in(reg) channels,
                        weight_stride = in(reg) weight_stride,
                    }
                );
            }
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: AMX is available, or `new` had panicked; `self` was the only
        // user of this thread's tiles.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _,
                out("tmm1") _,
                out("tmm2") _,
                out("tmm3") _,
                out("tmm4") _,
                out("tmm5") _,
                out("tmm6") _,
                out("tmm7") _,
                options(nostack, nomem, preserves_flags),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Isa;
    use super::super::panel::step;
    use super::*;

    /// A panel of `outputs` channels over `channels`, and the tile shape for it.
    fn panel(outputs: usize, channels: usize, pixels: usize) -> (Panel, Shape) {
        let weight = vec![1; outputs * channels * 9];
        let ones = vec![1.0; outputs];
        let panel = Panel::all(Isa::Amx, &weight, channels, &ones, &ones).remove(0);
        let shape = Shape::new(pixels, step(channels), outputs > LANES);
        (panel, shape)
    }

    /// Calls `assert_fits` with slices that are `short` entries below the smallest
    /// valid length.
    fn fits(shape: Shape, panel: &Panel, channels: usize, short: [usize; 2]) {
        let row_stride = 40 * channels;
        let len = 3 * row_stride + (shape.columns() - 1) * channels + 4 * panel.quads;
        let input = vec![0; len - short[0]];
        let sums = vec![0; 2 * shape.columns() * panel.width - short[1]];
        shape.assert_fits(panel, channels, &input, row_stride, &sums);
    }

    #[track_caller]
    fn panics(run: impl FnOnce() + std::panic::UnwindSafe) {
        assert!(std::panic::catch_unwind(run).is_err());
    }

    #[test]
    fn a_thread_has_one_owner_of_its_tiles() {
        let owner = TileOwner::acquire().unwrap();
        assert!(TileOwner::acquire().is_none(), "a second owner would clear the first one's tiles");
        // Other threads have registers of their own.
        let other = std::thread::spawn(|| TileOwner::acquire().is_some());
        assert!(other.join().unwrap());
        drop(owner);
        assert!(TileOwner::acquire().is_some());
    }

    #[test]
    fn a_panic_gives_the_tiles_back() {
        panics(|| {
            let _owner = TileOwner::acquire().unwrap();
            panic!("while the tiles are in use");
        });
        assert!(TileOwner::acquire().is_some());
    }

    #[test]
    fn nested_tiles_are_refused() {
        if !is_available() {
            return;
        }
        let tiles = Tiles::new(16, 12, true);
        panics(|| drop(Tiles::new(8, 12, false)));
        drop(tiles);
        drop(Tiles::new(8, 12, false));
    }

    #[test]
    fn strips_of_the_configured_shape_fit() {
        for (outputs, channels, pixels) in [(32, 16, 16), (16, 16, 8), (20, 3, 4), (7, 80, 16)] {
            let (panel, shape) = panel(outputs, channels, pixels);
            fits(shape, &panel, channels, [0, 0]);
            panics(|| fits(shape, &panel, channels, [1, 0]));
            panics(|| fits(shape, &panel, channels, [0, 1]));
        }
    }

    /// Tiles for 16 channels hold activations where those for 32 hold weights.
    #[test]
    fn panels_of_another_width_are_refused() {
        let (wide, wide_shape) = panel(32, 16, 8);
        let (narrow, narrow_shape) = panel(16, 16, 8);
        assert_eq!(wide.quads, narrow.quads);
        panics(|| fits(narrow_shape, &wide, 16, [0, 0]));
        panics(|| fits(wide_shape, &narrow, 16, [0, 0]));
    }

    #[test]
    fn panels_of_another_depth_are_refused() {
        let (deep, _) = panel(32, 64, 8);
        let (_, shape) = panel(32, 40, 8);
        assert!(!deep.quads.is_multiple_of(shape.quads));
        panics(|| fits(shape, &deep, 64, [0, 0]));
    }

    #[test]
    fn shapes_outside_the_registers_are_refused() {
        for (pixels, quads) in [(0, 1), (17, 1), (1, 0), (1, 17)] {
            panics(|| assert!(Shape::new(pixels, quads, true).pixels > 0));
        }
    }

    #[test]
    fn configuration_is_what_the_processor_reads() {
        assert_eq!(size_of::<Configuration>(), 64);
        assert_eq!(offset_of!(Configuration, bytes_per_row), 16);
        assert_eq!(offset_of!(Configuration, rows), 48);
        let narrow = Shape::new(14, 12, false).configuration();
        assert_eq!(narrow.bytes_per_row[..9], [64, 64, 64, 64, 48, 48, 64, 48, 0]);
        assert_eq!(narrow.rows[..9], [14, 14, 14, 14, 14, 14, 12, 14, 0]);
        let wide = Shape::new(14, 12, true).configuration();
        assert_eq!((wide.bytes_per_row[7], wide.rows[7]), (64, 12));
    }
}
