//! What the linker has to know of each CPU, one folder per CPU.
//!
//! Every CPU answers the same questions, in files of the same names:
//! - which edge kinds there are, with their formulas and the facts about them (`mod.rs`);
//! - what a request becomes, given what is known of its target (`lower.rs`);
//! - how thread-local accesses are rewritten (`tls.rs`);
//! - which bytes a fixup writes (`fixup.rs`);
//! - what stubs, the code that runs IFUNC resolvers and gaps look like (`stubs.rs`).
//!
//! Here are the words that the answers share.

pub mod aarch64;

use crate::graph::{Edge, EdgeKind};

/// Which part of a link may meet a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
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
    pub group: Group,
    /// Whether its formula has the place `P` in it.
    pub has_place: bool,
    /// Whether a target outside the object may have to lie at a low address: the field holds an absolute
    /// address and is too short for any.
    pub needs_low: bool,
    /// Whether it refers to its target directly with a field that cannot hold any address: the target
    /// must be brought near by a copy, or by a stub that stands for it.
    pub direct: bool,
    /// How far away the target may be.
    pub reach: Reach,
}

/// What is known, before anything has an address, of where an edge's target will lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TargetClass {
    /// Within reach of a branch from every place of this allocation.
    Close,
    /// Within 2 GiB of every place of this allocation.
    Near,
    /// The same, and its address fits 31 bits: allocations below 2 GiB.
    NearLow,
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
    /// A stub that jumps to the target.
    Stub,
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

/// Why an edge cannot be lowered, for a person.
pub type Refusal = &'static str;

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
    /// `P`.
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

/// A stub: code that jumps to the address in a GOT entry.
#[derive(Clone, Copy, Debug)]
pub struct Stub {
    /// Its bytes.
    pub code: &'static [u8],
    /// Alignment in bytes.
    pub align: u64,
    /// Offset, kind and addend of each reference to its GOT entry.
    pub edges: &'static [(u32, EdgeKind, i64)],
}
