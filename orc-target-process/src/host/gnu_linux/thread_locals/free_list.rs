//! Which bytes of the reserve are free.

use std::collections::BTreeMap;

/// Free pieces by offset; no two touch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FreeList {
    pieces: BTreeMap<u64, u64>,
}

impl FreeList {
    /// `size` free bytes from offset 0.
    pub fn new(size: u64) -> Self {
        let pieces = (size != 0).then_some((0, size)).into_iter().collect();
        Self { pieces }
    }

    /// Takes `size` bytes at the first offset where `origin + offset` is a multiple of `align`.
    pub fn take(&mut self, size: u64, align: u64, origin: u64) -> Option<u64> {
        let (piece, length, start) = self.pieces.iter().find_map(|(&piece, &length)| {
            let unaligned = origin.wrapping_add(piece) % align;
            let padding = if unaligned == 0 { 0 } else { align - unaligned };
            let needed = padding.checked_add(size)?;
            (needed <= length).then(|| (piece, length, piece + padding))
        })?;
        self.pieces.remove(&piece);
        if start > piece {
            self.pieces.insert(piece, start - piece);
        }
        let (end, piece_end) = (start + size, piece + length);
        if end < piece_end {
            self.pieces.insert(end, piece_end - end);
        }
        Some(start)
    }

    /// Gives back what [`Self::take`] returned.
    pub fn give(&mut self, start: u64, size: u64) {
        let (mut start, mut end) = (start, start + size);
        if let Some((&piece, &length)) = self.pieces.range(..start).next_back()
            && piece + length == start
        {
            self.pieces.remove(&piece);
            start = piece;
        }
        if let Some(length) = self.pieces.remove(&end) {
            end += length;
        }
        self.pieces.insert(start, end - start);
    }

    /// Number of free bytes.
    pub fn free(&self) -> u64 {
        self.pieces.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_fit_with_alignment_from_the_origin() {
        let mut list = FreeList::new(100);
        assert_eq!(list.take(3, 1, 0), Some(0));
        assert_eq!(list.take(8, 8, 0), Some(8));
        // The address is origin + offset: 4 + 4 is a multiple of 8.
        assert_eq!(list.take(4, 8, 4), Some(4));
        assert_eq!(list.take(1, 1, 0), Some(3));
        assert_eq!(list.take(85, 1, 0), None);
        assert_eq!(list.take(84, 1, 0), Some(16));
        assert_eq!(list.free(), 0);
        assert_eq!(list.take(1, 1, 0), None);
    }

    #[test]
    fn given_back_pieces_join() {
        let mut list = FreeList::new(64);
        let taken: Vec<u64> = (0..4)
            .map(|_| list.take(16, 16, 0).expect("free"))
            .collect();
        for at in [1, 3, 0, 2] {
            list.give(taken[at], 16);
        }
        assert_eq!(list, FreeList::new(64));
    }

    #[test]
    fn sizes_that_overflow_do_not_fit() {
        let mut list = FreeList::new(64);
        assert_eq!(list.take(1, 64, 63), Some(1));
        assert_eq!(list.take(u64::MAX, 64, 1), None);
    }
}
