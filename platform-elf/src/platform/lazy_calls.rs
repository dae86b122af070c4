//! First calls of functions that were added as lazy: the runtime asks where they lead.

use std::sync::{Arc, Weak};

use jit_core::error::LinkError;
use jit_core::executor::ExecutorControl;
use jit_core::session::{Dylib, Session};
use orc_shared::sps::{self, SpsExpected};
use orc_shared::{ExecutorAddr, ExecutorSymbolDef, SymbolFlags};

use super::ElfPlatform;
use super::opening::ToInitialize;
use super::runtime::{call, call_for_error, failure};

/// The runtime's functions that initialize what was linked.
#[derive(Clone)]
pub(super) struct Opener {
    platform: Weak<ElfPlatform>,
    /// Ours; null with LLVM's runtime, which has the other two.
    pub(super) initialize: ExecutorAddr,
    pub(super) dlopen: ExecutorAddr,
    pub(super) dlupdate: ExecutorAddr,
}

impl Opener {
    pub(super) fn new(
        platform: &Arc<ElfPlatform>,
        [initialize, dlopen, dlupdate]: [ExecutorAddr; 3],
    ) -> Self {
        Self {
            platform: Arc::downgrade(platform),
            initialize,
            dlopen,
            dlupdate,
        }
    }

    /// Runs the initializers of a dylib, and of those it needs, that were linked since the last time.
    ///
    /// # Errors
    /// When the dylib is not registered.
    pub(super) fn open(&self, dylib: &Dylib) -> Result<(), LinkError> {
        let Some(platform) = self.platform.upgrade() else {
            return Ok(());
        };
        let due = platform.to_initialize(dylib);
        if due.is_empty() {
            return Ok(());
        }
        self.open_linked(&**dylib.session().executor(), dylib, &due)?;
        platform.initialized(&due);
        Ok(())
    }

    fn open_linked(
        &self,
        executor: &dyn ExecutorControl,
        dylib: &Dylib,
        due: &[ToInitialize],
    ) -> Result<(), LinkError> {
        if !self.initialize.is_null() {
            let headers: Vec<ExecutorAddr> = due.iter().map(|(_, header, _)| *header).collect();
            return call_for_error(executor, self.initialize, &headers);
        }
        // LLVM's runtime knows opening by name only; opening again runs what is new.
        let args = (dylib.name(), 1i32);
        let handle: ExecutorAddr = call(executor, self.dlopen, &args)?;
        if handle.is_null() {
            return Err(failure("the runtime cannot open the dylib".to_owned()));
        }
        if !self.dlupdate.is_null() {
            let _status: i32 = call(executor, self.dlupdate, &handle)?;
        }
        Ok(())
    }
}

/// Answers the runtime. The handler does not keep the session.
pub(super) fn register(session: &Session, tag: ExecutorAddr, opener: Opener) {
    let weak = session.downgrade();
    session.executor().register_handler(
        tag,
        Box::new(move |args| {
            let outcome = sps::decode(args).map_err(|error| error.to_string());
            let outcome = outcome.and_then(|trampoline: ExecutorAddr| {
                let session = weak.upgrade().ok_or("the session is gone")?;
                session.resolve_lazy_call(trampoline, &|dylib| opener.open(dylib))
            });
            let target = outcome.map(|addr| ExecutorSymbolDef {
                addr,
                flags: SymbolFlags::EXPORTED | SymbolFlags::CALLABLE,
                target_flags: 0,
            });
            sps::encode(&SpsExpected(target))
        }),
    );
}
