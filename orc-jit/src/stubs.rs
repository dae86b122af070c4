//! Functions that are looked up when they are first called, and functions that can be replaced.

use jit_core::name::{NameId, NameUses};
use jit_core::object::Linkage;
use jit_core::session::{LazyCounts, LazyOptions, Reexport, Symbol};

use crate::dylib::{Dylib, Tracker};
use crate::error::Error;

impl Tracker {
    /// Adds functions of another dylib under their own names: each is looked up there, with all it needs,
    /// when it is first called; its dylib's initializers run before the call goes on. Its address is the
    /// same before and after, wherever it is taken.
    ///
    /// A call whose function cannot be linked goes to `on_failure`, with the same arguments; without one,
    /// the process says why and aborts.
    ///
    /// # Errors
    /// When a name is defined already, or something is of another JIT.
    ///
    /// # Safety
    /// `on_failure` can take the calls of all these functions.
    pub unsafe fn add_lazy_functions(
        &self,
        from: &Dylib,
        functions: &[&str],
        on_failure: Option<&Symbol>,
    ) -> Result<(), Error> {
        let mut names = NameUses::new(self.jit.0.session.names());
        let reexport = |function: &&str| Reexport {
            alias: names.intern(function.as_bytes()),
            dylib: from.session_dylib().clone(),
            name: names.intern(function.as_bytes()),
            linkage: Linkage::Strong,
        };
        let reexports: Vec<Reexport> = functions.iter().map(reexport).collect();
        let options = LazyOptions {
            on_failure: on_failure.cloned(),
        };
        let tracker = self.session_tracker();
        Ok(tracker.add_lazy_reexports(&reexports, &options)?)
    }

    /// Adds functions that lead to others, and can be led to still others later: [`Dylib::redirect`].
    ///
    /// # Errors
    /// When a name is defined already, or a symbol is of another JIT.
    pub fn add_redirectable(&self, functions: &[(&str, &Symbol)]) -> Result<(), Error> {
        let (_names, functions) = self.named(functions);
        Ok(self.session_tracker().add_redirectable(&functions)?)
    }

    /// The functions, and the use of their names.
    fn named(&self, functions: &[(&str, &Symbol)]) -> (NameUses, Vec<(NameId, Symbol)>) {
        let mut names = NameUses::new(self.jit.0.session.names());
        let named = functions.iter();
        let named = named
            .map(|(name, symbol)| (names.intern(name.as_bytes()), (*symbol).clone()))
            .collect();
        (names, named)
    }
}

impl Dylib {
    /// Links functions of this dylib when they are first called, from now on: those of objects, of archives' members, and
    /// of materializers. All else is as before: missing symbols are reported, and initializers run, when
    /// they would be otherwise; the address of a function is the same before and after its first call. A call
    /// whose function cannot be linked ends the process with the reason.
    pub fn link_lazily(&self) {
        self.session_dylib().link_lazily();
    }

    /// The same, but a call whose function cannot be linked goes to `on_failure`, with the same arguments: it may
    /// return an error code, throw, or end the process with a message of its own. The next call tries again. So for
    /// functions that code refers to which is linked from now on.
    ///
    /// # Errors
    /// When `on_failure` is of another JIT.
    ///
    /// # Safety
    /// `on_failure` can take the calls of all functions of this dylib.
    pub unsafe fn link_lazily_or_call(&self, on_failure: &Symbol) -> Result<(), Error> {
        let options = LazyOptions {
            on_failure: Some(on_failure.clone()),
        };
        Ok(self.session_dylib().link_lazily_with(&options)?)
    }

    /// Links functions that wait for a first call now, as one batch. Those that nothing defines are left
    /// alone; returns how many these were. Which functions were called, and in which order, says
    /// [`jit_core::session::Session::first_calls`].
    ///
    /// # Errors
    /// When they cannot be linked: then they are as before, and each is tried again when it is called.
    pub fn link_ahead(&self, functions: &[&str]) -> Result<usize, Error> {
        let mut names = NameUses::new(self.jit.0.session.names());
        let functions = functions.iter();
        let functions: Vec<NameId> = functions.map(|it| names.intern(it.as_bytes())).collect();
        Ok(self.session_dylib().link_ahead(&functions)?)
    }

    /// How much of the dylib has waited for a first call, and how much of that is linked by now.
    #[must_use]
    pub fn lazy_counts(&self) -> LazyCounts {
        self.session_dylib().lazy_counts()
    }

    /// Leads functions that were added as lazy or redirectable to other code, all in one step: a thread
    /// that has entered new code gets into no old code by calling one of them. Calls that are under way go
    /// on in the old code.
    ///
    /// # Errors
    /// When a name is none of such a function, or a symbol is of another JIT; nothing is changed then.
    ///
    /// # Safety
    /// Each symbol is a function of the type that callers take the name for. Nobody still runs code that
    /// is removed afterwards.
    pub unsafe fn redirect(&self, functions: &[(&str, &Symbol)]) -> Result<(), Error> {
        let (_names, functions) = self.named(functions);
        Ok(self.session_dylib().redirect(&functions)?)
    }
}
