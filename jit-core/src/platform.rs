//! What an object format's platform adds to links and to the life of a dylib.

use std::collections::HashMap;
use std::sync::Arc;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::RwLock;

use crate::cpu::Architecture;
use crate::debug::DebugContent;
use crate::error::LinkError;
use crate::executor::{AllocActionPair, ExecutorControl, ExecutorResult};
use crate::graph::LinkGraph;
use crate::ids::DylibId;
use crate::name::{NameId, NameTable};

/// A symbol that the linker itself provides.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum LinkerDefined {
    /// First byte of the output section of this name; null if no object of the dylib has one.
    SectionStart(String),
    /// First byte after the output section of this name.
    SectionEnd(String),
    /// Size of the output section of this name in bytes, a number.
    SectionSize(String),
    /// First byte after the text of the dylib (`etext`).
    TextEnd,
    /// First byte after initialized data (`edata`), which is where `.bss` starts.
    DataEnd,
    /// First byte after everything (`end`).
    ImageEnd,
    /// Start of the dylib's range (`__ehdr_start`).
    ImageStart,
    /// Start of the code (`__executable_start`).
    TextStart,
    /// The dylib's header, which identifies it to the runtime ([`Platform::header_name`]).
    DylibHeader,
    /// The global offset table's base (`_GLOBAL_OFFSET_TABLE_`).
    GotBase,
    /// The base that module-relative offsets of thread-locals count from (`_TLS_MODULE_BASE_`):
    /// the thread pointer itself, because every access is rewritten to local-exec.
    TlsModuleBase,
}

/// A section that the linker makes: formats name them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum LinkerSection {
    /// Code that runs IFUNC resolvers.
    Code,
    /// Writable data.
    Data,
    /// Pointers that stubs of lazy calls jump through: writable, and the session's alone to write.
    StubPointers,
    /// Addresses of what code refers to, read-only once they are written (a GOT).
    Addresses,
    /// Such addresses that stay writable, because the program's own start-up code writes them.
    WritableAddresses,
    /// Stubs that stand for functions (a PLT), and those of lazy calls. Debuggers step through what has its name.
    Stubs,
    /// Copies of variables of libraries.
    Copies,
    /// Such copies that are read-only once they are written.
    ReadOnlyCopies,
    /// Relocations for the start-up code of a program that runs IFUNC resolvers itself.
    ResolverTable,
    /// Names of functions, for backtraces.
    FunctionNames,
    /// How to unwind through code (an `.eh_frame`).
    Frames,
}

/// A pass: reads and changes one graph.
pub type Pass = Box<dyn Fn(&mut LinkGraph) -> Result<(), LinkError> + Send + Sync>;

/// Passes of a platform or a client: run per graph, graphs in parallel. Names and moments are JITLink's. What
/// the linker makes itself (GOT, PLT, thread-local words, veneers) is no pass of this kind: it is made for a
/// whole batch, or needs a table of the CPU.
#[derive(Default)]
pub struct Passes {
    /// After parsing, before anything is dropped: mark what must live, add synthetic sections.
    pub pre_prune: Vec<Pass>,
    /// After dead blocks are dropped: what is left will be in memory.
    pub post_prune: Vec<Pass>,
    /// Every block has an address, and every symbol of the graph; nothing external is known.
    pub post_allocation: Vec<Pass>,
}

/// The part of a batch that belongs to one dylib and one tracker, once it has addresses.
pub struct LaidOutGroup<'a> {
    /// The dylib.
    pub dylib: DylibId,
    /// Every output section with its name and place, in address order.
    pub sections: &'a [(NameId, ExecutorAddrRange)],
    /// Data that code of the group may write, in no order.
    pub writable: &'a [ExecutorAddrRange],
    /// Address of the dylib's header (`__dso_handle`), if the batch or an earlier one defined it.
    pub header: Option<ExecutorAddr>,
    /// Whether the batch is the process's program.
    pub is_program: bool,
}

/// Why memory is given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReleaseCause {
    /// The client removes what it belongs to, now and on this thread.
    Removal,
    /// What it belongs to was removed before, and the last user is gone.
    #[default]
    LastUser,
}

/// An object format's part in links and in the life of dylibs.
pub trait Platform: Send + Sync {
    /// Adds the format's passes for graphs of `dylib`.
    fn configure_passes(&self, dylib: DylibId, passes: &mut Passes) {
        let _ = (dylib, passes);
    }

    /// What the linker provides under `name`, if it is such a name.
    fn linker_defined(&self, name: &[u8]) -> Option<LinkerDefined>;

    /// The name of the symbol that marks a dylib's header.
    fn header_name(&self) -> &'static str;

    /// The name of an output section that the linker makes.
    fn section_name(&self, section: LinkerSection) -> &'static str;

    /// A name without its version, and the version that a reference spells in it, if it does.
    fn split_version<'a>(&self, name: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>);

    /// Rank of an output section among those of one permission: smaller lies lower. Sections of
    /// equal rank are ordered by first appearance.
    fn section_rank(&self, output: &[u8]) -> u32;

    /// Whether an output section lists initializers or finalizers.
    fn is_initializer_section(&self, output: &[u8]) -> bool {
        let _ = output;
        false
    }

    /// Arrays of functions in a group of the program that are to be called before its libraries are
    /// initialized. What is returned here is not for `finalize_actions` to register.
    fn preinit_arrays(
        &self,
        group: &LaidOutGroup<'_>,
        names: &NameTable,
    ) -> Vec<ExecutorAddrRange> {
        let _ = (group, names);
        Vec::new()
    }

    /// Calls to make when a group is finalized (initializer registration and the like), and their
    /// undo at release.
    fn finalize_actions(
        &self,
        group: &LaidOutGroup<'_>,
        names: &NameTable,
    ) -> Result<Vec<AllocActionPair>, LinkError>;

    /// Memory of a dylib is about to be given back: runs the exit handlers that lead into `ranges`,
    /// and, if the client removes it now, the destructors of the calling thread's thread-locals before
    /// them. Returns how many calls into the ranges are left for threads to make. Called without any
    /// lock; what it runs may look up and remove.
    ///
    /// # Errors
    /// When the runtime cannot be asked; the memory is then given back.
    fn before_release(
        &self,
        executor: &dyn ExecutorControl,
        dylib: DylibId,
        ranges: &[ExecutorAddrRange],
        cause: ReleaseCause,
    ) -> ExecutorResult<u64> {
        let _ = (executor, dylib, ranges, cause);
        Ok(0)
    }

    /// An object file that shows linked code to debuggers of the executor's system; `None` if these read none
    /// of the format.
    fn debug_image(&self, cpu: Architecture, content: &DebugContent) -> Option<Vec<u8>> {
        let _ = (cpu, content);
        None
    }

    /// A dylib was closed, and its memory is given back.
    fn forget_dylib(&self, dylib: DylibId) {
        let _ = dylib;
    }
}

/// The platforms of a session: each dylib has one, for objects of one format. What concerns the executor's
/// loader, such as versions in names of libraries' symbols, is the usual one's.
pub struct Platforms {
    usual: Arc<dyn Platform>,
    /// Those of dylibs that have another one.
    others: RwLock<HashMap<DylibId, Arc<dyn Platform>>>,
}

impl Platforms {
    /// All dylibs have this platform, until another is chosen.
    #[must_use]
    pub fn new(usual: Arc<dyn Platform>) -> Arc<Self> {
        Arc::new(Self {
            usual,
            others: RwLock::default(),
        })
    }

    /// The platform of dylibs for which none was chosen.
    #[must_use]
    pub fn usual(&self) -> &dyn Platform {
        &*self.usual
    }

    /// The platform of a dylib.
    #[must_use]
    pub fn of(&self, dylib: DylibId) -> Arc<dyn Platform> {
        let others = self.others.read();
        others.get(&dylib).unwrap_or(&self.usual).clone()
    }

    /// Gives a dylib another platform. Call it before anything is linked into the dylib.
    pub fn choose(&self, dylib: DylibId, platform: Arc<dyn Platform>) {
        self.others.write().insert(dylib, platform);
    }

    /// A dylib is gone.
    pub(crate) fn forget(&self, dylib: DylibId) {
        self.others.write().remove(&dylib);
    }
}
