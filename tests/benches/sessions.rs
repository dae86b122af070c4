//! What one small object costs in a session: in an empty one and beside many others, with a thread-local
//! and threads that idle, and in the place of a version that runs.
//!
//! `cargo bench -p tests --bench sessions`. A figure is the median of many rounds, in microseconds of the
//! clock and, behind it, of processor time of all threads.

#[path = "measure.rs"]
#[allow(dead_code, reason = "no commands are timed here")]
mod measure;
#[path = "workloads.rs"]
#[allow(dead_code, reason = "objects are all that is wanted of it")]
mod workloads;

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use orc_jit::{Dylib, Jit, ReplaceOptions};
use rustix::time::{ClockId, clock_gettime};

use measure::median;
use workloads::compile;

/// Rounds of a measurement. As many again are not counted before it.
const ROUNDS: usize = 500;

/// Objects of a full session.
const MANY: usize = 100_000;

type Function = extern "C" fn(i32) -> i32;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let made = |name: &str, text: &str| -> Vec<u8> {
        compile(
            directory.path(),
            &format!("{name}.c"),
            text,
            &["-O1", "-fPIC"],
        );
        read(directory.path(), name)
    };
    let plain = made("plain", "int query(int x) { return x + 1; }");
    let thread_local = made(
        "thread_local",
        "static __thread volatile int kept = 1; int query(int x) { return x + kept; }",
    );
    let other = made("other", "int other_AAAAA(int x) { return x; }");

    let (empty, full) = (Session::new(), Session::new());
    fill(&full.app, &other);
    println!("one query: add an object, look a function up, call it, remove the object");
    show("in an empty session", &mut || query(&empty.app, &plain));
    show("beside 100,000 objects", &mut || query(&full.app, &plain));
    println!("a running object's place taken by another");
    show("in an empty session", &mut replacing(&empty, &plain));
    show("beside 100,000 objects", &mut replacing(&full, &plain));
    println!("one query of an object with a thread-local");
    show("one thread", &mut || query(&empty.app, &thread_local));
    let (idle, threads) = idle_threads(64);
    show("64 more threads that idle", &mut || {
        query(&empty.app, &thread_local)
    });
    drop(idle);
    threads
        .into_iter()
        .for_each(|it| it.join().expect("it only waits"));
}

fn read(directory: &Path, name: &str) -> Vec<u8> {
    std::fs::read(directory.join(name).with_extension("o")).expect("it was just made")
}

struct Session {
    jit: Jit,
    app: Dylib,
}

impl Session {
    fn new() -> Self {
        let jit = Jit::new().expect("a session");
        let app = jit.dylib("app").expect("a dylib");
        Self { jit, app }
    }
}

/// Adds many objects, each with a function of its own, and links them.
fn fill(app: &Dylib, template: &[u8]) {
    let at = template.windows(5).position(|it| it == b"AAAAA");
    let at = at.expect("the name is in the symbol table");
    for number in 0..MANY {
        let mut object = template.to_vec();
        object[at..at + 5].copy_from_slice(format!("{number:05}").as_bytes());
        app.add_object_bytes("other.o", object).expect("a new name");
    }
    for number in 0..MANY {
        app.symbol(&format!("other_{number:05}"))
            .expect("it is there");
    }
}

fn query(app: &Dylib, object: &[u8]) {
    let tracker = app.tracker();
    tracker
        .add_object_bytes("query.o", object)
        .expect("the name is free");
    // SAFETY: the sources above have this type.
    let function = unsafe { app.function::<Function>("query") }.expect("it is there");
    assert_eq!(function.call(1), 2);
    drop(function);
    tracker.remove().expect("it is there");
}

/// Replaces one object by the same again and again.
fn replacing(session: &Session, object: &[u8]) -> impl FnMut() {
    let app = session.jit.dylib("replaceable").expect("a dylib");
    app.allow_replacement();
    let tracker = app.tracker();
    tracker
        .add_object_bytes("query.o", object)
        .expect("the name is free");
    // SAFETY: the source has this type.
    let function = unsafe { app.function::<Function>("query") }.expect("it is there");
    let reader = session.jit.objects();
    let object = object.to_vec();
    move || {
        let next = reader.read("query.o", object.clone()).expect("an object");
        // SAFETY: it is the same code.
        let old = unsafe { tracker.replace(&[next], ReplaceOptions::default()) };
        let old = old.expect("nothing has changed");
        assert_eq!(function.call(1), 2);
        // Nobody is in it.
        old.retire().expect("it is there");
    }
}

/// Threads that wait until the sender is gone.
fn idle_threads(count: usize) -> (mpsc::Sender<()>, Vec<std::thread::JoinHandle<()>>) {
    let (sender, receiver) = mpsc::channel::<()>();
    let receiver = Arc::new(Mutex::new(receiver));
    let wait = |receiver: Arc<Mutex<mpsc::Receiver<()>>>| {
        move || {
            let _ended = receiver.lock().expect("nobody panics").recv();
        }
    };
    let threads = (0..count).map(|_| std::thread::spawn(wait(receiver.clone())));
    (sender, threads.collect())
}

/// Measures `round` and prints a line.
fn show(what: &str, round: &mut dyn FnMut()) {
    (0..ROUNDS).for_each(|_| round());
    let (mut wall, mut processor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (start, used) = (Instant::now(), processor_time());
        round();
        processor.push(processor_time() - used);
        wall.push(start.elapsed().as_secs_f64());
    }
    let micro = |seconds: &[f64]| median(seconds.iter().copied()) * 1e6;
    println!("  {what:28} {:7.1} {:7.1}", micro(&wall), micro(&processor));
}

/// Seconds that all threads have used together.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
