//! A program's definitions in the place of libraries' own: whose libraries use, and when.

mod support;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use orc_shared::api::{ImportKind, NativeKind, ProgramImage};
use support::entering::*;
use support::machine::VERSIONED;
use support::*;

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
                    redirected(function(VERSIONED.name(), forty_two as *const ())),
                ],
                imports: vec![
                    import("function", ImportKind::Address),
                    import("ask", ImportKind::Address),
                    VERSIONED.import(0),
                ],
                ..image(&lib)
            };
            let (open, values) = enter(&image);
            REAL.store(values[0].value, Ordering::Relaxed);
            assert_eq!(call(values[0].value), 5);
            assert_eq!(call(values[1].value), 105);
            assert_eq!(values[2].value, VERSIONED.address(0));
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
