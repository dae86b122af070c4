//! A link that fails leaves nothing behind, wherever it fails.

use super::world::{DYLIB, World, hex};
use crate::batch::TrackerId;
use crate::cpu::x86_64::Kind;
use crate::error::LinkError;
use crate::executor::api::NativeKind;
use crate::graph::SectionKind;

/// Two trackers, thread-locals, an import.
fn world() -> World {
    let mut world = World::new();
    world.native("puts", NativeKind::Function, None, 0x1234_5678_9abc);
    let a = world.object("a.o");
    let a = a.function("f", &hex("e8 00000000"), &[(1, Kind::Branch32, "puts", -4)]);
    world.add(a.block(".tdata", SectionKind::ThreadLocal, "t", &[1; 8], &[]));
    let b = world.object("b.o").function("g", &hex("c3"), &[]);
    world.add_to(b, DYLIB, TrackerId(1));
    world
}

#[track_caller]
fn nothing_left(world: &World) {
    let state = world.executor.0.lock();
    assert_eq!(state.in_flight, 0, "memory in flight");
    assert_eq!(state.released, state.final_memory.len(), "final memory");
    assert!(world.host.outcome.lock().emitted.is_none());
}

#[test]
fn every_step_of_the_executor_may_fail() {
    for step in ["open_range", "allocate", "bind_imports", "finalize"] {
        let mut world = world();
        world.executor.0.lock().failing = Some(step);
        let error = world.link().expect_err(step).to_string();
        assert_eq!(error, format!("{step} was told to fail"));
        nothing_left(&world);
        // The same objects link once the executor is well again.
        world.executor.0.lock().failing = None;
        world.must_link();
    }
}

#[test]
fn every_step_of_a_program_may_fail() {
    for step in ["load", "finalize", "constructors"] {
        let mut world = world();
        world.program = Some(Default::default());
        world.executor.0.lock().failing = Some(step);
        let error = world.link().expect_err(step).to_string();
        assert!(error.contains(step), "{error}");
        nothing_left(&world);
    }
}

#[test]
fn a_batch_costs_one_request_of_a_kind() {
    let mut world = world();
    world.must_link();
    let state = world.executor.0.lock();
    assert_eq!(state.final_memory.len(), 2, "trackers");
    assert_eq!(state.round_trips, (1, 1));
}

#[test]
fn a_failed_dependency_fails_the_batch() {
    let mut world = world();
    world.dependency_error = Some(LinkError::Internal("elsewhere".to_owned()));
    assert!(world.link().is_err());
    nothing_left(&world);
}

#[test]
fn all_broken_objects_are_reported() {
    let mut world = World::new();
    for name in ["a.o", "b.o"] {
        let object = world.object(name).broken();
        world.add(object);
    }
    let error = world.link().expect_err("fails").to_string();
    assert_eq!(error, "a.o: is broken\nb.o: is broken");
    nothing_left(&world);
}

#[test]
fn malformed_graphs_are_refused() {
    type Change = fn(&mut crate::graph::Block);
    let cases: [(&str, Change); 5] = [
        ("content", |b| {
            b.content = crate::graph::Content::Input(5..900)
        }),
        ("only the linker", |b| {
            b.content = crate::graph::Content::FunctionNames
        }),
        ("relocations", |b| b.edges = 0..7),
        ("frames", |b| b.frames = 3..9),
        ("header", |b| b.align = 3),
    ];
    for (what, change) in cases {
        let mut world = World::new();
        let object = world.object("a.o").function("f", &hex("c3"), &[]);
        world.add(object.last_block(change));
        let error = world.link().expect_err(what).to_string();
        assert!(error.starts_with("a.o: section .text.f: "), "{error}");
        assert!(error.contains(what), "{error}");
    }
    let mut world = World::new();
    let edges = [(9, Kind::Delta32, "f", 0)];
    let object = world.object("a.o").function("f", &hex("c3"), &edges);
    world.add(object);
    assert!(world.link().is_err(), "a relocation outside its section");
}

#[test]
fn a_field_over_the_end_of_its_section_is_an_error() {
    let mut world = World::new();
    let edges = [(2, Kind::Delta32, "f", 0)];
    let object = world.object("a.o").function("f", &hex("90909090"), &edges);
    world.add(object);
    let error = world.link().expect_err("fails").to_string();
    assert!(error.contains("reaches over the section's end"), "{error}");
}

#[test]
fn all_references_out_of_range_are_reported() {
    let mut world = World::new();
    let edges = [(0, Kind::Pointer8, "f", 0), (1, Kind::Pointer16, "f", 0)];
    let object = world.object("a.o").function("f", &hex("90909090"), &edges);
    world.add(object);
    let error = world.link().expect_err("fails").to_string();
    assert_eq!(error.lines().count(), 2, "{error}");
    nothing_left(&world);
}

#[test]
fn a_full_range_is_replaced() {
    let mut world = World::new();
    world.executor.0.lock().first_range_size = Some(0x1000);
    let a = world
        .object("a.o")
        .function("f", &hex("e8 00000000"), &[(1, Kind::Branch32, "g", -4)]);
    world.add(a.function("g", &vec![0xc3; 0x2000], &[]));
    world.must_link();
    assert_eq!(world.leads_to("f", 1), world.address("g"));

    // With two groups the link starts again, so that both are in the new range.
    let mut world = World::new();
    world.executor.0.lock().first_range_size = Some(0x2000);
    let a = world.object("a.o");
    world.add(a.function("f", &hex("e8 00000000"), &[(1, Kind::Branch32, "g", -4)]));
    let b = world.object("b.o").function("g", &vec![0xc3; 0x2000], &[]);
    world.add_to(b, DYLIB, TrackerId(1));
    world.must_link();
    assert_eq!(world.leads_to("f", 1), world.address("g"));
}
