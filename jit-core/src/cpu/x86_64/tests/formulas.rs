use super::*;
use crate::cpu::KindGroup;

const P: u64 = 0x7000_0000_0000;
const GOT: u64 = 0x7000_1000_0000;
const MAX: i64 = i64::MAX;
const MIN: i64 = i64::MIN;
const I32_MAX: i64 = i32::MAX as i64;
const I32_MIN: i64 = i32::MIN as i64;

/// What a formula computes, and the least and greatest value that its field holds.
struct Row {
    kind: Kind,
    /// `S + A` less this is the value.
    base: u64,
    bytes: usize,
    least: i64,
    greatest: i64,
}

const fn row(kind: Kind, base: u64, bytes: usize, least: i64, greatest: i64) -> Row {
    Row {
        kind,
        base,
        bytes,
        least,
        greatest,
    }
}

const ROWS: &[Row] = &[
    row(Kind::Pointer64, 0, 8, MIN, MAX),
    row(Kind::Pointer32, 0, 4, 0, u32::MAX as i64),
    row(Kind::Pointer32Signed, 0, 4, I32_MIN, I32_MAX),
    row(Kind::Pointer16, 0, 2, -0x8000, 0xffff),
    row(Kind::Pointer8, 0, 1, -0x80, 0xff),
    row(Kind::Delta64, P, 8, MIN, MAX),
    // What is subtracted stands where `P` does.
    row(Kind::Difference64, P, 8, MIN, MAX),
    row(Kind::Difference32, P, 4, I32_MIN, u32::MAX as i64),
    row(Kind::Difference16, P, 2, -0x8000, 0xffff),
    row(Kind::Difference8, P, 1, -0x80, 0xff),
    row(Kind::Delta32, P, 4, I32_MIN, I32_MAX),
    row(Kind::Delta16, P, 2, -0x8000, 0x7fff),
    row(Kind::Delta8, P, 1, -0x80, 0x7f),
    row(Kind::DeltaFromGot64, GOT, 8, MIN, MAX),
    row(Kind::DeltaFromGot32, GOT, 4, I32_MIN, I32_MAX),
    row(Kind::TpOffset64, 0, 8, I32_MIN, I32_MAX),
    row(Kind::TpOffset32, 0, 4, I32_MIN, I32_MAX),
    row(Kind::ModuleOffset64, 0, 8, I32_MIN, I32_MAX),
    row(Kind::ModuleOffset32, 0, 4, I32_MIN, I32_MAX),
];

fn write(kind: Kind, s: u64, a: i64) -> Result<[u8; 8], FixupError> {
    let mut block = [0; 8];
    let terms = Terms {
        s,
        a,
        p: P,
        got: GOT,
    };
    fixup(kind, &mut block, 0, terms).map(|()| block)
}

fn expected(value: i64, bytes: usize) -> [u8; 8] {
    let mut block = [0; 8];
    block[..bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
    block
}

#[test]
fn every_formula_at_both_ends_of_its_range() {
    for row in ROWS {
        let Row {
            kind,
            base,
            bytes,
            least,
            greatest,
        } = *row;
        for value in [least, greatest, 0] {
            // The value is split between symbol and addend.
            let s = base.wrapping_add_signed(value).wrapping_add(8);
            assert_eq!(
                write(kind, s, -8),
                Ok(expected(value, bytes)),
                "{kind:?} {value:#x}"
            );
        }
        if bytes == 8 {
            continue;
        }
        for value in [least - 1, greatest + 1] {
            let s = base.wrapping_add_signed(value);
            let bits = bytes as u32 * 8;
            let error = Err(FixupError::OutOfRange { value, bits });
            assert_eq!(write(kind, s, 0), error, "{kind:?} {value:#x}");
        }
    }
}

#[test]
fn variables_in_modules_have_an_offset_in_the_module_only() {
    let place = 5 << 32 | 0x20;
    for (kind, bytes) in [(Kind::ModuleOffset64, 8), (Kind::ModuleOffset32, 4)] {
        assert_eq!(write(kind, place, 3), Ok(expected(0x23, bytes)));
    }
    for kind in [Kind::TpOffset64, Kind::TpOffset32] {
        let error = write(kind, place, 3).expect_err("no such offset");
        assert!(matches!(error, FixupError::OutOfRange { bits: 32, .. }));
    }
}

#[test]
fn distances_of_the_got_itself() {
    let distance = (GOT - P).cast_signed();
    assert_eq!(
        write(Kind::GotBaseDelta64, 0, 9),
        Ok(expected(distance + 9, 8))
    );
    assert_eq!(
        write(Kind::GotBaseDelta32, 0, 9),
        Ok(expected(distance + 9, 4))
    );
    let greatest = I32_MAX - distance;
    assert!(write(Kind::GotBaseDelta32, 0, greatest).is_ok());
    assert!(write(Kind::GotBaseDelta32, 0, greatest + 1).is_err());
}

#[test]
fn none_writes_nothing_and_requests_are_refused() {
    assert_eq!(write(Kind::None, 5, 5), Ok([0; 8]));
    for &kind in Kind::ALL
        .iter()
        .filter(|kind| kind.group() == KindGroup::Request)
    {
        assert_eq!(write(kind, 0, 0), Err(FixupError::NotLowered), "{kind:?}");
    }
}

#[test]
fn every_fixup_has_a_row() {
    let apart = [
        Kind::None,
        Kind::Subtrahend,
        Kind::GotBaseDelta64,
        Kind::GotBaseDelta32,
    ];
    for &kind in Kind::ALL
        .iter()
        .filter(|kind| kind.group() == KindGroup::Fixup)
    {
        let listed = ROWS.iter().any(|row| row.kind == kind) || apart.contains(&kind);
        assert!(listed, "{kind:?}");
    }
}

#[test]
fn a_field_over_the_end_of_its_block_is_refused() {
    for &kind in Kind::ALL
        .iter()
        .filter(|kind| kind.group() != KindGroup::Request)
    {
        let mut block = [0x90; 3];
        let terms = Terms {
            s: 0,
            a: 0,
            p: 0,
            got: 0,
        };
        for offset in [0, 1, 2, 3, 100, u32::MAX] {
            let result = fixup(kind, &mut block, offset, terms);
            let fits = matches!(
                kind,
                Kind::None
                    | Kind::Subtrahend
                    | Kind::Pointer8
                    | Kind::Delta8
                    | Kind::Difference8
                    | Kind::Pointer16
                    | Kind::Delta16
                    | Kind::Difference16
            ) || kind == Kind::DescriptorCallToNop;
            assert!(fits || result.is_err(), "{kind:?} at {offset}");
        }
    }
}
