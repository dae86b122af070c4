//! Lazy functions that are linked before they are called.

use super::dylibs::{is_linked, lazy};
use super::{Call, Fixture, call};

/// A lazy dylib: `f` calls `g` and `h`, and `h` calls `g`.
fn three(it: &Fixture) -> orc_jit::Dylib {
    let app = lazy(it);
    it.add(
        &app,
        "f.c",
        "int g(int); int h(int); int f(int x) { return x ? g(x) + h(x) : 0; }",
    );
    it.add(&app, "g.c", "int g(int x) { return x + 1; }");
    it.add(
        &app,
        "h.c",
        "int g(int); int h(int x) { return 10 * g(x); }",
    );
    app
}

#[test]
fn functions_that_are_linked_ahead_have_no_first_call() {
    let it = Fixture::new();
    let app = three(&it);
    it.jit.session().record_first_calls();
    // SAFETY: the source above.
    let f = unsafe { app.function::<Call>("f") }.unwrap();
    // `g` and `h` have no stubs yet.
    assert_eq!(app.link_ahead(&["h", "g", "unknown"]).unwrap(), 1);
    assert!(is_linked(&app, "g.c") && is_linked(&app, "h.c"));
    assert!(!is_linked(&app, "f.c"));
    assert_eq!(f.call(2), 33);
    assert_eq!(app.link_ahead(&["f", "g", "h"]).unwrap(), 0);
    let calls = it.jit.session().first_calls();
    let calls: Vec<_> = calls
        .iter()
        .map(|it| (&it.name[..], &it.object[..]))
        .collect();
    assert_eq!(calls, [(&b"f"[..], "f.c")]);
    let counts = app.lazy_counts();
    assert_eq!((counts.objects, counts.linked_objects), (3, 3));
}

#[test]
fn stubs_that_are_there_lead_to_what_is_linked_ahead() {
    let it = Fixture::new();
    let app = three(&it);
    it.jit.session().record_first_calls();
    assert_eq!(call(&app, "f", 0), 0);
    assert_eq!(app.link_ahead(&["h"]).unwrap(), 0);
    assert!(is_linked(&app, "h.c") && !is_linked(&app, "g.c"));
    assert_eq!(call(&app, "f", 2), 33);
    let calls = it.jit.session().first_calls();
    let calls: Vec<_> = calls.iter().map(|it| &it.name[..]).collect();
    assert_eq!(calls, [b"f", b"g"]);
}

#[test]
fn what_cannot_be_linked_ahead_is_tried_again_by_its_call() {
    let it = Fixture::new();
    let app = lazy(&it);
    let compiled = it.define(&app, "f", "int g(int x) { return x; }");
    it.add(
        &app,
        "call.c",
        "int f(int); int call(int x) { return x ? f(x) : 0; }",
    );
    assert_eq!(call(&app, "call", 0), 0);
    let error = app.link_ahead(&["f"]).unwrap_err().to_string();
    assert!(error.contains("f"), "{error}");
    assert_eq!(call(&app, "call", 0), 0);
    app.link_ahead(&["f"]).unwrap_err();
    let compiled = compiled.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(compiled, 2);
}
