//! Calls that go with an allocation: made when it is finalized, undone when it is released.

use alloc::vec::Vec;

use crate::ExecutorAddr;
use crate::sps::{SpsEncode, encode};

/// One wrapper call with its packed arguments. It returns an SPS `Error`.
///
/// On the wire an absent call is one whose function is null.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AllocAction {
    /// The wrapper function, in the executor.
    pub function: ExecutorAddr,
    /// Its packed arguments.
    pub args: Vec<u8>,
}

/// A call made at finalize and the call that undoes it at release.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AllocActionPair {
    /// Made once bytes and protections are in place, in order.
    pub finalize: AllocAction,
    /// Made at release, in reverse order; only if `finalize` succeeded.
    pub dealloc: AllocAction,
}

impl AllocAction {
    /// The call of `function` with `args` (a tuple, for several).
    pub fn new<A: SpsEncode + ?Sized>(function: ExecutorAddr, args: &A) -> Self {
        Self {
            function,
            args: encode(args),
        }
    }

    /// Whether there is nothing to call.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        self.function.is_null()
    }
}

crate::impl_sps_struct!(AllocAction {
    function: ExecutorAddr,
    args: Vec<u8>
});
crate::impl_sps_struct!(AllocActionPair {
    finalize: AllocAction,
    dealloc: AllocAction
});
