//! Whether the compressed data of a JPEG is whole: every block is decoded down to its
//! coefficients, without computing pixels. Decoders fill what is missing with gray, or go
//! on with shifted blocks after a damaged byte, and report nothing.

use super::huffman::{Bits, Fault};
use super::markers::{Component, Markers, Scan, ScanComponent};

/// What is wrong, and after which share of the picture's height in this scan.
#[derive(Debug, PartialEq)]
pub(super) enum Problem {
    /// The data ends too early.
    Ends(f64),
    /// The data cannot be what an encoder wrote.
    Damaged(&'static str, f64),
}

/// Checks all scans, and returns where the last one ends in the file, even if other bytes
/// follow. Scans whose tables the file does not define are not checked.
pub(super) fn check(bytes: &[u8], markers: &Markers) -> Result<usize, Problem> {
    let mut frame = Frame::new(markers);
    let mut end = 0;
    for (i, scan) in markers.scans.iter().enumerate() {
        let mut bits = Bits::new(&bytes[scan.data.clone()]);
        if !frame.scan(markers, scan, &mut bits)? {
            end = scan.data.end;
            continue;
        }
        end = scan.data.start + bits.position();
        let closed = markers.has_end || i + 1 < markers.scans.len();
        if closed && bits.skip_rest() > 1 {
            return Err(Problem::Damaged("data is left over after its last block", 1.0));
        }
    }
    match (frame.complete(), markers.has_end) {
        (true, _) => Ok(end),
        (false, true) => Err(Problem::Damaged("passes over the picture are missing", 1.0)),
        (false, false) => Err(Problem::Ends(1.0)),
    }
}

struct Frame {
    /// Minimum coded units of interleaved scans, across and down.
    units: (usize, usize),
    components: Vec<Blocks>,
}

/// The blocks of a component.
struct Blocks {
    h: usize,
    v: usize,
    /// Across in memory, whole units.
    stride: usize,
    /// Across and down without padding, as scans of one component have them.
    size: (usize, usize),
    /// Which coefficients of a block are not zero; empty unless progressive.
    nonzero: Vec<u64>,
    /// By coefficient, the bits that are still to come; 99 for all.
    missing: [u32; 64],
}

impl Frame {
    fn new(markers: &Markers) -> Self {
        let max = |side: fn(&Component) -> usize| markers.components.iter().map(side).max();
        let (h_max, v_max) = (max(|c| c.h).unwrap_or(1), max(|c| c.v).unwrap_or(1));
        let units = (markers.width.div_ceil(8 * h_max), markers.height.div_ceil(8 * v_max));
        let blocks = |c: &Component| {
            let stride = units.0 * c.h;
            let count = if markers.progressive { stride * units.1 * c.v } else { 0 };
            Blocks {
                h: c.h,
                v: c.v,
                stride,
                size: (
                    (markers.width * c.h).div_ceil(8 * h_max),
                    (markers.height * c.v).div_ceil(8 * v_max),
                ),
                nonzero: vec![0; count],
                missing: [99; 64],
            }
        };
        Self { units, components: markers.components.iter().map(blocks).collect() }
    }

    /// Whether every coefficient of every component was coded to its last bit. The
    /// standard allows less, but encoders do not write it.
    fn complete(&self) -> bool {
        self.components.iter().all(|c| c.missing.iter().all(|&m| m == 0))
    }

    /// Decodes a scan; `false` if it cannot be checked.
    fn scan(&mut self, markers: &Markers, scan: &Scan, bits: &mut Bits) -> Result<bool, Problem> {
        let needs_dc = scan.band.0 == 0 && scan.high == 0;
        let needs_ac = scan.band.1 > 0;
        let lacks =
            |c: &ScanComponent| (needs_dc && c.dc.is_none()) || (needs_ac && c.ac.is_none());
        for c in &scan.components {
            self.components[c.index].missing[scan.band.0..=scan.band.1].fill(scan.low);
        }
        if scan.components.iter().any(lacks) {
            return Ok(false);
        }
        let interleaved = scan.components.len() > 1;
        let units =
            if interleaved { self.units } else { self.components[scan.components[0].index].size };
        let mut state = State { dc: [0; 4], end_of_band: 0 };
        let mut restarts = 0_u8;
        for unit in 0..units.0 * units.1 {
            let (x, y) = (unit % units.0, unit / units.0);
            let place = y as f64 / units.1 as f64;
            if scan.restart > 0 && unit > 0 && unit % scan.restart == 0 {
                if bits.skip_rest() > 1 || !bits.restart(restarts % 8) {
                    return Err(Problem::Damaged("a restart marker is missing", place));
                }
                restarts = restarts.wrapping_add(1);
                state = State { dc: [0; 4], end_of_band: 0 };
            }
            for c in &scan.components {
                let blocks = &mut self.components[c.index];
                let (h, v) = if interleaved { (blocks.h, blocks.v) } else { (1, 1) };
                for block in 0..h * v {
                    let at = (y * v + block / h) * blocks.stride + x * h + block % h;
                    let done = if markers.progressive {
                        state.progressive(bits, scan, c, &mut blocks.nonzero[at])
                    } else {
                        state.sequential(bits, c)
                    };
                    let step = markers.dc_steps[markers.components[c.index].quantization];
                    let dc = (i64::from(state.dc[c.index]) << scan.low) * i64::from(step);
                    match done {
                        Ok(()) if dc.abs() <= 2048 + i64::from(step) => {}
                        Ok(()) => return Err(Problem::Damaged("a block is out of range", place)),
                        Err(Some(Fault::Ends)) => return Err(Problem::Ends(place)),
                        Err(Some(Fault::InvalidCode)) => {
                            return Err(Problem::Damaged("a code is invalid", place));
                        }
                        Err(None) => {
                            return Err(Problem::Damaged("a block has too many values", place));
                        }
                    }
                }
            }
        }
        Ok(true)
    }
}

/// What a scan carries from block to block.
struct State {
    /// The last DC coefficient of each component.
    dc: [i32; 4],
    /// How many blocks have no further coefficients in the band.
    end_of_band: u32,
}

/// `None`: a block has more values than coefficients.
type Done = Result<(), Option<Fault>>;

impl State {
    #[inline]
    fn difference(&mut self, bits: &mut Bits, c: &ScanComponent) -> Done {
        let table = c.dc.as_ref().expect("tables were checked");
        let category = u32::from(bits.decode(table)?);
        if category > 11 {
            return Err(Some(Fault::InvalidCode));
        }
        let dc = &mut self.dc[c.index];
        *dc = dc.saturating_add(bits.extend(category)?);
        Ok(())
    }

    fn sequential(&mut self, bits: &mut Bits, c: &ScanComponent) -> Done {
        self.difference(bits, c)?;
        run_lengths(bits, c, (1, 63), &mut 0).map(drop)
    }

    fn progressive(
        &mut self,
        bits: &mut Bits,
        scan: &Scan,
        c: &ScanComponent,
        nonzero: &mut u64,
    ) -> Done {
        match (scan.band.0, scan.high) {
            (0, 0) => self.difference(bits, c),
            (0, _) => Ok(bits.take(1).map(drop)?),
            (_, 0) => self.first(bits, scan, c, nonzero),
            _ => self.refine(bits, scan, c, nonzero),
        }
    }

    /// The first bits of a band (T.81, G.1.2.2).
    fn first(
        &mut self,
        bits: &mut Bits,
        scan: &Scan,
        c: &ScanComponent,
        nonzero: &mut u64,
    ) -> Done {
        if self.end_of_band > 0 {
            self.end_of_band -= 1;
            return Ok(());
        }
        if let Some(run) = run_lengths(bits, c, scan.band, nonzero)? {
            self.end_of_band = (1 << run) - 1 + bits.take(run)?;
        }
        Ok(())
    }

    /// One more bit of a band (T.81, G.1.2.3).
    fn refine(
        &mut self,
        bits: &mut Bits,
        scan: &Scan,
        c: &ScanComponent,
        nonzero: &mut u64,
    ) -> Done {
        let table = c.ac.as_ref().expect("tables were checked");
        let mut k = scan.band.0;
        if self.end_of_band == 0 {
            while k <= scan.band.1 {
                let symbol = bits.decode(table)?;
                let (mut run, category) = (u32::from(symbol >> 4), u32::from(symbol & 15));
                if category == 0 {
                    if run < 15 {
                        self.end_of_band = (1 << run) + bits.take(run)?;
                        break;
                    }
                } else if category == 1 {
                    bits.take(1)?;
                } else {
                    return Err(Some(Fault::InvalidCode));
                }
                while k <= scan.band.1 {
                    if *nonzero >> k & 1 == 1 {
                        bits.take(1)?;
                    } else if run == 0 {
                        break;
                    } else {
                        run -= 1;
                    }
                    k += 1;
                }
                if category == 1 {
                    if k > 63 {
                        return Err(None);
                    }
                    *nonzero |= 1 << k;
                }
                k += 1;
            }
        }
        if self.end_of_band > 0 {
            while k <= scan.band.1 {
                if *nonzero >> k & 1 == 1 {
                    bits.take(1)?;
                }
                k += 1;
            }
            self.end_of_band -= 1;
        }
        Ok(())
    }
}

/// The first values of a band's coefficients, each after a run of zeros, and which are not
/// zero. The exponent of the end-of-band code, if it ends them.
#[inline]
fn run_lengths(
    bits: &mut Bits,
    c: &ScanComponent,
    band: (usize, usize),
    nonzero: &mut u64,
) -> Result<Option<u32>, Option<Fault>> {
    let table = c.ac.as_ref().expect("tables were checked");
    let mut k = band.0;
    while k <= band.1 {
        let symbol = bits.decode(table)?;
        let (run, category) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if category == 0 {
            if run < 15 {
                return Ok(Some(run));
            }
            k += 16;
            continue;
        }
        k += run as usize;
        if k > 63 {
            return Err(None);
        }
        bits.take(category)?;
        *nonzero |= 1 << k;
        k += 1;
    }
    Ok(None)
}
