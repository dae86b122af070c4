//! Many threads call many functions first, and some of these throw, jump out or call others that are lazy.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};

use jit_core::cpu::Architecture;
use jit_core::graph::LinkGraph;
use jit_core::name::NameId;
use jit_core::object::{Claims, Computation, ObjectError, ObjectInterface};
use orc_jit::{Dylib, ExecutorAddr, ObjectFile};

use super::Fixture;

/// The variable that says how often all of it is done; once if it is not set.
const ROUNDS: &str = "ORC_STRESS_ROUNDS";

const THREADS: usize = 64;
const FUNCTIONS: usize = 10_000;

/// What a function does, by its number modulo the number of kinds: each in the object of a template, whose
/// names and numbers are overwritten.
const KINDS: [&str; 4] = [
    "extern \"C\" int f00000(int x) { return x + N; }",
    "extern \"C\" int f00000(int x) { throw x + N; }",
    "extern \"C\" int g00000(int); extern \"C\" int f00000(int x) { return g00000(x) + N; }",
    "extern \"C\" void leave(int); extern \"C\" int f00000(int x) { leave(x + N); return 0; }",
];

/// A number that is data whatever the CPU.
const NUMBER: &str = "static const volatile int N = 0x11223344; ";

/// What a function gives when it is called by `call`.
fn expected(n: usize, x: i32) -> i32 {
    match n % KINDS.len() {
        // It calls the next one, which jumps out.
        2 => x + n as i32 + 1,
        _ => x + n as i32,
    }
}

/// Calls a function, whatever becomes of the call.
const CALLER: &str = "#include <setjmp.h>\n \
    static thread_local jmp_buf *back; static thread_local int left; \
    extern \"C\" void leave(int value) { left = value; longjmp(*back, 1); } \
    static int caught(int (*f)(int), int x) { try { return f(x); } catch (int value) { return value; } } \
    extern \"C\" int call(int (*f)(int), int x) { jmp_buf here; back = &here; \
      return setjmp(here) ? left : caught(f, x); }";

/// An object that counts how often it is linked.
struct Counted {
    object: Arc<dyn ObjectFile>,
    linked: Arc<Vec<AtomicU32>>,
    number: usize,
}

impl ObjectFile for Counted {
    fn name(&self) -> &str {
        self.object.name()
    }

    fn interface(&self) -> &ObjectInterface {
        self.object.interface()
    }

    fn architecture(&self) -> Option<Architecture> {
        self.object.architecture()
    }

    fn spelling(&self, name: NameId) -> Option<Vec<u8>> {
        self.object.spelling(name)
    }

    fn uses(&self, names: &[NameId]) -> Vec<bool> {
        self.object.uses(names)
    }

    fn build_graph(&self, claims: &Claims) -> Result<LinkGraph, ObjectError> {
        self.linked[self.number].fetch_add(1, Ordering::Relaxed);
        self.object.build_graph(claims)
    }

    fn can_wait(&self) -> bool {
        self.object.can_wait()
    }

    fn runs_early(&self) -> bool {
        self.object.runs_early()
    }

    fn placed(&self, addresses: &[ExecutorAddr]) {
        self.object.placed(addresses);
    }

    fn computation(&self) -> Option<&dyn Computation> {
        self.object.computation()
    }
}

/// Overwrites a part of an object wherever it is.
fn overwrite(object: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..=object.len() - from.len())
        .filter(|at| object[*at..].starts_with(from))
        .collect();
    assert!(!places.is_empty(), "the template has {from:x?}");
    for at in places {
        object[at..at + to.len()].copy_from_slice(to);
    }
}

/// Adds all functions to a dylib; returns how often each is linked.
fn add_functions(it: &Fixture, dylib: &Dylib) -> Arc<Vec<AtomicU32>> {
    let templates = KINDS.iter().enumerate();
    let templates: Vec<Vec<u8>> = templates
        .map(|(at, source)| it.compile(&format!("kind{at}.cpp"), &format!("{NUMBER}{source}")))
        .collect();
    let linked: Arc<Vec<AtomicU32>> = Arc::new((0..FUNCTIONS).map(|_| AtomicU32::new(0)).collect());
    let tracker = dylib.tracker().session_tracker();
    for n in 0..FUNCTIONS {
        let kind = n % KINDS.len();
        let mut bytes = templates[kind].clone();
        overwrite(&mut bytes, b"f00000", format!("f{n:05}").as_bytes());
        if kind == 2 {
            overwrite(&mut bytes, b"g00000", format!("f{:05}", n + 1).as_bytes());
        }
        overwrite(
            &mut bytes,
            &0x1122_3344_u32.to_le_bytes(),
            &(n as u32).to_le_bytes(),
        );
        let object = it.jit.objects().read(&format!("f{n}"), bytes).unwrap();
        let counted = Counted {
            object,
            linked: linked.clone(),
            number: n,
        };
        tracker.add_object(Arc::new(counted)).unwrap();
    }
    linked
}

/// Does something as often as is asked for.
fn rounds(once: impl Fn()) {
    let set = std::env::var(ROUNDS).ok();
    let count: u32 = set.and_then(|text| text.parse().ok()).unwrap_or(1);
    (0..count).for_each(|_| once());
}

/// Calls all functions from as many threads, each in its own order, wherever this runs: a wrapper function that takes
/// their addresses. The answer is how many calls gave something else than they should.
const THREADS_OF_LINKED_CODE: &str = "#include <pthread.h>\n#include <atomic>\n#include <stddef.h>\n \
    extern \"C\" int call(int (*f)(int), int x); \
    typedef int (*F)(int); struct Work { const F *all; size_t count; int thread; }; \
    static std::atomic<long> wrong, waiting; \
    static int expected(size_t n, int x) { return x + (int)n + (n % 4 == 2); } \
    static void *run(void *given) { \
      Work *work = (Work *)given; waiting--; while (waiting > 0) sched_yield(); \
      for (size_t step = 0; step < work->count; step++) { \
        size_t n = (step * (7919 + 10 * work->thread) + work->thread * 131) % work->count; \
        if (call(work->all[n], step % 100) != expected(n, step % 100)) wrong++; } \
      return 0; } \
    struct Result { long value; size_t size; }; \
    extern \"C\" Result call_all(const char *data, size_t size) { \
      static Work work[64]; pthread_t threads[64]; wrong = 0; waiting = 64; \
      for (int t = 0; t < 64; t++) { work[t] = Work{(const F *)data, size / 8, t}; \
        if (pthread_create(&threads[t], 0, run, &work[t])) return Result{-1, 8}; } \
      for (pthread_t thread : threads) pthread_join(thread, 0); \
      return Result{wrong, 8}; }";

#[test]
fn each_of_ten_thousand_functions_is_linked_once_for_threads_of_another_process() {
    rounds(|| {
        let it = Fixture::spawned();
        let app = it.jit.dylib("app").unwrap();
        app.link_lazily();
        app.add_library("stdc++").unwrap();
        it.add(&app, "caller.cpp", CALLER);
        it.add(&app, "threads.cpp", THREADS_OF_LINKED_CODE);
        let linked = add_functions(&it, &app);
        let names: Vec<String> = (0..FUNCTIONS).map(|n| format!("f{n:05}")).collect();
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        let functions = app.symbols(&borrowed).unwrap();
        let addresses = functions.iter().map(|it| it.addr().value().to_le_bytes());
        let addresses: Vec<u8> = addresses.flatten().collect();
        let call_all = app.symbol("call_all").unwrap();
        // SAFETY: the source above.
        let wrong = unsafe { it.jit.call_wrapper(&call_all, &addresses) }.unwrap();
        assert_eq!(wrong, [0; 8]);
        for (n, linked) in linked.iter().enumerate() {
            assert_eq!(linked.load(Ordering::Relaxed), 1, "f{n}");
        }
    });
}

#[test]
fn each_of_ten_thousand_functions_is_linked_once_for_sixty_four_threads() {
    rounds(in_this_process);
}

fn in_this_process() {
    let it = Fixture::new();
    let app = it.jit.dylib("app").unwrap();
    app.link_lazily();
    app.add_library("stdc++").unwrap();
    it.add(&app, "caller.cpp", CALLER);
    let linked = add_functions(&it, &app);
    let names: Vec<String> = (0..FUNCTIONS).map(|n| format!("f{n:05}")).collect();
    let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
    let functions = app.symbols(&borrowed).unwrap();
    assert!(
        linked
            .iter()
            .all(|linked| linked.load(Ordering::Relaxed) == 0)
    );
    type Call = extern "C" fn(u64, i32) -> i32;
    // SAFETY: the source above.
    let call = unsafe { app.function::<Call>("call") }.unwrap();
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (functions, call, start) = (&functions, &call, &start);
            scope.spawn(move || {
                start.wait();
                for step in 0..FUNCTIONS {
                    // By a prime that no thread shares with the number of functions: all, in its own order.
                    let n = (step * (7919 + 10 * thread) + thread * 131) % FUNCTIONS;
                    let x = (step % 100) as i32;
                    assert_eq!(
                        call.call(functions[n].addr().value(), x),
                        expected(n, x),
                        "f{n}"
                    );
                }
            });
        }
    });
    for (n, linked) in linked.iter().enumerate() {
        assert_eq!(linked.load(Ordering::Relaxed), 1, "f{n}");
    }
}
