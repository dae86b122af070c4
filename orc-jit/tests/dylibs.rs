//! Dylibs that are emptied and closed, and what the library offers them as a linker would.

use std::process::Command;

use orc_jit::{Dylib, Error, Jit, Removal};

/// Compiles a source with `compiler`.
fn compile(compiler: &str, source: &str, flags: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (extension, object) = (if compiler == "c++" { "cpp" } else { "c" }, "unit.o");
    let path = directory.path().join("unit").with_extension(extension);
    std::fs::write(&path, source).expect("a writable directory");
    let mut command = Command::new(compiler);
    command.current_dir(directory.path());
    command.args(["-w", "-O1", "-c", "-o", object]).args(flags);
    assert!(command.arg(&path).status().expect("it runs").success());
    std::fs::read(directory.path().join(object)).expect("it was made")
}

fn c(source: &str) -> Vec<u8> {
    compile("cc", source, &[])
}

/// Calls `int name(void)`.
fn call(dylib: &Dylib, name: &str) -> Result<i32, Error> {
    // SAFETY: all functions of these tests that are called so have this type.
    Ok(unsafe { dylib.function::<extern "C" fn() -> i32>(name) }?.call())
}

/// A dylib with a variable that others count in.
fn log(jit: &Jit) -> Dylib {
    let log = jit.dylib("log").unwrap();
    let source = "int ended; int how_many(void) { return ended; }";
    log.add_object_bytes("log.o", c(source)).unwrap();
    log
}

#[test]
fn a_dylib_that_is_emptied_can_be_filled_again() {
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let kept = app.tracker();
    kept.add_object_bytes("kept.o", c("int kept(void) { return 7; }"))
        .unwrap();
    for round in 0..3 {
        let source = format!("#include <stdlib.h>\nint f(void) {{ return abs(-{round}); }}");
        app.add_object_bytes("f.o", c(&source)).unwrap();
        assert_eq!(call(&app, "f").unwrap(), round);
        assert_eq!(app.remove().unwrap(), Removal::Released);
        assert!(call(&app, "f").is_err());
    }
    assert_eq!(call(&app, "kept").unwrap(), 7);
    // The C library is no part of what was added.
    let source = "#include <stdlib.h>\nint g(void) { return atoi(\"12\"); }";
    app.add_object_bytes("g.o", c(source)).unwrap();
    assert_eq!(call(&app, "g").unwrap(), 12);
}

#[test]
fn a_closed_dylib_is_finalized_and_says_so() {
    let jit = Jit::new().unwrap();
    let log = log(&jit);
    let app = jit.dylib("app").unwrap();
    app.link_with(&log).unwrap();
    let source = "int atexit(void (*)(void)); extern int ended;
         static void last(void) { ended = ended * 10 + 1; }
         __attribute__((destructor)) static void d(void) { ended = ended * 10 + 2; }
         __attribute__((constructor)) static void c(void) { atexit(last); }
         int f(void) { return 5; }";
    app.add_object_bytes("a.o", c(source)).unwrap();
    assert_eq!(call(&app, "f").unwrap(), 5);
    assert_eq!(app.close().unwrap(), Removal::Released);
    let ended = call(&log, "how_many").unwrap();
    assert!(ended == 12 || ended == 21, "{ended}");
    assert_eq!(
        app.close().unwrap(),
        Removal::Released,
        "it is closed already"
    );
    for error in [
        app.add_object_bytes("b.o", c("int b;")).unwrap_err(),
        app.tracker()
            .add_object_bytes("b.o", c("int b;"))
            .unwrap_err(),
        app.symbol("f").unwrap_err(),
        app.add_library("m").unwrap_err(),
    ] {
        assert!(error.to_string().contains("removed"), "{error}");
    }
    let again = jit.dylib("app").unwrap();
    again
        .add_object_bytes("a.o", c("int f(void) { return 6; }"))
        .unwrap();
    assert_eq!(call(&again, "f").unwrap(), 6);
}

#[test]
fn what_others_use_of_a_closed_dylib_stays() {
    let jit = Jit::new().unwrap();
    let library = jit.dylib("library").unwrap();
    let source = "static int n = 40; int f(void) { return n; }";
    library.add_object_bytes("f.o", c(source)).unwrap();
    let app = jit.dylib("app").unwrap();
    app.link_with(&library).unwrap();
    let source = "int f(void); int g(void) { return f() + 2; }";
    app.add_object_bytes("g.o", c(source)).unwrap();
    assert_eq!(call(&app, "g").unwrap(), 42);
    let Removal::Deferred { used_by, .. } = library.close().unwrap() else {
        panic!("it is in use");
    };
    assert_eq!(used_by, ["g.o"]);
    assert_eq!(call(&app, "g").unwrap(), 42);
    assert_eq!(app.close().unwrap(), Removal::Released);
}

#[test]
fn a_module_with_a_destructor_of_a_thread_local_is_reloaded_without_end() {
    let jit = Jit::new().unwrap();
    let log = log(&jit);
    let app = jit.dylib("app").unwrap();
    app.link_with(&log).unwrap();
    let source = "extern \"C\" int ended;
         struct Counted { long filler[16]; int x = 1; ~Counted() { ended += x; } };
         thread_local Counted counted;
         extern \"C\" int f() { return counted.x; }";
    for flags in [&["-fPIC"][..], &[]] {
        let object = compile("c++", source, flags);
        for _ in 0..2500 {
            let before = call(&log, "how_many").unwrap();
            let module = app.tracker();
            module.add_object_bytes("module.o", object.clone()).unwrap();
            assert_eq!(call(&app, "f").unwrap(), 1);
            assert_eq!(module.remove().unwrap(), Removal::Released);
            assert_eq!(call(&log, "how_many").unwrap(), before + 1);
        }
    }
}

#[test]
fn destructors_of_a_thread_run_newest_first_however_many_modules_went_before() {
    let jit = Jit::new().unwrap();
    let log = log(&jit);
    let app = jit.dylib("app").unwrap();
    app.link_with(&log).unwrap();
    let unit = |number: usize| {
        let source = format!(
            "extern \"C\" int ended;
             struct Mine{number} {{ int x = 1; ~Mine{number}() {{ ended = ended * 10 + {number}; }} }};
             static thread_local Mine{number} mine;
             extern \"C\" int f{number}() {{ return mine.x; }}"
        );
        compile("c++", &source, &[])
    };
    let objects: Vec<Vec<u8>> = (1..=4).map(unit).collect();
    let (app, log) = (&app, &log);
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            // More than are filed for nothing.
            for _ in 0..100 {
                let module = app.tracker();
                module.add_object_bytes("1.o", objects[0].clone()).unwrap();
                call(app, "f1").unwrap();
                assert_eq!(module.remove().unwrap(), Removal::Released);
            }
            let reset = "extern int ended; int reset(void) { return ended = 0; }";
            app.add_object_bytes("reset.o", c(reset)).unwrap();
            call(app, "reset").unwrap();
            for (number, object) in (1..).zip(&objects) {
                app.add_object_bytes("unit.o", object.clone()).unwrap();
                call(app, &format!("f{number}")).unwrap();
            }
        });
        // Waits for the destructors, too.
        thread.join().unwrap();
    });
    assert_eq!(call(log, "how_many").unwrap(), 4321);
}

#[test]
fn static_parts_of_the_c_library_are_found() {
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let source = "#include <pthread.h>
         #include <stdlib.h>
         #include <sys/wait.h>
         #include <unistd.h>
         static int forked, pipes[2];
         static void child(void) { forked = 3; }
         static void last(void) { write(pipes[1], \"q\", 1); }
         int check(void) {
             if (pipe(pipes) || at_quick_exit(last) || pthread_atfork(0, 0, child)) return 1;
             pid_t pid = fork();
             if (pid == 0) quick_exit(forked);
             int status; char byte = 0;
             waitpid(pid, &status, 0);
             if (read(pipes[0], &byte, 1) != 1 || byte != 'q') return 2;
             return WEXITSTATUS(status) * 10 + forked;
         }";
    app.add_object_bytes("a.o", c(source)).unwrap();
    assert_eq!(call(&app, "check").unwrap(), 30);
    // They stay when the client's own objects go.
    app.remove().unwrap();
    app.add_object_bytes("a.o", c(source)).unwrap();
    assert_eq!(call(&app, "check").unwrap(), 30);
    assert_eq!(app.close().unwrap(), Removal::Released);
}

#[test]
fn libraries_of_the_compiler_are_found() {
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    app.add_library("stdc++").unwrap();
    let source = "#include <string>\n#include <stdexcept>
         extern \"C\" int f() {
             try { throw std::runtime_error(\"12\"); }
             catch (const std::exception &e) { return std::stoi(e.what()); }
         }";
    app.add_object_bytes("f.o", compile("c++", source, &["-fPIC"]))
        .unwrap();
    assert_eq!(call(&app, "f").unwrap(), 12);
    // Of libgcc.a alone.
    let source = match cfg!(target_arch = "x86_64") {
        true => "int g(void) { __builtin_cpu_init(); return !!__builtin_cpu_supports(\"sse2\"); }",
        false => "int x = 1; int g(void) { return __atomic_exchange_n(&x, 2, __ATOMIC_RELAXED); }",
    };
    app.add_object_bytes("g.o", c(source)).unwrap();
    assert_eq!(call(&app, "g").unwrap(), 1);
}

#[test]
fn an_empty_function_may_be_the_last_of_all() {
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    let source = "int f(void) { return 7; } void last(void) { __builtin_unreachable(); }";
    for flags in [&["-ffunction-sections"][..], &[]] {
        let object = compile("cc", source, flags);
        app.add_object_bytes("f.o", object).unwrap();
        assert_eq!(call(&app, "f").unwrap(), 7);
        assert_eq!(app.remove().unwrap(), Removal::Released);
    }
}
