//! Formulas at both ends of their ranges, and rewritten instructions, checked without running.

mod formulas;
mod lowering;

use super::Kind;
use super::fixup::fixup;
use crate::cpu::{FixupError, Terms};

/// The instruction `word` after a fixup with `S`, `A`, `P`; the GOT lies at 0x20000.
fn fixed(kind: Kind, word: u32, s: u64, a: i64, p: u64) -> Result<u32, FixupError> {
    let mut block = word.to_le_bytes();
    let got = 0x2_0000;
    fixup(kind, &mut block, 0, Terms { s, a, p, got })?;
    Ok(u32::from_le_bytes(block))
}
