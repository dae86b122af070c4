//! A shared library as a linker sees it: its dynamic symbol table, read straight from the file.
//!
//! Nothing is built when a library is opened beyond a dozen offsets: a name is looked up through
//! the hash table that the file carries for the loader, so a program that takes 20 names from a
//! library of 6,000 touches a few pages of it.
//!
//! Versions follow `ld`: a reference without a version takes the default one (`name@@VER`), a
//! reference `name@VER` exactly that one, and definitions of old versions (`name@VER`, marked
//! hidden in the version table) are found by their full name only.

mod find;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jit_core::executor::api::NativeKind;
use jit_core::graph::InputBytes;
use jit_core::native::{LibrarySymbol, NativeLibrary};
use object::elf::{self, Sym64};
use object::{LittleEndian as LE, ReadRef};
use orc_inputs::format::{LibraryError, LibraryOrigin};
use orc_inputs::input::OwnedBytes;
use orc_inputs::name_budget::NameBudget;

use self::tables::Tables;

/// A shared library's file.
pub struct SharedLibrary {
    path: String,
    soname: String,
    input: Arc<dyn InputBytes>,
    tables: Tables,
    origin: LibraryOrigin,
    /// Whether its names overlap so much that not all were walked.
    has_too_much: AtomicBool,
}

impl SharedLibrary {
    /// Reads the library at `path`.
    ///
    /// # Errors
    /// When the file cannot be read or is no shared library for this machine.
    pub fn open(path: &Path) -> Result<Self, LibraryError> {
        let bytes = OwnedBytes::read(path).map_err(|e| LibraryError {
            path: path.display().to_string(),
            message: e.to_string(),
        })?;
        Self::new(path, Arc::new(bytes))
    }

    /// The library that `input` holds; `path` is where it was found (made absolute here, because
    /// the loader will open it by that name).
    ///
    /// # Errors
    /// When the bytes are no shared library for this machine.
    pub fn new(path: &Path, input: Arc<dyn InputBytes>) -> Result<Self, LibraryError> {
        Self::of(path, input, LibraryOrigin::Named)
    }

    /// Like [`Self::new`], for a library that came to a link in this way.
    ///
    /// # Errors
    /// When the bytes are not what a loader loads, or a program that the process has not loaded.
    pub fn of(
        path: &Path,
        input: Arc<dyn InputBytes>,
        origin: LibraryOrigin,
    ) -> Result<Self, LibraryError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        let text = path.display().to_string();
        let tables = Tables::parse(input.bytes()).map_err(|message| LibraryError {
            path: text.clone(),
            message,
        })?;
        if tables.is_executable && origin != LibraryOrigin::Loaded {
            return Err(LibraryError {
                path: text,
                message:
                    "is an executable, linked already: run it as it is, or name the objects and \
                          libraries that it is made of"
                        .to_owned(),
            });
        }
        let soname = match tables.soname.map(|at| tables.string(input.bytes(), at)) {
            Some(name) if !name.is_empty() => String::from_utf8_lossy(name).into_owned(),
            // The loader knows such a library by the path that it is asked for.
            _ => text.clone(),
        };
        Ok(Self {
            path: text,
            soname,
            input,
            tables,
            origin,
            has_too_much: AtomicBool::new(false),
        })
    }

    /// Whether the file names itself (`DT_SONAME`). The loader finds such a library by that name;
    /// others are needed by the path they were linked with.
    #[must_use]
    pub fn has_soname(&self) -> bool {
        self.tables.soname.is_some()
    }

    /// The symbol table's entry with this index.
    fn symbol(&self, index: u32) -> Option<&Sym64<LE>> {
        let start = self.tables.symbols + u64::from(index) * size_of::<Sym64<LE>>() as u64;
        self.input.bytes().read_at(start).ok()
    }

    /// The symbol table's entries from the first that is no null, as many as the file has.
    fn symbols(&self) -> &[Sym64<LE>] {
        const SIZE: u64 = size_of::<Sym64<LE>>() as u64;
        let bytes = self.input.bytes();
        let start = self.tables.symbols.saturating_add(SIZE);
        let there = (bytes.len() as u64).saturating_sub(start) / SIZE;
        let count = u64::from(self.tables.symbol_count.saturating_sub(1)).min(there);
        let read = bytes.read_slice_at(start, usize::try_from(count).unwrap_or(0));
        read.unwrap_or_default()
    }

    /// A symbol's name, empty if its offset is bad.
    fn name_of(&self, symbol: &Sym64<LE>) -> &[u8] {
        self.tables
            .string(self.input.bytes(), symbol.st_name.get(LE))
    }

    /// A symbol's name in the library's `bytes`, as long as names of the library have taken no more than
    /// they may.
    fn next_name<'a>(
        &self,
        bytes: &'a [u8],
        symbol: &Sym64<LE>,
        budget: &mut NameBudget,
    ) -> Option<&'a [u8]> {
        let name = budget.take(|| self.tables.string(bytes, symbol.st_name.get(LE)));
        if budget.is_exceeded() {
            self.has_too_much.store(true, Ordering::Relaxed);
            return None;
        }
        Some(name)
    }

    fn budget(&self) -> NameBudget {
        NameBudget::of_file(self.input.bytes().len())
    }

    /// Whether other files can bind to this entry, or it asks others for a definition.
    fn takes_part(symbol: &Sym64<LE>) -> bool {
        let visible = matches!(
            symbol.st_visibility(),
            elf::STV_DEFAULT | elf::STV_PROTECTED
        );
        symbol.st_bind() != elf::STB_LOCAL && visible
    }

    /// Whether the program may take part in what the entry's name means.
    fn is_interposable(symbol: &Sym64<LE>) -> bool {
        symbol.st_bind() != elf::STB_LOCAL && symbol.st_visibility() == elf::STV_DEFAULT
    }

    /// Calls with the names of the interposable ones of `symbols`.
    fn call_interposable(&self, symbols: &[Sym64<LE>], each: &mut dyn FnMut(&[u8])) {
        let mut budget = self.budget();
        let bytes = self.input.bytes();
        for symbol in symbols {
            if Self::is_interposable(symbol) {
                let Some(name) = self.next_name(bytes, symbol, &mut budget) else {
                    return;
                };
                each(name);
            }
        }
    }

    /// The facts of a definition, `None` if the linker has no use for it.
    fn describe(&self, symbol: &Sym64<LE>) -> LibrarySymbol {
        let file_addr = symbol.st_value.get(LE);
        let kind = match symbol.st_type() {
            elf::STT_FUNC | elf::STT_GNU_IFUNC => NativeKind::Function,
            elf::STT_TLS => NativeKind::ThreadLocal,
            elf::STT_OBJECT | elf::STT_COMMON => NativeKind::Data,
            // Assembly without `.type`: what the segment allows decides.
            _ if self.tables.is_executable(file_addr) => NativeKind::Function,
            _ => NativeKind::Data,
        };
        LibrarySymbol {
            kind,
            indirect: symbol.st_type() == elf::STT_GNU_IFUNC,
            size: symbol.st_size.get(LE),
            align: self.copy_align(symbol),
            file_addr,
            read_only: kind != NativeKind::ThreadLocal && self.tables.is_read_only(file_addr),
            weak: symbol.st_bind() == elf::STB_WEAK,
        }
    }

    /// The alignment a copy of the symbol needs. The file does not say it; as system linkers do,
    /// take what its section promises, less what its own address denies.
    fn copy_align(&self, symbol: &Sym64<LE>) -> u64 {
        let value = symbol.st_value.get(LE);
        let section = self
            .tables
            .section_align(self.input.bytes(), symbol.st_shndx.get(LE).0)
            .unwrap_or(32);
        let own = if value == 0 {
            section
        } else {
            value & value.wrapping_neg()
        };
        section.min(own).max(1)
    }
}

impl NativeLibrary for SharedLibrary {
    fn path(&self) -> &str {
        &self.path
    }

    fn loader_name(&self) -> &str {
        &self.soname
    }

    fn needed_name(&self) -> &str {
        match (self.has_soname(), self.origin) {
            (false, LibraryOrigin::Found) => {
                &self.path[self.path.rfind('/').map_or(0, |at| at + 1)..]
            }
            _ => &self.soname,
        }
    }

    fn is_program(&self) -> bool {
        self.tables.is_executable
    }

    fn run_path(&self) -> Option<String> {
        let at = self.tables.run_path?;
        Some(String::from_utf8_lossy(self.tables.string(self.input.bytes(), at)).into_owned())
    }

    fn needed(&self) -> Vec<String> {
        let bytes = self.input.bytes();
        let text = |at: &u32| String::from_utf8_lossy(self.tables.string(bytes, *at)).into_owned();
        self.tables.needed.iter().map(text).collect()
    }

    fn find(&self, name: &[u8]) -> Option<LibrarySymbol> {
        let index = self.find_index(name)?;
        Some(self.describe(self.symbol(index)?))
    }

    fn version(&self, name: &[u8]) -> Option<Vec<u8>> {
        let index = self.find_index(name)?;
        let version = self.version_name(self.version_index(index)?)?;
        Some(version.to_vec())
    }

    fn fault(&self) -> Option<String> {
        let has_too_much = self.has_too_much.load(Ordering::Relaxed);
        has_too_much.then(|| NameBudget::problem("symbols"))
    }

    fn for_each_alias(&self, file_addr: u64, each: &mut dyn FnMut(&[u8])) {
        let mut budget = self.budget();
        let bytes = self.input.bytes();
        for (index, symbol) in (1..).zip(self.symbols()) {
            let same = symbol.st_value.get(LE) == file_addr
                && symbol.st_shndx.get(LE) != elf::SHN_UNDEF
                && matches!(symbol.st_type(), elf::STT_OBJECT | elf::STT_NOTYPE);
            if same && Self::takes_part(symbol) && self.is_default_version(index) {
                let Some(name) = self.next_name(bytes, symbol, &mut budget) else {
                    return;
                };
                each(name);
            }
        }
    }

    fn for_each_interposable(&self, each: &mut dyn FnMut(&[u8])) {
        self.call_interposable(self.symbols(), each);
    }

    fn interposable_count(&self) -> usize {
        match self.tables.gnu_hash {
            Some(_) => self.symbols().len(),
            None => 0,
        }
    }

    fn defines_interposable(&self, name: &[u8]) -> bool {
        let found = |index| {
            let symbol = self.symbol(index)?;
            Some(Self::is_interposable(symbol) && self.name_of(symbol) == name)
        };
        let table = self.tables.gnu_hash.as_ref();
        table.is_some_and(|table| {
            let hit = self.search_gnu(table, name, |index| found(index).unwrap_or(false));
            hit.is_some()
        })
    }

    fn for_each_undefined(&self, each: &mut dyn FnMut(&[u8])) {
        // The table for the loader starts behind what is undefined.
        let hashed = self.tables.gnu_hash.as_ref();
        let hashed = hashed.map_or(u32::MAX, |table| table.first_symbol);
        let symbols = self.symbols();
        let count = symbols.len().min(hashed.saturating_sub(1) as usize);
        self.call_interposable(&symbols[..count], each);
    }

    fn for_each_required(&self, each: &mut dyn FnMut(&[u8])) {
        let mut budget = self.budget();
        // The table for the loader starts behind what is undefined.
        let hashed = self
            .tables
            .gnu_hash
            .as_ref()
            .map(|table| table.first_symbol);
        let end = hashed.unwrap_or(u32::MAX).min(self.tables.symbol_count);
        let versions = self.needed_versions();
        let bytes = self.input.bytes();
        for (index, symbol) in (1..end).zip(self.symbols()) {
            if symbol.st_shndx.get(LE) != elf::SHN_UNDEF || symbol.st_bind() != elf::STB_GLOBAL {
                continue;
            }
            let Some(name) = self.next_name(bytes, symbol, &mut budget) else {
                return;
            };
            let version = self.version_index(index);
            let version = version.map(|version| version & elf::VERSYM_VERSION);
            match version.and_then(|version| versions.get(&version)) {
                Some(version) => each(&[name, b"@", version].concat()),
                None => each(name),
            }
        }
    }
}

/// Reads arbitrary bytes as a library and searches it: the entry of the fuzz target. Never panics.
pub fn fuzz_library(bytes: &[u8]) {
    let input = Arc::new(OwnedBytes::from(bytes.to_vec()));
    let Ok(library) = SharedLibrary::of(Path::new("/fuzz.so"), input, LibraryOrigin::Loaded) else {
        return;
    };
    let mut names = vec![b"malloc".to_vec()];
    library.for_each_interposable(&mut |name| {
        if names.len() < 64 {
            names.push(name.to_vec());
        }
    });
    for name in &names {
        let found = library.find(name);
        let _ = library.version(name);
        if let Some(found) = found {
            library.for_each_alias(found.file_addr, &mut |_| {});
        }
    }
    library.for_each_required(&mut |_| {});
    let _ = (library.needed(), library.run_path());
}

#[cfg(test)]
mod tests;
