//! Descriptors of thread-locals, and the functions that are added for them.

use jit_core::cpu::x86_64::Kind;
use jit_core::graph::{BlockId, SectionKind, Target};
use jit_core::object::{ObjectFile as _, SymbolKind};
use object::macho;

use crate::test_object::{
    GLOBAL, LOCAL, Rel, TestObject, TestSection, UNDEFINED, code, data, object,
};

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

/// One variable of four bytes with its descriptor.
fn variable(relocations: &[Rel]) -> TestObject {
    let value = TestSection {
        name: "__thread_data",
        flags: macho::S_THREAD_LOCAL_REGULAR.to_flags(),
        ..data(&[7, 0, 0, 0], &[])
    };
    let descriptor = TestSection {
        name: "__thread_vars",
        flags: macho::S_THREAD_LOCAL_VARIABLES.to_flags(),
        ..data(&[0; 24], relocations)
    };
    let symbols = [
        ("_x$tlv$init", LOCAL, 1, 0, 0),
        ("_x", GLOBAL, 2, 0, 8),
        ("__tlv_bootstrap", UNDEFINED, 0, 0, 0),
        ("__tlv_atexit", UNDEFINED, 0, 0, 0),
    ];
    object(vec![value, descriptor], &symbols)
}

#[test]
fn descriptors_have_a_function_and_a_distance() {
    let graph = variable(&[pointer(0, 2), pointer(16, 0)]).graph();
    let edges: Vec<_> = graph
        .edges_of(BlockId(1))
        .iter()
        .map(|edge| (edge.offset, edge.target.0, edge.kind))
        .collect();
    let expected = [
        (0, 2, Kind::Pointer64.edge()),
        (16, 0, Kind::TpOffset64.edge()),
    ];
    assert_eq!(edges, expected);
    let find = graph.symbols[2].target;
    let Target::Defined { block, offset: 0 } = find else {
        panic!("{find:?}");
    };
    // mov rax, [rdi + 16]; add rax, fs:[0]; ret: no other register changes.
    let bytes = [
        0x48, 0x8b, 0x47, 0x10, 0x64, 0x48, 0x03, 0x04, 0x25, 0, 0, 0, 0, 0xc3,
    ];
    assert_eq!(graph.content(block), bytes);
    assert_eq!(
        graph.blocks[block.0 as usize].frames.len(),
        1,
        "it can be unwound"
    );
    let kinds: Vec<SymbolKind> = graph.symbols[..2]
        .iter()
        .map(|symbol| symbol.kind)
        .collect();
    assert_eq!(kinds, [SymbolKind::ThreadLocal, SymbolKind::Data]);
    let home = graph.blocks[0].section;
    assert_eq!(
        graph.sections[home.0 as usize].kind,
        SectionKind::ThreadLocal
    );
}

#[test]
fn destructors_are_filed_under_the_dylib() {
    let made = variable(&[]);
    let read = made.read().expect("an object");
    let names = read.interface().references.iter();
    let names: Vec<_> = names.map(|it| read.names.bytes(it.name).to_vec()).collect();
    assert_eq!(names, [&b"__dso_handle"[..], b"__cxa_thread_atexit"]);
    let graph = made.graph();
    let target = graph.symbols[3].target;
    let Target::Defined { block, .. } = target else {
        panic!("{target:?}");
    };
    let edges = graph.edges_of(block).iter();
    let edges: Vec<_> = edges
        .map(|edge| (edge.offset, edge.kind, edge.addend))
        .collect();
    // lea rdx, [rip + __dso_handle]: S - (P + 4). jmp __cxa_thread_atexit: L - (P + 4).
    let expected = [
        (3, Kind::Delta32.edge(), -4),
        (8, Kind::Branch32.edge(), -4),
    ];
    assert_eq!(edges, expected);
}

#[test]
fn descriptors_that_lead_elsewhere_are_refused() {
    for relocations in [
        [pointer(0, 2), pointer(16, 1)],
        [pointer(0, 2), pointer(8, 0)],
    ] {
        let error = variable(&relocations).error();
        assert!(
            error.contains("does not lead to a thread-local's initial value"),
            "{error}"
        );
    }
}

#[test]
fn code_loads_the_address_of_a_descriptor_like_any_other() {
    let load = Rel {
        pcrel: true,
        length: 2,
        kind: macho::X86_64_RELOC_TLV,
        ..pointer(3, 0)
    };
    let bytes = [0x48, 0x8b, 0x3d, 0, 0, 0, 0, 0xff, 0x17];
    let graph = object(vec![code(&bytes, &[load])], &[("_x", UNDEFINED, 0, 0, 0)]).graph();
    let edge = graph.edges_of(BlockId(0))[0];
    assert_eq!(edge.kind, Kind::GotDelta32RexRelaxable.edge());
}

#[test]
fn what_is_no_thread_local_is_not_used_as_one() {
    let used = |symbol| {
        let tlv = Rel {
            pcrel: true,
            length: 2,
            kind: macho::X86_64_RELOC_TLV,
            ..pointer(3, symbol)
        };
        // movq _x@TLVP(%rip), %rdi
        let load = code(&[0x48, 0x8b, 0x3d, 0, 0, 0, 0], &[tlv]);
        let symbols = [
            ("_plain", GLOBAL, 1, 0, 0),
            ("_common", UNDEFINED, 0, 0, 8),
            ("_others", UNDEFINED, 0, 0, 0),
        ];
        object(vec![load], &symbols)
    };
    for (symbol, name) in [(0, "_plain"), (1, "_common")] {
        let said = used(symbol).error();
        let expected = format!("(X86_64_RELOC_TLV) uses {name} as a thread-local, which it is not");
        assert!(said.contains(&expected), "{said}");
    }
    assert_eq!(
        used(2).graph().blocks.len(),
        2,
        "another object says what it is"
    );
}
