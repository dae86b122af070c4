//! The library as a client uses it, in this process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use orc_jit::{
    Error, ExecutorAddr, Jit, Materializer, ObjectReader, Program, ProgramSettings, Removal,
    Responsibility,
};

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Compiles a C source and returns the object's path.
    fn compile(&self, name: &str, source: &str) -> PathBuf {
        self.compile_with(name, source, &["-c"], "o")
    }

    /// Compiles a C source with flags into a file with that extension.
    fn compile_with(&self, name: &str, source: &str, flags: &[&str], extension: &str) -> PathBuf {
        let file = self.path().join(format!("{name}.c"));
        std::fs::write(&file, source).unwrap();
        let output = file.with_extension(extension);
        let mut cc = Command::new("cc");
        let done = cc
            .arg("-O1")
            .args(flags)
            .arg(&file)
            .arg("-o")
            .arg(&output)
            .status();
        assert!(done.unwrap().success());
        output
    }

    fn bytes(&self, name: &str, source: &str) -> Vec<u8> {
        std::fs::read(self.compile(name, source)).unwrap()
    }
}

/// Calls `int name(void)`.
fn call(dylib: &orc_jit::Dylib, name: &str) -> Result<i32, Error> {
    // SAFETY: all functions of these tests that are called so have this type.
    Ok(unsafe { dylib.function::<extern "C" fn() -> i32>(name) }?.call())
}

#[test]
fn constructors_run_before_the_function_is_handed_out() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let object = scratch.compile(
        "a",
        "static int x; __attribute__((constructor)) static void c(void) { x += 5; }
         int get(void) { return x; }",
    );
    app.add_object_file(object).unwrap();
    assert_eq!(call(&app, "get").unwrap(), 5);
    // What is added later is initialized then, and what was is not again.
    let more = "int get(void); int seen; __attribute__((constructor)) static void c(void) { seen = get(); }
                int more(void) { return seen; }";
    app.add_object_bytes("more.o", scratch.bytes("b", more))
        .unwrap();
    assert_eq!(call(&app, "more").unwrap(), 5);
    assert_eq!(call(&app, "get").unwrap(), 5);
}

#[test]
fn functions_can_be_wrapped() {
    let scratch = Scratch::new();
    let jit = Jit::builder().wrap("f").wrap("abs").build().unwrap();
    let app = jit.dylib("app").unwrap();
    let wrapper = "int __real_f(void), __real_abs(int);
                   int __wrap_f(void) { return __real_f() + 10; }
                   int __wrap_abs(int x) { return __real_abs(x) + 100; }";
    app.add_object_bytes("wrapper.o", scratch.bytes("wrapper", wrapper))
        .unwrap();
    let caller = "int f(void), abs(int); int call(void) { return f() + abs(-1); }";
    let caller = scratch.compile_with("caller", caller, &["-c", "-fno-builtin"], "o");
    app.add_object_file(caller).unwrap();
    let object = jit.objects().read(
        "f.o",
        scratch.bytes("f", "int __real_f(void); int f(void) { return 1; }"),
    );
    let tracker = app.tracker();
    tracker
        .session_tracker()
        .add_object(object.unwrap())
        .unwrap();
    assert_eq!(call(&app, "call").unwrap(), 112);
    assert_eq!(call(&app, "f").unwrap(), 1);
}

#[test]
fn a_missing_wrapper_is_named_with_what_it_stands_for() {
    let scratch = Scratch::new();
    let jit = Jit::builder().wrap("f").build().unwrap();
    let app = jit.dylib("app").unwrap();
    let caller = scratch.bytes("a", "int f(void); int call(void) { return f(); }");
    app.add_object_bytes("a.o", caller).unwrap();
    let error = call(&app, "call").unwrap_err().to_string();
    let expected = "undefined symbol: __wrap_f\n  referenced by a.o (as f, in call)\n";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_failed_link_leaves_the_session_as_it_was() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let tracker = app.tracker();
    let object = scratch.bytes(
        "a",
        "int missing_one(void); int f(void) { return missing_one(); }",
    );
    tracker.add_object_bytes("a.o", object).unwrap();
    let error = call(&app, "f").unwrap_err().to_string();
    assert!(error.contains("undefined symbol: missing_one"), "{error}");
    assert!(error.contains("a.o"), "{error}");
    let missing = scratch.bytes("b", "int missing_one(void) { return 4; }");
    app.add_object_bytes("b.o", missing.clone()).unwrap();
    assert_eq!(call(&app, "f").unwrap(), 4);
    let error = app
        .add_object_bytes("c.o", missing)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("missing_one") && error.contains("c.o"),
        "{error}"
    );
    let error = app
        .add_object_bytes("d.o", *b"not an object")
        .unwrap_err()
        .to_string();
    assert!(error.contains("d.o"), "{error}");
    assert_eq!(call(&app, "f").unwrap(), 4);
}

#[test]
fn handles_keep_removed_code() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let tracker = app.tracker();
    let object = scratch.bytes("a", "int f(void) { return 1; }");
    tracker.add_object_bytes("a.o", object.clone()).unwrap();
    // SAFETY: that is its type.
    let function = unsafe { app.function::<extern "C" fn() -> i32>("f") }.unwrap();
    let removal = tracker.remove().unwrap();
    assert!(
        matches!(removal, Removal::Deferred { guards: 1, .. }),
        "{removal:?}"
    );
    assert!(call(&app, "f").is_err());
    assert_eq!(function.call(), 1);
    drop((jit, app, tracker));
    assert_eq!(function.call(), 1, "a handle keeps the whole JIT");
}

#[test]
fn thousands_of_objects_come_and_go() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let object = scratch.bytes(
        "a",
        "static int counted; __attribute__((constructor)) static void c(void) { counted++; }
         int f(void) { return counted; }",
    );
    for round in 0..2000 {
        let tracker = app.tracker();
        tracker.add_object_bytes("a.o", object.clone()).unwrap();
        assert_eq!(call(&app, "f").unwrap(), 1, "round {round}");
        assert_eq!(tracker.remove().unwrap(), Removal::Released);
    }
}

#[test]
fn archives_libraries_and_absolute_symbols() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let used = scratch.compile(
        "used",
        "int from_process; int used(void) { return *(&from_process); }",
    );
    let unused = scratch.compile(
        "unused",
        "int never(void); int unused(void) { return never(); }",
    );
    let archive = scratch.path().join("liba.a");
    let mut ar = Command::new("ar");
    let done = ar.arg("rc").arg(&archive).args([used, unused]).status();
    assert!(done.unwrap().success());
    app.add_archive(&archive).unwrap();
    app.add_library("m").unwrap();
    let main = "double cos(double); int used(void); extern char here; extern void *address(void);
                int f(void) { return (int)cos(0.0) + used(); }
                void *g(void) { return &here; }";
    app.add_object_bytes("main.o", scratch.bytes("main", main))
        .unwrap();
    let here = ExecutorAddr::new(0x1234_5678);
    // SAFETY: nobody reads there.
    unsafe { app.define_absolute(&[("here", here)]) }.unwrap();
    assert_eq!(call(&app, "f").unwrap(), 1);
    // SAFETY: that is its type.
    let g = unsafe { app.function::<extern "C" fn() -> *const u8>("g") }.unwrap();
    assert_eq!(g.call().addr() as u64, here.value());
    let error = app.add_library("no_such_library").unwrap_err().to_string();
    assert!(error.contains("cannot find -lno_such_library"), "{error}");
}

#[test]
fn dylibs_see_each_other_if_told_to() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let (a, b) = (jit.dylib("a").unwrap(), jit.dylib("b").unwrap());
    a.add_object_bytes("a.o", scratch.bytes("a", "int in_a(void) { return 7; }"))
        .unwrap();
    let b_source = "int in_a(void); int in_b(void) { return in_a() + 1; }";
    b.add_object_bytes("b.o", scratch.bytes("b", b_source))
        .unwrap();
    assert!(call(&b, "in_b").is_err());
    b.link_with(&a).unwrap();
    assert_eq!(call(&b, "in_b").unwrap(), 8);
    let error = call(&a, "in_b").unwrap_err().to_string();
    assert!(error.contains("in_b"), "{error}");
}

#[test]
fn data_is_not_handed_out_as_a_function() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    app.add_object_bytes("a.o", scratch.bytes("a", "int value = 3;"))
        .unwrap();
    let error = call(&app, "value").unwrap_err().to_string();
    assert_eq!(error, "`value` is not a function: it is data");
    assert!(!app.symbol("value").unwrap().addr().is_null());
}

struct Counting {
    objects: ObjectReader,
    object: Vec<u8>,
    calls: Arc<AtomicUsize>,
}

impl Materializer for Counting {
    fn name(&self) -> String {
        "counting".to_owned()
    }

    fn materialize(&self, responsibility: Responsibility) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let object = self.objects.read("made.o", self.object.clone()).unwrap();
        responsibility.link(object);
    }
}

#[test]
fn materializers_are_asked_once_and_only_if_needed() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let materializer = Counting {
        objects: jit.objects(),
        object: scratch.bytes("m", "int made(void) { return 6; }"),
        calls: calls.clone(),
    };
    app.define(Arc::new(materializer), &["made"]).unwrap();
    let user = "int made(void); int user(void) { return made() + 1; } ";
    app.add_object_bytes("user.o", scratch.bytes("u", user))
        .unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert_eq!(call(&app, "user").unwrap(), 7);
    assert_eq!(call(&app, "made").unwrap(), 6);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn sessions_do_not_see_each_other() {
    let scratch = Scratch::new();
    let object = scratch.bytes("a", "static int n; int next(void) { return ++n; }");
    let make = || {
        let jit = Jit::new().unwrap();
        let app = jit.dylib("app").unwrap();
        app.add_object_bytes("a.o", object.clone()).unwrap();
        app
    };
    let (first, second) = (make(), make());
    assert_eq!(call(&first, "next").unwrap(), 1);
    assert_eq!(call(&first, "next").unwrap(), 2);
    assert_eq!(call(&second, "next").unwrap(), 1);
}

#[test]
fn exit_handlers_run_when_the_jit_ends() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let source = "int atexit(void (*)(void)); static int *flag;
                  static void at_exit(void) { *flag += 1; }
                  __attribute__((destructor)) static void last(void) { *flag *= 10; }
                  int start(int *f) { flag = f; return atexit(at_exit); }";
    app.add_object_bytes("a.o", scratch.bytes("a", source))
        .unwrap();
    let mut flag = 1i32;
    {
        // SAFETY: that is its type; `flag` outlives the JIT.
        let start = unsafe { app.function::<extern "C" fn(*mut i32) -> i32>("start") }.unwrap();
        assert_eq!(start.call(&raw mut flag), 0);
    }
    drop((app, jit));
    // As when a library is closed: finalizers first, then exit handlers.
    assert_eq!(flag, 11);
}

/// A process has one program, so this is the only test that runs one.
#[test]
fn a_program_runs_and_returns() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("prog").unwrap();
    let source = "static int x; __attribute__((constructor)) static void c(void) { x = 30; }
                  int main(int argc, char **argv) { return x + argc + (argv[0][0] == 'p'); }";
    app.add_object_bytes("main.o", scratch.bytes("main", source))
        .unwrap();
    assert_eq!(app.run_main(["prog", "--flag"]).unwrap(), 33);
    let empty = Program::new(&jit, ProgramSettings::default()).unwrap();
    let error = empty.link().unwrap_err().to_string();
    assert!(error.contains("no input defines `main`"), "{error}");
}

#[test]
fn exit_handlers_of_removed_code_run_before_it_goes() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    app.add_object_bytes(
        "log.o",
        scratch.bytes("log", "int log_;int ended(void){return log_;}"),
    )
    .unwrap();
    assert_eq!(call(&app, "ended").unwrap(), 0);
    let tracker = app.tracker();
    let object = scratch.bytes(
        "a",
        "int atexit(void (*)(void)); extern int log_;
         static void one(void) { log_ = log_ * 10 + 1; } static void two(void) { log_ = log_ * 10 + 2; }
         __attribute__((constructor)) static void c(void) { atexit(one); atexit(two); }
         int f(void) { return 7; }",
    );
    tracker.add_object_bytes("a.o", object).unwrap();
    assert_eq!(call(&app, "f").unwrap(), 7);
    assert_eq!(call(&app, "ended").unwrap(), 0);
    assert_eq!(tracker.remove().unwrap(), Removal::Released);
    assert_eq!(call(&app, "ended").unwrap(), 21);
}

#[test]
fn code_stays_until_threads_have_run_its_destructors() {
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    app.add_object_bytes(
        "log.o",
        scratch.bytes("log", "int log_;int ended(void){return log_;}"),
    )
    .unwrap();
    assert_eq!(call(&app, "ended").unwrap(), 0);
    let tracker = app.tracker();
    let object = scratch.bytes(
        "a",
        "int __cxa_thread_atexit(void (*)(void *), void *, void *); extern int log_;
         extern void *__dso_handle; static int object;
         static void destroy(void *p) { log_ += p == &object ? 4 : 100; }
         int f(void) { return __cxa_thread_atexit(destroy, &object, &__dso_handle); }",
    );
    tracker.add_object_bytes("a.o", object).unwrap();
    // SAFETY: that is its type.
    let function = unsafe { app.function::<extern "C" fn() -> i32>("f") }.unwrap();
    let (registered, wait) = std::sync::mpsc::channel();
    let (finish, end) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        registered.send(function.call()).unwrap();
        drop(function);
        end.recv().unwrap();
    });
    assert_eq!(wait.recv().unwrap(), 0);
    let deadline = Instant::now() + Duration::from_secs(20);
    let removal = loop {
        let removal = tracker.remove().unwrap();
        // The thread may be about to drop its handle, or to ask the runtime for destructors since it has.
        let is_settled = !matches!(
            removal,
            Removal::Deferred { guards: 1.., .. }
                | Removal::Deferred {
                    thread_destructors: 0,
                    ..
                }
        );
        if is_settled || Instant::now() > deadline {
            break removal;
        }
    };
    let waits = Removal::Deferred {
        guards: 0,
        used_by: Vec::new(),
        thread_destructors: 1,
    };
    assert_eq!(removal, waits);
    finish.send(()).unwrap();
    thread.join().unwrap();
    assert_eq!(call(&app, "ended").unwrap(), 4);
    assert_eq!(tracker.remove().unwrap(), Removal::Released);
}

/// Links and calls `name` of the dylib that a test has put here.
fn link_now(name: &str) -> i32 {
    let app = BUSY.get().expect("set by the test");
    call(app, name).expect("links while the loader is busy")
}

static BUSY: std::sync::OnceLock<orc_jit::Dylib> = std::sync::OnceLock::new();

#[test]
fn code_is_linked_while_the_loader_is_busy() {
    extern "C" fn from_constructor() -> i32 {
        link_now("first")
    }
    unsafe extern "C" fn visit(
        _: *mut libc::dl_phdr_info,
        _: libc::size_t,
        result: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the integer that is passed below.
        unsafe { *result.cast::<i32>() = link_now("second") };
        1
    }
    let scratch = Scratch::new();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    for (name, flags) in [("first", "-fPIC"), ("second", "-fno-pie")] {
        // Code that is not position-independent needs a range of its own kind.
        let text = format!(
            "static int x[2] = {{4, 5}}; int {name}(void) {{ volatile int i = 1; return x[i]; }}"
        );
        let object = scratch.compile_with(name, &text, &["-c", flags], "o");
        app.add_object_file(object).unwrap();
    }
    assert!(BUSY.set(app).is_ok());
    let function = from_constructor as *const () as usize;
    let text = format!(
        "static int seen; int constructed(void) {{ return seen; }}
         __attribute__((constructor)) static void c(void) {{ seen = ((int (*)(void)){function})(); }}"
    );
    let library = scratch.compile_with("constructed", &text, &["-shared", "-fPIC"], "so");
    let other = jit.dylib("other").unwrap();
    other.add_shared_library(library).unwrap();
    assert_eq!(call(&other, "constructed").unwrap(), 5);
    let mut result = 0;
    // SAFETY: the callback gets the integer that it expects.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut result).cast()) };
    assert_eq!(result, 5);
}
