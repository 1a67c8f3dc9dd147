//! A line in the making.

/// Room for the longest line that there can be: every column at its widest takes less than half.
pub const ROOM: usize = 8192;

/// Text in memory that does not grow, handed from step to step: so its length stays in a register.
/// A line has a hundred small steps; a vector, whose length each step would take from memory and put
/// back, costs more than the steps themselves. What has no room is left out.
#[must_use]
pub struct Line<'a, const N: usize = ROOM> {
    bytes: &'a mut [u8; N],
    len: usize,
}

impl<'a, const N: usize> Line<'a, N> {
    /// As many at once as most columns need.
    const BLANKS: [u8; 32] = [b' '; 32];

    /// An empty one, in this memory.
    #[inline]
    pub const fn new(room: &'a mut [u8; N]) -> Self {
        Self { bytes: room, len: 0 }
    }

    /// How long it is.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is in it, from there on.
    #[must_use]
    #[inline]
    pub fn from(&self, begin: usize) -> &[u8] {
        self.bytes.get(begin..self.len).unwrap_or_default()
    }

    /// All that is in it.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.from(0)
    }

    /// With a byte more.
    #[inline]
    pub fn push(self, byte: u8) -> Self {
        self.push_first(&[byte], 1)
    }

    /// With more text.
    #[inline]
    pub fn push_all(mut self, text: &[u8]) -> Self {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + text.len()) {
            place.copy_from_slice(text);
            self.len += text.len();
        }
        self
    }

    /// With the first bytes of a short text. To copy all of it and to count only some is two
    /// instructions; a number that is not known beforehand takes a call.
    #[inline]
    pub fn push_first<const M: usize>(mut self, text: &[u8; M], count: usize) -> Self {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + M) {
            place.copy_from_slice(text);
            self.len += count.min(M);
        }
        self
    }

    /// With what is written in place: into room for the longest that it may be, of which the first bytes
    /// count.
    #[inline]
    pub fn push_with<const M: usize>(mut self, write: impl FnOnce(&mut [u8; M]) -> usize) -> Self {
        if let Some(room) = self.bytes.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut) {
            self.len += write(room).min(M);
        }
        self
    }

    /// Without what is behind so many bytes.
    #[inline]
    pub fn truncated(mut self, len: usize) -> Self {
        self.len = self.len.min(len);
        self
    }

    /// With so many blanks more.
    #[inline]
    pub fn push_blanks(mut self, mut count: usize) -> Self {
        while count > Self::BLANKS.len() {
            self = self.push_first(&Self::BLANKS, Self::BLANKS.len());
            count -= Self::BLANKS.len();
        }
        self.push_first(&Self::BLANKS, count)
    }

    /// With what begins there moved to the right, behind so many blanks.
    #[inline]
    pub fn indented(mut self, begin: usize, blanks: usize) -> Self {
        if blanks == 0 {
            return self;
        }
        let end = self.len;
        // Most cells are short: see `push_first`.
        if begin <= end
            && end - begin <= 16
            && blanks <= Self::BLANKS.len()
            && let Some((place, _)) = self.bytes[begin..].split_first_chunk_mut::<64>()
        {
            let mut cell = [0; 16];
            cell.copy_from_slice(&place[..16]);
            place[..Self::BLANKS.len()].copy_from_slice(&Self::BLANKS);
            place[blanks..blanks + 16].copy_from_slice(&cell);
            self.len += blanks;
            return self;
        }
        if begin <= end && end + blanks <= N {
            self.bytes.copy_within(begin..end, begin + blanks);
            self.bytes[begin..begin + blanks].fill(b' ');
            self.len += blanks;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_moved_whatever_their_length() {
        for len in [0, 1, 15, 16, 17, 40] {
            for blanks in [0, 1, 31, 32, 33, 70] {
                let cell = "x".repeat(len);
                let mut room = [b'?'; 256];
                let line = Line::new(&mut room).push_all(b"ab").push_all(cell.as_bytes());
                let expected = format!("ab{}{cell}", " ".repeat(blanks));
                assert_eq!(line.indented(2, blanks).as_bytes(), expected.as_bytes());
                let line = Line::new(&mut room).push_all(b"ab").push_blanks(blanks);
                assert_eq!(line.as_bytes(), format!("ab{}", " ".repeat(blanks)).as_bytes());
            }
        }
    }

    #[test]
    fn what_is_written_in_place_counts_as_far_as_it_says() {
        let write = |count| {
            move |room: &mut [u8; 4]| {
                *room = *b"abcd";
                count
            }
        };
        let mut room = [0; 8];
        let line = Line::new(&mut room).push_with(write(2)).push_with(write(9));
        assert_eq!(line.as_bytes(), b"ababcd");
    }

    #[test]
    fn what_has_no_room_is_left_out() {
        let mut room = [0; 8];
        let line = Line::new(&mut room).push_all(b"12345").push_all(b"abcd").push_first(b"67890", 2);
        assert_eq!(line.as_bytes(), b"12345");
        let line = line.push_with(|room: &mut [u8; 4]| room.len());
        assert_eq!(line.as_bytes(), b"12345");
        let line = line.push_first(b"678", 1).indented(4, 3).indented(4, 2);
        assert_eq!(line.as_bytes(), b"1234  56");
        let line = line.truncated(9).truncated(2).push(b'3');
        assert_eq!((line.as_bytes(), line.from(1), line.from(4)), (&b"123"[..], &b"23"[..], &b""[..]));
    }
}
