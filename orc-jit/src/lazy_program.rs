//! Programs whose functions are linked when they are first called.

use std::sync::{Mutex, PoisonError};

use jit_core::name::{NameId, NameUses};
use jit_core::session::LazyCounts;

use crate::program::Program;

/// Functions that do not wait for their first calls.
#[derive(Default)]
pub(crate) struct Ahead(Mutex<Option<Functions>>);

/// Functions, and the use of their names.
struct Functions {
    uses: NameUses,
    names: Vec<NameId>,
}

impl Ahead {
    /// Their names.
    pub(crate) fn names(&self) -> Vec<NameId> {
        let functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = functions.as_ref().map(|functions| functions.names.clone());
        names.unwrap_or_default()
    }
}

impl Program {
    /// How much has waited for a first call, and how much of that is linked by now.
    #[must_use]
    pub fn lazy_counts(&self) -> LazyCounts {
        self.dylib.lazy_counts()
    }

    /// Has functions linked when they are first called; see
    /// [`link_lazily`](jit_core::session::Dylib::link_lazily). To be said before [`Self::link`].
    pub fn link_lazily(&self) {
        self.dylib.link_lazily();
    }

    /// Has these functions linked with the program, though they could wait for a first call: an earlier run has
    /// called them ([`jit_core::session::Session::first_calls`]). Those that are no part of the program are left
    /// alone. To be said before [`Self::link`].
    pub fn link_ahead<'a>(&self, functions: impl IntoIterator<Item = &'a [u8]>) {
        let mut known = self.ahead.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_with(|| Functions {
            uses: NameUses::new(self.jit.session().names()),
            names: Vec::new(),
        });
        for function in functions {
            let name = known.uses.intern(function);
            known.names.push(name);
        }
    }

    /// Those functions of [`Self::link_ahead`] that are no part of the program, once it is linked.
    #[must_use]
    pub fn unknown_ahead(&self) -> Vec<Vec<u8>> {
        let names = self.jit.session().names();
        let all = self.ahead.names().into_iter();
        let unknown = all.filter(|name| !self.dylib.has_definition(*name));
        unknown.map(|name| names.bytes(name)).collect()
    }
}
