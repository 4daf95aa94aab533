//! Software prefetch.

use crate::planes::Lanes;

/// Prefetches a cache line into the second-level cache. Does nothing on processors
/// other than x86-64.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn prefetch(line: &Lanes) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is a hint that is valid for any address; every x86-64
    // has SSE.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(line).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
