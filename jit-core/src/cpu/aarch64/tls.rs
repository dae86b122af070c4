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
//! JIT'd variables have an offset that is known at fixup, so every model becomes local exec: the
//! offset is made with `movz` and `movk`, 32 bits of it. The base of the module is the thread pointer
//! itself, so `x@dtprel` is `x@tprel`.

use super::kinds::Kind;
use super::lower::is_load_pair;
use crate::cpu::{Kinds, Lowered, NEEDS_FIXED_OFFSET, Place, Refusal, TargetClass, Via};
use crate::graph::Edge;

const UNKNOWN_SEQUENCE: Refusal = "a thread-local access in an instruction sequence that the ABI \
     does not describe; recompile with -ftls-model=initial-exec";
const NOT_THREAD_LOCAL: Refusal =
    "a thread-local access to a symbol that is not a thread-local variable";

type Lowering = Result<Lowered<Kind>, Refusal>;

/// Whether the kind's formula has `TP` in it as it stands.
pub(super) const fn is_offset(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::TpHigh12
            | Kind::TpLow12
            | Kind::TpLow12Unchecked
            | Kind::TpAccess8
            | Kind::TpAccess8Unchecked
            | Kind::TpAccess16
            | Kind::TpAccess16Unchecked
            | Kind::TpAccess32
            | Kind::TpAccess32Unchecked
            | Kind::TpAccess64
            | Kind::TpAccess64Unchecked
            | Kind::TpAccess128
            | Kind::TpAccess128Unchecked
            | Kind::TpMove0
            | Kind::TpMove0Unchecked
            | Kind::TpMove1
            | Kind::TpMove1Unchecked
            | Kind::TpMove2
            | Kind::TpOffset64
    )
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

const NOP: u32 = 0xd503_201f;
const ADD_X0_X0: u32 = 0x9100_0000;
const BL: u32 = 0x9400_0000;

/// Whether an `add x0, x0, #…` stands at the edge's place, and a `bl` with an edge behind it.
fn calls_behind(edge: &Edge, place: &Place<'_>) -> bool {
    let call = place.next.is_some_and(|next| {
        next.offset == edge.offset + 4 && Kind::from_edge(next.kind) == Some(Kind::Branch26)
    });
    let Some([add, bl]) = place.instructions(edge.offset as usize, 0) else {
        return false;
    };
    call && add & 0xffc0_03ff == ADD_X0_X0 && bl & 0xfc00_0000 == BL
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
