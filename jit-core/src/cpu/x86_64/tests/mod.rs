//! Formulas at both ends of their ranges, and rewritten instructions byte by byte.

mod formulas;
mod got;
mod tls;

use super::Kind;
use super::fixup::fixup;
use super::lower::lower;
use crate::cpu::{FixupError, Kinds, Lowered, Place, TargetClass, Terms};
use crate::graph::{Edge, SymbolId};

const NEAR: TargetClass = TargetClass::Near {
    low: false,
    close: true,
};
const NEAR_LOW: TargetClass = TargetClass::Near {
    low: true,
    close: true,
};

/// An edge to symbol 0.
fn edge(offset: u32, kind: Kind, addend: i64) -> Edge {
    Edge {
        offset,
        target: SymbolId(0),
        addend,
        kind: kind.edge(),
    }
}

/// Lowers an edge of code.
fn lowered(
    code: &[u8],
    edge: Edge,
    next: Option<Edge>,
    class: TargetClass,
) -> Result<Lowered<Kind>, &'static str> {
    let kind = Kind::from_edge(edge.kind).expect("a kind");
    let place = Place {
        content: code,
        next: next.as_ref(),
        in_text: true,
    };
    lower(&edge, kind, class, &place)
}

/// Fixes a copy of `code` up at `offset`, the code lying at address `0x10_0000`.
fn fixed(code: &[u8], offset: u32, kind: Kind, s: u64, a: i64) -> Result<Vec<u8>, FixupError> {
    let mut code = code.to_vec();
    let terms = Terms {
        s,
        a,
        p: 0x10_0000 + u64::from(offset),
        got: 0x20_0000,
    };
    fixup(kind, &mut code, offset, terms)?;
    Ok(code)
}

/// Bytes from hexadecimal text.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
