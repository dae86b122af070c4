//! Which range of the executor a dylib's next allocation goes to.
//!
//! A dylib starts with a range near the process's libraries. Its first batch with 32-bit absolute
//! addresses opens one below 2 GiB, which is the dylib's current range from then on. No lock is
//! held while the executor opens a range: that may wait for the loader, and the loader may be
//! running code that waits for a link.

use hashbrown::HashMap;
use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::Mutex;

use crate::batch::DylibId;
use crate::executor::api::{Placement, RangeId};
use crate::executor::{ExecutorControl, ExecutorResult};

/// An open range.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenRange {
    pub(super) id: RangeId,
    pub(super) extent: ExecutorAddrRange,
    low: bool,
}

/// The current range of every dylib.
#[derive(Default)]
pub(super) struct Ranges {
    current: Mutex<HashMap<DylibId, OpenRange>>,
}

impl Ranges {
    /// The range for a batch of `dylib` that has to lie below 2 GiB or not.
    pub(super) fn current(
        &self,
        executor: &dyn ExecutorControl,
        dylib: DylibId,
        low: bool,
    ) -> ExecutorResult<OpenRange> {
        let known = self.current.lock().get(&dylib).copied();
        match known {
            Some(range) if range.low || !low => Ok(range),
            _ => self.open(executor, dylib, low, known),
        }
    }

    /// Replaces a full range. Another link may have done so already.
    pub(super) fn replace(
        &self,
        executor: &dyn ExecutorControl,
        dylib: DylibId,
        full: RangeId,
        low: bool,
    ) -> ExecutorResult<OpenRange> {
        let known = self.current.lock().get(&dylib).copied();
        match known {
            Some(range) if range.id != full && (range.low || !low) => Ok(range),
            _ => self.open(executor, dylib, low, known),
        }
    }

    fn open(
        &self,
        executor: &dyn ExecutorControl,
        dylib: DylibId,
        low: bool,
        known: Option<OpenRange>,
    ) -> ExecutorResult<OpenRange> {
        let placement = if low {
            Placement::Low2GiB
        } else {
            Placement::NearLibraries
        };
        let (id, extent) = executor.open_range(placement)?;
        let range = OpenRange { id, extent, low };
        let mut current = self.current.lock();
        match current.get(&dylib) {
            // Another link opened one meanwhile: use that, so that the dylib stays together.
            Some(other) if Some(other.id) != known.map(|range| range.id) && (other.low || !low) => {
                Ok(*other)
            }
            _ => {
                current.insert(dylib, range);
                Ok(range)
            }
        }
    }
}

/// What a signed 32-bit displacement spans, less a margin for addends and for the bytes between
/// a field and the end of its instruction.
const REACH: u64 = (1 << 31) - (1 << 20);

/// Whether everything in `extent` reaches `addr` with a signed 32-bit displacement.
pub(super) fn reaches(extent: ExecutorAddrRange, addr: ExecutorAddr) -> bool {
    let distance = |from: ExecutorAddr| (addr - from).value().unsigned_abs();
    distance(extent.start) < REACH && distance(extent.end) < REACH
}

/// Whether everything in one extent reaches everything in another.
pub(super) fn reach_each_other(a: ExecutorAddrRange, b: ExecutorAddrRange) -> bool {
    reaches(a, b.start) && reaches(a, b.end)
}

/// Whether all addresses in `extent` fit 31 bits, and so both signed and unsigned 32-bit fields.
pub(super) fn is_low(extent: ExecutorAddrRange) -> bool {
    extent.end.value() <= 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> ExecutorAddrRange {
        ExecutorAddrRange {
            start: ExecutorAddr::new(start),
            end: ExecutorAddr::new(end),
        }
    }

    #[test]
    fn reach_ends_before_two_gib_from_the_far_end() {
        let extent = range(0x10_0000_0000, 0x10_4000_0000);
        assert!(reaches(extent, ExecutorAddr::new(0x10_7fe0_0000)));
        assert!(!reaches(extent, ExecutorAddr::new(0x10_8000_0000)));
        assert!(reaches(extent, ExecutorAddr::new(0x0f_c020_0000)));
        assert!(!reaches(extent, ExecutorAddr::new(0x0f_c000_0000)));
        assert!(!reaches(extent, ExecutorAddr::NULL));
    }

    #[test]
    fn low_means_31_bits() {
        assert!(is_low(range(0x1000, 0x8000_0000)));
        assert!(!is_low(range(0x1000, 0x8000_1000)));
    }
}
