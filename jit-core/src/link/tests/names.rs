//! Names of functions for those who look up addresses.

use super::world::{World, hex};

/// The entries that the executor got: function and name.
fn entries(world: &World) -> Vec<(u64, Vec<u8>)> {
    let requests = {
        let state = world.executor.0.lock();
        let functions = state
            .final_memory
            .iter()
            .map(|m| m.request.functions.clone());
        functions.collect::<Vec<_>>().concat()
    };
    let name = |at: u64| {
        let bytes = (at..).map(|at| world.executor.read(at, 1)[0]);
        bytes.take_while(|byte| *byte != 0).collect()
    };
    let entry = |it: crate::executor::api::FunctionName| (it.start.value(), name(it.name.value()));
    requests.into_iter().map(entry).collect()
}

#[test]
fn functions_have_the_names_of_their_object_without_versions() {
    let mut world = World::new();
    let object = world.object("a.o").function("f", &hex("c3"), &[]);
    let object = object.function("g", &hex("c3"), &[]);
    world.add(object.named("f", b"first@@V1\0").named("g", b"second\0"));
    world.must_link();
    let expected = [("f", "first"), ("g", "second")];
    let expected = expected.map(|(function, name)| (world.address(function), name.into()));
    assert_eq!(entries(&world), expected);
}

#[test]
fn names_that_do_not_exist_are_left_out() {
    let mut world = World::new();
    let mut object = world.object("a.o").data("data", &[0; 8], &[]);
    for name in ["f", "g", "h"] {
        object = object.function(name, &hex("c3"), &[]);
    }
    // Of a variable, beyond the end, empty, and without an end.
    let object = object.named("data", b"data\0");
    let object = object
        .named_at("f", u32::MAX)
        .named("g", b"\0")
        .named("h", b"h");
    world.add(object);
    world.must_link();
    assert_eq!(entries(&world), []);
}

#[test]
fn names_take_no_more_than_their_object() {
    let mut world = World::new();
    let mut object = world.object("a.o").function("f", &hex("c3"), &[]);
    object = object.named("f", &[&[b'x'; 1000][..], &[0]].concat());
    for _ in 0..10_000 {
        object = object.named_at("f", 1);
    }
    world.add(object);
    world.must_link();
    assert_eq!(entries(&world).len(), 1);
}
