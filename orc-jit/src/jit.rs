//! The JIT: a session with the runtime started in it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use jit_core::batch::DylibId;
use jit_core::cpu::Architecture;
use jit_core::error::LinkError;
use jit_core::executor::ExecutorControl;
use jit_core::graph::InputBytes;
use jit_core::link::LinkContext;
use jit_core::link::timings::PhaseTimes;
use jit_core::name::NameTable;
use jit_core::session::{JitLinker, Removal, Session, SessionConfig, Speculation, Symbol};
use orc_inputs::archive::Archive;
use orc_inputs::format::ReadObjects;
use orc_inputs::input::InputOpener as _;
use orc_inputs::library_search::{LibrarySearch, SearchError, compiler_for};

use crate::crash;
use crate::defaults::{StaticArchives, StaticParts};
use crate::dylib::Dylib;
use crate::error::Error;
use crate::executor::Executor;
use crate::loaded_libraries::LoadedLibraries;
use crate::mapped::MapFiles;
use crate::needed::{NeededLibraries, ProgramLinker};
use crate::object_reader::{Files, ObjectReader};
use crate::platform::{self, AddPasses, Runtime, SessionPlatform};
use crate::targets;
use crate::tiers::Units;

/// A JIT. A handle, cheap to clone. When the last handle of it is dropped (a [`Dylib`],
/// [`crate::Tracker`] or [`crate::Function`] is one too), exit handlers of its dylibs run and all
/// memory is given back.
#[derive(Clone)]
pub struct Jit(pub(crate) Arc<Inner>);

/// A handle that does not keep the JIT.
#[derive(Clone)]
pub struct WeakJit(Weak<Inner>);

impl WeakJit {
    /// The JIT, as long as somebody keeps it.
    #[must_use]
    pub fn upgrade(&self) -> Option<Jit> {
        self.0.upgrade().map(Jit)
    }
}

/// What all handles of a JIT share.
pub(crate) struct Inner {
    pub(crate) session: Session,
    pub(crate) runtime: Runtime,
    pub(crate) objects: ObjectReader,
    pub(crate) search: Arc<LibrarySearch>,
    pub(crate) loaded: LoadedLibraries,
    pub(crate) needed: Arc<NeededLibraries>,
    pub(crate) times: Arc<PhaseTimes>,
    pub(crate) executor: Executor,
    pub(crate) tiers: Arc<Units>,
    static_parts: Arc<StaticArchives>,
    dylibs: Mutex<Dylibs>,
}

/// The open dylibs by age, and the age of each.
#[derive(Default)]
struct Dylibs {
    made: u64,
    by_age: BTreeMap<u64, jit_core::session::Dylib>,
    ages: HashMap<DylibId, u64>,
}

/// Configures a [`Jit`].
#[derive(Default)]
pub struct Builder {
    runtime: Option<PathBuf>,
    executor: Option<Executor>,
    directories: Vec<String>,
    passes: Vec<AddPasses>,
    names: Option<Arc<NameTable>>,
    wrapped: Vec<String>,
    files: Files,
    time_phases: bool,
    speculation: Option<Speculation>,
    debug: bool,
}

impl Builder {
    /// Links the runtime from this archive instead of the built-in one. LLVM's `liborc_rt` works as
    /// far as its model allows: it does not run `.fini_array`.
    #[must_use]
    pub fn runtime(mut self, path: impl Into<PathBuf>) -> Self {
        self.runtime = Some(path.into());
        self
    }

    /// Runs code there instead of in this process. One executor may serve several JITs.
    #[must_use]
    pub fn executor(mut self, executor: impl Into<Executor>) -> Self {
        self.executor = Some(executor.into());
        self
    }

    /// Searches a directory for libraries, before the system's (`-L`).
    #[must_use]
    pub fn library_directory(mut self, directory: impl Into<String>) -> Self {
        self.directories.push(directory.into());
        self
    }

    /// Adds passes to every link: they see, and may change, the graph of each object.
    #[must_use]
    pub fn passes(mut self, add: AddPasses) -> Self {
        self.passes.push(add);
        self
    }

    /// Puts another function in front of `symbol` (`--wrap`): what objects refer to as `symbol` is
    /// `__wrap_symbol`, and what they refer to as `__real_symbol` is `symbol`. An object's references
    /// to its own definition stay.
    #[must_use]
    pub fn wrap(mut self, symbol: impl Into<String>) -> Self {
        self.wrapped.push(symbol.into());
        self
    }

    /// Measures how long the phases of links take, for [`Jit::phase_times`]. A link of one small object
    /// takes half as long again with it.
    #[must_use]
    pub fn time_phases(mut self) -> Self {
        self.time_phases = true;
        self
    }

    /// Links functions of lazy dylibs before they are called, in a thread of low priority:
    /// [`jit_core::session::Session::speculate`].
    #[must_use]
    pub fn speculate(mut self, how_far: Speculation) -> Self {
        self.speculation = Some(how_far);
        self
    }

    /// Shows linked code to gdb and lldb, with the symbols and the debug information of its objects: to those that
    /// are attached to its process, and to those that will be. Without this call that is done if a debugger is
    /// attached when the JIT is built. Debug information takes memory.
    #[must_use]
    pub fn debug(mut self) -> Self {
        self.debug = true;
        self
    }

    /// Uses this table of names, which others may have filled already.
    #[must_use]
    pub fn names(mut self, names: Arc<NameTable>) -> Self {
        self.names = Some(names);
        self
    }

    /// Finds members of archives there; in the file system if this is not called.
    #[must_use]
    pub fn files(mut self, files: Files) -> Self {
        self.files = files;
        self
    }

    /// Starts the JIT: links the runtime and calls it.
    ///
    /// # Errors
    /// When the runtime cannot be read, linked or started.
    pub fn build(self) -> Result<Jit, Error> {
        let names = self.names.unwrap_or_default();
        let handle = self.executor.unwrap_or_else(Executor::in_process);
        let executor = handle.control().clone();
        let mut platform = SessionPlatform::new();
        for add in self.passes {
            platform.add_passes(add);
        }
        let platform = Arc::new(platform);
        let mut config = SessionConfig::new(executor.clone(), platform.clone(), names.clone());
        let platforms = config.platforms.clone();
        let mut context = LinkContext::new(executor.clone(), platforms, names.clone());
        context.debug = self.debug || executor.is_debugged();
        let context = Arc::new(context);
        let needed = Arc::new(NeededLibraries::default());
        let times = context.times.clone();
        if self.time_phases {
            times.measure();
        }
        config.linker = Arc::new(ProgramLinker::new(
            JitLinker(context),
            needed.clone(),
            names.clone(),
        ));
        let session = Session::new(config);
        if let Some(how_far) = self.speculation {
            session.speculate(how_far);
        }
        crash::watch(&*executor, &session);
        let loaded = load_runtime_needs(&*executor, self.runtime.as_deref())?;
        let cpu = executor.architecture();
        let is_own_cpu = Architecture::of_this_process() == Some(cpu);
        let path = match self.runtime {
            None if !is_own_cpu => Some(targets::runtime(cpu)?),
            path => path,
        };
        let archive = read_runtime(path.as_deref(), cpu, &names)?;
        let natives = loaded.natives();
        let runtime = Runtime::start(&session, &platform, Arc::new(archive), &natives);
        let mut search = LibrarySearch::for_cpu(cpu, platform::formats(), Arc::new(MapFiles));
        for directory in &self.directories {
            search.add_directory(directory);
        }
        // Where the compiler's own libraries are.
        search.ask_compiler(&compiler_for(cpu, "cc"));
        let search = Arc::new(search);
        let tiers = Arc::<Units>::default();
        let runtime = runtime.map_err(|error| Error::Runtime { path, error })?;
        let asked = Arc::downgrade(&tiers);
        runtime.on_reoptimize(move |unit, version| {
            if let Some(tiers) = asked.upgrade() {
                tiers.ask(unit, version);
            }
        });
        let objects = ObjectReader::new(names, &self.wrapped, self.files).for_cpu(cpu);
        Ok(Jit(Arc::new(Inner {
            runtime,
            session,
            tiers,
            static_parts: Arc::new(StaticArchives::new(search.clone(), objects.clone())),
            objects,
            search,
            loaded,
            needed,
            times,
            executor: handle,
            dylibs: Mutex::default(),
        })))
    }
}

/// The process's libraries, once all that the runtime needs of them is loaded: LLVM's runtime is
/// written in C++.
fn load_runtime_needs(
    executor: &dyn ExecutorControl,
    runtime: Option<&Path>,
) -> Result<LoadedLibraries, LinkError> {
    if runtime.is_some() {
        executor.open_library("libstdc++.so.6")?;
    }
    Ok(LoadedLibraries::of(executor)?)
}

fn read_runtime(
    path: Option<&Path>,
    cpu: Architecture,
    names: &Arc<NameTable>,
) -> Result<Archive, Error> {
    let (name, input): (String, Arc<dyn InputBytes>) = match path {
        None => ("liborc_rt.a".to_owned(), Arc::new(Embedded)),
        Some(path) => {
            let input = MapFiles.open(path);
            let input = input.map_err(|error| SearchError::Io {
                path: path.to_owned(),
                error,
            })?;
            (path.display().to_string(), input)
        }
    };
    let mut objects = ReadObjects::new(platform::formats(), names);
    objects.architecture = cpu;
    Ok(Archive::new(name, input, &objects)?)
}

struct Embedded;

impl InputBytes for Embedded {
    fn bytes(&self) -> &[u8] {
        orc_embedded::RUNTIME
    }
}

impl Jit {
    /// A JIT that runs code in this process.
    ///
    /// # Errors
    /// When the runtime cannot be started.
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Options for a JIT.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A new dylib. Its objects see its own definitions, then the runtime's, then the process's
    /// libraries. Dylibs of one name may exist; names are for messages and for `dlopen` from within
    /// the code.
    ///
    /// # Errors
    /// When its header cannot be linked.
    pub fn dylib(&self, name: &str) -> Result<Dylib, Error> {
        let dylib = self.0.runtime.add_dylib(name)?;
        self.0.remember(&dylib);
        self.0.runtime.add_dynamic_section(&dylib)?;
        // What a client may remove is behind the default tracker.
        let libraries = dylib.new_tracker();
        for (library, load_bias) in self.0.loaded.natives() {
            libraries.add_library(library, load_bias)?;
        }
        dylib.add_generator(Arc::new(StaticParts::new(self.0.static_parts.clone())));
        self.0.runtime.register(&dylib)?;
        Ok(Dylib::new(self.clone(), dylib))
    }

    /// A handle that does not keep the JIT.
    #[must_use]
    pub fn downgrade(&self) -> WeakJit {
        WeakJit(Arc::downgrade(&self.0))
    }

    /// Where code runs.
    #[must_use]
    pub fn executor(&self) -> &Executor {
        &self.0.executor
    }

    /// Calls a wrapper function with packed arguments and returns its packed result, wherever the code
    /// is. A wrapper function takes `(const char *, size_t)` and returns LLVM's
    /// `CWrapperFunctionResult`.
    ///
    /// # Errors
    /// The function's out-of-band error, that its process is gone, or that the symbol is of another
    /// executor.
    ///
    /// # Safety
    /// The symbol is a wrapper function, and calling it with these arguments is safe.
    pub unsafe fn call_wrapper(&self, function: &Symbol, args: &[u8]) -> Result<Vec<u8>, Error> {
        let control = self.0.executor.control();
        if !function.is_in(control) {
            let addr = function.addr();
            return Err(Error::OtherExecutor { addr });
        }
        Ok(control.call_wrapper(function.addr(), args)?)
    }

    /// The session below, for what this interface does not offer.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// How long the phases of links took, all links added up. Nothing unless
    /// [`Builder::time_phases`] was asked for.
    #[must_use]
    pub fn phase_times(&self) -> &PhaseTimes {
        &self.0.times
    }

    /// Reads objects for this JIT; does not keep it, so materializers can own it.
    #[must_use]
    pub fn objects(&self) -> ObjectReader {
        self.0.objects.clone()
    }
}

impl Inner {
    /// The dylib is closed before the runtime ends.
    pub(crate) fn remember(&self, dylib: &jit_core::session::Dylib) {
        let mut dylibs = self.dylibs.lock().unwrap_or_else(PoisonError::into_inner);
        let age = dylibs.made;
        dylibs.made += 1;
        dylibs.ages.insert(dylib.id(), age);
        dylibs.by_age.insert(age, dylib.clone());
    }

    /// Closes a dylib; `None` if it was closed before.
    pub(crate) fn close(
        &self,
        dylib: &jit_core::session::Dylib,
    ) -> Option<Result<Removal, LinkError>> {
        let known = {
            let mut dylibs = self.dylibs.lock().unwrap_or_else(PoisonError::into_inner);
            let age = dylibs.ages.remove(&dylib.id())?;
            dylibs.by_age.remove(&age)
        };
        // A handle, which keeps the session, is dropped without the lock.
        drop(known);
        let finalized = self.runtime.close(dylib);
        let removed = self.session.close_dylib(dylib);
        Some(finalized.and(removed))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.session.end_speculation();
        let dylibs = self.dylibs.get_mut();
        let dylibs = std::mem::take(dylibs.unwrap_or_else(PoisonError::into_inner));
        let mut dylibs: Vec<_> = dylibs.by_age.into_values().rev().collect();
        self.runtime.sort_for_closing(&mut dylibs);
        let mut failures = Vec::new();
        for dylib in &dylibs {
            failures.extend(self.runtime.close(dylib).err());
            failures.extend(self.session.close_dylib(dylib).err());
        }
        failures.extend(self.runtime.shut_down().err());
        if self.executor.lost().is_some() {
            // Everything has ended with its process, whoever needs to know has been told.
            return;
        }
        for failure in failures {
            tracing::error!("while a JIT ends: {failure}");
        }
    }
}
