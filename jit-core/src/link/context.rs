//! What every link of a session shares.

use std::sync::{Arc, OnceLock};

use super::ranges::Ranges;
use super::timings::PhaseTimes;
use crate::cpu::Architecture;
use crate::executor::ExecutorControl;
use crate::executor::api::TlsAccess;
use crate::ids::DylibId;
use crate::name::{NameId, NameTable};
use crate::platform::{LinkerSection, Platform};
use crate::symbolize::PlacedCode;

/// What every link of a session shares. Make it with [`LinkContext::new`].
pub struct LinkContext {
    /// The process that will run the code.
    pub executor: Arc<dyn ExecutorControl>,
    /// The executor's CPU.
    pub architecture: Architecture,
    /// The object format's part of every link.
    pub platform: Arc<dyn Platform>,
    /// The session's names.
    pub names: Arc<NameTable>,
    /// How long the phases of the session's links took.
    pub times: Arc<PhaseTimes>,
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
        platform: Arc<dyn Platform>,
        names: Arc<NameTable>,
    ) -> Self {
        Self {
            architecture: executor.architecture(),
            executor,
            platform,
            names,
            times: Arc::default(),
            placed: Arc::default(),
            ranges: Ranges::default(),
            tls_access: OnceLock::new(),
        }
    }

    /// The name of an output section that the linker makes.
    pub(super) fn section(&self, section: LinkerSection) -> NameId {
        self.names
            .intern(self.platform.section_name(section).as_bytes())
    }

    /// A name without its version.
    pub(super) fn plain_name<'a>(&self, name: &'a [u8]) -> &'a [u8] {
        self.platform.split_version(name).0
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
