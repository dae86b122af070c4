//! Dylibs whose functions are linked when they are first called.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use jit_core::error::LinkError;
use jit_core::session::{self, Generator, Wanted};
use jit_core::symbol::SymbolKind;
use orc_jit::{Dylib, ExecutorAddr, Removal};

use super::{Call, Fixture, call};

/// A lazy dylib.
pub fn lazy(it: &Fixture) -> Dylib {
    let dylib = it.jit.dylib("lazy").unwrap();
    dylib.link_lazily();
    dylib
}

/// Whether an object is there beyond its stubs.
pub fn is_linked(dylib: &Dylib, object: &str) -> bool {
    !dylib
        .session_dylib()
        .waiting_objects()
        .iter()
        .any(|waiting| waiting == object)
}

#[test]
fn objects_of_a_lazy_dylib_are_linked_when_they_are_called() {
    let it = Fixture::new();
    let app = lazy(&it);
    it.add(
        &app,
        "one.c",
        "int two(int); int one(int x) { return x ? two(x) : 0; }",
    );
    it.add(&app, "two.c", "int two(int x) { return 2 * x; }");
    // SAFETY: the source above.
    let one = unsafe { app.function::<Call>("one") }.unwrap();
    assert!(!is_linked(&app, "one.c"));
    assert_eq!(one.call(0), 0);
    assert!(is_linked(&app, "one.c"));
    assert!(!is_linked(&app, "two.c"));
    assert_eq!(one.call(4), 8);
    assert!(is_linked(&app, "two.c"));
}

#[test]
fn a_lazy_dylib_misses_symbols_when_an_eager_one_would() {
    let it = Fixture::new();
    let app = lazy(&it);
    it.add(
        &app,
        "one.c",
        "int two(int); int one(int x) { return two(x); }",
    );
    it.add(
        &app,
        "two.c",
        "int three(int); int two(int x) { return three(x); }",
    );
    let missing = app.symbol("one").unwrap_err().to_string();
    assert!(missing.contains("three"), "{missing}");
    it.add(&app, "three.c", "int three(int x) { return 3 * x; }");
    assert_eq!(call(&app, "one", 5), 15);
}

#[test]
fn a_functions_address_is_one_in_its_own_object_in_others_and_from_outside() {
    let it = Fixture::new();
    let app = lazy(&it);
    it.add(
        &app,
        "f.c",
        "int f(int x) { return x + 1; } int (*own_table[])(int) = {f}; \
         int (*own(void))(int) { return f; } \
         int own_is_one(int x) { return own_table[0] == own() && f(x) == x + 1; }",
    );
    it.add(
        &app,
        "g.c",
        "int f(int); int (*own(void))(int); int own_is_one(int); \
         int (*table[])(int) = {f}; \
         int all_are_one(int x) { int (*volatile before)(int) = f; \
           return before == table[0] && table[0](x) == x + 1 && own() == before && own_is_one(x); }",
    );
    let outside = app.symbol("f").unwrap().addr();
    it.add(
        &app,
        "h.c",
        "int f(int); int is_it(int *address) { return (int *)f == address; }",
    );
    assert_eq!(call(&app, "all_are_one", 2), 1);
    assert_eq!(call(&app, "all_are_one", 3), 1);
    assert_eq!(app.symbol("f").unwrap().addr(), outside);
    type IsIt = extern "C" fn(u64) -> i32;
    // SAFETY: the source above.
    let is_it = unsafe { app.function::<IsIt>("is_it") }.unwrap();
    assert_eq!(is_it.call(outside.value()), 1);
}

#[test]
fn data_and_initializers_of_a_lazy_dylib_are_there_at_once() {
    let it = Fixture::new();
    let app = lazy(&it);
    it.add(
        &app,
        "main.c",
        "extern int data, started; int get(int); int call(int x) { return x ? get(x) : 10 * data + started; }",
    );
    it.add(
        &app,
        "data.c",
        "int late(int); int data = 4; int use(int x) { return late(x); }",
    );
    it.add(&app, "late.c", "int late(int x) { return x; }");
    it.add(
        &app,
        "start.c",
        "int started; __attribute__((constructor)) static void start(void) { started = 2; }",
    );
    it.add(
        &app,
        "get.c",
        "int late(int); int get(int x) { return late(x) + 1; }",
    );
    assert_eq!(call(&app, "call", 0), 42);
    assert!(!is_linked(&app, "get.c"));
    assert_eq!(call(&app, "call", 6), 7);
}

#[test]
fn weak_and_inline_functions_of_a_lazy_dylib_are_one() {
    let it = Fixture::new();
    let app = lazy(&it);
    app.add_library("stdc++").unwrap();
    let header = "struct S { virtual ~S() {} virtual int v() { return 1; } }; \
                  inline int counted() { static int n; return ++n; } \
                  template <class T> int *where() { static int x; return &x; }\n";
    let source = |name: &str, body: &str| {
        it.add(&app, name, &format!("{header} {body}"));
    };
    source(
        "a.cpp",
        "struct A : S { int v() override { return 5; } }; extern \"C\" { S *make() { return new A; } \
         int *a() { return where<int>(); } int ca(int) { return counted(); } }",
    );
    source(
        "b.cpp",
        "extern \"C\" { S *make(); int *a(); int ca(int); \
         int call(int x) { S *s = make(); int r = s->v(); delete s; \
           return r * 100 + (a() == where<int>()) * 10 + (ca(0) + counted() == 2 * x + 1); } }",
    );
    assert_eq!(call(&app, "call", 1), 511);
}

#[test]
fn exceptions_statics_and_thread_locals_work_in_lazy_code() {
    let it = Fixture::new();
    let app = lazy(&it);
    app.add_library("stdc++").unwrap();
    it.add(
        &app,
        "thrower.cpp",
        "#include <string>\n struct Logged { std::string s; ~Logged(); }; extern int gone; \
         Logged::~Logged() { gone++; } \
         extern \"C\" int thrower(int x) { Logged l{\"text\"}; thread_local int n = 3; n++; \
           if (x) throw std::string(\"thrown\") + std::to_string(n); return 0; }",
    );
    it.add(
        &app,
        "caller.cpp",
        "#include <string>\n int gone; extern \"C\" { int thrower(int); int call(int x) { try { \
           return thrower(x); } catch (const std::string &s) { return s == \"thrown4\" ? 10 + gone : -1; } } }",
    );
    assert_eq!(call(&app, "call", 1), 11);
}

#[test]
fn a_removed_function_of_a_lazy_dylib_is_not_called_by_mistake() {
    let it = Fixture::new();
    let app = lazy(&it);
    let first = app.tracker();
    it.add(&first, "f.c", "int f(int x) { return x + 1; }");
    it.add(
        &app,
        "call.c",
        "int f(int); int call(int x) { return f(x); }",
    );
    let before = app.symbol("f").unwrap().addr();
    assert_eq!(call(&app, "call", 1), 2);
    assert!(matches!(first.remove().unwrap(), Removal::Deferred { .. }));
    it.add(&app, "g.c", "int f(int x) { return x + 2; }");
    // What is linked keeps to what it was linked with.
    assert_eq!(call(&app, "call", 1), 2);
    assert_ne!(app.symbol("f").unwrap().addr(), before);
    assert_eq!(call(&app, "f", 1), 3);
}

#[test]
fn a_materializer_of_a_lazy_dylib_compiles_what_is_called() {
    let it = Fixture::new();
    let app = lazy(&it);
    let even = it.define(
        &app,
        "even",
        "int odd(int); int even(int x) { return x ? odd(x - 1) : 1; }",
    );
    let odd = it.define(
        &app,
        "odd",
        "int even(int); int odd(int x) { return x ? even(x - 1) : 0; }",
    );
    let counts = || (even.load(Ordering::Relaxed), odd.load(Ordering::Relaxed));
    // SAFETY: the sources above.
    let function = unsafe { app.function::<Call>("even") }.unwrap();
    assert_eq!(counts(), (0, 0));
    assert_eq!(function.call(0), 1);
    assert_eq!(counts(), (1, 0));
    assert_eq!(function.call(7), 0);
    assert_eq!(counts(), (1, 1));
}

#[test]
fn many_threads_call_many_lazy_functions() {
    const THREADS: usize = 16;
    const FUNCTIONS: usize = 200;
    let it = Fixture::new();
    let app = lazy(&it);
    for n in 0..FUNCTIONS {
        let next = (n * 7 + 3) % FUNCTIONS;
        let source =
            format!("int f{next}(int); int f{n}(int x) {{ return x ? f{next}(x - 1) : {n}; }}");
        it.add(&app, &format!("f{n}.c"), &source);
    }
    let functions: Vec<_> = (0..FUNCTIONS)
        // SAFETY: the sources above.
        .map(|n| unsafe { app.function::<Call>(&format!("f{n}")) }.unwrap())
        .collect();
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (functions, start) = (&functions, &start);
            scope.spawn(move || {
                start.wait();
                for n in 0..FUNCTIONS {
                    let n = (n * 13 + thread * 11) % FUNCTIONS;
                    let depth = thread % 4;
                    let expected = (0..depth).fold(n, |n, _| (n * 7 + 3) % FUNCTIONS);
                    assert_eq!(functions[n].call(depth as i32), expected as i32);
                }
            });
        }
    });
}

/// Defines `late` when it is asked for, and another lookup comes meanwhile.
struct Late {
    asked: Barrier,
    addr: ExecutorAddr,
}

impl Generator for Late {
    fn name(&self) -> &str {
        "late"
    }

    fn generate(&self, dylib: &session::Dylib, wanted: &[Wanted]) -> Result<(), LinkError> {
        let name = dylib.session().names().intern(b"late");
        if !wanted.iter().any(|wanted| wanted.name == name) {
            return Ok(());
        }
        self.asked.wait();
        // The other lookup has begun, and now comes as far as it can.
        std::thread::sleep(Duration::from_millis(300));
        dylib
            .default_tracker()
            .add_absolute(&[session::AbsoluteSymbol {
                name,
                addr: self.addr,
                kind: SymbolKind::None,
                weak: false,
            }])
    }
}

#[test]
fn what_another_lookup_has_found_meanwhile_is_not_let_go() {
    let it = Fixture::new();
    let app = lazy(&it);
    it.add(
        &app,
        // The variable is on a heap, which may be far away.
        "first.cpp",
        r#"extern "C" { extern int late; int f(int); int first(int x) { return f(x) + late; } }"#,
    );
    it.add(&app, "both.c", "int d = 6; int f(int x) { return x + d; }");
    let late = Box::leak(Box::new(30));
    let generator = Arc::new(Late {
        asked: Barrier::new(2),
        addr: ExecutorAddr::new(std::ptr::from_mut(late) as u64),
    });
    app.session_dylib().add_generator(generator.clone());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            generator.asked.wait();
            // What the first lookup has claimed for its function alone.
            assert!(!app.symbol("d").unwrap().addr().is_null());
        });
        assert_eq!(call(&app, "first", 6), 42);
    });
}

#[test]
fn a_damaged_object_does_not_wait() {
    let it = Fixture::new();
    let app = lazy(&it);
    it.add(
        &app,
        "one.c",
        "int two(int); int one(int x) { return two(x); }",
    );
    let mut damaged = it.compile(
        "two.c",
        "int three(int); int two(int x) { return three(x) + 1; }",
    );
    it.add(&app, "three.c", "int three(int x) { return x; }");
    // The entries of its relocation sections get another size: what they say is not known.
    let sections = u64::from_le_bytes(damaged[0x28..0x30].try_into().unwrap()) as usize;
    let mut changed = 0;
    for header in damaged[sections..].chunks_exact_mut(64) {
        if header[4..8] == 4u32.to_le_bytes() {
            header[0x20..0x28].copy_from_slice(&25u64.to_le_bytes());
            changed += 1;
        }
    }
    assert!(changed > 0);
    // It may be refused as soon as it is added.
    let Ok(()) = app.add_object_bytes("two.c", damaged) else {
        return;
    };
    let error = app.symbol("one").unwrap_err().to_string();
    assert!(error.contains("two.c"), "{error}");
}

/// An object with another number in its names.
fn numbered(object: &[u8], number: u32) -> Vec<u8> {
    let mut bytes = object.to_vec();
    for at in 0..bytes.len() - 3 {
        if &bytes[at..at + 3] == b"000" {
            bytes[at..at + 3].copy_from_slice(format!("{number:03}").as_bytes());
        }
    }
    bytes
}

#[test]
fn names_of_stubs_leave_with_the_stubs() {
    let it = Fixture::new();
    let (app, bodies) = (lazy(&it), it.jit.dylib("bodies").unwrap());
    let caller = it.compile(
        "caller.c",
        "int f000(int); int call000(int x) { return x ? f000(x) : 0; }",
    );
    let body = it.compile("body.c", "int f000(int x) { return x + 1; }");
    let names = it.jit.session().names().clone();
    let mut before = 0;
    for number in 0..100 {
        let [caller, body] = [&caller, &body].map(|object| numbered(object, number));
        let [calls, has] = [(); 2].map(|()| app.tracker());
        let bodies_part = bodies.tracker();
        calls.add_object_bytes("caller.o", caller).unwrap();
        match number % 2 {
            0 => has.add_object_bytes("body.o", body).unwrap(),
            // A function of another dylib.
            _ => {
                bodies_part.add_object_bytes("body.o", body).unwrap();
                super::add_lazy(&has, &bodies, &[&format!("f{number:03}")]);
            }
        }
        // Some are removed before they are called.
        let argument = i32::from(number % 3 != 0) * 5;
        let result = call(&app, &format!("call{number:03}"), argument);
        assert_eq!(result, if argument == 0 { 0 } else { 6 });
        assert_eq!(calls.remove().unwrap(), Removal::Released);
        assert_eq!(has.remove().unwrap(), Removal::Released);
        assert_eq!(bodies_part.remove().unwrap(), Removal::Released);
        // The first of each kind brings names of the runtime's that stay.
        match number {
            9 => before = names.len(),
            10.. => assert_eq!(names.len(), before, "names of round {number} stay"),
            _ => {}
        }
    }
}

/// Fails until it is told to do better.
struct Unreliable {
    compiler: super::Compiler,
    works: Arc<std::sync::atomic::AtomicBool>,
}

impl orc_jit::Materializer for Unreliable {
    fn name(&self) -> String {
        "unreliable".to_owned()
    }

    fn materialize(&self, responsibility: orc_jit::Responsibility) {
        match self.works.load(Ordering::Relaxed) {
            true => self.compiler.materialize(responsibility),
            false => responsibility.fail(LinkError::Client {
                who: self.name(),
                message: "not now".to_owned(),
            }),
        }
    }
}

impl Fixture {
    /// Defines `int f(int)`, which can be compiled once the flag is set.
    fn define_unreliably(&self, dylib: &Dylib) -> Arc<std::sync::atomic::AtomicBool> {
        let works = Arc::<std::sync::atomic::AtomicBool>::default();
        let compiler = super::Compiler {
            objects: self.jit.objects(),
            bytes: self.compile("f.c", "int f(int x) { return x; }"),
            compiled: Arc::default(),
        };
        let unreliable = Unreliable {
            compiler,
            works: works.clone(),
        };
        dylib.define(Arc::new(unreliable), &["f"]).unwrap();
        works
    }
}

#[test]
fn a_call_in_a_lazy_dylib_whose_function_cannot_be_linked_goes_to_the_clients_function() {
    for in_dylib_itself in [false, true] {
        let it = Fixture::new();
        let app = it.jit.dylib("app").unwrap();
        let other = it.jit.dylib("other").unwrap();
        for dylib in [&app, &other] {
            dylib.add_library("stdc++").unwrap();
        }
        let home = if in_dylib_itself { &app } else { &other };
        it.add(
            home,
            "handler.cpp",
            "extern \"C\" int failed(int x) { if (x < 0) throw x; return -x; }",
        );
        let handler = home.symbol("failed").unwrap();
        // SAFETY: it takes what `f` takes.
        unsafe { app.link_lazily_or_call(&handler) }.unwrap();
        drop(handler);
        let works = it.define_unreliably(&app);
        it.add(
            &app,
            "caller.cpp",
            "extern \"C\" int f(int); extern \"C\" int call(int x) \
             { try { return f(x); } catch (int y) { return 100 * y; } }",
        );
        for _ in 0..2 {
            assert_eq!(call(&app, "call", 3), -3);
            assert_eq!(call(&app, "call", -3), -300);
        }
        // The stubs keep it.
        home.remove().err();
        if !in_dylib_itself {
            assert_eq!(call(&app, "call", 4), -4);
            works.store(true, Ordering::Relaxed);
            assert_eq!(call(&app, "call", 5), 5);
        }
    }
}

#[test]
fn a_handler_that_cannot_be_linked_does_not_call_itself() {
    const CHILD: &str = "ORC_TEST_HANDLER_IS_MISSING";
    if std::env::var_os(CHILD).is_some() {
        let it = Fixture::new();
        let app = lazy(&it);
        it.define_unreliably(&app);
        let handler = app.symbol("f").unwrap();
        // SAFETY: it takes what `f` takes.
        unsafe { app.link_lazily_or_call(&handler) }.unwrap();
        it.add(&app, "caller.c", super::CALLER);
        call(&app, "call", 1);
        unreachable!("the call ends the process");
    }
    let name = "dylibs::a_handler_that_cannot_be_linked_does_not_call_itself";
    let mut again = super::again::this_program();
    let output = again.args(["--exact", name]).env(CHILD, "1").output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("not now"), "{said}");
}
