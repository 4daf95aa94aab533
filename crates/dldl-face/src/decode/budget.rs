//! The memory that all threads together may use for decoding.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that pictures being decoded may take together; a larger one waits until it is
/// alone.
const CAPACITY: u64 = 512 << 20;

static USED: Mutex<u64> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// Memory in use until this is dropped.
pub(super) struct Reserved(u64);

/// Waits until there is room for so many bytes, at most all of it.
pub(super) fn reserve(bytes: u64) -> Reserved {
    let bytes = bytes.min(CAPACITY);
    let used = USED.lock().unwrap_or_else(PoisonError::into_inner);
    let full = |used: &mut u64| *used + bytes > CAPACITY;
    let mut used = FREED.wait_while(used, full).unwrap_or_else(PoisonError::into_inner);
    *used += bytes;
    Reserved(bytes)
}

impl Drop for Reserved {
    fn drop(&mut self) {
        *USED.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        FREED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn the_sum_stays_below_the_capacity() {
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for i in 0..16 {
                let (now, most) = (&now, &most);
                scope.spawn(move || {
                    let bytes = CAPACITY / 3 * (i % 5);
                    let reserved = reserve(bytes);
                    let sum = now.fetch_add(reserved.0, Ordering::SeqCst) + reserved.0;
                    most.fetch_max(sum, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(reserved.0, Ordering::SeqCst);
                });
            }
        });
        assert!(most.into_inner() <= CAPACITY);
    }
}
