//! Libraries that a program may use without naming them: the compilers' and the system's.
//!
//! A compiler driver adds `-lstdc++ -lm -lgcc_s -lgcc -lc` to every command line. Here each is
//! opened only when a name is missing after everything that was named, so a C program touches the C
//! library alone.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jit_core::error::LinkError;
use jit_core::name::NameTable;
use jit_core::native::NativeLibrary as _;
use jit_core::session::{Dylib, Generator, Wanted};
use orc_shared::ExecutorAddr;
use platform_elf::archive::Archive;
use platform_elf::library_search::{FoundContent, LibraryChoice, LibrarySearch};
use platform_elf::shared_library::SharedLibrary;

use crate::needed::{CandidateLibrary, NeededLibraries};

/// Shared libraries, in the order in which a driver names them.
const SHARED: &[&str] = &["libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6"];
/// The loader itself defines `__tls_get_addr`.
const LOADER: &str = "ld-linux-x86-64.so.2";
/// Static parts of the C library and the compiler.
const ARCHIVES: &[&str] = &["c", "gcc"];

/// Asked for names that no input defines.
pub(crate) struct DefaultLibraries {
    search: Arc<LibrarySearch>,
    needed: Arc<NeededLibraries>,
    names: Arc<NameTable>,
    /// Loaded libraries by soname, with their places.
    loaded: HashMap<String, (Arc<SharedLibrary>, ExecutorAddr)>,
    state: Mutex<State>,
}

struct State {
    shared: Vec<Shared>,
    archives_added: bool,
}

/// A default library: not looked at yet, absent, or known.
struct Shared {
    soname: String,
    library: Option<Option<Arc<SharedLibrary>>>,
    added: bool,
}

impl DefaultLibraries {
    pub(crate) fn new(
        search: Arc<LibrarySearch>,
        needed: Arc<NeededLibraries>,
        names: Arc<NameTable>,
        loaded: HashMap<String, (Arc<SharedLibrary>, ExecutorAddr)>,
        more: &[&str],
    ) -> Self {
        let sonames = more.iter().chain(SHARED).chain([&LOADER]);
        let shared = sonames.map(|soname| Shared {
            soname: (*soname).to_owned(),
            library: None,
            added: false,
        });
        Self {
            search,
            needed,
            names,
            loaded,
            state: Mutex::new(State {
                shared: shared.collect(),
                archives_added: false,
            }),
        }
    }

    fn open(&self, soname: &str) -> Option<Arc<SharedLibrary>> {
        match self.loaded.get(soname) {
            Some((library, _)) => Some(library.clone()),
            None => self.search.find_soname(soname),
        }
    }

    /// Adds the libraries that define some of `names`; returns those that none defines.
    fn add_shared(
        &self,
        state: &mut State,
        dylib: &Dylib,
        mut names: Vec<Vec<u8>>,
    ) -> Result<Vec<Vec<u8>>, LinkError> {
        for shared in &mut state.shared {
            if names.is_empty() {
                break;
            }
            let soname = &shared.soname;
            let library = shared.library.get_or_insert_with(|| self.open(soname));
            let Some(library) = library else {
                continue;
            };
            let before = names.len();
            names.retain(|name| library.find(name).is_none());
            if names.len() < before && !shared.added {
                shared.added = true;
                let load_bias = self.loaded.get(soname).map(|(_, bias)| *bias);
                let candidate = CandidateLibrary::new(library.clone(), true);
                self.needed.add(candidate.clone());
                dylib.add_library(candidate, load_bias)?;
            }
        }
        Ok(names)
    }

    /// The static parts, for names that are left.
    fn add_archives(&self, dylib: &Dylib) -> Result<(), LinkError> {
        for name in ARCHIVES {
            let found = self.search.find(name, LibraryChoice::SharedFirst);
            for input in found.unwrap_or_default() {
                if let FoundContent::Archive(bytes) = input.content {
                    let path: PathBuf = input.path;
                    let archive = Archive::new(path.display().to_string(), bytes, &self.names)?;
                    dylib.add_archive(Arc::new(archive))?;
                }
            }
        }
        Ok(())
    }
}

impl Generator for DefaultLibraries {
    fn name(&self) -> &str {
        "the system's libraries"
    }

    fn generate(&self, dylib: &Dylib, wanted: &[Wanted]) -> Result<(), LinkError> {
        let strong = wanted.iter().filter(|wanted| !wanted.weak);
        let names: Vec<Vec<u8>> = strong.map(|w| self.names.bytes(w.name)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = self.add_shared(&mut state, dylib, names)?;
        if !missing.is_empty() && !std::mem::replace(&mut state.archives_added, true) {
            self.add_archives(dylib)?;
        }
        Ok(())
    }
}
