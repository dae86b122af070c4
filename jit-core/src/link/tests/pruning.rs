//! What is kept and what is not.

use super::world::{World, hex};
use crate::batch::Resolution;
use crate::cpu::x86_64::Kind;
use crate::graph::{SectionKind, Target};
use crate::platform::LinkerDefined;

const CALL: &str = "e8 00000000 c3";

#[test]
fn liveness_crosses_objects() {
    let mut world = World::new();
    world.roots = Some(vec!["main".to_owned()]);
    let a = world.object("a.o");
    let a = a.function("main", &hex(CALL), &[(1, Kind::Branch32, "used", -4)]);
    world.add(a.function("unused", &hex(CALL), &[(1, Kind::Branch32, "also", -4)]));
    let b = world.object("b.o").function("used", &hex("c3"), &[]);
    let b = b.function("also", &hex("c3"), &[]);
    world.add(b.data("pointer", &[0; 8], &[(0, Kind::Pointer64, "main", 0)]));
    world.must_link();
    assert_ne!(world.address("used"), 0);
    for dropped in ["unused", "also", "pointer"] {
        assert_eq!(world.address(dropped), 0, "{dropped}");
    }
}

#[test]
fn without_roots_everything_stays() {
    let mut world = World::new();
    let a = world.object("a.o").function("f", &hex("c3"), &[]);
    world.add(a.function("g", &hex("c3"), &[]));
    world.must_link();
    assert_ne!(world.address("f"), 0);
    assert_ne!(world.address("g"), 0);
}

#[test]
fn retained_blocks_are_roots() {
    let mut world = World::new();
    world.roots = Some(Vec::new());
    let rw = SectionKind::ReadWrite;
    let init = [(0, Kind::Pointer64, "ctor", 0)];
    let a = world.object("a.o").function("ctor", &hex("c3"), &[]);
    let a = a.block(".init_array", rw, "entry", &[0; 8], &init);
    world.add(a.retained());
    world.must_link();
    assert_eq!(world.word(world.address("entry")), world.address("ctor"));
}

#[test]
fn bounded_sections_stay_when_their_bounds_are_named() {
    let link = |names_bounds: bool| {
        let mut world = World::new();
        world.roots = Some(vec!["main".to_owned()]);
        let start = LinkerDefined::SectionStart("list".to_owned());
        world.outside("__start_list", Resolution::Linker(start));
        let rw = SectionKind::ReadWrite;
        let edges = [(0, Kind::Pointer64, "__start_list", 0)];
        let edges = if names_bounds { &edges[..] } else { &[] };
        let a = world.object("a.o");
        world.add(a.data("main", &[0; 8], edges));
        let b = world.object("b.o").block("list", rw, "entry", &[0; 8], &[]);
        world.add(b.section(|section| section.bounds_retained = true));
        world.must_link();
        world.address("entry")
    };
    assert_ne!(link(true), 0);
    assert_eq!(link(false), 0);
}

#[test]
fn kept_code_must_not_refer_to_discarded_definitions() {
    let link = |roots: &[&str]| {
        let mut world = World::new();
        world.roots = Some(roots.iter().map(ToString::to_string).collect());
        let a = world.object("a.o").function("main", &hex("c3"), &[]);
        let a = a.function("user", &hex(CALL), &[(1, Kind::Branch32, "local", -4)]);
        world.add(a.alter("local", |symbol| symbol.target = Target::Discarded));
        world.link()
    };
    assert!(
        link(&["main"]).is_ok(),
        "what is not kept may refer to anything"
    );
    assert_eq!(
        link(&["main", "user"]).expect_err("fails").to_string(),
        "a.o: section .text.user+0x1 refers to local, which is defined in a discarded section: \
         another object's copy of the group is used, and a group's local symbols must not be used \
         from outside it"
    );
}
