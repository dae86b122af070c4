//! Functions that are linked before they are called, because linked code refers to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jit_core::error::LinkError;
use orc_jit::{Dylib, Jit, Materializer, ReplaceOptions, Responsibility, Speculation};

use super::dylibs::{is_linked, lazy};
use super::{Call, Fixture, call};

/// With a JIT that links so many calls ahead.
fn fixture(depth_max: u32, functions_max: usize) -> Fixture {
    let how_far = Speculation {
        depth_max,
        functions_max,
        ..Speculation::default()
    };
    Fixture {
        scratch: tempfile::tempdir().unwrap(),
        jit: Jit::builder().speculate(how_far).build().unwrap(),
    }
}

/// Waits until something is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Time in which a thread that has something to do would do it.
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

/// `f0` calls `f1`, and so on, each in an object of its own; only if it is not called with zero.
fn chain(it: &Fixture, app: &Dylib, length: usize) {
    for n in 0..length {
        let next = n + 1;
        let source = match next == length {
            true => format!("int f{n}(int x) {{ return x; }}"),
            false => {
                format!("int f{next}(int); int f{n}(int x) {{ return x ? f{next}(x) + 1 : 0; }}")
            }
        };
        it.add(app, &format!("f{n}.c"), &source);
    }
}

fn are_linked(app: &Dylib, length: usize) -> Vec<bool> {
    let linked = (0..length).map(|n| is_linked(app, &format!("f{n}.c")));
    linked.collect()
}

#[test]
fn functions_are_linked_so_many_calls_ahead() {
    let it = fixture(2, 100);
    let app = lazy(&it);
    chain(&it, &app, 7);
    // SAFETY: the sources above.
    let f0 = unsafe { app.function::<Call>("f0") }.unwrap();
    wait_until("two are linked", || it.jit.session().linked_ahead() == 2);
    pause();
    let linked = [true, true, false, false, false, false, false];
    assert_eq!(are_linked(&app, 7), linked);
    // Nothing waits for a first call before `f2`, which links two more.
    assert_eq!(f0.call(0), 0);
    assert_eq!(it.jit.session().linked_ahead(), 2);
    assert_eq!(f0.call(1), 7);
    wait_until("all are linked", || are_linked(&app, 7) == [true; 7]);
}

#[test]
fn no_more_functions_are_linked_ahead_than_allowed() {
    let it = fixture(100, 3);
    let app = lazy(&it);
    chain(&it, &app, 7);
    // SAFETY: the sources above.
    let f0 = unsafe { app.function::<Call>("f0") }.unwrap();
    wait_until("three are linked", || it.jit.session().linked_ahead() == 3);
    pause();
    assert_eq!(it.jit.session().linked_ahead(), 3);
    assert!(!is_linked(&app, "f3.c"));
    assert_eq!(f0.call(1), 7);
}

#[test]
fn first_calls_are_recorded_of_what_was_linked_ahead() {
    let it = fixture(100, 100);
    it.jit.session().record_first_calls();
    let app = lazy(&it);
    chain(&it, &app, 4);
    // SAFETY: the sources above.
    let f0 = unsafe { app.function::<Call>("f0") }.unwrap();
    wait_until("all are linked", || it.jit.session().linked_ahead() == 4);
    assert_eq!(f0.call(1), 4);
    let calls = it.jit.session().first_calls();
    let names: Vec<&[u8]> = calls.iter().map(|call| &call.name[..]).collect();
    assert_eq!(names, [b"f0", b"f1", b"f2", b"f3"]);
}

/// Fails, and counts.
struct Fails(Arc<AtomicU32>);

impl Materializer for Fails {
    fn name(&self) -> String {
        "fails".to_owned()
    }

    fn materialize(&self, responsibility: Responsibility) {
        self.0.fetch_add(1, Ordering::SeqCst);
        responsibility.fail(LinkError::Client {
            who: "compiler".to_owned(),
            message: "it always does".to_owned(),
        });
    }
}

#[test]
fn a_failure_ahead_is_silent_and_the_call_tries_again() {
    let it = fixture(2, 100);
    let app = lazy(&it);
    let tried = Arc::<AtomicU32>::default();
    app.define(Arc::new(Fails(tried.clone())), &["bad"])
        .unwrap();
    it.add(
        &app,
        "call.c",
        "int bad(int); int good(int); int call(int x) { return x ? good(x) : bad(x); }",
    );
    it.add(&app, "good.c", "int good(int x) { return x + 1; }");
    // SAFETY: the source above.
    let function = unsafe { app.function::<Call>("call") }.unwrap();
    wait_until("both are tried", || {
        tried.load(Ordering::SeqCst) == 1 && is_linked(&app, "good.c")
    });
    assert_eq!(function.call(1), 2);
    let error = app.link_ahead(&["bad"]).unwrap_err().to_string();
    assert!(error.contains("it always does"), "{error}");
    assert_eq!(tried.load(Ordering::SeqCst), 2);
    assert_eq!(function.call(2), 3);
}

#[test]
fn calls_and_links_ahead_meet_and_each_body_is_compiled_once() {
    const FUNCTIONS: usize = 60;
    let it = fixture(3, 10_000);
    let app = lazy(&it);
    let mut compiled = Vec::new();
    for n in 0..FUNCTIONS {
        let (left, right) = ((2 * n + 1) % FUNCTIONS, (2 * n + 2) % FUNCTIONS);
        let source = format!(
            "int f{left}(int); int f{right}(int); \
             int f{n}(int x) {{ return x ? f{left}(x - 1) + f{right}(x - 1) : 1; }}"
        );
        compiled.push(it.define(&app, &format!("f{n}"), &source));
    }
    let names: Vec<String> = (0..FUNCTIONS).map(|n| format!("f{n}")).collect();
    let functions: Vec<_> = names
        .iter()
        // SAFETY: the sources above.
        .map(|name| unsafe { app.function::<Call>(name) }.unwrap())
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let functions = &functions;
            scope.spawn(move || {
                for n in 0..FUNCTIONS {
                    let n = (n * 7 + thread * 11) % FUNCTIONS;
                    assert_eq!(functions[n].call(5), 32);
                }
            });
        }
    });
    for compiled in compiled {
        assert_eq!(compiled.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn trackers_and_dylibs_are_removed_while_their_functions_are_linked_ahead() {
    const ROUNDS: usize = 60;
    let it = fixture(8, usize::MAX);
    let objects: Vec<Vec<u8>> = (0..8)
        .map(|n| {
            let next = n + 1;
            let source = match next == 8 {
                true => format!("int f{n}(int x) {{ return x; }}"),
                false => format!(
                    "int f{next}(int); int f{n}(int x) {{ return x ? f{next}(x) + 1 : 0; }}"
                ),
            };
            it.compile(&format!("f{n}.c"), &source)
        })
        .collect();
    for round in 0..ROUNDS {
        let app = it.jit.dylib("app").unwrap();
        app.link_lazily();
        let parts: Vec<_> = (0..2).map(|_| app.tracker()).collect();
        for (n, object) in objects.iter().enumerate() {
            let part = &parts[usize::from(n >= 4)];
            part.add_object_bytes(&format!("f{n}.o"), object.clone())
                .unwrap();
        }
        // SAFETY: the sources above.
        let f0 = unsafe { app.function::<Call>("f0") }.unwrap();
        match round % 4 {
            0 => assert_eq!(f0.call(1), 8),
            1 => assert_eq!(f0.call(0), 0),
            2 => std::thread::sleep(Duration::from_micros(100 * (round as u64 % 13))),
            _ => {}
        }
        drop(f0);
        if round % 3 == 0 {
            parts[1].remove().unwrap();
            parts[0].remove().unwrap();
        }
        app.close().unwrap();
    }
    assert!(it.jit.session().linked_ahead() > 0);
}

#[test]
fn objects_are_replaced_while_they_are_linked_ahead() {
    const ROUNDS: i32 = 40;
    let it = fixture(2, usize::MAX);
    let app = lazy(&it);
    app.allow_replacement();
    let sources = |version: i32| {
        let calls: String = (0..6).map(|n| format!("+ f{n}(x)")).collect();
        let declared: String = (0..6).map(|n| format!("int f{n}(int);")).collect();
        let mut all = vec![(
            "call.c".to_owned(),
            format!("{declared} int call(int x) {{ return x ? 0 {calls} : {version}; }}"),
        )];
        all.extend((0..6).map(|n| {
            let source = format!("int f{n}(int x) {{ return x * {version}; }}");
            (format!("f{n}.c"), source)
        }));
        all
    };
    let compiled = |version| -> Vec<(String, Vec<u8>)> {
        let all = sources(version).into_iter();
        all.map(|(name, source)| (name.clone(), it.compile(&name, &source)))
            .collect()
    };
    let versions = [compiled(1), compiled(2)];
    let tracker = app.tracker();
    for (name, object) in &versions[0] {
        tracker.add_object_bytes(name, object.clone()).unwrap();
    }
    // SAFETY: the sources above.
    let function = unsafe { app.function::<Call>("call") }.unwrap();
    for round in 1..=ROUNDS {
        let now = &versions[round as usize % 2];
        let objects: Vec<_> = now
            .iter()
            .map(|(name, object)| it.jit.objects().read(name, object.clone()).unwrap())
            .collect();
        // Nobody runs it, and its memory may stay.
        let _old = tracker
            .session_tracker()
            .replace(&objects, ReplaceOptions::default())
            .unwrap();
        let version = round % 2 + 1;
        assert_eq!(function.call(0), version);
        if round % 3 == 0 {
            assert_eq!(function.call(1), 6 * version);
        }
    }
}

#[test]
fn what_is_linked_ahead_ends_with_the_jit() {
    for _ in 0..10 {
        let it = fixture(100, usize::MAX);
        let app = lazy(&it);
        chain(&it, &app, 3);
        assert_eq!(call(&app, "f0", 0), 0);
        let session = it.jit.session().downgrade();
        drop((app, it));
        assert!(session.upgrade().is_none());
    }
}
