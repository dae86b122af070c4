//! Calls that a change of state makes necessary, kept until the lock is released.

use std::cmp::Reverse;
use std::sync::Arc;

use orc_shared::ExecutorAddrRange;

use crate::batch::{DylibId, TrackerId};
use crate::error::LinkError;
use crate::executor::{ExecutorError, Finalized};

use crate::native::NativeLibrary;
use crate::object::LazyObjects;
use crate::platform::ReleaseCause;

use crate::session::batches::query::{Collected, Countdown, Query};
use crate::session::handles::definitions::{Generator, Inner, Materializer};
use crate::session::tables::unit::Source;

/// What to call once the lock is released.
#[derive(Default)]
pub(in crate::session) struct DeferredCalls {
    /// Trackers whose code is to be asked whether it can go.
    pub(in crate::session) leaving: Vec<Leaving>,
    /// Memory to give back, with the order in which it became final: newest goes first.
    pub(in crate::session) releases: Vec<(u64, Box<dyn Finalized>)>,
    /// Links to continue.
    pub(in crate::session) resolved: Vec<(Arc<Countdown>, Result<(), LinkError>)>,
    /// Lookups to answer.
    pub(in crate::session) queries: Vec<(Arc<Query>, Collected)>,
    /// Why what leaves does so.
    cause: ReleaseCause,
    /// Closed dylibs of which no memory is left.
    pub(in crate::session) gone: Vec<DylibId>,
    /// Clients' objects that the session is done with: dropping them may run anything.
    pub(in crate::session) garbage: Vec<Garbage>,
}

/// A removed tracker that nothing uses any more, except perhaps what it has left to be called later.
pub(in crate::session) struct Leaving {
    pub(in crate::session) tracker: TrackerId,
    pub(in crate::session) dylib: DylibId,
    /// The order in which its newest memory became final.
    pub(in crate::session) order: u64,
    pub(in crate::session) ranges: Vec<ExecutorAddrRange>,
}

/// Something of a client's that the session has let go.
#[expect(dead_code, reason = "only dropped")]
pub(in crate::session) enum Garbage {
    Unit(Source),
    Archive(Arc<dyn LazyObjects>),
    Library(Arc<dyn NativeLibrary>),
    Generator(Arc<dyn Generator>),
    Materializer(Arc<dyn Materializer>),
}

impl DeferredCalls {
    /// Those of what a client removes.
    pub(in crate::session) fn of_removal() -> Self {
        Self {
            cause: ReleaseCause::Removal,
            ..Self::default()
        }
    }

    /// Does everything; failures to give memory back go to the session's error handler.
    pub(in crate::session) fn run(mut self, session: &Inner) {
        if let Err(error) = self.release(session) {
            (session.on_error)(&error.into());
        }
        for (countdown, outcome) in self.resolved {
            countdown.done(outcome);
        }
        for (query, outcome) in self.queries {
            query.finish(session, outcome);
        }
    }

    /// Lets code go that nothing uses: runs what it has left to be called, and gives its memory back
    /// unless some of that has to wait.
    pub(in crate::session) fn release(&mut self, session: &Inner) -> Result<(), ExecutorError> {
        let mut failures = Vec::new();
        while !self.leaving.is_empty() {
            let mut leaving = std::mem::take(&mut self.leaving);
            leaving.sort_by_key(|leaving| Reverse(leaving.order));
            for Leaving {
                tracker,
                dylib,
                ranges,
                ..
            } in leaving
            {
                let executor = &*session.executor;
                let platform = session.platforms.of(dylib);
                let pending = platform.before_release(executor, dylib, &ranges, self.cause);
                let pending = pending.unwrap_or_else(|error| {
                    failures.push(error);
                    0
                });
                session.state.lock().has_left(tracker, pending, self);
            }
        }
        failures.extend(self.give_back().err());
        for dylib in self.gone.drain(..) {
            session.platforms.of(dylib).forget_dylib(dylib);
            session.linker.forget_dylib(dylib);
            session.platforms.forget(dylib);
        }
        ExecutorError::joined(failures)
    }

    /// Gives memory back, newest first, all of it even if some fails.
    pub(in crate::session) fn give_back(&mut self) -> Result<(), ExecutorError> {
        self.releases.sort_by_key(|(order, _)| Reverse(*order));
        let released = self.releases.drain(..);
        ExecutorError::joined(released.filter_map(|(_, memory)| memory.release().err()))
    }
}
