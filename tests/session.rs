//! The library after something went wrong, and under hostile conditions: a failed link leaves the
//! session as it was, and bytes of any kind give an error or a link, never a panic.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use orc_jit::{Dylib, Jit};
use tests::scratch::Scratch;

/// A session with a dylib, and a directory with a compiler.
struct Fixture {
    scratch: Scratch,
    jit: Jit,
    app: Dylib,
}

impl Fixture {
    fn new() -> Self {
        let jit = Jit::new().expect("a session starts");
        let app = jit.dylib("app").expect("a new name");
        Self {
            scratch: Scratch::new(),
            jit,
            app,
        }
    }

    fn compile(&self, text: &str) -> Vec<u8> {
        self.scratch.compile("unit.o", text);
        self.scratch.read("unit.o")
    }

    /// Links and calls something new, as proof that the session works.
    #[track_caller]
    fn assert_works(&self, number: i32) {
        let name = format!("still_works_{number}");
        let text = format!("static int n = {number}; int {name}(int x) {{ return x + n; }}");
        self.app
            .add_object_bytes("good.o", self.compile(&text))
            .expect("it is a good object");
        // SAFETY: the text above has this type.
        let function = unsafe { self.app.function::<extern "C" fn(i32) -> i32>(&name) };
        assert_eq!(function.expect("it links").call(100), 100 + number);
    }
}

#[test]
fn a_session_survives_every_kind_of_failure() {
    let fixture = Fixture::new();
    let app = &fixture.app;
    let good = fixture.compile("int twice(int x) { return 2 * x; }");
    fixture.assert_works(1);

    assert!(
        app.add_object_bytes("truncated.o", &good[..good.len() / 2])
            .is_err()
    );
    fixture.assert_works(2);

    let mut foreign = good.clone();
    foreign[18] = 0xb7; // e_machine: EM_AARCH64
    assert!(app.add_object_bytes("foreign.o", foreign).is_err());
    fixture.assert_works(3);

    let needs = fixture.compile("int nowhere(void); int needs(void) { return nowhere(); }");
    let tracker = app.tracker();
    tracker
        .add_object_bytes("needs.o", needs)
        .expect("what it needs is not looked for yet");
    for _ in 0..3 {
        let message = app
            .symbol("needs")
            .expect_err("nothing defines what it needs")
            .to_string();
        assert!(message.contains("nowhere"), "{message}");
    }
    tracker.remove().expect("what failed can be removed");
    fixture.assert_works(4);

    app.add_object_bytes("good.o", good.clone())
        .expect("a good object");
    let message = app
        .add_object_bytes("again.o", good)
        .expect_err("twice is defined")
        .to_string();
    assert!(
        message.contains("twice") && message.contains("again.o"),
        "{message}"
    );
    fixture.assert_works(5);

    assert!(
        app.add_object_file(fixture.scratch.file("missing.o"))
            .is_err()
    );
    assert!(app.add_archive(fixture.scratch.path()).is_err());
    assert!(app.add_library("no_such_library").is_err());
    assert!(app.symbol("never_defined").is_err());
    fixture.assert_works(6);
}

#[test]
fn what_was_missing_may_come_later() {
    let fixture = Fixture::new();
    let needs = fixture.compile("int late(int); int needs(int x) { return late(x) + 1; }");
    fixture.app.add_object_bytes("needs.o", needs).unwrap();
    assert!(fixture.app.symbol("needs").is_err());
    fixture
        .app
        .add_object_bytes(
            "late.o",
            fixture.compile("int late(int x) { return x * 10; }"),
        )
        .unwrap();
    // SAFETY: the text above has this type.
    let needs = unsafe { fixture.app.function::<extern "C" fn(i32) -> i32>("needs") };
    assert_eq!(needs.expect("all is there now").call(4), 41);
}

#[test]
fn a_jit_may_follow_another() {
    for number in 0..3 {
        Fixture::new().assert_works(number);
    }
    let (first, second) = (Fixture::new(), Fixture::new());
    first.assert_works(1);
    second.assert_works(2);
    drop(first);
    second.assert_works(3);
    assert!(
        second.jit.dylib("app").is_ok(),
        "dylibs of one name may exist"
    );
}

/// Objects of different kinds: constants and calls; COMDAT groups and exception tables; thread-locals.
fn real_objects(scratch: &Scratch) -> [(&'static str, Vec<u8>); 3] {
    scratch.compile(
        "plain.o",
        "#include <stdio.h>
         static const char *const names[] = {\"one\", \"two\"};
         int plain(int i) { return printf(\"%s\", names[i & 1]); }",
    );
    scratch.compile(
        "cxx_comdat.o",
        "#include <string>
         template <class T> T once(T x) { if (x > 3) throw std::string(\"no\"); return x + 1; }
         extern \"C\" int comdat(int x) { try { return once(x) + (int)once(2L); } catch (...) { return -1; } }",
    );
    scratch.compile_with(
        "threads.o",
        "__thread int here = 3; extern __thread int there; __thread char zero[100];
         __thread int there = 4; int threads(void) { return here + there + zero[5]; }",
        &["-fPIC"],
    );
    [
        ("plain", "plain.o"),
        ("comdat", "cxx_comdat.o"),
        ("threads", "threads.o"),
    ]
    .map(|(symbol, object)| (symbol, scratch.read(object)))
}

#[test]
fn every_prefix_of_an_object_is_an_error() {
    let fixture = Fixture::new();
    for (symbol, bytes) in real_objects(&fixture.scratch) {
        for length in 0..bytes.len() {
            let added = fixture.app.add_object_bytes("prefix.o", &bytes[..length]);
            assert!(
                added.is_err(),
                "{symbol}: {length} of {} bytes were taken for an object",
                bytes.len()
            );
        }
    }
    fixture.assert_works(7);
}

#[test]
fn a_wrong_byte_is_an_error_or_a_link() {
    let fixture = Fixture::new();
    let (mut errors, mut links) = (0, 0);
    for (symbol, bytes) in real_objects(&fixture.scratch) {
        if symbol == "comdat" {
            // Its symbols are libstdc++'s, which this process does not have.
            continue;
        }
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= if at % 2 == 0 { 0xff } else { 0x01 };
            let tracker = fixture.app.tracker();
            let linked = tracker
                .add_object_bytes("wrong.o", wrong)
                .and_then(|()| fixture.app.symbol(symbol));
            *if linked.is_ok() {
                &mut links
            } else {
                &mut errors
            } += 1;
            drop(linked);
            tracker.remove().expect("what was added can be removed");
        }
    }
    assert!(
        errors > 100 && links > 100,
        "{errors} errors, {links} links"
    );
    fixture.assert_works(8);
}

#[test]
fn links_work_while_memory_comes_and_goes() {
    let fixture = Fixture::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Gigabytes of address space, in pieces that come and go in another order.
            let mut held: Vec<Vec<u8>> = Vec::new();
            for round in 0usize.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                held.push(Vec::with_capacity((1 << 28) + (round % 7) * (1 << 26)));
                if held.len() > 12 {
                    held.swap_remove(round * 5 % 12);
                }
            }
        });
        fixture
            .app
            .add_object_bytes("puts.o", fixture.compile("int calls;"))
            .unwrap();
        let template = fixture.compile(
            "#include <stdlib.h>
             extern int calls; static int value = 100;
             int number_0000(int x) { calls++; return abs(-x) + value; }",
        );
        for number in 0..1000 {
            let mut bytes = template.clone();
            rename(
                &mut bytes,
                b"number_0000",
                format!("number_{number:04}").as_bytes(),
            );
            fixture.app.add_object_bytes("number.o", bytes).unwrap();
            // SAFETY: the text above has this type.
            let function = unsafe {
                fixture
                    .app
                    .function::<extern "C" fn(i32) -> i32>(&format!("number_{number:04}"))
            };
            assert_eq!(function.expect("it links").call(number), number + 100);
        }
        done.store(true, Ordering::Relaxed);
    });
}

fn rename(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    for at in 0..=bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
}
