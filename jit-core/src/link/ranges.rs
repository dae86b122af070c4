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
    /// All that were opened, full ones included.
    opened: Vec<RangeId>,
    /// Dylibs with code that needs low addresses.
    low_dylibs: HashSet<DylibId>,
}

impl State {
    fn current(&mut self, placement: Placement) -> &mut Option<OpenRange> {
        match placement {
            Placement::NearLibraries => &mut self.near,
            Placement::Low2GiB => &mut self.low,
            Placement::Anywhere => &mut self.apart,
        }
    }
}

impl Ranges {
    /// The range for a batch of `dylib` that has to lie below 2 GiB or not, and takes `least` bytes; another
    /// one than `full`, which another link may have replaced already.
    pub(super) fn of_dylib(
        &self,
        executor: &dyn ExecutorControl,
        (dylib, low): (DylibId, bool),
        full: Option<RangeId>,
        least: u64,
    ) -> ExecutorResult<OpenRange> {
        let low = {
            let dylibs = &mut self.state.lock().low_dylibs;
            if low {
                dylibs.insert(dylib);
            }
            dylibs.contains(&dylib)
        };
        let placement = match low {
            true => Placement::Low2GiB,
            false => Placement::NearLibraries,
        };
        self.usable(executor, placement, full, least)
    }

    /// The range for data that may lie anywhere and takes `least` bytes; another one than `full`.
    pub(super) fn apart(
        &self,
        executor: &dyn ExecutorControl,
        full: Option<RangeId>,
        least: u64,
    ) -> ExecutorResult<OpenRange> {
        self.usable(executor, Placement::Anywhere, full, least)
    }

    /// Forgets what is known of a dylib that is gone.
    pub(super) fn forget(&self, dylib: DylibId) {
        self.state.lock().low_dylibs.remove(&dylib);
    }

    /// Gives the ranges back to the process.
    pub(super) fn close(&self, executor: &dyn ExecutorControl) {
        let opened = std::mem::take(&mut self.state.lock().opened);
        for range in opened {
            executor.close_range(range);
        }
    }

    /// The current range, opened if there is none, or not this one.
    fn usable(
        &self,
        executor: &dyn ExecutorControl,
        placement: Placement,
        full: Option<RangeId>,
        least: u64,
    ) -> ExecutorResult<OpenRange> {
        let usable = |range: &OpenRange| range.is_usable(full, least);
        if let Some(range) = self.state.lock().current(placement).filter(usable) {
            return Ok(range);
        }
        let (id, extent) = executor.open_range(placement, least)?;
        let mut state = self.state.lock();
        state.opened.push(id);
        let current = state.current(placement);
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
