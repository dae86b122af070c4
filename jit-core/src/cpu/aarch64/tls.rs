//! How accesses to thread-locals are recognized and rewritten.
//!
//! A thread-local variable lies at an offset from the thread pointer, `tpidr_el0` (variant I: behind
//! it, after two words of the C library's). The access models differ in when that offset is known;
//! see the page of the other CPU. Their instructions:
//!
//! - **Local exec**: `mrs x0, tpidr_el0; add x0, x0, :tprel_hi12:x, lsl 12; add x0, x0, :tprel_lo12_nc:x`.
//! - **Initial exec**: `adrp x0, :gottprel:x; ldr x0, [x0, :gottprel_lo12:x]`, and the thread pointer is
//!   added.
//! - **Descriptors**, the usual dynamic model: `adrp x0, :tlsdesc:x; ldr x1, [x0, :tlsdesc_lo12:x]; add
//!   x0, x0, :tlsdesc_lo12:x; blr x1` leaves the offset in `x0`.
//! - **General dynamic** (`-mtls-dialect=trad`): `adrp x0, :tlsgd:x; add x0, x0, :tlsgd_lo12:x; bl
//!   __tls_get_addr; nop`.
//! - **Local dynamic**: the same for the module, and `:dtprel_…:` offsets from what is returned.
//!
//! In the tiny code model, where all of a program lies within 1 MiB, one instruction leads to a pair or a
//! descriptor: `ldr x0, :gottprel:x`, `ldr x1, :tlsdesc:x; adr x0, :tlsdesc:x; blr x1`, `adr x0, :tlsgd:x; bl
//! __tls_get_addr; nop`.
//!
//! JIT'd variables have an offset that is known at fixup, so every model becomes local exec: the
//! offset is made with `movz` and `movk`, 32 bits of it. The base of the module is the thread pointer
//! itself, so `x@dtprel` is `x@tprel`.

use super::kinds::{Kind, Value};
use super::lower::is_load_pair;
use crate::cpu::{KindGroup, Kinds, Lowered, NEEDS_FIXED_OFFSET, Place, Refusal, TargetClass, Via};
use crate::graph::Edge;

const UNKNOWN_SEQUENCE: Refusal = "a thread-local access in an instruction sequence that the ABI \
     does not describe; recompile with -ftls-model=initial-exec";
const NOT_THREAD_LOCAL: Refusal =
    "a thread-local access to a symbol that is not a thread-local variable";

type Lowering = Result<Lowered<Kind>, Refusal>;

/// Whether the kind's formula has `TP` in it as it stands.
pub(super) const fn is_offset(kind: Kind) -> bool {
    matches!(kind.row().value, Value::Offset) && matches!(kind.group(), KindGroup::Fixup)
}

/// Local exec and module-relative offsets: any variable's offset is known at fixup.
pub(super) fn offset(kind: Kind, class: TargetClass) -> Lowering {
    require_thread_local(class)?;
    Ok(Lowered::direct(kind))
}

/// Fails for anything but a thread-local variable or an undefined weak one (whose offset is zero).
fn require_thread_local(class: TargetClass) -> Result<(), Refusal> {
    match class {
        TargetClass::ThreadLocal | TargetClass::NativeThreadLocal | TargetClass::Null => Ok(()),
        // The instructions that call for a variable are not kept on this CPU yet.
        TargetClass::ModuleThreadLocal | TargetClass::LateThreadLocal => Err(NEEDS_FIXED_OFFSET),
        TargetClass::Near { .. } | TargetClass::Far | TargetClass::Small => Err(NOT_THREAD_LOCAL),
    }
}

/// `adrp x0, :tlsgd:x`. A library's variable keeps its call, for which the loader fills the pair.
pub(super) fn general_dynamic_page(class: TargetClass) -> Lowering {
    require_thread_local(class)?;
    Ok(match class {
        TargetClass::NativeThreadLocal => Lowered::via(Kind::Page21, Via::GotTlsPair),
        _ => Lowered::direct(Kind::ToTpHigh),
    })
}

/// `add x0, x0, :tlsgd_lo12:x`, and behind it `bl __tls_get_addr; nop`.
pub(super) fn general_dynamic_low(edge: &Edge, class: TargetClass, place: &Place<'_>) -> Lowering {
    require_thread_local(class)?;
    if class == TargetClass::NativeThreadLocal {
        return Ok(Lowered::via(Kind::AddLow12, Via::GotTlsPair));
    }
    let at = edge.offset as usize;
    if !calls_behind(edge, place) || place.instruction(at + 8) != Some(NOP) {
        return Err(UNKNOWN_SEQUENCE);
    }
    Ok(Lowered {
        drop_next: true,
        ..Lowered::direct(Kind::GeneralDynamicToLocalExec)
    })
}

/// `add x0, x0, :tlsldm_lo12_nc:x; bl __tls_get_addr`.
pub(super) fn local_dynamic_low(edge: &Edge, place: &Place<'_>) -> Lowering {
    if !calls_behind(edge, place) {
        return Err(UNKNOWN_SEQUENCE);
    }
    Ok(Lowered {
        drop_next: true,
        ..Lowered::direct(Kind::LocalDynamicCallToNops)
    })
}

/// `adr x0, :tlsgd:x`, and behind it `bl __tls_get_addr; nop`. A library's variable keeps its call.
pub(super) fn general_dynamic_adr(edge: &Edge, class: TargetClass, place: &Place<'_>) -> Lowering {
    require_thread_local(class)?;
    if class == TargetClass::NativeThreadLocal {
        return Ok(Lowered::via(Kind::Adr21, Via::GotTlsPair));
    }
    if !calls_behind_adr(edge, place) || place.instruction(edge.offset as usize + 8) != Some(NOP) {
        return Err(UNKNOWN_SEQUENCE);
    }
    Ok(Lowered {
        drop_next: true,
        ..Lowered::direct(Kind::GeneralDynamicAdrToLocalExec)
    })
}

/// `adr x0, :tlsldm:x; bl __tls_get_addr`.
pub(super) fn local_dynamic_adr(edge: &Edge, place: &Place<'_>) -> Lowering {
    if !calls_behind_adr(edge, place) {
        return Err(UNKNOWN_SEQUENCE);
    }
    Ok(Lowered {
        drop_next: true,
        ..Lowered::direct(Kind::LocalDynamicAdrToThreadPointer)
    })
}

const NOP: u32 = 0xd503_201f;
const BL: u32 = 0x9400_0000;

/// `add x0, x0, #…`
const fn is_add_x0_x0(word: u32) -> bool {
    word & 0xffc0_03ff == 0x9100_0000
}

/// `adr x0, …`
const fn is_adr_x0(word: u32) -> bool {
    word & 0x9f00_001f == 0x1000_0000
}

/// `ldr x1, …` of a literal.
const fn is_literal_x1(word: u32) -> bool {
    word & 0xff00_001f == 0x5800_0001
}

/// Whether an `add x0, x0, #…` stands at the edge's place, and a `bl` with an edge behind it.
fn calls_behind(edge: &Edge, place: &Place<'_>) -> bool {
    call_behind(edge, place).is_some_and(is_add_x0_x0)
}

/// The same of `adr x0, …`.
fn calls_behind_adr(edge: &Edge, place: &Place<'_>) -> bool {
    call_behind(edge, place).is_some_and(is_adr_x0)
}

/// The instruction at the edge's place, if a `bl` with an edge stands behind it.
fn call_behind(edge: &Edge, place: &Place<'_>) -> Option<u32> {
    let call = place.next.is_some_and(|next| {
        next.offset == edge.offset + 4 && Kind::from_edge(next.kind) == Some(Kind::Branch26)
    });
    let [first, bl] = place.instructions(edge.offset as usize, 0)?;
    (call && bl & 0xfc00_0000 == BL).then_some(first)
}

/// `adrp xN, :gottprel:x`.
pub(super) fn initial_exec_page(edge: &Edge, class: TargetClass, place: &Place<'_>) -> Lowering {
    require_thread_local(class)?;
    Ok(match is_load_pair(place, edge.offset as usize, 0) {
        true => Lowered::direct(Kind::ToTpHigh),
        false => Lowered::via(Kind::Page21, Via::GotTpOffset),
    })
}

/// `ldr xT, [xN, :gottprel_lo12:x]`.
pub(super) fn initial_exec_low(edge: &Edge, class: TargetClass, place: &Place<'_>) -> Lowering {
    require_thread_local(class)?;
    Ok(match is_load_pair(place, edge.offset as usize, 4) {
        true => Lowered::direct(Kind::ToTpLow),
        false => Lowered::via(Kind::Access64Low12, Via::GotTpOffset),
    })
}

/// `ldr xT, :gottprel:x`: one instruction has no room for 32 bits.
pub(super) fn initial_exec_literal(class: TargetClass) -> Lowering {
    require_thread_local(class)?;
    Ok(Lowered::via(Kind::Literal19, Via::GotTpOffset))
}

/// An instruction of a descriptor's sequence. The ABI fixes the registers of all four (AAELF64, "TLS
/// descriptors"), so each is changed alone.
pub(super) fn descriptor(to: Kind, class: TargetClass) -> Lowering {
    require_thread_local(class)?;
    Ok(Lowered::direct(to))
}

/// `ldr x1, :tlsdesc:x`, and behind it `adr x0, :tlsdesc:x`: the first half of the offset goes to the
/// second one's register.
pub(super) fn descriptor_literal(edge: &Edge, class: TargetClass, place: &Place<'_>) -> Lowering {
    require_descriptor(edge, place, 0)?;
    descriptor(Kind::DescriptorToTpHigh, class)
}

/// `adr x0, :tlsdesc:x`, and before it `ldr x1, :tlsdesc:x`.
pub(super) fn descriptor_adr(edge: &Edge, class: TargetClass, place: &Place<'_>) -> Lowering {
    require_descriptor(edge, place, 4)?;
    descriptor(Kind::DescriptorToTpLow, class)
}

/// Fails unless the instruction at the edge's place is `back` bytes from a descriptor's two in their order.
fn require_descriptor(edge: &Edge, place: &Place<'_>, back: usize) -> Result<(), Refusal> {
    match place.instructions(edge.offset as usize, back) {
        Some([load, adr]) if is_literal_x1(load) && is_adr_x0(adr) => Ok(()),
        _ => Err(UNKNOWN_SEQUENCE),
    }
}
