//! Frames of small objects.

use jit_core::cpu::x86_64::Kind;
use jit_core::graph::{BlockId, LinkGraph};
use object::macho;

use crate::test_object::{
    GLOBAL, LOCAL, Rel, TestObject, TestSection, UNDEFINED, code, data, object,
};

/// A CIE, and an FDE of 16 bytes of code at address 0, for a section at address 0x80: the distances are
/// written out.
pub(crate) const FRAMES: [u8; 56] = {
    let mut bytes = [0; 56];
    let cie = [
        0x14, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x10, 0x0c, 7, 8, 0x90, 1, 0,
        0,
    ];
    let fde = [
        0x1c, 0, 0, 0, 0x1c, 0, 0, 0, 0x60, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 16,
    ];
    let mut at = 0;
    while at < cie.len() {
        bytes[at] = cie[at];
        at += 1;
    }
    at = 0;
    while at < fde.len() {
        bytes[24 + at] = fde[at];
        at += 1;
    }
    bytes
};

fn frames(bytes: &[u8], relocations: &[Rel]) -> TestSection {
    TestSection {
        segment: "__TEXT",
        name: "__eh_frame",
        align: 7,
        ..data(bytes, relocations)
    }
}

fn compact(entries: &[(u32, u32)], relocations: &[Rel]) -> TestSection {
    let entry = |(length, encoding): &(u32, u32)| {
        let mut bytes = vec![0; 8];
        bytes.extend(length.to_le_bytes());
        bytes.extend(encoding.to_le_bytes());
        bytes.extend([0; 16]);
        bytes
    };
    TestSection {
        segment: "__LD",
        name: "__compact_unwind",
        ..data(
            &entries.iter().flat_map(entry).collect::<Vec<u8>>(),
            relocations,
        )
    }
}

fn pointer(at: u32, symbol: u32) -> Rel {
    Rel {
        at,
        symbol,
        pcrel: false,
        length: 3,
        external: true,
        kind: macho::X86_64_RELOC_UNSIGNED,
    }
}

const SYMBOLS: [(&str, u8, u8, u16, u64); 4] = [
    ("_f", GLOBAL, 1, 0, 0),
    ("_g", GLOBAL, 1, 0, 16),
    ("___gxx_personality_v0", UNDEFINED, 0, 0, 0),
    ("_table", LOCAL, 1, 0x200, 24),
];

/// Per frame, the block of code, and the bytes of the FDE.
fn made(graph: &LinkGraph) -> Vec<(u32, Vec<u8>)> {
    let frame = |frame: &jit_core::graph::Frame| {
        let bytes = graph.content(frame.block);
        let start = frame.offset as usize;
        (
            frame.code.0,
            bytes[start..start + frame.length as usize].to_vec(),
        )
    };
    graph.frames.iter().map(frame).collect()
}

#[test]
fn distances_without_relocations_become_edges() {
    let graph = object(vec![code(&[0x90; 32], &[]), frames(&FRAMES, &[])], &SYMBOLS).graph();
    assert_eq!(graph.frames.len(), 1);
    let frame = graph.frames[0];
    assert_eq!(
        (frame.code, frame.code_offset, frame.offset, frame.length),
        (BlockId(0), 0, 24, 32)
    );
    let edge = graph.edges[frame.edges.0 as usize];
    // S - P, where S is the function's beginning.
    assert_eq!(
        (edge.offset, edge.kind, edge.addend),
        (32, Kind::Delta64.edge(), 0)
    );
    let first_of_blocks = SYMBOLS.len() as u32;
    assert_eq!(
        edge.target.0, first_of_blocks,
        "the atom, and not the symbol, which may lose"
    );
    assert_eq!(graph.content(frame.block)[32..40], [0; 8]);
}

#[test]
fn differences_with_relocations_are_the_same() {
    // pc begin is _f - (its own place): the field has the negative offset of the field from the symbol.
    let mut bytes = FRAMES;
    bytes[32..40].copy_from_slice(&(-32i64).to_le_bytes());
    let minus = Rel {
        kind: macho::X86_64_RELOC_SUBTRACTOR,
        ..pointer(32, 4)
    };
    let mut symbols = SYMBOLS.to_vec();
    symbols.push(("EH_frame1", LOCAL, 2, 0, 0x80));
    let section = frames(&bytes, &[minus, pointer(32, 0)]);
    let graph = object(vec![code(&[0x90; 32], &[]), section], &symbols).graph();
    assert_eq!(graph.frames.len(), 1);
    assert_eq!(graph.frames[0].code, BlockId(0));
}

#[test]
fn entries_become_frames_where_there_are_none() {
    let rbp = 0x0100_0000;
    let entries = compact(
        &[(16, 0x0400_0000), (8, rbp)],
        &[pointer(0, 0), pointer(32, 1)],
    );
    let graph = object(
        vec![code(&[0x90; 32], &[]), frames(&FRAMES, &[]), entries],
        &SYMBOLS,
    )
    .graph();
    let frames = made(&graph);
    assert_eq!(frames.len(), 2);
    let (code, fde) = &frames[1];
    assert_eq!(*code, 1);
    // Length of the code, no augmentation; DW_CFA_def_cfa rbp 16, DW_CFA_offset rbp 2.
    assert_eq!(
        fde[16..30],
        [8, 0, 0, 0, 0, 0, 0, 0, 0, 0x0c, 6, 16, 0x86, 2]
    );
}

#[test]
fn personality_and_table_are_taken_over() {
    let entries = compact(
        &[(16, 0x0100_0000)],
        &[pointer(0, 0), pointer(16, 2), pointer(24, 3)],
    );
    let graph = object(vec![code(&[0x90; 32], &[]), entries], &SYMBOLS).graph();
    let frame = graph.frames[0];
    let home = graph.content(frame.block);
    assert_eq!(home[8..16], *b"\x01zPLR\0\x01\x78");
    // Return address in column 16; 7 bytes: an indirect distance of 4 bytes, and distances of 8.
    assert_eq!(home[16..19], [16, 7, 0x9b]);
    let of_cie = graph.edges_of(frame.block)[0];
    // G + GOT - P.
    assert_eq!(
        (of_cie.offset, of_cie.target.0, of_cie.kind, of_cie.addend),
        (19, 2, Kind::GotDelta32.edge(), 0)
    );
    assert_eq!(home[23..25], [0x10, 0x10]);
    let of_fde = &graph.edges[frame.edges.0 as usize..frame.edges.1 as usize];
    let of_fde: Vec<_> = of_fde
        .iter()
        .map(|edge| (edge.offset - frame.offset, edge.target.0))
        .collect();
    assert_eq!(of_fde, [(8, 0), (25, 3)]);
    assert_eq!(
        home[frame.offset as usize + 24],
        8,
        "the table's address has 8 bytes"
    );
}

#[test]
fn what_compilers_for_arm64_leave_in_the_field_of_a_personality_means_nothing() {
    // A CIE with a personality routine, and an FDE of 16 bytes of code at 0, for a section at 0x80.
    let mut bytes = vec![0x18, 0, 0, 0, 0, 0, 0, 0, 1];
    bytes.extend(b"zPR\0");
    bytes.extend([4, 0x78, 30, 6, 0x9b]);
    bytes.extend((-18i32).to_le_bytes());
    bytes.extend([0x10, 0x0c, 31, 0, 0, 0]);
    bytes.extend([0x18, 0, 0, 0, 0x20, 0, 0, 0]);
    bytes.extend((-0xa4i64).to_le_bytes());
    bytes.extend(16u64.to_le_bytes());
    bytes.extend([0; 4]);
    let personality = Rel {
        at: 18,
        symbol: 2,
        pcrel: true,
        length: 2,
        external: true,
        kind: macho::ARM64_RELOC_POINTER_TO_GOT,
    };
    let sections = vec![code(&[0; 32], &[]), frames(&bytes, &[personality])];
    let made = TestObject {
        cpu: macho::CPU_TYPE_ARM64,
        ..object(sections, &SYMBOLS)
    };
    let graph = made.graph();
    let edge = graph.edges_of(graph.frames[0].block)[0];
    let kind = jit_core::cpu::aarch64::Kind::GotDelta32.edge();
    assert_eq!((edge.offset, edge.target.0), (18, 2));
    assert_eq!((edge.kind, edge.addend), (kind, 0));
}

/// A change of the frames.
type Change<'a> = &'a dyn Fn(&mut [u8; 56]);

#[test]
fn a_table_may_be_empty() {
    let mut bytes = FRAMES.to_vec();
    // The CIE says that FDEs lead to tables ("zLR"), and the FDE leads to one at address 32.
    let with_table = [
        b'z', b'L', b'R', 0, 1, 0x78, 16, 2, 0x10, 0x10, 0x0c, 7, 8, 0x90, 1,
    ];
    bytes[9..24].copy_from_slice(&with_table);
    bytes.resize(60, 0);
    bytes[24] = 0x20;
    bytes[48] = 8;
    bytes[49..57].copy_from_slice(&(32i64 - 0x80 - 49).to_le_bytes());
    let table = TestSection {
        segment: "__TEXT",
        name: "__gcc_except_tab",
        ..data(&[], &[])
    };
    let sections = vec![code(&[0x90; 32], &[]), table, frames(&bytes, &[])];
    let graph = object(sections, &SYMBOLS).graph();
    let (start, end) = graph.frames[0].edges;
    assert_eq!(end - start, 2, "the code, and the table");
    let edge = graph.edges[start as usize + 1];
    let first_of_blocks = SYMBOLS.len() as u32;
    assert_eq!((edge.offset, edge.target.0), (49, first_of_blocks + 2));
}

#[test]
fn damaged_frames_are_refused_with_their_place() {
    let error = |change: &dyn Fn(&mut [u8; 56])| {
        let mut bytes = FRAMES;
        change(&mut bytes);
        let made: TestObject = object(vec![code(&[0x90; 32], &[]), frames(&bytes, &[])], &SYMBOLS);
        made.error()
    };
    let cases: [(Change<'_>, &str); 4] = [
        (&|bytes| bytes[24] = 0xff, "+0x18 ends beyond its section"),
        (
            &|bytes| bytes[28] = 0x10,
            "+0x18 refers to a CIE that does not exist",
        ),
        (&|bytes| bytes[8] = 9, "+0x0 is no CIE that is known"),
        (
            &|bytes| bytes[33] = 0x00,
            "+0x18 describes code or a table that is not in memory",
        ),
    ];
    for (change, expected) in cases {
        let error = error(change);
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("__TEXT,__eh_frame"), "{error}");
    }
}
