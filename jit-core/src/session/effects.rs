//! Calls that a change of state makes necessary, kept until the lock is released.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::error::LinkError;
use crate::executor::{ExecutorError, Finalized};

use crate::native::NativeLibrary;
use crate::object::LazyObjects;

use super::Inner;
use super::generator::Generator;
use super::query::{Collected, Countdown, Query};
use super::unit::Source;

/// What to call once the lock is released.
#[derive(Default)]
pub(super) struct Effects {
    /// Memory to give back, with the order in which it became final: newest goes first.
    pub(super) releases: Vec<(u64, Box<dyn Finalized>)>,
    /// Links to continue.
    pub(super) resolved: Vec<(Arc<Countdown>, Result<(), LinkError>)>,
    /// Lookups to answer.
    pub(super) queries: Vec<(Arc<Query>, Collected)>,
    /// Clients' objects that the session is done with: dropping them may run anything.
    pub(super) garbage: Vec<Garbage>,
}

/// Something of a client's that the session has let go.
#[expect(dead_code, reason = "only dropped")]
pub(super) enum Garbage {
    Unit(Source),
    Archive(Arc<dyn LazyObjects>),
    Library(Arc<dyn NativeLibrary>),
    Generator(Arc<dyn Generator>),
}

impl Effects {
    /// Does everything; failures to give memory back go to the session's error handler.
    pub(super) fn run(mut self, session: &Inner) {
        if let Err(error) = self.release() {
            (session.on_error)(&error.into());
        }
        for (countdown, outcome) in self.resolved {
            countdown.done(outcome);
        }
        for (query, outcome) in self.queries {
            query.finish(session, outcome);
        }
    }

    /// Gives memory back, newest first, all of it even if some fails.
    pub(super) fn release(&mut self) -> Result<(), ExecutorError> {
        self.releases.sort_by_key(|(order, _)| Reverse(*order));
        let released = self.releases.drain(..);
        ExecutorError::joined(released.filter_map(|(_, memory)| memory.release().err()))
    }
}
