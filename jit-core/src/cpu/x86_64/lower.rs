//! What an edge of x86-64 code becomes, given what is known of its target before layout.
//!
//! The decision is a pure function of the edge, the instruction around it and the target's
//! [`TargetClass`]; `link::lower` makes the table entries and stubs it asks for.

use super::kinds::Kind;
use super::tls;
use crate::cpu::KindGroup;
use crate::cpu::{Kinds, Lowered, Place, Refusal, TargetClass, Via, difference};
use crate::graph::Edge;

/// What [`lower`] makes of an edge of `kind` to a near target outside thread-local storage, where
/// that does not depend on the instruction: what nearly all edges become.
#[must_use]
pub const fn close(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::Branch32 => Some(Kind::Delta32),
        Kind::TpOffset32 | Kind::TpOffset64 | Kind::ModuleOffset32 | Kind::ModuleOffset64 => None,
        _ => match kind.group() {
            KindGroup::Fixup => Some(kind),
            KindGroup::Request | KindGroup::Rewrite => None,
        },
    }
}

/// Lowers one edge.
///
/// # Errors
/// For a thread-local access in an instruction sequence that no ABI document describes, or against
/// a symbol that is not thread-local.
pub fn lower(
    edge: &Edge,
    kind: Kind,
    class: TargetClass,
    place: &Place<'_>,
) -> Result<Lowered<Kind>, Refusal> {
    let at = edge.offset as usize;
    let Place {
        content,
        next,
        in_text,
    } = *place;
    Ok(match kind {
        Kind::Subtrahend
        | Kind::Difference64
        | Kind::Difference32
        | Kind::Difference16
        | Kind::Difference8 => difference(kind, class)?,
        Kind::None
        | Kind::Pointer64
        | Kind::Pointer32
        | Kind::Pointer32Signed
        | Kind::Pointer16
        | Kind::Pointer8
        | Kind::Delta64
        | Kind::Delta16
        | Kind::Delta8
        | Kind::DeltaFromGot64
        | Kind::DeltaFromGot32
        | Kind::GotBaseDelta64
        | Kind::GotBaseDelta32 => Lowered::direct(kind),
        Kind::Delta32 => lower_delta(edge, content, in_text, class),
        Kind::TpOffset64 | Kind::TpOffset32 => tls::offset(kind, class)?,
        Kind::ModuleOffset64 | Kind::ModuleOffset32 => tls::module_offset(kind, class)?,
        Kind::Branch32 => match class {
            TargetClass::Near { .. } => Lowered::direct(Kind::Delta32),
            TargetClass::Far | TargetClass::Small | TargetClass::Null => {
                far_branch(edge, content, in_text)
            }
            TargetClass::ThreadLocal
            | TargetClass::NativeThreadLocal
            | TargetClass::ModuleThreadLocal
            | TargetClass::LateThreadLocal => {
                return Err("a call or jump to a thread-local variable");
            }
        },
        // A 64-bit distance reaches everything, so no stub is needed.
        Kind::PltOffset64 => Lowered::direct(Kind::DeltaFromGot64),
        Kind::GotOffset32 => Lowered::via(Kind::DeltaFromGot32, Via::Got),
        Kind::GotOffset64 | Kind::GotPltOffset64 => Lowered::via(Kind::DeltaFromGot64, Via::Got),
        Kind::GotDelta32 => Lowered::via(Kind::Delta32, Via::Got),
        Kind::GotDelta64 => Lowered::via(Kind::Delta64, Via::Got),
        Kind::GotDelta32Relaxable => relax(edge, content, class, Prefix::None),
        Kind::GotDelta32RexRelaxable => relax(edge, content, class, Prefix::Rex),
        Kind::GotDelta32Code4Relaxable => relax(edge, content, class, Prefix::Rex2),
        Kind::GotDelta32Code5Relaxable | Kind::GotDelta32Code6Relaxable => {
            Lowered::via(Kind::Delta32, Via::Got)
        }
        Kind::Size32 => Lowered::via(Kind::Pointer32, Via::Size),
        Kind::Size64 => Lowered::via(Kind::Pointer64, Via::Size),
        Kind::TlsGeneralDynamic => tls::general_dynamic(at, next, content, class)?,
        Kind::TlsLocalDynamic => tls::local_dynamic(at, next, content, class)?,
        Kind::TlsInitialExec => tls::initial_exec(edge, content, class, Prefix::Rex)?,
        Kind::TlsInitialExecCode4 => tls::initial_exec(edge, content, class, Prefix::Rex2)?,
        Kind::TlsInitialExecCode5 | Kind::TlsInitialExecCode6 => {
            tls::initial_exec(edge, content, class, Prefix::None)?
        }
        Kind::TlsDescriptor => tls::descriptor(at, content, class, Prefix::Rex)?,
        Kind::TlsDescriptorCode4 => tls::descriptor(at, content, class, Prefix::Rex2)?,
        Kind::TlsDescriptorCode5 | Kind::TlsDescriptorCode6 => {
            tls::descriptor(at, content, class, Prefix::None)?
        }
        Kind::TlsDescriptorCall => tls::descriptor_call(at, content, class)?,
        Kind::GotLoadToLea
        | Kind::GotCallToCall
        | Kind::GotCallToCallNop
        | Kind::GotJumpToJump
        | Kind::GotLoadToImmediate
        | Kind::GotLoadToImmediateRex
        | Kind::GotLoadToImmediateRex2
        | Kind::GotTestToImmediate
        | Kind::GotTestToImmediateRex
        | Kind::GotTestToImmediateRex2
        | Kind::GotBinopToImmediate
        | Kind::GotBinopToImmediateRex
        | Kind::GotBinopToImmediateRex2
        | Kind::LeaToImmediate
        | Kind::UnreachedNull
        | Kind::GeneralDynamicToLocalExec
        | Kind::GeneralDynamicLargeToLocalExec
        | Kind::LocalDynamicToLocalExec
        | Kind::LocalDynamicIndirectToLocalExec
        | Kind::LocalDynamicLargeToLocalExec
        | Kind::InitialExecMovToLocalExec
        | Kind::InitialExecMovToLocalExecRex2
        | Kind::InitialExecAddToLocalExec
        | Kind::InitialExecAddToLocalExecRex2
        | Kind::DescriptorToLocalExec
        | Kind::DescriptorToLocalExecRex2
        | Kind::DescriptorCallToNop => Lowered::direct(kind),
    })
}

/// The register-extension prefix in front of an instruction's opcode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prefix {
    /// No prefix that the relocation promises.
    None,
    /// One byte, `0100 W R X B`.
    Rex,
    /// Two bytes, `d5` and `M0 R4 X4 B4 W R3 X3 B3` (APX).
    Rex2,
}

impl Prefix {
    /// Whether the prefix stands in front of the opcode at `opcode`. A REX2 prefix must select
    /// the one-byte opcode map.
    #[must_use]
    pub fn is_at(self, content: &[u8], opcode: usize) -> bool {
        match self {
            Prefix::None => true,
            Prefix::Rex => before(content, opcode, 1).is_some_and(is_rex),
            Prefix::Rex2 => {
                before(content, opcode, 2) == Some(0xd5)
                    && before(content, opcode, 1).is_some_and(|p| p & 0x80 == 0)
            }
        }
    }
}

/// The byte this far before `at`.
fn before(content: &[u8], at: usize, distance: usize) -> Option<u8> {
    let at = at.checked_sub(distance)?;
    content.get(at).copied()
}

const fn is_rex(byte: u8) -> bool {
    byte & 0xf0 == 0x40
}

/// Instructions are at most 15 bytes long.
const MAX_PREFIXES: usize = 14;

/// Whether more prefixes seem to stand in front of the instruction with its opcode at `opcode` and
/// `prefix` before it, which give another meaning to the instruction that it would be rewritten to:
/// `data16` shortens immediates (and branches, on AMD), `addr32` cuts what `lea` computes, and `%fs`
/// and `%gs` are no part of an address that is taken.
///
/// Only the assembler knows where an instruction begins: a byte of the one before may look like a
/// prefix. So a yes must cost no more than the rewrite.
pub(super) fn has_other_prefix(content: &[u8], opcode: usize, prefix: Prefix) -> bool {
    let rex = match prefix {
        Prefix::Rex | Prefix::Rex2 => before(content, opcode, 1),
        // One that was written as an instruction of its own.
        Prefix::None => before(content, opcode, 1).filter(|&byte| is_rex(byte)),
    };
    let length = match prefix {
        Prefix::Rex2 => 2,
        Prefix::Rex => 1,
        Prefix::None => usize::from(rex.is_some()),
    };
    // With REX.W, the operands have 64 bits whatever else there is.
    let is_wide = rex.is_some_and(|rex| rex & 8 != 0);
    let Some(in_front) = content.get(..opcode.saturating_sub(length)) else {
        return false;
    };
    let prefixes = in_front.iter().rev().take(MAX_PREFIXES);
    prefixes
        .take_while(|byte| is_legacy_prefix(**byte))
        .any(|byte| match byte {
            0x64 | 0x65 | 0x67 => true,
            0x66 => !is_wide,
            _ => false,
        })
}

/// Segments, sizes, `lock` and `rep`.
const fn is_legacy_prefix(byte: u8) -> bool {
    matches!(
        byte,
        0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
    )
}

/// A direct PC-relative reference. Only one to a small value needs care: from code far from zero no
/// displacement reaches it. So a branch goes through a stub, and `lea` becomes a `mov` of the value.
/// Any other instruction with an undefined weak symbol is one that the program guards by a test of
/// the address and never executes; with a number, it needs code at low addresses
/// ([`needs_low_code`]).
fn lower_delta(edge: &Edge, content: &[u8], in_text: bool, class: TargetClass) -> Lowered<Kind> {
    let at = edge.offset as usize;
    match class {
        TargetClass::Null | TargetClass::Small | TargetClass::Far
            if in_text && is_branch(content, at) =>
        {
            far_branch(edge, content, in_text)
        }
        TargetClass::Null | TargetClass::Small if in_text && is_rex_lea(content, at) => {
            Lowered::direct(Kind::LeaToImmediate)
        }
        TargetClass::Null if in_text => Lowered::direct(Kind::UnreachedNull),
        TargetClass::Near { .. }
        | TargetClass::Far
        | TargetClass::Small
        | TargetClass::Null
        | TargetClass::ThreadLocal
        | TargetClass::NativeThreadLocal
        | TargetClass::ModuleThreadLocal
        | TargetClass::LateThreadLocal => Lowered::direct(Kind::Delta32),
    }
}

/// A call or jump through a stub. In an instruction, the addend tells where in the target it leads;
/// in data (a table of distances), it belongs to the distance.
fn far_branch(edge: &Edge, content: &[u8], in_text: bool) -> Lowered<Kind> {
    let leads_inside =
        edge.addend != BRANCH_ADDEND && in_text && is_branch(content, edge.offset as usize);
    let via = match leads_inside {
        true => Via::BranchStub,
        false => Via::Stub,
    };
    Lowered::via(Kind::Delta32, via)
}

/// The addend of a branch to the very start of its target: the field is the instruction's last.
pub const BRANCH_ADDEND: i64 = -4;

/// Whether the field at `at` is that of `call`, `jmp` or a conditional jump. (The byte before a
/// RIP-relative operand, its ModRM, is none of these.)
fn is_branch(content: &[u8], at: usize) -> bool {
    match before(content, at, 1) {
        Some(0xe8 | 0xe9) => true,
        Some(0x80..=0x8f) => before(content, at, 2) == Some(0x0f),
        _ => false,
    }
}

/// Whether an edge that refers directly to a number reaches it from low addresses only: all that is
/// neither a branch nor a `lea`.
#[must_use]
pub fn needs_low_code(edge: &Edge, place: &Place<'_>) -> bool {
    let (at, content, in_text) = (edge.offset as usize, place.content, place.in_text);
    match Kind::from_edge(edge.kind) {
        Some(Kind::Delta32) => !in_text || !(is_branch(content, at) || is_rex_lea(content, at)),
        Some(Kind::Delta16 | Kind::Delta8) => true,
        _ => false,
    }
}

/// `48 8d /r` or `4c 8d /r` with a RIP-relative operand whose displacement lies at `at`.
fn is_rex_lea(content: &[u8], at: usize) -> bool {
    let Some(&[rex, opcode, modrm]) = at.checked_sub(3).and_then(|start| content.get(start..at))
    else {
        return false;
    };
    rex & 0xfb == 0x48 && opcode == 0x8d && modrm & 0xc7 == 0x05
}

/// Relaxes a load through the GOT where the target's value can stand in the instruction itself.
///
/// The psABI promises one of these instructions: `mov`, `test`, the eight arithmetic operations, or
/// (without a prefix) `call` and `jmp`. Anything else keeps its GOT entry.
fn relax(edge: &Edge, content: &[u8], class: TargetClass, prefix: Prefix) -> Lowered<Kind> {
    let kept = Lowered::via(Kind::Delta32, Via::Got);
    let at = edge.offset as usize;
    let Some(&[opcode, modrm]) = at.checked_sub(2).and_then(|start| content.get(start..at)) else {
        return kept;
    };
    // The displacement must be the instruction's last field, and the operand RIP-relative.
    if edge.addend != -4 || modrm & 0xc7 != 0x05 || !prefix.is_at(content, at - 2) {
        return kept;
    }
    if has_other_prefix(content, at - 2, prefix) {
        return kept;
    }
    let near = matches!(class, TargetClass::Near { .. });
    // A REX prefix that the relocation does not tell of: `data16 rex.W call *__tls_get_addr@GOTPCREL`
    // has one. Its bit of the register would stay where it is.
    let behind_rex = prefix == Prefix::None && before(content, at, 3).is_some_and(is_rex);
    let immediate = !behind_rex
        && matches!(
            class,
            TargetClass::Near { low: true, .. } | TargetClass::Small | TargetClass::Null
        );
    let kind = match (opcode, prefix) {
        (0x8b, _) if near => Kind::GotLoadToLea,
        (0xff, Prefix::None) if near && modrm == 0x15 && behind_rex => Kind::GotCallToCallNop,
        (0xff, Prefix::None) if near && modrm == 0x15 => Kind::GotCallToCall,
        (0xff, Prefix::None) if near && modrm == 0x25 => Kind::GotJumpToJump,
        (0x8b, Prefix::None) if immediate => Kind::GotLoadToImmediate,
        (0x8b, Prefix::Rex) if immediate => Kind::GotLoadToImmediateRex,
        (0x8b, Prefix::Rex2) if immediate => Kind::GotLoadToImmediateRex2,
        (0x85, Prefix::None) if immediate => Kind::GotTestToImmediate,
        (0x85, Prefix::Rex) if immediate => Kind::GotTestToImmediateRex,
        (0x85, Prefix::Rex2) if immediate => Kind::GotTestToImmediateRex2,
        (op, Prefix::None) if immediate && is_binop(op) => Kind::GotBinopToImmediate,
        (op, Prefix::Rex) if immediate && is_binop(op) => Kind::GotBinopToImmediateRex,
        (op, Prefix::Rex2) if immediate && is_binop(op) => Kind::GotBinopToImmediateRex2,
        _ => return kept,
    };
    Lowered::direct(kind)
}

/// `add`, `or`, `adc`, `sbb`, `and`, `sub`, `xor`, `cmp` with a register and a memory operand:
/// `xx000011` with the operation in bits 3 to 5.
const fn is_binop(opcode: u8) -> bool {
    opcode & 0xc7 == 0x03
}
