//! The process's libraries as the linker sees them: by their files' symbol tables, so that layout
//! does not need them loaded.

use std::sync::Arc;

use crate::executor::api::NativeKind;

/// A shared library's symbol table.
pub trait NativeLibrary: Send + Sync {
    /// Absolute path of the file.
    fn path(&self) -> &str;

    /// The name other libraries and the loader know it by (its soname or install name, else the path).
    fn loader_name(&self) -> &str;

    /// The name by which the loader of another host finds its own file of this library: paths differ
    /// between hosts.
    fn name_elsewhere(&self) -> &str {
        let (name, path) = (self.loader_name(), self.path());
        match path.rfind('/') {
            Some(at) if name == path => &path[at + 1..],
            _ => name,
        }
    }

    /// Such names of the libraries it needs.
    fn needed(&self) -> Vec<String>;

    /// The name by which a program needs it: what the loader is asked for.
    fn needed_name(&self) -> &str {
        self.loader_name()
    }

    /// Whether the file is a program, which the process that runs it has and no loader opens again.
    fn is_program(&self) -> bool {
        false
    }

    /// Directories in which the loader looks for what it needs, separated by colons and not expanded.
    fn run_path(&self) -> Option<String> {
        None
    }

    /// Its exported definition of `name` (a reference may carry a version as "name@VER").
    fn find(&self, name: &[u8]) -> Option<LibrarySymbol>;

    /// The version of the definition that [`Self::find`] finds for `name`, as in "GLIBC_2.14". An
    /// import must name it: to a reference without a version the loader gives the oldest one.
    fn version(&self, name: &[u8]) -> Option<Vec<u8>> {
        let _ = name;
        None
    }

    /// Calls `each` with every name exported for the data at `file_addr`: `environ`, `__environ`
    /// and `_environ` are one variable, so a copy of one has to answer to all.
    fn for_each_alias(&self, file_addr: u64, each: &mut dyn FnMut(&[u8])) {
        let _ = (file_addr, each);
    }

    /// Calls `each` with every name in its dynamic symbol table that the program could take part
    /// in: undefined ones and interposable definitions.
    fn for_each_interposable(&self, each: &mut dyn FnMut(&[u8]));

    /// The number of names that [`Self::for_each_interposable`] calls, about. Zero if
    /// [`Self::defines_interposable`] cannot look them up.
    fn interposable_count(&self) -> usize {
        0
    }

    /// Whether one of those names is this one, and not of an undefined symbol.
    fn defines_interposable(&self, name: &[u8]) -> bool {
        let _ = name;
        false
    }

    /// Calls `each` with those of the names that it leaves undefined.
    fn for_each_undefined(&self, each: &mut dyn FnMut(&[u8])) {
        self.for_each_interposable(each);
    }

    /// Calls `each` with every name that it takes from elsewhere and cannot do without, as "name@VER" if
    /// it asks for a version.
    fn for_each_required(&self, each: &mut dyn FnMut(&[u8])) {
        let _ = each;
    }

    /// What was found to be wrong with its file while names were walked, if they were not all called.
    fn fault(&self) -> Option<String> {
        None
    }

    /// Whether the process has it, or will. One that is loaded only if it is of use does not take
    /// part before [`Self::bind`].
    fn takes_part(&self) -> bool {
        true
    }

    /// Whether nobody named it, and the process will have it only if something is taken from it that must
    /// be there. Weak references are looked for in such a library after all others, so that it need not be
    /// read for what another one has.
    fn is_optional(&self) -> bool {
        false
    }

    /// Whether the loader loads it with the program, by its name.
    fn is_of_program(&self) -> bool {
        false
    }

    /// Notes that a reference that must be met is bound to it.
    fn bind(&self) {}
}

/// A definition in a library's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LibrarySymbol {
    /// Function, data or thread-local.
    pub kind: NativeKind,
    /// Whether it is an IFUNC (its address is known to the loader only).
    pub indirect: bool,
    /// Size in bytes.
    pub size: u64,
    /// Alignment in bytes that a copy of it needs.
    pub align: u64,
    /// Its value in the file (address less the load bias).
    pub file_addr: u64,
    /// Whether the library's data lies in a read-only (RELRO) segment.
    pub read_only: bool,
    /// Whether the definition is weak.
    pub weak: bool,
}

impl LibrarySymbol {
    /// A definition that nothing is known of.
    pub(crate) const UNKNOWN: Self = Self {
        kind: NativeKind::Function,
        indirect: false,
        size: 0,
        align: 1,
        file_addr: 0,
        read_only: false,
        weak: false,
    };
}

/// A reference of JIT'd code to a library's symbol.
#[derive(Clone)]
pub struct NativeSymbol {
    /// The name as the reference spells it, version included.
    pub name: Vec<u8>,
    /// The definition.
    pub symbol: LibrarySymbol,
    /// The library that defines it; `None` if only the executor knows.
    pub library: Option<Arc<dyn NativeLibrary>>,
    /// The library's load bias where it is loaded already.
    pub load_bias: Option<orc_shared::ExecutorAddr>,
    /// Whether every reference is weak.
    pub weak: bool,
}

impl std::fmt::Debug for NativeSymbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeSymbol")
            .field("name", &String::from_utf8_lossy(&self.name))
            .field("symbol", &self.symbol)
            .field("library", &self.library.as_ref().map(|l| l.path()))
            .field("load_bias", &self.load_bias)
            .field("weak", &self.weak)
            .finish()
    }
}
