//! Entering programs: what the loader binds, in which order, and what happens when it fails.

mod support;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use orc_shared::ExecutorAddr;
use orc_target_process::api::{CopyRelocation, ImportKind, ImportValue, NativeKind, ProgramImage};
use orc_target_process::native;
use orc_target_process::program::{self, OpenProgram};
use support::*;

/// Enters a program and returns what its imports were bound to.
fn enter(image: &ProgramImage) -> (OpenProgram, Vec<ImportValue>) {
    let mut values = Vec::new();
    let open = program::open(image, &mut |bound| {
        values = bound.to_vec();
        Ok(())
    });
    (open.unwrap_or_else(|error| panic!("{error}")), values)
}

fn enter_error(image: &ProgramImage) -> String {
    match program::open(image, &mut |_| panic!("must not get here")) {
        Ok(_) => panic!("must fail"),
        Err(error) => error.to_string(),
    }
}

fn call(addr: u64) -> c_int {
    // SAFETY: tests pass addresses of C functions without parameters.
    unsafe { std::mem::transmute::<u64, extern "C" fn() -> c_int>(addr)() }
}

fn is_loaded(library: &std::path::Path) -> bool {
    let path = path(library);
    native::loaded_libraries().iter().any(|l| l.path == path)
}

#[test]
fn imports_of_every_kind() {
    in_child("imports_of_every_kind", || {
        let lib = library(
            "imports_of_every_kind",
            "a.c",
            "int data = 5; int function(void) { return 7; } \
             __thread int dynamic = 11; \
             __attribute__((tls_model(\"initial-exec\"))) __thread int exec = 13; \
             int *dynamic_here(void) { return &dynamic; } \
             int *exec_here(void) { return &exec; } \
             static int nine(void) { return 9; } \
             static int (*choose(void))(void) { return nine; } \
             int chosen(void) __attribute__((ifunc(\"choose\")));",
            &[],
        );
        let image = ProgramImage {
            imports: vec![
                import("data", ImportKind::Address),
                import("function", ImportKind::Address),
                import("chosen", ImportKind::Address),
                import("dynamic", ImportKind::TlsModuleAndOffset),
                import("exec", ImportKind::TpOffset),
                import("dynamic_here", ImportKind::Address),
                import("exec_here", ImportKind::Address),
                weak(import("nowhere", ImportKind::Address)),
                weak(import("nowhere_local", ImportKind::TlsModuleAndOffset)),
                weak(import("nowhere_exec", ImportKind::TpOffset)),
                versioned("memcpy", "GLIBC_2.2.5", "libc.so.6"),
                versioned("memcpy", "GLIBC_2.14", "libc.so.6"),
                versioned("pthread_create", "GLIBC_2.34", "libc.so.6"),
                weak(versioned("gone", "NO_SUCH_VERSION", "libc.so.6")),
            ],
            ..image(&lib)
        };
        let (_open, values) = enter(&image);
        // SAFETY: the address of an `int`.
        assert_eq!(unsafe { *(values[0].value as *const c_int) }, 5);
        assert_eq!(call(values[1].value), 7);
        assert_eq!(call(values[2].value), 9);
        unsafe extern "C" {
            fn __tls_get_addr(index: *const [u64; 2]) -> *mut c_int;
        }
        let index = [values[3].value, values[3].tls_offset];
        // SAFETY: the loader's own module and offset; functions of the library.
        unsafe {
            let here = std::mem::transmute::<u64, extern "C" fn() -> *mut c_int>(values[5].value)();
            assert_eq!(__tls_get_addr(&index), here);
            assert_eq!(*here, 11);
            let here = std::mem::transmute::<u64, extern "C" fn() -> u64>(values[6].value)();
            let thread_pointer: u64;
            std::arch::asm!("mov {}, fs:0", out(reg) thread_pointer);
            assert_eq!(thread_pointer.wrapping_add(values[4].value), here);
        }
        for value in &values[7..10] {
            assert_eq!(*value, ImportValue::default());
        }
        let symbol = |name: &CStr, version: &CStr| {
            // SAFETY: C strings.
            let found =
                unsafe { libc::dlvsym(libc::RTLD_DEFAULT, name.as_ptr(), version.as_ptr()) };
            found as u64
        };
        assert_eq!(values[10].value, symbol(c"memcpy", c"GLIBC_2.2.5"));
        assert_eq!(values[11].value, symbol(c"memcpy", c"GLIBC_2.14"));
        assert_ne!(values[10].value, values[11].value);
        assert_eq!(values[12].value, symbol(c"pthread_create", c"GLIBC_2.34"));
        assert_eq!(values[13].value, 0);
    });
}

static EVENTS: Mutex<Vec<&str>> = Mutex::new(Vec::new());

fn event(name: &'static str) {
    EVENTS.lock().expect("not poisoned").push(name);
}

fn take_events() -> Vec<&'static str> {
    std::mem::take(&mut *EVENTS.lock().expect("not poisoned"))
}

extern "C" fn from_constructor() -> c_int {
    event("constructor");
    21
}

extern "C" fn forty_two() -> c_int {
    42
}

#[test]
fn constructors_run_after_the_hook_and_call_the_program() {
    in_child(
        "constructors_run_after_the_hook_and_call_the_program",
        || {
            let lib = library(
                "constructors",
                "a.c",
                "int from_program(void); int seen; \
             __attribute__((constructor)) static void start(void) { seen = from_program(); } \
             int call_program(void) { return from_program() + 1; }",
                &[],
            );
            let image = ProgramImage {
                exports: vec![function("from_program", from_constructor as *const ())],
                imports: vec![
                    import("seen", ImportKind::Address),
                    import("call_program", ImportKind::Address),
                ],
                ..image(&lib)
            };
            let mut call_program = 0;
            let open = program::open(&image, &mut |values| {
                event("relocated");
                // SAFETY: the address of an `int`.
                assert_eq!(unsafe { *(values[0].value as *const c_int) }, 0);
                call_program = values[1].value;
                Ok(())
            });
            let open = open.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(take_events(), ["relocated", "constructor"]);
            assert_eq!(call(call_program), 22);
            assert!(open.close());
            assert!(!is_loaded(&lib));
        },
    );
}

#[test]
fn program_interposes_what_a_library_defines_itself() {
    in_child("program_interposes_what_a_library_defines_itself", || {
        let lib = library(
            "interpose",
            "a.c",
            "int which(void) { return 1; } int variable = 2; \
             int ask(void) { return which(); } int look(void) { return variable; } \
             int (*pointer)(void) = which; int ask_pointer(void) { return pointer(); }",
            &[],
        );
        static VARIABLE: c_int = 77;
        let image = ProgramImage {
            exports: vec![
                function("which", forty_two as *const ()),
                export(
                    "variable",
                    (&raw const VARIABLE).cast(),
                    4,
                    NativeKind::Data,
                ),
            ],
            imports: ["ask", "look", "ask_pointer"]
                .map(|name| import(name, ImportKind::Address))
                .into(),
            ..image(&lib)
        };
        let (_open, values) = enter(&image);
        assert_eq!(
            values.iter().map(|v| call(v.value)).collect::<Vec<_>>(),
            [42, 77, 42]
        );
    });
}

static NEWS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn operator_new(size: usize) -> *mut c_void {
    NEWS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: plain allocation.
    unsafe { libc::malloc(size) }
}

extern "C" fn operator_delete(block: *mut c_void) {
    // SAFETY: allocated by `operator_new`.
    unsafe { libc::free(block) }
}

#[test]
fn libstdcxx_uses_the_programs_operator_new() {
    in_child("libstdcxx_uses_the_programs_operator_new", || {
        let lib = library(
            "operator_new",
            "a.cpp",
            "#include <sstream>\n\
             extern \"C\" int work() { std::ostringstream s; \
             for (int i = 0; i < 100; ++i) s << i << ' '; return s.str().size(); }",
            &[],
        );
        let image = ProgramImage {
            exports: vec![
                function("_Znwm", operator_new as *const ()),
                function("_ZdlPv", operator_delete as *const ()),
            ],
            imports: vec![
                import("work", ImportKind::Address),
                versioned("_ZSt4cout", "GLIBCXX_3.4", "libstdc++.so.6"),
            ],
            ..image(&lib)
        };
        let (_open, values) = enter(&image);
        NEWS.store(0, Ordering::Relaxed);
        assert_eq!(call(values[0].value), 290);
        assert!(NEWS.load(Ordering::Relaxed) > 0);
        assert_ne!(values[1].value, 0);
    });
}

#[test]
fn copies_are_made_before_constructors_and_used_by_the_library() {
    in_child(
        "copies_are_made_before_constructors_and_used_by_the_library",
        || {
            let lib = library(
                "copies",
                "a.c",
                "static int target = 31; \
             struct { int *pointer; int count; } object = { &target, 3 }; \
             int *const read_only = &target; \
             extern int alias __attribute__((alias(\"aliased\"))); int aliased = 4; \
             __attribute__((constructor)) static void start(void) { object.count = 99; } \
             int follow(void) { return *object.pointer; } \
             int get(void) { return object.count + alias; }",
                &[],
            );
            // The library is read before it is loaded, as a linker reads it.
            let symbols = symbol_values(&lib);
            let object = Box::leak(Box::new([0u64; 2]));
            let read_only = Box::leak(Box::new(0u64));
            let aliased = Box::leak(Box::new([0u32; 2]));
            let place = |name: &str, to: *mut (), size| CopyRelocation {
                name: name.into(),
                library: path(&lib),
                file_addr: symbols(name),
                to: ExecutorAddr::new(to as u64),
                size,
            };
            let object_at: *mut [u64; 2] = object;
            let read_only_at: *mut u64 = read_only;
            let aliased_at: *mut [u32; 2] = aliased;
            let data = |name, at, size| export(name, at, size, NativeKind::Data);
            let image = ProgramImage {
                exports: vec![
                    data("object", object_at.cast(), 16),
                    data("read_only", read_only_at.cast(), 8),
                    // `alias` is left out: the slot is found by address.
                    data("aliased", aliased_at.cast(), 4),
                ],
                copies: vec![
                    place("object", object_at.cast(), 16),
                    place("read_only", read_only_at.cast(), 8),
                    place("aliased", aliased_at.cast(), 4),
                ],
                imports: ["follow", "get"]
                    .map(|name| import(name, ImportKind::Address))
                    .into(),
                ..image(&lib)
            };
            let mut values = Vec::new();
            let open = program::open(&image, &mut |bound| {
                values = bound.to_vec();
                // SAFETY: the program's copies.
                unsafe {
                    assert_eq!((*object_at)[1], 3, "before the constructor");
                    assert_eq!(*((*object_at)[0] as *const c_int), 31, "relocated");
                    assert_eq!((*object_at)[0], *read_only_at);
                    assert_eq!((*aliased_at)[0], 4);
                }
                Ok(())
            });
            let _open = open.unwrap_or_else(|error| panic!("{error}"));
            // SAFETY: as above.
            unsafe {
                assert_eq!((*object_at)[1], 99, "the constructor wrote to the copy");
                (*aliased_at)[0] = 1000;
            }
            assert_eq!(call(values[0].value), 31);
            assert_eq!(call(values[1].value), 1099);
        },
    );
}

/// Values of a library's dynamic symbols, as `nm` prints them.
fn symbol_values(library: &std::path::Path) -> impl Fn(&str) -> u64 + use<> {
    let output = std::process::Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(library)
        .output()
        .expect("nm comes with the compiler");
    let text = String::from_utf8(output.stdout).expect("text");
    move |name| {
        let line = text
            .lines()
            .find(|line| {
                line.rsplit(' ')
                    .next()
                    .is_some_and(|n| n.split('@').next() == Some(name))
            })
            .unwrap_or_else(|| panic!("no symbol {name}"));
        u64::from_str_radix(&line[..16], 16).expect("a value")
    }
}

#[test]
fn failed_hook_leaves_no_trace() {
    in_child("failed_hook_leaves_no_trace", || {
        let lib = library(
            "failed_hook",
            "a.c",
            "int from_program(void); \
             __attribute__((constructor)) static void start(void) { from_program(); }",
            &[],
        );
        let image = ProgramImage {
            exports: vec![function("from_program", from_constructor as *const ())],
            ..image(&lib)
        };
        for _ in 0..3 {
            let error = program::open(&image, &mut |_| Err("out of range in a.o".into()));
            assert_eq!(error.expect_err("fails").to_string(), "out of range in a.o");
            assert_eq!(take_events(), [""; 0], "no constructor ran");
            assert!(!is_loaded(&lib));
        }
        let panicked = program::open(&image, &mut |_| panic!("on purpose"));
        let message = panicked.expect_err("fails").to_string();
        assert_eq!(message, "internal error: completing the program panicked");
        let (open, _) = enter(&image);
        assert_eq!(take_events(), ["constructor"]);
        let second = program::open(&image, &mut |_| Ok(())).expect_err("fails");
        assert!(second.to_string().starts_with("another program is running"));
        assert!(open.close());
        enter(&image);
    });
}

#[test]
fn loader_errors_are_passed_on() {
    in_child("loader_errors_are_passed_on", || {
        let lib = library("loader_errors", "a.c", "int present;", &[]);
        let missing_library = ProgramImage {
            needed: vec!["libnot_there.so.3".into()],
            ..ProgramImage::default()
        };
        assert_eq!(
            enter_error(&missing_library),
            "libnot_there.so.3: cannot open shared object file: No such file or directory"
        );
        let missing_symbol = ProgramImage {
            imports: vec![import("absent", ImportKind::Address)],
            ..image(&lib)
        };
        assert_eq!(enter_error(&missing_symbol), "undefined symbol: absent");
        let missing_version = ProgramImage {
            imports: vec![versioned("memcpy", "GLIBC_9.9", "libc.so.6")],
            ..image(&lib)
        };
        let message = enter_error(&missing_version);
        assert!(
            message.contains("version `GLIBC_9.9' not found"),
            "{message}"
        );
        let missing_version_library = ProgramImage {
            imports: vec![versioned("f", "V1", "libnot_there.so.4")],
            ..image(&lib)
        };
        let message = enter_error(&missing_version_library);
        assert!(
            message.starts_with("libnot_there.so.4: cannot open"),
            "{message}"
        );
        assert!(!is_loaded(&lib));
    });
}

#[test]
fn search_path_and_library_versions() {
    in_child("search_path_and_library_versions", || {
        let script = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("versions.map");
        std::fs::write(&script, "V1 { global: old; }; V2 { global: both; } V1;").expect("writable");
        let option = format!("-Wl,--version-script={}", script.display());
        let lib = library(
            "search_path",
            "versioned.c",
            "int callback(void); \
             __asm__(\".symver one, both@V1\"); __asm__(\".symver two, both@@V2\"); \
             int one(void) { return 1; } int two(void) { return 2; } \
             int old(void) { return callback(); }",
            &[&option, "-Wl,-soname,libversioned.so"],
        );
        let directory = path(lib.parent().expect("has one"));
        let image = ProgramImage {
            needed: vec!["libversioned.so".into()],
            search_path: vec!["/nonexistent".into(), directory],
            imports: vec![
                versioned("both", "V1", "libversioned.so"),
                versioned("both", "V2", "libversioned.so"),
                import("old", ImportKind::Address),
            ],
            exports: vec![orc_target_process::api::Export {
                version: Some(b"PROGRAM_1".to_vec()),
                ..function("callback", forty_two as *const ())
            }],
            ..ProgramImage::default()
        };
        let (_open, values) = enter(&image);
        assert_eq!(
            values.iter().map(|v| call(v.value)).collect::<Vec<_>>(),
            [1, 2, 42]
        );
    });
}

static REAL: AtomicU64 = AtomicU64::new(0);

extern "C" fn stub_of_function() -> c_int {
    call(REAL.load(Ordering::Relaxed)) + 100
}

#[test]
fn a_name_both_exported_and_imported_means_the_librarys() {
    in_child(
        "a_name_both_exported_and_imported_means_the_librarys",
        || {
            let lib = library(
                "both",
                "a.c",
                "int function(void) { return 5; } int ask(void) { return function(); }",
                &[],
            );
            let image = ProgramImage {
                exports: vec![
                    function("function", stub_of_function as *const ()),
                    redirected(function("memcpy", forty_two as *const ())),
                ],
                imports: vec![
                    import("function", ImportKind::Address),
                    import("ask", ImportKind::Address),
                    versioned("memcpy", "GLIBC_2.2.5", "libc.so.6"),
                ],
                ..image(&lib)
            };
            let (open, values) = enter(&image);
            REAL.store(values[0].value, Ordering::Relaxed);
            assert_eq!(call(values[0].value), 5);
            assert_eq!(call(values[1].value), 105);
            // SAFETY: C strings.
            let memcpy = unsafe {
                libc::dlvsym(
                    libc::RTLD_DEFAULT,
                    c"memcpy".as_ptr(),
                    c"GLIBC_2.2.5".as_ptr(),
                )
            };
            assert_eq!(values[2].value, memcpy as u64);
            open.close();
            let only_ours = ProgramImage {
                exports: vec![function("only_ours", forty_two as *const ())],
                imports: vec![import("only_ours", ImportKind::Address)],
                ..ProgramImage::default()
            };
            assert!(enter_error(&only_ours).starts_with("undefined symbol: only_ours"));
        },
    );
}

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
    static mut stdout: *mut libc::FILE;
}

/// What the host reads now. (A function that runs while its slot is changed may hold the old
/// address in a register.)
#[inline(never)]
fn host_variables() -> (u64, u64) {
    // SAFETY: reading libc's variables; nobody writes them meanwhile.
    unsafe { (environ as u64, stdout as u64) }
}

#[test]
fn variables_of_libc_move_into_the_program() {
    in_child("variables_of_libc_move_into_the_program", || {
        let lib = library(
            "libc_variables",
            "a.c",
            "#include <stdio.h>\n\
             extern char **environ; char **get_environ(void) { return environ; } \
             FILE *get_stdout(void) { return stdout; }",
            &[],
        );
        let libc_path = native::loaded_libraries()
            .into_iter()
            .find(|l| l.path.contains("/libc.so"))
            .expect("linked to libc");
        let symbols = symbol_values(std::path::Path::new(&libc_path.path));
        let moved: &'static mut [u64; 2] = Box::leak(Box::new([0; 2]));
        let moved: *mut u64 = moved.as_mut_ptr();
        let (environ_at, stdout_at) = (moved, moved.wrapping_add(1));
        let copy = |name: &str, to: *mut u64| CopyRelocation {
            name: name.into(),
            library: libc_path.path.clone(),
            file_addr: symbols(name),
            to: ExecutorAddr::new(to as u64),
            size: 8,
        };
        let data = |name, at: *mut u64| redirected(export(name, at.cast(), 8, NativeKind::Data));
        let image = ProgramImage {
            exports: vec![data("environ", environ_at), data("stdout", stdout_at)],
            copies: vec![copy("environ", environ_at), copy("stdout", stdout_at)],
            imports: ["get_environ", "get_stdout"]
                .map(|name| import(name, ImportKind::Address))
                .into(),
            ..image(&lib)
        };
        let before = host_variables();
        let (open, values) = enter(&image);
        // SAFETY: the program's copies; libc's functions on this process's only thread that uses
        // the environment.
        unsafe {
            assert_eq!((*environ_at, *stdout_at), before);
            let set = libc::setenv(c"ORC_NEW_VARIABLE".as_ptr(), c"1".as_ptr(), 1);
            assert_eq!(set, 0);
            assert_ne!(
                *environ_at, before.0,
                "setenv changed the program's variable"
            );
            assert_eq!(host_variables().0, *environ_at, "and the host sees it");
            let get: extern "C" fn() -> u64 = std::mem::transmute(values[0].value);
            assert_eq!(get(), *environ_at, "and libraries");
        }
        assert_eq!(std::env::var("ORC_NEW_VARIABLE").as_deref(), Ok("1"));
        open.close();
    });
}

/// A program's allocator: takes blocks from an array, and knows its own.
mod own_allocator {
    use super::*;

    const SIZE: usize = 32 << 20;
    #[repr(align(4096))]
    struct Arena(std::cell::UnsafeCell<[u8; SIZE]>);
    // SAFETY: blocks are handed out once each.
    unsafe impl Sync for Arena {}
    static ARENA: Arena = Arena(std::cell::UnsafeCell::new([0; SIZE]));
    static USED: AtomicUsize = AtomicUsize::new(0);
    pub static FREED: AtomicUsize = AtomicUsize::new(0);

    pub fn owns(block: *const c_void) -> bool {
        let start = ARENA.0.get() as usize;
        (start..start + SIZE).contains(&(block as usize))
    }

    pub extern "C" fn malloc(size: usize) -> *mut c_void {
        let size = size.next_multiple_of(16) + 16;
        let at = USED.fetch_add(size, Ordering::Relaxed);
        assert!(at + size <= SIZE);
        let block = ARENA.0.get().cast::<u8>().wrapping_add(at);
        // SAFETY: this part of the array is handed out here only.
        unsafe { block.cast::<usize>().write(size - 16) };
        block.wrapping_add(16).cast()
    }

    pub extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
        malloc(count * size)
    }

    pub extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
        let new = malloc(size);
        if !block.is_null() {
            assert!(owns(block), "realloc of a block of somebody else");
            // SAFETY: our own block, with its size before it.
            unsafe {
                let old = block.cast::<usize>().wrapping_sub(2).read();
                std::ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast(), old.min(size));
            }
        }
        new
    }

    pub extern "C" fn free(block: *mut c_void) {
        if !block.is_null() && !owns(block) {
            // Not a panic: that would allocate.
            std::process::abort();
        }
        FREED.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn libraries_use_the_programs_malloc_and_blocks_find_their_way_home() {
    in_child(
        "libraries_use_the_programs_malloc_and_blocks_find_their_way_home",
        || {
            let lib = library(
                "malloc",
                "a.c",
                "#include <stdlib.h>\n#include <string.h>\n#include <stdio.h>\n\
             char *duplicate(void) { return strdup(\"text\"); } \
             void *allocate(void) { return malloc(10); }",
                &[],
            );
            let own = |name, addr: *const ()| redirected(function(name, addr));
            let image = ProgramImage {
                exports: vec![
                    own("malloc", own_allocator::malloc as *const ()),
                    own("calloc", own_allocator::calloc as *const ()),
                    own("realloc", own_allocator::realloc as *const ()),
                    own("free", own_allocator::free as *const ()),
                ],
                imports: ["duplicate", "allocate"]
                    .map(|name| import(name, ImportKind::Address))
                    .into(),
                ..image(&lib)
            };
            // SAFETY: plain C calls.
            unsafe {
                let before = libc::fopen(c"/dev/null".as_ptr(), c"w".as_ptr());
                libc::fputs(c"a buffer is allocated".as_ptr(), before);
                let mut line = libc::malloc(16).cast::<c_char>();
                let mut size = 16;
                let (open, values) = enter(&image);
                for value in values {
                    let get: extern "C" fn() -> *mut c_void = std::mem::transmute(value.value);
                    assert!(
                        own_allocator::owns(get()),
                        "libc and libraries allocate there"
                    );
                }
                assert!(!own_allocator::owns(libc::malloc(10)), "the host does not");
                libc::fclose(before);
                let freed = own_allocator::FREED.load(Ordering::Relaxed);
                let real = libc::realpath(c"/proc/self".as_ptr(), std::ptr::null_mut());
                assert!(own_allocator::owns(real.cast()));
                libc::free(real.cast());
                assert!(
                    own_allocator::FREED.load(Ordering::Relaxed) > freed,
                    "by the guard"
                );
                // A block of the host grows in libc.
                let file = libc::fopen(c"/proc/self/maps".as_ptr(), c"r".as_ptr());
                while libc::getline(&raw mut line, &raw mut size, file) > 0 {}
                libc::free(line.cast());
                libc::fclose(file);
                let many: Vec<_> = (0..100).map(|n| vec![n as u8; n * 5000]).collect();
                let sum: usize = std::thread::spawn(move || many.iter().map(Vec::len).sum())
                    .join()
                    .expect("does not panic");
                assert_eq!(sum, 5000 * 4950);
                assert!(std::fs::canonicalize("/proc/self/exe").is_ok());
                open.close();
                assert!(!own_allocator::owns(libc::strdup(c"after".as_ptr()).cast()));
            }
        },
    );
}

#[test]
fn libraries_loaded_before_and_later_are_redirected() {
    in_child("libraries_loaded_before_and_later_are_redirected", || {
        let source = "int rand(void); int ask(void) { return rand(); }";
        let before = library("redirect", "before.c", source, &[]);
        let lazy = library("redirect", "lazy.c", source, &["-Wl,-z,lazy"]);
        let later = library("redirect", "later.c", source, &[]);
        let needed = library("redirect", "needed.c", source, &[]);
        let open_now = |path: &std::path::Path, mode| {
            let path = std::ffi::CString::new(support::path(path)).expect("plain");
            // SAFETY: a library that only calls `rand`.
            let handle = unsafe { libc::dlopen(path.as_ptr(), mode) };
            assert!(!handle.is_null());
            // SAFETY: an open handle.
            unsafe { libc::dlsym(handle, c"ask".as_ptr()) as u64 }
        };
        let before = open_now(&before, libc::RTLD_NOW);
        let lazy = open_now(&lazy, libc::RTLD_LAZY);
        let image = ProgramImage {
            exports: vec![redirected(function("rand", forty_two as *const ()))],
            imports: vec![import("ask", ImportKind::Address)],
            ..image(&needed)
        };
        let (mut open, values) = enter(&image);
        assert_eq!(call(values[0].value), 42);
        assert_eq!(call(before), 42);
        assert_eq!(call(lazy), 42);
        let later = open_now(&later, libc::RTLD_NOW);
        assert_ne!(call(later), 42);
        open.redirect_new_libraries(&image)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(call(later), 42);
        // SAFETY: libc's function.
        assert_ne!(unsafe { libc::rand() }, 42, "the host keeps libc's");
        open.close();
        assert_ne!(call(before), 42);
        assert_ne!(call(later), 42);
    });
}

#[test]
fn thousands_of_names_are_found() {
    in_child("thousands_of_names_are_found", || {
        let names: Vec<String> = (0..3000).map(|n| format!("symbol_{n}")).collect();
        let values: Vec<u64> = (0..3000).map(|n| 0x1000 + n).collect();
        let exports = names.iter().zip(&values);
        let image = ProgramImage {
            exports: exports
                .map(|(name, value)| export(name, *value as *const (), 8, NativeKind::Data))
                .collect(),
            ..ProgramImage::default()
        };
        let (_open, _) = enter(&image);
        let imports: Vec<_> = names
            .iter()
            .map(|n| import(n, ImportKind::Address))
            .collect();
        let bound = native::bind_imports(&imports).expect("bound");
        let bound: Vec<u64> = bound.into_iter().map(|v| v.expect("found").value).collect();
        assert_eq!(bound, values, "absolute, without a load bias");
    });
}

#[test]
fn libraries_that_the_program_opens_are_redirected_before_their_constructors() {
    let test = "libraries_that_the_program_opens_are_redirected_before_their_constructors";
    in_child(test, || {
        let plugin = library(
            "opened_later",
            "plugin.c",
            "int rand(void); static int at_start; \
             __attribute__((constructor)) static void start(void) { at_start = rand(); } \
             int ask(void) { return at_start + rand(); }",
            &[],
        );
        let directory = path(plugin.parent().expect("has one"));
        let host = library(
            "opened_later",
            "host.c",
            "#include <dlfcn.h>\n\
             void *open_plugin(const char *name) { return dlopen(name, RTLD_NOW); }",
            &["-Wl,-rpath,$ORIGIN", "-Wl,--enable-new-dtags"],
        );
        let image = ProgramImage {
            exports: vec![redirected(function("rand", forty_two as *const ()))],
            imports: vec![
                import("dlopen", ImportKind::Address),
                import("open_plugin", ImportKind::Address),
            ],
            search_path: vec![directory],
            ..image(&host)
        };
        let (open, values) = enter(&image);
        type DlOpen = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;
        // SAFETY: functions of these types; libraries whose constructors call `rand`.
        unsafe {
            let dlopen: DlOpen = std::mem::transmute(values[0].value);
            let open_plugin: extern "C" fn(*const c_char) -> *mut c_void =
                std::mem::transmute(values[1].value);
            let full = std::ffi::CString::new(path(&plugin)).expect("plain");
            let by_path = || dlopen(full.as_ptr(), libc::RTLD_NOW);
            let by_program = || dlopen(c"libplugin.so".as_ptr(), libc::RTLD_LAZY);
            let by_library = || open_plugin(c"libplugin.so".as_ptr());
            let ways: [&dyn Fn() -> *mut c_void; 3] = [&by_path, &by_program, &by_library];
            for (way, open) in ways.iter().enumerate() {
                let handle = open();
                assert!(
                    !handle.is_null(),
                    "{way}: {:?}",
                    CStr::from_ptr(libc::dlerror())
                );
                assert_eq!(open(), handle, "opened twice");
                let ask = libc::dlsym(handle, c"ask".as_ptr());
                assert_eq!(call(ask as u64), 84, "{way}");
                assert!(
                    libc::dlsym(libc::RTLD_DEFAULT, c"ask".as_ptr()).is_null(),
                    "local"
                );
                libc::dlclose(handle);
                assert!(is_loaded_anyhow(&plugin));
                libc::dlclose(handle);
                assert!(
                    !is_loaded_anyhow(&plugin),
                    "{way}: closed as often as opened"
                );
            }
            libc::dlerror();
            assert!(dlopen(c"/no/such.so".as_ptr(), libc::RTLD_NOW).is_null());
            let message = CStr::from_ptr(libc::dlerror()).to_str().expect("text");
            assert!(message.starts_with("/no/such.so: cannot open"), "{message}");
            assert!(!dlopen(std::ptr::null(), libc::RTLD_NOW).is_null());
            open.close();
        }
    });
}

fn is_loaded_anyhow(library: &std::path::Path) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("readable");
    maps.contains(library.to_str().expect("plain"))
}
