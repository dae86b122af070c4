//! Which edges relocations of x86-64 become. The formula that an edge computes stands beside each.

use jit_core::cpu::x86_64::Kind;
use jit_core::graph::{BlockId, EdgeKind, Target};
use object::macho::{self, RelocationType};

use crate::test_object::{GLOBAL, LOCAL, Rel, TestObject, UNDEFINED, code, data, object};

fn rel(at: u32, kind: RelocationType, length: u8, pcrel: bool, symbol: u32) -> Rel {
    Rel {
        at,
        symbol,
        pcrel,
        length,
        external: true,
        kind,
    }
}

fn in_section(rel: Rel, number: u32) -> Rel {
    Rel {
        symbol: number,
        external: false,
        ..rel
    }
}

/// Code with one relocation at offset 4 against `_x`, whose field holds `field`.
fn one(kind: RelocationType, length: u8, pcrel: bool, field: i32) -> TestObject {
    let mut bytes = [0x90u8; 16];
    bytes[4..8].copy_from_slice(&field.to_le_bytes());
    let relocations = [rel(4, kind, length, pcrel, 1)];
    let symbols = [("_f", GLOBAL, 1, 0, 0), ("_x", UNDEFINED, 0, 0, 0)];
    object(vec![code(&bytes, &relocations)], &symbols)
}

/// The edges of a block: offset, target, kind, addend.
fn edges(object: &TestObject, block: u32) -> Vec<(u32, u32, EdgeKind, i64)> {
    let graph = object.graph();
    let edges = graph.edges_of(BlockId(block)).iter();
    edges
        .map(|edge| (edge.offset, edge.target.0, edge.kind, edge.addend))
        .collect()
}

#[test]
fn references_to_symbols_count_from_the_end_of_the_field() {
    // S + field - (P + 4), also where an immediate follows: the assembler has taken that off the field.
    let cases = [
        (macho::X86_64_RELOC_SIGNED, 0, Kind::Delta32, -4),
        (macho::X86_64_RELOC_SIGNED, 8, Kind::Delta32, 4),
        (macho::X86_64_RELOC_SIGNED_1, -1, Kind::Delta32, -5),
        (macho::X86_64_RELOC_SIGNED_2, -2, Kind::Delta32, -6),
        (macho::X86_64_RELOC_SIGNED_4, -4, Kind::Delta32, -8),
        (macho::X86_64_RELOC_BRANCH, 0, Kind::Branch32, -4),
        (
            macho::X86_64_RELOC_GOT_LOAD,
            0,
            Kind::GotDelta32RexRelaxable,
            -4,
        ),
        (macho::X86_64_RELOC_GOT, 4, Kind::GotDelta32, 0),
        (macho::X86_64_RELOC_TLV, 0, Kind::GotDelta32RexRelaxable, -4),
    ];
    for (number, field, kind, addend) in cases {
        let made = edges(&one(number, 2, true, field), 0);
        assert_eq!(made, [(4, 1, kind.edge(), addend)], "{}", number.0);
    }
}

#[test]
fn short_branches_have_one_byte() {
    // S + field - (P + 1).
    let made = edges(&one(macho::X86_64_RELOC_BRANCH, 0, true, 0x90), 0);
    assert_eq!(made, [(4, 1, Kind::Delta8.edge(), -0x70 - 1)]);
}

#[test]
fn references_to_sections_lead_to_the_place_that_the_field_means() {
    // The data begin at 16, with atoms at 16 and 24. The field at 4 leads from its end, with the immediate
    // behind it, to 24 + 2.
    let signed = macho::X86_64_RELOC_SIGNED;
    let cases = [
        (signed, 0),
        (macho::X86_64_RELOC_SIGNED_1, 1),
        (macho::X86_64_RELOC_SIGNED_2, 2),
        (macho::X86_64_RELOC_SIGNED_4, 4),
    ];
    for (kind, immediate) in cases {
        let mut bytes = [0x90u8; 16];
        let field: i32 = 26 - (4 + 4 + immediate);
        bytes[4..8].copy_from_slice(&field.to_le_bytes());
        let relocation = in_section(rel(4, kind, 2, true, 0), 2);
        let symbols = [
            ("_f", GLOBAL, 1, 0, 0),
            ("_a", LOCAL, 2, 0, 16),
            ("_b", LOCAL, 2, 0, 24),
        ];
        let sections = vec![code(&bytes, &[relocation]), data(&[0; 16], &[])];
        let object = object(sections, &symbols);
        // S + 2 - (P + 4 + immediate), where S is the second atom's.
        let made = edges(&object, 0);
        let addend = i64::from(2 - 4 - immediate);
        assert_eq!(
            made,
            [(4, 3 + 2, Kind::Delta32.edge(), addend)],
            "{immediate}"
        );
    }
}

#[test]
fn pointers_hold_their_addends() {
    let mut bytes = [0u8; 24];
    bytes[0..8].copy_from_slice(&(-8i64).to_le_bytes());
    bytes[8..16].copy_from_slice(&12u64.to_le_bytes());
    bytes[16..20].copy_from_slice(&5u32.to_le_bytes());
    let unsigned = macho::X86_64_RELOC_UNSIGNED;
    let relocations = [
        rel(16, unsigned, 2, false, 1),
        in_section(rel(8, unsigned, 3, false, 0), 1),
        rel(0, unsigned, 3, false, 1),
    ];
    let symbols = [("_f", GLOBAL, 1, 0, 0), ("_x", UNDEFINED, 0, 0, 0)];
    let object = object(
        vec![code(&[0x90; 16], &[]), data(&bytes, &relocations)],
        &symbols,
    );
    let expected = [
        // S - 8.
        (0, 1, Kind::Pointer64.edge(), -8),
        // Where the code is at 12.
        (8, 2, Kind::Pointer64.edge(), 12),
        // S + 5, 32 bits.
        (16, 1, Kind::Pointer32.edge(), 5),
    ];
    assert_eq!(edges(&object, 1), expected);
}

#[test]
fn differences_are_pairs() {
    let mut bytes = [0u8; 16];
    bytes[0..8].copy_from_slice(&3u64.to_le_bytes());
    bytes[8..12].copy_from_slice(&(-1i32).to_le_bytes());
    let (minus, plus) = (macho::X86_64_RELOC_SUBTRACTOR, macho::X86_64_RELOC_UNSIGNED);
    let relocations = [
        rel(8, minus, 2, false, 1),
        rel(8, plus, 2, false, 0),
        rel(0, minus, 3, false, 0),
        rel(0, plus, 3, false, 1),
    ];
    let symbols = [("_f", GLOBAL, 1, 0, 0), ("_x", UNDEFINED, 0, 0, 0)];
    let object = object(
        vec![code(&[0x90; 16], &[]), data(&bytes, &relocations)],
        &symbols,
    );
    let expected = [
        (0, 0, EdgeKind::SUBTRAHEND, 0),
        // S(_x) + 3 - S(_f).
        (0, 1, Kind::Difference64.edge(), 3),
        (8, 1, EdgeKind::SUBTRAHEND, 0),
        // S(_f) - 1 - S(_x).
        (8, 0, Kind::Difference32.edge(), -1),
    ];
    assert_eq!(edges(&object, 1), expected);
}

#[test]
fn places_of_sections_are_subtracted_where_a_section_is_one_atom() {
    // .quad _x - (data + 8), where the data begin at 16: the field has -24.
    let (minus, plus) = (macho::X86_64_RELOC_SUBTRACTOR, macho::X86_64_RELOC_UNSIGNED);
    let mut bytes = [0u8; 16];
    bytes[0..8].copy_from_slice(&(-24i64).to_le_bytes());
    let relocations = [
        in_section(rel(0, minus, 3, false, 0), 2),
        rel(0, plus, 3, false, 1),
    ];
    let symbols = [("_f", GLOBAL, 1, 0, 0), ("_x", UNDEFINED, 0, 0, 0)];
    let mut made = object(
        vec![code(&[0x90; 16], &[]), data(&bytes, &relocations)],
        &symbols,
    );
    // S(_x) - 8 - T, where T is the beginning of the data.
    let expected = [
        (0, 3, EdgeKind::SUBTRAHEND, 0),
        (0, 1, Kind::Difference64.edge(), -8),
    ];
    assert_eq!(edges(&made, 1), expected);
    made.symbols.push(("_second", LOCAL, 2, 0, 24));
    assert!(
        made.error().contains("subtracts a place of a section"),
        "{}",
        made.error()
    );
}

#[test]
fn what_cannot_be_linked_is_refused_with_its_place() {
    let (minus, plus) = (macho::X86_64_RELOC_SUBTRACTOR, macho::X86_64_RELOC_UNSIGNED);
    let got = macho::X86_64_RELOC_GOT;
    let cases: [(&[Rel], &str); 9] = [
        (
            &[rel(4, macho::X86_64_RELOC_SIGNED, 3, true, 1)],
            "has a form that this kind does not have",
        ),
        (
            &[rel(4, plus, 3, true, 1)],
            "has a form that this kind does not have",
        ),
        (
            &[rel(4, RelocationType(12), 2, false, 1)],
            "of unknown type 12",
        ),
        (&[in_section(rel(4, got, 2, true, 0), 1)], "needs a symbol"),
        (
            &[rel(4, minus, 2, false, 1)],
            "is the first half of a pair, and the last",
        ),
        (
            &[rel(4, minus, 2, false, 1), rel(4, minus, 2, false, 1)],
            "another first half",
        ),
        (
            &[rel(4, minus, 2, false, 1), rel(8, plus, 2, false, 1)],
            "is not of the same place",
        ),
        (
            &[rel(4, minus, 2, false, 1), rel(4, got, 2, true, 1)],
            "and is not UNSIGNED",
        ),
        (&[rel(14, plus, 2, false, 1)], "lies outside its section"),
    ];
    for (relocations, expected) in cases {
        let symbols = [("_f", GLOBAL, 1, 0, 0), ("_x", UNDEFINED, 0, 0, 0)];
        let error = object(vec![code(&[0; 16], relocations)], &symbols).error();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("__TEXT,__text+0x"), "{error}");
    }
    let numbers = [
        (rel(4, plus, 3, false, 9), "refers to symbol 9 of 2"),
        (
            in_section(rel(4, plus, 3, false, 0), 7),
            "refers to section 7 of 1",
        ),
    ];
    for (relocation, expected) in numbers {
        let symbols = [("_f", GLOBAL, 1, 0, 0), ("_x", UNDEFINED, 0, 0, 0)];
        let error = object(vec![code(&[0; 16], &[relocation])], &symbols).error();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_relocation_lies_in_the_atom_of_its_place() {
    let relocations = [
        rel(12, macho::X86_64_RELOC_BRANCH, 2, true, 0),
        rel(4, macho::X86_64_RELOC_BRANCH, 2, true, 1),
    ];
    let symbols = [("_f", GLOBAL, 1, 0, 0), ("_g", GLOBAL, 1, 0, 8)];
    let object = object(vec![code(&[0; 16], &relocations)], &symbols);
    assert_eq!(edges(&object, 0), [(4, 1, Kind::Branch32.edge(), -4)]);
    assert_eq!(edges(&object, 1), [(4, 0, Kind::Branch32.edge(), -4)]);
    let target = object.graph().symbols[1].target;
    let expected = Target::Defined {
        block: BlockId(1),
        offset: 0,
    };
    assert_eq!(target, expected);
}
