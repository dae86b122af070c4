//! Thread-local variables: the image, offsets, and libraries' variables.

use super::mock_executor::TLS_ACCESS;
use super::world::{World, hex};
use crate::batch::Resolution;
use crate::cpu::x86_64::Kind;
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

/// The module that the mock executor makes when it has refused a fixed offset once.
const MODULE: u64 = 2;
const GENERAL_DYNAMIC: &str = "66 48 8d 3d 00000000 66 66 48 e8 00000000";

/// A world without room at fixed offsets.
fn without_room() -> World {
    let mut world = World::new();
    world.executor.0.lock().no_fixed_tls = true;
    let function = NativeKind::Function;
    world.native("__tls_get_addr", function, None, 0x1234_5678_9abc);
    world
}

fn general_dynamic(world: &mut World, name: &str) {
    let edges = [
        (4, Kind::TlsGeneralDynamic, name, -4),
        (12, Kind::Branch32, "__tls_get_addr", -4),
    ];
    let object = world.object("code.o");
    world.add(object.function("main", &hex(GENERAL_DYNAMIC), &edges));
}

/// The pair that the code of [`general_dynamic`] passes.
fn pair(world: &World) -> [u64; 2] {
    assert_eq!(
        world.bytes("main", 4),
        hex("66 48 8d 3d"),
        "the call is kept"
    );
    let pair = world.leads_to("main", 4);
    [world.word(pair), world.word(pair + 8)]
}

#[test]
fn without_room_at_fixed_offsets_variables_are_called_for() {
    let mut world = without_room();
    general_dynamic(&mut world, "x");
    let b = world.object("b.o");
    world.add(b.block(".tdata", TLS, "w", &[1; 8], &[]));
    let c = world.object("c.o");
    world.add(c.block(".tdata", TLS, "x", &[2; 8], &[]));
    world.must_link();
    assert_eq!(pair(&world), [MODULE, 16]);
    assert_eq!(world.address("x"), MODULE << 32 | 16);
    let state = world.executor.0.lock();
    assert_eq!(state.round_trips, (2, 1), "it was asked for again");
    assert_eq!(state.final_memory.len(), 1);
    assert_eq!(state.in_flight, 0);
    assert_eq!(state.final_memory[0].request.tls_image.len(), 24);
}

#[test]
fn local_dynamic_code_asks_for_the_module() {
    let mut world = without_room();
    let sequence = hex("48 8d 3d 00000000 e8 00000000 8b 80 00000000");
    let edges = [
        (3, Kind::TlsLocalDynamic, "x", -4),
        (8, Kind::Branch32, "__tls_get_addr", -4),
        (14, Kind::ModuleOffset32, "x", 4),
    ];
    let a = world.object("a.o").function("main", &sequence, &edges);
    let a = a.block(".tdata", TLS, "w", &[1; 8], &[]);
    world.add(a.block(".tdata", TLS, "x", &[1; 8], &[]));
    world.must_link();
    let pair = world.leads_to("main", 3);
    assert_eq!([world.word(pair), world.word(pair + 8)], [MODULE, 0]);
    assert_eq!(world.bytes("main", 18)[14..], [20, 0, 0, 0]);
}

#[test]
fn local_dynamic_code_cannot_mean_two_modules() {
    let mut world = without_room();
    let earlier = Resolution::Address {
        addr: ExecutorAddr::new(7 << 32),
        kind: SymbolKind::ThreadLocal,
    };
    world.outside("hidden", earlier);
    let sequence = hex("48 8d 3d 00000000 e8 00000000 8b 80 00000000");
    let edges = [
        (3, Kind::TlsLocalDynamic, "x", -4),
        (8, Kind::Branch32, "__tls_get_addr", -4),
        (14, Kind::ModuleOffset32, "hidden", 0),
    ];
    let a = world.object("a.o").function("main", &sequence, &edges);
    world.add(a.block(".tdata", TLS, "x", &[1; 8], &[]));
    assert_eq!(
        world.link().expect_err("fails").to_string(),
        "a.o: its local-dynamic code takes x and hidden to be thread-locals of one module, but they \
         were linked at different times, and this process has no room for both at fixed offsets: \
         recompile with -ftls-model=global-dynamic"
    );
}

#[test]
fn descriptors_lead_to_a_pair() {
    let mut world = without_room();
    let edges = [
        (3, Kind::TlsDescriptor, "x", -4),
        (7, Kind::TlsDescriptorCall, "x", 0),
    ];
    let code = hex("48 8d 05 00000000 ff 10");
    let a = world.object("a.o").function("main", &code, &edges);
    world.add(a.block(".tdata", TLS, "x", &[1; 8], &[]));
    world.must_link();
    assert_eq!(world.bytes("main", 9)[7..], [0xff, 0x10]);
    let descriptor = world.leads_to("main", 3);
    let words = [0, 8, 16, 24].map(|at| world.word(descriptor + at));
    let function = TLS_ACCESS.descriptor_function.value();
    assert_eq!(words, [function, descriptor + 16, MODULE, 0]);
}

#[test]
fn another_batchs_variable_is_reached_where_it_is() {
    let module = Resolution::Address {
        addr: ExecutorAddr::new(7 << 32 | 0x18),
        kind: SymbolKind::ThreadLocal,
    };
    let mut world = without_room();
    general_dynamic(&mut world, "x");
    world.outside("x", module);
    world.must_link();
    assert_eq!(pair(&world), [7, 0x18]);

    // Of what is not linked yet it is known at the end only.
    let fixed = -0x1008_i64;
    for (addr, expected) in [
        (7 << 32 | 0x18, [7, 0x18]),
        (fixed as u64, [2, (fixed + 0x90) as u64]),
    ] {
        let mut world = without_room();
        general_dynamic(&mut world, "x");
        world.pending("x", SymbolKind::ThreadLocal, addr);
        world.must_link();
        assert_eq!(pair(&world), expected);
    }
}

#[test]
fn code_that_needs_a_fixed_offset_says_so() {
    let no_room = "initial-exec and local-exec code needs variables at fixed offsets from the thread \
                   pointer, and this process has no more room for those: recompile with -fPIC and the \
                   default -ftls-model, or start the process with a larger \
                   glibc.rtld.optional_static_tls=BYTES in GLIBC_TUNABLES";
    let code = hex("48 8b 05 00000000");
    let edges = [(3, Kind::TlsInitialExec, "x", -4)];
    let mut world = without_room();
    let a = world.object("a.o").function("main", &code, &edges);
    world.add(a.block(".tdata", TLS, "x", &[1; 8], &[]));
    let error = world.link().expect_err("fails").to_string();
    assert_eq!(
        error,
        format!("a.o: section .text.main+0x3 refers to x (TlsInitialExec): {no_room}")
    );
    assert_eq!(world.executor.0.lock().in_flight, 0);

    // Where it is known at the end only.
    for code in ["48 8b 05 00000000", "48 3b 05 00000000"] {
        let mut world = without_room();
        let a = world.object("a.o").function("main", &hex(code), &edges);
        world.add(a);
        world.pending("x", SymbolKind::ThreadLocal, 7 << 32);
        let error = world.link().expect_err("fails").to_string();
        assert!(error.ends_with(no_room), "{error}");
    }
}

#[test]
fn programs_may_insist_on_fixed_offsets() {
    let mut world = without_room();
    world.program = Some(crate::batch::ProgramLink {
        fixed_thread_locals: true,
        ..Default::default()
    });
    general_dynamic(&mut world, "x");
    let b = world.object("b.o");
    world.add(b.block(".tdata", TLS, "x", &[1; 8], &[]));
    world.must_link();
    assert_eq!(world.bytes("main", 9), hex("64 48 8b 04 25 00000000"));
}
