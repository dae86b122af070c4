//! x86-64: its edge kinds, with their formulas, are in [`kinds`].

pub mod fixup;
pub mod kinds;
pub mod lower;
pub mod stubs;
pub mod tls;

#[cfg(test)]
mod tests;

use super::{Cpu, FixupError, FrameRules, Lowered, Place, Refusal, Stub, TargetClass, Terms};
use crate::graph::Edge;

pub use kinds::{Kind, Value};

/// x86-64, as the linker asks.
#[derive(Clone, Copy, Debug)]
pub enum X86_64 {}

impl Cpu for X86_64 {
    type Kind = Kind;

    const TP_OFFSET64: Kind = Kind::TpOffset64;
    const STUB: Stub = stubs::STUB;
    // A displacement has 32 bits, like all others.
    const BRANCH_REACH: Option<u64> = None;
    const VENEER: Stub = stubs::STUB;

    const TRAMPOLINE: Stub = stubs::TRAMPOLINE;
    const FRAMES: FrameRules = stubs::FRAMES;
    const BRANCH_ADDEND: i64 = lower::BRANCH_ADDEND;
    // `R_X86_64_IRELATIVE`.
    const IRELATIVE: u64 = 37;
    // Fragments of one function may come from several objects and be run through (`.init`).
    const CODE_GAP: u8 = stubs::NOP;
    const RUN_RESOLVERS: &'static [u8] = &stubs::RUN_RESOLVERS;

    // Resolvers ask the processor itself.
    fn resolver_arguments(_: [u64; 2]) -> Vec<u8> {
        Vec::new()
    }

    fn close(kind: Kind) -> Option<Kind> {
        lower::close(kind)
    }

    fn lower(
        edge: &Edge,
        kind: Kind,
        class: TargetClass,
        place: &Place<'_>,
    ) -> Result<Lowered<Kind>, Refusal> {
        lower::lower(edge, kind, class, place)
    }

    fn needs_low_code(edge: &Edge, place: &Place<'_>) -> bool {
        lower::needs_low_code(edge, place)
    }

    #[inline]
    fn fixup(kind: Kind, block: &mut [u8], offset: u32, terms: Terms) -> Result<(), FixupError> {
        fixup::fixup(kind, block, offset, terms)
    }
}
