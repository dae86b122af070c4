//! The libraries that the process has loaded, as symbol tables.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use jit_core::executor::{ExecutorControl, ExecutorError};
use jit_core::graph::InputBytes;
use jit_core::native::NativeLibrary;
use orc_inputs::format::LibraryOrigin;
use orc_inputs::input::{InputOpener, OwnedBytes, is_shortage};
use orc_shared::ExecutorAddr;

use crate::mapped::MapFiles;
use crate::platform::{self, ProcessLibrary};

/// A library that is loaded.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) library: Arc<dyn NativeLibrary>,
    pub(crate) load_bias: ExecutorAddr,
}

/// The process's libraries, in the loader's search order.
#[derive(Default)]
pub(crate) struct LoadedLibraries {
    list: Vec<Loaded>,
    by_soname: HashMap<String, usize>,
    /// Whether their files are another machine's.
    have_own_files: bool,
}

impl LoadedLibraries {
    /// Asks the executor, and reads each library's file. What has no file (the kernel's own
    /// library) or no symbols for others (the executable, mostly) is left out.
    pub(crate) fn of(executor: &dyn ExecutorControl) -> Result<Self, ExecutorError> {
        let mut libraries = Self {
            have_own_files: executor.has_own_files(),
            ..Self::default()
        };
        let formats = platform::formats();
        for loaded in executor.loaded_libraries()? {
            let path = Path::new(&loaded.path);
            let Some(input) = open(executor, &loaded.path)? else {
                continue;
            };
            let library = formats.shared_library(path, input, LibraryOrigin::Loaded);
            if let Ok(library) = library {
                let at = libraries.list.len();
                let soname = library.loader_name().to_owned();
                libraries.by_soname.entry(soname).or_insert(at);
                libraries.list.push(Loaded {
                    library,
                    load_bias: loaded.load_bias,
                });
            }
        }
        Ok(libraries)
    }

    /// All, as sources of definitions.
    pub(crate) fn natives(&self) -> Vec<ProcessLibrary> {
        let native = |l: &Loaded| -> ProcessLibrary { (l.library.clone(), Some(l.load_bias)) };
        self.list.iter().map(native).collect()
    }

    /// The loaded library that is this file, if it is loaded: the same name, and the same file behind
    /// different paths. Where the executor has files of its own, the name has to do.
    pub(crate) fn same_file(&self, library: &dyn NativeLibrary) -> Option<&Loaded> {
        let loaded = &self.list[*self.by_soname.get(library.loader_name())?];
        if self.have_own_files {
            return Some(loaded);
        }
        let resolved = |path: &str| Path::new(path).canonicalize().ok();
        let (own, other) = (loaded.library.path(), library.path());
        let same = own == other || resolved(own)? == resolved(other)?;
        same.then_some(loaded)
    }

    /// The loaded library of this name.
    pub(crate) fn by_soname(&self, soname: &str) -> Option<&Loaded> {
        Some(&self.list[*self.by_soname.get(soname)?])
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Loaded> {
        self.list.iter()
    }
}

/// A file that the executor has loaded, if it can be read.
fn open(
    executor: &dyn ExecutorControl,
    path: &str,
) -> Result<Option<Arc<dyn InputBytes>>, ExecutorError> {
    if !executor.has_own_files() {
        return match MapFiles.open(Path::new(path)) {
            Err(error) if is_shortage(&error) => {
                Err(ExecutorError::failed(format_args!("{path}: {error}")))
            }
            opened => Ok(opened.ok()),
        };
    }
    match executor.read_file(path) {
        Ok(bytes) => Ok(Some(Arc::new(OwnedBytes::from(bytes)))),
        Err(ExecutorError::Failed(_)) => Ok(None),
        Err(gone) => Err(gone),
    }
}
