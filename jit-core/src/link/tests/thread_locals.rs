//! Thread-local variables: the image, offsets, and libraries' variables.

use super::world::{World, hex};
use crate::arch::x86_64::Kind;
use crate::batch::Resolution;
use crate::executor::api::{ImportKind, NativeKind};
use crate::graph::SectionKind;
use crate::object::SymbolKind;
use orc_shared::ExecutorAddr;

const TLS: SectionKind = SectionKind::ThreadLocal;
/// Where the mock executor puts the first block.
const TP_OFFSET: i64 = -0x1000;

#[test]
fn the_image_holds_initialized_data_then_zeros() {
    let mut world = World::new();
    let a = world.object("a.o").zeros(".tbss", TLS, "zero", 24, 8);
    let a = a.block(
        ".tdata",
        TLS,
        "data",
        &[5; 12],
        &[(4, Kind::Pointer64, "main", 0)],
    );
    let edges = [
        (4, Kind::TpOffset32, "zero", 0),
        (12, Kind::TpOffset64, "data", 8),
    ];
    let mov = hex("64 8b 04 25 00000000 90909090 0000000000000000");
    world.add(a.function("main", &mov, &edges));
    world.must_link();
    assert_eq!(world.address("data").cast_signed(), TP_OFFSET);
    assert_eq!(world.address("zero").cast_signed(), TP_OFFSET + 16);
    assert_eq!(
        world.bytes("main", 8)[4..],
        (TP_OFFSET as i32 + 16).to_le_bytes()
    );
    assert_eq!(
        world.word(world.address("main") + 12).cast_signed(),
        TP_OFFSET + 8
    );
    let main = world.address("main");
    let state = world.executor.0.lock();
    let memory = &state.final_memory[0];
    let image = &memory.request.tls_image;
    assert_eq!(memory.tls.map(|block| block.size), Some(40));
    assert_eq!(image.len(), 12);
    assert_eq!(image[..4], [5; 4]);
    assert_eq!(image[4..], main.to_le_bytes());
}

#[test]
fn another_objects_variable_is_accessed_at_its_offset() {
    let mut world = World::new();
    let sequence = hex("66 48 8d 3d 00000000 66 66 48 e8 00000000");
    let edges = [
        (4, Kind::TlsGeneralDynamic, "x", -4),
        (12, Kind::Branch32, "__tls_get_addr", -4),
    ];
    let a = world.object("a.o");
    world.add(a.function("main", &sequence, &edges));
    let b = world.object("b.o");
    world.add(b.block(".tdata", TLS, "x", &[1; 8], &[]));
    world.must_link();
    let after = hex("64 48 8b 04 25 00000000 48 8d 80 00f0ffff");
    assert_eq!(world.bytes("main", 16), after);
}

#[test]
fn an_unrelaxed_load_uses_an_entry_with_the_offset() {
    let mut world = World::new();
    let earlier = Resolution::Address {
        addr: ExecutorAddr::new(-0x40i64 as u64),
        kind: SymbolKind::ThreadLocal,
    };
    world.outside("x", earlier);
    let a = world.object("a.o").function(
        "main",
        &hex("48 3b 05 00000000"),
        &[(3, Kind::TlsInitialExec, "x", -4)],
    );
    world.add(a);
    world.must_link();
    let entry = world.leads_to("main", 3);
    assert_eq!(world.word(entry).cast_signed(), -0x40);
}

#[test]
fn a_librarys_variable_is_called_for_or_placed_in_static_tls() {
    let mut world = World::new();
    world.native("err", NativeKind::ThreadLocal, None, 3);
    world.native(
        "__tls_get_addr",
        NativeKind::Function,
        None,
        0x1234_5678_9abc,
    );
    let sequence = hex("66 48 8d 3d 00000000 66 66 48 e8 00000000");
    let edges = [
        (4, Kind::TlsGeneralDynamic, "err", -4),
        (12, Kind::Branch32, "__tls_get_addr", -4),
    ];
    let a = world.object("a.o").function("dynamic", &sequence, &edges);
    world.add(a);
    world.must_link();
    let pair = world.leads_to("dynamic", 4);
    assert_eq!(world.word(pair), 3, "the module");
    assert_eq!(world.word(pair + 8), 0x77, "the offset");
    assert_eq!(world.bytes("dynamic", 4), hex("66 48 8d 3d"));

    let mut world = World::new();
    world.program = Some(Default::default());
    world.native("err", NativeKind::ThreadLocal, None, -0x90i64 as u64);
    let a = world.object("a.o").function(
        "exec",
        &hex("48 8b 05 00000000"),
        &[(3, Kind::TlsInitialExec, "err", -4)],
    );
    world.add(a);
    world.must_link();
    assert_eq!(world.bytes("exec", 7), hex("48 c7 c0 70ffffff"));
    let state = world.executor.0.lock();
    let image = state.image.as_ref().expect("an image");
    assert_eq!(image.imports[0].kind, ImportKind::TpOffset);
}

#[test]
fn an_unknown_sequence_is_an_error() {
    let mut world = World::new();
    let edges = [(3, Kind::TlsGeneralDynamic, "x", -4)];
    let a = world
        .object("a.o")
        .function("main", &hex("48 8d 3d 00000000"), &edges);
    world.add(a.block(".tdata", TLS, "x", &[1; 8], &[]));
    assert_eq!(
        world.link().expect_err("fails").to_string(),
        "a.o: section .text.main+0x3 refers to x (TlsGeneralDynamic): a thread-local access in an \
         instruction sequence that the psABI does not describe; recompile with \
         -ftls-model=initial-exec"
    );
}
