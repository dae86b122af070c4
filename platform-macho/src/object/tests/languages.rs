//! Sections for the runtimes of Objective-C and Swift.

use jit_core::cpu::{aarch64, x86_64};
use jit_core::graph::{BlockId, EdgeKind, LinkGraph, SectionKind, SymbolId, Target};
use jit_core::object::{Claims, ObjectFile as _};
use object::macho;

use crate::platform::WITH_LANGUAGES;
use crate::test_object::{
    GLOBAL, LOCAL, Rel, TestObject, TestSection, code, data, object, read_for,
};

fn list(segment: &'static str, name: &'static str, bytes: &[u8], pointers: &[Rel]) -> TestSection {
    TestSection {
        segment,
        name,
        ..data(bytes, pointers)
    }
}

/// Two classes, of which a symbol names the second one, references to selectors, types of Swift, the image's information.
fn of_languages() -> TestObject {
    let pointer = |at| Rel {
        at,
        symbol: 0,
        pcrel: false,
        length: 3,
        external: true,
        kind: macho::X86_64_RELOC_UNSIGNED,
    };
    let classes = list(
        "__DATA",
        "__objc_classlist",
        &[0; 16],
        &[pointer(0), pointer(8)],
    );
    let selectors = TestSection {
        flags: macho::S_LITERAL_POINTERS.to_flags(),
        ..list("__DATA", "__objc_selrefs", &[0; 8], &[pointer(0)])
    };
    let sections = vec![
        code(&[0x90; 16], &[]),
        list("__DATA", "__objc_data", &[1; 8], &[]),
        classes,
        selectors,
        list("__TEXT", "__swift5_types", &[2; 4], &[]),
        list(
            "__DATA",
            "__objc_imageinfo",
            &[0, 0, 0, 0, 0x40, 0, 0, 0],
            &[],
        ),
        list("__DATA", "__objc_catlist", &[], &[]),
    ];
    let symbols = [("_f", GLOBAL, 1, 0, 0), ("_second", LOCAL, 3, 0, 32)];
    object(sections, &symbols)
}

fn graph(made: &TestObject) -> LinkGraph {
    let read = read_for(made.bytes(), &WITH_LANGUAGES).expect("an object");
    let interface = read.interface();
    assert!(interface.has_initializers, "it registers itself");
    assert_eq!(
        interface.references.len(),
        2,
        "the function, and the dylib's header"
    );
    read.build_graph(&Claims::default()).expect("a graph")
}

fn block_of(graph: &LinkGraph, symbol: SymbolId) -> BlockId {
    match graph.symbols[symbol.0 as usize].target {
        Target::Defined { block, offset: 0 } => block,
        other => panic!("{other:?}"),
    }
}

/// What an initializer leads to: code, and the table that it passes on.
fn table_of(graph: &LinkGraph) -> (BlockId, BlockId) {
    let initializer = graph.retained.iter().find(|block| {
        let section = graph.blocks[block.0 as usize].section;
        let section = &graph.sections[section.0 as usize];
        section.kind == SectionKind::RelocatedReadOnly && section.order == 0
    });
    let initializer = graph.edges_of(*initializer.expect("an initializer"));
    let code = block_of(graph, initializer[0].target);
    (code, block_of(graph, graph.edges_of(code)[0].target))
}

#[test]
fn a_function_is_told_of_all_sections_in_their_order() {
    let graph = graph(&of_languages());
    let (code, table) = table_of(&graph);
    // lea rdi, [rip + table]: T + A - P; jmp function.
    assert_eq!(graph.content(code)[..3], [0x48, 0x8d, 0x3d]);
    let kinds: Vec<EdgeKind> = graph.edges_of(code).iter().map(|it| it.kind).collect();
    assert_eq!(
        kinds,
        [x86_64::Kind::Delta32.edge(), x86_64::Kind::Branch32.edge()]
    );
    let words: Vec<u64> = graph
        .content(table)
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().expect("a word")))
        .collect();
    assert_eq!(words, [0, 4, 0, 0, 16, 0, 0, 8, 0, 0, 4, 0, 0, 8]);
    let edges = graph.edges_of(table);
    let dylib = graph.symbols[edges[0].target.0 as usize].target;
    assert_eq!(dylib, Target::External);
    let told: Vec<(&[u8], &[u8])> = edges[1..]
        .chunks_exact(2)
        .map(|pair| {
            let [name, start] = [0, 1].map(|at| block_of(&graph, pair[at].target));
            (graph.content(name), graph.content(start))
        })
        .collect();
    let expected: [(&[u8], &[u8]); 4] = [
        (b"__objc_classlist\0", &[0; 16]),
        (b"__objc_selrefs\0", &[0; 8]),
        (b"__swift5_types\0", &[2; 4]),
        (b"__objc_imageinfo\0", &[0, 0, 0, 0, 0x40, 0, 0, 0]),
    ];
    assert_eq!(told, expected);
}

#[test]
fn lists_stay_whole_and_may_be_changed() {
    let graph = graph(&of_languages());
    let second = graph.symbols[1].target;
    let Target::Defined { block, offset: 8 } = second else {
        panic!("{second:?}: the list is not taken apart");
    };
    let section = graph.blocks[block.0 as usize].section;
    assert_eq!(
        graph.sections[section.0 as usize].kind,
        SectionKind::ReadWrite
    );
    assert!(graph.retained.contains(&block), "nobody refers to it");
}

#[test]
fn the_initializer_for_arm64_is_another() {
    let made = TestObject {
        cpu: macho::CPU_TYPE_ARM64,
        ..object(vec![list("__DATA", "__objc_catlist", &[0; 8], &[])], &[])
    };
    let graph = graph(&made);
    let (code, table) = table_of(&graph);
    let kinds: Vec<EdgeKind> = graph.edges_of(code).iter().map(|it| it.kind).collect();
    use aarch64::Kind;
    assert_eq!(
        kinds,
        [Kind::Page21, Kind::AddLow12, Kind::Branch26].map(Kind::edge)
    );
    assert_eq!(graph.blocks[table.0 as usize].size, 40);
}

#[test]
fn what_no_runtime_knows_is_refused() {
    let said = |bytes: &[u8]| {
        let made = object(vec![list("__DATA", "__objc_imageinfo", bytes, &[])], &[]);
        let read = read_for(made.bytes(), &WITH_LANGUAGES).expect("an object");
        let graph = read.build_graph(&Claims::default());
        graph.err().expect("an error").to_string()
    };
    let version = said(&[7, 0, 0, 0, 0, 0, 0, 0]);
    assert!(
        version.contains("__DATA,__objc_imageinfo has version 7, and 0 alone is known"),
        "{version}"
    );
    let size = said(&[0; 16]);
    assert!(
        size.contains("__DATA,__objc_imageinfo has 16 bytes in place of 8"),
        "{size}"
    );
}

#[test]
fn without_runtimes_objects_for_them_are_refused() {
    let said = of_languages().error();
    assert!(
        said.ends_with(
            "__DATA,__objc_data belongs to Objective-C, whose runtime is not in this process"
        ),
        "{said}"
    );
    let swift = object(vec![list("__TEXT", "__swift5_types", &[0; 4], &[])], &[]).error();
    assert!(
        swift.ends_with("__swift5_types belongs to Swift, whose runtime is not in this process"),
        "{swift}"
    );
}

#[test]
fn places_in_sections_without_bytes_are_places() {
    let empty = list("__TEXT", "__swift5_protos", &[], &[]);
    let graph = object(vec![empty], &[("_start", GLOBAL, 1, 0, 0)]).graph();
    let target = graph.symbols[0].target;
    assert!(matches!(target, Target::Defined { .. }), "{target:?}");
}
