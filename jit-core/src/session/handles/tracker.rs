//! Trackers: what can be removed as one.

use crate::batch::TrackerId;
use crate::error::LinkError;

use crate::session::batches::deferred::DeferredCalls;
use crate::session::handles::definitions::{Dylib, Tracker};

/// What became of the memory of a removed tracker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Removal {
    /// It was given back.
    Released,
    /// It is given back when its last user is gone.
    Deferred {
        /// Number of [`crate::session::CodeGuard`]s that keep it.
        guards: u32,
        /// Objects of other trackers whose code refers to it: the first one of each tracker, at most
        /// eight.
        used_by: Vec<String>,
        /// Destructors of its thread-locals that other threads will run when they end. Its memory is
        /// given back at the next removal after that. Zero while another thread, which was its last user,
        /// finds their number out.
        thread_destructors: u64,
    },
}

impl Tracker {
    /// The session's name for it.
    #[must_use]
    pub fn id(&self) -> TrackerId {
        self.id
    }

    /// The dylib it is a part of.
    #[must_use]
    pub fn dylib(&self) -> Dylib {
        Dylib {
            session: self.session.clone(),
            id: self.dylib,
        }
    }

    /// Removes everything that was added through it, once its exit handlers have run. Removing it
    /// again does nothing, unless its memory can go now.
    ///
    /// # Errors
    /// When memory cannot be given back or an undo fails; its names are gone all the same.
    pub fn remove(&self) -> Result<Removal, LinkError> {
        let mut deferred = DeferredCalls::of_removal();
        let id = {
            let mut state = self.session.state.lock();
            let id = state.generation(self.id);
            state.remove_tracker(id, &mut deferred);
            id
        };
        let released = deferred.release(&self.session);
        let removal = self.session.state.lock().removal(id);
        deferred.run(&self.session);
        released?;
        Ok(removal)
    }
}

impl std::fmt::Debug for Tracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tracker").field(&self.id.0).finish()
    }
}
