//! What the relocations of loaded objects leave behind.

use crate::host::arch::synthesized::{R_64, R_COPY, R_GLOB_DAT, R_JUMP_SLOT};

/// What a dynamic relocation leaves in its slot, as far as redirection is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RelocationKind {
    /// The symbol's address (`GLOB_DAT`, `JUMP_SLOT`).
    Address,
    /// The symbol's address and the addend (`64`, `ABS64`).
    AddressAndAddend,
    /// A copy of the symbol's data (`COPY`).
    Copy,
    /// Anything else.
    Other,
}

/// The meaning of a relocation type.
pub(crate) fn relocation_kind(kind: u32) -> RelocationKind {
    match kind {
        R_GLOB_DAT | R_JUMP_SLOT => RelocationKind::Address,
        R_64 => RelocationKind::AddressAndAddend,
        R_COPY => RelocationKind::Copy,
        _ => RelocationKind::Other,
    }
}
