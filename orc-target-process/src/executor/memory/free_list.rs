//! Extents and the ones that are free, by address and by size.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Candidates looked at for one request: alignment and slots may make the best fits useless.
const CANDIDATES_MAX: usize = 16;

/// A piece of a range's address space. Extents of a stripe's part below its cursor tile it: padding
/// belongs to the extent it precedes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Its addresses.
    pub(crate) range: Range<u64>,
    /// Its entries of the frame table, if it is text that already has some.
    pub(crate) slots: Option<Range<u32>>,
}

impl Extent {
    /// Number of its entries in the frame table.
    pub(crate) fn slot_count(&self) -> u32 {
        self.slots
            .as_ref()
            .map_or(0, |slots| slots.end - slots.start)
    }
}

/// Free extents, adjacent ones joined.
#[derive(Debug, Default)]
pub(crate) struct FreeList {
    by_start: BTreeMap<u64, Extent>,
    by_size: BTreeSet<(u64, u64)>,
}

/// What a request took from the free list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The extent that now belongs to the request.
    pub(crate) extent: Extent,
    /// The aligned address in it.
    pub(crate) addr: u64,
    /// What is left behind it, still free.
    pub(crate) rest: Option<Extent>,
}

impl FreeList {
    /// Adds an extent and returns the free extent it is now part of.
    pub(crate) fn insert(&mut self, extent: Extent) -> Extent {
        let mut joined = extent;
        let before = self.by_start.range(..joined.range.start).next_back();
        if let Some((&start, left)) = before
            && left.range.end == joined.range.start
        {
            let left = self.remove(start);
            joined = join(left, joined);
        }
        if self.by_start.contains_key(&joined.range.end) {
            let right = self.remove(joined.range.end);
            joined = join(joined, right);
        }
        self.add(joined.clone());
        joined
    }

    /// Takes `size` bytes, aligned to `align`, with at least `slots` entries of the frame table.
    ///
    /// The request starts as low as it can in its extent. A rest too small to be useful
    /// (under `rest_min` bytes) goes with it.
    pub(crate) fn take(
        &mut self,
        size: u64,
        align: u64,
        slots: u32,
        rest_min: u64,
    ) -> Option<Taken> {
        let (start, addr) = self
            .by_size
            .range((size, 0)..)
            .take(CANDIDATES_MAX)
            .find_map(|&(_, start)| self.fits(start, size, align, slots))?;
        let mut extent = self.remove(start);
        let end = addr + size;
        if extent.range.end - end < rest_min {
            return Some(Taken {
                extent,
                addr,
                rest: None,
            });
        }
        let rest = Extent {
            range: end..extent.range.end,
            slots: extent.slots.as_ref().map(|all| all.start + slots..all.end),
        };
        extent.range.end = end;
        extent.slots = extent.slots.map(|all| all.start..all.start + slots);
        self.add(rest.clone());
        Some(Taken {
            extent,
            addr,
            rest: Some(rest),
        })
    }

    /// Bytes in all extents.
    pub(crate) fn bytes(&self) -> u64 {
        self.by_size.iter().map(|(size, _)| size).sum()
    }

    fn fits(&self, start: u64, size: u64, align: u64, slots: u32) -> Option<(u64, u64)> {
        let extent = self.by_start.get(&start)?;
        let addr = start.checked_next_multiple_of(align)?;
        let fits = addr.checked_add(size)? <= extent.range.end && extent.slot_count() >= slots;
        fits.then_some((start, addr))
    }

    fn add(&mut self, extent: Extent) {
        let size = extent.range.end - extent.range.start;
        self.by_size.insert((size, extent.range.start));
        self.by_start.insert(extent.range.start, extent);
    }

    fn remove(&mut self, start: u64) -> Extent {
        let extent = self.by_start.remove(&start).unwrap_or(Extent {
            range: start..start,
            slots: None,
        });
        self.by_size.remove(&(extent.range.end - start, start));
        extent
    }
}

/// Joins neighbours. Between them lies no other extent, so their slots are neighbours too.
fn join(left: Extent, right: Extent) -> Extent {
    let slots = match (left.slots, right.slots) {
        (Some(a), Some(b)) if a.is_empty() => Some(b),
        (Some(a), Some(b)) if b.is_empty() => Some(a),
        (Some(a), Some(b)) => Some(a.start..b.end),
        (one, other) => one.or(other),
    };
    Extent {
        range: left.range.start..right.range.end,
        slots,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(range: Range<u64>, slots: Range<u32>) -> Extent {
        Extent {
            range,
            slots: Some(slots),
        }
    }

    #[test]
    fn neighbours_join_with_their_slots() {
        let mut list = FreeList::default();
        list.insert(text(0..16, 0..2));
        list.insert(text(32..48, 5..6));
        assert_eq!(list.insert(text(16..32, 2..5)), text(0..48, 0..6));
        assert_eq!(list.bytes(), 48);
        let taken = list.take(20, 16, 3, 8).unwrap();
        assert_eq!(taken.extent, text(0..20, 0..3));
        assert_eq!(taken.rest, Some(text(20..48, 3..6)));
        assert_eq!(list.take(4, 16, 4, 8), None, "only three slots are left");
        let taken = list.take(12, 16, 2, 8).unwrap();
        assert_eq!(taken.addr, 32);
        assert_eq!(
            taken.extent,
            text(20..48, 3..6),
            "a rest of four bytes goes with the request"
        );
        assert_eq!(list.bytes(), 0);
    }

    #[test]
    fn best_fit_that_alignment_allows() {
        let mut list = FreeList::default();
        for range in [4..40_u64, 64..104, 200..1000] {
            list.insert(Extent { range, slots: None });
        }
        assert_eq!(list.take(36, 64, 0, 1).unwrap().addr, 64);
        assert_eq!(list.take(36, 4, 0, 1).unwrap().addr, 4);
        assert_eq!(list.take(2000, 1, 0, 1), None);
        assert_eq!(list.take(8, u64::MAX / 2 + 1, 0, 1), None);
    }
}
