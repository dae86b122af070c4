//! Names that share their ends, so that they are far longer together than their file.

use std::sync::Arc;

use jit_core::name::NameTable;

use crate::object::ElfObject;
use crate::test_object::{RawSection, RawSymbol, write};
use orc_inputs::input::OwnedBytes;

const COUNT: usize = 20_000;

/// Where the header of the first section is, and those of symbols in an object whose first section is
/// their table.
const SYMBOLS_AT: usize = 64;

fn long_name() -> &'static str {
    "x".repeat(COUNT + 1).leak()
}

fn put(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
}

/// What reading the object says, and how long it takes at most.
fn message(bytes: Vec<u8>) -> String {
    let input = Arc::new(OwnedBytes::from(bytes));
    let object = ElfObject::new("o.o", input, &Arc::new(NameTable::default()));
    object
        .err()
        .map_or("good".into(), |error| error.to_string())
}

/// An object with so many symbols, of which each is called as the one before it, less a letter.
fn symbols(count: usize, shared: usize) -> Vec<u8> {
    let mut symbols = vec![RawSymbol {
        name: long_name(),
        info: 0x10,
        section: 0xfff1,
        ..RawSymbol::default()
    }];
    symbols.resize(
        count,
        RawSymbol {
            name: "",
            ..symbols[0]
        },
    );
    let mut bytes = write(&[], &symbols, 1);
    for symbol in 1..count {
        // The first name begins at 1.
        put(
            &mut bytes,
            SYMBOLS_AT + 24 * (symbol + 1),
            1 + COUNT - shared + symbol,
        );
    }
    bytes
}

#[test]
fn symbols_names() {
    let error = message(symbols(COUNT, COUNT));
    assert!(
        error.starts_with("o.o: the names of its symbols take more"),
        "{error}"
    );
    assert_eq!(message(symbols(200, 200)), "good");
}

#[test]
fn sections_names() {
    let section = RawSection {
        kind: 1,
        align: 1,
        ..RawSection::default()
    };
    let mut sections = vec![section; COUNT];
    sections[0].name = long_name();
    let mut bytes = write(&sections, &[], 1);
    let headers = usize::from(u16::from_le_bytes([bytes[40], bytes[41]]));
    let headers = headers + (usize::from(bytes[42]) << 16) + (usize::from(bytes[43]) << 24);
    for index in 1..=COUNT {
        put(&mut bytes, headers + 64 * index, index);
    }
    let error = message(bytes);
    assert!(
        error.starts_with("o.o: the names of its sections take more"),
        "{error}"
    );
}
