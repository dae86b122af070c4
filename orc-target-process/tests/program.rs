//! Entering programs: what the loader binds, in which order, and what happens when it fails.

mod support;

use std::ffi::{c_char, c_int};
use std::sync::Mutex;

use orc_shared::ExecutorAddr;
use orc_shared::api::{CopyRelocation, ImportKind, ImportValue, NativeKind, ProgramImage};
use orc_target_process::host::loader;
use orc_target_process::host::program;
use support::entering::*;
use support::machine::{VERSIONED, Versioned, thread_pointer};
use support::*;

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
                VERSIONED.import(0),
                VERSIONED.import(1),
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
            assert_eq!(thread_pointer().wrapping_add(values[4].value), here);
        }
        for value in &values[7..10] {
            assert_eq!(*value, ImportValue::default());
        }
        assert_eq!(values[10].value, VERSIONED.address(0));
        assert_eq!(values[11].value, VERSIONED.address(1));
        assert_ne!(values[10].value, values[11].value);
        let of_threads = Versioned {
            name: c"pthread_create",
            versions: [c"GLIBC_2.34"; 2],
        };
        assert_eq!(values[12].value, of_threads.address(0));
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
                read_only: false,
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
    let tool = std::env::var("NM").unwrap_or_else(|_| "nm".to_owned());
    // An emulator may find the file elsewhere than the tool does, which is not emulated.
    let copy = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("library-with-symbols");
    std::fs::copy(library, &copy).expect("can be copied");
    let output = std::process::Command::new(tool)
        .args(["-D", "--defined-only"])
        .arg(copy)
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
        assert!(
            second
                .to_string()
                .starts_with("this process is another program already")
        );
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
            exports: vec![orc_shared::api::Export {
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
        let libc_path = loader::loaded_libraries()
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
            read_only: false,
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
        let bound = loader::bind_imports(&imports).expect("bound");
        let bound: Vec<u64> = bound.into_iter().map(|v| v.expect("found").value).collect();
        assert_eq!(bound, values, "absolute, without a load bias");
    });
}
