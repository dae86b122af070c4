//! Functions that are linked when they are first called, and functions that are led to other code.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};

use orc_jit::{
    Dylib, Error, Executor, Jit, Materializer, ObjectReader, Removal, Responsibility, Symbol,
    Tracker,
};

mod again;
#[path = "lazy/ahead.rs"]
mod ahead;
#[path = "lazy/dylibs.rs"]
mod dylibs;
#[path = "lazy/many.rs"]
mod many;
#[path = "lazy/speculation.rs"]
mod speculation;
#[path = "lazy/unwinding.rs"]
mod unwinding;

struct Fixture {
    scratch: tempfile::TempDir,
    jit: Jit,
}

impl Fixture {
    fn new() -> Self {
        Self::on(Executor::in_process())
    }

    fn spawned() -> Self {
        Self::on(Executor::spawn().unwrap())
    }

    fn on(executor: Executor) -> Self {
        Self {
            scratch: tempfile::tempdir().unwrap(),
            jit: Jit::builder().executor(executor).build().unwrap(),
        }
    }

    /// A dylib that calls, and one that has what is called.
    fn dylibs(&self) -> (Dylib, Dylib) {
        let dylib = |name| self.jit.dylib(name).unwrap();
        (dylib("app"), dylib("bodies"))
    }

    fn compile(&self, name: &str, source: &str) -> Vec<u8> {
        compile(self.scratch.path(), name, source)
    }

    fn add(&self, tracker: &Tracker, name: &str, source: &str) {
        let object = self.compile(name, source);
        tracker.add_object_bytes(name, object).unwrap();
    }
}

/// Compiles C, or C++ if the name says so.
fn compile(scratch: &Path, name: &str, source: &str) -> Vec<u8> {
    let file = scratch.join(name);
    std::fs::write(&file, source).unwrap();
    let object = file.with_extension("o");
    // A dylib has no copies of what it takes from the C++ library, which may be loaded far away.
    let (compiler, pic): (_, &[&str]) = match name.ends_with(".cpp") {
        true => ("c++", &["-fPIC"]),
        false => ("cc", &[]),
    };
    let mut compiler = Command::new(compiler);
    let done = compiler
        .args(["-O1", "-c"])
        .args(pic)
        .arg(&file)
        .arg("-o")
        .arg(&object);
    assert!(done.status().unwrap().success());
    std::fs::read(object).unwrap()
}

/// Adds functions lazily, aborting when they cannot be linked.
fn add_lazy(to: &Tracker, from: &Dylib, functions: &[&str]) {
    // SAFETY: nothing takes failed calls.
    unsafe { to.add_lazy_functions(from, functions, None) }.unwrap();
}

/// Calls `f`.
const CALLER: &str = "int f(int); int call(int x) { return f(x); }";

type Call = extern "C" fn(i32) -> i32;

fn call(dylib: &Dylib, name: &str, argument: i32) -> i32 {
    // SAFETY: the sources below have functions of this type.
    unsafe { dylib.function::<Call>(name) }
        .unwrap()
        .call(argument)
}

/// Compiles `int NAME(int)` on demand, and counts.
struct Compiler {
    objects: ObjectReader,
    bytes: Vec<u8>,
    compiled: Arc<AtomicU32>,
}

impl Materializer for Compiler {
    fn name(&self) -> String {
        "compiler".to_owned()
    }

    fn materialize(&self, responsibility: Responsibility) {
        self.compiled.fetch_add(1, Ordering::Relaxed);
        let object = self.objects.read("compiled.o", self.bytes.clone());
        responsibility.link(object.unwrap());
    }
}

impl Fixture {
    /// Defines `int NAME(int)` in `dylib`, compiled on demand; says how often it was.
    fn define(&self, dylib: &Dylib, name: &str, source: &str) -> Arc<AtomicU32> {
        let compiled = Arc::<AtomicU32>::default();
        let compiler = Compiler {
            objects: self.jit.objects(),
            bytes: self.compile(&format!("{name}.c"), source),
            compiled: compiled.clone(),
        };
        dylib.define(Arc::new(compiler), &[name]).unwrap();
        compiled
    }
}

#[test]
fn a_lazy_function_is_compiled_at_its_first_call_and_once() {
    let it = Fixture::new();
    let (app, bodies) = it.dylibs();
    let compiled = it.define(&bodies, "twice", "int twice(int x) { return 2 * x; }");
    add_lazy(&app, &bodies, &["twice"]);
    it.add(
        &app,
        "caller.c",
        "int twice(int); int call(int x) { return x ? twice(x) + twice(1) : 0; }",
    );
    assert_eq!(call(&app, "call", 0), 0);
    assert_eq!(compiled.load(Ordering::Relaxed), 0);
    assert_eq!(call(&app, "call", 20), 42);
    assert_eq!(call(&app, "call", 5), 12);
    assert_eq!(compiled.load(Ordering::Relaxed), 1);
}

#[test]
fn the_address_of_a_lazy_function_is_the_same_before_and_after_its_first_call() {
    let it = Fixture::new();
    let (app, bodies) = it.dylibs();
    it.define(&bodies, "f", "int f(int x) { return x + 1; }");
    add_lazy(&app, &bodies, &["f"]);
    it.add(
        &app,
        "a.c",
        "int f(int); typedef int (*F)(int); F table[] = {f}; F in_code(void) { return f; } \
         int same(int x) { return table[0] == in_code() && table[0](x) == x + 1; }",
    );
    let before = app.symbol("f").unwrap().addr();
    assert_eq!(call(&app, "same", 3), 1);
    assert_eq!(app.symbol("f").unwrap().addr(), before);
    assert_eq!(call(&app, "same", 4), 1);
}

/// Whether the processor has the registers that the test below is about.
#[cfg(target_arch = "x86_64")]
fn has_wide_registers() -> bool {
    std::arch::is_x86_feature_detected!("avx")
}

/// Every processor of the others does.
#[cfg(not(target_arch = "x86_64"))]
fn has_wide_registers() -> bool {
    true
}

#[test]
fn every_argument_reaches_a_lazy_function_at_its_first_call() {
    // The widest that a register for arguments holds.
    const TYPES: &str = "#ifdef __x86_64__\n\
        #pragma GCC target(\"avx\")\n typedef double v4 __attribute__((vector_size(32)));\n\
        #else\n typedef float v4 __attribute__((vector_size(16)));\n#endif\n";
    let it = Fixture::new();
    let (app, bodies) = it.dylibs();
    let body = format!(
        "{TYPES} double sum(int a, long b, long c, long d, long e, long f, long g, double h, float i, v4 v) \
         {{ return a + b + c + d + e + f + g + h + i + v[0] + v[1] + v[2] + v[3]; }}"
    );
    let caller = format!(
        "{TYPES} double sum(int, long, long, long, long, long, long, double, float, v4);\n\
         double variadic(int, ...);\n\
         int call(int x) {{ v4 v = {{1, 2, 3, x}}; return sum(1, 2, 3, 4, 5, 6, 7, 8.5, 9.5f, v); }}\n\
         int call_variadic(int x) {{ return variadic(3, 1.5, 2.5, (double)x); }}"
    );
    let variadic = "#include <stdarg.h>\n double variadic(int n, ...) { va_list l; va_start(l, n); \
                    double sum = 0; while (n--) sum += va_arg(l, double); return sum; }";
    it.define(&bodies, "sum", &body);
    it.define(&bodies, "variadic", variadic);
    add_lazy(&app, &bodies, &["sum", "variadic"]);
    it.add(&app, "caller.c", &caller);
    for x in [4, 5] {
        if has_wide_registers() {
            assert_eq!(call(&app, "call", x), 52 + x);
        }
        assert_eq!(call(&app, "call_variadic", x), 4 + x);
    }
}

#[test]
fn the_other_dylib_is_initialized_before_the_first_call_goes_on() {
    let it = Fixture::new();
    let (app, bodies) = it.dylibs();
    it.add(
        &bodies,
        "bodies.cpp",
        "static int seven() { return 7; } static int value = seven(); \
         struct S { int n; S() : n(value) {} }; \
         extern \"C\" int f(int x) { thread_local S s; return s.n + x; }",
    );
    add_lazy(&app, &bodies, &["f"]);
    it.add(&app, "caller.c", CALLER);
    assert_eq!(call(&app, "call", 1), 8);
}

#[test]
fn exceptions_and_longjmp_leave_a_first_call() {
    let it = Fixture::new();
    let (app, bodies) = it.dylibs();
    for dylib in [&app, &bodies] {
        dylib.add_library("stdc++").unwrap();
    }
    it.add(
        &bodies,
        "bodies.cpp",
        "#include <setjmp.h>\n extern \"C\" { int thrower(int x) { throw x; } \
         void jumper(jmp_buf *b) { longjmp(*b, 5); } }",
    );
    add_lazy(&app, &bodies, &["thrower", "jumper"]);
    it.add(
        &app,
        "caller.cpp",
        "#include <setjmp.h>\n extern \"C\" { int thrower(int); void jumper(jmp_buf *); \
         int caught(int x) { try { return thrower(x); } catch (int y) { return y + 1; } } \
         int jumped(int) { jmp_buf b; int r = setjmp(b); if (r) return r; jumper(&b); return 0; } }",
    );
    for _ in 0..2 {
        assert_eq!(call(&app, "caught", 41), 42);
        assert_eq!(call(&app, "jumped", 0), 5);
    }
}

#[test]
fn a_function_that_cannot_be_linked_is_taken_by_the_handler_until_it_can() {
    let it = Fixture::new();
    let (app, bodies) = it.dylibs();
    it.add(&app, "handler.c", "int failed(int x) { return -x; }");
    let handler = app.symbol("failed").unwrap();
    // SAFETY: it takes what `f` takes.
    unsafe { app.add_lazy_functions(&bodies, &["f"], Some(&handler)) }.unwrap();
    it.add(&app, "caller.c", CALLER);
    assert_eq!(call(&app, "call", 3), -3);
    assert_eq!(call(&app, "call", 4), -4);
    it.add(&bodies, "f.c", "int f(int x) { return x; }");
    assert_eq!(call(&app, "call", 5), 5);
}

#[test]
fn a_function_that_cannot_be_linked_ends_the_process_with_the_reason() {
    const CHILD: &str = "ORC_TEST_CALLS_WHAT_IS_MISSING";
    if std::env::var_os(CHILD).is_some() {
        let it = Fixture::new();
        let (app, bodies) = it.dylibs();
        it.add(
            &bodies,
            "f.c",
            "int missing(int); int f(int x) { return missing(x); }",
        );
        add_lazy(&app, &bodies, &["f"]);
        it.add(&app, "caller.c", CALLER);
        call(&app, "call", 1);
        unreachable!("the call ends the process");
    }
    let name = "a_function_that_cannot_be_linked_ends_the_process_with_the_reason";
    let output = again::this_program()
        .args(["--exact", name])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("cannot resolve the lazy call"), "{said}");
    assert!(said.contains("f cannot be linked"), "{said}");
    assert!(said.contains("missing"), "{said}");
}

#[test]
fn threads_race_to_the_first_call() {
    const THREADS: usize = 16;
    const FUNCTIONS: usize = 40;
    let it = Fixture::new();
    let (app, bodies) = it.dylibs();
    let names: Vec<String> = (0..FUNCTIONS).map(|n| format!("f{n}")).collect();
    let mut compiled = Vec::new();
    for (n, name) in names.iter().enumerate() {
        // Each calls the next, so first calls are made within first calls.
        let next = (n + 1) % FUNCTIONS;
        let source = format!(
            "int f{next}(int); int {name}(int x) {{ return x ? f{next}(x - 1) + 1 : {n}; }}"
        );
        compiled.push(it.define(&bodies, name, &source));
    }
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    add_lazy(&app, &bodies, &all);
    // Bodies call each other through the stubs.
    let functions: Vec<_> = all
        .iter()
        // SAFETY: the sources above.
        .map(|name| unsafe { app.function::<Call>(name) }.unwrap())
        .collect();
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (functions, start) = (&functions, &start);
            scope.spawn(move || {
                start.wait();
                for n in 0..FUNCTIONS {
                    let n = (n * 7 + thread * 3) % FUNCTIONS;
                    let depth = (thread % 3) as i32;
                    let expected = (n as i32 + depth) % FUNCTIONS as i32 + depth;
                    assert_eq!(functions[n].call(depth), expected);
                }
            });
        }
    });
    for compiled in compiled {
        assert_eq!(compiled.load(Ordering::Relaxed), 1);
    }
}

/// A dylib `app` with `call`, which calls `f`; and versions of `f` in trackers of their own.
fn versions(it: &Fixture, count: i32) -> (Dylib, Vec<(Tracker, Symbol)>) {
    let app = it.jit.dylib("app").unwrap();
    let versions = (0..count).map(|n| {
        let tracker = app.tracker();
        let source = format!("int f_{n}(int x) {{ return x + {n}; }}");
        it.add(&tracker, &format!("f_{n}.c"), &source);
        (tracker, app.symbol(&format!("f_{n}")).unwrap())
    });
    let versions: Vec<_> = versions.collect();
    app.add_redirectable(&[("f", &versions[0].1)]).unwrap();
    it.add(&app, "caller.c", CALLER);
    (app, versions)
}

#[test]
fn a_redirected_function_is_another_one_for_all_its_callers() {
    let it = Fixture::new();
    let (app, versions) = versions(&it, 3);
    // SAFETY: the sources above.
    let f = unsafe { app.function::<Call>("f") }.unwrap();
    assert_eq!((call(&app, "call", 10), f.call(20)), (10, 20));
    for (n, (_, version)) in versions.iter().enumerate() {
        // SAFETY: all versions have one type.
        unsafe { app.redirect(&[("f", version)]) }.unwrap();
        let n = n as i32;
        assert_eq!((call(&app, "call", 10), f.call(20)), (10 + n, 20 + n));
    }
}

#[test]
fn a_stub_keeps_the_code_that_it_leads_to_and_no_other() {
    let it = Fixture::new();
    let (app, mut versions) = versions(&it, 2);
    assert_eq!(call(&app, "call", 10), 10);
    let (second, second_symbol) = versions.pop().unwrap();
    let (first, symbol) = versions.pop().unwrap();
    drop(symbol);
    let kept = first.remove().unwrap();
    assert!(
        matches!(kept, Removal::Deferred { guards: 0, .. }),
        "{kept:?}"
    );
    assert_eq!(call(&app, "call", 10), 10);
    // SAFETY: both have one type, and nobody runs the old one.
    unsafe { app.redirect(&[("f", &second_symbol)]) }.unwrap();
    assert_eq!(first.remove().unwrap(), Removal::Released);
    drop(second_symbol);
    assert!(matches!(
        second.remove().unwrap(),
        Removal::Deferred { guards: 0, .. }
    ));
    assert_eq!(call(&app, "call", 10), 11);
}

#[test]
fn only_stubs_can_be_redirected_and_only_within_a_jit() {
    let it = Fixture::new();
    let (app, versions) = versions(&it, 1);
    // SAFETY: both calls fail.
    let refused = unsafe { app.redirect(&[("call", &versions[0].1)]) };
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("stub of call: it has none here"), "{text}");
    let other = Fixture::new();
    let (_, foreign) = self::versions(&other, 1);
    // SAFETY: as above.
    let refused: Error = unsafe { app.redirect(&[("f", &foreign[0].1)]) }.unwrap_err();
    assert!(refused.to_string().contains("another session"), "{refused}");
    assert_eq!(call(&app, "call", 1), 1);
}

#[test]
fn a_set_is_redirected_in_one_step() {
    const FUNCTIONS: usize = 8;
    const ROUNDS: usize = 300;
    let it = Fixture::new();
    let app = it.jit.dylib("app").unwrap();
    let version = |n: usize| -> Vec<Symbol> {
        let functions = (0..FUNCTIONS).map(|f| format!("int g{f}_{n}(void) {{ return {n}; }}\n"));
        let source: String = functions.collect();
        it.add(&app, &format!("v{n}.c"), &source);
        let symbols = (0..FUNCTIONS).map(|f| app.symbol(&format!("g{f}_{n}")).unwrap());
        symbols.collect()
    };
    let versions = [version(0), version(1)];
    let names: Vec<String> = (0..FUNCTIONS).map(|f| format!("g{f}")).collect();
    let set = |version: &'_ [Symbol]| -> Vec<(String, Symbol)> {
        names.iter().cloned().zip(version.iter().cloned()).collect()
    };
    fn pairs(set: &[(String, Symbol)]) -> Vec<(&str, &Symbol)> {
        set.iter()
            .map(|(name, symbol)| (name.as_str(), symbol))
            .collect()
    }
    let sets = [set(&versions[0]), set(&versions[1])];
    app.add_redirectable(&pairs(&sets[0])).unwrap();
    // Versions go 0, 1, 0, ...: with even and odd counts a thread notices who comes late. It reads from
    // the last to the first and back, so that a torn set shows as a step back.
    it.add(
        &app,
        "reader.c",
        "#define G(n) int g##n(void);\n G(0) G(1) G(2) G(3) G(4) G(5) G(6) G(7)\n\
         static int (*all[])(void) = {g0, g1, g2, g3, g4, g5, g6, g7};\n\
         int torn(int rounds) { int changes = 0; for (; rounds; rounds--) { int last = all[0](); \
           changes = 0; for (int i = 1; i < 8; i++) { int now = all[i](); changes += now != last; last = now; } \
           for (int i = 7; i >= 0; i--) { int now = all[i](); changes += now != last; last = now; } \
           if (changes > 1) return changes; } return 0; }",
    );
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (started, done) = (AtomicU32::new(0), AtomicU32::new(0));
    // SAFETY: the source above.
    let torn = unsafe { app.function::<Call>("torn") }.unwrap();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut worst = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let before = done.load(Ordering::SeqCst);
                        let changes = torn.call(1);
                        // A thread that did not run for a while may have seen several sets.
                        if started.load(Ordering::SeqCst) <= before + 1 {
                            worst = worst.max(changes);
                        }
                    }
                    worst
                })
            })
            .collect();
        for round in 1..=ROUNDS {
            started.fetch_add(1, Ordering::SeqCst);
            // SAFETY: all have one type; none is removed.
            unsafe { app.redirect(&pairs(&sets[round % 2])) }.unwrap();
            done.fetch_add(1, Ordering::SeqCst);
            // Slower than most of a reader's rounds, so that these see one change at most.
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            let worst = reader.join().unwrap();
            assert!(worst <= 1, "a set was seen torn: {worst} changes");
        }
    });
}
