//! The bytes that fixups and rewrites of AArch64 code write.
//!
//! Instructions are little-endian words. Rewrites were checked against the instruction when they
//! were chosen; here the bytes are changed.

use super::kinds::{Field, Fits, Kind, Rewrite, Row, Value};
use crate::cpu::{FixupError, KindGroup, Terms};

type Fixed = Result<(), FixupError>;

/// Writes the fixup at `offset` of `block`, whose other bytes are already in place.
///
/// # Errors
/// When the value does not fit or is not a multiple of what the field counts in, the place lies
/// outside the block, or the kind is a request.
#[inline]
pub fn fixup(kind: Kind, block: &mut [u8], offset: u32, terms: Terms) -> Fixed {
    let row = kind.row();
    if matches!(row.group, KindGroup::Request) {
        return Err(FixupError::NotLowered);
    }
    let at = offset as usize;
    let value = value(row, terms);
    check(row.fits, value)?;
    rewrite(row.rewrite, block, at)?;
    write(row.field, block, at, value)
}

fn value(row: &Row, terms: Terms) -> i64 {
    let absolute = terms.s.wrapping_add_signed(terms.a);
    let minus = |from: u64| absolute.wrapping_sub(from).cast_signed();
    match row.value {
        Value::Nothing => 0,
        Value::Absolute | Value::Offset => absolute.cast_signed(),
        Value::Delta | Value::Difference => minus(terms.p),
        Value::PageDelta => page(absolute).wrapping_sub(page(terms.p)).cast_signed(),
        Value::FromGot => minus(terms.got),
        Value::FromGotPage => minus(page(terms.got)),
    }
}

const fn page(address: u64) -> u64 {
    address & !0xfff
}

fn check(fits: Fits, value: i64) -> Fixed {
    let wide = i128::from(value);
    let (least, end, bits) = match fits {
        Fits::Any => return Ok(()),
        Fits::Signed(bits) => (-(1_i128 << (bits - 1)), 1 << (bits - 1), bits),
        Fits::Unsigned(bits) => (0, 1 << bits, bits),
        Fits::Either(bits) => (-(1 << (bits - 1)), 1 << bits, bits),
    };
    match (least..end).contains(&wide) {
        true => Ok(()),
        false => Err(FixupError::OutOfRange {
            value,
            bits: u32::from(bits),
        }),
    }
}

/// `value` in units of 2^`scale`.
fn scaled(value: i64, scale: u8) -> Result<i64, FixupError> {
    if value & ((1 << scale) - 1) != 0 {
        return Err(FixupError::Misaligned {
            value,
            align: 1 << scale,
        });
    }
    Ok(value >> scale)
}

fn write(field: Field, block: &mut [u8], at: usize, value: i64) -> Fixed {
    match field {
        Field::Nothing => Ok(()),
        Field::Data(bytes) => {
            let from = &value.to_le_bytes()[..usize::from(bytes)];
            let to = block
                .get_mut(at..)
                .and_then(|rest| rest.get_mut(..from.len()));
            to.ok_or(FixupError::OutsideBlock)?.copy_from_slice(from);
            Ok(())
        }
        Field::Adr => insert_adr(block, at, value),
        Field::Adrp => insert_adr(block, at, value >> 12),
        Field::Low12(scale) => insert(block, at, scaled(value & 0xfff, scale)?, 10, 12),
        Field::High12 => insert(block, at, value >> 12, 10, 12),
        Field::Low15 => insert(block, at, scaled(value & 0x7fff, 3)?, 10, 12),
        Field::Words(bits) => {
            let shift = if bits == 26 { 0 } else { 5 };
            insert(block, at, scaled(value, 2)?, shift, bits)
        }
        Field::TwoAdds => {
            insert(block, at + 4, value >> 12, 10, 12)?;
            insert(block, at + 8, value, 10, 12)
        }
        Field::Move(part) => insert(block, at, value >> (16 * part), 5, 16),
        Field::MoveSigned(part) => {
            // Bit 30 tells `movz` (1) from `movn` (0).
            let (value, bit) = match value < 0 {
                true => (!value, 0),
                false => (value, 1),
            };
            insert(block, at, bit, 30, 1)?;
            insert(block, at, value >> (16 * part), 5, 16)
        }
    }
}

/// `adr` and `adrp` hold their low two bits at 29 and the other 19 at 5.
fn insert_adr(block: &mut [u8], at: usize, value: i64) -> Fixed {
    insert(block, at, value, 29, 2)?;
    insert(block, at, value >> 2, 5, 19)
}

/// Puts the low `bits` bits of `value` into the instruction at `at`, from bit `shift` on.
fn insert(block: &mut [u8], at: usize, value: i64, shift: u8, bits: u8) -> Fixed {
    let mask = ((1_u32 << bits) - 1) << shift;
    let field = ((value as u32) << shift) & mask;
    change(block, at, |word| (word & !mask) | field)
}

fn change(block: &mut [u8], at: usize, to: impl FnOnce(u32) -> u32) -> Fixed {
    let word = block
        .get_mut(at..)
        .and_then(|rest| rest.first_chunk_mut::<4>())
        .ok_or(FixupError::OutsideBlock)?;
    *word = to(u32::from_le_bytes(*word)).to_le_bytes();
    Ok(())
}

const NOP: u32 = 0xd503_201f;
const MRS_X0_THREAD_POINTER: u32 = 0xd53b_d040;
const MRS_X1_THREAD_POINTER: u32 = 0xd53b_d041;
const ADD_X0_X1_X0: u32 = 0x8b00_0020;
const ADD_X0_X1_HIGH: u32 = 0x9140_0020; // add x0, x1, #0, lsl #12
const ADD_X0_X0: u32 = 0x9100_0000; // add x0, x0, #0
const MOVZ_X0_HIGH: u32 = 0xd2a0_0000; // movz x0, #0, lsl #16
const MOVK_X0: u32 = 0xf280_0000; // movk x0, #0

fn rewrite(rewrite: Rewrite, block: &mut [u8], at: usize) -> Fixed {
    let destination = |word: u32| word & 0x1f;
    let put = |block: &mut [u8], at, word| change(block, at, |_| word);
    match rewrite {
        Rewrite::Kept => Ok(()),
        // ldr xT, [xN, #imm12 * 8] → add xT, xN, #imm12: both registers stay where they are.
        Rewrite::LoadToAdd => change(block, at, |word| 0x9100_0000 | (word & 0x3ff)),
        Rewrite::MoveHigh => change(block, at, |word| 0xd2a0_0000 | destination(word)),
        Rewrite::MoveLow => change(block, at, |word| 0xf280_0000 | move_low_register(word)),
        Rewrite::Zero => change(block, at, |word| 0xd280_0000 | destination(word)),
        Rewrite::Nop => put(block, at, NOP),
        Rewrite::ThreadPointer => put(block, at, MRS_X0_THREAD_POINTER),
        Rewrite::GeneralDynamicCall => {
            put(block, at, MOVK_X0)?;
            put(block, at + 4, MRS_X1_THREAD_POINTER)?;
            put(block, at + 8, ADD_X0_X1_X0)
        }
        Rewrite::LocalDynamicCall => {
            put(block, at, NOP)?;
            put(block, at + 4, NOP)
        }
        Rewrite::GeneralDynamicAdr => {
            put(block, at, MRS_X1_THREAD_POINTER)?;
            put(block, at + 4, ADD_X0_X1_HIGH)?;
            put(block, at + 8, ADD_X0_X0)
        }
        Rewrite::LocalDynamicAdr => {
            put(block, at, MRS_X0_THREAD_POINTER)?;
            put(block, at + 4, NOP)
        }
        Rewrite::DescriptorHigh => put(block, at, MOVZ_X0_HIGH),
        Rewrite::DescriptorLow => put(block, at, MOVK_X0),
    }
}

/// The register that holds the upper half: the base of the load of a descriptor's function, which
/// the `adrp` made. A load from the GOT has the same register twice (`tls::initial_exec`).
const fn move_low_register(load: u32) -> u32 {
    (load >> 5) & 0x1f
}
