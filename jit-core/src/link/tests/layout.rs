//! Where blocks lie.

use super::world::{World, hex};
use crate::batch::TrackerId;
use crate::cpu::x86_64::Kind;
use crate::executor::api::SegmentKind;
use crate::graph::SectionKind;

const RW: SectionKind = SectionKind::ReadWrite;

#[test]
fn same_named_sections_are_contiguous_in_link_order() {
    let mut world = World::new();
    for (object, x, y) in [("a.o", "a1", "a2"), ("b.o", "b1", "b2")] {
        let object = world.object(object).block("one", RW, x, &[1; 16], &[]);
        world.add(object.block("two", RW, y, &[2; 16], &[]));
    }
    world.must_link();
    let base = world.address("a1");
    let places = ["a1", "b1", "a2", "b2"].map(|name| world.address(name) - base);
    assert_eq!(places, [0, 16, 32, 48]);
}

#[test]
fn order_keys_come_before_link_order() {
    let mut world = World::new();
    for (name, order) in [
        ("late", 0xffff),
        ("early", 100),
        ("mid", 200),
        ("early2", 100),
    ] {
        let object = world
            .object(name)
            .block(".init_array", RW, name, &[0; 8], &[]);
        let object = object.last_block(|block| block.align = 8);
        world.add(object.section(|section| section.order = order));
    }
    world.must_link();
    let base = world.address("early");
    let places = ["early", "early2", "mid", "late"].map(|name| world.address(name) - base);
    assert_eq!(places, [0, 8, 16, 24]);
}

#[test]
fn zeros_come_last_and_are_not_written() {
    let mut world = World::new();
    let a = world
        .object("a.o")
        .zeros(".bss", RW, "zeros", 0x10_0000, 64);
    world.add(a.data("data", &[3; 5], &[]));
    world.must_link();
    assert_eq!(world.address("zeros"), world.address("data") + 64);
    let state = world.executor.0.lock();
    let request = state.final_memory[0].requests[0];
    assert_eq!(request.kind, SegmentKind::ReadWrite);
    assert_eq!((request.content_size, request.size), (5, 64 + 0x10_0000));
    assert_eq!(request.align, 64);
}

#[test]
fn gaps_are_filled() {
    let mut world = World::new();
    // The mock executor's memory starts as garbage.
    let a = world.object("a.o").function("f", &hex("c3"), &[]);
    let a = a.function("g", &hex("c3"), &[]);
    let a = a.data("x", &[1; 3], &[]).data("y", &[2; 3], &[]);
    // Zeros among content have to be written.
    let a = a.zeros(".data", RW, "z", 20, 8);
    world.add(a.data("w", &[4; 1], &[]));
    world.must_link();
    let mut code = vec![0x90; 17];
    (code[0], code[16]) = (0xc3, 0xc3);
    assert_eq!(world.bytes("f", 17), code);
    let mut data = vec![0; 49];
    data[..3].fill(1);
    data[16..19].fill(2);
    data[48] = 4;
    assert_eq!(world.bytes("x", 49), data);
}

#[test]
fn trackers_have_memory_of_their_own() {
    let mut world = World::new();
    let a = world.object("a.o");
    world.add(a.function("f", &hex("e8 00000000"), &[(1, Kind::Branch32, "g", -4)]));
    let b = world.object("b.o").function("g", &hex("c3"), &[]);
    world.add_to(b, super::world::DYLIB, TrackerId(7));
    world.must_link();
    assert_eq!(
        world.leads_to("f", 1),
        world.address("g"),
        "one range holds both"
    );
    let outcome = world.host.outcome.lock();
    let emitted = outcome.emitted.as_ref().expect("emitted");
    let trackers: Vec<_> = emitted.iter().map(|(tracker, _)| *tracker).collect();
    assert_eq!(trackers, [TrackerId(0), TrackerId(7)]);
}

#[test]
fn permissions_are_segments() {
    let mut world = World::new();
    let a = world.object("a.o").function("code", &hex("c3"), &[]);
    let a = a.block(".rodata", SectionKind::ReadOnly, "constant", &[1; 4], &[]);
    let relro = SectionKind::RelocatedReadOnly;
    let a = a.block(".data.rel.ro", relro, "vtable", &[2; 4], &[]);
    world.add(a.data("variable", &[3; 4], &[]));
    world.must_link();
    let segments = world.segments();
    assert_eq!(segments.len(), 3);
    for (name, segment) in [("code", 0), ("constant", 1), ("vtable", 1), ("variable", 2)] {
        let address = orc_shared::ExecutorAddr::new(world.address(name));
        assert!(segments[segment].contains(address), "{name}");
    }
}

#[test]
fn many_blocks_are_split_into_tasks() {
    let mut world = World::new();
    for object in 0..40 {
        let mut o = world.object(&format!("{object}.o"));
        for block in 0..40 {
            let name = format!("f{object}_{block}");
            let target = format!("f{}_{}", (object + 7) % 40, (block + 3) % 40);
            let code = vec![0xcc; 400 + block];
            o = o.function(&name, &code, &[(8, Kind::Branch32, &target, -4)]);
        }
        world.add(o);
    }
    world.must_link();
    for object in 0..40 {
        for block in 0..40 {
            let target = format!("f{}_{}", (object + 7) % 40, (block + 3) % 40);
            let to = world.leads_to(&format!("f{object}_{block}"), 8);
            assert_eq!(to, world.address(&target));
        }
    }
}

#[test]
fn names_of_nothing_but_places_have_an_address() {
    let mut world = World::new();
    let a = world.object("a.o").function("end", &[], &[]);
    world.add(a.data("x", &[1], &[]));
    let other = world.object("b.o").function("alone", &[], &[]);
    world.add_to(other, super::world::DYLIB, TrackerId(7));
    world.must_link();
    for name in ["end", "alone"] {
        assert_ne!(world.address(name), 0, "{name} would be nowhere");
    }
}
