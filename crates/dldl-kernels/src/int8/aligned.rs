//! Numbers in memory that begins where a cache line does: a vector or a tile's
//! row of 64 bytes that lies across two lines takes two accesses.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line.
const LINE: usize = 64;

/// A slice that begins with a cache line (but a clone of it, maybe, not).
#[derive(Clone, Debug, Default)]
pub struct Aligned<T> {
    /// With a line more than is needed.
    buffer: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// So many zeros.
    pub fn zeros(len: usize) -> Self {
        let buffer = vec![T::default(); len + LINE / size_of::<T>()];
        // Any place would do: what lies across lines is slower, not wrong.
        let start = buffer.as_ptr().align_offset(LINE).min(buffer.len() - len);
        Self { buffer, start, len }
    }

    /// A copy of these numbers.
    pub fn copied(numbers: &[T]) -> Self {
        let mut aligned = Self::zeros(numbers.len());
        aligned.copy_from_slice(numbers);
        aligned
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.buffer.capacity() * size_of::<T>()
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.buffer[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_with_a_cache_line() {
        for len in [0, 1, 63, 1000, 100_000] {
            let bytes = Aligned::copied(&vec![7_i8; len]);
            assert!(bytes.as_ptr().addr().is_multiple_of(LINE));
            assert!(bytes.len() == len && bytes.iter().all(|&b| b == 7));
            let words = Aligned::<i16>::zeros(len);
            assert!(words.as_ptr().addr().is_multiple_of(LINE));
            assert!(words.len() == len && words.iter().all(|&w| w == 0));
        }
    }
}
