//! A stripe: the part of a range whose pages share one permission and one way of being filled.
//!
//! A stripe takes pages from the range in pieces that grow with it, so that a hundred thousand
//! small allocations make a handful of mappings, and an address space hole costs nothing until it
//! is touched.

use std::ops::Range;

use super::free_list::{Extent, FreeList, Taken};
use crate::host::MemoryError;

/// First piece of pages that a stripe takes.
const FIRST_PIECE: u64 = 256 << 10;
/// Largest piece it takes ahead of need.
const PIECE_MAX: u64 = 16 << 20;
/// Rests of free extents smaller than this are not kept.
const REST_MIN: u64 = 64;

/// The pages of a range that no stripe has taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pages {
    /// First page that is free; all up to the end are.
    pub(crate) next: u64,
    /// End of the range's pages.
    pub(crate) end: u64,
    /// Size of a page in bytes.
    pub(crate) page: u64,
}

/// One stripe.
#[derive(Debug, Default)]
pub(crate) struct Stripe {
    /// Pages taken and never used: they are zero, and above everything used.
    pub(crate) fresh: Range<u64>,
    /// Space given back.
    pub(crate) free: FreeList,
    /// Bytes of pages taken.
    pub(crate) claimed: u64,
    /// Whether allocations are whole pages of their own, taken as needed and not ahead.
    pub(crate) whole_pages: bool,
}

/// What a stripe gives to a request.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) extent: Extent,
    /// The aligned address in the extent.
    pub(crate) addr: u64,
    /// For space used before: what remains free behind it.
    pub(crate) rest: Option<Extent>,
    /// Whether the space was used before. Pages that were free as a whole are zero all the same.
    pub(crate) reused: bool,
    /// The end of an earlier piece that the request did not fit, and that is not used for new
    /// allocations any more.
    pub(crate) left_over: Option<Range<u64>>,
}

impl Stripe {
    /// A stripe whose allocations have pages of their own.
    pub(crate) fn of_whole_pages() -> Self {
        Self {
            whole_pages: true,
            ..Self::default()
        }
    }

    /// Takes `size` bytes aligned to `align`; for reused text, with at least `slots` frame-table
    /// entries. `claim` prepares pages that the stripe takes from the range; nothing is changed if
    /// it fails. `None` if neither the stripe nor the range has room.
    pub(crate) fn take(
        &mut self,
        pages: &mut Pages,
        (size, align, slots): (u64, u64, u32),
        claim: impl FnOnce(Range<u64>) -> Result<(), MemoryError>,
    ) -> Result<Option<Place>, MemoryError> {
        let (size, align, rest_min) = if self.whole_pages {
            let Some(size) = size.checked_next_multiple_of(pages.page) else {
                return Ok(None);
            };
            (size, align.max(pages.page), pages.page)
        } else {
            (size, align, REST_MIN)
        };
        if let Some(Taken { extent, addr, rest }) = self.free.take(size, align, slots, rest_min) {
            return Ok(Some(Place {
                extent,
                addr,
                rest,
                reused: true,
                left_over: None,
            }));
        }
        if let Some(place) = self.bump(size, align) {
            return Ok(Some(place));
        }
        let Some((fresh, grown)) = self.growth(pages, size, align) else {
            return Ok(None);
        };
        claim(grown.clone())?;
        let left_over =
            (fresh.start != self.fresh.start && !self.fresh.is_empty()).then(|| self.fresh.clone());
        self.claimed += grown.end - grown.start;
        pages.next = grown.end;
        self.fresh = fresh;
        Ok(self
            .bump(size, align)
            .map(|place| Place { left_over, ..place }))
    }

    /// Takes its first pages ahead of need, if the range has them and it took none yet.
    pub(crate) fn start(
        &mut self,
        pages: &mut Pages,
        claim: impl FnOnce(Range<u64>) -> Result<(), MemoryError>,
    ) -> Result<(), MemoryError> {
        let first = pages.next..pages.next.saturating_add(FIRST_PIECE);
        if self.claimed > 0 || first.end > pages.end {
            return Ok(());
        }
        claim(first.clone())?;
        self.claimed = FIRST_PIECE;
        pages.next = first.end;
        self.fresh = first;
        Ok(())
    }

    /// Takes from the fresh pages.
    fn bump(&mut self, size: u64, align: u64) -> Option<Place> {
        let addr = self.fresh.start.checked_next_multiple_of(align)?;
        let end = addr
            .checked_add(size)
            .filter(|&end| end <= self.fresh.end)?;
        let range = self.fresh.start..end;
        self.fresh.start = end;
        Some(Place {
            extent: Extent { range, slots: None },
            addr,
            rest: None,
            reused: false,
            left_over: None,
        })
    }

    /// How the stripe would grow for a request: its fresh pages then, and the pages to take.
    fn growth(&self, pages: &Pages, size: u64, align: u64) -> Option<(Range<u64>, Range<u64>)> {
        let extends = self.fresh.end == pages.next && self.fresh.end != 0;
        let start = if extends {
            self.fresh.start
        } else {
            pages.next
        };
        let end = start.checked_next_multiple_of(align)?.checked_add(size)?;
        let needed = end.checked_next_multiple_of(pages.page)?;
        if needed > pages.end {
            return None;
        }
        let ahead = match self.whole_pages {
            true => 0,
            false => self.claimed.clamp(FIRST_PIECE, PIECE_MAX),
        };
        let grown = needed.max(pages.next.saturating_add(ahead).min(pages.end));
        Some((start..grown, pages.next..grown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Pages {
        Pages {
            next: 0x10000,
            end: 0x10000 + (64 << 20),
            page: 4096,
        }
    }

    fn take(stripe: &mut Stripe, pages: &mut Pages, size: u64, align: u64) -> Option<Place> {
        stripe.take(pages, (size, align, 0), |_| Ok(())).unwrap()
    }

    #[test]
    fn small_requests_share_pages_in_address_order() {
        let (mut stripe, mut pages) = (Stripe::default(), pages());
        let first = take(&mut stripe, &mut pages, 10, 16).unwrap();
        let second = take(&mut stripe, &mut pages, 10, 16).unwrap();
        assert_eq!((first.addr, second.addr), (0x10000, 0x10010));
        assert_eq!(
            second.extent.range,
            0x1000a..0x1001a,
            "padding belongs to the extent behind it"
        );
        assert_eq!(stripe.claimed, FIRST_PIECE);
    }

    #[test]
    fn a_failing_claim_changes_nothing() {
        let (mut stripe, mut pages) = (Stripe::default(), pages());
        let before = pages.clone();
        let fails = stripe.take(&mut pages, (10, 16, 0), |range| {
            Err(MemoryError::system("x", range))
        });
        assert!(fails.is_err());
        assert_eq!(pages, before);
        assert_eq!((stripe.claimed, stripe.fresh.clone()), (0, 0..0));
    }

    #[test]
    fn growth_extends_or_leaves_a_rest() {
        let (mut stripe, mut pages) = (Stripe::default(), pages());
        take(&mut stripe, &mut pages, 10, 16).unwrap();
        let large = take(&mut stripe, &mut pages, 1 << 20, 16).unwrap();
        assert!(
            large.left_over.is_none(),
            "the pages behind are free: the piece grows"
        );
        pages.next += 4096; // Another stripe takes a page.
        let next = take(&mut stripe, &mut pages, 1 << 20, 4096).unwrap();
        assert!(next.addr > large.addr);
        assert!(take(&mut stripe, &mut pages, 64 << 20, 1).is_none());
        let mut own = Stripe::of_whole_pages();
        let place = take(&mut own, &mut pages, 5000, 1).unwrap();
        assert_eq!(place.extent.range.end - place.extent.range.start, 8192);
        assert_eq!(own.claimed, 8192);
    }
}
