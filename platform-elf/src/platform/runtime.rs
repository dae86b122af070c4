//! The runtime of a session: linked from its archive like any library, then started.
//!
//! The runtime is a dylib of its own. It needs the process's libraries, the function that leads
//! back to the controller, and nothing else; other dylibs get its names as weak reexports, because
//! those must win over the C library's of the same name (`__cxa_atexit`) and lose to a program's.
//!
//! LLVM's runtime serves as well as our own. What only ours can do (`names::ext_elf`) is looked up
//! weakly; without it programs are run by name, and finalizer arrays do not run.

use std::cmp::Reverse;
use std::sync::Arc;

use jit_core::error::LinkError;
use jit_core::executor::{AllocAction, AllocActionPair, ExecutorControl, ExecutorError};
use jit_core::name::NameUses;
use jit_core::native::NativeLibrary;
use jit_core::object::{LazyObjects, Linkage, ObjectFile, SymbolKind};
use jit_core::session::{AbsoluteSymbol, Dylib, LookupOptions, Reexport, Session};
use orc_shared::names::{elf, ext_elf, rt};
use orc_shared::sps::{self, SpsDecode, SpsEncode, SpsError, SpsExpected};
use orc_shared::{ExecutorAddr, opening_order};

use super::handlers;
use super::lazy_calls::{self, Opener};
use super::runtime_names::{DarwinNames, add_dispatch, add_dlfcn, add_runtime_names};
use super::support::{DYNAMIC, HEADER, PROCESS_START, PROFILE_START, PROGRAM_START, SupportObject};
use super::{ElfPlatform, RuntimeFunctions};

/// The name of the runtime's dylib.
const NAME: &str = "orc runtime";

/// A library of the process, and its place if it is loaded.
pub type ProcessLibrary = (Arc<dyn NativeLibrary>, Option<ExecutorAddr>);

/// A runtime that was started.
pub struct ElfRuntime {
    platform: Arc<ElfPlatform>,
    executor: Arc<dyn ExecutorControl>,
    dylib: Dylib,
    functions: Functions,
    opener: Opener,
    /// What the runtime was told of its own dylib, to be taken back.
    early: Vec<AllocActionPair>,
}

/// What is called by address. Null where the runtime has no such function.
#[derive(Clone, Copy)]
struct Functions {
    run_program: ExecutorAddr,
    close: ExecutorAddr,
    run_main: ExecutorAddr,
    shutdown: ExecutorAddr,
    set_exit_services: ExecutorAddr,
    reoptimize_tag: ExecutorAddr,
    /// Whether it has functions for `dlopen` and its relatives that know JIT'd dylibs.
    knows_dlfcn: bool,
}

/// A program to run: what is linked, and what `main` is passed.
#[derive(Clone, Debug)]
pub struct ProgramCall<'a> {
    /// The dylib whose entry point is called, and whose initializers run first.
    pub dylib: &'a Dylib,
    /// The entry point's name, `main` by default.
    pub entry: &'a str,
    /// `argv`, the program's name first.
    pub args: &'a [Vec<u8>],
    /// End the process with the program's status; the call then does not return.
    pub then_exit: bool,
    /// What the entry point is.
    pub start: ProgramStart,
}

/// What the entry point of a program is. The runtime knows them by these numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum ProgramStart {
    /// The function `main`, which the runtime calls.
    #[default]
    Main = 0,
    /// Where a process starts, as [`SupportObject::process_start`] makes it: what start-up code does is its
    /// own task.
    Process = 1,
    /// Where a process starts, of a program with a C library of its own ([`ElfRuntime::add_dylib_alone`]).
    OwnCLibrary = 2,
}

impl ElfRuntime {
    /// Links the runtime from `archive` and starts it. `libraries` are the process's.
    ///
    /// # Errors
    /// When the archive lacks something, cannot be linked, or the runtime refuses to start.
    pub fn start(
        session: &Session,
        platform: &Arc<ElfPlatform>,
        archive: Arc<dyn LazyObjects>,
        libraries: &[ProcessLibrary],
    ) -> Result<Self, LinkError> {
        let executor = session.executor().clone();
        let dylib = session.add_dylib(NAME);
        platform.name_dylib(dylib.id(), NAME);
        platform.set_runtime_dylib(dylib.id());
        let names = session.names();
        dylib.add_object(Arc::new(SupportObject::header(names)))?;
        add_dispatch(session, &dylib)?;
        add_runtime_names(&dylib.default_tracker(), &dylib)?;
        dylib.add_archive(archive)?;
        for (library, load_bias) in libraries {
            dylib.add_library(library.clone(), *load_bias)?;
        }
        let [
            header,
            bootstrap,
            push_initializers,
            symbol_lookup,
            register,
            deregister,
            register_init,
            deregister_init,
        ] = lookup(
            &dylib,
            [
                HEADER,
                elf::PLATFORM_BOOTSTRAP,
                elf::PUSH_INITIALIZERS_TAG,
                elf::SYMBOL_LOOKUP_TAG,
                elf::REGISTER_JITDYLIB,
                elf::DEREGISTER_JITDYLIB,
                elf::REGISTER_INIT_SECTIONS,
                elf::DEREGISTER_INIT_SECTIONS,
            ],
            false,
        )?;
        let (
            [fini_sections, data],
            [finalize_ranges, remove_ranges],
            functions,
            opening,
            resolve_tag,
        ) = further_functions(&dylib)?;
        handlers::register(session, platform, push_initializers, symbol_lookup);
        let opener = Opener::new(platform, opening);
        if !resolve_tag.is_null() {
            lazy_calls::register(session, resolve_tag, opener.clone());
        }
        let (services, set_services) = (executor.exit_services(), functions.set_exit_services);
        if !services.is_null() && !set_services.is_null() {
            call_for_error(&*executor, set_services, &services)?;
        }
        call_for_error(&*executor, bootstrap, &header)?;
        let early = platform.runtime_ready(RuntimeFunctions {
            register_jitdylib: register,
            deregister_jitdylib: deregister,
            register_init_sections: register_init,
            deregister_init_sections: deregister_init,
            fini_sections,
            data,
            finalize_ranges: Some(finalize_ranges).filter(|function| !function.is_null()),
            remove_ranges: Some(remove_ranges).filter(|function| !function.is_null()),
        });
        run_calls(&*executor, early.iter().map(|pair| &pair.finalize))?;
        Ok(Self {
            platform: platform.clone(),
            executor,
            dylib,
            functions,
            opener,
            early,
        })
    }

    /// The runtime's dylib.
    #[must_use]
    pub fn dylib(&self) -> &Dylib {
        &self.dylib
    }

    /// A new dylib of the runtime's session, with a header and the runtime's names. It does not see
    /// what else the runtime's dylib has: the libraries it was linked with.
    ///
    /// # Errors
    /// Bugs only.
    pub fn add_dylib(&self, name: &str) -> Result<Dylib, LinkError> {
        let session = self.dylib.session();
        let dylib = session.add_dylib(name);
        self.platform.name_dylib(dylib.id(), name);
        let names = session.names();
        // A tracker of their own: the client's default one may be removed.
        let tracker = dylib.new_tracker();
        let header: Arc<dyn ObjectFile> = Arc::new(SupportObject::header(names));
        let atexit: Arc<dyn ObjectFile> = Arc::new(SupportObject::atexit(
            names,
            session.executor().architecture(),
        ));
        tracker.add_objects([header, atexit])?;
        add_runtime_names(&tracker, &self.dylib)?;
        let runtime = self.dylib.id();
        dylib.add_generator(Arc::new(DarwinNames { runtime }));
        if self.functions.knows_dlfcn {
            add_dlfcn(&tracker, &self.dylib)?;
        }
        Ok(dylib)
    }

    /// A new dylib of the runtime's session, with a header alone: for a program that brings a C library of
    /// its own, and shall take nothing from this process's.
    ///
    /// # Errors
    /// Bugs only.
    pub fn add_dylib_alone(&self, name: &str) -> Result<Dylib, LinkError> {
        let session = self.dylib.session();
        let dylib = session.add_dylib(name);
        self.platform.name_dylib(dylib.id(), name);
        let header: Arc<dyn ObjectFile> = Arc::new(SupportObject::header(session.names()));
        let tracker = dylib.new_tracker();
        tracker.add_objects([header])?;
        // Its thread-locals are at fixed offsets, so no call of it is left.
        tracker.add_absolute(&[AbsoluteSymbol {
            name: session.names().intern(b"__tls_get_addr"),
            addr: ExecutorAddr::NULL,
            kind: SymbolKind::Function,
            weak: true,
        }])?;
        Ok(dylib)
    }

    /// Gives a dylib a `_DYNAMIC`, if it has none: what a linker defines in all that a loader loads.
    ///
    /// # Errors
    /// When the dylib was removed.
    pub fn add_dynamic_section(&self, dylib: &Dylib) -> Result<(), LinkError> {
        let names = dylib.session().names().clone();
        if dylib.defines(names.intern(DYNAMIC.as_bytes())) {
            return Ok(());
        }
        // A tracker of its own, as for the header.
        let object = SupportObject::dynamic_section(&names);
        dylib.new_tracker().add_object(Arc::new(object))
    }

    /// Makes a dylib a program's: what start-up files bring to a program and not to a library.
    ///
    /// # Errors
    /// When the dylib was removed.
    pub fn add_program_start(&self, dylib: &Dylib) -> Result<(), LinkError> {
        let names = dylib.session().names().clone();
        // It is there if the dylib could not be linked as a program before. Two would not fit together.
        if dylib.defines(names.intern(PROGRAM_START.as_bytes())) {
            return Ok(());
        }
        let architecture = dylib.session().executor().architecture();
        let object = SupportObject::init_and_fini(&names, architecture);
        // Fragments are concatenated within one tracker, so these go where the program's objects are.
        dylib.add_object(Arc::new(object))
    }

    /// Has a program's profile started, if it was linked for one: with a start-up file that defines the
    /// function for that.
    ///
    /// # Errors
    /// When the dylib was removed.
    pub fn add_profile_start(&self, dylib: &Dylib) -> Result<(), LinkError> {
        let names = dylib.session().names().clone();
        if !dylib.defines(names.intern(PROFILE_START.as_bytes())) {
            return Ok(());
        }
        let architecture = dylib.session().executor().architecture();
        dylib.add_object(Arc::new(SupportObject::profile_start(&names, architecture)))
    }

    /// Adds what a program needs that is started where a process starts, at `entry`, and returns the
    /// name to call it by.
    ///
    /// # Errors
    /// When the dylib was removed.
    pub fn add_process_start(&self, dylib: &Dylib, entry: &str) -> Result<&'static str, LinkError> {
        let names = dylib.session().names().clone();
        let architecture = dylib.session().executor().architecture();
        let object = SupportObject::process_start(&names, architecture, entry);
        dylib.add_object(Arc::new(object))?;
        let start_main = names.intern(b"__libc_start_main");
        if !dylib.defines(start_main) {
            dylib.default_tracker().add_reexports(&[Reexport {
                alias: start_main,
                dylib: self.dylib.clone(),
                name: names.intern(ext_elf::LIBC_START_MAIN.as_bytes()),
                linkage: Linkage::Weak,
            }])?;
        }
        Ok(PROCESS_START)
    }

    /// Has `ask` called when linked code calls `__orc_rt_reoptimize(unit, version)`, on the thread that does.
    pub fn on_reoptimize(&self, ask: impl Fn(u64, u32) + Send + Sync + 'static) {
        if self.functions.reoptimize_tag.is_null() {
            return;
        }
        let answer = move |args: &[u8]| {
            if let Ok((unit, version)) = sps::decode(args) {
                ask(unit, version);
            }
            // LLVM's function returns nothing.
            Vec::new()
        };
        self.executor
            .register_handler(self.functions.reoptimize_tag, Box::new(answer));
    }

    /// Makes the runtime know a dylib, if it does not yet: links its header.
    ///
    /// # Errors
    /// When the header cannot be linked.
    pub fn register(&self, dylib: &Dylib) -> Result<ExecutorAddr, LinkError> {
        Ok(dylib.lookup_one(HEADER)?.addr())
    }

    /// Runs the initializers of a dylib, and of those it needs, that were linked since the last time:
    /// what a dylib needs comes before it, as with a loader.
    ///
    /// # Errors
    /// When the dylib is not registered.
    pub fn initialize(&self, dylib: &Dylib) -> Result<(), LinkError> {
        self.opener.open(dylib)
    }

    /// Closes a dylib: its exit handlers and finalizers run. With LLVM's runtime nothing happens.
    /// Returns how many destructors of its thread-locals other threads still have to run.
    ///
    /// # Errors
    /// When the dylib is not registered.
    pub fn close(&self, dylib: &Dylib) -> Result<u64, LinkError> {
        let function = self.functions.close;
        match self.platform.header_of(dylib.id()) {
            Some(header) if !function.is_null() => {
                let pending = call_for_value(&*self.executor, function, &header)?;
                self.platform.closed(dylib.id());
                Ok(pending)
            }
            _ => Ok(0),
        }
    }

    /// Puts dylibs into the order in which a loader closes them: those that are open in the reverse of
    /// the order in which they were opened, then the others.
    pub fn sort_for_closing(&self, dylibs: &mut [Dylib]) {
        dylibs.sort_by_key(|dylib| Reverse(self.platform.opened_at(dylib.id())));
    }

    /// Runs a program that is linked, and returns its exit status.
    ///
    /// # Errors
    /// When the entry point is missing, or the runtime cannot run the program.
    pub fn run_main(&self, program: &ProgramCall<'_>) -> Result<i64, LinkError> {
        if self.functions.run_main.is_null() {
            let args = (
                program.dylib.name(),
                program.entry.to_owned(),
                program.args.to_vec(),
            );
            return call(&*self.executor, self.functions.run_program, &args);
        }
        let header = self.register(program.dylib)?;
        let entry = program.dylib.lookup_one(program.entry)?;
        // All of the program is linked.
        let needs = match self.platform.needed(program.dylib).is_empty() {
            true => Vec::new(),
            false => self.platform.link_initializers(program.dylib)?,
        };
        let order = opening_order(header, &needs);
        let headers = order.iter().map(|(header, _)| *header);
        let libraries: Vec<ExecutorAddr> = headers.filter(|other| *other != header).collect();
        let due = self.platform.to_initialize(program.dylib);
        let args = (
            header,
            libraries,
            entry.addr(),
            program.args.to_vec(),
            program.then_exit,
            program.start as u8,
        );
        let status = call_for_value(&*self.executor, self.functions.run_main, &args)?;
        // The program's end has closed them, unless they were open before.
        self.platform.initialized(&due);
        let opened = due.iter().map(|(dylib, ..)| *dylib);
        let program = program.dylib.id();
        self.platform
            .closed_with_program(opened.filter(|dylib| *dylib != program));
        Ok(status)
    }

    /// Stops the runtime: dylibs are closed, nothing of it may be called afterwards.
    ///
    /// # Errors
    /// What the runtime reports.
    pub fn shut_down(&self) -> Result<(), LinkError> {
        self.platform.runtime_stops();
        let undone = self.early.iter().rev().map(|pair| &pair.dealloc);
        let undone = run_calls(&*self.executor, undone);
        let stopped = call_for_error(&*self.executor, self.functions.shutdown, &());
        undone.and(stopped)
    }
}

/// The addresses of names; null for those that may be missing and are.
fn lookup<const N: usize>(
    dylib: &Dylib,
    names: [&str; N],
    may_be_missing: bool,
) -> Result<[ExecutorAddr; N], LinkError> {
    let session = dylib.session();
    let mut uses = NameUses::new(session.names());
    let ids = names.map(|name| uses.intern(name.as_bytes()));
    let options = LookupOptions {
        names_may_be_missing: may_be_missing,
        ..LookupOptions::default()
    };
    let symbols = dylib.lookup_with(&ids, &options)?;
    let mut addresses = [ExecutorAddr::NULL; N];
    for (addr, symbol) in addresses.iter_mut().zip(&symbols) {
        *addr = symbol.addr();
    }
    Ok(addresses)
}

/// What every runtime has and is needed later, and what only ours has.
#[allow(clippy::type_complexity)]
fn further_functions(
    dylib: &Dylib,
) -> Result<
    (
        [Option<(ExecutorAddr, ExecutorAddr)>; 2],
        [ExecutorAddr; 2],
        Functions,
        [ExecutorAddr; 3],
        ExecutorAddr,
    ),
    LinkError,
> {
    let [run_program, dlopen, shutdown] = lookup(
        dylib,
        [
            rt::RUN_PROGRAM_WRAPPER,
            rt::DLOPEN_WRAPPER,
            elf::PLATFORM_SHUTDOWN,
        ],
        false,
    )?;
    let [
        register_fini,
        deregister_fini,
        initialize,
        finalize_ranges,
        close,
        run_main,
        dlupdate,
        set_exit_services,
        remove_ranges,
        register_data,
        deregister_data,
        resolve_tag,
        reoptimize_tag,
    ] = lookup(
        dylib,
        [
            ext_elf::REGISTER_FINI_SECTIONS,
            ext_elf::DEREGISTER_FINI_SECTIONS,
            ext_elf::INITIALIZE,
            ext_elf::FINALIZE_RANGES,
            ext_elf::CLOSE,
            ext_elf::RUN_MAIN,
            rt::DLUPDATE_WRAPPER,
            ext_elf::SET_EXIT_SERVICES,
            ext_elf::REMOVE_RANGES,
            ext_elf::REGISTER_DATA,
            ext_elf::DEREGISTER_DATA,
            rt::RESOLVE_TAG,
            rt::REOPTIMIZE_TAG,
        ],
        true,
    )?;
    let both = |register: ExecutorAddr, deregister: ExecutorAddr| {
        (!register.is_null() && !deregister.is_null()).then_some((register, deregister))
    };
    let functions = Functions {
        run_program,
        close,
        run_main,
        shutdown,
        set_exit_services,
        reoptimize_tag,
        knows_dlfcn: !register_data.is_null(),
    };
    Ok((
        [
            both(register_fini, deregister_fini),
            both(register_data, deregister_data),
        ],
        [finalize_ranges, remove_ranges],
        functions,
        [initialize, dlopen, dlupdate],
        resolve_tag,
    ))
}

fn run_calls<'a>(
    executor: &dyn ExecutorControl,
    calls: impl Iterator<Item = &'a AllocAction>,
) -> Result<(), LinkError> {
    for action in calls.filter(|action| !action.is_absent()) {
        let result = executor.call_wrapper(action.function, &action.args)?;
        decode::<SpsError>(&result)?.0.map_err(failure)?;
    }
    Ok(())
}

/// Calls a wrapper that returns an SPS `Error`.
pub(super) fn call_for_error<A: SpsEncode + ?Sized>(
    executor: &dyn ExecutorControl,
    function: ExecutorAddr,
    args: &A,
) -> Result<(), LinkError> {
    call::<A, SpsError>(executor, function, args)?
        .0
        .map_err(failure)
}

/// Calls a wrapper that returns an SPS `Expected`.
fn call_for_value<A: SpsEncode + ?Sized, T: for<'a> SpsDecode<'a>>(
    executor: &dyn ExecutorControl,
    function: ExecutorAddr,
    args: &A,
) -> Result<T, LinkError> {
    call::<A, SpsExpected<T>>(executor, function, args)?
        .0
        .map_err(failure)
}

/// Calls a wrapper that returns a plain value.
pub(super) fn call<A: SpsEncode + ?Sized, T: for<'a> SpsDecode<'a>>(
    executor: &dyn ExecutorControl,
    function: ExecutorAddr,
    args: &A,
) -> Result<T, LinkError> {
    decode(&executor.call_wrapper(function, &sps::encode(args))?)
}

fn decode<T: for<'a> SpsDecode<'a>>(result: &[u8]) -> Result<T, LinkError> {
    sps::decode(result).map_err(|error| {
        failure(format!(
            "the runtime's answer cannot be read: {error}; is it a runtime of another version?"
        ))
    })
}

pub(super) fn failure(message: String) -> LinkError {
    LinkError::Executor(ExecutorError::Failed(message))
}
