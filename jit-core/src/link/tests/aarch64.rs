//! AArch64: tables, stubs, veneers and the code that runs IFUNC resolvers, through the whole linker.

use super::mock_executor::FAR;
use super::objects::Obj;
use super::world::{DYLIB, World};
use crate::batch::TrackerId;
use crate::cpu::Architecture;
use crate::cpu::aarch64::{Kind, stubs};
use crate::executor::api::NativeKind;
use crate::graph::SectionKind;
use crate::object::SymbolKind;

const BL: u32 = 0x9400_0000;
const ADRP_X0: u32 = 0x9000_0000;
const ADD_X0_X0: u32 = 0x9100_0000;
const LDR_X0_X0: u32 = 0xf940_0000;
const RET: u32 = 0xd65f_03c0;
const MIB: u64 = 1 << 20;

fn world() -> World {
    World::for_cpu(Architecture::Aarch64)
}

fn code(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A function with edges.
fn function(object: Obj, name: &str, words: &[u32], edges: &[(u32, Kind, &str, i64)]) -> Obj {
    object
        .function(name, &code(words), &[])
        .aarch64_edges(edges)
}

/// Code without content that has edges.
fn large(object: Obj, name: &str, size: u64, edges: &[(u32, Kind, &str, i64)]) -> Obj {
    object
        .zeros(".text", SectionKind::Text, name, size, 4)
        .aarch64_edges(edges)
}

fn word(world: &World, addr: u64) -> u32 {
    let bytes = world.executor.read(addr, 4);
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}

/// Where `b` or `bl` leads.
fn branch(world: &World, addr: u64) -> u64 {
    let distance = (word(world, addr) << 6).cast_signed() >> 4;
    addr.wrapping_add_signed(i64::from(distance))
}

/// The page that `adrp` makes.
fn page(world: &World, addr: u64) -> u64 {
    let word = word(world, addr);
    let pages = (((word >> 5) & 0x7_ffff) << 2) | ((word >> 29) & 3);
    let pages = i64::from((pages << 11).cast_signed() >> 11);
    (addr & !0xfff).wrapping_add_signed(pages << 12)
}

/// The unsigned immediate of `add` or of an 8-byte load.
fn low(world: &World, addr: u64, scale: u32) -> u64 {
    u64::from((word(world, addr) >> 10) & 0xfff) << scale
}

/// The GOT entry that a stub jumps through.
fn entry_of_stub(world: &World, stub: u64) -> u64 {
    assert_eq!(world.executor.read(stub, 4), stubs::STUB.code[..4]);
    page(world, stub + 4) + low(world, stub + 8, 3)
}

/// Where a veneer leads.
fn veneer(world: &World, addr: u64) -> u64 {
    assert_eq!(word(world, addr + 8), 0xd61f_0200, "br x16");
    page(world, addr) + low(world, addr + 4, 0)
}

#[test]
fn code_of_one_allocation_is_reached_directly() {
    let mut world = world();
    let words = [BL, ADRP_X0, ADD_X0_X0, ADRP_X0, LDR_X0_X0, RET];
    let edges = [
        (0, Kind::Branch26, "callee", 0),
        (4, Kind::Page21, "data", 8),
        (8, Kind::AddLow12, "data", 8),
        (12, Kind::GotPage21, "data", 0),
        (16, Kind::GotLow12, "data", 0),
    ];
    let a = function(world.object("a.o"), "main", &words, &edges);
    world.add(a.data("data", &[7; 16], &[]));
    world.add(function(world.object("b.o"), "callee", &[RET], &[]));
    world.must_link();
    let (main, data) = (world.address("main"), world.address("data"));
    assert_eq!(branch(&world, main), world.address("callee"));
    assert_eq!(page(&world, main + 4) + low(&world, main + 8, 0), data + 8);
    // The load through the GOT has become an addition.
    assert_eq!(word(&world, main + 16) & 0xffc0_0000, ADD_X0_X0);
    assert_eq!(page(&world, main + 12) + low(&world, main + 16, 0), data);
}

#[test]
fn a_far_function_is_called_through_a_stub_that_shares_its_entry() {
    let mut world = world();
    world.native("puts", NativeKind::Function, None, FAR);
    let words = [BL, BL, ADRP_X0, LDR_X0_X0];
    let edges = [
        (0, Kind::Branch26, "puts", 0),
        (4, Kind::Branch26, "puts", 0),
        (8, Kind::GotPage21, "puts", 0),
        (12, Kind::GotLow12, "puts", 0),
    ];
    world.add(function(world.object("a.o"), "main", &words, &edges));
    world.must_link();
    let main = world.address("main");
    let stub = branch(&world, main);
    assert_eq!(branch(&world, main + 4), stub);
    let entry = entry_of_stub(&world, stub);
    assert_eq!(world.word(entry), FAR);
    assert_eq!(page(&world, main + 8) + low(&world, main + 12, 3), entry);
}

#[test]
fn a_function_of_another_allocation_is_called_through_a_stub() {
    let mut world = world();
    let edges = [(0, Kind::Branch26, "callee", 0)];
    world.add(function(world.object("a.o"), "main", &[BL], &edges));
    let callee = function(world.object("b.o"), "callee", &[RET], &[]);
    world.add_to(callee, DYLIB, TrackerId(1));
    world.must_link();
    let stub = branch(&world, world.address("main"));
    let entry = entry_of_stub(&world, stub);
    assert_eq!(world.word(entry), world.address("callee"));
}

#[test]
fn branches_over_more_than_they_reach_are_led_through_veneers() {
    let mut world = world();
    let forth = [
        (0, Kind::Branch26, "last", 0),
        (4, Kind::Branch26, "last", 8),
        (8, Kind::Branch26, "last", 0),
    ];
    let a = function(world.object("a.o"), "first", &[BL; 3], &forth);
    world.add(a);
    for number in 0..4 {
        let object = world.object(&format!("{number}.o"));
        world.add(large(object, &format!("pad{number}"), 50 * MIB, &[]));
    }
    let back = [(0, Kind::Branch26, "first", 0)];
    world.add(function(world.object("z.o"), "last", &[BL], &back));
    world.must_link();
    let (first, last) = (world.address("first"), world.address("last"));
    assert!(last - first >= 200 * MIB);
    let to_last = branch(&world, first);
    assert_eq!(veneer(&world, to_last), last);
    assert_eq!(branch(&world, first + 8), to_last, "one veneer serves both");
    assert_eq!(veneer(&world, branch(&world, first + 4)), last + 8);
    assert_eq!(veneer(&world, branch(&world, last)), first);
}

#[test]
fn a_block_that_is_larger_than_a_branch_reaches_has_veneers_on_both_sides() {
    let mut world = world();
    let end = (200 * MIB) as u32;
    let edges = [
        (0, Kind::Branch26, "last", 0),
        (end - 4, Kind::Branch26, "first", 0),
        (end / 2, Kind::Branch26, "first", 0),
    ];
    world.add(function(world.object("a.o"), "first", &[RET], &[]));
    world.add(large(world.object("b.o"), "huge", 200 * MIB, &edges));
    world.add(function(world.object("z.o"), "last", &[RET], &[]));
    world.must_link();
    let (first, huge, last) = (
        world.address("first"),
        world.address("huge"),
        world.address("last"),
    );
    assert_eq!(veneer(&world, branch(&world, huge)), last);
    let end = huge + u64::from(end);
    assert_eq!(veneer(&world, branch(&world, end - 4)), first);
    assert_eq!(branch(&world, huge + 100 * MIB), first, "within reach");
}

#[test]
fn a_branch_just_within_reach_needs_no_veneer() {
    let mut world = world();
    // Over all, there is more code than a branch spans.
    let edges = [(0, Kind::Branch26, "callee", 0)];
    world.add(function(world.object("a.o"), "main", &[BL], &edges));
    world.add(large(world.object("b.o"), "pad", 110 * MIB, &[]));
    world.add(function(world.object("c.o"), "callee", &[RET], &[]));
    world.add(large(world.object("d.o"), "more", 60 * MIB, &[]));
    world.must_link();
    let main = world.address("main");
    assert_eq!(branch(&world, main), world.address("callee"));
}

#[test]
fn resolvers_are_told_what_the_processor_has() {
    let mut world = world();
    let a = function(world.object("a.o"), "chosen", &[RET], &[]);
    let a = a.alter("chosen", |symbol| {
        symbol.kind = SymbolKind::IndirectFunction
    });
    let edges = [(0, Kind::Branch26, "chosen", 0)];
    world.add(function(a, "main", &[BL], &edges));
    world.must_link();
    let state = world.executor.0.lock();
    let action = &state.final_memory[0].request.actions[0];
    let args = &action.finalize.args;
    assert_eq!(args[..32], stubs::resolver_arguments([0, 0]));
    assert_eq!(args.len(), 32 + 16, "and one resolver with its slot");
}
