//! Which shared libraries a program loads.
//!
//! A library that was named "as needed", or not named at all, is loaded only if something is taken
//! from it. That is known when every name has been resolved, and the loader has to be told before
//! anything is linked: so libraries note when they answer, and the list is made in between, by a
//! linker in front of the linker.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jit_core::batch::{Batch, BatchHost, DylibId, NativeBinding};
use jit_core::native::{LibrarySymbol, NativeLibrary};
use jit_core::session::{JitLinker, Linker};
use jit_core::symbolize::PlacedCode;

/// A library that notes whether it was of use.
pub(crate) struct CandidateLibrary {
    library: Arc<dyn NativeLibrary>,
    used: AtomicBool,
}

impl CandidateLibrary {
    /// A library that is loaded if `needed`, or else once it has answered.
    pub(crate) fn new(library: Arc<dyn NativeLibrary>, needed: bool) -> Arc<Self> {
        Arc::new(Self {
            library,
            used: AtomicBool::new(needed),
        })
    }
}

impl NativeLibrary for CandidateLibrary {
    fn path(&self) -> &str {
        self.library.path()
    }

    fn soname(&self) -> &str {
        self.library.soname()
    }

    fn needed(&self) -> Vec<String> {
        self.library.needed()
    }

    fn find(&self, name: &[u8]) -> Option<LibrarySymbol> {
        let found = self.library.find(name)?;
        self.used.store(true, Ordering::Relaxed);
        Some(found)
    }

    fn version(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.library.version(name)
    }

    fn for_each_alias(&self, file_addr: u64, each: &mut dyn FnMut(&[u8])) {
        self.library.for_each_alias(file_addr, each);
    }

    fn for_each_interposable(&self, each: &mut dyn FnMut(&[u8])) {
        self.library.for_each_interposable(each);
    }
}

/// How a dependency of a library is found by its soname.
pub(crate) type FindDependency = dyn Fn(&str) -> Option<Arc<dyn NativeLibrary>> + Send + Sync;

/// The candidates of the program, in the order in which it would load them.
#[derive(Default)]
pub(crate) struct NeededLibraries {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    candidates: Vec<Arc<CandidateLibrary>>,
    find: Option<Arc<FindDependency>>,
}

impl NeededLibraries {
    /// Adds a candidate, behind those before it.
    pub(crate) fn add(&self, library: Arc<CandidateLibrary>) {
        self.state().candidates.push(library);
    }

    /// Says how dependencies of libraries are found.
    pub(crate) fn find_dependencies_with(&self, find: Arc<FindDependency>) {
        self.state().find = Some(find);
    }

    /// The libraries of use, then what those need, as the loader will search them: breadth first.
    /// Dependencies count too: the program's definitions replace theirs.
    pub(crate) fn used(&self) -> Vec<Arc<dyn NativeLibrary>> {
        let (used, find) = {
            let state = self.state();
            let used = state.candidates.iter();
            let used = used.filter(|library| library.used.load(Ordering::Relaxed));
            let used: Vec<_> = used.map(|l| l.library.clone()).collect();
            (used, state.find.clone())
        };
        let mut seen: HashSet<String> = HashSet::new();
        let mut libraries: Vec<Arc<dyn NativeLibrary>> = Vec::new();
        for library in used {
            if seen.insert(library.soname().to_owned()) {
                libraries.push(library);
            }
        }
        let mut at = 0;
        while let (Some(library), Some(find)) = (libraries.get(at).cloned(), &find) {
            for soname in library.needed() {
                if seen.insert(soname.clone()) {
                    libraries.extend(find(&soname));
                }
            }
            at += 1;
        }
        libraries
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The linker, with the list of the program's libraries completed.
pub(crate) struct ProgramLinker {
    linker: JitLinker,
    needed: Arc<NeededLibraries>,
}

impl ProgramLinker {
    pub(crate) fn new(linker: JitLinker, needed: Arc<NeededLibraries>) -> Self {
        Self { linker, needed }
    }
}

impl Linker for ProgramLinker {
    fn link(&self, mut batch: Batch, host: Arc<dyn BatchHost>) {
        if let NativeBinding::Program(program) = &mut batch.binding {
            program.libraries = self.needed.used();
        }
        self.linker.link(batch, host);
    }

    fn placed_code(&self) -> Option<Arc<PlacedCode>> {
        self.linker.placed_code()
    }

    fn forget_dylib(&self, dylib: DylibId) {
        self.linker.forget_dylib(dylib);
    }
}
