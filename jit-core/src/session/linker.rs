//! What links a session's batches.

use std::sync::Arc;

use crate::batch::{Batch, BatchHost};
use crate::ids::DylibId;
use crate::symbolize::PlacedCode;

/// Links batches. A session's linker is [`super::JitLinker`] unless the client brings another.
pub trait Linker: Send + Sync {
    /// Links a batch; the outcome goes to `host`: `resolved` and `emitted`, or `failed`. May go on
    /// after it returns. Called without any lock held, from any thread.
    fn link(&self, batch: Batch, host: Arc<dyn BatchHost>);

    /// What its links have put where, if it knows: for [`super::Session::placed_code`].
    fn placed_code(&self) -> Option<Arc<PlacedCode>> {
        None
    }

    /// A dylib was closed, and its memory is given back.
    fn forget_dylib(&self, dylib: DylibId) {
        let _ = dylib;
    }
}
