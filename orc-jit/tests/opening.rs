//! When constructors and destructors of linked code run, and in which order: a loader's.

use std::cell::RefCell;
use std::ffi::{CStr, c_char};
use std::path::{Path, PathBuf};
use std::process::Command;

use orc_jit::{Dylib, ExecutorAddr, Jit, Removal};

mod again;

struct Fixture {
    scratch: tempfile::TempDir,
    jit: Jit,
}

thread_local! {
    static LOG: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What linked code calls: notes a word for the test of this thread.
extern "C" fn note(word: *const c_char) {
    // SAFETY: the sources below pass C strings.
    let word = unsafe { CStr::from_ptr(word) }.to_string_lossy();
    LOG.with_borrow_mut(|log| {
        if !log.is_empty() {
            log.push(' ');
        }
        log.push_str(&word);
    });
}

fn noted() -> String {
    LOG.with_borrow_mut(std::mem::take)
}

fn compile(scratch: &Path, name: &str, source: &str) -> PathBuf {
    let file = scratch.join(format!("{name}.c"));
    std::fs::write(&file, source).unwrap();
    let object = file.with_extension("o");
    let mut cc = Command::new("cc");
    let done = cc.args(["-O1", "-c"]).arg(&file).arg("-o").arg(&object);
    assert!(done.status().unwrap().success());
    object
}

/// An object whose constructor notes "+NAME" and whose destructor notes "-NAME", with
/// `int NAME(void)`, which calls those of `uses` and returns the sum plus one.
fn source(name: &str, uses: &[&str]) -> String {
    let declared = uses.iter().map(|used| format!("int {used}(void);"));
    let called = uses.iter().map(|used| format!("{used}() + "));
    let (declared, called): (String, String) = (declared.collect(), called.collect());
    format!(
        r#"void note(const char *); {declared}
           __attribute__((constructor)) static void start(void) {{ note("+{name}"); }}
           __attribute__((destructor)) static void end(void) {{ note("-{name}"); }}
           int {name}_at_depth;
           int {name}(void) {{
               if ({name}_at_depth) return 0;
               {name}_at_depth = 1; int sum = {called} 1; {name}_at_depth = 0; return sum;
           }}"#
    )
}

impl Fixture {
    fn new() -> Self {
        Self {
            scratch: tempfile::tempdir().unwrap(),
            jit: Jit::new().unwrap(),
        }
    }

    fn dylib(&self, name: &str) -> Dylib {
        let dylib = self.jit.dylib(name).unwrap();
        let addr = ExecutorAddr::new(note as *const () as usize as u64);
        // SAFETY: it has the type that the sources declare.
        unsafe { dylib.define_absolute(&[("note", addr)]) }.unwrap();
        dylib
    }

    fn compile(&self, name: &str, source: &str) -> PathBuf {
        compile(self.scratch.path(), name, source)
    }

    /// Dylibs that need each other, as in "A:BC B:D"; each holds an object of its name.
    fn dylibs(&self, graph: &str) -> Vec<Dylib> {
        let parts: Vec<(&str, &str)> = graph
            .split(' ')
            .map(|part| part.split_once(':').unwrap())
            .collect();
        let dylibs: Vec<Dylib> = parts.iter().map(|(name, _)| self.dylib(name)).collect();
        for ((name, needs), dylib) in parts.iter().zip(&dylibs) {
            let uses: Vec<&str> = needs.split("").filter(|used| !used.is_empty()).collect();
            let object = self.compile(name, &source(name, &uses));
            dylib.add_object_file(object).unwrap();
            for used in uses {
                let at = parts.iter().position(|(name, _)| *name == used).unwrap();
                dylib.link_with(&dylibs[at]).unwrap();
            }
        }
        dylibs
    }
}

/// Calls `int name(void)`.
fn call(dylib: &Dylib, name: &str) -> i32 {
    // SAFETY: all functions of these tests that are called so have this type.
    unsafe { dylib.function::<extern "C" fn() -> i32>(name) }
        .unwrap()
        .call()
}

/// The orders are those that glibc 2.36 shows for shared libraries that need each other so; the
/// destructors' is the reverse, as glibc 2.39 has it.
#[test]
fn what_a_dylib_needs_is_initialized_before_it() {
    for (graph, opened, closed) in [
        ("A:BC B: C:", "+C +B +A", "-A -B -C"),
        ("A:B B:C C:A", "+C +B +A", "-A -B -C"),
        ("A:BC B:D C:D D:B", "+B +D +C +A", "-A -C -D -B"),
        ("A:BCD B:C C:E D:A E:C", "+C +E +D +B +A", "-A -B -D -E -C"),
    ] {
        let fixture = Fixture::new();
        let dylibs = fixture.dylibs(graph);
        assert_eq!(noted(), "", "{graph}");
        assert!(call(&dylibs[0], "A") > 1);
        assert_eq!(noted(), opened, "{graph}");
        // Once for all.
        assert!(call(&dylibs[1], "B") > 0);
        assert_eq!(noted(), "", "{graph}");
        drop((dylibs, fixture));
        assert_eq!(noted(), closed, "{graph}");
    }
}

#[test]
fn what_is_added_to_a_needed_dylib_later_is_initialized_for_those_that_need_it() {
    let fixture = Fixture::new();
    let dylibs = fixture.dylibs("A:B B:");
    call(&dylibs[0], "A");
    assert_eq!(noted(), "+B +A");
    let more = fixture.compile("more", &source("more", &[]));
    dylibs[1].add_object_file(more).unwrap();
    let user = fixture.compile("user", &source("user", &["more"]));
    dylibs[0].add_object_file(user).unwrap();
    assert_eq!(call(&dylibs[0], "user"), 2);
    assert_eq!(noted(), "+more +user");
}

/// Adds a `main` that calls `A` to the first of such dylibs.
fn add_main(fixture: &Fixture, dylibs: &[Dylib]) {
    let main = "int A(void); void note(const char *);
                int main(void) { note(\"main\"); return A(); }";
    let main = fixture.compile("main", main);
    dylibs[0].add_object_file(main).unwrap();
}

/// One test, because a process can be one program at a time.
#[test]
fn a_program_initializes_what_it_needs_and_closes_it() {
    let fixture = Fixture::new();
    let dylibs = fixture.dylibs("A:BC B:C C:");
    // Nothing refers to it: a loader would initialize it all the same.
    let unused = fixture.compile("unused", &source("unused", &[]));
    dylibs[1].add_object_file(unused).unwrap();
    add_main(&fixture, &dylibs);
    assert_eq!(dylibs[0].run_main(["program"]).unwrap(), 4);
    let closed = "main -A -unused -B -C";
    assert_eq!(noted(), format!("+C +B +unused +A {closed}"));
    // What was closed is opened again by whoever uses it next.
    call(&dylibs[1], "B");
    assert_eq!(noted(), "+C +B +unused");

    // The process is that program until it is removed.
    let other = Fixture::new();
    let others = other.dylibs("A:BC B:C C:");
    add_main(&other, &others);
    let error = others[0].run_main(["program"]).unwrap_err().to_string();
    assert!(error.contains("another program already"), "{error}");
    drop((dylibs, fixture));
    assert_eq!(noted(), "-unused -B -C");

    // It can be run now that it can. What was open before stays so.
    call(&others[2], "C");
    assert_eq!(noted(), "+C");
    assert_eq!(others[0].run_main(["program"]).unwrap(), 4);
    assert_eq!(noted(), "+B +A main -A -B");
    drop((others, other));
    assert_eq!(noted(), "-C");
}

#[test]
fn removing_a_tracker_runs_its_destructors_and_then_its_exit_handlers() {
    let fixture = Fixture::new();
    let app = fixture.dylib("app");
    let stays = fixture.compile("stays", &source("stays", &[]));
    app.add_object_file(stays).unwrap();
    call(&app, "stays");
    let goes = r#"void note(const char *); int atexit(void (*)(void));
                  __attribute__((destructor(200))) static void early(void) { note("-200"); }
                  __attribute__((destructor)) static void late(void) { note("-plain"); }
                  static void handler(void) { note("handler"); }
                  int goes(void) { return atexit(handler); }"#;
    let [first, second] = [app.tracker(), app.tracker()];
    let object = fixture.compile("goes", goes);
    first.add_object_file(&object).unwrap();
    assert_eq!(call(&app, "goes"), 0);
    assert_eq!(noted(), "+stays");
    assert_eq!(first.remove().unwrap(), Removal::Released);
    assert_eq!(noted(), "-plain -200 handler");
    // What was linked and never initialized has nothing to undo.
    second.add_object_file(&object).unwrap();
    app.session_dylib().lookup_one("goes").unwrap();
    assert_eq!(second.remove().unwrap(), Removal::Released);
    assert_eq!(noted(), "");
    drop((app, first, second, fixture));
    assert_eq!(noted(), "-stays");
}

/// Two threads ask for the same function: neither gets it before its constructor is done.
#[test]
fn nobody_gets_a_function_whose_constructor_still_runs() {
    let fixture = Fixture::new();
    let app = fixture.jit.dylib("app").unwrap();
    let slow = "#include <unistd.h>
                static int ready;
                __attribute__((constructor)) static void c(void) { usleep(200000); ready = 1; }
                int is_ready(void) { return ready; }";
    app.add_object_file(fixture.compile("slow", slow)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(call(&app, "is_ready"), 1));
        }
    });
}

/// Set in the process that [`a_destructor_without_a_constructor_runs_at_exit`] starts.
const EXITS: &str = "ORC_TEST_EXITS";

#[test]
fn a_destructor_without_a_constructor_runs_at_exit() {
    if std::env::var_os(EXITS).is_some() {
        let scratch = tempfile::tempdir().unwrap();
        let source = "#include <unistd.h>
                      __attribute__((destructor)) static void d(void) { write(1, \"the end\\n\", 8); }
                      int f(void) { return 1; }";
        let object = compile(scratch.path(), "a", source);
        let jit = Jit::new().unwrap();
        let app = jit.dylib("app").unwrap();
        app.add_object_file(object).unwrap();
        assert_eq!(call(&app, "f"), 1);
        drop(scratch);
        std::process::exit(0);
    }
    let name = "a_destructor_without_a_constructor_runs_at_exit";
    let mut again = again::this_program();
    again.args(["--exact", name, "--nocapture"]).env(EXITS, "1");
    let output = again.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.ends_with("the end\n"), "{text}");
}
