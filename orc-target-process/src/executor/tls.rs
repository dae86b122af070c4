//! Thread-local storage of an allocation, in its two states.

use orc_shared::api::{TlsBlock, TlsRequest, TlsRoom};

use super::Failure;
use crate::host::thread_locals::Reserve;

/// A block that has no content yet. Dropping it gives it back.
pub(super) struct ReservedTls(TlsBlock);

impl ReservedTls {
    /// What is asked for; `None` if it may be missing and is.
    pub(super) fn new(request: &TlsRequest) -> Result<Option<Self>, Failure> {
        let (reserve, size, align) = (Reserve::get(), request.size, request.align);
        let block = match request.room {
            TlsRoom::Fixed => reserve.reserve(size, align).map(Some),
            TlsRoom::FixedIfFree => reserve.reserve_if_free(size, align),
            TlsRoom::Module => reserve.reserve_module(size, align).map(Some),
        };
        Ok(block.map_err(Failure::new)?.map(Self))
    }

    pub(super) fn block(&self) -> TlsBlock {
        self.0
    }

    /// Gives every thread the block's initial content.
    pub(super) fn commit(self, image: &[u8]) -> Result<CommittedTls, Failure> {
        let block = self.0;
        Reserve::get().commit(&block, image).map_err(Failure::new)?;
        std::mem::forget(self);
        Ok(CommittedTls(block))
    }
}

impl Drop for ReservedTls {
    fn drop(&mut self) {
        // Whoever abandons the block reports a failure of its own. One of zeroing it has no reader;
        // the block is not used again then.
        let _ = Reserve::get().release(self.0);
    }
}

/// A block that has its initial values in every thread.
pub(super) struct CommittedTls(TlsBlock);

impl CommittedTls {
    pub(super) fn release(self) -> Result<(), Failure> {
        Reserve::get().release(self.0).map_err(Failure::new)
    }
}
