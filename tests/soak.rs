//! What comes and goes for days leaves nothing behind: sessions, dylibs, objects with exceptions,
//! thread-locals with destructors and statics. Once the first tenth has run, the process holds no
//! more than before: memory, mappings, descriptors, address space.
//!
//! `ORC_SOAK_PERCENT` sets how much of it runs; `cargo run -p xtask -- soak` runs all.

use std::sync::{Mutex, MutexGuard, PoisonError};

use orc_jit::{Dylib, Executor, Jit, Removal};
use tests::processes::{Holdings, heap_in_use, share_one_heap};
use tests::scratch::Scratch;

/// Sessions, dylibs and objects in a full run.
const SESSIONS: u64 = 10_000;
const DYLIBS: u64 = 5_000;
const OBJECTS: u64 = 200_000;

/// What part of these a run of all tests makes.
const PERCENT: u64 = 2;

/// At least so many, of which a tenth warms the process up.
const LEAST: u64 = 300;

/// What memory and addresses may grow by, in KiB: the allocator does not give back to the system what
/// lies between pieces that are in use.
const GROWTH_MAX_KIB: u64 = 1 << 10;

/// What the heap may grow by, in bytes, and the number of sessions that it is looked at after. In a full run,
/// a word that each session leaves is more.
const HEAP_GROWTH_MAX: usize = 24 << 10;
const SOME: u64 = 40;

/// What the process holds is counted: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    share_one_heap();
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn part_of(all: u64) -> u64 {
    let set = std::env::var("ORC_SOAK_PERCENT").ok();
    let percent = set.and_then(|text| text.parse().ok()).unwrap_or(PERCENT);
    (all * percent / 100).max(LEAST)
}

/// Does something so often, and compares what a process holds after the first tenth and in the end.
fn soak(what: &str, all: u64, process: Option<u64>, mut once: impl FnMut(u64)) {
    let count = part_of(all);
    let holdings = || process.map_or_else(Holdings::now, Holdings::of);
    let mut first = None;
    for number in 0..count {
        if number == count / 10 {
            first = Some(holdings());
        }
        once(number);
    }
    let (first, last) = (first.expect("more than one"), holdings());
    println!("{count} {what}: after the first tenth {first:?}, in the end {last:?}");
    assert_eq!(last.descriptors, first.descriptors, "descriptors");
    assert!(last.threads <= first.threads + 2, "threads");
    // Threads that wait for work come and go, each with its stacks.
    assert!(last.mappings <= first.mappings + 6, "mappings");
    assert!(
        last.resident_kib <= first.resident_kib + GROWTH_MAX_KIB,
        "resident memory"
    );
    assert!(
        last.address_space_kib <= first.address_space_kib + 16 * GROWTH_MAX_KIB,
        "address space"
    );
}

/// A function that throws, catches, and uses thread-locals and statics, whose destructors count.
const UNIT: &str = r#"
    #include <stdexcept>
    extern "C" int ended;
    struct Counted {
        int *to;
        explicit Counted(int *to) : to(to) {}
        ~Counted() { *to += 1; }
    };
    static Counted at_end(&ended);
    static thread_local Counted at_thread_end(&ended);
    static thread_local int plain = 3;
    static int table[100] = {1};
    extern "C" int unit_00000000() {
        try {
            throw std::runtime_error("*");
        } catch (const std::exception &error) {
            plain += at_thread_end.to == &ended;
            return plain * 1000 + error.what()[0] + table[0]++;
        }
    }"#;

/// What it returns when it is called first.
const FIRST: i32 = 4 * 1000 + '*' as i32 + 1;

/// The name that every object has of its own.
const NAME: &[u8] = b"unit_00000000";

/// The object as compiled, and one that outlives it.
struct Objects {
    unit: Vec<u8>,
    log: Vec<u8>,
}

impl Objects {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.compile_with("cxx_unit.o", UNIT, &["-O1", "-fPIC"]);
        scratch.compile_with(
            "log.o",
            "int ended; int how_many(void) { return ended; }",
            &["-O1"],
        );
        Self {
            unit: scratch.read("cxx_unit.o"),
            log: scratch.read("log.o"),
        }
    }

    /// The object with a name that no other has, and the name.
    fn unit(&self, number: u64) -> (Vec<u8>, String) {
        let name = format!("unit_{number:08}");
        let mut bytes = self.unit.clone();
        let places: Vec<usize> = bytes
            .windows(NAME.len())
            .enumerate()
            .filter_map(|(at, text)| (text == NAME).then_some(at))
            .collect();
        for at in places {
            bytes[at..at + NAME.len()].copy_from_slice(name.as_bytes());
        }
        (bytes, name)
    }
}

fn call(dylib: &Dylib, name: &str) -> i32 {
    // SAFETY: all functions here have this type.
    let function = unsafe { dylib.function::<extern "C" fn() -> i32>(name) };
    function.expect("it links").call()
}

/// A dylib with what all objects need.
fn dylib(jit: &Jit, objects: &Objects) -> Dylib {
    let dylib = jit.dylib("app").expect("a name");
    dylib.add_library("stdc++").expect("it is installed");
    dylib
        .add_object_bytes("log.o", objects.log.clone())
        .expect("a good object");
    dylib
}

#[test]
fn sessions_leave_nothing_behind() {
    let _alone = alone();
    let objects = Objects::new();
    let mut heap = [usize::MAX; 2];
    let count = part_of(SESSIONS);
    soak("sessions", SESSIONS, None, |number| {
        // By the first half, whatever is made once has been made. What threads still hold of a session
        // that has ended varies: the least of some sessions counts.
        if (count / 2..count / 2 + SOME).contains(&number) {
            heap[0] = heap[0].min(heap_in_use());
        } else if number >= count - SOME {
            heap[1] = heap[1].min(heap_in_use());
        }
        let jit = Jit::new().expect("a session starts");
        let app = dylib(&jit, &objects);
        let (unit, name) = objects.unit(number);
        app.add_object_bytes("unit.o", unit).expect("a good object");
        assert_eq!(call(&app, &name), FIRST);
    });
    println!("heap in use: {heap:?}");
    assert!(
        heap[1] < heap[0] + HEAP_GROWTH_MAX,
        "a few bytes of each session"
    );
}

#[test]
fn sessions_leave_nothing_behind_in_an_executor() {
    let _alone = alone();
    let objects = Objects::new();
    // The executor has one heap for all threads too: each more reserves 64 MiB of addresses.
    // SAFETY: only this test runs, and no thread of it asks for variables now.
    unsafe { std::env::set_var("MALLOC_ARENA_MAX", "1") };
    let executor = Executor::spawn().expect("an executor starts");
    let pid = executor.pid();
    soak("sessions in an executor", SESSIONS, pid, |number| {
        let jit = Jit::builder().executor(executor.clone());
        let jit = jit.build().expect("a session starts");
        let app = dylib(&jit, &objects);
        let (unit, name) = objects.unit(number);
        app.add_object_bytes("unit.o", unit).expect("a good object");
        app.symbol(&name).expect("it links");
    });
}

#[test]
fn dylibs_leave_nothing_behind() {
    let _alone = alone();
    let objects = Objects::new();
    let jit = Jit::new().expect("a session starts");
    soak("dylibs", DYLIBS, None, |number| {
        let app = dylib(&jit, &objects);
        let (unit, name) = objects.unit(number);
        app.add_object_bytes("unit.o", unit).expect("a good object");
        assert_eq!(call(&app, &name), FIRST);
        assert_eq!(app.close().expect("closes"), Removal::Released);
    });
}

#[test]
fn objects_leave_nothing_behind() {
    let _alone = alone();
    let objects = Objects::new();
    let jit = Jit::new().expect("a session starts");
    let app = dylib(&jit, &objects);
    assert_eq!(call(&app, "how_many"), 0);
    let names = jit.session().names().clone();
    let before = names.len();
    soak("objects", OBJECTS, None, |number| {
        let (unit, name) = objects.unit(number);
        let tracker = app.tracker();
        tracker
            .add_object_bytes("unit.o", unit)
            .expect("a good object");
        assert_eq!(call(&app, &name), FIRST);
        assert_eq!(tracker.remove().expect("goes"), Removal::Released);
        // That of the static, and that of this thread's variable.
        assert_eq!(call(&app, "how_many") as u64, 2 * (number + 1));
        // Those of the libraries' functions that the first object brought stay.
        assert!(
            names.len() < before + 100,
            "{before} names became {}",
            names.len()
        );
    });
}
