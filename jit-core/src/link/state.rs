//! What a link in progress knows.
//!
//! A *part* is one graph on its way into memory. Parts come in the order of the batch's units;
//! behind them come the linker's own parts (copies of library data, stubs that stand for library
//! functions), at most one per group. A *group* is what is allocated and released as one: the parts
//! of one dylib and one tracker.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::Mutex;

use super::context::LinkContext;
use super::keep_statics::PartStatics;
use super::output_sections::{LARGE, Layout, Placement, SEGMENTS};
use super::timings::Timings;
use crate::batch::{Batch, BatchHost, DylibId, NativeBinding, Resolution, TrackerId};
use crate::cpu::TargetClass;
use crate::demangle;
use crate::error::LinkError;
use crate::executor::InFlight;
use crate::executor::api::{CopyRelocation, Export, RangeId, TlsAccess, TlsBlock};
use crate::graph::{BlockId, LinkGraph, SectionKind, SymbolId, Target, with_room};
use crate::name::NameId;
use crate::platform::Passes;

/// In [`Part::externals`]: the symbol is the graph's own.
pub(super) const OWN: u32 = u32::MAX;

/// In [`Part::externals`]: the number of the external; the other bits say which of its values is
/// meant, if not its address or offset from the thread pointer.
pub(super) const EXTERNAL: u32 = (1 << 30) - 1;
/// The id of the module that defines the thread-local.
pub(super) const TLS_MODULE: u32 = 1 << 31;
/// The offset in that module.
pub(super) const TLS_OFFSET: u32 = 1 << 30;

/// A block that has the bytes of another, and that one, with the index of its part.
pub(super) type Merged = (BlockId, (u32, BlockId));

/// One graph of the link.
pub(super) struct Part {
    pub(super) graph: LinkGraph,
    /// Index into [`Link::groups`].
    pub(super) group: u32,
    /// Per symbol: index into [`Link::externals`], or [`OWN`].
    pub(super) externals: Vec<u32>,
    /// Blocks that hold frames, sorted by block.
    pub(super) frame_blocks: Vec<FrameBlock>,
    /// Per symbol: how edges use it.
    pub(super) uses: Vec<Uses>,
    /// IFUNCs of the graph.
    pub(super) ifuncs: Vec<Ifunc>,
    /// The names of its functions, if it has any.
    pub(super) names: Option<FunctionNames>,
    /// Words that tell code where thread-locals are.
    pub(super) tls_words: Vec<TlsWord>,
    /// Thread-locals that code takes to be in one module, where that may be wrong.
    pub(super) one_module: Vec<SymbolId>,
    /// Blocks that other blocks have a place for, in their order.
    pub(super) merged: Vec<Merged>,
    /// Its live blocks, from layout until they have addresses.
    pub(super) placements: Vec<Placement>,
    /// Per section: index into the group's output sections.
    pub(super) outputs: Vec<u32>,
    /// Per symbol: its value, once everything has an address.
    pub(super) values: Vec<u64>,
    /// Its variables, if it can be replaced.
    pub(super) statics: Option<Box<PartStatics>>,
}

/// A block that holds frames.
pub(super) struct FrameBlock {
    pub(super) block: BlockId,
    /// Its edges outside all FDEs: those of CIEs.
    pub(super) record_edges: Vec<u32>,
}

/// An IFUNC: the symbol that everybody uses names a stub; the resolver fills its slot.
#[derive(Clone, Copy)]
pub(super) struct Ifunc {
    pub(super) resolver: SymbolId,
    pub(super) slot: SymbolId,
}

bitflags::bitflags! {
    /// How edges of live code use a symbol.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub(super) struct Uses: u8 {
        /// By any edge.
        const ANY = 1;
        /// By an edge whose field cannot hold a far address.
        const DIRECT = 1 << 1;
        /// By an edge that holds a 32-bit (or shorter) absolute address.
        const LOW = 1 << 2;
        /// As a thread-local.
        const THREAD_LOCAL = 1 << 3;
        /// By an edge that goes through a table entry or a stub.
        const TABLE = 1 << 4;
    }
}

bitflags::bitflags! {
    /// Which values of an external lowered edges need.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub(super) struct Needs: u8 {
        /// Its address, or its offset from the thread pointer.
        const VALUE = 1;
        /// Module and offset, for `__tls_get_addr`.
        const TLS_PAIR = 1 << 1;
    }
}

/// A name that graphs of one dylib refer to and do not define.
pub(super) struct External {
    pub(super) name: NameId,
    pub(super) dylib: DylibId,
    /// What the session says it is.
    pub(super) resolution: Resolution,
    /// What the linker bound it to.
    pub(super) bound: Bound,
    /// What is known of its place before layout.
    pub(super) class: TargetClass,
    /// Size in bytes, 0 when unknown.
    pub(super) size: u64,
    /// How edges use it, over all parts.
    pub(super) uses: Uses,
    /// Whether it is a number, and no place.
    pub(super) number: bool,
    /// Whether it is defined in code of the batch; known when it is classified.
    pub(super) is_code: bool,
}

/// Where an external's value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bound {
    /// A symbol of another part.
    Part { part: u32, symbol: SymbolId },
    /// A value known now; for thread-locals, the offset from the thread pointer.
    Value(u64),
    /// A value that the host tells once all dependencies are resolved.
    Pending,
    /// A symbol of a library, imported if lowered edges need it.
    Native,
    /// Something that the linker defines; see the resolution.
    Linker,
}

/// What is allocated and released as one.
pub(super) struct Group {
    pub(super) dylib: DylibId,
    pub(super) tracker: TrackerId,
    pub(super) parts: Vec<u32>,
    /// The group's own part of linker-made blocks, if it has one.
    pub(super) linker_part: Option<u32>,
    /// Whether it must lie below 2 GiB.
    pub(super) low: bool,
    /// Whether its large data lies in a range of its own.
    pub(super) large_apart: bool,
    pub(super) range: RangeId,
    /// The range's extent: everything of the group lies in it.
    pub(super) extent: ExecutorAddrRange,
    pub(super) layout: Layout,
    pub(super) tls: Option<TlsBlock>,
    /// Whether its thread-locals are in a module of their own.
    pub(super) tls_in_module: bool,
    /// The base of GOT-relative addresses.
    pub(super) got_base: u64,
    /// The code that runs IFUNC resolvers, if the group has any: part and symbol.
    pub(super) run_resolvers: Option<(u32, SymbolId)>,
}

/// The memory of a group.
pub(super) struct GroupMemory {
    pub(super) near: Box<dyn InFlight>,
    /// That of its large data, where that lies apart.
    pub(super) large: Option<Box<dyn InFlight>>,
}

impl GroupMemory {
    /// The addresses of the group's segments, in their order.
    pub(super) fn addresses(&self) -> impl Iterator<Item = ExecutorAddr> {
        let large = self.large.iter().flat_map(|large| large.addresses());
        self.near.addresses().iter().chain(large).copied()
    }

    /// The working memory of the group's segments, in their order.
    pub(super) fn working_memory(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let large = self
            .large
            .iter_mut()
            .flat_map(|large| large.working_memory());
        self.near.working_memory().into_iter().chain(large)
    }
}

/// A link in progress.
pub(super) struct Link {
    pub(super) context: Arc<LinkContext>,
    pub(super) host: Arc<dyn BatchHost>,
    pub(super) batch: Arc<Batch>,
    pub(super) parts: Vec<Part>,
    pub(super) groups: Vec<Group>,
    /// Per group: its memory, once allocated. Behind a lock only so that steps may share the link
    /// between threads; it is never contended.
    pub(super) memory: Mutex<Vec<Option<GroupMemory>>>,
    pub(super) passes: HashMap<DylibId, Passes>,
    pub(super) externals: Vec<External>,
    /// Per external: which of its values lowered edges need.
    pub(super) needs: Vec<Needs>,
    pub(super) exports: Vec<PendingExport>,
    pub(super) copies: Vec<PendingCopy>,
    /// Bytes that all groups need next to each other, about.
    pub(super) near_size: u64,
    /// Groups, as dylib and tracker, for whose thread-locals there is no room at fixed offsets.
    pub(super) in_modules: Vec<(DylibId, TrackerId)>,
    /// What code needs to reach such thread-locals, if any does.
    pub(super) tls_access: Option<TlsAccess>,
    /// Places outside the groups that lowering took to be in reach.
    pub(super) assumed_near: Vec<ExecutorAddr>,
    pub(super) timings: Timings,
}

/// The named functions of a part.
pub(super) struct FunctionNames {
    /// The block that holds their names.
    pub(super) block: BlockId,
    pub(super) functions: Vec<Named>,
}

/// A function and its name.
pub(super) struct Named {
    pub(super) symbol: SymbolId,
    /// Where its name lies in the graph's input.
    pub(super) from: u32,
    /// Where it goes in the block: up to a NUL before the next one.
    pub(super) to: u32,
}

/// A symbol whose value tells code where a thread-local is.
#[derive(Clone, Copy)]
pub(super) struct TlsWord {
    pub(super) symbol: SymbolId,
    /// The thread-local.
    pub(super) target: SymbolId,
    pub(super) value: TlsValue,
}

/// What a [`TlsWord`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TlsValue {
    /// The number of the module.
    Module,
    /// The offset in the module.
    Offset,
    /// The offset in the module of what other offsets count from.
    Base,
    /// The function of a TLS descriptor.
    Function,
}

/// An export whose address is not known yet.
pub(super) struct PendingExport {
    pub(super) export: Export,
    pub(super) part: u32,
    pub(super) symbol: SymbolId,
}

/// A copy relocation whose destination is not known yet.
pub(super) struct PendingCopy {
    pub(super) copy: CopyRelocation,
    pub(super) part: u32,
    pub(super) symbol: SymbolId,
}

/// A table with a value per symbol of a part, and room for symbols to come.
pub(super) fn table_of_symbols<T: Copy>(part: &Part, value: T) -> Vec<T> {
    let symbols = part.graph.symbols.len();
    let mut table = Vec::with_capacity(with_room(symbols));
    table.resize(symbols, value);
    table
}

impl Part {
    pub(super) fn new(graph: LinkGraph, group: u32) -> Self {
        Self {
            graph,
            group,
            externals: Vec::new(),
            frame_blocks: Vec::new(),
            uses: Vec::new(),
            ifuncs: Vec::new(),
            names: None,
            tls_words: Vec::new(),
            one_module: Vec::new(),
            merged: Vec::new(),
            placements: Vec::new(),
            outputs: Vec::new(),
            values: Vec::new(),
            statics: None,
        }
    }

    /// How much there is to do for the part, in blocks and edges: decides what runs in parallel.
    pub(super) fn work(&self) -> usize {
        self.graph.blocks.len() + self.graph.edges.len() + self.graph.symbols.len()
    }

    /// A symbol's name for messages, demangled.
    pub(super) fn symbol_text(&self, symbol: SymbolId) -> String {
        demangle::describe(self.graph.symbol_name(symbol).as_bytes())
    }

    /// The external that the symbol is, if it is one.
    pub(super) fn external(&self, symbol: SymbolId) -> Option<u32> {
        match self.externals.get(symbol.0 as usize) {
            Some(&external) if external != OWN => Some(external & EXTERNAL),
            _ => None,
        }
    }

    /// The kind of section that the symbol is defined in, if it is in one of this part.
    pub(super) fn section_kind(&self, symbol: SymbolId) -> Option<SectionKind> {
        match self.graph.symbols[symbol.0 as usize].target {
            Target::Defined { block, .. } => {
                let section = self.graph.blocks[block.0 as usize].section;
                Some(self.graph.sections[section.0 as usize].kind)
            }
            Target::Absolute(_)
            | Target::Computed { .. }
            | Target::External
            | Target::Discarded => None,
        }
    }
}

impl Group {
    pub(super) fn new(dylib: DylibId, tracker: TrackerId) -> Self {
        Self {
            dylib,
            tracker,
            parts: Vec::new(),
            linker_part: None,
            low: false,
            large_apart: false,
            range: RangeId(0),
            extent: ExecutorAddrRange::default(),
            layout: Layout::default(),
            tls: None,
            tls_in_module: false,
            got_base: 0,
            run_resolvers: None,
        }
    }

    /// The segments that lie in the group's range.
    pub(super) fn near_segments(&self) -> Range<usize> {
        match self.large_apart {
            true => 0..LARGE,
            false => 0..SEGMENTS.len(),
        }
    }

    /// The segments that lie apart from it.
    pub(super) fn segments_apart(&self) -> Range<usize> {
        self.near_segments().end..SEGMENTS.len()
    }
}

impl Link {
    pub(super) fn new(
        context: Arc<LinkContext>,
        host: Arc<dyn BatchHost>,
        batch: Arc<Batch>,
    ) -> Self {
        let timings = Timings::new(Arc::clone(&context.times));
        Self {
            context,
            host,
            batch,
            parts: Vec::new(),
            groups: Vec::new(),
            memory: Mutex::default(),
            passes: HashMap::new(),
            externals: Vec::new(),
            needs: Vec::new(),
            exports: Vec::new(),
            copies: Vec::new(),
            near_size: 0,
            in_modules: Vec::new(),
            tls_access: None,
            assumed_near: Vec::new(),
            timings,
        }
    }

    /// Whether the link is for a program with a C library of its own.
    pub(super) fn has_own_c_library(&self) -> bool {
        match &self.batch.binding {
            NativeBinding::Program(program) => program.own_c_library,
            NativeBinding::Immediate => false,
        }
    }

    /// The dylib that a part belongs to.
    pub(super) fn dylib_of(&self, part: u32) -> DylibId {
        self.groups[self.parts[part as usize].group as usize].dylib
    }

    /// The address of a dylib's header, if it has one.
    pub(super) fn header(&self, dylib: DylibId) -> Option<ExecutorAddr> {
        let name = self.context.platforms.of(dylib).header_name();
        let name = self.context.names.find(name.as_bytes())?;
        match self.host.own_definition(dylib, name)? {
            Resolution::InBatch { unit, symbol } => {
                let part = self.parts.get(unit as usize)?;
                let value = part.values.get(symbol.0 as usize).copied();
                value.filter(|&v| v != 0).map(ExecutorAddr::new)
            }
            Resolution::Address { addr, .. } => Some(addr),
            _ => None,
        }
    }
}

/// One error of several.
pub(super) fn join_errors(mut errors: Vec<LinkError>) -> Result<(), LinkError> {
    match errors.len() {
        0 => Ok(()),
        1 => Err(errors.remove(0)),
        _ => Err(LinkError::Many(errors.into())),
    }
}
