//! What every link of a session shares.

use std::sync::{Arc, OnceLock};

use super::ranges::Ranges;
use super::timings::PhaseTimes;
use crate::cpu::Architecture;
use crate::executor::ExecutorControl;
use crate::executor::api::TlsAccess;
use crate::ids::DylibId;
use crate::name::{NameId, NameTable};
use crate::platform::{LinkerSection, Platforms};
use crate::symbolize::PlacedCode;

/// What every link of a session shares. Make it with [`LinkContext::new`].
pub struct LinkContext {
    /// The process that will run the code.
    pub executor: Arc<dyn ExecutorControl>,
    /// The executor's CPU.
    pub architecture: Architecture,
    /// The object formats' part of every link.
    pub platforms: Arc<Platforms>,
    /// The session's names.
    pub names: Arc<NameTable>,
    /// How long the phases of the session's links took.
    pub times: Arc<PhaseTimes>,
    /// Whether debuggers are shown what is linked.
    pub debug: bool,
    /// What the session's links have put where.
    pub placed: Arc<PlacedCode>,
    pub(super) ranges: Ranges,
    /// As the executor has told it, once it was asked.
    pub(super) tls_access: OnceLock<TlsAccess>,
}

impl LinkContext {
    /// The context of a session that has linked nothing yet.
    #[must_use]
    pub fn new(
        executor: Arc<dyn ExecutorControl>,
        platforms: Arc<Platforms>,
        names: Arc<NameTable>,
    ) -> Self {
        Self {
            architecture: executor.architecture(),
            executor,
            platforms,
            names,
            times: Arc::default(),
            debug: false,
            placed: Arc::default(),
            ranges: Ranges::default(),
            tls_access: OnceLock::new(),
        }
    }

    /// The name of an output section that the linker makes in a dylib.
    pub(super) fn section(&self, dylib: DylibId, section: LinkerSection) -> NameId {
        let name = self.platforms.of(dylib).section_name(section);
        self.names.intern(name.as_bytes())
    }

    /// A name without its version.
    pub(super) fn plain_name<'a>(&self, name: &'a [u8]) -> &'a [u8] {
        self.platforms.usual().split_version(name).0
    }

    /// Forgets what is known of a dylib that was removed.
    pub fn forget_dylib(&self, dylib: DylibId) {
        self.ranges.forget(dylib);
        self.placed.forget_dylib(dylib);
    }
}

impl Drop for LinkContext {
    fn drop(&mut self) {
        self.ranges.close(&*self.executor);
    }
}
