//! Which functions an executor calls.
//!
//! The linker of this process is safe code and may name any address. So its executor calls only code that
//! it has itself made final and not released: code that was linked for it. That such an address is the
//! start of a wrapper function, and that nobody releases it meanwhile, is what the session sees to that
//! linked it. An executor that serves a trusted controller calls what that names.

use std::collections::BTreeMap;
use std::sync::Arc;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::RwLock;

use super::trust::Trust;
use super::wrapper::{self, CallError};

/// Whose functions are called.
#[derive(Clone, Debug)]
pub(super) enum Calls {
    /// The executor's own.
    Own(OwnCode),
    /// Those that the requests name.
    Trusted(Trust),
}

/// The code that an executor has made final and not released.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnCode {
    /// Ends by starts.
    ranges: Arc<RwLock<BTreeMap<ExecutorAddr, ExecutorAddr>>>,
}

impl Calls {
    /// Code is final from now on.
    pub(super) fn add(&self, code: impl Iterator<Item = ExecutorAddrRange>) {
        if let Self::Own(own) = self {
            let code = code.filter(|range| range.start < range.end);
            own.ranges.write().extend(code.map(|it| (it.start, it.end)));
        }
    }

    /// Code is about to be released.
    pub(super) fn remove(&self, code: impl Iterator<Item = ExecutorAddrRange>) {
        if let Self::Own(own) = self {
            let mut ranges = own.ranges.write();
            for range in code {
                ranges.remove(&range.start);
            }
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
            Self::Own(own) if !own.holds(function) => Err(CallError::NotOwn(function)),
            // SAFETY: checked right here: code that was linked for this executor. See the module for what
            // its linker sees to.
            Self::Own(_) => unsafe { wrapper::call_wrapper(function, arguments) },
        }
    }
}

impl OwnCode {
    fn holds(&self, address: ExecutorAddr) -> bool {
        let ranges = self.ranges.read();
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
        let own = OwnCode::default();
        let calls = Calls::Own(own.clone());
        let refused = |at: u64| calls.wrapper(ExecutorAddr::new(at), &[]);
        calls.add([range(0x1000, 0x10), range(0x3000, 0x10)].into_iter());
        for at in [0xfff, 0x1010, 0x2fff, 0x3010, u64::MAX] {
            let at = ExecutorAddr::new(at);
            assert!(!own.holds(at), "{at}");
            assert_eq!(calls.wrapper(at, &[]), Err(CallError::NotOwn(at)));
        }
        for at in [0x1000, 0x100f, 0x3000, 0x300f] {
            assert!(own.holds(ExecutorAddr::new(at)), "{at:#x}");
        }
        calls.remove([range(0x1000, 0x10)].into_iter());
        assert!(refused(0x1000).is_err());
        assert!(own.holds(ExecutorAddr::new(0x3000)));
        assert_eq!(refused(0), Err(CallError::NullFunction));
    }
}
