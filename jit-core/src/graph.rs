//! The link graph: what one object file contributes, free of any object format.
//!
//! Sections hold blocks, blocks have edges to symbols. All live in arenas and are named by `u32`
//! ids; deletion is a mark. Block content borrows the mapped input, so building a graph copies
//! nothing and allocates a handful of vectors however large the object is.

use std::ops::Range;
use std::sync::Arc;

use orc_shared::ExecutorAddr;

use crate::cpu::Architecture;
use crate::debug::DebugContent;
use crate::name::{NameId, NameUses};
use crate::symbol::{Scope, SymbolKind};
use crate::symbolize::sources::{NearSymbol, SourceLines};

pub use crate::input::InputBytes;

/// Names a section of a graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SectionId(pub u32);

/// Names a block of a graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockId(pub u32);

/// Names a symbol of a graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SymbolId(pub u32);

/// Where a section's blocks go in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum SectionKind {
    /// Read and execute.
    Text,
    /// Read only.
    ReadOnly,
    /// Written by fixups only, then read only (RELRO).
    RelocatedReadOnly,
    /// Read and write.
    ReadWrite,
    /// The same, and referred to with 64-bit fields by all code that may have to (`.ldata`, `.lbss`; psABI,
    /// "Code Models"): where there is much of it, it lies elsewhere.
    LargeReadWrite,
    /// The initial image of thread-local storage.
    ThreadLocal,
}

/// Rank of a section that is compared with others by its name, whatever their ranks. (Of sections without a
/// name, those with a smaller rank come before it.)
pub const RANK_BY_NAME: u32 = 0xf000_0000;

/// A section: what blocks of one output section of one object share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// The output section, as in ".text": sections of one output name are contiguous in a batch,
    /// and `__start_`/`__stop_`-like symbols refer to it.
    pub output: NameId,
    /// Permissions and role.
    pub kind: SectionKind,
    /// Rank among blocks of the same output section, smaller first. Formats encode initializer
    /// priorities here.
    pub order: u32,
    /// What sections of the same rank are sorted by, byte by byte, those without coming first; ties keep
    /// link order. See also [`RANK_BY_NAME`].
    pub order_name: Option<NameId>,
    /// Kept when the output section's bounds are referred to (a name that is a C identifier).
    pub bounds_retained: bool,
    /// Whether nobody can tell a block of it from another with the same bytes, so that one may stand for all.
    pub mergeable: bool,
}

/// A block's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A part of the graph's input.
    Input(Range<usize>),
    /// A part of the graph's own buffer ([`LinkGraph::owned`]).
    Owned(Range<usize>),
    /// Names of functions: the linker adds such blocks, and no object may have one.
    FunctionNames,
    /// Nothing but zeros.
    Zero,
}

/// Content that stays contiguous, with the edges that fix it up.
#[derive(Clone, Debug)]
pub struct Block {
    /// The section it belongs to.
    pub section: SectionId,
    /// Its bytes.
    pub content: Content,
    /// Size in bytes.
    pub size: u64,
    /// Alignment in bytes, a power of two.
    pub align: u64,
    /// Its edges in [`LinkGraph::edges`].
    pub edges: Range<u32>,
    /// Its frames in [`LinkGraph::frames`] (FDEs that describe code of this block).
    pub frames: Range<u32>,
    /// Whether the block is kept; cleared for discarded groups and by pruning.
    pub live: bool,
    /// Its final address; for thread-local blocks, the address that its initial content would
    /// have if the TLS image lay at zero, which is its offset in the image.
    pub address: ExecutorAddr,
}

/// What a symbol stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A place in a block of this graph.
    Defined {
        /// The block.
        block: BlockId,
        /// Offset in it, in bytes. May be its size (an end symbol).
        offset: u64,
    },
    /// A fixed value.
    Absolute(u64),
    /// A value that its object computes from those of other symbols
    /// ([`crate::object::ObjectFile::computation`]).
    Computed {
        /// A block of this graph with edges to all that the value depends on.
        block: BlockId,
        /// What is known of the value before that.
        range: ComputedRange,
    },
    /// A name to look up: another object, the process, or the linker itself provides it. The
    /// linker's tables say what it was resolved to.
    External,
    /// A definition of another object in a discarded group: any use of it from kept code is an
    /// error.
    Discarded,
}

impl Target {
    /// Whether it is a number, and no place of the program.
    #[must_use]
    pub fn is_number(self) -> bool {
        match self {
            Self::Absolute(_) => true,
            Self::Computed { range, .. } => range != ComputedRange::Near,
            Self::Defined { .. } | Self::External | Self::Discarded => false,
        }
    }
}

/// What is known of a computed value before anything has an address.
///
/// A word of its own: beside the byte that tells targets apart, another byte would make copies of targets wait
/// for both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ComputedRange {
    /// It is an address next to something of the same program.
    Near,
    /// It is a distance or another small number.
    Small,
    /// Nothing.
    Any,
}

/// A symbol. Packed, as edges are.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(4))]
pub struct Symbol {
    /// Its name; local symbols mostly have none here (see [`LinkGraph::describe`]).
    pub name: Option<NameId>,
    /// What it stands for.
    pub target: Target,
    /// Size in bytes, 0 when unknown.
    pub size: u64,
    /// Who may refer to it.
    pub scope: Scope,
    /// What it names.
    pub kind: SymbolKind,
    /// For [`Target::External`]: whether it may stay undefined.
    pub weak: bool,
}

/// How an edge computes the bytes it writes: the number of a kind of the graph's CPU ([`crate::cpu`]),
/// which has the formulas.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct EdgeKind(pub u8);

impl EdgeKind {
    /// Writes nothing; the target stays alive with the place. The same on all CPUs.
    pub const NONE: Self = Self(0);
    /// `S + A`, 64 bits of data. The same on all CPUs.
    pub const POINTER64: Self = Self(1);
    /// Writes nothing: its target is what the next edge, of a difference at the same offset, subtracts.
    /// The same on all CPUs.
    pub const SUBTRAHEND: Self = Self(2);
}

/// A place in a block that depends on a symbol's address.
///
/// One that depends on two, as `S - T + A`, has two edges, one right behind the other: the first
/// ([`EdgeKind::SUBTRAHEND`]) has `T`, the second, a difference, all else.
///
/// Packed, because a large program has a million: the addend is not aligned, so it can be copied but not
/// borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, packed(4))]
pub struct Edge {
    /// Offset of the fixup in its block, in bytes.
    pub offset: u32,
    /// The symbol it refers to.
    pub target: SymbolId,
    /// The addend `A`.
    pub addend: i64,
    /// How to compute it.
    pub kind: EdgeKind,
}

/// An FDE of an `.eh_frame` block, and the code it describes.
///
/// There is one for every FDE of the object, also for those whose code is in a discarded block: the
/// linker takes them out. Records outside all frames (CIEs) live as long as any frame of their
/// block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The block that holds the FDE.
    pub block: BlockId,
    /// Offset of the FDE's length field in that block.
    pub offset: u32,
    /// Length of the whole FDE in bytes, with its length field.
    pub length: u32,
    /// The edges that lie in the FDE: the half-open range of indexes into [`LinkGraph::edges`]. The
    /// first is the code's start; a further one is the LSDA.
    pub edges: (u32, u32),
    /// The block whose code it describes.
    pub code: BlockId,
    /// Offset in that block where the code starts.
    pub code_offset: u64,
}

/// A function, for those who look up an address: backtraces, `dladdr`, crash handlers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NamedFunction {
    /// The function.
    pub symbol: SymbolId,
    /// Where its name begins in the graph's input, in bytes: a C string.
    pub name: u32,
}

/// The place of a definition that lost to another object's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Displaced {
    /// Its symbol, which stands for the other object's.
    pub symbol: SymbolId,
    /// The block that it is in.
    pub block: BlockId,
    /// Its offset there.
    pub offset: u64,
}

/// One object file on its way into memory.
#[derive(Clone)]
pub struct LinkGraph {
    /// The object, as in "libfoo.a(bar.o)".
    pub name: String,
    /// The CPU whose kinds its edges have; none for a graph without code, which has the kinds that are
    /// the same on all.
    pub architecture: Option<Architecture>,
    /// The input that content refers to.
    pub input: Arc<dyn InputBytes>,
    /// Bytes made by the linker.
    pub owned: Vec<u8>,
    /// Sections.
    pub sections: Vec<Section>,
    /// Blocks.
    pub blocks: Vec<Block>,
    /// Symbols.
    pub symbols: Vec<Symbol>,
    /// Edges, those of one block next to each other.
    pub edges: Vec<Edge>,
    /// FDEs, those of one code block next to each other.
    pub frames: Vec<Frame>,
    /// Functions that backtraces can name.
    pub functions: Vec<NamedFunction>,
    /// Blocks that are kept even if nothing refers to them (initializers, notes, what the source says has to
    /// stay).
    pub retained: Vec<BlockId>,
    /// Blocks that belong to COMDAT groups, with the number of the group in
    /// [`crate::object::ObjectInterface::groups`].
    pub groups: Vec<(BlockId, u32)>,
    /// Common symbols, in their order, with the block of each.
    pub commons: Vec<(SymbolId, BlockId)>,
    /// What the object has under names whose definition in force is another object's, ordered by symbol:
    /// it is in memory, and comes into force if the other one goes. Known once claims are applied
    /// ([`crate::claims`]).
    pub displaced: Vec<Displaced>,
    /// Whether its code runs from the stack (GNU C's nested functions do). What cannot be said of the
    /// object alone: it holds for the program.
    pub executable_stack: bool,
    /// Names blocks and local symbols for messages: the format's own section and symbol names.
    pub describe: Option<Arc<dyn DescribeGraph>>,
    /// Its use of names that it was built with and the object does not use: those of sections.
    pub uses: Option<Box<NameUses>>,
}

/// The capacity to give to a graph's vector that the object itself fills with `own` elements.
///
/// Linking adds a few symbols, blocks and edges to a graph: entries of its GOT, stubs. Without
/// room, adding the first would move the whole vector. Room that stays unused is never touched;
/// small vectors get none, because moving them costs nothing.
#[must_use]
pub const fn with_room(own: usize) -> usize {
    own + own / 16
}

impl LinkGraph {
    /// The block's bytes; shorter than the block where zeros follow.
    #[must_use]
    pub fn content(&self, block: BlockId) -> &[u8] {
        let bytes = match &self.blocks[block.0 as usize].content {
            Content::Input(range) => self.input.bytes().get(range.clone()),
            Content::Owned(range) => self.owned.get(range.clone()),
            Content::FunctionNames | Content::Zero => None,
        };
        bytes.unwrap_or_default()
    }

    /// The name of the section that a block came from, for messages.
    #[must_use]
    pub fn block_name(&self, block: BlockId) -> String {
        match &self.describe {
            Some(describe) => describe.block_section(block),
            None => format!("#{}", block.0),
        }
    }

    /// The name of a symbol, for messages.
    #[must_use]
    pub fn symbol_name(&self, symbol: SymbolId) -> String {
        match &self.describe {
            Some(describe) => describe.symbol(symbol),
            None => format!("#{}", symbol.0),
        }
    }

    /// The edges of a block.
    #[must_use]
    pub fn edges_of(&self, block: BlockId) -> &[Edge] {
        let range = &self.blocks[block.0 as usize].edges;
        &self.edges[range.start as usize..range.end as usize]
    }
}

/// Names parts of a graph for error messages, dumps and backtraces, by asking the object file
/// again. Outlives the graph, as long as the object's code is in memory.
pub trait DescribeGraph: Send + Sync {
    /// The name of the section the block came from, as in ".text._ZN3fooEv".
    fn block_section(&self, block: BlockId) -> String;

    /// The symbol's name, also for local symbols and section symbols.
    fn symbol(&self, symbol: SymbolId) -> String;

    /// The function or variable that has the byte at `offset` of a block; `None` if no symbol
    /// reaches it.
    fn symbol_at(&self, block: BlockId, offset: u64) -> Option<NearSymbol> {
        let _ = (block, offset);
        None
    }

    /// The object's debug information, for the addresses that `place` gives its blocks (`None` for
    /// those that are not in memory). `Ok(None)` if it has none.
    ///
    /// # Errors
    /// What is wrong with it.
    fn source_lines(
        &self,
        place: &dyn Fn(BlockId) -> Option<ExecutorAddr>,
    ) -> Result<Option<Box<dyn SourceLines>>, String> {
        let _ = place;
        Ok(None)
    }

    /// Adds the object's symbols and debug information to what debuggers are shown, for the addresses that
    /// `place` gives its blocks (`None` for those that are not in memory).
    ///
    /// # Errors
    /// What is wrong with the debug information, of which nothing is added then.
    fn add_to_debug_content(
        &self,
        place: &dyn Fn(BlockId) -> Option<ExecutorAddr>,
        content: &mut DebugContent,
    ) -> Result<(), String> {
        let _ = (place, content);
        Ok(())
    }
}

const _: () = assert!(size_of::<Edge>() <= 20, "a link has many");
const _: () = assert!(size_of::<Symbol>() <= 32, "a link has many");
