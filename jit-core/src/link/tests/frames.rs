//! Frames follow their code.

use super::world::{World, hex};
use crate::graph::SectionKind;

fn world_with_frames(roots: Option<&[&str]>) -> World {
    let mut world = World::new();
    world.roots = roots.map(|roots| roots.iter().map(ToString::to_string).collect());
    let ro = SectionKind::ReadOnly;
    let a = world.object("a.o").function("first", &hex("c3"), &[]);
    let a = a.function("second", &hex("c3"), &[]);
    let a = a.function("personality", &hex("c3"), &[]);
    let a = a.block(".lsda", ro, "lsda_1", &[1; 4], &[]);
    let a = a.block(".lsda", ro, "lsda_2", &[2; 4], &[]);
    let frames = [("first", Some("lsda_1")), ("second", Some("lsda_2"))];
    world.add(a.frames(&frames, "personality"));
    world.must_link();
    world
}

#[test]
fn every_live_function_has_an_entry_sorted_by_address() {
    let world = world_with_frames(None);
    let (first, second) = (world.address("first"), world.address("second"));
    let state = world.executor.0.lock();
    let request = &state.final_memory[0].request;
    let pcs: Vec<u64> = request.frames.iter().map(|f| f.pc.value()).collect();
    assert_eq!(pcs, [first, second]);
    let section = request.eh_frame.expect("frames");
    assert_eq!(
        section.size(),
        48 + 4,
        "two frames, a CIE and the terminator"
    );
    let fdes: Vec<u64> = request
        .frames
        .iter()
        .map(|f| f.fde.value() - section.start.value())
        .collect();
    assert_eq!(fdes, [16, 32]);
    drop(state);
    let frames = world.executor.read(section.start.value(), 52);
    assert_eq!(frames[48..], [0; 4]);
    let start = i32::from_le_bytes(frames[24..28].try_into().expect("four bytes"));
    let place = section.start.value() + 24;
    assert_eq!(place.wrapping_add_signed(i64::from(start)), first);
}

#[test]
fn a_dead_functions_frame_keeps_nothing_and_is_nobodys() {
    let world = world_with_frames(Some(&["second"]));
    assert_eq!(world.address("first"), 0, "a frame keeps no code");
    assert_eq!(world.address("lsda_1"), 0);
    assert_ne!(world.address("lsda_2"), 0, "an LSDA lives with its code");
    assert_ne!(
        world.address("personality"),
        0,
        "a CIE lives with any frame"
    );
    let state = world.executor.0.lock();
    let request = &state.final_memory[0].request;
    assert_eq!(request.frames.len(), 1);
    let section = request.eh_frame.expect("frames");
    drop(state);
    let frames = world.executor.read(section.start.value(), 52);
    assert_eq!(
        frames[24..28],
        [0; 4],
        "unwinders skip a frame of code at zero"
    );
}

#[test]
fn frames_of_nothing_are_nothing() {
    let world = world_with_frames(Some(&["lsda_1"]));
    let state = world.executor.0.lock();
    let request = &state.final_memory[0].request;
    assert!(request.frames.is_empty());
    assert_eq!(request.eh_frame, None);
}
