//! What the linker has to know of each CPU, one folder per CPU.
//!
//! Every CPU answers the same questions, in files of the same names:
//! - which edge kinds there are, with their formulas and the facts about them (`kinds.rs`);
//! - what a request becomes, given what is known of its target (`lower.rs`);
//! - how thread-local accesses are rewritten (`tls.rs`);
//! - which bytes a fixup writes (`fixup.rs`);
//! - what stubs, the code that runs IFUNC resolvers and gaps look like (`stubs.rs`).
//!
//! [`Cpu`] is the list of these questions. `link/` is generic over it and names no CPU; which one a
//! session has, its executor says ([`Architecture`]). Here are the words that the answers share.

pub mod aarch64;
mod architecture;
mod dispatch;
pub mod x86_64;

use std::fmt::Debug;

pub use architecture::Architecture;
pub use dispatch::ForCpu;

use crate::graph::{Edge, EdgeKind};

/// The kinds of edges of a CPU.
pub trait Kinds: Copy + Eq + Debug + Send + Sync + 'static {
    /// Every kind, in the order of its number.
    const ALL: &'static [Self];

    /// What the linker has to know of the kind.
    fn facts(self) -> KindFacts;

    /// The kind's name, as in "Delta32".
    fn name(self) -> &'static str;

    /// The graph's number for the kind.
    fn edge(self) -> EdgeKind;

    /// The kind behind a graph's kind number, if the CPU has it.
    #[must_use]
    fn from_edge(kind: EdgeKind) -> Option<Self> {
        Self::ALL.get(usize::from(kind.0)).copied()
    }
}

/// A CPU: what the linker asks of it.
pub trait Cpu: 'static {
    /// Its kinds of edges. [`EdgeKind::NONE`], [`EdgeKind::POINTER64`] and
    /// [`EdgeKind::SUBTRAHEND`] are the same on all CPUs.
    type Kind: Kinds;

    /// `TP + A`, 64 bits of data: the kind of a GOT entry that holds an offset from the thread pointer.
    const TP_OFFSET64: Self::Kind;

    /// A PLT stub.
    const STUB: Stub;

    /// How far a branch leads, in bytes, if that is less than what one allocation spans.
    const BRANCH_REACH: Option<u64>;

    /// Code that leads a branch over a longer distance; the same as [`Self::STUB`] where branches reach
    /// everything of an allocation.
    const VENEER: Stub;

    /// A trampoline of a function that is not linked: it calls the runtime's `__orc_rt_reenter`, which
    /// knows it by the return address (LLVM 22, `ReentryTrampolineContent`).
    const TRAMPOLINE: Stub;

    /// How to unwind from [`Self::STUB`] and [`Self::TRAMPOLINE`].
    const FRAMES: FrameRules;

    /// The addend of a branch to the very start of its target.
    const BRANCH_ADDEND: i64;

    /// The number of the relocation whose value a resolver says, in tables that start-up code goes through.
    const IRELATIVE: u64;

    /// What fills the gaps between blocks of code.
    const CODE_GAP: u8;

    /// A wrapper function that runs IFUNC resolvers. Its argument bytes are those that
    /// [`Self::resolver_arguments`] makes; then pairs of 64-bit addresses (resolver, slot). It stores
    /// what each resolver returns in its slot, and returns an SPS `Error` of success.
    const RUN_RESOLVERS: &'static [u8];

    /// What IFUNC resolvers are told of the processor (`AT_HWCAP`, `AT_HWCAP2`), as
    /// [`Self::RUN_RESOLVERS`] expects it in front of the pairs.
    fn resolver_arguments(capabilities: [u64; 2]) -> Vec<u8>;

    /// What [`Self::lower`] makes of an edge of `kind` to a close target outside thread-local storage,
    /// where that does not depend on the instruction: what nearly all edges become.
    fn close(kind: Self::Kind) -> Option<Self::Kind>;

    /// Lowers one edge.
    ///
    /// # Errors
    /// For a thread-local access in an instruction sequence that no ABI document describes, or against
    /// a symbol that is not thread-local.
    fn lower(
        edge: &Edge,
        kind: Self::Kind,
        class: TargetClass,
        place: &Place<'_>,
    ) -> Result<Lowered<Self::Kind>, Refusal>;

    /// Whether an edge that refers directly to a number reaches it from low addresses only.
    fn needs_low_code(edge: &Edge, place: &Place<'_>) -> bool;

    /// Writes the fixup at `offset` of `block`, whose other bytes are already in place.
    ///
    /// # Errors
    /// When the value does not fit or is not a multiple of what the field counts in, the place lies
    /// outside the block, or the kind is a request.
    fn fixup(
        kind: Self::Kind,
        block: &mut [u8],
        offset: u32,
        terms: Terms,
    ) -> Result<(), FixupError>;
}

/// Which part of a link may meet a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KindGroup {
    /// Computed as it stands; an object format may use it.
    Fixup,
    /// Lowered before layout; an object format may use it.
    Request,
    /// Made by lowering; no object format may use it.
    Rewrite,
}

/// How far from its place the target of a kind may lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Anywhere.
    All,
    /// As far as a signed number of so many bits counts, in bytes.
    Bits(u8),
}

/// What the linker has to know of a kind besides the bytes that it writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KindFacts {
    /// Which part of a link may meet it.
    pub group: KindGroup,
    /// Bytes at its place that it writes or looks at: they must lie in the section.
    pub width: u8,
    /// Whether its formula has the place `P` in it.
    pub has_place: bool,
    /// Whether its formula has `T` in it, the target of the edge before it.
    pub subtracts: bool,
    /// Whether a target outside the object may have to lie at a low address: the field holds an absolute
    /// address and is too short for any.
    pub needs_low: bool,
    /// Whether it refers to its target directly with a field that cannot hold any address: the target
    /// must be brought near by a copy, or by a stub that stands for it.
    pub direct: bool,
    /// Whether it goes through a table entry or a stub, which can hold what the loader finds.
    pub through_table: bool,
    /// Whether it is a call or a jump, which does not care for what else its target's address is.
    pub is_branch: bool,
    /// Whether code with it takes its targets to be thread-locals of one module.
    pub in_one_module: bool,
    /// How far away the target may be.
    pub reach: Reach,
}

/// What is known, before anything has an address, of where an edge's target will lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TargetClass {
    /// Within 2 GiB of every place of this allocation.
    Near {
        /// Its address fits 31 bits: allocations below 2 GiB.
        low: bool,
        /// A branch from every place of this allocation leads there, if need be by a veneer.
        close: bool,
    },
    /// Anywhere.
    Far,
    /// A fixed value that fits a signed 32-bit field, and so is anywhere relative to code.
    Small,
    /// An undefined weak symbol: address zero.
    Null,
    /// A thread-local variable whose offset from the thread pointer is known at fixup.
    ThreadLocal,
    /// A thread-local variable of a library of the process, whose offset is known at fixup only if
    /// the loader is asked to place the library in static TLS.
    NativeThreadLocal,
    /// A thread-local variable in a module of its own, which has no offset from the thread pointer.
    ModuleThreadLocal,
    /// A thread-local variable of which it is not known before fixup where it is.
    LateThreadLocal,
}

/// What a lowered edge refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// The target itself.
    Direct,
    /// A GOT entry that holds the target's address.
    Got,
    /// A GOT entry that holds the target's offset from the thread pointer.
    GotTpOffset,
    /// A pair of GOT entries for `__tls_get_addr`.
    GotTlsPair,
    /// The same for the base of the target's module.
    GotTlsModule,
    /// A TLS descriptor for the target.
    TlsDescriptor,
    /// A stub that jumps to the target.
    Stub,
    /// A stub that jumps to where the edge's branch leads: its addend is part of the stub.
    BranchStub,
    /// An absolute symbol with the target's size as its value.
    Size,
}

/// A lowered edge of a CPU with kinds `K`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lowered<K> {
    /// A fixup or a rewrite.
    pub kind: K,
    /// What it refers to.
    pub via: Via,
    /// Whether the next edge belonged to the rewritten instructions and is to be dropped.
    pub drop_next: bool,
}

impl<K> Lowered<K> {
    /// An edge that refers to its target itself.
    #[must_use]
    pub const fn direct(kind: K) -> Self {
        Self::via(kind, Via::Direct)
    }

    /// An edge that refers to a table entry or stub made for its target.
    #[must_use]
    pub const fn via(kind: K, via: Via) -> Self {
        Self {
            kind,
            via,
            drop_next: false,
        }
    }
}

/// What an edge of a difference becomes, and that of what is subtracted: itself, whatever lies where.
///
/// # Errors
/// For a thread-local variable, which has no one address.
pub(crate) fn difference<K>(kind: K, class: TargetClass) -> Result<Lowered<K>, Refusal> {
    match class {
        TargetClass::Near { .. } | TargetClass::Far | TargetClass::Small | TargetClass::Null => {
            Ok(Lowered::direct(kind))
        }
        TargetClass::ThreadLocal
        | TargetClass::NativeThreadLocal
        | TargetClass::ModuleThreadLocal
        | TargetClass::LateThreadLocal => Err("a difference with a thread-local variable in it"),
    }
}

/// Why an edge cannot be lowered, for a person.
pub type Refusal = &'static str;

/// Why code cannot reach a variable that is in a module of its own.
pub const NEEDS_FIXED_OFFSET: Refusal = "initial-exec and local-exec code needs variables at fixed offsets \
     from the thread pointer, and this process has no more room for those: recompile with -fPIC and the \
     default -ftls-model, or start the process with a larger glibc.rtld.optional_static_tls=BYTES in \
     GLIBC_TUNABLES";

/// What surrounds an edge that is lowered.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The bytes of the edge's block.
    pub content: &'a [u8],
    /// The edge after it in the block.
    pub next: Option<&'a Edge>,
    /// Whether the block is code.
    pub in_text: bool,
}

impl Place<'_> {
    /// The 32-bit instruction at `at`, on CPUs that have no others.
    #[must_use]
    pub fn instruction(&self, at: usize) -> Option<u32> {
        let bytes = self.content.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }

    /// Two such instructions, the first `back` bytes before `at`.
    #[must_use]
    pub fn instructions(&self, at: usize, back: usize) -> Option<[u32; 2]> {
        let first = at.checked_sub(back)?;
        Some([self.instruction(first)?, self.instruction(first + 4)?])
    }
}

/// What a fixup computes with; see the letters in the CPU's page.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// `S`, or `TP` where the formula has it.
    pub s: u64,
    /// `A`.
    pub a: i64,
    /// `P`; for a difference `T`, the value of the symbol that is subtracted.
    pub p: u64,
    /// `GOT`.
    pub got: u64,
}

/// Why a fixup could not be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FixupError {
    /// The value does not fit the field.
    OutOfRange {
        /// The value.
        value: i64,
        /// Width of the field, in bits.
        bits: u32,
    },
    /// The field counts in units that the value is no multiple of.
    Misaligned {
        /// The value.
        value: i64,
        /// The unit, in bytes.
        align: u32,
    },
    /// The place is not inside its block.
    OutsideBlock,
    /// A request reached the fixups.
    NotLowered,
}

/// How to unwind from code that the linker makes: call frame instructions (DWARF 5, section 6.4.2) and
/// the numbers that they need.
#[derive(Clone, Copy, Debug)]
pub struct FrameRules {
    /// Number of the register, or column, that has the return address.
    pub return_address: u8,
    /// What `DW_CFA_advance_loc` counts in, in bytes.
    pub code_align: u8,
    /// The state at the entry of a function, with offsets in units of -8 bytes. In a stub, it holds everywhere.
    pub entry: &'static [u8],
    /// The changes from the start of a trampoline to its end, where the state is that of an entry again. Empty if
    /// that holds everywhere.
    pub trampoline: &'static [u8],
    /// The kind of a distance of 32 bits from its place.
    pub distance: EdgeKind,
}

/// A reference in a stub: offset of the place, kind and addend.
pub type StubEdge = (u32, EdgeKind, i64);

/// Code that jumps somewhere else.
#[derive(Clone, Copy, Debug)]
pub struct Stub {
    /// Its bytes.
    pub code: &'static [u8],
    /// Alignment in bytes.
    pub align: u64,
    /// Its references to what holds the address: to the GOT entry of a PLT stub, or to the target itself
    /// of a veneer.
    pub edges: &'static [StubEdge],
    /// The same as requests for a GOT entry of the target, before lowering.
    pub requests: &'static [StubEdge],
}
