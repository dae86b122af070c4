//! What a lookup gives: addresses, and guards that keep the code behind them.

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use crate::batch::TrackerId;
use crate::executor::ExecutorControl;
use crate::native::NativeSymbol;
use crate::object::SymbolKind;

use crate::session::batches::deferred::DeferredCalls;
use crate::session::batches::query::native_kind;
use crate::session::handles::definitions::{CodeGuard, Guarded, Inner, Symbol};
use crate::session::tables::state::State;

impl Symbol {
    /// Its address; for a thread-local of JIT'd code, the offset from the thread pointer. Null for a
    /// name that the lookup allowed to be missing.
    #[must_use]
    pub fn addr(&self) -> ExecutorAddr {
        self.addr
    }

    /// What it names.
    #[must_use]
    pub fn kind(&self) -> SymbolKind {
        self.kind
    }

    /// Size in bytes, 0 when unknown.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What keeps its memory; `None` for symbols of the process's libraries.
    #[must_use]
    pub fn guard(&self) -> Option<&CodeGuard> {
        self.code.as_ref()
    }

    /// Whether its address is one of this executor's process.
    #[must_use]
    pub fn is_in(&self, executor: &Arc<dyn ExecutorControl>) -> bool {
        let Some(own) = self.executor.upgrade() else {
            return false;
        };
        Arc::ptr_eq(&own, executor) || (own.is_this_process() && executor.is_this_process())
    }

    pub(in crate::session) fn native(
        session: &Inner,
        native: &NativeSymbol,
        addr: ExecutorAddr,
    ) -> Self {
        Self {
            executor: Arc::downgrade(&session.executor),
            addr,
            kind: native_kind(native),
            size: native.symbol.size,
            code: None,
        }
    }

    pub(in crate::session) fn nothing(session: &Inner) -> Self {
        Self {
            executor: Arc::downgrade(&session.executor),
            addr: ExecutorAddr::NULL,
            kind: SymbolKind::None,
            size: 0,
            code: None,
        }
    }
}

impl CodeGuard {
    /// Called under the session's lock, of which `state` is the content.
    pub(in crate::session) fn new(
        session: &Arc<Inner>,
        state: &mut State,
        tracker: TrackerId,
    ) -> Self {
        if let Some(state) = state.trackers.get_mut(&tracker) {
            state.guards += 1;
        }
        Self(Arc::new(Guarded {
            session: session.clone(),
            tracker,
        }))
    }

    /// Whether the code is of this session.
    pub(in crate::session) fn is_of(&self, session: &Arc<Inner>) -> bool {
        Arc::ptr_eq(&self.0.session, session)
    }

    /// The tracker whose code is kept.
    #[must_use]
    pub fn tracker(&self) -> TrackerId {
        self.0.tracker
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let mut deferred = DeferredCalls::default();
        {
            let mut state = self.session.state.lock();
            if let Some(tracker) = state.trackers.get_mut(&self.tracker) {
                tracker.guards -= 1;
                state.release_if_unused(self.tracker, &mut deferred);
            }
        }
        deferred.run(&self.session);
    }
}

impl std::fmt::Debug for CodeGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CodeGuard").field(&self.0.tracker).finish()
    }
}
