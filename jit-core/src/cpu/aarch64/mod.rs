//! AArch64: its edge kinds, with their formulas, are in [`kinds`].

pub mod fixup;
pub mod kinds;
pub mod lower;
pub mod stubs;
pub mod tls;

#[cfg(test)]
mod tests;

use super::{
    Cpu, FixupError, FrameRules, Kinds, Lowered, Place, Refusal, Stub, TargetClass, Terms,
};
use crate::graph::Edge;

pub use kinds::{Field, Fits, Kind, Rewrite, Row, Value};

/// AArch64, as the linker asks.
#[derive(Clone, Copy, Debug)]
pub enum Aarch64 {}

impl Cpu for Aarch64 {
    type Kind = Kind;

    const TP_OFFSET64: Kind = Kind::TpOffset64;
    const STUB: Stub = stubs::STUB;
    const BRANCH_REACH: Option<u64> = Some(1 << 27);
    const VENEER: Stub = stubs::VENEER;

    const TRAMPOLINE: Stub = stubs::TRAMPOLINE;
    const FRAMES: FrameRules = stubs::FRAMES;
    const BRANCH_ADDEND: i64 = 0;
    // `R_AARCH64_IRELATIVE`.
    const IRELATIVE: u64 = 1032;
    const CODE_GAP: u8 = stubs::CODE_GAP;
    const RUN_RESOLVERS: &'static [u8] = &stubs::RUN_RESOLVERS;

    fn resolver_arguments(capabilities: [u64; 2]) -> Vec<u8> {
        stubs::resolver_arguments(capabilities)
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

    fn needs_low_code(edge: &Edge, _: &Place<'_>) -> bool {
        // A page that is 4 GiB away can be reached from code below 2 GiB.
        Kind::from_edge(edge.kind).is_some_and(|kind| {
            let facts = kind.facts();
            facts.direct && !facts.needs_low
        })
    }

    #[inline]
    fn fixup(kind: Kind, block: &mut [u8], offset: u32, terms: Terms) -> Result<(), FixupError> {
        fixup::fixup(kind, block, offset, terms)
    }
}
