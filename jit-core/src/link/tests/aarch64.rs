//! AArch64: tables, stubs, veneers and the code that runs IFUNC resolvers, through the whole linker.

use super::mock_executor::FAR;
use super::objects::Obj;
use super::world::{DYLIB, World};
use orc_shared::ExecutorAddr;

use crate::batch::{Resolution, TrackerId};
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

/// Two functions so many bytes apart, of which each branches to the other one.
fn functions_apart(distance: u64) -> World {
    let mut world = world();
    let forth = [(0, Kind::Branch26, "last", 0)];
    world.add(function(world.object("a.o"), "first", &[BL], &forth));
    world.add(large(world.object("pad.o"), "pad", distance - 4, &[]));
    let back = [(0, Kind::Branch26, "first", 0)];
    world.add(function(world.object("z.o"), "last", &[BL], &back));
    world.must_link();
    world
}

#[test]
fn branches_lead_to_their_targets_at_both_ends_of_their_reach() {
    let reach = 128 * MIB;
    for distance in [reach - 8, reach - 4, reach, reach + 4, reach + 8] {
        let world = functions_apart(distance);
        let (first, last) = (world.address("first"), world.address("last"));
        // Veneers may have moved them further apart.
        assert!(last - first >= distance, "{distance:#x}");
        for (from, to) in [(first, last), (last, first)] {
            let reached = branch(&world, from);
            if reached == to {
                // bl reaches 128 MiB back, and an instruction less forth.
                let most = if to > from { reach - 4 } else { reach };
                assert!(from.abs_diff(to) <= most, "{distance:#x}");
            } else {
                assert!(reached.abs_diff(from) < reach, "{distance:#x}");
                assert_eq!(veneer(&world, reached), to, "{distance:#x}");
            }
        }
    }
}

#[test]
fn an_address_pair_across_more_than_4_gib_leads_to_a_stub_or_is_an_error() {
    let pair = |target| [(0, Kind::Page21, target, 0), (4, Kind::AddLow12, target, 0)];
    let code = [ADRP_X0, ADD_X0_X0, RET];
    let mut functions = world();
    functions.native("puts", NativeKind::Function, None, FAR);
    let main = function(functions.object("a.o"), "main", &code, &pair("puts"));
    functions.add(main);
    functions.must_link();
    let main = functions.address("main");
    let stub = page(&functions, main) + low(&functions, main + 4, 0);
    assert_eq!(functions.word(entry_of_stub(&functions, stub)), FAR);

    let mut data = world();
    data.native("environ", NativeKind::Data, Some(0), FAR);
    let main = function(data.object("a.o"), "main", &code, &pair("environ"));
    data.add(main);
    assert!(
        data.link().is_err(),
        "no copy can be made without a program"
    );
}

#[test]
fn an_address_pair_reaches_4_gib_from_page_to_page() {
    // Where code lies in the mock, found by linking it once.
    let place = {
        let mut world = world();
        world.add(function(
            world.object("a.o"),
            "main",
            &[ADRP_X0, ADD_X0_X0],
            &[],
        ));
        world.must_link();
        world.address("main") & !0xfff
    };
    let gib_4 = 1 << 32;
    let ends = [
        (place - gib_4, true),
        (place + gib_4 - 1, true),
        (place - gib_4 - 1, false),
        (place + gib_4, false),
    ];
    for (there, reaches) in ends {
        let mut world = world();
        let addr = ExecutorAddr::new(there);
        let kind = SymbolKind::Data;
        world.outside("there", Resolution::Address { addr, kind });
        let edges = [
            (0, Kind::Page21, "there", 0),
            (4, Kind::AddLow12, "there", 0),
        ];
        let code = [ADRP_X0, ADD_X0_X0];
        world.add(function(world.object("a.o"), "main", &code, &edges));
        assert_eq!(world.link().is_ok(), reaches, "{there:#x}");
        if reaches {
            let main = world.address("main");
            assert_eq!(main & !0xfff, place);
            assert_eq!(page(&world, main) + low(&world, main + 4, 0), there);
        }
    }
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
