//! Linking functions before they are called: those that linked code refers to.
//!
//! A stub is made when linked code refers to a function that waits. So each new stub is a candidate, and
//! linking one makes stubs for what that refers to. One thread of low priority takes one function after
//! another, the nearest first, and none while first calls are answered: a call that comes first links its
//! function itself. If a link fails, nothing has happened: the call tries again, and reports.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use orc_system::idle_thread;

use super::definitions::{Dylib, Inner, Session};
use crate::error::LinkError;
use crate::name::NameGuard;
use crate::session::tables::speculation::{Candidate, Speculation, Speculator};
use crate::session::tables::unit::UnitState;

impl Session {
    /// Links functions of lazy dylibs before they are called, from now on: those that code refers to which is linked
    /// from now on. A thread of low priority does that, without signals; it ends with the session. Failures are
    /// silent, and the function's first call tries again. Materializers and resolvers of indirect functions
    /// may be called on that thread.
    pub fn speculate(&self, how_far: Speculation) {
        self.0.speculator.start(how_far);
    }

    /// Links nothing ahead of calls any more, but for what is being linked now.
    pub fn stop_speculation(&self) {
        self.0.speculator.stop();
    }

    /// As [`Self::stop_speculation`], and waits until nothing is being linked ahead.
    pub fn end_speculation(&self) {
        let was_on = self.0.speculator.is_on();
        self.0.speculator.stop();
        if was_on && !idle_thread::is_at_work() {
            idle_thread::piece(|| {});
        }
    }

    /// How many functions were linked ahead of their calls.
    #[must_use]
    pub fn linked_ahead(&self) -> usize {
        self.0.speculator.linked()
    }
}

impl Inner {
    /// Lets functions be linked ahead that were noted while something was linked.
    pub(in crate::session) fn wake_speculation(self: &Arc<Self>) {
        let Some(thread_starts) = self.speculator.wake() else {
            return;
        };
        let (session, speculator) = (Arc::downgrade(self), self.speculator.clone());
        let run = move || {
            thread_starts();
            work(&session, &speculator);
        };
        if idle_thread::start("link ahead", run).is_err() {
            // Everything is linked when it is called.
            self.speculator.stop();
        }
    }

    /// Links a function, unless somebody else has it, or it is gone.
    fn link_candidate(self: &Arc<Self>, candidate: Candidate) -> Result<bool, LinkError> {
        // The name means what it meant, or has no stub.
        let _guard = NameGuard::new(&self.names);
        let Candidate { dylib, name, depth } = candidate;
        {
            let state = self.state.lock();
            let found = state.dylib(dylib).defined(name);
            let waits =
                found.is_some_and(|(it, _)| state.units[it].state == UnitState::NeverSearched);
            let stub = state.stub_of(dylib, name).filter(|_| waits);
            if stub.is_none_or(|(set, _)| set.is_removed()) {
                return Ok(false);
            }
        }
        let dylib = Dylib {
            session: self.clone(),
            id: dylib,
        };
        let bodies = dylib.link_bodies_ahead(&[name], depth)?;
        // Who records first calls wants to see them: they find their functions linked.
        if let Some(body) = bodies.first()
            && !self.first_calls.are_recorded()
        {
            dylib.lead_ahead(name, body)?;
        }
        Ok(true)
    }
}

/// How long the thread lets replacements go first.
const PAUSE: Duration = Duration::from_millis(1);

/// What the thread does. It does not keep the session.
fn work(session: &Weak<Inner>, speculator: &Speculator) {
    // Its links are small: nobody else is to work on them.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1);
    let _alone = alone.use_current_thread().build();
    while let Some(candidate) = speculator.next() {
        let is_done = idle_thread::piece(|| try_candidate(session, speculator, candidate));
        if !is_done {
            speculator.note_again(candidate);
            std::thread::sleep(PAUSE);
        }
    }
}

/// Links a function; false if it is to be tried later. The session is kept no longer than this.
fn try_candidate(session: &Weak<Inner>, speculator: &Speculator, candidate: Candidate) -> bool {
    // Whoever has ended the work waits for the last piece of it.
    if !speculator.is_on() {
        return true;
    }
    let Some(session) = session.upgrade() else {
        return true;
    };
    // Replacements look at what is linked, and swap it: not both at a time.
    let Some(_one) = session.replacing.try_lock() else {
        return false;
    };
    // A materializer that panics has failed; whoever calls the function hears of it.
    let link = AssertUnwindSafe(|| session.link_candidate(candidate));
    if let Ok(Ok(true)) = catch_unwind(link) {
        speculator.one_is_linked();
    }
    true
}
