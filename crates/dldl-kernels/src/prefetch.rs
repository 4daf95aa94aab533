//! Asking for memory before it is needed.

use crate::planes::Lanes;

/// Begins to bring a cache line to the second-level cache; where there is no
/// such instruction, nothing.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn prefetch(line: &Lanes) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction only hints, whatever the address; SSE is part of
    // every x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(line).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
