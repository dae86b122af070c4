//! Sections become atoms, and symbols what the session knows of them.

use jit_core::graph::{BlockId, Content, SectionKind, Target};
use jit_core::object::{ComputationInput, Linkage, ObjectFile as _, Scope, SymbolKind};
use object::macho;

use crate::test_object::{GLOBAL, LOCAL, TestSection, UNDEFINED, code, data, object};

const ALT_ENTRY: u16 = 0x200;
const WEAK_DEF: u16 = 0x80;
const WEAK_REF: u16 = 0x40;
const NO_DEAD_STRIP: u16 = 0x20;

fn place(block: u32, offset: u64) -> Target {
    Target::Defined {
        block: BlockId(block),
        offset,
    }
}

#[test]
fn sections_are_taken_apart_at_symbols_that_are_no_other_entries() {
    let symbols = [
        ("_f", GLOBAL, 1, 0, 0),
        ("_inner", GLOBAL, 1, ALT_ENTRY, 4),
        ("_g", LOCAL, 1, 0, 8),
        ("_end", LOCAL, 1, 0, 16),
    ];
    let graph = object(vec![code(&[0x90; 16], &[])], &symbols).graph();
    let sizes: Vec<u64> = graph.blocks.iter().map(|block| block.size).collect();
    assert_eq!(sizes, [8, 8]);
    let targets: Vec<Target> = graph.symbols[..4]
        .iter()
        .map(|symbol| symbol.target)
        .collect();
    assert_eq!(
        targets,
        [place(0, 0), place(0, 4), place(1, 0), place(1, 8)]
    );
    let aligned: Vec<u64> = graph.blocks.iter().map(|block| block.align).collect();
    assert_eq!(aligned, [16, 8], "the second one lies 8 bytes behind 16");
}

#[test]
fn without_leave_a_section_stays_whole() {
    let symbols = [("_f", GLOBAL, 1, 0, 0), ("_g", LOCAL, 1, 0, 8)];
    let mut whole = object(vec![code(&[0x90; 16], &[])], &symbols);
    whole.flags = 0;
    let graph = whole.graph();
    assert_eq!(graph.blocks.len(), 1);
    let second = graph.symbols[1].target;
    assert_eq!(second, place(0, 8));
}

#[test]
fn definitions_and_references_have_the_names_of_c() {
    let symbols = [
        ("_f", GLOBAL, 1, 0, 0),
        ("_weak", GLOBAL, 1, WEAK_DEF, 8),
        ("_hidden", GLOBAL | 0x10, 1, 0, 12),
        ("_local", LOCAL, 1, 0, 4),
        ("_common", UNDEFINED, 0, 3 << 8, 24),
        ("_abs", 3, 0, 0, 42),
        ("_x", UNDEFINED, 0, 0, 0),
        ("_maybe", UNDEFINED, 0, WEAK_REF, 0),
        ("no_underscore", UNDEFINED, 0, 0, 0),
    ];
    let read = object(vec![code(&[0x90; 16], &[])], &symbols)
        .read()
        .expect("an object");
    let text = |name| String::from_utf8(read.names.bytes(name).to_vec()).expect("a name");
    let interface = read.interface();
    let definitions: Vec<_> = interface
        .definitions
        .iter()
        .map(|it| (text(it.name), it.linkage, it.scope, it.kind))
        .collect();
    let common = Linkage::Common { size: 24, align: 8 };
    let expected = [
        ("f", Linkage::Strong, Scope::Default, SymbolKind::Function),
        ("weak", Linkage::Weak, Scope::Default, SymbolKind::Function),
        (
            "hidden",
            Linkage::Strong,
            Scope::Hidden,
            SymbolKind::Function,
        ),
        ("common", common, Scope::Default, SymbolKind::Data),
        ("abs", Linkage::Strong, Scope::Default, SymbolKind::None),
    ];
    assert_eq!(
        definitions,
        expected.map(|(name, a, b, c)| (name.to_owned(), a, b, c))
    );
    let references: Vec<_> = interface
        .references
        .iter()
        .map(|it| (text(it.name), it.weak))
        .collect();
    let expected = [("x", false), ("maybe", true), ("no_underscore", false)];
    assert_eq!(
        references,
        expected.map(|(name, weak)| (name.to_owned(), weak))
    );
}

#[test]
fn common_symbols_and_zeros_have_blocks_without_bytes() {
    let zeros = TestSection {
        name: "__bss",
        flags: macho::S_ZEROFILL.to_flags(),
        bytes: Vec::new(),
        zeros: 32,
        ..data(&[], &[])
    };
    let symbols = [
        ("_a", LOCAL, 1, 0, 16),
        ("_common", UNDEFINED, 0, 4 << 8, 100),
    ];
    let graph = object(vec![zeros], &symbols).graph();
    let zero: Vec<_> = graph
        .blocks
        .iter()
        .map(|it| (it.content == Content::Zero, it.size))
        .collect();
    assert_eq!(zero, [(true, 16), (true, 16), (true, 100)]);
    assert_eq!(graph.commons.len(), 1);
    assert_eq!(graph.blocks[2].align, 16);
}

#[test]
fn what_must_stay_is_retained() {
    let pointers = TestSection {
        name: "__mod_init_func",
        flags: macho::S_MOD_INIT_FUNC_POINTERS.to_flags(),
        ..data(&[0; 8], &[])
    };
    let symbols = [
        ("_kept", LOCAL, 1, NO_DEAD_STRIP, 0),
        ("_other", LOCAL, 1, 0, 8),
    ];
    let made = object(vec![data(&[0; 16], &[]), pointers], &symbols);
    assert!(made.read().expect("an object").interface().has_initializers);
    let graph = made.graph();
    assert_eq!(graph.retained, [BlockId(0), BlockId(2)]);
    let section = &graph.sections[graph.blocks[2].section.0 as usize];
    assert_eq!(section.kind, SectionKind::RelocatedReadOnly);
}

#[test]
fn files_that_are_no_objects_are_refused_by_what_they_are() {
    let mut other = object(vec![code(&[0x90], &[])], &[]);
    other.cpu = macho::CPU_TYPE_POWERPC64;
    let error = other.error();
    assert!(
        error.contains("for the CPU type 0x1000012: compile for x86-64 or arm64"),
        "{error}"
    );
    let mut linked = object(Vec::new(), &[]).bytes();
    linked[12] = 2;
    let error = crate::test_object::read(linked)
        .err()
        .expect("an error")
        .to_string();
    assert!(error.contains("is a linked Mach-O file"), "{error}");
}

#[test]
fn another_name_of_a_symbol_is_computed_from_it() {
    const INDIRECT: u8 = 0xb;
    // The value is the place of the other name in the table of names, which begins with a NUL.
    let symbols = [
        ("_alias", INDIRECT, 0, 0, 8),
        ("_target", UNDEFINED, 0, 0, 0),
    ];
    let object_of = |symbols: &[_]| object(vec![code(&[0x90], &[])], symbols);
    let read = object_of(&symbols).read().expect("an object");
    let interface = read.interface();
    let definition = interface.definitions.first().expect("a definition");
    assert_eq!(
        (definition.symbol, definition.linkage),
        (0, Linkage::Strong)
    );
    assert_eq!(interface.references.len(), 1, "what it is a name of");
    let graph = object_of(&symbols).graph();
    let Target::Computed { block, .. } = graph.symbols[0].target else {
        panic!("it is computed");
    };
    let kept: Vec<u32> = graph.edges_of(block).iter().map(|it| it.target.0).collect();
    assert_eq!(kept, [1], "what it is a name of stays with it");
    let computation = read.computation().expect("there is one");
    let values = computation.compute(&|_| ComputationInput::Known(77));
    assert_eq!(values, Ok(vec![(0, 77)]));
    let unusable = computation.compute(&|_| ComputationInput::Unusable("it is gone"));
    let expected = "the symbol _alias is another name of _target, which cannot be had: it is gone";
    assert_eq!(unusable, Err(expected.to_owned()));
}

#[test]
fn other_names_of_nothing_are_refused() {
    const INDIRECT: u8 = 0xb;
    let refused = |symbols: &[_]| object(vec![code(&[0x90], &[])], symbols).error();
    let nowhere = "_f is another name of a symbol that the object does not have";
    for value in [1, 99, u64::MAX] {
        let error = refused(&[("_f", INDIRECT, 0, 0, value)]);
        assert!(error.contains(nowhere), "{error}");
    }
}

#[test]
fn other_names_may_be_local() {
    const LOCAL_INDIRECT: u8 = 0xa;
    let symbols = [
        ("_alias", LOCAL_INDIRECT, 0, 0, 8),
        ("_target", LOCAL, 1, 0, 4),
    ];
    let made = object(vec![code(&[0x90; 8], &[])], &symbols);
    let read = made.read().expect("an object");
    assert!(read.interface().definitions.is_empty());
    let computation = read.computation().expect("there is one");
    let values = computation.compute(&|number| ComputationInput::Known(number.into()));
    assert_eq!(values, Ok(vec![(0, 1)]));
    let target = made.graph().symbols[0].target;
    assert!(matches!(target, Target::Computed { .. }), "{target:?}");
}

/// A section of literals.
fn literals(name: &'static str, kind: macho::SectionType, bytes: &[u8]) -> TestSection {
    TestSection {
        segment: "__TEXT",
        name,
        flags: kind.to_flags(),
        ..data(bytes, &[])
    }
}

#[test]
fn each_literal_is_a_block_that_may_be_merged() {
    let sections = vec![
        literals("__cstring", macho::S_CSTRING_LITERALS, b"one\0two\0\0"),
        literals("__literal4", macho::S_4BYTE_LITERALS, &[1; 8]),
        literals("__literal16", macho::S_16BYTE_LITERALS, &[2; 32]),
        literals("__ustring", macho::S_REGULAR, b"a\0\0\0b\0\0\0"),
        data(&[3; 16], &[]),
    ];
    // A symbol within a string takes nothing apart.
    let symbols = [("_within", LOCAL, 1, 0, 1), ("_two", LOCAL, 1, 0, 4)];
    let graph = object(sections, &symbols).graph();
    let blocks: Vec<(&[u8], bool, u64)> = (0u32..)
        .zip(&graph.blocks)
        .map(|(number, block)| {
            let section = &graph.sections[block.section.0 as usize];
            let content = graph.content(BlockId(number));
            (content, section.mergeable, block.align)
        })
        .collect();
    let expected: [(&[u8], bool, u64); 10] = [
        (b"one\0", true, 8),
        (b"two\0", true, 4),
        (b"\0", true, 8),
        (&[1; 4], true, 8),
        (&[1; 4], true, 4),
        (&[2; 16], true, 8),
        (&[2; 16], true, 8),
        (b"a\0\0\0", true, 8),
        (b"b\0\0\0", true, 4),
        (&[3; 16], false, 8),
    ];
    assert_eq!(blocks, expected);
    let targets: Vec<Target> = graph.symbols[..2].iter().map(|it| it.target).collect();
    assert_eq!(targets, [place(0, 1), place(1, 0)]);
}

#[test]
fn literals_that_are_cut_off_are_refused() {
    let open = literals("__cstring", macho::S_CSTRING_LITERALS, b"one\0two");
    let said = object(vec![open], &[]).error();
    assert!(
        said.ends_with("the section __TEXT,__cstring ends with a string that has no end"),
        "{said}"
    );
    let odd = literals("__literal8", macho::S_8BYTE_LITERALS, &[0; 12]);
    let said = object(vec![odd], &[]).error();
    assert!(
        said.ends_with("the section __TEXT,__literal8 ends with a literal that is cut off"),
        "{said}"
    );
}
