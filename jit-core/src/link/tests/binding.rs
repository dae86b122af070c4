//! Meeting the process's libraries, at once and as a program.

use std::sync::Arc;

use super::world::{Lib, World, hex};
use crate::batch::ProgramLink;
use crate::cpu::x86_64::Kind;
use crate::executor::api::{ImportKind, NativeKind};

const FAR: u64 = 0x1234_5678_9abc;

fn program(world: &mut World, interposable: &[&str]) {
    let library = Lib {
        path: "/lib/lib.so.1".to_owned(),
        interposable: interposable.iter().map(ToString::to_string).collect(),
        aliases: Vec::new(),
    };
    world.program = Some(ProgramLink {
        libraries: vec![Arc::new(library)],
        search_path: vec!["/opt/lib".to_owned()],
        ..ProgramLink::default()
    });
}

#[test]
fn all_missing_imports_are_reported() {
    let mut world = World::new();
    for name in ["one", "two", "three"] {
        world.native(name, NativeKind::Function, None, FAR);
    }
    world
        .executor
        .0
        .lock()
        .symbols
        .retain(|name, _| name == b"two");
    let code = hex("e8 00000000 e8 00000000 e8 00000000");
    let edges = [
        (1, Kind::Branch32, "one", -4),
        (6, Kind::Branch32, "two", -4),
        (11, Kind::Branch32, "three", -4),
    ];
    let a = world.object("a.o").function("main", &code, &edges);
    world.add(a);
    assert_eq!(
        world.link().expect_err("fails").to_string(),
        "the process does not define what its libraries' files promise:\
         \n  one (from /lib/lib.so.1)\n  three (from /lib/lib.so.1)"
    );
    assert_eq!(world.executor.0.lock().in_flight, 0);
}

#[test]
fn only_what_is_used_is_imported_and_versions_are_named() {
    let mut world = World::new();
    program(&mut world, &[]);
    world.native("versioned", NativeKind::Function, None, FAR);
    world.native("old@LIB_1", NativeKind::Function, None, FAR);
    world.native("__tls_get_addr", NativeKind::Function, None, FAR);
    let a = world.object("a.o").function(
        "main",
        &hex("e8 00000000 e8 00000000"),
        &[
            (1, Kind::Branch32, "versioned", -4),
            (6, Kind::Branch32, "old@LIB_1", -4),
        ],
    );
    // Rewritten to local-exec, this sequence calls nothing.
    let sequence = hex("48 8d 3d 00000000 e8 00000000");
    let edges = [
        (3, Kind::TlsLocalDynamic, "main", -4),
        (8, Kind::Branch32, "__tls_get_addr", -4),
    ];
    world.add(a.function("tls", &sequence, &edges));
    world.must_link();
    let state = world.executor.0.lock();
    let image = state.image.as_ref().expect("an image");
    assert_eq!(image.needed, ["lib.so.1"], "the loader finds it");
    assert_eq!(image.search_path, ["/opt/lib"]);
    let imports: Vec<_> = image
        .imports
        .iter()
        .map(|i| (&i.name[..], i.version.clone()))
        .collect();
    let version = |text: &str| Some((text.as_bytes().to_vec(), b"lib.so.1".to_vec()));
    assert_eq!(
        imports,
        [
            (&b"versioned"[..], version("LIB_2")),
            (&b"old"[..], version("LIB_1"))
        ]
    );
}

#[test]
fn programs_export_what_libraries_name() {
    let mut world = World::new();
    program(&mut world, &["callback", "absent", "hidden"]);
    world.roots = Some(vec!["main".to_owned()]);
    let a = world.object("a.o").function("main", &hex("c3"), &[]);
    let a = a.function("callback", &hex("c3"), &[]);
    let a = a.function("hidden", &hex("c3"), &[]);
    let a = a.alter("hidden", |s| s.scope = crate::object::Scope::Hidden);
    world.add(a.function("unused", &hex("c3"), &[]));
    world.must_link();
    let callback = world.address("callback");
    assert_ne!(callback, 0, "a library may call it");
    assert_eq!(world.address("unused"), 0);
    let state = world.executor.0.lock();
    let exports = &state.image.as_ref().expect("an image").exports;
    assert_eq!(exports.len(), 1);
    assert_eq!(exports[0].name, b"callback");
    assert_eq!(exports[0].addr.value(), callback);
    assert_eq!(exports[0].kind, NativeKind::Function);
}

#[test]
fn data_out_of_reach_gets_one_copy_under_all_its_names() {
    let mut world = World::new();
    program(&mut world, &[]);
    world.executor.0.lock().loaded = vec!["/lib/lib.so.1".to_owned()];
    let library = || {
        Arc::new(Lib {
            path: "/lib/lib.so.1".to_owned(),
            interposable: Vec::new(),
            aliases: vec!["environ".to_owned(), "__environ".to_owned()],
        })
    };
    world.native_of("environ", NativeKind::Data, None, 0, library());
    world.native_of("__environ", NativeKind::Data, None, 0, library());
    let load = hex("48 8b 05 00000000");
    let a = world.object("a.o");
    world.add(a.function("direct", &load, &[(3, Kind::Delta32, "environ", -4)]));
    let b = world.object("b.o");
    let edges = [(3, Kind::GotDelta32RexRelaxable, "__environ", -4)];
    world.add(b.function("other", &load, &edges));
    world.must_link();
    let copy = world.leads_to("direct", 3);
    assert_eq!(world.leads_to("other", 3), copy);
    assert_eq!(copy % 32, 0, "the copy is aligned as the original");
    let state = world.executor.0.lock();
    let image = state.image.as_ref().expect("an image");
    assert!(image.imports.is_empty());
    assert_eq!(image.copies.len(), 1);
    assert_eq!(
        (image.copies[0].to.value(), image.copies[0].size),
        (copy, 8)
    );
    assert_eq!(image.copies[0].file_addr, 0x100);
    let exports: Vec<_> = image
        .exports
        .iter()
        .map(|e| (&e.name[..], e.addr.value(), e.redirect_loaded))
        .collect();
    assert_eq!(
        exports,
        [
            (&b"environ"[..], copy, true),
            (&b"__environ"[..], copy, true)
        ]
    );
}

#[test]
fn addresses_of_far_functions_are_one_canonical_stub() {
    let mut world = World::new();
    program(&mut world, &[]);
    world.native("qsort", NativeKind::Function, None, FAR);
    let a = world.object("a.o").function(
        "lea",
        &hex("48 8d 05 00000000"),
        &[(3, Kind::Delta32, "qsort", -4)],
    );
    world.add(a);
    let b = world.object("b.o");
    world.add(b.data("pointer", &[0; 8], &[(0, Kind::Pointer64, "qsort", 0)]));
    world.must_link();
    let stub = world.leads_to("lea", 3);
    assert_eq!(world.word(world.address("pointer")), stub);
    assert_eq!(world.word(world.follow(stub + 6)), FAR);
    let state = world.executor.0.lock();
    let image = state.image.as_ref().expect("an image");
    assert_eq!(image.exports[0].name, b"qsort");
    assert_eq!(image.exports[0].addr.value(), stub);
    assert_eq!(image.imports[0].kind, ImportKind::Address);
}

#[test]
fn data_out_of_reach_is_an_error_without_a_program() {
    let mut world = World::new();
    world.native("stdout", NativeKind::Data, Some(FAR), FAR + 0x100);
    let a = world.object("a.o").function(
        "main",
        &hex("90 48 8b 05 00000000"),
        &[(4, Kind::Delta32, "stdout", -4)],
    );
    world.add(a);
    let error = world.link().expect_err("fails").to_string();
    assert_eq!(
        error,
        "a.o: section .text.main+0x4 (main+0x4): the reference at 0x7f0000000004 to stdout at \
         0x123456789bbc (-0x6ccba9876448 away) needs the value -0x6ccba987644c, which \
         does not fit 32 bits (Delta32); the object refers directly to a variable of a shared \
         library that lies too far away: \
         recompile it with -fPIC, or run it as a program, where it gets a copy of the variable"
    );
}
