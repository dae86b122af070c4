//! Thread-locals that the process has no room for at fixed offsets from its threads' pointers: a library in a
//! host has little of it, and an executor a few kilobytes.

use std::process::Command;
use std::sync::mpsc;

use orc_jit::{Dylib, Executor, Jit, Removal};

/// More than any process has room for.
const LARGE: &str = "-DSIZE=300000";

fn object(source: &str, options: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    std::fs::write(file("source.cpp"), source).unwrap();
    let mut compiler = Command::new("c++");
    compiler.args(["-w", "-O1", "-c", "-o"]).arg(file("it.o"));
    compiler.args(options).arg(file("source.cpp"));
    assert!(compiler.status().unwrap().success());
    std::fs::read(file("it.o")).unwrap()
}

/// A dylib with the C++ library and a count of what is alive.
fn dylib(jit: &Jit) -> Dylib {
    let app = jit.dylib("app").unwrap();
    app.add_library("stdc++").unwrap();
    let log = "extern \"C\" { int alive; int how_many() { return __atomic_load_n(&alive, 5); } }";
    app.add_object_bytes("log.o", object(log, &["-fPIC"]))
        .unwrap();
    app
}

type Check = extern "C" fn() -> i32;

/// The address of `int name(void)`.
fn function(app: &Dylib, name: &str) -> Check {
    let addr = app.symbol(name).unwrap().addr();
    // SAFETY: all functions of these tests have this type, and are called while they are linked.
    unsafe { std::mem::transmute::<usize, Check>(addr.value() as usize) }
}

/// A thread that calls what it is sent.
struct Worker {
    send: Option<mpsc::Sender<Check>>,
    receive: mpsc::Receiver<i32>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Worker {
    fn new() -> Self {
        let (send, functions) = mpsc::channel::<Check>();
        let (results, receive) = mpsc::channel();
        let work = move || functions.iter().for_each(|it| results.send(it()).unwrap());
        Self {
            send: Some(send),
            receive,
            thread: Some(std::thread::spawn(work)),
        }
    }

    fn call(&self, function: Check) -> i32 {
        self.send.as_ref().unwrap().send(function).unwrap();
        self.receive.recv().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.send.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// 1,100 bytes that begin with a number, in objects that are counted, and another one without a
/// constructor. Number and name are changed in each copy of the object.
const UNIT: &str = r#"
    extern "C" int alive;
    namespace { struct Counted {
        int value;
        char rest[1084];
        explicit Counted(int value) : value(value) { __atomic_add_fetch(&alive, 1, 5); }
        ~Counted() { __atomic_sub_fetch(&alive, 1, 5); }
    }; }
    static thread_local volatile int plain = 0x5a5b5c5d;
    static thread_local Counted counted(plain);
    thread_local long zero_00000000;
    extern "C" int unit_00000000() {
        if (counted.rest[1083] != 0 || zero_00000000++ != counted.value - plain) return -1;
        return counted.value++;
    }"#;

fn unit(bytes: &[u8], number: i32) -> (Vec<u8>, String) {
    let name = format!("unit_{number:08}");
    let mut bytes = bytes.to_vec();
    let mut replace = |old: &[u8], new: &[u8]| {
        let found = |at: &usize| bytes[*at..].starts_with(old);
        let places: Vec<usize> = (0..bytes.len() - old.len()).filter(found).collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at..at + old.len()].copy_from_slice(new);
        }
    };
    replace(b"unit_00000000", name.as_bytes());
    replace(b"zero_00000000", format!("zero_{number:08}").as_bytes());
    replace(&0x5a5b_5c5d_i32.to_le_bytes(), &number.to_le_bytes());
    (bytes, name)
}

/// All ways in which compilers reach thread-locals that may be in modules.
const DYNAMIC: [&[&str]; 4] = [
    &["-fPIC"],
    &["-fPIC", "-O2"],
    &["-fPIC", "-fno-plt"],
    &["-fPIC", "-mtls-dialect=gnu2"],
];

#[test]
fn two_hundred_objects_are_alive_at_once() {
    const COUNT: i32 = 200;
    for options in DYNAMIC {
        let jit = Jit::new().unwrap();
        let app = dylib(&jit);
        let bytes = object(UNIT, options);
        let how_many = function(&app, "how_many");
        let old: Vec<Worker> = (0..3).map(|_| Worker::new()).collect();
        let mut trackers = Vec::new();
        let mut functions = Vec::new();
        for number in 0..COUNT {
            let (bytes, name) = unit(&bytes, number);
            let tracker = app.tracker();
            tracker.add_object_bytes(&name, bytes).unwrap();
            functions.push(function(&app, &name));
            trackers.push(tracker);
        }
        let new: Vec<Worker> = (0..3).map(|_| Worker::new()).collect();
        for round in 0..2 {
            for (number, function) in (0..).zip(&functions) {
                assert_eq!(function(), number + round, "{options:?}");
                for worker in old.iter().chain(&new) {
                    assert_eq!(worker.call(*function), number + round, "{options:?}");
                }
            }
        }
        assert_eq!(how_many(), 7 * COUNT);
        drop((old, new));
        assert_eq!(how_many(), COUNT, "threads have ended");
        for tracker in trackers {
            assert_eq!(tracker.remove().unwrap(), Removal::Released);
        }
        assert_eq!(how_many(), 0);
    }
}

#[test]
fn an_object_comes_and_goes_five_thousand_times() {
    let jit = Jit::new().unwrap();
    let app = dylib(&jit);
    let bytes = object(UNIT, &["-fPIC"]);
    let how_many = function(&app, "how_many");
    let worker = Worker::new();
    for number in 0..5000 {
        let (bytes, name) = unit(&bytes, number % 100);
        let tracker = app.tracker();
        tracker.add_object_bytes(&name, bytes).unwrap();
        let function = function(&app, &name);
        assert_eq!(function(), number % 100);
        assert_eq!(function(), number % 100 + 1);
        assert_eq!(how_many(), 1);
        if number % 100 == 0 {
            let other = std::thread::spawn(move || function());
            assert_eq!(other.join().unwrap(), 0);
        }
        assert_eq!(tracker.remove().unwrap(), Removal::Released);
        assert_eq!(worker.call(how_many), 0);
    }
}

/// Large variables, and code that refers to them.
const DEFINES: &str = "
    thread_local int shared[SIZE / 4] = {1, 2};
    static thread_local int own[4] = {5};
    extern \"C\" int here() { return shared[1] * 10 + own[0]++; }";
const REFERS: &str = "
    extern thread_local int shared[SIZE / 4];
    static thread_local int own = 4;
    extern \"C\" int there() { return shared[1]++ * 10 + own; }";

#[test]
fn code_of_another_batch_reaches_them() {
    for options in DYNAMIC {
        let options = [options, &[LARGE]].concat();
        let jit = Jit::new().unwrap();
        let app = dylib(&jit);
        let add = |source| {
            let object = object(source, &options);
            app.add_object_bytes("object.o", object).unwrap();
        };
        add(DEFINES);
        let worker = Worker::new();
        let here = function(&app, "here");
        assert_eq!([here(), worker.call(here)], [25, 25], "{options:?}");
        add(REFERS);
        let there = function(&app, "there");
        assert_eq!([there(), there(), worker.call(there)], [24, 34, 24]);
        assert_eq!([here(), worker.call(here)], [46, 36], "{options:?}");
    }
}

#[test]
fn code_that_needs_a_fixed_offset_says_so() {
    for model in ["initial-exec", "local-exec"] {
        let jit = Jit::new().unwrap();
        let app = dylib(&jit);
        let add = |source: &str, options: &[&str]| {
            let object = object(source, &[options, &[LARGE]].concat());
            app.add_object_bytes("object.o", object).unwrap();
        };
        let model = format!("-ftls-model={model}");
        add(DEFINES, &[&model]);
        let error = app.symbol("here").unwrap_err().to_string();
        assert!(
            error.contains("needs variables at fixed offsets"),
            "{error}"
        );
        assert!(error.contains("glibc.rtld.optional_static_tls"), "{error}");

        let app = jit.dylib("other").unwrap();
        let add = |source: &str, options: &[&str]| {
            let object = object(source, &[options, &[LARGE]].concat());
            app.add_object_bytes("object.o", object).unwrap();
        };
        add(DEFINES, &["-fPIC"]);
        assert_eq!(function(&app, "here")(), 25);
        add(REFERS, &["-ftls-model=initial-exec"]);
        let error = app.symbol("there").unwrap_err().to_string();
        assert!(
            error.contains("needs variables at fixed offsets"),
            "{error}"
        );
        assert_eq!(function(&app, "here")(), 26);
    }
}

/// `main` of a program, and a function as controllers call it.
const MAIN: &str = "
    thread_local int shared[SIZE / 4] = {1, 2};
    static thread_local int own = 39;
    struct Result { long value; unsigned long size; };
    int main() { return own++ + shared[0]++ + shared[1] + shared[SIZE / 4 - 1]; }
    extern \"C\" Result wrapper(const char *, unsigned long) { return {main(), 8}; }";

#[test]
fn programs_and_other_processes_have_them_too() {
    let main = object(MAIN, &["-fPIC", LARGE]);
    for remote in [false, true] {
        let jit = match remote {
            true => Jit::builder().executor(Executor::spawn().unwrap()).build(),
            false => Jit::new(),
        };
        let jit = jit.unwrap();
        let app = dylib(&jit);
        app.add_object_bytes("main.o", main.clone()).unwrap();
        let wrapper = app.symbol("wrapper").unwrap();
        for expected in [42_i64, 44] {
            // SAFETY: it is a wrapper function.
            let result = unsafe { jit.call_wrapper(&wrapper, &[]) }.unwrap();
            assert_eq!(result, expected.to_le_bytes());
        }
        let program = jit.dylib("program").unwrap();
        program.add_object_bytes("main.o", main.clone()).unwrap();
        assert_eq!(program.run_main(["program"]).unwrap(), 42);
    }
}
