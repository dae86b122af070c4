//! What of lazy dylibs was called.

use crate::sync::Mutex;

use crate::ids::DylibId;

/// A function that was called for the first time through its stub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstCall {
    /// The dylib that defines it.
    pub dylib: DylibId,
    /// Its name.
    pub name: Vec<u8>,
    /// The object that it is in, as in "libfoo.a(bar.o)".
    pub object: String,
}

/// How much of a lazy dylib has waited for a first call, and how much of that is linked by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LazyCounts {
    /// Objects that have waited.
    pub objects: usize,
    /// Those of them that are linked.
    pub linked_objects: usize,
    /// Functions of these objects that other objects can call.
    pub functions: usize,
    /// Those of them that are linked.
    pub linked_functions: usize,
}

/// The first calls of a session, if somebody wants to know them.
#[derive(Default)]
pub(in crate::session) struct FirstCalls(Mutex<Option<Vec<FirstCall>>>);

impl FirstCalls {
    /// From now on they are recorded.
    pub(in crate::session) fn start(&self) {
        self.0.lock().get_or_insert_default();
    }

    pub(in crate::session) fn are_recorded(&self) -> bool {
        self.0.lock().is_some()
    }

    pub(in crate::session) fn add(&self, call: FirstCall) {
        if let Some(calls) = &mut *self.0.lock() {
            calls.push(call);
        }
    }

    pub(in crate::session) fn all(&self) -> Vec<FirstCall> {
        self.0.lock().clone().unwrap_or_default()
    }
}
