//! `dlopen`, `dlsym`, `dlclose`, `dlerror` and `dlupdate` in linked code, for the session's own dylibs and for libraries,
//! here and in another process.

use std::path::Path;
use std::process::Command;

use orc_jit::{Dylib, Executor, Jit, Symbol, Tracker};

struct Fixture {
    scratch: tempfile::TempDir,
    jit: Jit,
}

/// A session in this process, and one in another.
fn sessions() -> [Fixture; 2] {
    let spawned = Executor::spawn().unwrap();
    let elsewhere = Jit::builder().executor(spawned).build().unwrap();
    [Jit::new().unwrap(), elsewhere].map(|jit| Fixture {
        scratch: tempfile::tempdir().unwrap(),
        jit,
    })
}

fn compile(scratch: &Path, name: &str, source: &str) -> Vec<u8> {
    let file = scratch.join(format!("{name}.c"));
    std::fs::write(&file, source).unwrap();
    let object = file.with_extension("o");
    let mut cc = Command::new("cc");
    let done = cc.args(["-O1", "-c"]).arg(&file).arg("-o").arg(&object);
    assert!(done.status().unwrap().success());
    std::fs::read(object).unwrap()
}

impl Fixture {
    /// A dylib with an object.
    fn dylib(&self, name: &str, source: &str) -> Dylib {
        let dylib = self.jit.dylib(name).unwrap();
        self.add(&dylib, name, source);
        dylib
    }

    fn add(&self, tracker: &Tracker, name: &str, source: &str) {
        let object = compile(self.scratch.path(), name, source);
        tracker.add_object_bytes(name, object).unwrap();
    }

    /// A dylib with checks: wrapper functions, so that they can be called wherever the code is.
    fn app(&self, checks: &str) -> App<'_> {
        let dylib = self.dylib("app", &format!("{PRELUDE}{checks}"));
        App { it: self, dylib }
    }
}

struct App<'a> {
    it: &'a Fixture,
    dylib: Dylib,
}

impl App<'_> {
    /// Calls a check, which says what is wrong.
    fn check(&self, name: &str) {
        let check: Symbol = self.dylib.symbol(name).unwrap();
        // SAFETY: checks are wrapper functions, which look at no argument.
        let said = unsafe { self.it.jit.call_wrapper(&check, &[]) };
        let said = String::from_utf8(said.unwrap()).unwrap();
        assert_eq!(said, "ok", "{name}");
    }
}

/// What checks are written in. `CHECK(name) { … DONE }` is a wrapper function, whose answer is the first condition that
/// does not hold.
const PRELUDE: &str = r#"
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <link.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    int dlupdate(void *handle);
    struct result { char *bytes; size_t size; };
    static struct result said(int line, const char *what) {
        char *text = malloc(400);
        int length = snprintf(text, 400, "line %d: %s", line, what);
        if (line == 0) { length = 2; memset(text, 0, 8); memcpy(text, "ok", 2); }
        struct result answer = { text, length };
        if (length <= 8) { memcpy(&answer.bytes, text, 8); free(text); }
        return answer;
    }
    #define CHECK(name) struct result name(const char *data, size_t size)
    #define HOLDS(condition) do { if (!(condition)) return said(__LINE__, #condition); } while (0)
    #define IS(text, expected) do { const char *is = (text); \
        if (!is || !strstr(is, expected)) return said(__LINE__, is ? is : "nothing"); } while (0)
    #define DONE return said(0, "");
    static int call(void *handle, const char *name) {
        int (*function)(void) = (int (*)(void))dlsym(handle, name);
        return function ? function() : -1000;
    }
"#;

/// A dylib with state. `log` counts what outlives it.
const PLUGIN: &str = "
    extern int started, ended;
    static int count = 40, zero[3000]; static int *pointer = &count; int shown = 5;
    __attribute__((constructor)) static void start(void) { started++; count++; }
    __attribute__((destructor)) static void end(void) { ended++; }
    int next(void) { zero[2000]++; shown++; return ++*pointer; }
    int zeros(void) { return zero[2000]; }";

const LOG: &str =
    "int started, ended; int starts(void) { return started; } int ends(void) { return ended; }";

#[test]
fn a_dylib_is_opened_by_name_and_starts_anew_when_it_is_opened_again() {
    for it in sessions() {
        let log = it.dylib("log", LOG);
        let plugin = it.dylib("plugin", PLUGIN);
        plugin.link_with(&log).unwrap();
        let app = it.app(
            r#"
            int starts(void), ends(void);
            CHECK(twice) {
                HOLDS(starts() == 0);
                for (int round = 1; round <= 3; round++) {
                    void *handle = dlopen("plugin", RTLD_NOW);
                    HOLDS(handle != 0);
                    HOLDS(starts() == round);
                    HOLDS(call(handle, "next") == 42);
                    HOLDS(call(handle, "next") == 43);
                    HOLDS(call(handle, "zeros") == 2);
                    HOLDS(*(int *)dlsym(handle, "shown") == 7);
                    HOLDS(dlclose(handle) == 0);
                    HOLDS(ends() == round);
                }
                DONE
            }
            CHECK(nested) {
                void *one = dlopen("plugin", RTLD_LAZY | RTLD_GLOBAL), *other = dlopen("plugin", RTLD_NOW);
                HOLDS(one && one == other && starts() == 4);
                HOLDS(call(one, "next") == 42);
                HOLDS(dlopen("plugin", RTLD_NOW | RTLD_NOLOAD) == one && dlclose(one) == 0);
                HOLDS(dlclose(one) == 0 && ends() == 3);
                HOLDS(call(other, "next") == 43);
                HOLDS(dlclose(other) == 0 && ends() == 4);
                HOLDS(dlerror() == 0);
                HOLDS(dlopen("plugin", RTLD_NOW | RTLD_NOLOAD) == 0 && dlerror() == 0);
                DONE
            }"#,
        );
        app.dylib.link_with(&log).unwrap();
        app.check("twice");
        app.check("nested");
    }
}

#[test]
fn what_goes_wrong_is_said_by_dlerror_once() {
    for it in sessions() {
        let _plugin = it.dylib("plugin", "int f(void) { return 1; }");
        let _broken = it.dylib(
            "broken",
            "int missing_part(void); \
             __attribute__((constructor)) static void start(void) { missing_part(); }",
        );
        let app = it.app(
            r#"
            CHECK(errors) {
                HOLDS(dlerror() == 0);
                void *handle = dlopen("plugin", RTLD_NOW);
                HOLDS(call(handle, "f") == 1 && dlerror() == 0);
                HOLDS(dlsym(handle, "no_such_thing") == 0);
                IS(dlerror(), "no_such_thing");
                HOLDS(dlerror() == 0);
                HOLDS(dlopen("no such library", RTLD_NOW) == 0);
                IS(dlerror(), "no such library");
                HOLDS(dlerror() == 0);
                // A later call that works leaves nothing.
                HOLDS(dlsym(handle, "no_such_thing") == 0 && dlsym(handle, "f") != 0 && dlerror() == 0);
                HOLDS(dlopen("no such library", RTLD_NOW) == 0 && dlsym(handle, "f") != 0 && dlerror() == 0);
                HOLDS(dlsym(handle, "no_such_thing") == 0 && dlopen("libc.so.6", RTLD_NOW) != 0);
                HOLDS(dlerror() == 0);
                HOLDS(dlopen("broken", RTLD_NOW) == 0);
                IS(dlerror(), "missing_part");
                struct link_map *map;
                HOLDS(dlinfo(handle, RTLD_DI_LINKMAP, &map) == -1);
                IS(dlerror(), "plugin");
                HOLDS(dlvsym(handle, "f", "ANY") != 0);
                HOLDS(dlclose(handle) == 0);
                HOLDS(dlclose(handle) == -1);
                IS(dlerror(), "'plugin' is not open");
                HOLDS(dlsym(handle, "f") == 0);
                IS(dlerror(), "'plugin' is not open");
                HOLDS(dlupdate(handle) == -1);
                IS(dlerror(), "'plugin' is not open");
                HOLDS(dlupdate(0) == -1);
                IS(dlerror(), "none of a dylib");
                DONE
            }"#,
        );
        app.check("errors");
    }
}

#[test]
fn libraries_are_opened_by_the_same_functions() {
    for it in sessions() {
        let app = it.app(
            r#"
            CHECK(libraries) {
                void *math = dlopen("libm.so.6", RTLD_NOW);
                HOLDS(math != 0);
                double (*cosine)(double) = (double (*)(double))dlsym(math, "cos");
                HOLDS(cosine && cosine(0.0) == 1.0);
                struct link_map *map;
                HOLDS(dlinfo(math, RTLD_DI_LINKMAP, &map) == 0 && strstr(map->l_name, "libm"));
                HOLDS(dlvsym(math, "cos", "NONE") == 0 && dlerror() != 0);
                HOLDS(dlsym(math, "no_such_thing") == 0);
                IS(dlerror(), "undefined symbol: no_such_thing");
                HOLDS(dlclose(math) == 0 && dlerror() == 0);
                void *all = dlopen(0, RTLD_NOW);
                HOLDS(all && dlsym(all, "malloc") && dlsym(RTLD_DEFAULT, "malloc") && dlclose(all) == 0);
                DONE
            }"#,
        );
        app.check("libraries");
    }
}

#[test]
fn initializers_open_other_dylibs_and_what_a_dylib_needs_is_opened_with_it() {
    for it in sessions() {
        let log = it.dylib("log", LOG);
        let inner = it.dylib("inner", PLUGIN);
        inner.link_with(&log).unwrap();
        let outer = it.dylib(
            "outer",
            "#include <dlfcn.h>
             static void *inner; static int got;
             __attribute__((constructor)) static void start(void) {
                 inner = dlopen(\"inner\", RTLD_NOW);
                 int (*next)(void) = (int (*)(void))dlsym(inner, \"next\");
                 got = next();
             }
             __attribute__((destructor)) static void end(void) { dlclose(inner); }
             int first(void) { return got; }",
        );
        let above = it.dylib(
            "above",
            "int first(void); int above(void) { return first(); }",
        );
        above.link_with(&outer).unwrap();
        let app = it.app(
            r#"
            int starts(void), ends(void);
            CHECK(opens) {
                for (int round = 1; round <= 3; round++) {
                    void *above = dlopen("above", RTLD_NOW);
                    HOLDS(above && starts() == round);
                    HOLDS(call(above, "above") == 42);
                    HOLDS(dlclose(above) == 0 && ends() == round);
                }
                DONE
            }"#,
        );
        app.dylib.link_with(&log).unwrap();
        app.check("opens");
    }
}

#[test]
fn what_is_added_to_an_open_dylib_is_initialized_by_dlupdate_or_when_it_is_found() {
    for it in sessions() {
        let log = it.dylib("log", LOG);
        let plugin = it.dylib("plugin", "int here(void) { return 1; }");
        plugin.link_with(&log).unwrap();
        let app = it.app(
            r#"
            int starts(void);
            static void *handle;
            CHECK(opens) { handle = dlopen("plugin", RTLD_NOW); HOLDS(call(handle, "here") == 1); DONE }
            CHECK(updates) {
                HOLDS(starts() == 0);
                HOLDS(dlupdate(handle) == 0 && starts() == 1);
                HOLDS(dlupdate(handle) == 0 && starts() == 1);
                HOLDS(call(handle, "next") == 42);
                DONE
            }
            CHECK(finds) { HOLDS(call(handle, "late") == 7); DONE }
            CHECK(closes) {
                HOLDS(dlclose(handle) == 0);
                handle = dlopen("plugin", RTLD_NOW);
                HOLDS(call(handle, "next") == 42 && call(handle, "late") == 7 && starts() == 2);
                HOLDS(dlclose(handle) == 0);
                DONE
            }"#,
        );
        app.dylib.link_with(&log).unwrap();
        app.check("opens");
        it.add(&plugin, "more", PLUGIN);
        app.check("updates");
        it.add(
            &plugin,
            "late",
            "static int x; __attribute__((constructor)) static void c(void) { x += 7; } int late(void) { return x; }",
        );
        app.check("finds");
        app.check("closes");
    }
}

#[test]
fn data_of_what_a_lazy_dylib_links_later_starts_anew_too() {
    for it in sessions() {
        let plugin = it.jit.dylib("plugin").unwrap();
        plugin.link_lazily();
        it.add(
            &plugin,
            "outer",
            "int next(void); int outer(void) { return next(); }",
        );
        it.add(
            &plugin,
            "next",
            "static int count = 7; int next(void) { return ++count; }",
        );
        let app = it.app(
            r#"
            CHECK(lazily) {
                for (int round = 0; round < 3; round++) {
                    void *handle = dlopen("plugin", RTLD_LAZY);
                    HOLDS(call(handle, "outer") == 8);
                    HOLDS(call(handle, "outer") == 9);
                    HOLDS(dlclose(handle) == 0);
                }
                DONE
            }"#,
        );
        app.check("lazily");
        assert_eq!(plugin.session_dylib().waiting_objects().len(), 0);
    }
}

#[test]
fn linked_code_does_not_close_what_a_client_uses_and_a_client_can_remove_what_was_opened() {
    for it in sessions() {
        let log = it.dylib("log", LOG);
        let plugin = it.dylib("plugin", PLUGIN);
        plugin.link_with(&log).unwrap();
        let app = it.app(
            r#"
            int starts(void), ends(void);
            CHECK(opens_and_closes) {
                void *handle = dlopen("plugin", RTLD_NOW);
                int next = call(handle, "next"), ended = ends();
                HOLDS(next >= 42);
                HOLDS(dlclose(handle) == 0 && ends() == ended);
                HOLDS(dlclose(handle) == -1 && ends() == ended);
                DONE
            }
            CHECK(is_gone) { HOLDS(dlopen("plugin", RTLD_NOW) == 0); IS(dlerror(), "plugin"); DONE }"#,
        );
        app.dylib.link_with(&log).unwrap();
        plugin.symbol("next").unwrap();
        app.check("opens_and_closes");
        app.check("opens_and_closes");
        plugin.close().unwrap();
        app.check("is_gone");
        let again = it.dylib("plugin", "int next(void) { return 43; }");
        let part = again.tracker();
        it.add(
            &part,
            "part",
            "static int x = 3; int part(void) { return x++; }",
        );
        app.check("opens_and_closes");
        part.remove().unwrap();
        app.check("opens_and_closes");
    }
}

#[test]
fn a_program_opens_dylibs_and_its_libraries_as_ever() {
    for it in sessions() {
        let _plugin = it.dylib("plugin", "static int n = 1; int f(void) { return n++; }");
        let app = it.app(
            r#"
            int main(void) {
                // A copy of a library's variable, so that libraries that are opened are led to it.
                if (fflush(stdout)) return 5;
                for (int round = 0; round < 2; round++) {
                    void *handle = dlopen("plugin", RTLD_NOW);
                    if (call(handle, "f") != 1 || call(handle, "f") != 2 || dlclose(handle)) return 1;
                }
                if (dlopen("app", RTLD_NOW)) return 2;
                if (!strstr(dlerror(), "app")) return 3;
                void *library = dlopen("libutil.so.1", RTLD_NOW);
                if (!library || dlclose(library)) return 4;
                return 0;
            }"#,
        );
        assert_eq!(app.dylib.run_main(["app"]).unwrap(), 0);
    }
}
