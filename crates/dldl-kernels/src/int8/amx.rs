//! Strips by AMX, whose tile registers hold matrices of 16 rows by 64 bytes.
//! The intrinsics are not stable in Rust, hence the assembly.
#![allow(unsafe_code)]

use std::arch::asm;
use std::marker::PhantomData;
use std::sync::LazyLock;

use super::panel::{LANES, Panel, STEP};

/// Whether the processor has AMX with 8-bit integers and the operating system
/// lets this process use it. Asks for the permission at the first call.
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

/// Linux gives the room for the tiles to those who ask for it, once per process.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const SYS_ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XFEATURE_XTILEDATA: usize = 18;
    let mut result = SYS_ARCH_PRCTL;
    // SAFETY: the call reads and writes no memory of ours, and an older kernel
    // refuses it as unknown. `syscall` destroys rcx and r11.
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

/// Other systems are not known to give it.
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
    /// Of each of the eight tiles, and room for eight more.
    bytes_per_row: [u16; 16],
    rows: [u8; 16],
}

/// The tile registers of this thread, configured for a layer: sums in tiles 0
/// to 3, activations in 4, 5 and 7, weights in 6 and 7. Freed when dropped.
pub(super) struct Tiles {
    pixels: usize,
    quads: usize,
    /// The registers belong to a thread.
    not_send: PhantomData<*const ()>,
}

impl Tiles {
    /// For tiles of `pixels` times `quads`, both at most 16.
    ///
    /// # Panics
    /// If AMX is not there, or a dimension is out of range.
    pub(super) fn new(pixels: usize, quads: usize, wide: bool) -> Self {
        assert!(is_available() && (1..=LANES).contains(&pixels) && (1..=STEP).contains(&quads));
        let sums = (pixels as u8, 64);
        let activations = (pixels as u8, 4 * quads as u16);
        let weights = (quads as u8, 64);
        let last = if wide { weights } else { activations };
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
        // SAFETY: AMX is there and permitted; the configuration is 64 bytes of a
        // valid form (palette 1: 8 tiles of at most 16 rows of 64 bytes).
        unsafe { asm!("ldtilecfg [{}]", in(reg) &configuration, options(nostack, readonly)) };
        Self { pixels, quads, not_send: PhantomData }
    }

    /// As `strip` of the other instructions, for `pixels` columns if the panel
    /// is 32 channels wide and two times as many if it is 16.
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
        let (pixels, quads) = (self.pixels, self.quads);
        let wide = panel.width == 2 * LANES;
        let columns = if wide { pixels } else { 2 * pixels };
        assert!(panel.quads.is_multiple_of(quads) && (wide || panel.width == LANES));
        assert!(panel.bytes.len() >= 3 * panel.quads * panel.width * 4);
        assert!(input.len() >= 3 * row_stride + (columns - 1) * channels + 4 * panel.quads);
        assert!(sums.len() >= 2 * columns * panel.width);
        // Where the four tiles of sums lie: [row][column][channel].
        let row = columns * panel.width;
        let right = if wide { LANES } else { pixels * LANES };
        let weight_stride = 4 * panel.width;
        // The compiler does not use tile registers, and keeps blocks of assembly
        // in their order: what one leaves in the tiles, the next one finds there.
        // SAFETY: `self` proves that the tiles are configured on this thread, to
        // rows of `4 * quads` bytes. The assertions bound what is read: of the
        // input `2 * row_stride + (columns - 1) * channels + 4 * panel.quads` bytes
        // from the second row's begin, of the weights all; and what is written.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                options(nostack, nomem, preserves_flags),
            );
            for tap_row in 0..3 {
                for step in (0..panel.quads).step_by(quads) {
                    let a = input.as_ptr().add(tap_row * row_stride + 4 * step);
                    let w =
                        panel.bytes.as_ptr().add((tap_row * panel.quads + step) * weight_stride);
                    if wide {
                        asm!(
                            "tileloadd tmm6, [{w} + {weight_stride}*1]",
                            "tileloadd tmm4, [{a} + {channels}*1]",
                            "tdpbusd tmm0, tmm4, tmm6",
                            "tileloadd tmm7, [{w} + {weight_stride}*1 + 64]",
                            "tdpbusd tmm1, tmm4, tmm7",
                            "tileloadd tmm5, [{b} + {channels}*1]",
                            "tdpbusd tmm2, tmm5, tmm6",
                            "tdpbusd tmm3, tmm5, tmm7",
                            a = in(reg) a,
                            b = in(reg) a.add(row_stride),
                            w = in(reg) w,
                            channels = in(reg) channels,
                            weight_stride = in(reg) weight_stride,
                            options(nostack, readonly, preserves_flags),
                        );
                    } else {
                        asm!(
                            "tileloadd tmm6, [{w} + {weight_stride}*1]",
                            "tileloadd tmm4, [{a} + {channels}*1]",
                            "tdpbusd tmm0, tmm4, tmm6",
                            "tileloadd tmm5, [{a_right} + {channels}*1]",
                            "tdpbusd tmm1, tmm5, tmm6",
                            "tileloadd tmm7, [{b} + {channels}*1]",
                            "tdpbusd tmm2, tmm7, tmm6",
                            "tileloadd tmm4, [{b_right} + {channels}*1]",
                            "tdpbusd tmm3, tmm4, tmm6",
                            a = in(reg) a,
                            a_right = in(reg) a.add(pixels * channels),
                            b = in(reg) a.add(row_stride),
                            b_right = in(reg) a.add(row_stride + pixels * channels),
                            w = in(reg) w,
                            channels = in(reg) channels,
                            weight_stride = in(reg) weight_stride,
                            options(nostack, readonly, preserves_flags),
                        );
                    }
                }
            }
            let sums = sums.as_mut_ptr();
            asm!(
                "tilestored [{c0} + {stride}*1], tmm0",
                "tilestored [{c1} + {stride}*1], tmm1",
                "tilestored [{c2} + {stride}*1], tmm2",
                "tilestored [{c3} + {stride}*1], tmm3",
                c0 = in(reg) sums,
                c1 = in(reg) sums.add(right),
                c2 = in(reg) sums.add(row),
                c3 = in(reg) sums.add(row + right),
                stride = in(reg) 4 * panel.width,
                options(nostack, preserves_flags),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: AMX is there, or `new` had panicked; nothing uses the tiles any more.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}
