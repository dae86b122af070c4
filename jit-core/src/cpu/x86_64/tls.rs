//! How accesses to thread-locals are recognized and rewritten.
//!
//! A thread-local variable lies at an offset from the thread pointer, which x86-64 keeps in `%fs`
//! (`%fs:0` holds its own address). The four access models differ in when that offset is known:
//!
//! - **Local exec**: at link time. `mov %fs:x@tpoff, %eax`.
//! - **Initial exec**: at load time, from a GOT entry. `mov x@gottpoff(%rip), %rax; mov %fs:(%rax),
//!   %eax`.
//! - **General dynamic**: when `__tls_get_addr` is called with the address of a GOT pair (module,
//!   offset).
//! - **Local dynamic**: one such call for all variables of the module, which are then at known
//!   offsets (`x@dtpoff`) from its result.
//!
//! *TLS descriptors* are another form of the dynamic models: a `lea` of a descriptor and a call
//! through its first word, which returns the offset in `%rax`.
//!
//! JIT'd variables lie in a reserve of the executable's own static TLS block. Their offset is the
//! same in every thread and known at fixup, so **every model becomes local exec**. The ABI fixes
//! the instruction sequences of the dynamic models byte by byte so that linkers can do this in
//! place. With the thread pointer as the module's base, `x@dtpoff` is simply `x@tpoff`.
//!
//! Where the process has no more room at fixed offsets, variables are in modules of their own. They are called
//! for: the sequences of the dynamic models stay as they are, with a pair, or a descriptor, that the
//! linker fills (`link::tls_words`). The other models have nothing to fall back to. What is reached through a
//! pair or a descriptor may as well be at a fixed offset; so code is made while that is not known.
//!
//! A library's variable keeps its general-dynamic call, for which the loader fills the GOT pair;
//! the other models ask the loader to place the library in static TLS and take its offset from
//! there.

use super::kinds::Kind;
use super::lower::{Prefix, has_other_prefix};
use crate::cpu::{Kinds, Lowered, NEEDS_FIXED_OFFSET, Refusal, TargetClass, Via};
use crate::graph::Edge;

const UNKNOWN_SEQUENCE: Refusal = "a thread-local access in an instruction sequence that the psABI \
     does not describe; recompile with -ftls-model=initial-exec";
const NOT_THREAD_LOCAL: Refusal =
    "a thread-local access to a symbol that is not a thread-local variable";

/// Local exec: the offset from the thread pointer is known at fixup.
pub(super) fn offset(kind: Kind, class: TargetClass) -> Result<Lowered<Kind>, Refusal> {
    require_fixed_offset(class)?;
    Ok(Lowered::direct(kind))
}

/// Offsets from a module's base: any variable has one at fixup.
pub(super) fn module_offset(kind: Kind, class: TargetClass) -> Result<Lowered<Kind>, Refusal> {
    require_thread_local(class)?;
    Ok(Lowered::direct(kind))
}

/// Whether code is to call for the variable.
fn is_called_for(class: TargetClass) -> bool {
    matches!(
        class,
        TargetClass::ModuleThreadLocal | TargetClass::LateThreadLocal
    )
}

fn require_fixed_offset(class: TargetClass) -> Result<(), Refusal> {
    match class {
        TargetClass::ModuleThreadLocal => Err(NEEDS_FIXED_OFFSET),
        _ => require_thread_local(class),
    }
}

/// Fails for anything but a thread-local variable or an undefined weak one (whose offset is zero).
fn require_thread_local(class: TargetClass) -> Result<(), Refusal> {
    match class {
        TargetClass::ThreadLocal
        | TargetClass::NativeThreadLocal
        | TargetClass::ModuleThreadLocal
        | TargetClass::LateThreadLocal
        | TargetClass::Null => Ok(()),
        TargetClass::Near { .. } | TargetClass::Far | TargetClass::Small => Err(NOT_THREAD_LOCAL),
    }
}

/// The general-dynamic sequences, `at` being the offset of the `lea`'s displacement:
///
/// ```text
/// 66 48 8d 3d ........      data16 lea x@tlsgd(%rip), %rdi
/// 66 66 48 e8 ........      data16 data16 rex.W call __tls_get_addr@PLT
///    or 66 48 ff 15 ........       data16 rex.W call *__tls_get_addr@GOTPCREL(%rip)
///    or 66 66 48 67 e8, which a linker's relocatable output may hold: not recognized
/// ```
/// and with the large code model, where the GOT's address is in `%rbx` or `%r15`:
/// ```text
/// 48 8d 3d ........         lea x@tlsgd(%rip), %rdi
/// 48 b8 ................    movabs $__tls_get_addr@pltoff, %rax
/// 48 01 d8 / 4c 01 f8       add %rbx / %r15, %rax
/// ff d0                     call *%rax
/// ```
pub(super) fn general_dynamic(
    at: usize,
    next: Option<&Edge>,
    content: &[u8],
    class: TargetClass,
) -> Result<Lowered<Kind>, Refusal> {
    require_thread_local(class)?;
    if class == TargetClass::NativeThreadLocal || is_called_for(class) {
        return Ok(Lowered::via(Kind::Delta32, Via::GotTlsPair));
    }
    let call = next_kind(next);
    let small = has(content, at, -4, &[0x66, 0x48, 0x8d, 0x3d])
        && call.is_some_and(|(to, kind)| {
            to == at + 8
                && match kind {
                    Kind::Branch32 | Kind::Delta32 => {
                        has(content, at, 4, &[0x66, 0x66, 0x48, 0xe8])
                    }
                    Kind::GotDelta32 | Kind::GotDelta32Relaxable | Kind::GotDelta32RexRelaxable => {
                        has(content, at, 4, &[0x66, 0x48, 0xff, 0x15])
                    }
                    _ => false,
                }
        })
        && content.len() >= at + 12;
    let kind = if small {
        Kind::GeneralDynamicToLocalExec
    } else if is_large_call(at, call, content) {
        Kind::GeneralDynamicLargeToLocalExec
    } else {
        return Err(UNKNOWN_SEQUENCE);
    };
    Ok(Lowered {
        drop_next: true,
        ..Lowered::direct(kind)
    })
}

/// The local-dynamic sequences; the target symbol does not matter, only its module.
///
/// ```text
/// 48 8d 3d ........         lea x@tlsld(%rip), %rdi
/// e8 ........               call __tls_get_addr@PLT
///    or ff 15 ........      call *__tls_get_addr@GOTPCREL(%rip)
///    or 67 e8 ........      addr32 call __tls_get_addr
/// ```
/// and the large code model's as above.
pub(super) fn local_dynamic(
    at: usize,
    next: Option<&Edge>,
    content: &[u8],
    class: TargetClass,
) -> Result<Lowered<Kind>, Refusal> {
    if is_called_for(class) {
        return Ok(Lowered::via(Kind::Delta32, Via::GotTlsModule));
    }
    let call = next_kind(next);
    let lea = has(content, at, -3, &[0x48, 0x8d, 0x3d]);
    let kind = match call {
        Some((to, Kind::Branch32 | Kind::Delta32))
            if lea && to == at + 5 && has(content, at, 4, &[0xe8]) && content.len() >= at + 9 =>
        {
            Kind::LocalDynamicToLocalExec
        }
        Some((to, Kind::GotDelta32 | Kind::GotDelta32Relaxable))
            if lea && to == at + 6 && has(content, at, 4, &[0xff, 0x15]) =>
        {
            Kind::LocalDynamicIndirectToLocalExec
        }
        Some((to, Kind::Branch32 | Kind::Delta32))
            if lea && to == at + 6 && has(content, at, 4, &[0x67, 0xe8]) =>
        {
            Kind::LocalDynamicIndirectToLocalExec
        }
        _ if is_large_call(at, call, content) => Kind::LocalDynamicLargeToLocalExec,
        _ => return Err(UNKNOWN_SEQUENCE),
    };
    if content.len() < at + 10 && kind == Kind::LocalDynamicIndirectToLocalExec {
        return Err(UNKNOWN_SEQUENCE);
    }
    Ok(Lowered {
        drop_next: true,
        ..Lowered::direct(kind)
    })
}

/// Initial exec: `mov` and `add` become immediate operations; any other instruction keeps its
/// load, from a GOT entry that holds the offset.
pub(super) fn initial_exec(
    edge: &Edge,
    content: &[u8],
    class: TargetClass,
    prefix: Prefix,
) -> Result<Lowered<Kind>, Refusal> {
    require_fixed_offset(class)?;
    let kept = Lowered::via(Kind::Delta32, Via::GotTpOffset);
    let at = edge.offset as usize;
    let Some(&[opcode, modrm]) = at.checked_sub(2).and_then(|start| content.get(start..at)) else {
        return Ok(kept);
    };
    if edge.addend != -4 || modrm & 0xc7 != 0x05 || !is_wide(content, at - 2, prefix) {
        return Ok(kept);
    }
    if has_other_prefix(content, at - 2, prefix) {
        return Ok(kept);
    }
    Ok(match (opcode, prefix) {
        (0x8b, Prefix::Rex) => Lowered::direct(Kind::InitialExecMovToLocalExec),
        (0x8b, Prefix::Rex2) => Lowered::direct(Kind::InitialExecMovToLocalExecRex2),
        (0x03, Prefix::Rex) => Lowered::direct(Kind::InitialExecAddToLocalExec),
        (0x03, Prefix::Rex2) => Lowered::direct(Kind::InitialExecAddToLocalExecRex2),
        _ => kept,
    })
}

/// `lea x@tlsdesc(%rip), %r`: `48 8d 05`-like, `4c` for the upper registers, or behind REX2.
pub(super) fn descriptor(
    at: usize,
    content: &[u8],
    class: TargetClass,
    prefix: Prefix,
) -> Result<Lowered<Kind>, Refusal> {
    require_thread_local(class)?;
    if is_called_for(class) {
        return Ok(Lowered::via(Kind::Delta32, Via::TlsDescriptor));
    }
    let Some(&[opcode, modrm]) = at.checked_sub(2).and_then(|start| content.get(start..at)) else {
        return Err(UNKNOWN_SEQUENCE);
    };
    if opcode != 0x8d || modrm & 0xc7 != 0x05 || !is_wide(content, at - 2, prefix) {
        return Err(UNKNOWN_SEQUENCE);
    }
    match prefix {
        Prefix::Rex => Ok(Lowered::direct(Kind::DescriptorToLocalExec)),
        Prefix::Rex2 => Ok(Lowered::direct(Kind::DescriptorToLocalExecRex2)),
        Prefix::None => Err(UNKNOWN_SEQUENCE),
    }
}

/// Whether the prefix stands in front of the opcode at `opcode` and makes operands 64 bits wide, as
/// in all sequences of the ABI. What lacks that may be the end of the instruction before, and must
/// not be changed.
fn is_wide(content: &[u8], opcode: usize, prefix: Prefix) -> bool {
    let bits = opcode.checked_sub(1).and_then(|at| content.get(at));
    let wide = bits.is_some_and(|bits| bits & 8 != 0);
    prefix.is_at(content, opcode) && (wide || prefix == Prefix::None)
}

/// `ff 10`: `call *(%rax)`.
pub(super) fn descriptor_call(
    at: usize,
    content: &[u8],
    class: TargetClass,
) -> Result<Lowered<Kind>, Refusal> {
    if is_called_for(class) {
        return Ok(Lowered::direct(Kind::None));
    }
    if has(content, at, 0, &[0xff, 0x10]) {
        Ok(Lowered::direct(Kind::DescriptorCallToNop))
    } else {
        Err(UNKNOWN_SEQUENCE)
    }
}

/// The large code model's call after a `lea` with its displacement at `at`.
fn is_large_call(at: usize, call: Option<(usize, Kind)>, content: &[u8]) -> bool {
    let add_and_call = |add: [u8; 3]| has(content, at, 14, &add);
    call == Some((at + 6, Kind::PltOffset64))
        && has(content, at, -3, &[0x48, 0x8d, 0x3d])
        && has(content, at, 4, &[0x48, 0xb8])
        && (add_and_call([0x48, 0x01, 0xd8]) || add_and_call([0x4c, 0x01, 0xf8]))
        && has(content, at, 17, &[0xff, 0xd0])
}

/// Whether `bytes` stand at distance `from` from `at`.
fn has(content: &[u8], at: usize, from: isize, bytes: &[u8]) -> bool {
    at.checked_add_signed(from)
        .and_then(|start| content.get(start..start.checked_add(bytes.len())?))
        == Some(bytes)
}

/// Offset and kind of the call that follows.
fn next_kind(next: Option<&Edge>) -> Option<(usize, Kind)> {
    next.and_then(|edge| Some((edge.offset as usize, Kind::from_edge(edge.kind)?)))
}
