//! A dylib that is run as the program of its process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jit_core::batch::{BeforeStart, Exported, ProgramLink, Rehearsal};
use jit_core::error::LinkError;
use jit_core::executor::ExecutorError;
use jit_core::in_order::in_order;
use jit_core::name::NameId;
use jit_core::native::NativeLibrary;
use jit_core::object::ObjectFile;
use jit_core::session::{MissingSymbols, ProgramOptions};
use orc_inputs::archive::Archive;
use orc_inputs::library_search::{FoundContent, FoundInput, LibrarySearch};
use orc_inputs::linker_script::Assignment;
use orc_inputs::symbol_list::SymbolPatterns;

use crate::assignments;
use crate::defaults::{self, StaticArchives, StaticParts, UnopenedLibrary};
use crate::error::Error;
use crate::jit::Jit;
use crate::lazy_object::LazyObject;
use crate::lazy_program::Ahead;
use crate::needed::{CandidateLibrary, FoundDependency, LoadWhen, Role};
use crate::platform::{ProgramCall, ProgramStart};

/// How a program is linked and run.
#[derive(Clone, Debug)]
pub struct ProgramSettings {
    /// Where it starts.
    pub entry: Entry,
    /// The function to call before all other initializers, instead of `_init` (`-init`). It may be
    /// missing.
    pub init: Option<String>,
    /// The function to call after all other finalizers, instead of `_fini` (`-fini`).
    pub fini: Option<String>,
    /// Of several definitions the first one counts (`-z muldefs`).
    pub multiple_definitions: bool,
    /// Directories the loader searches for its libraries first.
    pub run_path: Vec<String>,
    /// Whether it also does for what the libraries need, and before those of `LD_LIBRARY_PATH`
    /// (`--disable-new-dtags`).
    pub run_path_for_all: bool,
    /// The program brings a C library of its own, as one that is linked with `-static` does, and takes
    /// nothing from this process's.
    pub own_c_library: bool,
    /// Weak references that no object and no library of the line defines are null, whatever is loaded
    /// when the program runs (`-z nodynamic-undefined-weak`).
    pub undefined_weak_is_null: bool,
    /// No variable of a library is copied into the program (`-z nocopyreloc`).
    pub no_copies: bool,
    /// Leave out what nothing refers to.
    pub gc_sections: bool,
    /// Names to link even if nothing refers to them (`-u`): archives are searched for them. They may
    /// be missing.
    pub keep: Vec<String>,
    /// Names that must be defined, and are kept (`--require-defined`).
    pub required: Vec<String>,
    /// Let `dlsym` and libraries that the program opens find all its visible definitions
    /// (`-rdynamic`).
    pub export_dynamic: bool,
    /// Let them find those of these names (`--export-dynamic-symbol`).
    pub exported: SymbolPatterns,
    /// What `main` and the initializers are passed, the program's name first.
    pub args: Vec<Vec<u8>>,
    /// What to do about references that nothing defines.
    pub undefined: Undefined,
    /// Only find out whether it links: [`Program::link`] gives everything back, and nothing has run.
    pub rehearse: Option<Rehearsal>,
    /// The program lies at the same addresses each time, as one does that is linked with `-no-pie`.
    pub fixed_addresses: bool,
    /// The program's thread-locals have to be at fixed offsets from the thread pointer, where code reaches them fastest.
    /// Otherwise they are called for when the process has no more room there.
    pub fixed_thread_locals: bool,
    /// Whether the linker defines `_DYNAMIC`: not for static programs at fixed addresses (`-static`), which
    /// no loader sees.
    pub dynamic_section: bool,
    /// What is done when the program is in place, before any code of it or of its libraries runs.
    pub before_start: Option<BeforeStart>,
    /// End the process when the program ends, as a linked program does: exit handlers of the
    /// process run in their order, and [`Program::run`] does not return.
    pub then_exit: bool,
}

impl Default for ProgramSettings {
    fn default() -> Self {
        Self {
            entry: Entry::Main,
            init: None,
            fini: None,
            multiple_definitions: false,
            run_path: Vec::new(),
            run_path_for_all: false,
            own_c_library: false,
            undefined_weak_is_null: false,
            no_copies: false,
            gc_sections: true,
            keep: Vec::new(),
            required: Vec::new(),
            export_dynamic: false,
            exported: SymbolPatterns::default(),
            args: Vec::new(),
            undefined: Undefined::default(),
            rehearse: None,
            fixed_addresses: false,
            fixed_thread_locals: false,
            dynamic_section: true,
            before_start: None,
            then_exit: false,
        }
    }
}

/// Where a program starts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Entry {
    /// At `main`, as the start-up files of the C library have it; if the program has none, at its own
    /// `_start`.
    #[default]
    Main,
    /// At its own `_start`, without start-up files (`-nostartfiles`); if it has none, at `main`.
    Start,
    /// At this symbol (`--entry`), as a process starts: with the arguments' number at the stack pointer.
    /// `main`, and `_start` where the program has none, stand for [`Self::Main`].
    Symbol(String),
}

/// What to do about references of objects that nothing defines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Undefined {
    /// The link fails.
    #[default]
    Error,
    /// The references get a null address, and the user a warning.
    Warn,
    /// The references get a null address.
    Ignore,
}

/// A program: a dylib whose libraries are loaded with it, and which replaces their definitions by
/// its own as a linked program does. A process has one.
pub struct Program {
    pub(crate) jit: Jit,
    pub(crate) dylib: jit_core::session::Dylib,
    settings: ProgramSettings,
    /// What linker scripts and the client define.
    assignments: Mutex<Vec<Assignment>>,
    /// What is called as `main`, once that is settled.
    called: OnceLock<&'static str>,
    /// Where the default libraries are looked for.
    search: OnceLock<Arc<LibrarySearch>>,
    /// Functions that do not wait for their first calls.
    pub(crate) ahead: Ahead,
    /// What the objects that can be replaced are added through.
    pub(crate) replaceable: OnceLock<jit_core::session::Tracker>,
}

/// A file of a program.
pub struct ProgramInput {
    /// The file and what it holds, as [`orc_inputs::library_search`] has found it.
    pub found: FoundInput,
    /// Its name for messages, if not its path.
    pub name: Option<String>,
    /// Link all members of the archive.
    pub whole_archive: bool,
    /// When the shared library is loaded.
    pub load: LoadWhen,
    /// Link the object only if something is taken from it (`--start-lib`).
    pub lazy: bool,
    /// The object is one of those that [`Program::replace`] replaces.
    pub replaceable: bool,
}

impl Program {
    /// An empty program.
    ///
    /// # Errors
    /// Bugs only.
    pub fn new(jit: &Jit, settings: ProgramSettings) -> Result<Self, Error> {
        // Known before any input is, the name is not one of an input's: what is asked when the program
        // starts looks into none.
        jit.0.session.names().intern(b"main");
        let runtime = &jit.0.runtime;
        let dylib = match settings.own_c_library {
            true => runtime.add_dylib_alone("main")?,
            false => runtime.add_dylib("main")?,
        };
        if settings.multiple_definitions {
            dylib.allow_multiple_definitions();
        }
        jit.0.remember(&dylib);
        if !settings.own_c_library {
            runtime.add_program_start(&dylib)?;
        }
        Ok(Self {
            jit: jit.clone(),
            dylib,
            settings,
            assignments: Mutex::default(),
            called: OnceLock::new(),
            search: OnceLock::new(),
            ahead: Ahead::default(),
            replaceable: OnceLock::new(),
        })
    }

    /// The program that a dylib is.
    pub(crate) fn of(
        jit: Jit,
        dylib: jit_core::session::Dylib,
        args: Vec<Vec<u8>>,
    ) -> Result<Self, Error> {
        jit.0.runtime.add_program_start(&dylib)?;
        let host = jit.0.loaded.all().find(|l| l.library.is_program());
        let host = host.map(|l| l.library.path().to_owned());
        for library in dylib.libraries() {
            // The loader finds the host's own symbols anyway, and cannot load it again.
            if host.as_deref() != Some(library.path()) {
                let candidate = CandidateLibrary::new(library, Role::Present);
                jit.0.needed.add(candidate, None);
            }
        }
        Ok(Self {
            jit,
            dylib,
            settings: ProgramSettings {
                args,
                ..ProgramSettings::default()
            },
            assignments: Mutex::default(),
            called: OnceLock::new(),
            search: OnceLock::new(),
            ahead: Ahead::default(),
            replaceable: OnceLock::new(),
        })
    }

    /// Adds files in link order.
    ///
    /// # Errors
    /// When an object cannot be read, or defines what is defined already.
    pub fn add(&self, inputs: Vec<ProgramInput>) -> Result<(), Error> {
        let tracker = self.dylib.default_tracker();
        let mut outcome = Ok(());
        let add = |_: &ProgramInput, read: Result<Read, Error>| {
            if outcome.is_err() {
                return;
            }
            outcome = read.and_then(|read| match read {
                Read::Objects(objects) => Ok(tracker.add_objects(objects)?),
                Read::Replaceable(object) => Ok(self.replaceable().add_object(object)?),
                Read::Archive(archive) => Ok(tracker.add_archive(Arc::new(archive))?),
                Read::Lazy(object) => Ok(tracker.add_archive(Arc::new(LazyObject::new(object)))?),
                Read::Shared(library, load) => self.add_shared(library, load),
                Read::Assigned(assignments) => {
                    self.assign(assignments);
                    Ok(())
                }
            });
        };
        in_order(&inputs, |input| self.read(input), add);
        outcome
    }

    fn read(&self, input: &ProgramInput) -> Result<Read, Error> {
        let objects = &self.jit.0.objects;
        let path = &input.found.path;
        let name = input.name.clone();
        let name = name.unwrap_or_else(|| path.display().to_string());
        Ok(match &input.found.content {
            FoundContent::Object(bytes) => {
                let object = objects.object(name, bytes.clone())?;
                match (input.lazy, input.replaceable) {
                    (true, _) => Read::Lazy(object),
                    (false, true) => Read::Replaceable(object),
                    (false, false) => Read::Objects(vec![object]),
                }
            }
            FoundContent::Archive(bytes) => {
                let archive = objects.archive(name, path, bytes.clone())?;
                if input.whole_archive {
                    Read::Objects(archive.members()?)
                } else {
                    Read::Archive(archive)
                }
            }
            FoundContent::Shared(library) => Read::Shared(library.clone(), input.load),
            FoundContent::Names(names) => Read::Assigned(names.assignments.clone()),
        })
    }

    /// Says how to find out whether the compiler driver would pass `--as-needed`, for libraries that are
    /// loaded as [`LoadWhen::DriverSays`]. It is asked at most once, and only if it matters.
    pub fn ask_driver(&self, is_as_needed: impl Fn() -> bool + Send + Sync + 'static) {
        self.jit.0.needed.driver.ask_with(is_as_needed);
    }

    fn add_shared(&self, library: Arc<dyn NativeLibrary>, load: LoadWhen) -> Result<(), Error> {
        let loaded = self.jit.0.loaded.same_file(&*library);
        let load_bias = loaded.map(|loaded| loaded.load_bias);
        let library = loaded.map_or(library, |loaded| loaded.library.clone());
        let needed = &self.jit.0.needed;
        let role = Role::Named(load, needed.driver.clone());
        let candidate = CandidateLibrary::new(library, role);
        needed.add(candidate.clone(), load_bias);
        Ok(self.dylib.add_library(candidate, load_bias)?)
    }

    /// Lets the program use the compilers' and the system's libraries without naming them. Call it
    /// after everything is added. `more` are sonames of further libraries of this kind.
    ///
    /// # Errors
    /// When the program's dylib was removed.
    pub fn use_default_libraries(
        &self,
        search: impl Into<Arc<LibrarySearch>>,
        more: &[&str],
    ) -> Result<(), Error> {
        let search = search.into();
        _ = self.search.set(search.clone());
        let mut candidates = HashMap::new();
        let cpu = self.jit.0.executor.control().architecture();
        let (asked, in_order) = (defaults::default_libraries(cpu), defaults::loaded(cpu));
        for soname in asked.iter().chain(more) {
            let loaded = self.jit.0.loaded.by_soname(soname).cloned();
            let load_bias = loaded.as_ref().map(|loaded| loaded.load_bias);
            let is_loaded = loaded.is_some();
            let (name, search) = ((*soname).to_owned(), search.clone());
            let open = move || -> Option<Arc<dyn NativeLibrary>> {
                match &loaded {
                    Some(loaded) => Some(loaded.library.clone()),
                    None => Some(search.find_soname(&name)?),
                }
            };
            let library = UnopenedLibrary::new(soname, Box::new(open));
            let role = match *soname == defaults::LIBC {
                true => Role::Present,
                false => Role::Unnamed { is_loaded },
            };
            let candidate = CandidateLibrary::new(Arc::new(library), role);
            self.dylib.add_library(candidate.clone(), load_bias)?;
            candidates.insert(*soname, (candidate, load_bias));
        }
        // What the process was started with (`LD_PRELOAD`) is found as in a linked program.
        for loaded in self.jit.0.loaded.all() {
            let known = candidates.contains_key(loaded.library.loader_name());
            if !known && !loaded.library.is_program() {
                let load_bias = Some(loaded.load_bias);
                let role = Role::Unnamed { is_loaded: true };
                let candidate = CandidateLibrary::new(loaded.library.clone(), role);
                self.dylib.add_library(candidate.clone(), load_bias)?;
                self.jit.0.needed.add(candidate, load_bias);
            }
        }
        let in_order = more.iter().chain(&in_order);
        let in_order = in_order.filter_map(|soname| candidates.remove(*soname));
        for (candidate, load_bias) in in_order {
            self.jit.0.needed.add(candidate, load_bias);
        }
        self.find_dependencies(search.clone());
        let archives = Arc::new(StaticArchives::new(search, self.jit.objects()));
        self.dylib
            .add_generator(Arc::new(StaticParts::of_program(archives)));
        Ok(())
    }

    /// What the program's libraries need is part of what it replaces.
    fn find_dependencies(&self, search: Arc<LibrarySearch>) {
        let loaded: HashMap<String, FoundDependency> = self
            .jit
            .0
            .loaded
            .all()
            .map(|l| {
                let library: Arc<dyn NativeLibrary> = l.library.clone();
                (
                    l.library.loader_name().to_owned(),
                    (library, Some(l.load_bias)),
                )
            })
            .collect();
        let find = move |needing: &dyn NativeLibrary, soname: &str| -> Option<FoundDependency> {
            match loaded.get(soname) {
                Some(found) => Some(found.clone()),
                None => Some((search.find_needed(needing, soname)?, None)),
            }
        };
        self.jit.0.needed.find_dependencies_with(Arc::new(find));
    }

    /// Defines symbols (`--defsym`), and makes assertions. They hold when the program is linked, in
    /// order with those of its linker scripts.
    pub fn assign(&self, assignments: impl IntoIterator<Item = Assignment>) {
        self.assignments().extend(assignments);
    }

    fn assignments(&self) -> MutexGuard<'_, Vec<Assignment>> {
        let assignments = self.assignments.lock();
        assignments.unwrap_or_else(PoisonError::into_inner)
    }

    /// Links the program and enters it into the process: its libraries are loaded and bound. What
    /// is missing is returned where [`ProgramSettings::undefined`] says that it may be.
    ///
    /// # Errors
    /// When something is missing that may not be, or cannot be linked; when a library cannot be loaded; when the
    /// process has a program already.
    pub fn link(&self) -> Result<Option<Arc<MissingSymbols>>, Error> {
        let assignments = std::mem::take(&mut *self.assignments());
        let tracker = self.dylib.default_tracker();
        assignments::add(&tracker, assignments, &self.jit.0.objects)?;
        if !self.settings.own_c_library {
            self.replace_init_and_fini()?;
            self.jit.0.runtime.add_profile_start(&self.dylib)?;
        }
        if self.settings.dynamic_section {
            self.jit.0.runtime.add_dynamic_section(&self.dylib)?;
        }
        let names = self.jit.0.session.names();
        let entry = self.find_entry()?;
        let entry = names.intern(entry.as_bytes());
        let intern = |name: &String| names.intern(name.as_bytes());
        let keep = self.settings.keep.iter();
        let required = self.settings.required.iter().map(intern);
        let roots: Vec<NameId> = std::iter::once(entry).chain(required).collect();
        let options = ProgramOptions {
            link: ProgramLink {
                libraries: Vec::new(),
                dependencies: Vec::new(),
                search_path: self.settings.run_path.clone(),
                search_path_for_all: self.settings.run_path_for_all,
                own_c_library: self.settings.own_c_library,
                undefined_weak_is_null: self.settings.undefined_weak_is_null,
                no_copies: self.settings.no_copies,
                exported: self.exported(),
                args: self.settings.args.clone(),
                rehearse: self.settings.rehearse,
                fixed_addresses: self.settings.fixed_addresses,
                fixed_thread_locals: self.settings.fixed_thread_locals,
                before_start: self.settings.before_start.clone(),
            },
            drop_unreachable: self.settings.gc_sections,
            keep: keep.map(intern).collect(),
            undefined_allowed: false,
            ahead: self.ahead.names(),
        };
        let missing = match self.dylib.link_program(&roots, options.clone()) {
            Ok(_) | Err(LinkError::Rehearsed) => return Ok(None),
            Err(LinkError::MissingSymbols(missing)) => missing,
            Err(error) => return Err(self.not_linked(error)),
        };
        // What is missing may be in a library that was there and could not be read.
        let shortage = self.search.get().and_then(|search| search.shortage());
        if let Some(shortage) = shortage {
            return Err(Error::Unreadable(shortage.to_string()));
        }
        if self.settings.undefined == Undefined::Error {
            return Err(LinkError::MissingSymbols(missing).into());
        }
        // A lookup that fails leaves nothing claimed, so all is found again.
        let options = ProgramOptions {
            undefined_allowed: true,
            ..options
        };
        match self.dylib.link_program(&roots, options) {
            Ok(_) | Err(LinkError::Rehearsed) => Ok(Some(missing)),
            Err(error) => Err(self.not_linked(error)),
        }
    }

    /// Why the program is not linked: for a library that the loader does not find, with the file that was.
    fn not_linked(&self, error: LinkError) -> Error {
        let LinkError::Executor(ExecutorError::Failed(message)) = &error else {
            return error.into();
        };
        let name = message.split_once(": cannot open shared object file");
        let linked = name.and_then(|(name, _)| self.jit.0.needed.file_of(name));
        match linked {
            Some(linked) => Error::LibraryNotLoaded {
                message: message.clone(),
                linked,
            },
            None => error.into(),
        }
    }

    /// The libraries that the program loads, in the loader's order, once it is linked, or its names are
    /// known ([`Rehearsal::Names`]).
    #[must_use]
    pub fn needed_libraries(&self) -> Vec<Arc<dyn NativeLibrary>> {
        self.jit.0.needed.all()
    }

    /// Whether an object, an archive or a library defines the name.
    fn is_defined(&self, name: &str) -> bool {
        let in_library = || {
            let mut libraries = self.dylib.libraries().into_iter();
            libraries.any(|library| library.find(name.as_bytes()).is_some())
        };
        self.defines(name) || in_library()
    }

    /// Whether an input defines a name, or an archive would.
    fn defines(&self, name: &str) -> bool {
        let name = self.jit.0.session.names().intern(name.as_bytes());
        self.dylib.defines(name)
    }

    /// Lets other functions be called where `_init` and `_fini` are. As for GNU ld, a function that is
    /// missing is none.
    fn replace_init_and_fini(&self) -> Result<(), Error> {
        let replaced = [
            ("_init", &self.settings.init),
            ("_fini", &self.settings.fini),
        ];
        let mut assignments = Vec::new();
        for (name, function) in replaced {
            if let Some(function) = function.as_ref().filter(|f| *f != name && self.defines(f)) {
                assignments.push(Assignment::other_name(name, function));
            }
        }
        let tracker = self.dylib.default_tracker();
        assignments::add(&tracker, assignments, &self.jit.0.objects)
    }

    /// Settles where the program starts, and returns the symbol to call as `main`.
    fn find_entry(&self) -> Result<&'static str, Error> {
        const MAIN: &str = "main";
        const START: &str = "_start";
        let in_order: [&str; 2] = match &self.settings.entry {
            Entry::Main => [MAIN, START],
            Entry::Start => [START, MAIN],
            Entry::Symbol(name) if name == START => [START, MAIN],
            Entry::Symbol(name) => [name, name],
        };
        let Some(entry) = in_order.into_iter().find(|name| self.is_defined(name)) else {
            let entry = match in_order {
                [START, _] => MAIN,
                [first, _] => first,
            };
            let entry = entry.to_owned();
            return Err(Error::NoEntry { entry });
        };
        let called = match entry {
            MAIN => MAIN,
            entry => self.jit.0.runtime.add_process_start(&self.dylib, entry)?,
        };
        Ok(*self.called.get_or_init(|| called))
    }

    /// What `dlsym` is to find beside what the program's libraries name.
    fn exported(&self) -> Exported {
        let patterns = &self.settings.exported;
        if self.settings.export_dynamic {
            Exported::Everything
        } else if patterns.is_empty() {
            Exported::Nothing
        } else {
            let patterns = patterns.clone();
            Exported::Matching(Arc::new(move |name| patterns.matches(name)))
        }
    }

    /// Runs the linked program on this thread.
    ///
    /// # Errors
    /// When the runtime cannot run it.
    pub fn run(&self) -> Result<i32, Error> {
        let entry = self.called.get().copied().unwrap_or("main");
        let status = self.jit.0.runtime.run_main(&ProgramCall {
            dylib: &self.dylib,
            entry,
            args: &self.settings.args,
            then_exit: self.settings.then_exit,
            start: match entry {
                "main" => ProgramStart::Main,
                _ if self.settings.own_c_library => ProgramStart::OwnCLibrary,
                _ => ProgramStart::Process,
            },
        })?;
        // A `main` returns an `int`.
        Ok(status as i32)
    }
}

/// An input that was read.
enum Read {
    Objects(Vec<Arc<dyn ObjectFile>>),
    Replaceable(Arc<dyn ObjectFile>),
    Archive(Archive),
    Lazy(Arc<dyn ObjectFile>),
    Shared(Arc<dyn NativeLibrary>, LoadWhen),
    Assigned(Vec<Assignment>),
}
