//! Names that dylibs get for the runtime's functions, and what the runtime gets of the controller.

use jit_core::batch::DylibId;
use jit_core::error::LinkError;
use jit_core::name::NameId;
use jit_core::object::{Linkage, SymbolKind};
use jit_core::session::{AbsoluteSymbol, Dylib, Generator, Reexport, Session, Tracker, Wanted};
use orc_shared::names::{darwin, dispatch, elf, ext_elf, rt};

/// Gives a dylib the names that stand for the runtime's: `__cxa_atexit` and the like. `atexit` is not
/// among them, because each dylib has its own.
pub(super) fn add_runtime_names(tracker: &Tracker, runtime: &Dylib) -> Result<(), LinkError> {
    let session = runtime.session();
    let names = session.names();
    let own = [
        (rt::CXA_THREAD_ATEXIT, rt::CXA_THREAD_ATEXIT),
        (rt::REOPTIMIZE, rt::REOPTIMIZE),
    ];
    let aliases = elf::ALIASES.iter().chain(&own).copied();
    let reexport = |(alias, name): (&str, &str)| {
        let wanted = alias != "atexit" && (alias != name || tracker.dylib().id() != runtime.id());
        wanted.then(|| Reexport {
            alias: names.intern(alias.as_bytes()),
            dylib: runtime.clone(),
            name: names.intern(name.as_bytes()),
            linkage: Linkage::Weak,
        })
    };
    let reexports: Vec<Reexport> = aliases.filter_map(reexport).collect();
    tracker.add_reexports(&reexports)
}

/// Gives a dylib the runtime's functions of macOS that its objects turn out to need. If it has a function of that
/// name itself, its objects mean that one.
pub(super) struct DarwinNames {
    /// The runtime's dylib.
    pub(super) runtime: DylibId,
}

impl Generator for DarwinNames {
    fn name(&self) -> &str {
        "functions of macOS"
    }

    fn generate(&self, dylib: &Dylib, wanted: &[Wanted]) -> Result<(), LinkError> {
        let session = dylib.session();
        let is_ours = |name: &NameId| {
            let name = session.names().bytes(*name);
            name.starts_with(darwin::PREFIX.as_bytes())
        };
        let runtime = session.dylib(self.runtime);
        let wanted = wanted.iter().map(|wanted| wanted.name);
        let wanted: Vec<NameId> = wanted.filter(is_ours).collect();
        let replaced = replaced_by(dylib, &wanted);
        let is_replaced = |name: &NameId| replaced.iter().any(|own| own.alias == *name);
        let there = wanted.into_iter();
        let there = there.filter(|name| !is_replaced(name) && runtime.defines(*name));
        let there: Vec<NameId> = there.collect();
        if !replaced.is_empty() {
            dylib.new_tracker().add_reexports(&replaced)?;
        }
        if there.is_empty() {
            return Ok(());
        }
        // All of its functions are linked now: the link of a program would leave out what the program does not
        // need.
        runtime.lookup(&there)?;
        let reexport = |name: &NameId| Reexport {
            alias: *name,
            dylib: runtime.clone(),
            name: *name,
            linkage: Linkage::Weak,
        };
        let reexports: Vec<Reexport> = there.iter().map(reexport).collect();
        // A tracker of their own: the client's default one may be removed.
        dylib.new_tracker().add_reexports(&reexports)
    }
}

/// Gives a dylib functions for `dlopen` and its relatives that know the session's dylibs.
pub(super) fn add_dlfcn(tracker: &Tracker, runtime: &Dylib) -> Result<(), LinkError> {
    let session = runtime.session();
    let names = session.names();
    let reexport = |(alias, name): &(&str, &str)| Reexport {
        alias: names.intern(alias.as_bytes()),
        dylib: runtime.clone(),
        name: names.intern(name.as_bytes()),
        linkage: Linkage::Weak,
    };
    let reexports: Vec<Reexport> = ext_elf::DLFCN.iter().map(reexport).collect();
    tracker.add_reexports(&reexports)
}

/// Defines the way back to the controller.
pub(super) fn add_dispatch(session: &Session, dylib: &Dylib) -> Result<(), LinkError> {
    let (function, context) = session.executor().dispatch_function();
    let symbol = |name: &str, addr, kind| AbsoluteSymbol {
        name: session.names().intern(name.as_bytes()),
        addr,
        kind,
        weak: false,
    };
    dylib.default_tracker().add_absolute(&[
        symbol(dispatch::FUNCTION, function, SymbolKind::Function),
        symbol(dispatch::CONTEXT, context, SymbolKind::Data),
    ])
}

/// Those of the runtime's functions of macOS that a dylib has functions of its own for, under the names that C has. One
/// with a C library of its own has that library's, which are not macOS's.
fn replaced_by(dylib: &Dylib, wanted: &[NameId]) -> Vec<Reexport> {
    let session = dylib.session();
    let names = session.names();
    let defines = |name: &str| dylib.defines(names.intern(name.as_bytes()));
    if wanted.is_empty() || defines("__libc_start_main") {
        return Vec::new();
    }
    let tables = [darwin::ADAPTED, darwin::ADAPTED_ON_AARCH64];
    let of_name = |wanted: &NameId| {
        let own = names.bytes(*wanted);
        let mut known = tables.into_iter().flatten();
        let (name, _) = known.find(|(_, adapted)| adapted.as_bytes() == own)?;
        let of_dylib = || Reexport {
            alias: *wanted,
            dylib: dylib.clone(),
            name: names.intern(name.as_bytes()),
            linkage: Linkage::Weak,
        };
        defines(name).then(of_dylib)
    };
    wanted.iter().filter_map(of_name).collect()
}
