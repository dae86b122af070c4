//! Opening libraries and binding names to what is loaded.

mod support;

use std::ffi::c_int;

use orc_shared::api::{ImportKind, ProgramIdentity};
use orc_target_process::host::loader;
use support::machine::{VERSIONED, thread_pointer};
use support::*;

#[test]
fn binds_addresses_and_thread_locals_and_reports_what_is_missing() {
    in_child(
        "binds_addresses_and_thread_locals_and_reports_what_is_missing",
        || {
            let lib = library(
                "bind",
                "a.c",
                "__thread int local = 3; int *here(void) { return &local; } \
                 __attribute__((tls_model(\"initial-exec\"))) __thread int exec = 4;",
                &[],
            );
            loader::open_library(&path(&lib)).expect("opens");
            let values = loader::bind_imports(&[
                import("here", ImportKind::Address),
                import("local", ImportKind::TlsModuleAndOffset),
                import("exec", ImportKind::TpOffset),
                import("absent", ImportKind::Address),
                import("absent", ImportKind::TlsModuleAndOffset),
                import("absent", ImportKind::TpOffset),
                VERSIONED.import(0),
                import(VERSIONED.name(), ImportKind::Address),
                versioned(VERSIONED.name(), "GLIBC_1.0", "libc.so.6"),
            ])
            .expect("the loader answers");
            unsafe extern "C" {
                fn __tls_get_addr(index: *const [u64; 2]) -> *mut c_int;
            }
            let local = values[1].expect("found");
            // SAFETY: the loader's own module and offset; a function of the library.
            unsafe {
                let here: extern "C" fn() -> *mut c_int =
                    std::mem::transmute(values[0].expect("found").value);
                assert_eq!(__tls_get_addr(&[local.value, local.tls_offset]), here());
                assert_eq!(*here(), 3);
                let exec = thread_pointer().wrapping_add(values[2].expect("found").value);
                assert_eq!(*(exec as *const c_int), 4);
            }
            assert_eq!(values[3..6], [None; 3]);
            assert_ne!(values[6], values[7], "without a version: the default one");
            assert_eq!(values[8], None);
        },
    );
}

#[test]
fn open_library_passes_the_loaders_message_on() {
    let error = loader::open_library("/no/such/library.so").expect_err("is not there");
    assert_eq!(
        error.to_string(),
        "/no/such/library.so: cannot open shared object file: No such file or directory"
    );
    let error = loader::open_library("a\0b").expect_err("no C string");
    assert!(error.to_string().contains("zero byte"));
}

#[test]
fn a_library_opened_by_a_relative_name_is_listed_by_its_path() {
    in_child(
        "a_library_opened_by_a_relative_name_is_listed_by_its_path",
        || {
            let lib = library("relative", "a.c", "int x;", &[]);
            std::env::set_current_dir(lib.parent().expect("has one")).expect("exists");
            loader::open_library("./liba.so").expect("opens");
            std::env::set_current_dir("/").expect("exists");
            let listed = loader::loaded_libraries();
            assert!(listed.iter().any(|l| l.path == path(&lib)), "{listed:?}");
        },
    );
}

#[test]
fn the_process_takes_the_programs_name() {
    in_child("the_process_takes_the_programs_name", || {
        let lib = library(
            "program_name",
            "a.c",
            "#define _GNU_SOURCE\n#include <errno.h>\n\
             const char *full(void) { return program_invocation_name; } \
             extern const char *__progname; const char *old(void) { return __progname; }",
            &[],
        );
        loader::open_library(&path(&lib)).expect("opens");
        orc_target_process::host::identity::set_program(&ProgramIdentity {
            args: vec![
                b"./bin/a-program-with-a-long-name".to_vec(),
                b"argument".to_vec(),
            ],
            path: Some(b"/bin/a-program".to_vec()),
            again: orc_shared::Words::default(),
        });
        let shown = std::fs::read("/proc/self/cmdline").expect("is shown");
        assert_eq!(shown, b"./bin/a-program-with-a-long-name\0argument\0");
        // SAFETY: the kernel's name of the file, a C string.
        let file = unsafe {
            let file = libc::getauxval(libc::AT_EXECFN) as *const std::ffi::c_char;
            std::ffi::CStr::from_ptr(file)
        };
        assert_eq!(file, c"/bin/a-program");
        let functions = ["full", "old"].map(|name| import(name, ImportKind::Address));
        let functions = loader::bind_imports(&functions).expect("the loader answers");
        let names = functions.into_iter().map(|function| {
            // SAFETY: the library's functions return C strings.
            unsafe {
                let function: extern "C" fn() -> *const std::ffi::c_char =
                    std::mem::transmute(function.expect("found").value);
                std::ffi::CStr::from_ptr(function()).to_str().expect("text")
            }
        });
        assert_eq!(
            names.collect::<Vec<_>>(),
            [
                "./bin/a-program-with-a-long-name",
                "a-program-with-a-long-name"
            ]
        );
        let comm = std::fs::read_to_string("/proc/self/comm").expect("readable");
        assert_eq!(comm, "a-program-with-\n");
        let first = std::env::args().next();
        assert_eq!(first.as_deref(), Some("./bin/a-program-with-a-long-name"));
    });
}

#[test]
fn libraries_of_others_are_not_listed() {
    in_child("libraries_of_others_are_not_listed", || {
        let test = "local_libraries";
        let dependency = library(test, "dependency.c", "int dependency_variable;", &[]);
        let source =
            "extern int dependency_variable; int *f(void) { return &dependency_variable; }";
        let user = library(
            test,
            "user.c",
            source,
            &[dependency.to_str().expect("plain")],
        );
        let open = |mode| {
            let name = std::ffi::CString::new(path(&user)).expect("plain");
            // SAFETY: a library without constructors.
            assert!(!unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | mode) }.is_null());
        };
        let listed = || {
            let paths = loader::loaded_libraries().into_iter().map(|l| l.path);
            paths.filter(|p| p.contains(test)).collect::<Vec<_>>()
        };
        open(libc::RTLD_LOCAL);
        assert_eq!(listed(), [""; 0]);
        open(libc::RTLD_GLOBAL);
        assert_eq!(listed(), [path(&user), path(&dependency)]);
    });
}
