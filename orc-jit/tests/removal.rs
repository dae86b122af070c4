//! What is left when a part of a dylib is removed.

use std::path::Path;
use std::process::Command;

use orc_jit::{Dylib, Error, Jit, Removal, Tracker};

/// An object of a C or C++ source.
fn object(directory: &Path, name: &str, source: &str) -> Vec<u8> {
    let file = directory.join(name);
    std::fs::write(&file, source).unwrap();
    let output = directory.join("object.o");
    let mut cc = Command::new("cc");
    let done = cc.args(["-O1", "-c"]).arg(&file).arg("-o").arg(&output);
    assert!(done.status().unwrap().success());
    std::fs::read(output).unwrap()
}

fn add(app: &Dylib, name: &str, source: &str) -> Tracker {
    let directory = tempfile::tempdir().unwrap();
    let tracker = app.tracker();
    let object = object(directory.path(), name, source);
    tracker.add_object_bytes(name, object).unwrap();
    tracker
}

/// Calls `int name(void)`.
fn call(app: &Dylib, name: &str) -> Result<i32, Error> {
    // SAFETY: all functions of these tests have this type.
    Ok(unsafe { app.function::<extern "C" fn() -> i32>(name) }?.call())
}

fn weak(number: i32) -> String {
    format!(
        "static int calls; __attribute__((weak)) int f(void) {{ return {number} + calls++; }}
         int g{number}(void) {{ return f(); }}"
    )
}

#[test]
fn another_weak_definition_takes_over() {
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let first = add(&app, "a.c", &weak(10));
    assert_eq!(call(&app, "g10").unwrap(), 10);
    let second = add(&app, "b.c", &weak(20));
    let third = add(&app, "c.c", &weak(30));
    assert_eq!(call(&app, "g20").unwrap(), 11, "the first one is in force");
    assert_eq!(call(&app, "g30").unwrap(), 12);
    assert_eq!(call(&app, "f").unwrap(), 13);

    // Linked code keeps to what it was linked with; what asks now gets the next one.
    assert!(matches!(first.remove().unwrap(), Removal::Deferred { .. }));
    assert_eq!(call(&app, "g20").unwrap(), 14);
    assert_eq!(call(&app, "f").unwrap(), 20);
    let user = add(&app, "d.c", "int f(void); int h(void) { return f(); }");
    assert_eq!(call(&app, "h").unwrap(), 21);
    second.remove().unwrap();
    assert_eq!(call(&app, "f").unwrap(), 30);
    user.remove().unwrap();
    third.remove().unwrap();
    assert!(call(&app, "f").is_err());
    assert_eq!(first.remove().unwrap(), Removal::Released);
}

#[test]
fn both_linked_at_once() {
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let first = add(&app, "a.c", &weak(10));
    let _second = add(&app, "b.c", &weak(20));
    let both = "int g10(void); int g20(void); int both(void) { return g10() + g20(); }";
    let user = add(&app, "c.c", both);
    assert_eq!(call(&app, "both").unwrap(), 21);
    user.remove().unwrap();
    first.remove().unwrap();
    assert_eq!(call(&app, "f").unwrap(), 20);
}

#[test]
fn an_inline_function_stays_with_its_users() {
    let inline = |number: i32| {
        format!(
            "extern \"C\" {{ __attribute__((noinline)) inline int f() {{ static int calls = 5; return calls++; }}
             int g{number}() {{ return f(); }} }}"
        )
    };
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let first = add(&app, "a.cc", &format!("{} int (*keep)() = f;", inline(1)));
    assert_eq!(call(&app, "g1").unwrap(), 5);
    let second = add(&app, "b.cc", &inline(2));
    assert_eq!(call(&app, "g2").unwrap(), 6);
    first.remove().unwrap();
    assert_eq!(call(&app, "f").unwrap(), 7, "its variable has not changed");
    let third = add(&app, "c.cc", &inline(3));
    assert_eq!(call(&app, "g3").unwrap(), 8);
    assert_eq!(call(&app, "g2").unwrap(), 9);
    third.remove().unwrap();
    assert_eq!(second.remove().unwrap(), Removal::Released);
    assert!(call(&app, "f").is_err());
}

#[test]
fn a_common_symbol_stays_with_its_users() {
    let common = |number: i32| {
        format!("int shared __attribute__((common)); int g{number}(void) {{ return ++shared; }}")
    };
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let first = add(&app, "a.c", &common(1));
    assert_eq!(call(&app, "g1").unwrap(), 1);
    let _second = add(&app, "b.c", &common(2));
    assert_eq!(call(&app, "g2").unwrap(), 2);
    first.remove().unwrap();
    add(
        &app,
        "c.c",
        "extern int shared; int see(void) { return shared; }",
    );
    assert_eq!(call(&app, "g2").unwrap(), 3);
    assert_eq!(call(&app, "see").unwrap(), 3);
}
