//! Sections, blocks and symbols of graphs.

use std::io::Write as _;

use jit_core::cpu::{Kinds, x86_64::Kind};
use jit_core::graph::{BlockId, Content, LinkGraph, SectionKind, SymbolId, Target};
use jit_core::object::{Claims, ObjectFile, SymbolKind};

use crate::test_object::{Loaded, RawSection, RawSymbol, assemble, compile, write};

fn bytes<'a>(graph: &'a LinkGraph, content: &Content) -> &'a [u8] {
    match content {
        Content::Input(range) => &graph.input.bytes()[range.clone()],
        Content::Owned(range) => &graph.owned[range.clone()],
        Content::FunctionNames | Content::Zero => &[],
    }
}

/// Edges of the block as (offset, kind, target's name, addend).
fn edges(graph: &LinkGraph, block: &jit_core::graph::Block) -> Vec<(u32, Kind, String, i64)> {
    let describe = graph.describe.as_ref().expect("described");
    graph.edges[block.edges.start as usize..block.edges.end as usize]
        .iter()
        .map(|edge| {
            let kind = Kind::from_edge(edge.kind).expect("a kind of x86-64");
            (edge.offset, kind, describe.symbol(edge.target), edge.addend)
        })
        .collect()
}

#[test]
fn sections_have_permissions_and_content() {
    let loaded = Loaded::new(assemble(
        ".section .text.f,\"ax\"\nf: ret\n\
         .section .rodata.str1.1,\"aMS\",@progbits,1\n.string \"hi\"\n\
         .section .data.rel.ro,\"aw\"\n.quad f\n\
         .data\n.p2align 5\nd: .long 7\n\
         .section .bss.b,\"aw\",@nobits\n.p2align 12\nb: .zero 5000\n\
         .section .tdata,\"awT\"\n.long 9\n\
         .section .tbss,\"awT\",@nobits\n.zero 4\n\
         .section my_set,\"aw\"\n.quad 1\n\
         .section .debug_info,\"\"\n.quad 1\n\
         .section .note.ABI-tag,\"a\",@note\n.long 1\n\
         .section .note.gnu.property,\"a\",@note\n.long 1\n\
         .section keep,\"axR\"\nret\n",
    ));
    let graph = loaded.graph();
    let check = |section: &str, output: &str, kind, size, align, content: &[u8]| {
        let (_, block, s) = loaded.block(&graph, section);
        assert_eq!(loaded.names.text(s.output), output);
        assert_eq!(
            (s.kind, block.size, block.align, block.live),
            (kind, size, align, true),
            "{section}"
        );
        assert_eq!(bytes(&graph, &block.content), content, "{section}");
    };
    use SectionKind::*;
    check(".text.f", ".text", Text, 1, 1, &[0xc3]);
    check(".rodata.str1.1", ".rodata", ReadOnly, 3, 1, b"hi\0");
    check(
        ".data.rel.ro",
        ".data.rel.ro",
        RelocatedReadOnly,
        8,
        1,
        &[0; 8],
    );
    check(".data", ".data", ReadWrite, 4, 32, &[7, 0, 0, 0]);
    check(".bss.b", ".bss", ReadWrite, 5000, 4096, &[]);
    check(".tdata", ".tdata", ThreadLocal, 4, 1, &[9, 0, 0, 0]);
    check(".tbss", ".tbss", ThreadLocal, 4, 1, &[]);
    check(
        "my_set",
        "my_set",
        ReadWrite,
        8,
        1,
        &[1, 0, 0, 0, 0, 0, 0, 0],
    );
    assert!(loaded.block(&graph, "my_set").2.bounds_retained);
    assert!(!loaded.block(&graph, ".tdata").2.bounds_retained);
    assert!(graph.retained.contains(&loaded.block(&graph, "keep").0));
    assert!(
        graph
            .retained
            .contains(&loaded.block(&graph, ".note.ABI-tag").0)
    );
    assert!(!graph.retained.contains(&loaded.block(&graph, ".text.f").0));
    let describe = graph.describe.as_ref().expect("described");
    let all: Vec<_> = (0..graph.blocks.len() as u32)
        .map(|b| describe.block_section(jit_core::graph::BlockId(b)))
        .collect();
    assert!(
        !all.iter()
            .any(|s| s == ".debug_info" || s == ".note.gnu.property"),
        "{all:?}"
    );
}

#[test]
fn marks_of_what_is_data_are_no_thread_locals() {
    // As assemblers for AArch64 leave them, with the type of the section's symbols.
    let loaded = Loaded::new(assemble(
        ".section .tdata,\"awT\",@progbits\n\"$d\": \"$d.1\":\neach: .long 3\n.size each, 4\n",
    ));
    let graph = loaded.graph();
    // In their order, behind the null symbol.
    let kinds: Vec<SymbolKind> = graph.symbols[1..4].iter().map(|it| it.kind).collect();
    let expected = [SymbolKind::None, SymbolKind::None, SymbolKind::ThreadLocal];
    assert_eq!(kinds, expected);
}

#[test]
fn symbols_keep_their_numbers() {
    let loaded = Loaded::new(assemble(
        ".text\nnop\n.globl f\nf: ret\nl: call e\n.globl a\na = 42\n\
         .section .tdata,\"awT\"\n.globl t\nt: .long 1\n\
         .text\nmovl %fs:local@tpoff, %eax\n.section .tdata\nlocal: .long 2\n.text\n.weak v\ncall v\n.data\n.quad l\n",
    ));
    let graph = loaded.graph();
    let (text, ..) = loaded.block(&graph, ".text");
    let symbol = |name: &str| graph.symbols[loaded.symbol(name) as usize];
    assert_eq!(
        { symbol("f").target },
        Target::Defined {
            block: text,
            offset: 1
        }
    );
    assert_eq!({ symbol("a").target }, Target::Absolute(42));
    assert_eq!(symbol("t").kind, SymbolKind::ThreadLocal);
    assert_eq!({ graph.symbols[0].target }, Target::Absolute(0));
    let by_name = |name: &[u8]| {
        let id = loaded.names.find(name);
        graph
            .symbols
            .iter()
            .find(|s| s.name.is_some() && s.name == id)
            .expect("is there")
    };
    assert_eq!(
        (by_name(b"e").target, by_name(b"e").weak),
        (Target::External, false)
    );
    assert_eq!(
        (by_name(b"v").target, by_name(b"v").weak),
        (Target::External, true)
    );
    let describe = graph.describe.as_ref().expect("described");
    let names: Vec<_> = (0..graph.symbols.len() as u32)
        .map(|s| describe.symbol(SymbolId(s)))
        .collect();
    assert!(
        names.iter().any(|n| n == "l") && names.iter().any(|n| n == ".text"),
        "{names:?}"
    );
}

#[test]
fn what_lost_is_discarded_or_refers_to_the_winner() {
    let loaded = Loaded::new(assemble(
        ".section .text.g,\"axG\",@progbits,g,comdat\n.weak g\ng: .cfi_startproc\nl: ret\n.cfi_endproc\n\
         .section .text.h,\"axG\",@progbits,h,comdat\n.weak h\nh: .cfi_startproc\nret\n.cfi_endproc\n\
         .data\n.weak w\nw: .quad l\n.quad w\n.comm c,4,4\n",
    ));
    let graph = loaded.graph();
    assert_eq!(graph.frames.len(), 2);
    let (g, h) = (loaded.symbol("g"), loaded.symbol("h"));
    let claims = Claims {
        lost_groups: vec![0],
        lost_symbols: vec![g, loaded.symbol("w")],
        commons: vec![(loaded.symbol("c"), 400, 64)],
    };
    let graph = loaded.graph_with(&claims);
    let target = |symbol: u32| graph.symbols[symbol as usize].target;
    assert_eq!(target(g), Target::External);
    assert_eq!(target(loaded.symbol("w")), Target::External);
    assert!(matches!(target(h), Target::Defined { .. }));
    let (_, data, _) = loaded.block(&graph, ".data");
    let used = &graph.edges[data.edges.start as usize];
    assert_eq!(target(used.target.0), Target::Discarded);
    let (common, ..) = loaded.block(&graph, "COMMON (c)");
    assert_eq!(
        target(loaded.symbol("c")),
        Target::Defined {
            block: common,
            offset: 0
        }
    );
    let common = &graph.blocks[common.0 as usize];
    assert_eq!((common.size, common.align), (400, 64));
    // Both FDEs are there; the lost one's code is dead.
    let alive: Vec<bool> = graph
        .frames
        .iter()
        .map(|f| graph.blocks[f.code.0 as usize].live)
        .collect();
    assert_eq!(alive, [true, false]);
}

/// What a graph has in memory, by names: symbols with their places, blocks with their edges.
fn in_memory(graph: &LinkGraph, symbols: usize) -> Vec<String> {
    let place = |target: Target| match target {
        Target::Defined { block, offset } if graph.blocks[block.0 as usize].live => {
            format!("{}+{offset}", graph.block_name(block))
        }
        Target::Defined { .. } => "dead".to_owned(),
        other => format!("{other:?}"),
    };
    let all = graph.symbols[..symbols].iter().enumerate();
    let mut text: Vec<String> = all
        .map(|(at, symbol)| format!("{at} {} {:?}", place(symbol.target), { symbol.weak }))
        .collect();
    for (at, block) in graph.blocks.iter().enumerate().filter(|(_, b)| b.live) {
        let id = BlockId(at as u32);
        let edges = graph.edges_of(id).iter();
        let edges = edges.map(|e| (e.offset, e.kind, { e.addend }, graph.symbol_name(e.target)));
        let (section, name) = (
            &graph.sections[block.section.0 as usize],
            graph.block_name(id),
        );
        let edges: Vec<_> = edges.collect();
        text.push(format!(
            "{name} {} {} {section:?} {edges:?}",
            block.size, block.align
        ));
    }
    let displaced = graph.displaced.iter();
    text.extend(displaced.map(|it| {
        format!(
            "{:?} {} {}",
            it.symbol,
            graph.block_name(it.block),
            it.offset
        )
    }));
    text
}

#[test]
fn a_whole_graph_with_claims_is_one_that_was_read_with_them() {
    let loaded = Loaded::new(assemble(
        ".section .text.g,\"axG\",@progbits,g,comdat\n.weak g\ng: .cfi_startproc\nl: ret\n.cfi_endproc\n\
         .section .text.h,\"axG\",@progbits,h,comdat\n.weak h\nh: .cfi_startproc\ncall g\n.cfi_endproc\n\
         .section notes_of_g,\"aG\",@progbits,g,comdat\n.long 1\n\
         .data\n.weak w\nw: .quad l\n.quad w\n.comm c,4,4\n.comm d,4,4\n",
    ));
    let symbols = loaded.graph_with(&Claims::default()).symbols.len();
    let (g, w) = (loaded.symbol("g"), loaded.symbol("w"));
    let (c, d) = (loaded.symbol("c"), loaded.symbol("d"));
    let sorted = |mut all: Vec<u32>| {
        all.sort_unstable();
        all
    };
    for lost_groups in [vec![], vec![0], vec![1], vec![0, 1]] {
        let claims = Claims {
            lost_groups,
            lost_symbols: sorted(vec![g, w, d]),
            commons: vec![(c, 400, 64)],
        };
        let read_with_them = loaded.graph_with(&claims);
        let mut whole = loaded.graph();
        whole.apply(&claims);
        let own = symbols.min(read_with_them.symbols.len());
        let names = |graph: &LinkGraph| in_memory(graph, own.min(w as usize + 1));
        assert_eq!(names(&whole), names(&read_with_them), "{claims:?}");
    }
}

#[test]
fn initializers_are_ordered_and_constructors_reversed() {
    let loaded = Loaded::new(assemble(
        ".text\na: ret\nb: ret\nc: ret\n\
         .section .init_array.200,\"aw\"\n.quad a\n\
         .section .init_array,\"aw\"\n.quad b\n\
         .section .ctors.65335,\"aw\",@progbits\n.quad a\n.quad b\n.quad c\n\
         .section .dtors,\"aw\",@progbits\n.quad c\n\
         .section .ctors,\"aw\",@progbits\n.quad -1\n",
    ));
    let graph = loaded.graph();
    let section = |name: &str| loaded.block(&graph, name).2;
    for name in [".init_array.200", ".init_array", ".ctors.65335", ".dtors"] {
        let (block, ..) = loaded.block(&graph, name);
        assert!(graph.retained.contains(&block), "{name}");
        assert_eq!(section(name).kind, SectionKind::RelocatedReadOnly);
    }
    assert_eq!(
        section(".init_array.200").order,
        section(".ctors.65335").order
    );
    let name_of = |name: &str| section(name).order_name.map(|it| loaded.names.text(it));
    assert_eq!(name_of(".ctors.65335").as_deref(), Some(".ctors.65335"));
    assert_eq!(
        name_of(".init_array.200").as_deref(),
        Some(".init_array.200")
    );
    assert_eq!(name_of(".init_array"), None);
    assert_eq!(
        section(".ctors.65335").output,
        section(".init_array").output
    );
    assert_eq!(loaded.names.text(section(".dtors").output), ".fini_array");
    assert!(section(".init_array").order > 65535);
    let (_, ctors, _) = loaded.block(&graph, ".ctors.65335");
    let mut order = edges(&graph, ctors);
    order.sort_by_key(|edge| edge.0);
    let addends: Vec<_> = order.iter().map(|e| (e.0, e.3)).collect();
    assert_eq!(addends, [(0, 2), (8, 1), (16, 0)]);
    // The sentinel of crtbegin.o is no constructor.
    assert_eq!(loaded.block(&graph, ".ctors").1.size, 0);
}

#[test]
fn dependent_sections_live_with_what_they_describe() {
    let loaded = Loaded::new(assemble(
        ".section .text.f,\"ax\",@progbits\nf: call g\n\
         .section meta,\"ao\",@progbits,.text.f\n.quad 1\n\
         .section free,\"a\",@progbits\n.quad 1\n\
         .section .text.c,\"axG\",@progbits,c,comdat\nc: ret\n\
         .section own,\"aG\",@progbits,c,comdat\n.quad 2\n",
    ));
    let graph = loaded.graph();
    assert!(!loaded.block(&graph, "meta").2.bounds_retained);
    assert!(loaded.block(&graph, "free").2.bounds_retained);
    let keeps = |owner: &str| {
        edges(&graph, loaded.block(&graph, owner).1)
            .into_iter()
            .filter(|edge| edge.1 == Kind::None)
            .map(|edge| edge.2)
            .collect::<Vec<_>>()
    };
    assert_eq!(keeps(".text.f"), ["meta"]);
    assert_eq!(keeps(".text.c"), ["own"]);
    assert_eq!(edges(&graph, loaded.block(&graph, ".text.f").1).len(), 2);
}

#[test]
fn compressed_sections_are_unpacked() {
    let plain: Vec<u8> = (0..10_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(&plain).expect("memory takes it");
    let zlib = zlib.finish().expect("memory takes it");
    let zstd = ruzstd::encoding::compress_to_vec(
        plain.as_slice(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let section = |method: u32, size: u64, stream: &[u8]| {
        let mut data = method.to_le_bytes().to_vec();
        data.extend_from_slice(&[0; 4]);
        data.extend_from_slice(&size.to_le_bytes());
        data.extend_from_slice(&16u64.to_le_bytes());
        data.extend_from_slice(stream);
        let section = RawSection {
            name: ".rodata",
            kind: 1,
            flags: 0x802,
            align: 8,
            data,
            ..Default::default()
        };
        Loaded::new(write(&[section], &[], 1))
    };
    let size = plain.len() as u64;
    for loaded in [section(1, size, &zlib), section(2, size, &zstd)] {
        let graph = loaded.graph();
        let (_, block, _) = loaded.block(&graph, ".rodata");
        assert_eq!((block.size, block.align), (size, 16));
        assert!(
            bytes(&graph, &block.content) == plain,
            "the content is what was packed"
        );
    }
    for (damaged, expected) in [
        (section(1, size - 1, &zlib), "size"),
        (section(2, size + 1, &zstd), "size"),
        (section(1, size, &zlib[..zlib.len() / 2]), "damaged"),
        (section(9, size, &zlib), "unknown method 9"),
        (section(1, u64::MAX, &zlib), "too many"),
    ] {
        let error = damaged.build_error();
        assert!(error.contains(expected), "{error} lacks {expected}");
    }
}

#[test]
fn impossible_sections_are_refused() {
    let section = |kind, align, data: usize| {
        let section = RawSection {
            name: ".data",
            kind,
            flags: 3,
            align,
            data: vec![0; data],
            ..Default::default()
        };
        let symbol = RawSymbol {
            name: "d",
            info: 0x11,
            section: 1,
            ..Default::default()
        };
        Loaded::new(write(&[section], &[symbol], 1))
            .object
            .build_graph(&Claims::default())
    };
    assert!(section(1, 8, 8).is_ok());
    let error = section(1, 3, 8).err().expect("refused").message;
    assert!(error.contains(".data has the alignment 3"), "{error}");
    let error = section(1, 1 << 40, 8).err().expect("refused").message;
    assert!(error.contains("more than 1 GiB"), "{error}");
}

#[test]
fn cpp_with_exceptions_has_frames_for_its_functions() {
    let loaded = Loaded::new(compile(
        "c++",
        &["-O1", "-ffunction-sections"],
        "void g(); int f() { try { g(); } catch (int i) { return i; } return 0; }\n\
         template <class T> T h(T t) { g(); return t; } int k() { return h(3); }",
    ));
    let graph = loaded.graph();
    let (f, block, _) = loaded.block(&graph, ".text._Z1fv");
    let frames = &graph.frames[block.frames.start as usize..block.frames.end as usize];
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].code, frames[0].code_offset), (f, 0));
    // The start of the code, and the exception table.
    assert_eq!(frames[0].edges.1 - frames[0].edges.0, 2);
    let describe = graph.describe.as_ref().expect("described");
    let lsda = graph.edges[frames[0].edges.0 as usize + 1].target;
    let Target::Defined { block: table, .. } = graph.symbols[lsda.0 as usize].target else {
        panic!("the exception table is in the object");
    };
    assert!(
        describe
            .block_section(table)
            .starts_with(".gcc_except_table")
    );
    super::super::build::assert_valid(&graph);
}
