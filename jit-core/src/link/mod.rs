//! The JIT linker: from a batch of objects to final memory.

use std::sync::Arc;

use crate::batch::{Batch, BatchHost};
use crate::executor::ExecutorControl;
use crate::name::NameTable;
use crate::platform::Platform;

/// What every link of a session shares. Make it with [`LinkContext::new`].
pub struct LinkContext {
    /// The process that will run the code.
    pub executor: Arc<dyn ExecutorControl>,
    /// The object format's part of every link.
    pub platform: Arc<dyn Platform>,
    /// The session's names.
    pub names: Arc<NameTable>,
    /// Keeps the literal private: more shared state follows.
    _private: (),
}

impl LinkContext {
    /// The context of a session that has linked nothing yet.
    #[must_use]
    pub fn new(
        executor: Arc<dyn ExecutorControl>,
        platform: Arc<dyn Platform>,
        names: Arc<NameTable>,
    ) -> Self {
        Self {
            executor,
            platform,
            names,
            _private: (),
        }
    }
}

/// Links a batch. The outcome goes to `host`: `resolved`, then `emitted`, or `failed`.
pub fn link_batch(_context: &Arc<LinkContext>, _batch: Batch, _host: Arc<dyn BatchHost>) {
    // Written by the linker's owner.
}
