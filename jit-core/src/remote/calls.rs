//! Calls that the executor has not answered yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use foldhash::HashMap;
use parking_lot::{Condvar, Mutex};

use crate::executor::Disconnect;

/// What happens to a thread that waits for a result.
pub(super) enum Event {
    /// The result has come.
    Result(Vec<u8>),
    /// The executor calls back, and only this thread can answer.
    Call {
        /// The call's number.
        sequence: u64,
        /// Its packed arguments.
        args: Vec<u8>,
    },
    /// Nothing more will come.
    Lost(Disconnect),
}

/// Where one thread waits.
#[derive(Default)]
pub(super) struct Slot {
    events: Mutex<VecDeque<Event>>,
    changed: Condvar,
}

impl Slot {
    /// Waits for the next event.
    pub(super) fn wait(&self) -> Event {
        let mut events = self.events.lock();
        loop {
            if let Some(event) = events.pop_front() {
                return event;
            }
            self.changed.wait(&mut events);
        }
    }

    /// Waits for the next event; `None` if there is none by then.
    pub(super) fn wait_until(&self, until: Option<Instant>) -> Option<Event> {
        let Some(until) = until else {
            return Some(self.wait());
        };
        let mut events = self.events.lock();
        loop {
            if let Some(event) = events.pop_front() {
                return Some(event);
            }
            if self.changed.wait_until(&mut events, until).timed_out() {
                return events.pop_front();
            }
        }
    }

    /// The next event, if it has happened already.
    pub(super) fn try_next(&self) -> Option<Event> {
        self.events.lock().pop_front()
    }

    pub(super) fn push(&self, event: Event) {
        self.events.lock().push_back(event);
        self.changed.notify_one();
    }
}

/// The open calls of a connection, by number.
#[derive(Default)]
pub(super) struct Calls(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    /// Without a slot, nobody waits for the result.
    open: HashMap<u64, Option<Arc<Slot>>>,
    lost: Option<Disconnect>,
}

impl Calls {
    /// Numbers a new call. Its events go to `slot`.
    ///
    /// # Errors
    /// When the connection has ended.
    pub(super) fn begin(&self, slot: Option<Arc<Slot>>) -> Result<u64, Disconnect> {
        let mut state = self.0.lock();
        if let Some(lost) = &state.lost {
            return Err(lost.clone());
        }
        let number = state.next;
        state.next += 1;
        state.open.insert(number, slot);
        Ok(number)
    }

    /// Hands a result to whoever waits for it. Whether there was such a call.
    pub(super) fn complete(&self, number: u64, result: Vec<u8>) -> bool {
        let slot = self.0.lock().open.remove(&number);
        if let Some(Some(slot)) = &slot {
            slot.push(Event::Result(result));
        }
        slot.is_some()
    }

    /// Whether a call of that number is open.
    pub(super) fn is_open(&self, number: u64) -> bool {
        self.0.lock().open.contains_key(&number)
    }

    /// Whether a thread waits for a result.
    pub(super) fn somebody_waits(&self) -> bool {
        self.0.lock().open.values().any(Option::is_some)
    }

    /// Ends all calls, and those that will be made. The first cause counts.
    pub(super) fn lose(&self, cause: Disconnect) {
        let mut state = self.0.lock();
        let cause = state.lost.get_or_insert(cause).clone();
        for slot in state.open.drain().filter_map(|(_, slot)| slot) {
            slot.push(Event::Lost(cause.clone()));
        }
    }

    /// Why the connection has ended, if it has.
    pub(super) fn lost(&self) -> Option<Disconnect> {
        self.0.lock().lost.clone()
    }
}
