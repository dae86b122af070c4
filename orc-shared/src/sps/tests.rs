extern crate std;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt::Debug;

use super::*;
use crate::{AllocAction, AllocActionPair, ExecutorAddr, ExecutorAddrRange};

/// Checks the exact bytes, the size, the way back, and that every truncation is an error.
fn check<T: SpsEncode + for<'a> SpsDecode<'a> + PartialEq + Debug>(value: &T, expected: &[u8]) {
    let bytes = encode(value);
    assert_eq!(bytes, expected, "{value:?}");
    assert_eq!(value.sps_size(), bytes.len());
    assert!(T::MIN_SIZE <= bytes.len());
    assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value));
    for end in 0..bytes.len() {
        assert!(
            decode::<T>(&bytes[..end]).is_err(),
            "{value:?} cut at {end}"
        );
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(
        decode::<T>(&longer),
        Err(SpsDecodeError::TrailingBytes {
            offset: bytes.len(),
            count: 1
        })
    );
}

#[test]
fn bytes_are_those_of_the_format() {
    check(&0x1234_u16, &[0x34, 0x12]);
    check(&-2_i32, &[0xfe, 0xff, 0xff, 0xff]);
    check(&u64::MAX, &[0xff; 8]);
    check(&true, &[1]);
    check(&ExecutorAddr::new(0x10), &[0x10, 0, 0, 0, 0, 0, 0, 0]);
    check(
        &ExecutorAddrRange {
            start: ExecutorAddr::new(1),
            end: ExecutorAddr::new(2),
        },
        &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
    );
    check(&String::from("ab"), &[2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b']);
    check(&vec![5_u8, 6], &[2, 0, 0, 0, 0, 0, 0, 0, 5, 6]);
    check(&vec![7_u16], &[1, 0, 0, 0, 0, 0, 0, 0, 7, 0]);
    check(&Some(3_u8), &[1, 3]);
    check(&None::<u8>, &[0]);
    check(&(1_u8, true, 2_u16), &[1, 1, 2, 0]);
}

#[test]
fn errors_and_expected_values_have_opposite_polarity() {
    check(&SpsError(Ok(())), &[0]);
    check(
        &SpsError(Err("x".to_string())),
        &[1, 1, 0, 0, 0, 0, 0, 0, 0, b'x'],
    );
    check(&SpsExpected(Ok(9_u8)), &[1, 9]);
    check(
        &SpsExpected::<u8>(Err("x".to_string())),
        &[0, 1, 0, 0, 0, 0, 0, 0, 0, b'x'],
    );
}

#[test]
fn a_huge_count_is_refused_before_anything_is_reserved() {
    let bytes = encode(&(u64::MAX, 0_u64));
    assert!(matches!(
        decode::<Vec<u64>>(&bytes),
        Err(SpsDecodeError::Truncated { offset: 8, .. })
    ));
    // Elements without size are bounded too, or the loop over them would be endless.
    assert!(decode::<Vec<()>>(&bytes).is_err());
    assert!(decode::<&[u8]>(&bytes).is_err());
}

#[test]
fn other_bytes_than_zero_and_one_are_no_bool() {
    assert_eq!(
        decode::<(u8, bool)>(&[0, 2]),
        Err(SpsDecodeError::InvalidBool {
            offset: 1,
            value: 2
        })
    );
}

#[test]
fn names_that_are_not_utf8_are_bytes() {
    let bytes = encode(&vec![0xff_u8]);
    assert_eq!(
        decode::<&str>(&bytes),
        Err(SpsDecodeError::InvalidUtf8 { offset: 8 })
    );
    assert_eq!(decode::<&[u8]>(&bytes), Ok(&[0xff_u8][..]));
}

#[test]
fn allocation_actions_round_trip() {
    let pair = AllocActionPair {
        finalize: AllocAction::new(ExecutorAddr::new(0x1000), &(ExecutorAddr::new(1), "n")),
        dealloc: AllocAction::default(),
    };
    assert!(pair.dealloc.is_absent());
    let mut expected = vec![0, 0x10, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0];
    expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'n']);
    expected.extend([0; 16]);
    check(&pair, &expected);
}

type Nested = (
    Vec<(String, Option<Vec<u8>>)>,
    SpsExpected<Vec<AllocActionPair>>,
    SpsError,
);

fn nested(seed: u64) -> Nested {
    let word = |i: u64| {
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(i as u32 * 7)
    };
    let names = (0..word(1) % 5)
        .map(|i| {
            let name = format!("name{:x}", word(i) & 0xffff);
            (name, (i % 2 == 0).then(|| word(i).to_le_bytes().to_vec()))
        })
        .collect();
    let actions = (0..word(2) % 4)
        .map(|i| AllocActionPair {
            finalize: AllocAction::new(ExecutorAddr::new(word(i)), &word(3)),
            dealloc: AllocAction::default(),
        })
        .collect();
    let expected = if seed.is_multiple_of(3) {
        Err("failed".to_string())
    } else {
        Ok(actions)
    };
    let error = if seed.is_multiple_of(2) {
        Err("error".to_string())
    } else {
        Ok(())
    };
    (names, SpsExpected(expected), SpsError(error))
}

#[test]
fn truncated_and_corrupted_input_is_an_error_or_another_value() {
    for seed in 0..40 {
        let value = nested(seed);
        let bytes = encode(&value);
        assert_eq!(decode::<Nested>(&bytes).as_ref(), Ok(&value));
        for end in 0..bytes.len() {
            assert!(decode::<Nested>(&bytes[..end]).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // What still decodes is a value of its own: it encodes to the bytes it came from.
            if let Ok(other) = decode::<Nested>(&flipped) {
                assert_eq!(encode(&other), flipped);
            }
        }
    }
}
