//! Literals of the same bytes are one.

use super::objects::Obj;
use super::world::World;
use crate::batch::TrackerId;
use crate::cpu::x86_64::Kind;
use crate::graph::SectionKind;

const RO: SectionKind = SectionKind::ReadOnly;

/// Adds a literal that may be merged.
fn literal(object: Obj, name: &str, content: &[u8], align: u64) -> Obj {
    let object = object.block(".rodata", RO, name, content, &[]);
    let object = object.last_block(|block| block.align = align);
    object.section(|section| section.mergeable = true)
}

#[test]
fn literals_of_all_objects_are_merged_and_aligned_for_each() {
    let mut world = World::new();
    let a = literal(world.object("a.o"), "byte", b"x", 1);
    let a = literal(a, "first", b"same\0", 1);
    world.add(literal(a, "other", b"else\0", 1));
    let b = literal(world.object("b.o"), "second", b"same\0", 8);
    let pointers = [(0, Kind::Pointer64, "second", 3)];
    world.add(b.data("pointer", &[0; 8], &pointers));
    world.must_link();
    let first = world.address("first");
    assert_eq!(world.address("second"), first);
    assert!(first.is_multiple_of(8), "as the second one wants");
    assert_eq!(world.bytes("second", 5), b"same\0");
    assert_eq!(world.bytes("other", 5), b"else\0");
    assert_eq!(world.address("other") - first, 5, "nothing lies between");
    let pointer = (first + 3).to_le_bytes();
    assert_eq!(world.bytes("pointer", 8), pointer);
}

#[test]
fn what_can_be_told_apart_is_not_merged() {
    let mut world = World::new();
    let a = world
        .object("a.o")
        .block(".rodata", RO, "plain", b"same\0", &[]);
    let a = literal(a, "literal", b"same\0", 1);
    let a = a.block(".other", RO, "elsewhere", b"same\0", &[]);
    let a = a.section(|section| section.mergeable = true);
    let a = literal(a, "bounded", b"same\0", 1);
    let a = a.section(|section| section.bounds_retained = true);
    let pointers = [(0, Kind::Pointer64, "plain", 0)];
    let a = a.block(".rodata", RO, "pointer", &[0; 8], &pointers);
    let a = a.section(|section| section.mergeable = true);
    let a = a.block(".rodata", RO, "number", &[0; 8], &[]);
    world.add(a.section(|section| section.mergeable = true));
    world.must_link();
    let names = [
        "plain",
        "literal",
        "elsewhere",
        "bounded",
        "pointer",
        "number",
    ];
    let mut places = names.map(|name| world.address(name));
    places.sort_unstable();
    assert!(
        places.windows(2).all(|pair| pair[0] != pair[1]),
        "{places:?}"
    );
}

#[test]
fn what_is_removed_takes_no_literal_of_others_with_it() {
    let mut world = World::new();
    world.add(literal(world.object("a.o"), "first", b"same\0", 1));
    let b = literal(world.object("b.o"), "second", b"same\0", 1);
    world.add_to(b, super::world::DYLIB, TrackerId(1));
    world.must_link();
    assert_ne!(world.address("first"), world.address("second"));
}
