//! What references become: direct, through tables, or an error.

use super::mock_executor::NEAR;
use super::world::{World, hex};
use crate::batch::{DylibId, Resolution, TrackerId};
use crate::cpu::x86_64::{Kind, stubs};
use crate::executor::api::NativeKind;
use crate::graph::{SectionKind, Target};
use crate::object::SymbolKind;
use crate::platform::LinkerDefined;
use orc_shared::ExecutorAddr;

/// Far from every range.
const FAR: u64 = 0x1234_5678_9abc;

const CALL: &str = "e8 00000000 c3";
const LOAD: &str = "48 8b 05 00000000 c3";

#[test]
fn objects_refer_to_each_other_directly() {
    let mut world = World::new();
    let a = world.object("a.o");
    world.add(a.function("main", &hex(CALL), &[(1, Kind::Branch32, "f", -4)]));
    let b = world.object("b.o").function(
        "f",
        &hex(LOAD),
        &[(3, Kind::GotDelta32RexRelaxable, "x", -4)],
    );
    world.add(b.data("x", &[7; 8], &[]));
    world.must_link();
    assert_eq!(world.leads_to("main", 1), world.address("f"));
    assert_eq!(world.bytes("f", 3), hex("48 8d 05"));
    assert_eq!(world.leads_to("f", 3), world.address("x"));
    assert_eq!(world.bytes("x", 8), [7; 8]);
}

#[test]
fn far_functions_are_called_through_stubs() {
    let mut world = World::new();
    world.native("puts", NativeKind::Function, None, FAR);
    let two_calls = hex("e8 00000000 e8 00000000 c3");
    let a = world.object("a.o").function(
        "main",
        &two_calls,
        &[
            (1, Kind::Branch32, "puts", -4),
            (6, Kind::Branch32, "puts", -4),
        ],
    );
    let load = [(3, Kind::GotDelta32RexRelaxable, "puts", -4)];
    world.add(a.function("load", &hex(LOAD), &load));
    world.must_link();
    let stub = world.leads_to("main", 1);
    assert_eq!(
        stub,
        world.leads_to("main", 6),
        "one stub serves both calls"
    );
    assert_eq!(world.executor.read(stub, 6), stubs::STUB.code[..6]);
    let entry = world.follow(stub + 6);
    assert_eq!(world.word(entry), FAR);
    assert_eq!(
        world.leads_to("load", 3),
        entry,
        "the stub's entry serves loads"
    );
    assert_eq!(world.bytes("load", 3), hex("48 8b 05"));
}

#[test]
fn natives_in_reach_are_referred_to_directly() {
    let mut world = World::new();
    let bias = NEAR + 0x2000_0000;
    world.native("stdout", NativeKind::Data, Some(bias), bias + 0x100);
    let code = hex("48 8b 05 00000000");
    let a = world.object("a.o");
    world.add(a.function("main", &code, &[(3, Kind::Delta32, "stdout", -4)]));
    world.must_link();
    assert_eq!(world.leads_to("main", 3), bias + 0x100);
}

#[test]
fn earlier_definitions_are_reached_as_their_distance_allows() {
    let mut world = World::new();
    let known = |addr, kind| Resolution::Address {
        addr: ExecutorAddr::new(addr),
        kind,
    };
    world.outside("close", known(NEAR + 0x4000_0000, SymbolKind::Function));
    world.outside("away", known(FAR, SymbolKind::Function));
    let a = world.object("a.o").function(
        "main",
        &hex("e8 00000000 e8 00000000"),
        &[
            (1, Kind::Branch32, "close", -4),
            (6, Kind::Branch32, "away", -4),
        ],
    );
    // A direct reference to a far function gets a stub that stands for it.
    let lea = [(3, Kind::Delta32, "away", -4)];
    world.add(a.function("lea", &hex("48 8d 05 00000000"), &lea));
    world.must_link();
    assert_eq!(world.leads_to("main", 1), NEAR + 0x4000_0000);
    let stub = world.leads_to("main", 6);
    assert_eq!(world.word(world.follow(stub + 6)), FAR);
    assert_eq!(world.leads_to("lea", 3), stub);
}

#[test]
fn pending_definitions_are_filled_in_when_they_resolve() {
    let mut world = World::new();
    world.pending("later", SymbolKind::Function, FAR);
    let a = world.object("a.o");
    world.add(a.function("main", &hex(CALL), &[(1, Kind::Branch32, "later", -4)]));
    world.must_link();
    let stub = world.leads_to("main", 1);
    assert_eq!(world.word(world.follow(stub + 6)), FAR);
}

#[test]
fn undefined_weak_symbols_are_null() {
    let mut world = World::new();
    let a = world.object("a.o").function(
        "main",
        &hex("48 8d 3d 00000000 e8 00000000"),
        &[
            (3, Kind::Delta32, "none", -4),
            (8, Kind::Branch32, "none", -4),
        ],
    );
    world.add(a.data("pointer", &[0xff; 8], &[(0, Kind::Pointer64, "none", 0)]));
    world.must_link();
    assert_eq!(world.bytes("main", 7), hex("48 c7 c7 00000000"));
    let stub = world.leads_to("main", 8);
    assert_eq!(world.word(world.follow(stub + 6)), 0);
    assert_eq!(world.bytes("pointer", 8), [0; 8]);
}

#[test]
fn the_large_models_offsets_count_from_one_base() {
    let mut world = World::new();
    world.native("puts", NativeKind::Function, None, FAR);
    let code = [0; 32];
    let edges = [
        (0, Kind::GotBaseDelta64, "_GLOBAL_OFFSET_TABLE_", 0),
        (8, Kind::DeltaFromGot64, "x", 3),
        (16, Kind::GotOffset64, "puts", 0),
        (24, Kind::PltOffset64, "puts", 0),
    ];
    world.outside(
        "_GLOBAL_OFFSET_TABLE_",
        Resolution::Linker(LinkerDefined::GotBase),
    );
    let a = world.object("a.o").function("main", &code, &edges);
    world.add(a.data("x", &[0; 8], &[]));
    world.must_link();
    let main = world.address("main");
    let base = main.wrapping_add(world.word(main));
    assert_eq!(
        base.wrapping_add(world.word(main + 8)),
        world.address("x") + 3
    );
    assert_eq!(world.word(base.wrapping_add(world.word(main + 16))), FAR);
    assert_eq!(base.wrapping_add(world.word(main + 24)), FAR);
}

#[test]
fn sizes_are_those_of_the_definitions() {
    let mut world = World::new();
    let edges = [(0, Kind::Size64, "x", 1), (8, Kind::Size32, "y", -1)];
    let a = world.object("a.o").function("main", &[0; 12], &edges);
    world.add(a.data("x", &[0; 24], &[]));
    let b = world.object("b.o");
    world.add(b.data("y", &[0; 40], &[]));
    world.must_link();
    let main = world.address("main");
    assert_eq!(world.word(main), 25);
    assert_eq!(world.executor.read(main + 8, 4), 39u32.to_le_bytes());
}

#[test]
fn absolute_addresses_of_32_bits_need_low_memory() {
    let mut world = World::new();
    let code = hex("48 c7 c0 00000000");
    let a = world.object("a.o");
    let a = a.function("main", &code, &[(3, Kind::Pointer32Signed, "x", 2)]);
    world.add(a.data("x", &[0; 8], &[]));
    world.must_link();
    let x = world.address("x");
    assert!(x < 1 << 31);
    assert_eq!(world.bytes("main", 7)[3..], (x as u32 + 2).to_le_bytes());
}

#[test]
fn an_absolute_symbol_needs_no_low_memory() {
    let mut world = World::new();
    let code = hex("48 c7 c0 00000000");
    let a = world.object("a.o");
    let a = a.function("main", &code, &[(3, Kind::Pointer32Signed, "port", 0)]);
    world.add(a.define("port", Target::Absolute(0x3f8), SymbolKind::None, 0));
    world.must_link();
    assert!(world.address("main") >= NEAR);
    assert_eq!(world.bytes("main", 7), hex("48 c7 c0 f8030000"));
}

#[test]
fn dylibs_share_a_range_and_reach_each_other() {
    let mut world = World::new();
    let a = world.object("a.o");
    world.add(a.function("main", &hex(CALL), &[(1, Kind::Branch32, "f", -4)]));
    let b = world.object("b.o").function("f", &hex("c3"), &[]);
    world.add_to(b, DylibId(1), TrackerId(1));
    world.must_link();
    assert_eq!(world.leads_to("main", 1), world.address("f"));
}

#[test]
fn dylibs_in_distant_ranges_meet_through_tables() {
    let mut world = World::new();
    let a = world.object("a.o");
    world.add(a.function("main", &hex(CALL), &[(1, Kind::Branch32, "f", -4)]));
    // A dylib of its own with absolute addresses lies low.
    let edges = [(0, Kind::Pointer32, "f", 0)];
    let b = world
        .object("b.o")
        .function("f", &hex("00000000 c3"), &edges);
    world.add_to(b, DylibId(1), TrackerId(1));
    world.must_link();
    assert!(world.address("main") >= NEAR && world.address("f") < 1 << 31);
    let stub = world.leads_to("main", 1);
    assert_eq!(world.word(world.follow(stub + 6)), world.address("f"));
}

#[test]
fn ifuncs_are_stubs_whose_slots_the_resolvers_fill() {
    let mut world = World::new();
    let a = world.object("a.o").function("pick", &hex("c3"), &[]);
    let a = a.alter("pick", |symbol| symbol.kind = SymbolKind::IndirectFunction);
    world.add(a.data("pointer", &[0; 8], &[(0, Kind::Pointer64, "pick", 0)]));
    let b = world.object("b.o");
    world.add(b.function("main", &hex(CALL), &[(1, Kind::Branch32, "pick", -4)]));
    world.must_link();
    let stub = world.address("pick");
    assert_eq!(world.leads_to("main", 1), stub);
    assert_eq!(world.word(world.address("pointer")), stub);
    let slot = world.follow(stub + 6);
    let state = world.executor.0.lock();
    let action = state.final_memory[0].request.actions[0].finalize.clone();
    drop(state);
    assert!(!action.is_absent());
    let code = world
        .executor
        .read(action.function.value(), stubs::RUN_RESOLVERS.len());
    assert_eq!(code, stubs::RUN_RESOLVERS);
    let (resolver, to) = action.args.split_at(8);
    assert_eq!(to, slot.to_le_bytes());
    let resolver = u64::from_le_bytes(resolver.try_into().expect("eight bytes"));
    assert_eq!(world.executor.read(resolver, 1), hex("c3"));
}

#[test]
fn bounds_of_output_sections() {
    let mut world = World::new();
    let start = LinkerDefined::SectionStart("list".to_owned());
    let end = LinkerDefined::SectionEnd("list".to_owned());
    world.outside("__start_list", Resolution::Linker(start));
    world.outside("__stop_list", Resolution::Linker(end));
    let none = LinkerDefined::SectionStart("nothing".to_owned());
    world.outside("__start_nothing", Resolution::Linker(none));
    let rw = SectionKind::ReadWrite;
    let edges = [
        (0, Kind::Pointer64, "__start_list", 0),
        (8, Kind::Pointer64, "__stop_list", 0),
        (16, Kind::Pointer64, "__start_nothing", 0),
    ];
    let a = world.object("a.o").block("list", rw, "one", &[1; 16], &[]);
    world.add(a.data("bounds", &[0; 24], &edges));
    let b = world.object("b.o");
    world.add(b.block("list", rw, "two", &[2; 8], &[]));
    world.must_link();
    let bounds = world.address("bounds");
    assert_eq!(world.word(bounds), world.address("one"));
    assert_eq!(world.word(bounds + 8), world.address("two") + 8);
    // Code asks so whether there is such a section.
    assert_eq!(world.word(bounds + 16), 0);
}
