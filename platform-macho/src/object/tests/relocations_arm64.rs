//! Which edges relocations of arm64 become. The formula that an edge computes stands beside each.

use jit_core::cpu::aarch64::Kind;
use jit_core::graph::{BlockId, EdgeKind};
use object::macho::{self, RelocationType};

use crate::test_object::{GLOBAL, Rel, TestObject, UNDEFINED, code, data, object};

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

/// Code of one instruction, with relocations.
fn instruction(word: u32, relocations: &[Rel]) -> TestObject {
    let symbols = [("_f", GLOBAL, 1, 0, 0), ("_x", UNDEFINED, 0, 0, 0)];
    let mut made = object(vec![code(&word.to_le_bytes(), relocations)], &symbols);
    made.cpu = macho::CPU_TYPE_ARM64;
    made
}

fn edges(object: &TestObject, block: u32) -> Vec<(u32, u32, EdgeKind, i64)> {
    let graph = object.graph();
    let edges = graph.edges_of(BlockId(block)).iter();
    edges
        .map(|edge| (edge.offset, edge.target.0, edge.kind, edge.addend))
        .collect()
}

#[test]
fn instructions_have_no_addend_of_their_own() {
    let cases = [
        // bl: L - P.
        (
            0x9400_0000,
            macho::ARM64_RELOC_BRANCH26,
            true,
            Kind::Branch26,
        ),
        // adrp x0: Page(S) - Page(P).
        (0x9000_0000, macho::ARM64_RELOC_PAGE21, true, Kind::Page21),
        // add x0, x0: low bits of S.
        (
            0x9100_0000,
            macho::ARM64_RELOC_PAGEOFF12,
            false,
            Kind::AddLow12,
        ),
        // ldr x0, [x0]: low bits of S, in units of 8.
        (
            0xf940_0000,
            macho::ARM64_RELOC_PAGEOFF12,
            false,
            Kind::Access64Low12,
        ),
        // adrp x0: Page(G + GOT) - Page(P).
        (
            0x9000_0000,
            macho::ARM64_RELOC_GOT_LOAD_PAGE21,
            true,
            Kind::GotPage21,
        ),
        // ldr x0, [x0]: low bits of G + GOT.
        (
            0xf940_0000,
            macho::ARM64_RELOC_GOT_LOAD_PAGEOFF12,
            false,
            Kind::GotLow12,
        ),
        (
            0x9000_0000,
            macho::ARM64_RELOC_TLVP_LOAD_PAGE21,
            true,
            Kind::GotPage21,
        ),
        (
            0xf940_0000,
            macho::ARM64_RELOC_TLVP_LOAD_PAGEOFF12,
            false,
            Kind::GotLow12,
        ),
    ];
    for (word, number, pcrel, kind) in cases {
        let made = edges(&instruction(word, &[rel(0, number, 2, pcrel, 1)]), 0);
        assert_eq!(made, [(0, 1, kind.edge(), 0)], "{}", number.0);
    }
}

#[test]
fn addends_stand_in_a_relocation_of_their_own() {
    let addend = |number: u32| Rel {
        external: false,
        ..rel(0, macho::ARM64_RELOC_ADDEND, 2, false, number)
    };
    let page = rel(0, macho::ARM64_RELOC_PAGE21, 2, true, 1);
    let made = edges(&instruction(0x9000_0000, &[addend(16), page]), 0);
    assert_eq!(made, [(0, 1, Kind::Page21.edge(), 16)]);
    let made = edges(&instruction(0x9000_0000, &[addend(0xff_fff8), page]), 0);
    assert_eq!(made, [(0, 1, Kind::Page21.edge(), -8)]);
    let error = instruction(0, &[addend(16)]).error();
    assert!(
        error.contains("is the first half of a pair, and the last"),
        "{error}"
    );
    let error = instruction(0, &[addend(16), addend(16)]).error();
    assert!(error.contains("another first half"), "{error}");
}

#[test]
fn data_are_pointers_and_differences() {
    let (plus, minus) = (macho::ARM64_RELOC_UNSIGNED, macho::ARM64_RELOC_SUBTRACTOR);
    let mut bytes = [0; 16];
    bytes[0] = 8;
    let relocations = [
        rel(8, minus, 2, false, 0),
        rel(8, plus, 2, false, 1),
        rel(0, plus, 3, false, 1),
    ];
    let symbols = [("_f", GLOBAL, 1, 0, 0), ("_x", UNDEFINED, 0, 0, 0)];
    let sections = vec![code(&[0; 4], &[]), data(&bytes, &relocations)];
    let mut made = object(sections, &symbols);
    made.cpu = macho::CPU_TYPE_ARM64;
    let expected = [
        // S + 8.
        (0, 1, Kind::Pointer64.edge(), 8),
        (8, 0, EdgeKind::SUBTRAHEND, 0),
        // S(_x) - S(_f).
        (8, 1, Kind::Difference32.edge(), 0),
    ];
    assert_eq!(edges(&made, 1), expected);
}

#[test]
fn authenticated_pointers_are_refused() {
    let pointer = rel(0, macho::ARM64_RELOC_AUTHENTICATED_POINTER, 3, false, 1);
    let error = instruction(0, &[pointer]).error();
    assert!(
        error.contains("is an authenticated pointer (arm64e)"),
        "{error}"
    );
    assert!(error.contains("__TEXT,__text+0x0"), "{error}");
}
