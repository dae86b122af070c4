//! Finding libraries as the system linker does, and opening whatever a command line may name.
//!
//! `-lNAME` walks the directories in order and takes, in each, `libNAME.so` before `libNAME.a`
//! (under `-static` only the latter); `-l:FILE` takes that very file. The directories are those
//! given with `-L`, then the system's. The compiler's own (where `libgcc.a` and `libgfortran.so`
//! live) are asked from it, once, and only when a name was not found without them: starting a
//! compiler takes longer than most links.
//!
//! A file may turn out to be a linker script, which stands for other files; those are returned.

mod dependencies;
mod directories;
mod repeated;
mod script;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jit_core::cpu::Architecture;
use jit_core::graph::InputBytes;
use jit_core::native::NativeLibrary;
use orc_shared::printable;

use crate::file_kind::FileKind;
use crate::format::{Formats, LibraryError, LibraryOrigin};
use crate::input::{InputOpener, is_shortage, printable_path};
use crate::linker_script::ScriptNames;

pub use self::dependencies::expand_origin;
pub use self::directories::{compiler_for, of_compiler as compiler_directories};
use self::script::Known;

/// Scripts that name scripts that name scripts: more is a loop.
const SCRIPT_DEPTH_MAX: u32 = 8;

/// Which libraries `-l` accepts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum LibraryChoice {
    /// Shared before static, directory by directory.
    #[default]
    SharedFirst,
    /// Static archives only (`-static`, `-Bstatic`).
    StaticOnly,
}

/// A file to link, opened.
#[derive(Clone)]
pub struct FoundInput {
    /// Where it was found.
    pub path: PathBuf,
    /// What its bytes turned out to be.
    pub content: FoundContent,
    /// Whether a script said to drop it if nothing is taken from it.
    pub as_needed: bool,
}

/// What a file to link is.
#[derive(Clone)]
pub enum FoundContent {
    /// A relocatable object, whose symbols have not been read yet (or LLVM's internal code).
    Object(Arc<dyn InputBytes>),
    /// A static archive, ordinary or thin.
    Archive(Arc<dyn InputBytes>),
    /// A shared library, whose tables have been checked.
    Shared(Arc<dyn NativeLibrary>),
    /// No file: what a linker script says of symbols.
    Names(ScriptNames),
}

/// Why a file or library cannot be linked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// `-lNAME` was found nowhere.
    #[error("cannot find -l{}{}; searched:{}", printable(name.as_bytes()), near(.similar.as_deref()), listed(.searched))]
    NotFound {
        /// The name after `-l`.
        name: String,
        /// The directories tried, in order.
        searched: Vec<PathBuf>,
        /// A file that may be what was meant, such as `libNAME.so.6`.
        similar: Option<PathBuf>,
    },
    /// A file cannot be opened.
    #[error("{}: {}", printable_path(path), describe_io(.error))]
    Io {
        /// Where the file was looked for.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A file cannot be linked.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A file is of a kind that cannot be linked.
    #[error("{}: {message}", printable_path(path))]
    Unusable {
        /// Where the file was looked for.
        path: PathBuf,
        /// What it is and what to do.
        message: String,
    },
}

/// How a file came to be linked.
#[derive(Clone, Copy)]
struct Way {
    /// Whether a script said to drop it if nothing is taken from it.
    as_needed: bool,
    origin: LibraryOrigin,
}

impl Way {
    /// The command line or a script has its path.
    fn named(as_needed: bool) -> Self {
        Self {
            as_needed,
            origin: LibraryOrigin::Named,
        }
    }
}

/// Tells the directories in which a compiler looks for libraries.
type AskCompiler = dyn Fn() -> Vec<PathBuf> + Send + Sync;

/// Where to look for libraries, and how to open files.
pub struct LibrarySearch {
    /// The CPU that libraries are for.
    architecture: Architecture,
    formats: Formats,
    given: Vec<PathBuf>,
    /// Directories that scripts add, to be searched after those.
    scripted: Mutex<Vec<PathBuf>>,
    system: Vec<PathBuf>,
    /// Searched first for what libraries need.
    for_dependencies: Vec<PathBuf>,
    loader_dirs: OnceLock<Vec<PathBuf>>,
    compiler: Option<Box<AskCompiler>>,
    compiler_dirs: OnceLock<Vec<PathBuf>>,
    sysroot: Option<PathBuf>,
    opener: Arc<dyn InputOpener>,
    /// What kept a library from being opened that was looked for by its soname, and may be there.
    shortage: OnceLock<SearchError>,
}

impl LibrarySearch {
    /// Searches the system's directories for files of these formats, and opens them with `opener`.
    #[must_use]
    pub fn new(formats: Formats, opener: Arc<dyn InputOpener>) -> Self {
        let own = Architecture::of_this_process();
        Self::for_cpu(own.unwrap_or(Architecture::X86_64), formats, opener)
    }

    /// The same for the libraries of a CPU. Those of another one than this process's are where cross
    /// compilers have them.
    #[must_use]
    pub fn for_cpu(
        architecture: Architecture,
        formats: Formats,
        opener: Arc<dyn InputOpener>,
    ) -> Self {
        Self {
            architecture,
            formats,
            given: Vec::new(),
            scripted: Mutex::default(),
            system: directories::system(architecture),
            for_dependencies: Vec::new(),
            loader_dirs: OnceLock::new(),
            compiler: None,
            compiler_dirs: OnceLock::new(),
            sysroot: None,
            opener,
            shortage: OnceLock::new(),
        }
    }

    /// Adds a directory as `-L` does; a leading `=` stands for the system root.
    pub fn add_directory(&mut self, dir: &str) {
        let dir = self.below_root(dir);
        self.given.push(dir);
    }

    /// The compiler to ask for its directories (`-print-search-dirs`) when a name is not found in
    /// the others.
    pub fn ask_compiler(&mut self, command: &str) {
        let command = command.to_owned();
        self.ask_for_directories(move || compiler_directories(&command));
    }

    /// Lets `ask` tell the compiler's directories when a name is not found in the others.
    pub fn ask_for_directories(&mut self, ask: impl Fn() -> Vec<PathBuf> + Send + Sync + 'static) {
        self.compiler = Some(Box::new(ask));
    }

    /// Prefixes the system's directories and the `=` paths (`--sysroot`). Call it first.
    pub fn set_sysroot(&mut self, root: &Path) {
        let below = |dir: &PathBuf| root.join(dir.strip_prefix("/").unwrap_or(dir));
        self.system = directories::below_root(self.architecture)
            .iter()
            .map(below)
            .collect();
        self.sysroot = Some(root.to_owned());
    }

    /// What `-lNAME` or `-l:FILE` stands for; several files if it is a linker script.
    ///
    /// # Errors
    /// When nothing is found, listing the directories; when what is found cannot be used.
    pub fn find(&self, name: &str, choice: LibraryChoice) -> Result<Vec<FoundInput>, SearchError> {
        let mut known = Known::default();
        let found = self.find_within(name, choice, false, SCRIPT_DEPTH_MAX, &mut known)?;
        Ok(repeated::without(found))
    }

    /// What a file named on the command line stands for; several files if it is a linker script.
    ///
    /// # Errors
    /// When it cannot be opened or is of a kind that cannot be linked.
    pub fn open(&self, path: &Path, choice: LibraryChoice) -> Result<Vec<FoundInput>, SearchError> {
        let bytes = self.opener.open(path).map_err(|error| SearchError::Io {
            path: path.to_owned(),
            error,
        })?;
        let part = self.formats.part_for(bytes, self.architecture);
        let bytes = part.map_err(|no_part| unusable(path, no_part.message))?;
        let mut known = Known::default();
        let way = Way::named(false);
        let found = self.classify(path, bytes, choice, way, SCRIPT_DEPTH_MAX, &mut known)?;
        Ok(repeated::without(found))
    }

    /// The shared library of this file name (`libm.so.6`) in the system's directories, as the
    /// loader would find it; `None` if there is none.
    #[must_use]
    pub fn find_soname(&self, soname: &str) -> Option<Arc<dyn NativeLibrary>> {
        let mut dirs = self.directories().into_iter();
        dirs.find_map(|dir| self.open_library(&dir.join(soname)))
    }

    /// Why [`Self::find_soname`] may have missed a library that is there: the first time that the
    /// system lacked something, or failed to read.
    #[must_use]
    pub fn shortage(&self) -> Option<&SearchError> {
        self.shortage.get()
    }

    /// The directories to search without asking the compiler.
    fn directories(&self) -> Vec<PathBuf> {
        let scripted = self.scripted.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.given.iter().chain(&*scripted).chain(&self.system);
        all.cloned().collect()
    }

    fn find_within(
        &self,
        name: &str,
        choice: LibraryChoice,
        as_needed: bool,
        depth: u32,
        known: &mut Known,
    ) -> Result<Vec<FoundInput>, SearchError> {
        let files = self.candidates(name, choice);
        for dir in &self.directories() {
            let found = self.try_directory(dir, &files, choice, as_needed, depth, known)?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
        for dir in self.compiler_directories() {
            let found = self.try_directory(dir, &files, choice, as_needed, depth, known)?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
        let mut searched = self.directories();
        searched.extend_from_slice(self.compiler_directories());
        let foreign = self.find_foreign(name, &searched)?;
        foreign.ok_or_else(|| SearchError::NotFound {
            name: name.to_owned(),
            similar: directories::similar(name, &self.formats, &searched),
            searched,
        })
    }

    /// Takes the first of `files` that exists in `dir` and is for this machine.
    fn try_directory(
        &self,
        dir: &Path,
        files: &[String],
        choice: LibraryChoice,
        as_needed: bool,
        depth: u32,
        known: &mut Known,
    ) -> Result<Option<Vec<FoundInput>>, SearchError> {
        for file in files {
            let path = dir.join(file);
            let bytes = match self.opener.open(&path) {
                Ok(bytes) => bytes,
                Err(error) if is_shortage(&error) => return Err(SearchError::Io { path, error }),
                Err(_) => continue,
            };
            // A 32-bit library in a shared directory is not what was asked for.
            let bytes = match self.formats.part_for(bytes, self.architecture) {
                Ok(bytes) => bytes,
                Err(no_part) if no_part.is_foreign => continue,
                Err(no_part) => return Err(unusable(&path, no_part.message)),
            };
            if !self.formats.is_foreign(bytes.bytes(), self.architecture) {
                let way = Way {
                    as_needed,
                    origin: LibraryOrigin::Found,
                };
                let found = self.classify(&path, bytes, choice, way, depth, known)?;
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Looks for a library that no process can load: for what the process has itself, it adds nothing.
    ///
    /// # Errors
    /// What it is and what to do, for any other.
    fn find_foreign(
        &self,
        name: &str,
        dirs: &[PathBuf],
    ) -> Result<Option<Vec<FoundInput>>, SearchError> {
        let suffixes = || self.formats.foreign_suffixes();
        let files = dirs
            .iter()
            .flat_map(|dir| suffixes().map(move |suffix| dir.join(format!("lib{name}{suffix}"))));
        for path in files {
            let Ok(bytes) = self.opener.open(&path) else {
                continue;
            };
            let part = self.formats.part_for(bytes, self.architecture);
            let bytes = part.map_err(|no_part| unusable(&path, no_part.message))?;
            match self.formats.kind_of(bytes.bytes()) {
                FileKind::OfHost => return Ok(Some(Vec::new())),
                FileKind::Refused(message) => return Err(unusable(&path, message)),
                _ => {}
            }
        }
        Ok(None)
    }

    fn compiler_directories(&self) -> &[PathBuf] {
        self.compiler_dirs.get_or_init(|| {
            let mut dirs = self.compiler.as_ref().map(|ask| ask()).unwrap_or_default();
            // They were searched before.
            dirs.retain(|dir| !self.given.contains(dir) && !self.system.contains(dir));
            dirs
        })
    }

    fn classify(
        &self,
        path: &Path,
        bytes: Arc<dyn InputBytes>,
        choice: LibraryChoice,
        way: Way,
        depth: u32,
        known: &mut Known,
    ) -> Result<Vec<FoundInput>, SearchError> {
        let as_needed = way.as_needed;
        let content = match self.formats.kind_of(bytes.bytes()) {
            FileKind::Object(_) | FileKind::Bitcode => FoundContent::Object(bytes),
            FileKind::Archive => FoundContent::Archive(bytes),
            FileKind::SharedLibrary(_) => {
                let place = self.opener.place(path);
                let library = self.formats.shared_library(&place, bytes, way.origin)?;
                FoundContent::Shared(library)
            }
            FileKind::Text => {
                return self.script(path, bytes.bytes(), choice, as_needed, depth, known);
            }
            FileKind::OfHost => return Ok(Vec::new()),
            FileKind::Refused(message) => return Err(unusable(path, message)),
        };
        Ok(vec![FoundInput {
            path: path.to_owned(),
            content,
            as_needed,
        }])
    }

    /// The file names `-lNAME` may stand for, best first.
    fn candidates(&self, name: &str, choice: LibraryChoice) -> Vec<String> {
        if let Some(file) = name.strip_prefix(':') {
            return vec![file.to_owned()];
        }
        let mut files = Vec::new();
        if choice == LibraryChoice::SharedFirst {
            let suffixes = self.formats.library_suffixes();
            files.extend(suffixes.map(|suffix| format!("lib{name}{suffix}")));
        }
        files.push(format!("lib{name}.a"));
        files
    }

    /// A path with `=` or `$SYSROOT` replaced by the system root.
    fn below_root(&self, path: &str) -> PathBuf {
        let marked = path
            .strip_prefix('=')
            .or_else(|| path.strip_prefix("$SYSROOT"));
        match (marked, &self.sysroot) {
            (Some(rest), Some(root)) => root.join(rest.trim_start_matches('/')),
            (Some(rest), None) => PathBuf::from(rest),
            (None, _) => PathBuf::from(path),
        }
    }
}

fn unusable(path: &Path, message: impl Into<String>) -> SearchError {
    SearchError::Unusable {
        path: path.to_owned(),
        message: message.into(),
    }
}

/// Directories that a message has; the rest are counted.
const DIRECTORIES_MAX: usize = 100;

fn listed(dirs: &[PathBuf]) -> String {
    let line = |dir: &PathBuf| format!("\n    {}", printable_path(dir));
    orc_shared::listed(dirs.iter().map(line), "", DIRECTORIES_MAX)
}

fn near(similar: Option<&Path>) -> String {
    let hint = |path: &Path| {
        let file = printable_path(path.file_name().unwrap_or_default());
        format!(
            " (there is {}: name it, or use -l:{file}, or install its development package)",
            printable_path(path)
        )
    };
    similar.map(hint).unwrap_or_default()
}

fn describe_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::IsADirectory => {
            "is a directory; name the objects in it, or search it for libraries with -L".to_owned()
        }
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
