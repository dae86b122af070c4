//! The bytes that fixups and rewrites of x86-64 code write.
//!
//! Rewrites were checked against the instruction when they were chosen; here the bytes are changed.

use super::kinds::Kind;
use crate::cpu::{FixupError, Terms};
use crate::executor::api::TlsPlace;

type Fixed = Result<(), FixupError>;

/// Writes the fixup at `offset` of `block`, whose other bytes are already in place.
///
/// # Errors
/// When the value does not fit, the place lies outside the block, or the kind is a request.
#[inline]
pub fn fixup(kind: Kind, block: &mut [u8], offset: u32, t: Terms) -> Fixed {
    let at = offset as usize;
    let absolute = t.s.wrapping_add_signed(t.a).cast_signed();
    let delta = absolute.wrapping_sub(t.p.cast_signed());
    let from_got = absolute.wrapping_sub(t.got.cast_signed());
    let got_delta = (t.got.wrapping_add_signed(t.a).cast_signed()).wrapping_sub(t.p.cast_signed());
    // Where a PC-relative operand becomes an immediate, its addend still holds the distance from
    // the field to the instruction's end.
    let immediate = absolute.wrapping_add(4);
    match kind {
        Kind::None | Kind::Subtrahend => Ok(()),
        Kind::Difference64 => put(block, at, delta.to_le_bytes()),
        Kind::Difference32 => put_32(block, at, delta),
        Kind::Difference16 => put_16(block, at, delta),
        Kind::Difference8 => put_8(block, at, delta),
        Kind::Pointer64 => put(block, at, absolute.to_le_bytes()),
        Kind::Pointer32 => put_u32(block, at, absolute),
        Kind::Pointer32Signed => put_i32(block, at, absolute),
        Kind::Pointer16 => put_16(block, at, absolute),
        Kind::Pointer8 => put_8(block, at, absolute),
        Kind::Delta64 => put(block, at, delta.to_le_bytes()),
        Kind::Delta32 => put_i32(block, at, delta),
        Kind::Delta16 => put_i16(block, at, delta),
        Kind::Delta8 => put_i8(block, at, delta),
        Kind::DeltaFromGot64 => put(block, at, from_got.to_le_bytes()),
        Kind::DeltaFromGot32 => put_i32(block, at, from_got),
        Kind::GotBaseDelta64 => put(block, at, got_delta.to_le_bytes()),
        Kind::GotBaseDelta32 => put_i32(block, at, got_delta),
        Kind::TpOffset64 => match TlsPlace::from_value(t.s) {
            TlsPlace::Fixed(_) => put(block, at, absolute.to_le_bytes()),
            TlsPlace::Module { .. } => Err(out_of_range(absolute, 32)),
        },
        Kind::ModuleOffset64 => put(block, at, module_offset(t).to_le_bytes()),
        Kind::ModuleOffset32 => put_i32(block, at, module_offset(t)),
        Kind::TpOffset32 => put_i32(block, at, absolute),
        Kind::Branch32
        | Kind::PltOffset64
        | Kind::GotOffset32
        | Kind::GotOffset64
        | Kind::GotPltOffset64
        | Kind::GotDelta32
        | Kind::GotDelta64
        | Kind::GotDelta32Relaxable
        | Kind::GotDelta32RexRelaxable
        | Kind::GotDelta32Code4Relaxable
        | Kind::GotDelta32Code5Relaxable
        | Kind::GotDelta32Code6Relaxable
        | Kind::Size32
        | Kind::Size64
        | Kind::TlsGeneralDynamic
        | Kind::TlsLocalDynamic
        | Kind::TlsInitialExec
        | Kind::TlsInitialExecCode4
        | Kind::TlsInitialExecCode5
        | Kind::TlsInitialExecCode6
        | Kind::TlsDescriptor
        | Kind::TlsDescriptorCode4
        | Kind::TlsDescriptorCode5
        | Kind::TlsDescriptorCode6
        | Kind::TlsDescriptorCall => Err(FixupError::NotLowered),
        Kind::GotLoadToLea => {
            put(block, back(at, 2)?, [0x8d])?;
            put_i32(block, at, delta)
        }
        Kind::GotCallToCall => {
            // ff 15 disp32: call *disp32(%rip)  →  67 e8 rel32: addr32 call rel32
            put(block, back(at, 2)?, [0x67, 0xe8])?;
            put_i32(block, at, delta)
        }
        // ff 15 disp32: call *disp32(%rip)  →  e8 rel32 90: call rel32; nop
        Kind::GotCallToCallNop => short_branch_and_nop(block, at, 0xe8, delta),
        // ff 25 disp32: jmp *disp32(%rip)  →  e9 rel32 90: jmp rel32; nop
        Kind::GotJumpToJump => short_branch_and_nop(block, at, 0xe9, delta),
        Kind::GotLoadToImmediate => load_to_immediate(block, at, immediate),
        Kind::GotLoadToImmediateRex => {
            move_rex_r_to_b(block, at)?;
            load_to_immediate(block, at, immediate)
        }
        Kind::GotLoadToImmediateRex2 => {
            move_rex2_r_to_b(block, at)?;
            load_to_immediate(block, at, immediate)
        }
        Kind::GotTestToImmediate => test_to_immediate(block, at, immediate),
        Kind::GotTestToImmediateRex => {
            move_rex_r_to_b(block, at)?;
            test_to_immediate(block, at, immediate)
        }
        Kind::GotTestToImmediateRex2 => {
            move_rex2_r_to_b(block, at)?;
            test_to_immediate(block, at, immediate)
        }
        Kind::GotBinopToImmediate => binop_to_immediate(block, at, immediate),
        Kind::GotBinopToImmediateRex => {
            move_rex_r_to_b(block, at)?;
            binop_to_immediate(block, at, immediate)
        }
        Kind::GotBinopToImmediateRex2 => {
            move_rex2_r_to_b(block, at)?;
            binop_to_immediate(block, at, immediate)
        }
        Kind::LeaToImmediate | Kind::InitialExecMovToLocalExec | Kind::DescriptorToLocalExec => {
            move_rex_r_to_b(block, at)?;
            load_to_immediate(block, at, immediate)
        }
        Kind::InitialExecMovToLocalExecRex2 | Kind::DescriptorToLocalExecRex2 => {
            move_rex2_r_to_b(block, at)?;
            load_to_immediate(block, at, immediate)
        }
        Kind::InitialExecAddToLocalExec => {
            move_rex_r_to_b(block, at)?;
            binop_to_immediate(block, at, immediate)
        }
        Kind::InitialExecAddToLocalExecRex2 => {
            move_rex2_r_to_b(block, at)?;
            binop_to_immediate(block, at, immediate)
        }
        Kind::UnreachedNull => put_i32(block, at, t.a),
        Kind::GeneralDynamicToLocalExec => {
            put(block, back(at, 4)?, LOAD_THREAD_POINTER)?;
            put(block, at + 5, [0x48, 0x8d, 0x80])?; // lea disp32(%rax), %rax
            put_i32(block, at + 8, immediate)
        }
        Kind::GeneralDynamicLargeToLocalExec => {
            put(block, back(at, 3)?, LOAD_THREAD_POINTER)?;
            put(block, at + 6, [0x48, 0x8d, 0x80])?; // lea disp32(%rax), %rax
            put(block, at + 13, [0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00])?; // nopw 0(%rax,%rax,1)
            put_i32(block, at + 9, immediate)
        }
        Kind::LocalDynamicToLocalExec => {
            put(block, back(at, 3)?, [0x66; 3])?;
            put(block, at, LOAD_THREAD_POINTER)
        }
        Kind::LocalDynamicIndirectToLocalExec => {
            put(block, back(at, 3)?, [0x66; 4])?;
            put(block, at + 1, LOAD_THREAD_POINTER)
        }
        Kind::LocalDynamicLargeToLocalExec => {
            // data16 data16 data16 cs nopw 0(%rax,%rax,1): 13 bytes
            const NOP: [u8; 13] = [
                0x66, 0x66, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0,
            ];
            put(block, back(at, 3)?, NOP)?;
            put(block, at + 10, LOAD_THREAD_POINTER)
        }
        Kind::DescriptorCallToNop => put(block, at, [0x66, 0x90]), // xchg %ax, %ax
    }
}

/// The offset of a thread-local variable from the base of its module: the thread pointer, for those at fixed
/// offsets from it.
fn module_offset(t: Terms) -> i64 {
    let offset = match TlsPlace::from_value(t.s) {
        TlsPlace::Fixed(offset) => offset,
        TlsPlace::Module { offset, .. } => offset.into(),
    };
    offset.wrapping_add(t.a)
}

/// `mov %fs:0, %rax`
const LOAD_THREAD_POINTER: [u8; 9] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0];

/// A branch that is one byte shorter than the one through the GOT, and a `nop`.
fn short_branch_and_nop(block: &mut [u8], at: usize, opcode: u8, delta: i64) -> Fixed {
    put(block, back(at, 2)?, [opcode])?;
    put(block, at + 3, [0x90])?;
    put_i32(block, at - 1, delta.wrapping_add(1))
}

/// `mov disp32(%rip), %r` (`8b /r`) or `lea` → `mov $imm32, %r` (`c7 /0`).
fn load_to_immediate(block: &mut [u8], at: usize, value: i64) -> Fixed {
    let register = modrm_register(block, at)?;
    put(block, back(at, 2)?, [0xc7, 0xc0 | register])?;
    put_i32(block, at, value)
}

/// `test %r, disp32(%rip)` (`85 /r`) → `test $imm32, %r` (`f7 /0`).
fn test_to_immediate(block: &mut [u8], at: usize, value: i64) -> Fixed {
    let register = modrm_register(block, at)?;
    put(block, back(at, 2)?, [0xf7, 0xc0 | register])?;
    put_i32(block, at, value)
}

/// `op disp32(%rip), %r` (`xx /r`) → `op $imm32, %r` (`81 /op`); the operation is bits 3 to 5 of
/// the opcode.
fn binop_to_immediate(block: &mut [u8], at: usize, value: i64) -> Fixed {
    let register = modrm_register(block, at)?;
    let operation = *block.get(back(at, 2)?).ok_or(FixupError::OutsideBlock)? & 0x38;
    put(block, back(at, 2)?, [0x81, 0xc0 | operation | register])?;
    put_i32(block, at, value)
}

/// The register number (low three bits) in the ModRM byte before the displacement at `at`.
fn modrm_register(block: &[u8], at: usize) -> Result<u8, FixupError> {
    let modrm = *block.get(back(at, 1)?).ok_or(FixupError::OutsideBlock)?;
    Ok((modrm >> 3) & 7)
}

/// The register moves from ModRM's `reg` field to `rm`, so its high bit moves from `R` to `B`.
fn move_rex_r_to_b(block: &mut [u8], at: usize) -> Fixed {
    let rex = block
        .get_mut(back(at, 3)?)
        .ok_or(FixupError::OutsideBlock)?;
    *rex = (*rex & !0b101) | ((*rex & 0b100) >> 2);
    Ok(())
}

/// The same for REX2, which has two high bits of each: `M0 R4 X4 B4 W R3 X3 B3`.
fn move_rex2_r_to_b(block: &mut [u8], at: usize) -> Fixed {
    let payload = block
        .get_mut(back(at, 3)?)
        .ok_or(FixupError::OutsideBlock)?;
    *payload = (*payload & !0b0101_0101) | ((*payload & 0b0100_0100) >> 2);
    Ok(())
}

fn back(at: usize, bytes: usize) -> Result<usize, FixupError> {
    at.checked_sub(bytes).ok_or(FixupError::OutsideBlock)
}

#[inline]
fn put<const N: usize>(block: &mut [u8], at: usize, bytes: [u8; N]) -> Fixed {
    let place = block
        .get_mut(at..)
        .and_then(|rest| rest.first_chunk_mut::<N>())
        .ok_or(FixupError::OutsideBlock)?;
    *place = bytes;
    Ok(())
}

const fn out_of_range(value: i64, bits: u32) -> FixupError {
    FixupError::OutOfRange { value, bits }
}

#[inline]
fn put_i32(block: &mut [u8], at: usize, value: i64) -> Fixed {
    let field = i32::try_from(value).map_err(|_| out_of_range(value, 32))?;
    put(block, at, field.to_le_bytes())
}

#[inline]
fn put_u32(block: &mut [u8], at: usize, value: i64) -> Fixed {
    let field = u32::try_from(value).map_err(|_| out_of_range(value, 32))?;
    put(block, at, field.to_le_bytes())
}

/// A 32-bit field of either signedness.
fn put_32(block: &mut [u8], at: usize, value: i64) -> Fixed {
    if !(-(1 << 31)..1 << 32).contains(&value) {
        return Err(out_of_range(value, 32));
    }
    put(block, at, (value as u32).to_le_bytes())
}

fn put_i16(block: &mut [u8], at: usize, value: i64) -> Fixed {
    let field = i16::try_from(value).map_err(|_| out_of_range(value, 16))?;
    put(block, at, field.to_le_bytes())
}

fn put_i8(block: &mut [u8], at: usize, value: i64) -> Fixed {
    let field = i8::try_from(value).map_err(|_| out_of_range(value, 8))?;
    put(block, at, field.to_le_bytes())
}

/// A 16-bit field of either signedness.
fn put_16(block: &mut [u8], at: usize, value: i64) -> Fixed {
    if !(-(1 << 15)..1 << 16).contains(&value) {
        return Err(out_of_range(value, 16));
    }
    let [a, b, ..] = value.to_le_bytes();
    put(block, at, [a, b])
}

/// An 8-bit field of either signedness.
fn put_8(block: &mut [u8], at: usize, value: i64) -> Fixed {
    if !(-(1 << 7)..1 << 8).contains(&value) {
        return Err(out_of_range(value, 8));
    }
    let [a, ..] = value.to_le_bytes();
    put(block, at, [a])
}
