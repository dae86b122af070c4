//! What those need who add to a dylib step by step: several lookups as one link, initializers of what is new,
//! the names that are there, names that the client knows.

use std::sync::Arc;

use jit_core::error::LinkError;
use jit_core::name::NameUses;
use jit_core::session::{AbsoluteSymbol, Generator, LookupOptions, Symbol, Wanted};
use jit_core::symbol::SymbolKind;
use orc_shared::ExecutorAddr;

use crate::dylib::Dylib;
use crate::error::Error;

impl Dylib {
    /// The symbols of these names, in one link; see [`Dylib::symbol`].
    ///
    /// # Errors
    /// With all that is missing. Nothing is linked then.
    pub fn symbols(&self, names: &[&str]) -> Result<Vec<Symbol>, Error> {
        let mut uses = NameUses::new(self.jit.0.session.names());
        let ids = names.iter().map(|name| uses.intern(name.as_bytes()));
        let ids: Vec<_> = ids.collect();
        let symbols = self.session_dylib().lookup(&ids)?;
        self.jit.0.runtime.initialize(self.session_dylib())?;
        Ok(symbols)
    }

    /// Links what was added and has initializers, with all it needs, and runs those that have not run: an
    /// interpreter adds a statement as an object with a constructor, and calls this.
    ///
    /// # Errors
    /// When something is missing. Nothing has run then, and it is tried again the next time unless the object
    /// was removed.
    pub fn initialize(&self) -> Result<(), Error> {
        let options = LookupOptions {
            initializers: true,
            ..LookupOptions::default()
        };
        self.session_dylib().lookup_with(&[], &options)?;
        Ok(self.jit.0.runtime.initialize(self.session_dylib())?)
    }

    /// The names of what was added to the dylib and others may refer to, sorted, as objects spell them. Those
    /// of archives' members that nothing has needed so far are not among them.
    #[must_use]
    pub fn defined_names(&self) -> Vec<String> {
        let names = self.session_dylib().defined_names();
        let text = |name: &Vec<u8>| String::from_utf8_lossy(name).into_owned();
        let mut names: Vec<String> = names.iter().map(text).collect();
        names.sort_unstable();
        names
    }

    /// Lets objects define again what is linked already, as an interpreter's statements do: what is linked from then
    /// on gets the new definition, which may be of another type; what was linked before keeps the old one. When
    /// the new one is removed, the old one is in force again. To change a function for those that use it
    /// already, see [`crate::Tracker::replace`].
    pub fn allow_shadowing(&self) {
        self.session_dylib().allow_shadowing();
    }

    /// Asks a generator for definitions of names that the dylib does not define, after those that were added
    /// before, and before what the dylib is linked with.
    pub fn add_generator(&self, generator: Arc<dyn Generator>) {
        self.session_dylib().add_generator(generator);
    }

    /// Asks `find` for the addresses of names that neither the dylib nor what it is linked with defines: in
    /// the process where its code runs. It is called from any thread that looks something up; a name
    /// that it has given once is not asked for again.
    ///
    /// # Safety
    /// What is there is what code means by the name, as long as such code may run.
    pub unsafe fn add_symbol_lookup(
        &self,
        find: impl Fn(&str) -> Option<ExecutorAddr> + Send + Sync + 'static,
    ) {
        let lookup = SymbolLookup {
            find: Box::new(find),
        };
        self.session_dylib().add_generator(Arc::new(lookup));
    }
}

/// Where a name is, if the client knows it.
type Find = dyn Fn(&str) -> Option<ExecutorAddr> + Send + Sync;

/// A client's function as a source of definitions.
struct SymbolLookup {
    find: Box<Find>,
}

impl Generator for SymbolLookup {
    fn name(&self) -> &str {
        "symbol lookup function"
    }

    fn generate(
        &self,
        dylib: &jit_core::session::Dylib,
        wanted: &[Wanted],
    ) -> Result<(), LinkError> {
        let session = dylib.session();
        let find = |wanted: &Wanted| {
            let name = session.names().bytes(wanted.name);
            Some(AbsoluteSymbol {
                name: wanted.name,
                addr: (self.find)(std::str::from_utf8(&name).ok()?)?,
                kind: SymbolKind::None,
                // Another thread may be asking for the same.
                weak: true,
            })
        };
        let found: Vec<AbsoluteSymbol> = wanted.iter().filter_map(find).collect();
        match found.is_empty() {
            true => Ok(()),
            false => dylib.default_tracker().add_absolute(&found),
        }
    }
}
