//! Which functions an executor calls, and which pointers it writes once they are final.
//!
//! The linker of this process is safe code and may name any address. So its executor calls only code, and
//! writes only data, that it has itself made final and not released: what was linked for it. That such an
//! address is the start of a wrapper function or a pointer, and that nobody releases it meanwhile, is what
//! the session sees to that linked it. An executor that serves a trusted controller takes what that names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::RwLock;

use super::Failure;
use super::memory::Finalized;
use super::trust::Trust;
use super::wrapper::{self, CallError};

/// Whose functions are called, and whose pointers are written.
#[derive(Clone, Debug)]
pub(super) enum Calls {
    /// The executor's own.
    Own(OwnMemory),
    /// Those that the requests name.
    Trusted(Trust),
}

/// What an executor has made final and not released.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnMemory {
    code: Ranges,
    data: Ranges,
}

/// Ranges that do not overlap: ends by starts.
#[derive(Clone, Debug, Default)]
struct Ranges(Arc<RwLock<BTreeMap<ExecutorAddr, ExecutorAddr>>>);

/// Size of a pointer, in bytes.
const POINTER_SIZE: u64 = 8;

impl Calls {
    /// Memory is final from now on.
    pub(super) fn add(&self, memory: &Finalized) {
        if let Self::Own(own) = self {
            own.code.add(memory.code());
            own.data.add(memory.data());
        }
    }

    /// Memory is about to be released.
    pub(super) fn remove(&self, memory: &Finalized) {
        if let Self::Own(own) = self {
            own.code.remove(memory.code());
            own.data.remove(memory.data());
        }
    }

    /// Writes pointers, each in one store, in their order: whoever sees one written sees those before it
    /// written. All of them, or none if one is not to be written.
    ///
    /// # Errors
    /// When a place is not aligned, or is none that this executor writes to.
    pub(super) fn write_pointers(
        &self,
        pointers: &[(ExecutorAddr, ExecutorAddr)],
    ) -> Result<(), Failure> {
        for (place, _) in pointers {
            self.check_pointer(*place)?;
        }
        for (place, value) in pointers {
            match self {
                Self::Trusted(trust) => trust.write_pointer(*place, *value),
                // SAFETY: `check_pointer`: it is aligned, and in writable data that was linked for this
                // executor. See the module for what its linker sees to.
                Self::Own(_) => unsafe { store_pointer(*place, *value) },
            }
        }
        Ok(())
    }

    fn check_pointer(&self, place: ExecutorAddr) -> Result<(), Failure> {
        if !place.value().is_multiple_of(POINTER_SIZE) || place.is_null() {
            return Err(Failure(format!("there is no pointer at {place}")));
        }
        match self {
            Self::Own(own) if !own.data.holds(place) => Err(Failure(format!(
                "a pointer at {place} cannot be written: no data was linked there"
            ))),
            Self::Own(_) | Self::Trusted(_) => Ok(()),
        }
    }

    /// Calls a wrapper function, on this thread.
    ///
    /// # Errors
    /// The function's out-of-band error; when it is none that this executor calls.
    pub(super) fn wrapper(
        &self,
        function: ExecutorAddr,
        arguments: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        match self {
            Self::Trusted(trust) => trust.call_wrapper(function, arguments),
            Self::Own(_) if function.is_null() => Err(CallError::NullFunction),
            Self::Own(own) if !own.code.holds(function) => Err(CallError::NotOwn(function)),
            // SAFETY: checked right here: code that was linked for this executor. See the module for what
            // its linker sees to.
            Self::Own(_) => unsafe { wrapper::call_wrapper(function, arguments) },
        }
    }
}

/// Writes a pointer in one store, after all that this thread wrote before.
///
/// # Safety
/// At `place` is an aligned pointer that may be written, while code reads it.
pub(super) unsafe fn store_pointer(place: ExecutorAddr, value: ExecutorAddr) {
    // SAFETY: the caller's promise; an atomic has the layout of the word.
    let pointer = unsafe { AtomicU64::from_ptr(place.value() as *mut u64) };
    pointer.store(value.value(), Ordering::Release);
}

impl Ranges {
    fn add(&self, ranges: impl Iterator<Item = ExecutorAddrRange>) {
        let mut ranges = ranges.filter(|range| range.start < range.end).peekable();
        if ranges.peek().is_some() {
            self.0.write().extend(ranges.map(|it| (it.start, it.end)));
        }
    }

    fn remove(&self, ranges: impl Iterator<Item = ExecutorAddrRange>) {
        let mut ranges = ranges.peekable();
        if ranges.peek().is_some() {
            let mut known = self.0.write();
            for range in ranges {
                known.remove(&range.start);
            }
        }
    }

    fn holds(&self, address: ExecutorAddr) -> bool {
        let ranges = self.0.read();
        let below = ranges.range(..=address).next_back();
        below.is_some_and(|(_, end)| address < *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, size: u64) -> ExecutorAddrRange {
        ExecutorAddrRange::from_size(ExecutorAddr::new(start), size)
    }

    #[test]
    fn only_code_that_is_final_and_not_released_is_called() {
        let own = OwnMemory::default();
        let calls = Calls::Own(own.clone());
        let refused = |at: u64| calls.wrapper(ExecutorAddr::new(at), &[]);
        let own = own.code;
        own.add([range(0x1000, 0x10), range(0x3000, 0x10)].into_iter());
        for at in [0xfff, 0x1010, 0x2fff, 0x3010, u64::MAX] {
            let at = ExecutorAddr::new(at);
            assert!(!own.holds(at), "{at}");
            assert_eq!(calls.wrapper(at, &[]), Err(CallError::NotOwn(at)));
        }
        for at in [0x1000, 0x100f, 0x3000, 0x300f] {
            assert!(own.holds(ExecutorAddr::new(at)), "{at:#x}");
        }
        own.remove([range(0x1000, 0x10)].into_iter());
        assert!(refused(0x1000).is_err());
        assert!(own.holds(ExecutorAddr::new(0x3000)));
        assert_eq!(refused(0), Err(CallError::NullFunction));
    }

    #[test]
    fn pointers_are_written_in_linked_data_only_and_all_or_none() {
        let mut data = [1u64, 2, 3];
        let at = |index: u64| ExecutorAddr::new(data.as_mut_ptr() as u64 + 8 * index);
        let places: Vec<ExecutorAddr> = (0..4).map(at).collect();
        let own = OwnMemory::default();
        own.data.add([range(places[0].value(), 16)].into_iter());
        let calls = Calls::Own(own);
        let value = ExecutorAddr::new(7);
        calls.write_pointers(&[(places[1], value)]).unwrap();
        assert_eq!(data, [1, 7, 3]);
        let odd = ExecutorAddr::new(places[0].value() + 4);
        for place in [places[2], places[3], odd, ExecutorAddr::NULL] {
            let refused = calls.write_pointers(&[(places[0], value), (place, value)]);
            assert!(refused.is_err(), "{place}");
        }
        assert_eq!(data, [1, 7, 3]);
    }
}
