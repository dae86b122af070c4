//! Where large data lies.

use super::mock_executor::FAR;
use super::world::{World, hex};
use crate::cpu::x86_64::Kind;
use crate::graph::SectionKind;

const RW: SectionKind = SectionKind::ReadWrite;
const LARGE: SectionKind = SectionKind::LargeReadWrite;

#[test]
fn a_little_large_data_lies_with_the_rest() {
    let mut world = World::new();
    let code = [(1, Kind::Delta32, "large", -4)];
    let object = world.object("a.o").function("f", &[0; 5], &code);
    world.add(object.zeros(".lbss", LARGE, "large", 100 << 20, 64));
    world.must_link();
    assert!(world.address("large") - world.address("f") < 1 << 30);
}

#[test]
fn much_large_data_lies_apart_and_is_taken_as_far() {
    let mut world = World::new();
    // mov large@GOTPCREL(%rip), %rax: it stays a load.
    let code = [
        (3, Kind::GotDelta32RexRelaxable, "large", -4),
        (8, Kind::Pointer64, "large", 5),
    ];
    let bytes = [&hex("488b0500000000")[..], &[0; 9]].concat();
    let object = world.object("a.o").function("f", &bytes, &code);
    world.add(object.zeros(".lbss", LARGE, "large", 3 << 30, 64));
    world.must_link();
    let large = world.address("large");
    assert!((FAR..FAR << 1).contains(&large));
    assert_eq!(world.bytes("f", 3), hex("488b05"));
    assert_eq!(world.word(world.leads_to("f", 3)), large);
    assert_eq!(world.word(world.address("f") + 8), large + 5);
}

#[test]
fn zeros_that_no_32_bit_field_refers_to_count_as_large() {
    let mut world = World::new();
    let code = [
        (2, Kind::Pointer64, "far", 0),
        (10, Kind::Delta32, "near", -4),
    ];
    let object = world.object("a.o").function("f", &[0; 16], &code);
    let object = object.zeros(".bss", RW, "far", 3 << 30, 64);
    world.add(object.zeros(".bss", RW, "near", 100 << 20, 64));
    world.must_link();
    assert!((FAR..FAR << 1).contains(&world.address("far")));
    assert!(world.address("near") - world.address("f") < 1 << 30);
}

#[test]
fn more_than_32_bit_fields_reach_is_an_error_that_says_what_helps() {
    let mut world = World::new();
    let code = [(1, Kind::Delta32, "zeros", -4)];
    let object = world.object("a.o").function("f", &[0; 5], &code);
    world.add(object.zeros(".bss", RW, "zeros", 3 << 30, 64));
    let error = world.link().expect_err("it is too much").to_string();
    assert!(error.starts_with("a.o: section .bss"), "{error}");
    assert!(error.contains("3072 MiB"), "{error}");
    assert!(error.contains("-mcmodel=medium"), "{error}");
}
