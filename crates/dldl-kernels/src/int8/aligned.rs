//! Buffers aligned to cache lines: a vector or tile row of 64 bytes that crosses a line
//! boundary takes two accesses.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line.
const LINE: usize = 64;

/// A buffer aligned to a cache line. Clones may not be aligned, which affects only speed.
#[derive(Clone, Debug, Default)]
pub struct Aligned<T> {
    /// Longer than needed by one cache line.
    buffer: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let buffer = vec![T::default(); len + LINE / size_of::<T>()];
        // Falls back to an unaligned start, which is slower but correct.
        let start = buffer.as_ptr().align_offset(LINE).min(buffer.len() - len);
        Self { buffer, start, len }
    }

    /// An aligned copy.
    pub fn copied(numbers: &[T]) -> Self {
        let mut aligned = Self::zeros(numbers.len());
        aligned.copy_from_slice(numbers);
        aligned
    }

    /// Size in bytes.
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
    fn buffers_are_aligned_to_cache_lines() {
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
