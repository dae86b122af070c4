//! What symbol tables say.

use jit_core::graph::{BlockId, Target};
use jit_core::object::{ObjectFile, SymbolKind};

use crate::test_object::{Loaded, RawSection, RawSymbol, assemble, compile, write};

const ABS: u16 = 0xfff1;
const COMMON: u16 = 0xfff2;
const LARGE_COMMON: u16 = 0xff02;

/// Every definition as one line, in order.
fn definitions(loaded: &Loaded) -> String {
    let line = |d: &jit_core::object::Definition| {
        let name = loaded.names.text(d.name);
        let group = d.group.map(|g| {
            format!(
                " group {}",
                loaded
                    .names
                    .text(loaded.object.interface().groups[g as usize])
            )
        });
        format!(
            "{name} {:?} {:?} {:?} {}{}\n",
            d.linkage,
            d.scope,
            d.kind,
            d.size,
            group.unwrap_or_default()
        )
    };
    loaded
        .object
        .interface()
        .definitions
        .iter()
        .map(line)
        .collect()
}

fn references(loaded: &Loaded) -> Vec<(String, bool)> {
    let references = loaded.object.interface().references.iter();
    references
        .map(|r| (loaded.names.text(r.name), r.weak))
        .collect()
}

#[test]
fn bindings_visibilities_and_types() {
    let loaded = Loaded::new(assemble(
        ".text\n\
         .globl f\n.type f,@function\nf: ret\n.size f,1\n\
         .weak w\nw: ret\n\
         .globl h\n.hidden h\nh: ret\n\
         .globl i\n.internal i\ni: ret\n\
         .globl p\n.protected p\np: ret\n\
         .globl r\n.type r,@gnu_indirect_function\nr: ret\n\
         .globl a\na = 42\n\
         .data\n.globl u\n.type u,@gnu_unique_object\n.size u,4\nu: .long 1\n\
         .section .tdata,\"awT\"\n.globl t\n.type t,@object\nt: .long 1\n\
         .comm c,24,16\n\
         .text\ncall e\n.weak v\ncall v\n",
    ));
    assert_eq!(
        definitions(&loaded),
        "f Strong Default Function 1\n\
         w Weak Default None 0\n\
         h Strong Hidden None 0\n\
         i Strong Hidden None 0\n\
         p Strong Protected None 0\n\
         r Strong Default IndirectFunction 0\n\
         a Strong Default None 0\n\
         u Weak Default Data 4\n\
         t Strong Default ThreadLocal 0\n\
         c Common { size: 24, align: 16 } Default Data 24\n"
    );
    assert_eq!(
        references(&loaded),
        [("e".into(), false), ("v".into(), true)]
    );
    assert!(!loaded.object.interface().has_initializers);
}

#[test]
fn versions_in_names() {
    let loaded = Loaded::new(assemble(
        ".text\n.globl new\nnew: ret\n.globl old\nold: ret\n\
         .symver new,foo@@V2\n.symver old,foo@V1\n\
         .symver import,bar@V3\ncall import\n",
    ));
    let text = definitions(&loaded);
    let names: Vec<&str> = text.lines().filter_map(|l| l.split(' ').next()).collect();
    for name in ["foo", "foo@V2", "foo@V1"] {
        assert_eq!(
            names.iter().filter(|n| **n == name).count(),
            1,
            "{name} in {names:?}"
        );
    }
    assert_eq!(loaded.symbol("foo"), loaded.symbol("foo@V2"));
    assert_ne!(loaded.symbol("foo"), loaded.symbol("foo@V1"));
    assert_eq!(references(&loaded), [("bar@V3".into(), false)]);
}

#[test]
fn an_own_definition_shadows_a_default_version() {
    let symbol = |name| RawSymbol {
        name,
        info: 0x10,
        section: ABS,
        ..RawSymbol::default()
    };
    let undefined = RawSymbol {
        name: "bar@@V1",
        info: 0x10,
        ..RawSymbol::default()
    };
    let loaded = Loaded::new(write(
        &[],
        &[symbol("foo@@V1"), symbol("foo"), undefined],
        1,
    ));
    assert_eq!((loaded.symbol("foo@V1"), loaded.symbol("foo")), (1, 2));
    assert_eq!(loaded.object.interface().definitions.len(), 2);
    assert_eq!(references(&loaded), [("bar@V1".into(), false)]);
}

#[test]
fn commons_of_every_kind() {
    let common = |name, section, info, align| RawSymbol {
        name,
        section,
        info,
        value: align,
        size: 40,
        other: 0,
    };
    let loaded = Loaded::new(write(
        &[],
        &[
            common("c", COMMON, 0x11, 32),
            common("l", LARGE_COMMON, 0x11, 8),
            common("t", COMMON, 0x16, 0),
        ],
        1,
    ));
    let graph = loaded.graph();
    let outputs: Vec<_> = (0..3u32)
        .map(|at| {
            let block = &graph.blocks[at as usize];
            let describe = graph.describe.as_ref().expect("described");
            let section = &graph.sections[block.section.0 as usize];
            (
                loaded.names.text(section.output),
                block.size,
                block.align,
                describe.block_section(BlockId(at)),
            )
        })
        .collect();
    assert_eq!(
        outputs,
        [
            (".bss".into(), 40, 32, "COMMON (c)".into()),
            (".lbss".into(), 40, 8, "COMMON (l)".into()),
            (".tbss".into(), 40, 1, "COMMON (t)".into()),
        ]
    );
    assert_eq!(
        loaded.object.interface().definitions[2].kind,
        SymbolKind::ThreadLocal
    );
    let bad = write(&[], &[common("c", COMMON, 0x11, 24)], 1);
    let error = Loaded::try_new(bad).err().expect("refused").message;
    assert!(error.contains("not a power of two"), "{error}");
}

#[test]
fn groups_and_linkonce() {
    let loaded = Loaded::new(assemble(
        ".section .text.g,\"axG\",@progbits,sig,comdat\n.weak g\ng: ret\n\
         .section .gnu.linkonce.t.l,\"ax\",@progbits\n.weak l\nl: ret\n\
         .section .gnu.linkonce.r.l,\"a\",@progbits\n.weak table\ntable: .long 1\n\
         .section .gnu.linkonce.r.k,\"a\",@progbits\n.weak k2\nk2: .long 1\n\
         .section .gnu.linkonce.d.m,\"aw\",@progbits\n.weak m2\nm2: .long 1\n\
         .section .gnu.linkonce.d.o,\"aw\",@progbits\n.weak o2\no2: .long 1\n\
         .section .text.n,\"axG\",@progbits,plain\n.globl n\nn: ret\n\
         .text\n.globl o\no: ret\n",
    ));
    assert_eq!(
        definitions(&loaded),
        "g Weak Default None 0 group sig\n\
         l Weak Default None 0 group l\n\
         table Weak Default None 0 group l\n\
         k2 Weak Default None 0 group .gnu.linkonce.r.k\n\
         m2 Weak Default None 0 group .gnu.linkonce.d.m\n\
         o2 Weak Default None 0 group .gnu.linkonce.d.o\n\
         n Strong Default None 0\n\
         o Strong Default None 0\n"
    );
}

#[test]
fn a_group_whose_signature_is_a_section_symbol_is_named_by_the_section() {
    let group = [1u32, 1].iter().flat_map(|w| w.to_le_bytes()).collect();
    let sections = [
        RawSection {
            name: ".text.s",
            kind: 1,
            flags: 0x206,
            align: 1,
            data: vec![0xc3],
            ..Default::default()
        },
        RawSection {
            name: ".group",
            kind: 17,
            link: 3,
            info: 1,
            align: 4,
            data: group,
            ..Default::default()
        },
    ];
    let section_symbol = RawSymbol {
        info: 3,
        section: 1,
        ..Default::default()
    };
    let function = RawSymbol {
        name: "f",
        info: 0x12,
        section: 1,
        ..Default::default()
    };
    let loaded = Loaded::new(write(&sections, &[section_symbol, function], 2));
    assert_eq!(
        definitions(&loaded),
        "f Strong Default Function 0 group .text.s\n"
    );
}

#[test]
fn initializers_are_noticed() {
    for section in [
        ".init_array",
        ".ctors.5",
        ".fini_array",
        ".init",
        ".preinit_array",
    ] {
        let source = format!(".section {section},\"aw\"\n.quad 0\n");
        assert!(
            Loaded::new(assemble(&source))
                .object
                .interface()
                .has_initializers,
            "{section}"
        );
    }
}

#[test]
fn excluded_definitions_are_references() {
    let loaded = Loaded::new(assemble(".section .drop,\"ae\"\n.globl x\nx: .long 1\n"));
    assert_eq!(definitions(&loaded), "");
    assert_eq!(references(&loaded), [("x".into(), false)]);
}

#[test]
fn code_without_machine_code_is_refused() {
    let mark = RawSymbol {
        name: "__gnu_lto_slim",
        info: 0x11,
        section: COMMON,
        value: 1,
        size: 1,
        other: 0,
    };
    let error = Loaded::try_new(write(&[], &[mark], 1))
        .err()
        .expect("refused")
        .message;
    assert!(error.contains("-ffat-lto-objects"), "{error}");
}

#[test]
fn warnings_are_found() {
    let loaded = Loaded::new(compile(
        "c",
        &[],
        "static const char w[] __attribute__((used, section(\".gnu.warning.gets\"))) = \"unsafe\";",
    ));
    let warnings = loaded.object.warnings();
    assert_eq!(warnings.len(), 1);
    assert_eq!(
        (warnings[0].symbol.as_slice(), warnings[0].text.as_str()),
        (&b"gets"[..], "unsafe")
    );
}

#[test]
fn more_sections_than_sixteen_bits_count() {
    let text = RawSection {
        name: ".text.f",
        kind: 1,
        flags: 6,
        align: 1,
        data: vec![0xc3],
        ..Default::default()
    };
    let mut sections = vec![text; 66_000];
    let numbers = [0u32, 66_000]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    sections.push(RawSection {
        name: ".symtab_shndx",
        kind: 18,
        link: 66_002,
        data: numbers,
        ..Default::default()
    });
    let last = RawSymbol {
        name: "f",
        info: 0x12,
        section: 0xffff,
        ..Default::default()
    };
    let loaded = Loaded::new(write(&sections, &[last], 1));
    let graph = loaded.graph();
    let expected = Target::Defined {
        block: BlockId(65_999),
        offset: 0,
    };
    assert_eq!(
        { graph.symbols[loaded.symbol("f") as usize].target },
        expected
    );
    assert_eq!(graph.blocks.len(), 66_000);
}

#[test]
fn wrong_places_of_symbols_are_refused() {
    let symbol = |section| RawSymbol {
        name: "s",
        info: 0x10,
        section,
        ..Default::default()
    };
    for (section, expected) in [
        (0xff7f, "reserved"),
        (77, "there are"),
        (0xffff, "SHT_SYMTAB_SHNDX"),
    ] {
        let error = Loaded::try_new(write(&[], &[symbol(section)], 1))
            .err()
            .expect("refused");
        assert!(error.message.contains(expected), "{error}");
    }
    let local = RawSymbol {
        name: "s",
        info: 0,
        section: ABS,
        ..Default::default()
    };
    let error = Loaded::try_new(write(&[], &[local], 1))
        .err()
        .expect("refused");
    assert!(error.message.contains("among the global ones"), "{error}");
    let global_first = write(&[], &[symbol(ABS)], 2);
    let error = Loaded::new(global_first).build_error();
    assert!(error.contains("among the local ones"), "{error}");
}

#[test]
fn undefined_names_are_wrapped_and_definitions_are_not() {
    let bytes = assemble(
        ".text\n.globl g\ng: call f\ncall g\ncall __real_g\n.weak w\ncall w\n\
         .globl __wrap_h\n__wrap_h: call h\n",
    );
    let loaded = Loaded::try_wrapping(bytes, &["f", "g", "h", "w"]).expect("an object");
    let mut wanted = references(&loaded);
    wanted.sort();
    let expected = [
        ("__wrap_f", false),
        ("__wrap_h", false),
        ("__wrap_w", true),
        ("g", false),
    ];
    assert_eq!(wanted, expected.map(|(name, weak)| (name.to_owned(), weak)));
    let defined = definitions(&loaded);
    assert!(
        defined.contains("g Strong") && defined.contains("__wrap_h Strong"),
        "{defined}"
    );
    // The graph has the same names, and the object still knows its own.
    let graph = loaded.graph();
    let external = |s: &&jit_core::graph::Symbol| matches!(s.target, Target::External);
    let externals = graph.symbols.iter().filter(external);
    let names: Vec<String> = externals
        .filter_map(|s| Some(loaded.names.text(s.name?)))
        .collect();
    assert!(names.contains(&"__wrap_f".to_owned()) && !names.contains(&"f".to_owned()));
    let spelling = |name: &str| loaded.object.spelling(loaded.names.intern(name.as_bytes()));
    assert_eq!(spelling("__wrap_f").as_deref(), Some(&b"f"[..]));
    assert_eq!(spelling("g").as_deref(), Some(&b"__real_g"[..]));
    assert_eq!(spelling("f"), None);
}
