//! Libraries that a program may use without naming them: the compilers' and the system's.
//!
//! A compiler driver adds `-lstdc++ -lm -lgcc_s -lgcc -lc` to every command line. Here each is
//! opened only when a name is missing after everything that was named, so a C program touches the C
//! library alone, and loaded only if it has such a name.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jit_core::cpu::Architecture;
use jit_core::error::LinkError;
use jit_core::name::NameId;
use jit_core::native::{LibrarySymbol, NativeLibrary};
use jit_core::object::LazyObjects as _;
use jit_core::session::{Dylib, Generator, Wanted};
use orc_inputs::archive::Archive;
use orc_inputs::library_search::{FoundContent, LibraryChoice, LibrarySearch};

use crate::object_reader::ObjectReader;

/// The C library, which every driver names, and every process has.
pub(crate) const LIBC: &str = "libc.so.6";

/// Shared libraries, in the order in which they are asked: that which most names are found in comes
/// first. The loader itself defines `__tls_get_addr`.
#[must_use]
pub const fn default_libraries(cpu: Architecture) -> [&'static str; 5] {
    let loader = loader(cpu);
    [LIBC, "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", loader]
}

/// The default libraries in the order in which a driver names them, which is that of loading.
pub(crate) const fn loaded(cpu: Architecture) -> [&'static str; 5] {
    let loader = loader(cpu);
    ["libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", LIBC, loader]
}

/// The system's loader, which is a library, too.
const fn loader(cpu: Architecture) -> &'static str {
    match cpu {
        Architecture::X86_64 => "ld-linux-x86-64.so.2",
        Architecture::Aarch64 => "ld-linux-aarch64.so.1",
    }
}

/// Static parts of the C library and the compiler.
const ARCHIVES: &[&str] = &["c", "gcc"];

/// How a library is opened; `None` if there is no such library.
type Open = dyn Fn() -> Option<Arc<dyn NativeLibrary>> + Send + Sync;

/// A library that is opened when it is asked for a name first.
pub(crate) struct UnopenedLibrary {
    soname: String,
    open: Box<Open>,
    library: OnceLock<Option<Arc<dyn NativeLibrary>>>,
}

impl UnopenedLibrary {
    pub(crate) fn new(soname: &str, open: Box<Open>) -> Self {
        Self {
            soname: soname.to_owned(),
            open,
            library: OnceLock::new(),
        }
    }

    fn library(&self) -> Option<&dyn NativeLibrary> {
        self.library.get_or_init(|| (self.open)()).as_deref()
    }
}

impl NativeLibrary for UnopenedLibrary {
    fn path(&self) -> &str {
        self.library().map_or(&self.soname, |l| l.path())
    }

    fn loader_name(&self) -> &str {
        &self.soname
    }

    fn needed(&self) -> Vec<String> {
        self.library().map(|l| l.needed()).unwrap_or_default()
    }

    fn run_path(&self) -> Option<String> {
        self.library()?.run_path()
    }

    fn find(&self, name: &[u8]) -> Option<LibrarySymbol> {
        self.library()?.find(name)
    }

    fn version(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.library()?.version(name)
    }

    fn for_each_alias(&self, file_addr: u64, each: &mut dyn FnMut(&[u8])) {
        if let Some(library) = self.library() {
            library.for_each_alias(file_addr, each);
        }
    }

    fn for_each_interposable(&self, each: &mut dyn FnMut(&[u8])) {
        if let Some(library) = self.library() {
            library.for_each_interposable(each);
        }
    }

    fn interposable_count(&self) -> usize {
        self.library().map_or(0, |l| l.interposable_count())
    }

    fn defines_interposable(&self, name: &[u8]) -> bool {
        self.library().is_some_and(|l| l.defines_interposable(name))
    }

    fn for_each_undefined(&self, each: &mut dyn FnMut(&[u8])) {
        if let Some(library) = self.library() {
            library.for_each_undefined(each);
        }
    }

    fn for_each_required(&self, each: &mut dyn FnMut(&[u8])) {
        if let Some(library) = self.library() {
            library.for_each_required(each);
        }
    }

    fn fault(&self) -> Option<String> {
        self.library()?.fault()
    }
}

/// The static parts, opened when a name is looked for in them first.
pub(crate) struct StaticArchives {
    search: Arc<LibrarySearch>,
    objects: ObjectReader,
    archives: [OnceLock<Vec<Archive>>; ARCHIVES.len()],
}

impl StaticArchives {
    pub(crate) fn new(search: Arc<LibrarySearch>, objects: ObjectReader) -> Self {
        Self {
            search,
            objects,
            archives: Default::default(),
        }
    }

    /// The archives that `-lNAME` stands for, where NAME is that of this place.
    fn archives(&self, place: usize) -> &[Archive] {
        self.archives[place].get_or_init(|| {
            let found = self
                .search
                .find(ARCHIVES[place], LibraryChoice::SharedFirst);
            let mut archives = Vec::new();
            for input in found.unwrap_or_default() {
                if let FoundContent::Archive(bytes) = input.content {
                    let path: PathBuf = input.path;
                    let name = path.display().to_string();
                    // What is no archive defines nothing: the name is then reported missing.
                    archives.extend(self.objects.archive(name, &path, bytes));
                }
            }
            archives
        })
    }

    /// The archive and the member that define the name.
    fn find(&self, name: NameId) -> Option<Member> {
        for place in 0..ARCHIVES.len() {
            for (at, archive) in self.archives(place).iter().enumerate() {
                if let Some((_, member)) = archive.index().iter().find(|(n, _)| *n == name) {
                    return Some((place, at, *member));
                }
            }
        }
        None
    }
}

/// Asked for names of one dylib that neither an input nor a library defines: the static parts have them.
pub(crate) struct StaticParts {
    archives: Arc<StaticArchives>,
    /// Whether they stay when everything that the client has added is removed.
    stay: bool,
    added: Mutex<Vec<Member>>,
}

impl StaticParts {
    pub(crate) fn new(archives: Arc<StaticArchives>) -> Self {
        Self {
            archives,
            stay: true,
            added: Mutex::default(),
        }
    }

    /// The static parts of a program: they lie where its objects do, and go with them.
    pub(crate) fn of_program(archives: Arc<StaticArchives>) -> Self {
        Self {
            stay: false,
            ..Self::new(archives)
        }
    }
}

/// A place in [`ARCHIVES`], one of its archives, and a member of that.
type Member = (usize, usize, u32);

impl Generator for StaticParts {
    fn name(&self) -> &str {
        "static parts of the system's libraries"
    }

    fn generate(&self, dylib: &Dylib, wanted: &[Wanted]) -> Result<(), LinkError> {
        let strong = wanted.iter().filter(|wanted| !wanted.weak);
        let mut members: Vec<Member> = strong
            .filter_map(|wanted| self.archives.find(wanted.name))
            .collect();
        members.sort_unstable();
        members.dedup();
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        for member in members {
            if !added.contains(&member) {
                added.push(member);
                let (place, archive, member) = member;
                let object = self.archives.archives(place)[archive].load(member)?;
                let tracker = match self.stay {
                    true => dylib.new_tracker(),
                    false => dylib.default_tracker(),
                };
                tracker.add_object(object)?;
            }
        }
        Ok(())
    }
}
