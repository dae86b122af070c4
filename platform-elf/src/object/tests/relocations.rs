//! Relocation sections of every form.

use jit_core::cpu::{Kinds, x86_64::Kind};
use jit_core::graph::{Edge, SymbolId};
use jit_core::object::{Claims, ObjectFile};

use crate::test_object::{Loaded, RawSection, RawSymbol, assemble, write};

const RELA: u32 = 4;
const REL: u32 = 9;
const CREL: u32 = 0x4000_0014;

/// An object with a section of `content` and one relocation section for it.
fn with_relocations(kind: u32, data: Vec<u8>, content: &[u8]) -> Vec<u8> {
    let text = RawSection {
        name: ".text",
        kind: 1,
        flags: 6,
        align: 1,
        data: content.to_vec(),
        ..Default::default()
    };
    let relocations = RawSection {
        name: ".rel.text",
        kind,
        link: 3,
        info: 1,
        align: 1,
        data,
        ..Default::default()
    };
    let symbol = |name| RawSymbol {
        name,
        info: 0x10,
        ..Default::default()
    };
    write(&[text, relocations], &[symbol("a"), symbol("b")], 1)
}

fn rela(entries: &[(u64, u32, u32, i64)]) -> Vec<u8> {
    let entry = |&(offset, symbol, kind, addend): &(u64, u32, u32, i64)| {
        let info = u64::from(symbol) << 32 | u64::from(kind);
        [
            offset.to_le_bytes(),
            info.to_le_bytes(),
            addend.to_le_bytes(),
        ]
        .concat()
    };
    entries.iter().flat_map(entry).collect()
}

fn edges(object: Vec<u8>) -> Result<Vec<Edge>, String> {
    let loaded = Loaded::new(object);
    match loaded.object.build_graph(&Claims::default()) {
        Ok(graph) => Ok(graph.edges),
        Err(error) => Err(error.message),
    }
}

fn edge(offset: u32, target: u32, kind: Kind, addend: i64) -> Edge {
    Edge {
        offset,
        target: SymbolId(target),
        addend,
        kind: kind.edge(),
    }
}

#[test]
fn explicit_addends() {
    let data = rela(&[(0, 1, 1, -3), (8, 2, 2, 5), (12, 0, 0, 0), (0, 1, 250, 0)]);
    let expected = [
        edge(0, 1, Kind::Pointer64, -3),
        edge(8, 2, Kind::Delta32, 5),
        edge(12, 0, Kind::None, 0),
    ];
    assert_eq!(
        edges(with_relocations(RELA, data, &[0; 12])),
        Ok(expected.to_vec())
    );
}

#[test]
fn implicit_addends() {
    let mut content = vec![0; 12];
    content[..8].copy_from_slice(&(-9i64).to_le_bytes());
    content[8..].copy_from_slice(&(-4i32).to_le_bytes());
    let data: Vec<u8> = [0u64, 1 << 32 | 1, 8, 2 << 32 | 4]
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .collect();
    let expected = [
        edge(0, 1, Kind::Pointer64, -9),
        edge(8, 2, Kind::Branch32, -4),
    ];
    assert_eq!(
        edges(with_relocations(REL, data, &content)),
        Ok(expected.to_vec())
    );
}

#[test]
fn compact_relocations() {
    // Header: 2 relocations, addends, shift 0. Then offset delta and flags (bit 0 symbol, 1 type,
    // 2 addend), and the deltas in signed LEB128.
    let data = vec![2 << 3 | 1 << 2, 0b111, 1, 1, 0x7d, 8 << 3 | 0b111, 1, 1, 8];
    let expected = [
        edge(0, 1, Kind::Pointer64, -3),
        edge(8, 2, Kind::Delta32, 5),
    ];
    assert_eq!(
        edges(with_relocations(CREL, data, &[0; 12])),
        Ok(expected.to_vec())
    );
    // Without addends they lie in the fields.
    let data = vec![1 << 3, 0b11, 1, 1];
    let content = (-7i64).to_le_bytes();
    let expected = [edge(0, 1, Kind::Pointer64, -7)];
    assert_eq!(
        edges(with_relocations(CREL, data, &content)),
        Ok(expected.to_vec())
    );
    let truncated = vec![9 << 3, 0b11, 1, 1];
    let error = edges(with_relocations(CREL, truncated, &content)).expect_err("refused");
    assert!(error.contains("ends within a relocation"), "{error}");
}

#[test]
fn a_relocation_lies_in_its_section_and_has_a_symbol() {
    let one = |offset, symbol, kind| {
        edges(with_relocations(
            RELA,
            rela(&[(offset, symbol, kind, 0)]),
            &[0; 8],
        ))
    };
    assert!(one(0, 1, 1).is_ok());
    assert!(one(4, 1, 2).is_ok());
    for (offset, symbol, kind, expected) in [
        (1, 1, 1, "outside the section"),
        (5, 1, 2, "outside the section"),
        (u64::MAX, 1, 2, "outside the section"),
        (0, 3, 1, "refers to symbol 3 of 3"),
    ] {
        let error = one(offset, symbol, kind).expect_err(expected);
        assert!(
            error.contains(expected) && error.contains(".rel.text"),
            "{error}"
        );
    }
}

#[test]
fn unsupported_relocations_are_all_named() {
    let data = rela(&[(0, 1, 16, 0), (0, 2, 200, 0), (4, 2, 200, 0)]);
    let error = edges(with_relocations(RELA, data, &[0; 16])).expect_err("refused");
    assert_eq!(
        error,
        "unsupported relocation R_X86_64_DTPMOD64 (16), which only linked files may have, against a at .text+0x0; \
         unsupported relocation of unknown type 200 against b at .text+0x0"
    );
}

#[test]
fn sections_without_content_cannot_be_relocated() {
    let bss = RawSection {
        name: ".bss",
        kind: 8,
        flags: 3,
        align: 1,
        data: vec![0; 8],
        ..Default::default()
    };
    let data = rela(&[(0, 1, 1, 0)]);
    let relocations = RawSection {
        name: ".rela.bss",
        kind: RELA,
        link: 3,
        info: 1,
        align: 1,
        data,
        ..Default::default()
    };
    let symbol = RawSymbol {
        name: "a",
        info: 0x10,
        ..Default::default()
    };
    let twice = [
        bss.clone(),
        relocations.clone(),
        RawSection {
            kind: 1,
            ..bss.clone()
        },
    ];
    let error = edges(write(&twice[..2], &[symbol], 1)).expect_err("refused");
    assert!(error.contains("without content"), "{error}");
}

#[test]
fn a_section_has_one_relocation_section() {
    let text = RawSection {
        name: ".text",
        kind: 1,
        flags: 6,
        align: 1,
        data: vec![0; 8],
        ..Default::default()
    };
    let relocations = RawSection {
        name: ".rela.text",
        kind: RELA,
        link: 4,
        info: 1,
        align: 1,
        data: rela(&[(0, 1, 1, 0)]),
        ..Default::default()
    };
    let symbol = RawSymbol {
        name: "a",
        info: 0x10,
        ..Default::default()
    };
    let error = edges(write(
        &[text, relocations.clone(), relocations],
        &[symbol],
        1,
    ))
    .expect_err("refused");
    assert!(
        error.contains(".text has two relocation sections"),
        "{error}"
    );
}

#[test]
fn what_assemblers_write() {
    let object = assemble(
        ".text\ncall f@plt\nmovq g@gotpcrel(%rip), %rax\nmovl g@gotpcrel(%rip), %eax\n\
         movq t@gottpoff(%rip), %rax\nleaq t@tlsgd(%rip), %rdi\nleaq t@tlsld(%rip), %rdi\n\
         leaq t@tlsdesc(%rip), %rax\ncall *t@tlscall(%rax)\nmovabsq $f, %rax\n\
         movabsq $g@got, %rax\nmovabsq $g@gotoff, %rax\nmovabsq $f@pltoff, %rax\n\
         leaq _GLOBAL_OFFSET_TABLE_(%rip), %rbx\nmovl $f, %eax\nmovq $f, %rax\n\
         movq %rax, %rax\n.long g@size\n.quad f - .\n.quad g@size\n.short f\n.byte f\n.quad t@tpoff\n\
         .quad t@dtpoff\n.long t@dtpoff\n",
    );
    let kinds: Vec<Kind> = edges(object)
        .expect("accepted")
        .iter()
        .map(|edge| Kind::from_edge(edge.kind).expect("a kind of x86-64"))
        .collect();
    use Kind::*;
    assert_eq!(
        kinds,
        [
            Branch32,
            GotDelta32RexRelaxable,
            GotDelta32Relaxable,
            TlsInitialExec,
            TlsGeneralDynamic,
            TlsLocalDynamic,
            TlsDescriptor,
            TlsDescriptorCall,
            Pointer64,
            GotOffset64,
            DeltaFromGot64,
            PltOffset64,
            GotBaseDelta32,
            Pointer32,
            Pointer32Signed,
            Size32,
            Delta64,
            Size64,
            Pointer16,
            Pointer8,
            TpOffset64,
            ModuleOffset64,
            ModuleOffset32,
        ]
    );
}

#[test]
fn sizes_of_relocation_sections_do_not_overflow() {
    let section = |name, kind, flags, link, info| RawSection {
        name,
        kind,
        flags,
        link,
        info,
        align: 1,
        data: vec![0; 8],
    };
    let relocations = section(".crel.text", CREL, 0, 4, 1);
    let sections = [
        section(".text", 1, 6, 0, 0),
        relocations.clone(),
        relocations,
    ];
    let mut object = write(&sections, &[], 1);
    let headers = u64::from_le_bytes(object[40..48].try_into().expect("8 bytes")) as usize;
    for number in [2, 3] {
        let size = headers + number * 64 + 32;
        object[size..size + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    }
    let error = Loaded::try_new(object).err().expect("refused").message;
    assert!(error.contains("lies outside the file"), "{error}");
}
