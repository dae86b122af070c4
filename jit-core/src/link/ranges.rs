//! Which range of the executor an allocation goes to.
//!
//! All dylibs share two ranges: one near the process's libraries, and one below 2 GiB that is opened
//! for the first batch with 32-bit absolute addresses. So dylibs reach each other and the libraries
//! directly, and a dylib costs no range. A dylib whose code needed low addresses once stays low, so
//! that its parts stay together. A range that is full is replaced.
//!
//! No lock is held while the executor opens a range: that may wait for the loader, and the loader
//! may be running code that waits for a link.

use hashbrown::HashSet;
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
}

impl OpenRange {
    /// Whether it is another one than `full`, and large enough while it is empty. An executor's tables take a
    /// part in sixteen; if they take more, the allocation will tell.
    fn is_usable(&self, full: Option<RangeId>, least: u64) -> bool {
        let size = self.extent.size();
        Some(self.id) != full && least <= size - size / 16
    }
}

/// The ranges that allocations go to at the moment.
#[derive(Default)]
pub(super) struct Ranges {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    near: Option<OpenRange>,
    low: Option<OpenRange>,
    /// For data that may lie anywhere.
    apart: Option<OpenRange>,
    /// Dylibs with code that needs low addresses.
    low_dylibs: HashSet<DylibId>,
}

impl State {
    fn current(&mut self, low: bool) -> &mut Option<OpenRange> {
        if low { &mut self.low } else { &mut self.near }
    }
}

impl Ranges {
    /// The range for a batch of `dylib` that has to lie below 2 GiB or not, and takes `least` bytes.
    pub(super) fn current(
        &self,
        executor: &dyn ExecutorControl,
        dylib: DylibId,
        low: bool,
        least: u64,
    ) -> ExecutorResult<OpenRange> {
        self.other_than(executor, dylib, None, low, least)
    }

    /// Replaces a full range. Another link may have done so already.
    pub(super) fn replace(
        &self,
        executor: &dyn ExecutorControl,
        dylib: DylibId,
        full: RangeId,
        low: bool,
        least: u64,
    ) -> ExecutorResult<OpenRange> {
        self.other_than(executor, dylib, Some(full), low, least)
    }

    /// The range for data that may lie anywhere and takes `least` bytes; one that is not `full`.
    pub(super) fn apart(
        &self,
        executor: &dyn ExecutorControl,
        full: Option<RangeId>,
        least: u64,
    ) -> ExecutorResult<OpenRange> {
        let current = self.state.lock().apart;
        if let Some(range) = current.filter(|range| range.is_usable(full, least)) {
            return Ok(range);
        }
        let (id, extent) = executor.open_range(Placement::Anywhere, least)?;
        let range = OpenRange { id, extent };
        self.state.lock().apart = Some(range);
        Ok(range)
    }

    /// Forgets what is known of a dylib that is gone.
    pub(super) fn forget(&self, dylib: DylibId) {
        self.state.lock().low_dylibs.remove(&dylib);
    }

    /// The current range, opened if there is none but `full`.
    fn other_than(
        &self,
        executor: &dyn ExecutorControl,
        dylib: DylibId,
        full: Option<RangeId>,
        low: bool,
        least: u64,
    ) -> ExecutorResult<OpenRange> {
        let usable = |range: &OpenRange| range.is_usable(full, least);
        let low = {
            let mut state = self.state.lock();
            if low {
                state.low_dylibs.insert(dylib);
            }
            let low = low || state.low_dylibs.contains(&dylib);
            if let Some(range) = state.current(low).filter(usable) {
                return Ok(range);
            }
            low
        };
        let placement = if low {
            Placement::Low2GiB
        } else {
            Placement::NearLibraries
        };
        let (id, extent) = executor.open_range(placement, least)?;
        let mut state = self.state.lock();
        let current = state.current(low);
        // Another link may have opened one meanwhile: what is linked at one time stays together.
        if let Some(range) = current.filter(usable) {
            return Ok(range);
        }
        let range = OpenRange { id, extent };
        *current = Some(range);
        Ok(range)
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
