//! Which entries of the frame table belong to which extent of text.
//!
//! Entries are sorted by address and can only be appended, or changed within the extent they belong
//! to (`frame_table` says why). Code addresses grow, so the first allocation to be finalized
//! appends its entries. But allocations are finalized in any order. When one is, those that were
//! placed below it and are still being filled would come too late: so entries are appended for them
//! first, empty ones that they fill later, as many as they announced. Space below that is not in
//! use gets a few as well, so that it can be used later.
//!
//! The *frontier* is the highest address that the table has reached. Text above it has no entries
//! and waits; text below it has the entries it got, which from then on go with the space: to
//! whatever is allocated in it after a release.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::free_list::Extent;
use crate::host::MemoryError;
use crate::host::range::frame_table::FrameTable;

/// Most entries that unused space gets when the frontier passes it.
const UNUSED_SLOTS_MAX: u64 = 256;

/// Text above the frontier.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiting {
    end: u64,
    /// Entries that it may need.
    slots: u32,
    /// The stripe it is to be given back to when the frontier passes it; `None` while it is in use.
    unused_of: Option<usize>,
}

/// Text extents without entries, and entries given to extents that are still being filled.
#[derive(Debug, Default)]
pub(crate) struct TextOrder {
    waiting: BTreeMap<u64, Waiting>,
    given: HashMap<u64, Range<u32>>,
    promised: u64,
}

impl TextOrder {
    /// Entries that the table may have to provide for what waits.
    pub(crate) fn promised(&self) -> u64 {
        self.promised
    }

    /// Enters an extent above the frontier that is in use and may need `slots` entries.
    pub(crate) fn enter(&mut self, range: &Range<u64>, slots: u32) {
        self.promised += u64::from(slots);
        let waiting = Waiting {
            end: range.end,
            slots,
            unused_of: None,
        };
        self.waiting.insert(range.start, waiting);
    }

    /// Enters space above the frontier that `stripe` does not use any more.
    pub(crate) fn enter_unused(&mut self, range: Range<u64>, stripe: usize) {
        let waiting = Waiting {
            end: range.end,
            slots: 0,
            unused_of: Some(stripe),
        };
        self.waiting.insert(range.start, waiting);
    }

    /// Takes an extent out, which is about to get its entries or to be given back.
    /// True if it had none yet.
    pub(crate) fn leave(&mut self, start: u64) -> bool {
        let left = self.waiting.remove(&start);
        self.promised -= left.as_ref().map_or(0, |waiting| u64::from(waiting.slots));
        left.is_some()
    }

    /// The entries that an extent got while it was being filled.
    pub(crate) fn take_given(&mut self, start: u64) -> Option<Range<u32>> {
        self.given.remove(&start)
    }

    /// Moves the frontier up to `frontier`: gives entries to all that waits below it. Returns the
    /// unused extents among them, each with its stripe.
    pub(crate) fn pass(
        &mut self,
        frontier: u64,
        table: &mut FrameTable,
    ) -> Result<Vec<(usize, Extent)>, MemoryError> {
        let mut unused = Vec::new();
        while let Some((&start, waiting)) = self.waiting.first_key_value()
            && start < frontier
        {
            let waiting = waiting.clone();
            match waiting.unused_of {
                None => {
                    let slots = table.append_empty(waiting.slots, start)?;
                    self.given.insert(start, slots);
                }
                Some(stripe) => {
                    let wanted =
                        slots_wanted(waiting.end - start, None).min(UNUSED_SLOTS_MAX as u32);
                    let free = u64::from(table.room()).saturating_sub(self.promised);
                    let slots = table.append_empty(wanted.min(free as u32), waiting.end - 1)?;
                    let extent = Extent {
                        range: start..waiting.end,
                        slots: Some(slots),
                    };
                    unused.push((stripe, extent));
                }
            }
            self.leave(start);
        }
        Ok(unused)
    }
}

/// Entries to keep for `size` bytes of code: one for each of its frames and one for its end. If
/// their number is not known, one for each 64 bytes.
pub(crate) fn slots_wanted(size: u64, frames: Option<usize>) -> u32 {
    let frames = frames.map_or(size / 64 + 1, |frames| (frames as u64).min(size));
    u32::try_from(frames + 1).unwrap_or(u32::MAX)
}
