//! Exceptions and backtraces through stubs, trampolines and the runtime's part in a first call.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orc_jit::{ExecutorAddr, Materializer, ObjectReader, Responsibility};

use super::{Call, Fixture, add_lazy, call};

#[test]
fn a_handler_of_failed_calls_throws_to_the_caller_of_the_lazy_function() {
    let it = Fixture::new();
    let (app, bodies) = it.dylibs();
    app.add_library("stdc++").unwrap();
    it.add(
        &app,
        "handler.cpp",
        "#include <stdexcept>\n extern \"C\" int failed(int) { throw std::runtime_error(\"not linked\"); }",
    );
    let handler = app.symbol("failed").unwrap();
    // SAFETY: it takes what `f` takes.
    unsafe { app.add_lazy_functions(&bodies, &["f"], Some(&handler)) }.unwrap();
    it.add(
        &app,
        "caller.cpp",
        "#include <stdexcept>\n#include <cstring>\n extern \"C\" int f(int); \
         struct Guard { int &left; ~Guard() { left++; } }; \
         extern \"C\" int call(int x) { int left = 0; try { Guard guard{left}; return f(x); } \
           catch (const std::runtime_error &e) { return left == 1 && !strcmp(e.what(), \"not linked\") ? x : -1; } }",
    );
    assert_eq!(call(&app, "call", 7), 7);
    assert_eq!(call(&app, "call", 8), 8);
    it.add(&bodies, "f.c", "int f(int x) { return 2 * x; }");
    assert_eq!(call(&app, "call", 9), 18);
}

unsafe extern "C" {
    fn backtrace(buffer: *mut *mut c_void, size: i32) -> i32;
}

/// The return addresses on this thread's stack.
fn return_addresses() -> Vec<u64> {
    let mut addresses = [std::ptr::null_mut(); 512];
    // SAFETY: the buffer has that many words.
    let count = unsafe { backtrace(addresses.as_mut_ptr(), 512) };
    let known = addresses.iter().take(count as usize);
    known.map(|address| *address as u64).collect()
}

/// Compiles a function, and looks who calls it.
struct Watcher {
    objects: ObjectReader,
    object: Vec<u8>,
    /// Where the caller of the function is.
    caller: ExecutorAddr,
    is_seen: Arc<AtomicBool>,
}

impl Materializer for Watcher {
    fn name(&self) -> String {
        "watcher".to_owned()
    }

    fn materialize(&self, responsibility: Responsibility) {
        // It is short.
        let caller = self.caller.value()..self.caller.value() + 64;
        let is_seen = return_addresses().iter().any(|it| caller.contains(it));
        self.is_seen.store(is_seen, Ordering::Relaxed);
        let object = self.objects.read("f.o", self.object.clone());
        responsibility.link(object.unwrap());
    }
}

#[test]
fn a_backtrace_of_a_compiler_shows_who_called_the_function() {
    let it = Fixture::new();
    let (app, bodies) = it.dylibs();
    add_lazy(&app, &bodies, &["f"]);
    it.add(
        &app,
        "caller.c",
        "int f(int); int call(int x) { return f(x) + 1; }",
    );
    // SAFETY: the source above.
    let caller = unsafe { app.function::<Call>("call") }.unwrap();
    let is_seen = Arc::<AtomicBool>::default();
    let watcher = Watcher {
        objects: it.jit.objects(),
        object: it.compile("f.c", "int f(int x) { return x; }"),
        caller: app.symbol("call").unwrap().addr(),
        is_seen: is_seen.clone(),
    };
    bodies.define(Arc::new(watcher), &["f"]).unwrap();
    assert_eq!(caller.call(1), 2);
    assert!(is_seen.load(Ordering::Relaxed));
}

#[test]
fn a_backtrace_of_a_lazy_function_shows_who_called_it() {
    let it = Fixture::new();
    let app = it.jit.dylib("lazy").unwrap();
    app.link_lazily();
    it.add(
        &app,
        "call.c",
        "int f(int); int call(int x) { return f(x) + 1; }",
    );
    it.add(
        &app,
        "f.c",
        "int backtrace(void **, int); \
         int f(int x) { void *all[64]; return backtrace(all, 64) + x; }",
    );
    // In the first call and in later ones.
    let depths: Vec<i32> = (0..3).map(|_| call(&app, "call", 1)).collect();
    assert!(depths[0] > 3, "{depths:?}");
    assert_eq!(depths, [depths[0]; 3]);
}
