//! Each kind's value, at both ends of what it holds.

use super::super::fixup::fixup;
use super::super::{Field, Fits, Kind, Value};
use super::fixed;
use crate::cpu::{FixupError, KindGroup, Kinds, Reach, Terms};

const ADRP_X0: u32 = 0x9000_0000;
const ADR_X0: u32 = 0x1000_0000;
const ADD_X0_X0: u32 = 0x9100_0000;
const LDR_X1_X0: u32 = 0xf940_0001;
const BL: u32 = 0x9400_0000;

/// The value that fits last on either side, and what comes after it.
fn ends(fits: Fits) -> Option<(i128, i128)> {
    match fits {
        Fits::Any => None,
        Fits::Signed(n) => Some((-(1 << (n - 1)), (1 << (n - 1)) - 1)),
        Fits::Unsigned(n) => Some((0, (1 << n) - 1)),
        Fits::Either(n) => Some((-(1 << (n - 1)), (1 << n) - 1)),
    }
}

/// What a field counts in, in bytes.
fn unit(field: Field) -> i128 {
    match field {
        Field::Low12(scale) => 1 << scale,
        Field::Low15 => 8,
        Field::Words(_) => 4,
        Field::Adrp => 0x1000,
        Field::Nothing
        | Field::Data(_)
        | Field::Adr
        | Field::High12
        | Field::TwoAdds
        | Field::Move(_)
        | Field::MoveSigned(_) => 1,
    }
}

/// The target that makes the kind's formula `value`, for a place and a GOT far from both ends.
fn target(value_of: Value, value: i128) -> (u64, Terms) {
    let (p, got) = (1 << 50, 3 << 50);
    let from = match value_of {
        Value::Nothing | Value::Absolute | Value::Offset => 0,
        Value::Delta | Value::Difference | Value::PageDelta => p,
        Value::FromGot | Value::FromGotPage => got,
    };
    let s = (i128::from(from) + value) as u64;
    (s, Terms { s, a: 0, p, got })
}

#[test]
fn every_checked_kind_takes_the_last_values_and_refuses_the_next() {
    let checked = Kind::ALL
        .iter()
        .filter(|kind| kind.group() != KindGroup::Request);
    for &kind in checked {
        let row = kind.row();
        let Some((least, most)) = ends(row.fits) else {
            continue;
        };
        let unit = unit(row.field);
        let most = most / unit * unit;
        let fix = |value| fixup(kind, &mut [0; 16], 0, target(row.value, value).1);
        assert_eq!(fix(least), Ok(()), "{kind:?} of {least}");
        assert_eq!(fix(most), Ok(()), "{kind:?} of {most}");
        for outside in [least - unit, most + unit] {
            let refused = matches!(fix(outside), Err(FixupError::OutOfRange { .. }));
            assert!(refused, "{kind:?} of {outside}");
        }
    }
}

#[test]
fn no_kind_writes_beyond_its_block() {
    for &kind in Kind::ALL {
        let row = kind.row();
        if kind.group() == KindGroup::Request || row.field == Field::Nothing {
            continue;
        }
        let terms = target(row.value, 0).1;
        assert_eq!(
            fixup(kind, &mut [], 0, terms),
            Err(FixupError::OutsideBlock),
            "{kind:?}"
        );
    }
}

#[test]
fn requests_are_not_fixed_up() {
    let error = fixed(Kind::Branch26, BL, 0, 0, 0);
    assert_eq!(error, Err(FixupError::NotLowered));
}

#[test]
fn branches_reach_128_mib() {
    let p = 0x4000_0000;
    // bl .+0x7fffffc, bl .-0x8000000
    assert_eq!(
        fixed(Kind::Delta26, BL, p + 0x7ff_fffc, 0, p),
        Ok(0x95ff_ffff)
    );
    assert_eq!(
        fixed(Kind::Delta26, BL, p - 0x800_0000, 0, p),
        Ok(0x9600_0000)
    );
    let out = |value| Err(FixupError::OutOfRange { value, bits: 28 });
    assert_eq!(
        fixed(Kind::Delta26, BL, p + 0x800_0000, 0, p),
        out(0x800_0000)
    );
    assert_eq!(
        fixed(Kind::Delta26, BL, p - 0x800_0004, 0, p),
        out(-0x800_0004)
    );
    let odd = FixupError::Misaligned { value: 6, align: 4 };
    assert_eq!(fixed(Kind::Delta26, BL, p + 6, 0, p), Err(odd));
}

#[test]
fn pages_reach_4_gib() {
    let p = 0x10_0000_0ffc;
    // adrp x0, .+0xfffff000; the low bits of place and target do not count.
    let last = 0x10_ffff_ffff;
    assert_eq!(fixed(Kind::Page21, ADRP_X0, last, 0, p), Ok(0xf07f_ffe0));
    let first = 0x0f_0000_0000;
    assert_eq!(fixed(Kind::Page21, ADRP_X0, first, 0, p), Ok(0x9080_0000));
    let value = 0x1_0000_0000;
    let out = Err(FixupError::OutOfRange { value, bits: 33 });
    assert_eq!(fixed(Kind::Page21, ADRP_X0, last, 1, p), out);
    // The addend is part of the address whose page is taken.
    assert_eq!(
        fixed(Kind::Page21, ADRP_X0, p - 0xffc, 0x1000, p),
        Ok(0xb000_0000)
    );
}

#[test]
fn an_address_is_its_page_and_its_low_bits() {
    let (s, p) = (0x1234_5678, 0x1000_0000);
    // adrp x0, 0x2345000 further; add x0, x0, #0x678; ldr x1, [x0, #0x678]
    assert_eq!(fixed(Kind::Page21, ADRP_X0, s, 0, p), Ok(0xb001_1a20));
    assert_eq!(fixed(Kind::AddLow12, ADD_X0_X0, s, 0, p), Ok(0x9119_e000));
    assert_eq!(
        fixed(Kind::Access64Low12, LDR_X1_X0, s, 0, p),
        Ok(0xf943_3c01)
    );
    let odd = FixupError::Misaligned {
        value: 0x67c,
        align: 8,
    };
    assert_eq!(fixed(Kind::Access64Low12, LDR_X1_X0, s, 4, p), Err(odd));
}

#[test]
fn adr_holds_21_bits() {
    // adr x0, .+0xfffff; adr x0, .-0x100000
    assert_eq!(
        fixed(Kind::Adr21, ADR_X0, 0x1f_ffff, 0, 0x10_0000),
        Ok(0x707f_ffe0)
    );
    assert_eq!(fixed(Kind::Adr21, ADR_X0, 0, 0, 0x10_0000), Ok(0x1080_0000));
}

#[test]
fn signed_moves_choose_their_instruction() {
    const MOVZ_X0: u32 = 0xd280_0000;
    // movz x0, #0x1234; movn x0, #1 (which is -2)
    assert_eq!(
        fixed(Kind::MoveSigned0, MOVZ_X0, 0x1234, 0, 0),
        Ok(0xd282_4680)
    );
    assert_eq!(fixed(Kind::MoveSigned0, MOVZ_X0, 0, -2, 0), Ok(0x9280_0020));
    // movk keeps what it is.
    const MOVK_X0: u32 = 0xf280_0000;
    assert_eq!(fixed(Kind::Move0, MOVK_X0, 0, -2, 0), Ok(0xf29f_ffc0));
}

#[test]
fn data_is_little_endian() {
    let mut block = [0xee; 10];
    let terms = Terms {
        s: 0x1122_3344_5566_7788,
        a: 0,
        p: 0,
        got: 0,
    };
    fixup(Kind::Pointer64, &mut block, 1, terms).unwrap();
    let expected = [0xee, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xee];
    assert_eq!(block, expected);
}

#[test]
fn facts_follow_from_the_rows() {
    assert_eq!(Kind::Delta26.facts().reach, Reach::Bits(28));
    assert_eq!(Kind::Page21.facts().reach, Reach::Bits(33));
    assert!(Kind::Page21.facts().direct && Kind::Page21.facts().has_place);
    assert!(Kind::Pointer32.facts().needs_low && !Kind::Pointer32.facts().has_place);
    let low: Vec<Kind> = (Kind::ALL.iter().copied())
        .filter(|kind| kind.facts().needs_low)
        .collect();
    let expected = [
        Kind::Pointer32,
        Kind::Pointer16,
        Kind::MoveUnsigned0,
        Kind::MoveUnsigned1,
        Kind::MoveSigned0,
        Kind::MoveSigned1,
    ];
    assert_eq!(low, expected);
    assert!(!Kind::AddLow12.facts().direct);
    assert_eq!(Kind::Pointer64.facts().reach, Reach::All);
    assert!(Kind::ALL.len() <= 128, "sets of kinds are 128-bit masks");
}
