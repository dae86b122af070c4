use jit_core::graph::LinkGraph;

use crate::test_object::{Loaded, RawSection, RawSymbol, write};

const CIE: [u8; 20] = [
    16, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 0, 0, 0,
];
const TERMINATOR: [u8; 4] = [0; 4];

/// An FDE of 20 bytes; `back` is the distance from its CIE pointer to the CIE.
fn fde(back: u32) -> Vec<u8> {
    let mut fde = vec![16, 0, 0, 0];
    fde.extend_from_slice(&back.to_le_bytes());
    fde.extend_from_slice(&[0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
    fde
}

/// An object with 16 bytes of code, `.eh_frame` of these bytes, and `PC32` relocations at these
/// offsets of it, each to the code at the other offset.
fn object(eh_frame: &[u8], relocations: &[(u64, i64)], kind: u32) -> Loaded {
    let data = relocations
        .iter()
        .flat_map(|&(offset, code)| {
            [
                offset.to_le_bytes(),
                (1u64 << 32 | 2).to_le_bytes(),
                code.to_le_bytes(),
            ]
            .concat()
        })
        .collect();
    let section = |name, kind, flags, link, info, data| RawSection {
        name,
        kind,
        flags,
        link,
        info,
        align: 1,
        data,
    };
    let sections = [
        section(".text", 1, 6, 0, 0, vec![0xc3; 16]),
        section(".eh_frame", kind, 2, 0, 0, eh_frame.to_vec()),
        section(".rela.eh_frame", 4, 0, 4, 2, data),
    ];
    let code = RawSymbol {
        info: 3,
        section: 1,
        ..Default::default()
    };
    Loaded::new(write(&sections, &[code], 2))
}

/// Every frame as (offset, length, offset of the code, whether the code is live).
fn frames(graph: &LinkGraph) -> Vec<(u32, u32, u64, bool)> {
    graph
        .frames
        .iter()
        .map(|f| {
            (
                f.offset,
                f.length,
                f.code_offset,
                graph.blocks[f.code.0 as usize].live,
            )
        })
        .collect()
}

#[test]
fn frames_are_sorted_by_code() {
    let bytes = [&CIE[..], &fde(24), &fde(44), &fde(64)].concat();
    for kind in [1, 0x7000_0001] {
        let graph = object(&bytes, &[(28, 8), (48, 0), (68, 4)], kind).graph();
        assert_eq!(
            frames(&graph),
            [(40, 20, 0, true), (60, 20, 4, true), (20, 20, 8, true)]
        );
        assert_eq!(graph.blocks[0].frames, 0..3);
        let offsets = graph
            .frames
            .iter()
            .map(|f| graph.edges[f.edges.0 as usize].offset);
        assert_eq!(offsets.collect::<Vec<_>>(), [48, 68, 28]);
        assert!(graph.frames.iter().all(|f| f.edges.1 - f.edges.0 == 1));
    }
}

#[test]
fn relocations_may_come_in_any_order() {
    let bytes = [&CIE[..], &fde(24), &fde(44)].concat();
    let graph = object(&bytes, &[(48, 0), (28, 8)], 1).graph();
    assert_eq!(frames(&graph), [(40, 20, 0, true), (20, 20, 8, true)]);
}

#[test]
fn reading_goes_on_behind_a_terminator() {
    let bytes = [&CIE[..], &fde(24), &TERMINATOR, &CIE, &fde(24), &TERMINATOR].concat();
    let graph = object(&bytes, &[(28, 0), (72, 4)], 1).graph();
    assert_eq!(frames(&graph), [(20, 20, 0, true), (64, 20, 4, true)]);
}

#[test]
fn a_frame_without_relocation_describes_dead_code() {
    let bytes = [&CIE[..], &fde(24), &fde(44)].concat();
    let graph = object(&bytes, &[(28, 0)], 1).graph();
    assert_eq!(frames(&graph), [(20, 20, 0, true), (40, 20, 0, false)]);
    let dead = graph.frames[1];
    assert_eq!(dead.edges.0, dead.edges.1);
}

#[test]
fn sixty_four_bit_lengths() {
    let mut long = vec![0xff, 0xff, 0xff, 0xff];
    long.extend_from_slice(&16u64.to_le_bytes());
    long.extend_from_slice(&32u32.to_le_bytes());
    long.extend_from_slice(&[0; 12]);
    let bytes = [&CIE[..], &long].concat();
    let graph = object(&bytes, &[(36, 12)], 1).graph();
    assert_eq!(frames(&graph), [(20, 28, 12, true)]);
    // A length that only fits 64 bits reaches beyond the section.
    let mut longer = bytes.clone();
    longer[28] = 1;
    let error = object(&longer, &[], 1).build_error();
    assert!(
        error.contains(".eh_frame+0x14 ends beyond its section"),
        "{error}"
    );
}

#[test]
fn damaged_records_are_refused() {
    for (bytes, expected) in [
        (
            [&CIE[..], &fde(25)].concat(),
            ".eh_frame+0x14 refers to a CIE that does not exist",
        ),
        ([&CIE[..], &fde(0xffff)].concat(), "refers to a CIE"),
        (
            [&CIE[..], &fde(24)[..12]].concat(),
            ".eh_frame+0x14 ends beyond its section",
        ),
        (
            [&CIE[..], &[2, 0, 0, 0, 0, 0]].concat(),
            ".eh_frame+0x14 is too short",
        ),
        ([&CIE[..], &[1, 2]].concat(), "ends beyond its section"),
    ] {
        let error = object(&bytes, &[], 1).build_error();
        assert!(error.contains(expected), "{error} lacks {expected}");
    }
    assert!(
        object(&[&CIE[..], &[0, 0]].concat(), &[], 1)
            .graph()
            .frames
            .is_empty()
    );
}

#[test]
fn several_sections_of_one_object() {
    let section = |name, kind, flags, link, info, data| RawSection {
        name,
        kind,
        flags,
        link,
        info,
        align: 1,
        data,
    };
    let eh_frame = || [&CIE[..], &fde(24)].concat();
    let relocation = |code: u64| {
        [28u64, 1 << 32 | 2, code]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let sections = [
        section(".text", 1, 6, 0, 0, vec![0xc3; 16]),
        section(".eh_frame", 1, 2, 0, 0, eh_frame()),
        section(".eh_frame", 1, 2, 0, 0, eh_frame()),
        section(".rela.eh_frame", 4, 0, 6, 2, relocation(8)),
        section(".rela.eh_frame", 4, 0, 6, 3, relocation(0)),
    ];
    let code = RawSymbol {
        info: 3,
        section: 1,
        ..Default::default()
    };
    let graph = Loaded::new(write(&sections, &[code], 2)).graph();
    let homes: Vec<_> = graph
        .frames
        .iter()
        .map(|f| (f.block.0, f.code_offset))
        .collect();
    assert_eq!(homes, [(2, 0), (1, 8)]);
    assert_eq!(graph.blocks[0].frames, 0..2);
}
