//! Which shared libraries a program loads.
//!
//! A library that was named "as needed", or not named at all, is loaded only if something that must be
//! there is taken from it. That is known when every name has been resolved, and the loader has to be
//! told before anything is linked: so libraries note that they are bound to, and the list is made in
//! between, by a linker in front of the linker. What those libraries need in turn is not the program's
//! to load, but its names are known to the program's linker, too: definitions of the program replace
//! theirs, and weak references that nothing else meets are bound to them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jit_core::batch::{
    Batch, BatchHost, DylibId, NativeBinding, Resolution, TrackerId, UnitAddresses,
};
use jit_core::error::LinkError;
use jit_core::executor::Finalized;
use jit_core::name::{NameId, NameTable};
use jit_core::native::{LibrarySymbol, NativeLibrary, NativeSymbol};
use jit_core::session::{JitLinker, Linker};
use jit_core::statics::Statics;
use jit_core::symbolize::PlacedCode;
use orc_shared::{ExecutorAddr, printable_text};

/// When a shared library of a program is loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LoadWhen {
    /// As the user's compiler driver would have it: some drivers pass `--as-needed`.
    #[default]
    DriverSays,
    /// Whatever is taken from it.
    Always,
    /// If a reference that must be met is bound to it (`--as-needed`).
    Used,
}

/// Whether the driver passes `--as-needed`. Asked when it matters, once.
#[derive(Default)]
pub(crate) struct DriverDefault {
    ask: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
    answer: OnceLock<bool>,
}

impl DriverDefault {
    /// Says how to find out. Without it, libraries that are named are loaded.
    pub(crate) fn ask_with(&self, ask: impl Fn() -> bool + Send + Sync + 'static) {
        // The first one that says so decides.
        let _ = self.ask.set(Box::new(ask));
    }

    fn is_as_needed(&self) -> bool {
        *self
            .answer
            .get_or_init(|| self.ask.get().is_some_and(|ask| ask()))
    }
}

/// How a library came to be a candidate.
#[derive(Clone)]
pub(crate) enum Role {
    /// The command line or the client named it, to be loaded then.
    Named(LoadWhen, Arc<DriverDefault>),
    /// Drivers name it behind everything else; the program loads it if it uses it. The process may have it
    /// all the same.
    Unnamed { is_loaded: bool },
    /// Drivers name it, too, and the process has it in any case.
    Present,
    /// A library of the program needs it. The program cannot ask for a version of what it does not
    /// load itself.
    Dependency,
}

/// A library that notes whether something is bound to it.
pub(crate) struct CandidateLibrary {
    library: Arc<dyn NativeLibrary>,
    role: Role,
    bound: AtomicBool,
}

impl CandidateLibrary {
    pub(crate) fn new(library: Arc<dyn NativeLibrary>, role: Role) -> Arc<Self> {
        Arc::new(Self {
            library,
            role,
            bound: AtomicBool::new(false),
        })
    }
}

impl NativeLibrary for CandidateLibrary {
    fn path(&self) -> &str {
        self.library.path()
    }

    fn loader_name(&self) -> &str {
        self.library.loader_name()
    }

    fn needed_name(&self) -> &str {
        self.library.needed_name()
    }

    fn needed(&self) -> Vec<String> {
        self.library.needed()
    }

    fn run_path(&self) -> Option<String> {
        self.library.run_path()
    }

    fn find(&self, name: &[u8]) -> Option<LibrarySymbol> {
        self.library.find(name)
    }

    fn version(&self, name: &[u8]) -> Option<Vec<u8>> {
        match self.role {
            Role::Dependency => None,
            _ => self.library.version(name),
        }
    }

    fn for_each_alias(&self, file_addr: u64, each: &mut dyn FnMut(&[u8])) {
        self.library.for_each_alias(file_addr, each);
    }

    fn for_each_interposable(&self, each: &mut dyn FnMut(&[u8])) {
        self.library.for_each_interposable(each);
    }

    fn interposable_count(&self) -> usize {
        self.library.interposable_count()
    }

    fn defines_interposable(&self, name: &[u8]) -> bool {
        self.library.defines_interposable(name)
    }

    fn for_each_undefined(&self, each: &mut dyn FnMut(&[u8])) {
        self.library.for_each_undefined(each);
    }

    fn for_each_required(&self, each: &mut dyn FnMut(&[u8])) {
        // Behind all archives, nobody hears what a library needs.
        if let Role::Named(..) = self.role {
            self.library.for_each_required(each);
        }
    }

    fn is_optional(&self) -> bool {
        matches!(self.role, Role::Unnamed { is_loaded: false })
    }

    fn fault(&self) -> Option<String> {
        self.library.fault()
    }

    fn takes_part(&self) -> bool {
        let in_any_case = || match &self.role {
            Role::Named(LoadWhen::Always, _) | Role::Present | Role::Dependency => true,
            Role::Named(LoadWhen::Used, _) | Role::Unnamed { .. } => false,
            Role::Named(LoadWhen::DriverSays, driver) => !driver.is_as_needed(),
        };
        self.bound.load(Ordering::Relaxed) || in_any_case()
    }

    fn is_of_program(&self) -> bool {
        self.takes_part()
    }

    fn bind(&self) {
        self.bound.store(true, Ordering::Relaxed);
    }
}

/// A library, and its place if it is loaded.
pub(crate) type FoundDependency = (Arc<dyn NativeLibrary>, Option<ExecutorAddr>);

/// How what a library needs is found by its soname.
pub(crate) type FindDependency =
    dyn Fn(&dyn NativeLibrary, &str) -> Option<FoundDependency> + Send + Sync;

/// The candidates of the program, in the order in which it would load them.
#[derive(Default)]
pub(crate) struct NeededLibraries {
    state: Mutex<State>,
    /// What the driver says of libraries that are named.
    pub(crate) driver: Arc<DriverDefault>,
}

#[derive(Default)]
struct State {
    candidates: Vec<Candidate>,
    find: Option<Arc<FindDependency>>,
}

#[derive(Clone)]
struct Candidate {
    library: Arc<CandidateLibrary>,
    load_bias: Option<ExecutorAddr>,
}

/// The libraries of a program.
#[derive(Default)]
struct Libraries {
    /// The libraries that it loads, then the libraries that those need, in the order in which the loader searches
    /// them: breadth first.
    all: Vec<Candidate>,
    /// How many of these the program loads.
    own: usize,
    sonames: HashSet<String>,
}

impl NeededLibraries {
    /// Adds a candidate, behind those before it.
    pub(crate) fn add(&self, library: Arc<CandidateLibrary>, load_bias: Option<ExecutorAddr>) {
        self.state()
            .candidates
            .push(Candidate { library, load_bias });
    }

    /// Says how dependencies of libraries are found.
    pub(crate) fn find_dependencies_with(&self, find: Arc<FindDependency>) {
        self.state().find = Some(find);
    }

    /// The libraries of use, then what those need, as the loader will search them: breadth first.
    /// Dependencies count too: the program's definitions replace theirs.
    pub(crate) fn all(&self) -> Vec<Arc<dyn NativeLibrary>> {
        let as_library = |c: Candidate| -> Arc<dyn NativeLibrary> { c.library };
        self.used().all.into_iter().map(as_library).collect()
    }

    /// The file of a library that the loader is asked for by this name, if a name it is: both as messages
    /// have them.
    pub(crate) fn file_of(&self, needed_name: &str) -> Option<String> {
        let state = self.state();
        let mut libraries = state.candidates.iter().map(|c| &c.library);
        let shown =
            |library: &&Arc<CandidateLibrary>| printable_text(library.needed_name().as_bytes());
        let found = libraries.find(|library| shown(library) == needed_name)?;
        Some(printable_text(found.path().as_bytes())).filter(|path| path != needed_name)
    }

    /// The libraries that are loaded with the program.
    fn used(&self) -> Libraries {
        let (candidates, find) = {
            let state = self.state();
            (state.candidates.clone(), state.find.clone())
        };
        loop {
            let mut libraries = Libraries::default();
            let used = candidates.iter().filter(|c| c.library.takes_part());
            for candidate in used {
                if libraries
                    .sonames
                    .insert(candidate.library.loader_name().to_owned())
                {
                    libraries.all.push(candidate.clone());
                }
            }
            libraries.own = libraries.all.len();
            if let Some(find) = &find {
                libraries.add_dependencies(&**find);
            }
            if !libraries.bind_what_they_require(&candidates) {
                return libraries;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Libraries {
    fn add_dependencies(&mut self, find: &FindDependency) {
        let mut at = 0;
        while let Some(library) = self.all.get(at).map(|c| c.library.clone()) {
            for soname in library.needed() {
                if !self.sonames.insert(soname.clone()) {
                    continue;
                }
                if let Some((library, load_bias)) = find(&*library, &soname) {
                    let library = CandidateLibrary::new(library, Role::Dependency);
                    self.all.push(Candidate { library, load_bias });
                }
            }
            at += 1;
        }
    }

    /// A library that is loaded only if it is of use also is if it defines what one before it takes
    /// from elsewhere, unless some library needs it by name. Whether there is such a library.
    fn bind_what_they_require(&self, candidates: &[Candidate]) -> bool {
        let is_named = |c: &&Candidate| matches!(c.library.role, Role::Named(..));
        let named: Vec<&Candidate> = candidates.iter().filter(is_named).collect();
        for (at, candidate) in named.iter().enumerate() {
            let idle = !candidate.library.takes_part();
            if !idle || self.sonames.contains(candidate.library.loader_name()) {
                continue;
            }
            let before = named[..at].iter().filter(|c| c.library.takes_part());
            let is_new = |name: &[u8]| {
                let mut before = before.clone();
                candidate.library.find(name).is_some()
                    && before.all(|c| c.library.find(name).is_none())
            };
            let mut wanted = false;
            for library in before.clone() {
                library
                    .library
                    .for_each_required(&mut |name| wanted = wanted || is_new(name));
            }
            if wanted {
                candidate.library.bind();
                return true;
            }
        }
        false
    }
}

/// The linker, with the list of the program's libraries completed.
pub(crate) struct ProgramLinker {
    linker: JitLinker,
    needed: Arc<NeededLibraries>,
    names: Arc<NameTable>,
}

impl ProgramLinker {
    pub(crate) fn new(
        linker: JitLinker,
        needed: Arc<NeededLibraries>,
        names: Arc<NameTable>,
    ) -> Self {
        Self {
            linker,
            needed,
            names,
        }
    }
}

impl Linker for ProgramLinker {
    fn link(&self, mut batch: Batch, mut host: Arc<dyn BatchHost>) {
        if let NativeBinding::Program(program) = &mut batch.binding {
            let libraries = self.needed.used();
            let as_library = |c: &Candidate| -> Arc<dyn NativeLibrary> { c.library.clone() };
            let (own, others) = libraries.all.split_at(libraries.own);
            program.libraries = own.iter().map(as_library).collect();
            program.dependencies = others.iter().map(as_library).collect();
            host = Arc::new(WithLibraries {
                host,
                names: self.names.clone(),
                libraries: libraries.all,
            });
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

/// The session, with answers from all the program's libraries for weak references that it has none
/// for.
struct WithLibraries {
    host: Arc<dyn BatchHost>,
    names: Arc<NameTable>,
    libraries: Vec<Candidate>,
}

impl WithLibraries {
    fn of_libraries(&self, name: NameId) -> Option<Resolution> {
        let name = self.names.bytes(name);
        let found = |c: &Candidate| Some((c.clone(), c.library.find(&name)?));
        let (candidate, symbol) = self.libraries.iter().find_map(found)?;
        Some(Resolution::Native(Box::new(NativeSymbol {
            name,
            symbol,
            library: Some(candidate.library),
            load_bias: candidate.load_bias,
            weak: true,
        })))
    }
}

impl BatchHost for WithLibraries {
    fn resolve(&self, dylib: DylibId, name: NameId) -> Resolution {
        match self.host.resolve(dylib, name) {
            Resolution::Null => self.of_libraries(name).unwrap_or(Resolution::Null),
            resolution => resolution,
        }
    }

    fn own_definition(&self, dylib: DylibId, name: NameId) -> Option<Resolution> {
        self.host.own_definition(dylib, name)
    }

    fn other_names(&self, dylib: DylibId) -> Vec<NameId> {
        self.host.other_names(dylib)
    }

    fn statics(&self, statics: Vec<Option<Arc<Statics>>>) {
        self.host.statics(statics);
    }

    fn resolved(&self, addresses: Vec<UnitAddresses>) {
        self.host.resolved(addresses);
    }

    fn when_dependencies_resolved(&self, then: Box<dyn FnOnce(Result<(), LinkError>) + Send>) {
        self.host.when_dependencies_resolved(then);
    }

    fn pending_address(&self, dylib: DylibId, name: NameId) -> Option<ExecutorAddr> {
        self.host.pending_address(dylib, name)
    }

    fn in_place(&self) {
        self.host.in_place();
    }

    fn emitted(&self, allocations: Vec<(TrackerId, Box<dyn Finalized>)>) {
        self.host.emitted(allocations);
    }

    fn failed(&self, error: LinkError) {
        self.host.failed(error);
    }
}
