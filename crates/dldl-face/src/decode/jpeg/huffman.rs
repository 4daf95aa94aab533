//! Huffman codes of JPEG files (ITU-T T.81, Annexes C and F).

/// Codes of up to this length are decoded by one look into a table.
const FAST: u32 = 9;

/// The codes of a Huffman table.
#[derive(Debug)]
pub(super) struct Table {
    /// By the next [`FAST`] bits: length and value of the code, length 0 for longer ones.
    fast: Vec<(u8, u8)>,
    /// By length: the first code that is longer, left-aligned in 16 bits.
    end: [u32; 17],
    /// By length: index of the first value minus the first code.
    offset: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    /// From the number of codes of each length, 1 to 16; `None` if there are too many.
    pub fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut table = Self {
            fast: vec![(0, 0); 1 << FAST],
            end: [0; 17],
            offset: [0; 17],
            values: values.to_vec(),
        };
        let (mut code, mut index) = (0_u32, 0_usize);
        for length in 1..=16_u32 {
            table.offset[length as usize] = index as i32 - code as i32;
            for _ in 0..counts[length as usize - 1] {
                let value = *values.get(index)?;
                if code >> length != 0 {
                    return None;
                }
                if length <= FAST {
                    let from = (code << (FAST - length)) as usize;
                    table.fast[from..from + (1 << (FAST - length))].fill((length as u8, value));
                }
                code += 1;
                index += 1;
            }
            table.end[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }
}

/// The data ends, or has a code that its table lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Ends,
    InvalidCode,
}

/// The bits of entropy-coded data, up to a marker.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, left-aligned, zeros after the last.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, buffer: 0, count: 0 }
    }

    #[inline]
    fn refill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.data.get(self.at) else { return };
            if byte == 0xFF {
                match self.data.get(self.at + 1) {
                    Some(0) => self.at += 1,
                    // Fill bytes before a marker.
                    Some(0xFF) => {
                        self.at += 1;
                        continue;
                    }
                    _ => return,
                }
            }
            self.at += 1;
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline]
    fn consume(&mut self, count: u32) -> Result<(), Fault> {
        if count > self.count {
            return Err(Fault::Ends);
        }
        self.buffer <<= count;
        self.count -= count;
        Ok(())
    }

    /// The next bits as a number; up to 16.
    #[inline]
    pub fn take(&mut self, count: u32) -> Result<u32, Fault> {
        if count == 0 {
            return Ok(0);
        }
        if self.count < count {
            self.refill();
        }
        let bits = (self.buffer >> (64 - count)) as u32;
        self.consume(count)?;
        Ok(bits)
    }

    /// The value of the next code.
    #[inline]
    pub fn decode(&mut self, table: &Table) -> Result<u8, Fault> {
        if self.count < 16 {
            self.refill();
        }
        let (length, value) = table.fast[(self.buffer >> (64 - FAST)) as usize];
        if length != 0 {
            self.consume(length.into())?;
            return Ok(value);
        }
        let next = (self.buffer >> 48) as u32;
        for length in FAST + 1..=16 {
            if next < table.end[length as usize] {
                let code = (next >> (16 - length)) as i32;
                let index = code + table.offset[length as usize];
                self.consume(length)?;
                return table.values.get(index as usize).copied().ok_or(Fault::InvalidCode);
            }
        }
        Err(if self.count < 16 { Fault::Ends } else { Fault::InvalidCode })
    }

    /// The number of a category's bits, as in Figure F.12 of T.81.
    #[inline]
    pub fn extend(&mut self, category: u32) -> Result<i32, Fault> {
        let bits = self.take(category)? as i32;
        let half = if category == 0 { 0 } else { 1 << (category - 1) };
        Ok(if bits < half { bits - (1 << category) + 1 } else { bits })
    }

    /// Goes to the next marker or the end; how many bytes other than padding were left.
    pub fn skip_rest(&mut self) -> usize {
        let mut left = 0;
        // The incomplete byte is padding.
        let _ = self.consume(self.count % 8);
        loop {
            self.refill();
            if self.count < 8 {
                return left;
            }
            let byte = (self.buffer >> 56) as u8;
            left += usize::from(byte != 0 && byte != 0xFF);
            let _ = self.consume(8);
        }
    }

    /// Takes the restart marker with this number, 0 to 7, which must be next.
    pub fn restart(&mut self, number: u8) -> bool {
        let found = self.data.get(self.at..self.at + 2) == Some(&[0xFF, 0xD0 + number]);
        if found {
            self.at += 2;
            (self.buffer, self.count) = (0, 0);
        }
        found
    }

    /// Where the next whole byte is that no code has used.
    pub fn position(&self) -> usize {
        let mut at = self.at;
        for _ in 0..self.count / 8 {
            at -= 1;
            if self.data[at] == 0 && at > 0 && self.data[at - 1] == 0xFF {
                at -= 1;
            }
        }
        at
    }
}
