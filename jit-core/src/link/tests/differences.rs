//! Edges that subtract a symbol: `S - T + A`.

use super::mock_executor::FAR;
use super::objects::Obj;
use super::world::World;
use crate::batch::Resolution;
use crate::cpu::x86_64::Kind;
use crate::cpu::{Architecture, aarch64};
use crate::executor::api::NativeKind;
use crate::graph::Target;
use crate::object::SymbolKind;
use orc_shared::ExecutorAddr;

/// Data that holds how far one symbol is from another, in each width.
fn table(object: Obj, to: &str, from: &str) -> Obj {
    let edges = [
        (0, Kind::Subtrahend, from, 0),
        (0, Kind::Difference64, to, -1),
        (8, Kind::Subtrahend, from, 0),
        (8, Kind::Difference32, to, 0),
        (12, Kind::Subtrahend, from, 0),
        (12, Kind::Difference16, to, 2),
        (14, Kind::Subtrahend, from, 0),
        (14, Kind::Difference8, to, 3),
    ];
    object.data("table", &[0xee; 16], &edges)
}

fn assert_holds(world: &World, distance: i64) {
    let table = world.bytes("table", 16);
    let part = |range: std::ops::Range<usize>| table[range].to_vec();
    assert_eq!(part(0..8), (distance - 1).to_le_bytes());
    assert_eq!(part(8..12), (distance as i32).to_le_bytes());
    assert_eq!(part(12..14), (distance as i16 + 2).to_le_bytes());
    assert_eq!(part(14..15), (distance as i8 + 3).to_le_bytes());
    assert_eq!(part(15..16), [0xee]);
}

#[test]
fn the_distance_of_two_symbols_wherever_they_are() {
    // Both in another object: what the assembler cannot know.
    let mut world = World::new();
    let object = table(world.object("a.o"), "later", "sooner");
    world.add(object);
    let b = world.object("b.o").data("sooner", &[0; 32], &[]);
    let Target::Defined { block, .. } = b.symbols_target("sooner") else {
        panic!("it is defined");
    };
    let later = Target::Defined { block, offset: 24 };
    world.add(b.define("later", later, SymbolKind::Data, 1));
    world.must_link();
    assert_holds(&world, 24);
}

#[test]
fn a_difference_may_be_negative_and_of_numbers() {
    let mut world = World::new();
    let object = table(world.object("a.o"), "small", "large");
    let object = object.define("small", Target::Absolute(5), SymbolKind::None, 0);
    world.add(object.define("large", Target::Absolute(105), SymbolKind::None, 0));
    world.must_link();
    assert_holds(&world, -100);
}

#[test]
fn symbols_of_libraries_have_distances_too() {
    let mut world = World::new();
    world.native("puts", NativeKind::Function, None, FAR);
    let addr = ExecutorAddr::new(FAR - 16);
    let kind = SymbolKind::Data;
    world.outside("before", Resolution::Address { addr, kind });
    let object = table(world.object("a.o"), "puts", "before");
    world.add(object);
    world.must_link();
    assert_holds(&world, 16);
}

#[test]
fn both_symbols_stay_alive() {
    let mut world = World::new();
    world.roots = Some(vec!["table".to_owned()]);
    let edges = [
        (0, Kind::Subtrahend, "from", 0),
        (0, Kind::Difference64, "to", 0),
    ];
    let a = world.object("a.o").data("table", &[0; 8], &edges);
    let a = a.data("from", &[0; 8], &[]).data("to", &[0; 8], &[]);
    world.add(a.data("unused", &[0; 8], &[]));
    world.must_link();
    let (from, to) = (world.address("from"), world.address("to"));
    assert!(from != 0 && to != 0 && world.address("unused") == 0);
    assert_eq!(world.word(world.address("table")), to.wrapping_sub(from));
}

#[test]
fn a_distance_that_does_not_fit_is_an_error_that_says_so() {
    let mut world = World::new();
    let edges = [
        (0, Kind::Subtrahend, "from", 0),
        (0, Kind::Difference8, "to", 0),
    ];
    let a = world.object("a.o").data("table", &[0; 8], &edges);
    let a = a.define("from", Target::Absolute(0), SymbolKind::None, 0);
    world.add(a.define("to", Target::Absolute(256), SymbolKind::None, 0));
    let error = world.link().expect_err("8 bits hold less").to_string();
    assert!(
        error.contains("does not fit 8 bits (Difference8)"),
        "{error}"
    );
    assert!(error.contains("too far apart"), "{error}");
}

#[test]
fn halves_of_a_difference_are_refused() {
    let refused = |edges: &[(u32, Kind, &str, i64)]| {
        let mut world = World::new();
        let a = world.object("a.o").data("table", &[0; 8], edges);
        world.add(a.data("to", &[0; 8], &[]));
        world.link().is_err()
    };
    assert!(refused(&[(0, Kind::Subtrahend, "to", 0)]));
    assert!(refused(&[(0, Kind::Difference32, "to", 0)]));
    assert!(refused(&[
        (0, Kind::Subtrahend, "to", 0),
        (4, Kind::Difference32, "to", 0)
    ]));
    assert!(refused(&[
        (0, Kind::Subtrahend, "to", 0),
        (0, Kind::Pointer64, "to", 0)
    ]));
    assert!(!refused(&[
        (0, Kind::Subtrahend, "to", 0),
        (0, Kind::Difference32, "to", 0)
    ]));
}

#[test]
fn aarch64_has_differences_too() {
    let mut world = World::for_cpu(Architecture::Aarch64);
    let edges = [
        (0, aarch64::Kind::Subtrahend, "from", 0),
        (0, aarch64::Kind::Difference32, "to", 4),
        (4, aarch64::Kind::Subtrahend, "to", 0),
        (4, aarch64::Kind::Difference16, "from", 0),
    ];
    let a = world
        .object("a.o")
        .data("from", &[0; 16], &[])
        .data("to", &[0; 8], &[]);
    world.add(a.data("table", &[0; 8], &[]).aarch64_edges(&edges));
    world.must_link();
    let distance = world.address("to").wrapping_sub(world.address("from"));
    let table = world.bytes("table", 8);
    assert_eq!(table[..4], (distance as u32 + 4).to_le_bytes());
    assert_eq!(table[4..6], (distance as u16).wrapping_neg().to_le_bytes());
}
