//! Worker threads.

use crate::DataError;

/// A pool of `threads` threads (0: one per processor). Where the system allows fewer,
/// it has fewer, down to the calling thread alone.
///
/// # Errors
/// Not even the calling thread can be used, because it belongs to another pool.
pub(crate) fn pool(threads: usize) -> Result<rayon::ThreadPool, DataError> {
    let builder = rayon::ThreadPoolBuilder::new;
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let mut count = if threads == 0 { available } else { threads };
    loop {
        match builder().num_threads(count).build() {
            Ok(pool) => return Ok(pool),
            Err(_) if count > 1 => count /= 2,
            Err(_) => return Ok(builder().num_threads(1).use_current_thread().build()?),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_pool_has_the_requested_number_of_threads() {
        assert_eq!(super::pool(3).unwrap().current_num_threads(), 3);
        assert!(super::pool(0).unwrap().current_num_threads() >= 1);
    }
}
