//! Objects that are replaced while they run.

use std::process::Command;
use std::sync::Arc;

use orc_jit::{
    Dylib, Error, Executor, Jit, ObjectFile, Removal, ReplaceOptions, Replaced, Tracker,
};

#[path = "replace/faults.rs"]
mod faults;
#[path = "replace/spawned.rs"]
mod spawned;
#[path = "replace/stress.rs"]
mod stress;

struct Fixture {
    scratch: tempfile::TempDir,
    jit: Jit,
    app: Dylib,
}

const SEPARATE: &[&str] = &["-O1", "-ffunction-sections", "-fdata-sections"];

impl Fixture {
    fn new() -> Self {
        Self::on(Executor::in_process())
    }

    fn on(executor: Executor) -> Self {
        let jit = Jit::builder().executor(executor).build().unwrap();
        let app = jit.dylib("app").unwrap();
        app.allow_replacement();
        let scratch = tempfile::tempdir().unwrap();
        Self { scratch, jit, app }
    }

    fn object_with(&self, flags: &[&str], name: &str, source: &str) -> Arc<dyn ObjectFile> {
        let file = self.scratch.path().join(name);
        std::fs::write(&file, source).unwrap();
        let object = file.with_extension("o");
        let compiler = if name.ends_with(".cpp") { "c++" } else { "cc" };
        let mut compiler = Command::new(compiler);
        let done = compiler
            .args(flags)
            .arg("-c")
            .arg(&file)
            .arg("-o")
            .arg(&object);
        assert!(done.status().unwrap().success());
        let bytes = std::fs::read(object).unwrap();
        self.jit.objects().read(name, bytes).unwrap()
    }

    fn object(&self, name: &str, source: &str) -> Arc<dyn ObjectFile> {
        self.object_with(SEPARATE, name, source)
    }

    /// A tracker of its own, with objects.
    fn tracker(&self, sources: &[(&str, &str)]) -> Tracker {
        let tracker = self.app.tracker();
        for (name, source) in sources {
            let object = self.object(name, source);
            tracker.session_tracker().add_object(object).unwrap();
        }
        tracker
    }

    fn replace(&self, tracker: &Tracker, sources: &[(&str, &str)]) -> Result<Replaced, Error> {
        let objects = sources
            .iter()
            .map(|(name, source)| self.object(name, source));
        let objects: Vec<_> = objects.collect();
        // SAFETY: the sources of the tests take each other's place.
        unsafe { tracker.replace(&objects, ReplaceOptions::default()) }
    }

    fn call(&self, name: &str, argument: i32) -> i32 {
        // SAFETY: the sources of the tests have functions of this type.
        unsafe { self.app.function::<Call>(name) }
            .unwrap()
            .call(argument)
    }
}

type Call = extern "C" fn(i32) -> i32;

#[test]
fn callers_and_pointers_get_into_the_new_function() {
    let it = Fixture::new();
    let f = it.tracker(&[("f.c", "int f(int x) { return x + 1; }")]);
    let _caller = it.tracker(&[(
        "g.c",
        "int f(int); static int (*kept)(int); \
         int call(int x) { return f(x); } \
         int keep(int x) { kept = f; return x; } int through(int x) { return kept(x); }",
    )]);
    // SAFETY: the source above.
    let held = unsafe { it.app.function::<Call>("f") }.unwrap();
    it.call("keep", 0);
    assert_eq!(
        (it.call("call", 1), it.call("through", 1), held.call(1)),
        (2, 2, 2)
    );
    let address = it.app.symbol("f").unwrap().addr();
    let old = it
        .replace(&f, &[("f.c", "int f(int x) { return x + 100; }")])
        .unwrap();
    assert_eq!(
        (it.call("call", 1), it.call("through", 1), held.call(1)),
        (101, 101, 101)
    );
    assert_eq!(it.app.symbol("f").unwrap().addr(), address);
    assert_eq!(old.retire().unwrap(), Removal::Released);
    assert_eq!(it.call("through", 2), 102);
}

#[test]
fn calls_within_an_object_get_into_the_new_function_too() {
    let it = Fixture::new();
    let source = |step: i32| {
        format!(
            "__attribute__((noinline, noipa)) int step(int x) {{ return x + {step}; }} \
             int twice(int x) {{ return step(step(x)); }}"
        )
    };
    let app = it.tracker(&[("app.c", &source(1))]);
    assert_eq!(it.call("twice", 0), 2);
    let _old = it.replace(&app, &[("app.c", &source(10))]).unwrap();
    assert_eq!(it.call("twice", 0), 20);
}

#[test]
fn variables_and_thread_locals_keep_their_values() {
    let it = Fixture::new();
    let source = |by: i32, more: &str| {
        format!(
            "{more} int shared = 5; static int hidden = 7; static int zero; _Thread_local int each = 3; \
             static _Thread_local int mine; \
             int count(int x) {{ static int n; n += {by}; shared += x; hidden++; zero++; each++; mine++; \
               return n; }} \
             int sum(int x) {{ return shared * 10000 + hidden * 1000 + zero * 100 + each * 10 + mine; }} \
             int *where(void) {{ return &shared; }}"
        )
    };
    let app = it.tracker(&[("app.c", &source(1, ""))]);
    let _user = it.tracker(&[(
        "user.c",
        "extern int shared; extern _Thread_local int each; int *where(void); \
         int both(int x) { return shared * 10 + each; } int same(int x) { return where() == &shared; }",
    )]);
    assert_eq!((it.call("count", 1), it.call("sum", 0)), (1, 68141));
    assert_eq!((it.call("both", 0), it.call("same", 0)), (64, 1));
    for step in [10, 100] {
        let more = format!("static int added = 1; int added{step}(int x) {{ return added += x; }}");
        let old = it
            .replace(&app, &[("app.c", &source(step, &more))])
            .unwrap();
        let _ = old.retire().unwrap();
        assert_eq!(
            it.call(&format!("added{step}"), 1),
            step.ilog10() as i32 + 1
        );
    }
    assert_eq!((it.call("count", 1), it.call("sum", 0)), (101, 79252));
    assert_eq!((it.call("both", 0), it.call("same", 0)), (75, 1));
}

#[test]
fn variables_of_objects_without_sections_for_each_are_kept_if_all_are_the_same() {
    let it = Fixture::new();
    let source = |by: i32, more: &str| {
        format!(
            "static int a = 1; static int b = 2; static int z; {more} \
             int f(int x) {{ a += {by}; b += x; z++; return a * 100 + b * 10 + z; }}"
        )
    };
    let tracker = it.app.tracker();
    let object = |source: &str| it.object_with(&["-O1"], "f.c", source);
    let add = tracker.session_tracker();
    add.add_object(object(&source(1, ""))).unwrap();
    assert_eq!(it.call("f", 1), 231);
    let replace = |source: &str| {
        // SAFETY: the function has one type.
        unsafe { tracker.replace(&[object(source)], ReplaceOptions::default()) }
    };
    let _old = replace(&source(2, "")).unwrap();
    assert_eq!(it.call("f", 1), 442);
    let more = "static int c = 3; int g(int x) { return c += x; }";
    let error = replace(&source(2, more)).unwrap_err().to_string();
    assert!(error.contains("c: is new, 4 bytes at .data+0x"), "{error}");
    assert!(error.contains("-fdata-sections"), "{error}");
    assert_eq!(it.call("f", 1), 653);
}

#[test]
fn a_changed_layout_is_refused_and_all_goes_on() {
    let it = Fixture::new();
    let app = it.tracker(&[("app.c", "int n = 4; int f(int x) { return n += x; }")]);
    assert_eq!(it.call("f", 1), 5);
    let wider = "long n = 4; int f(int x) { return n += 2 * x; }";
    let error = it
        .replace(&app, &[("app.c", wider)])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "app.c cannot replace the version that runs: variables keep their values, and their layout has \
         changed\n  n: was 4 bytes at .data.n+0x0, is 8 bytes at .data.n+0x0\n  .data.n: was 4 bytes, is 8 \
         bytes\n  or start the program anew"
    );
    assert_eq!(it.call("f", 1), 6);
    let objects = [it.object("app.c", wider)];
    let fresh = ReplaceOptions {
        fresh_statics: true,
    };
    // SAFETY: the function has one type.
    let _old = unsafe { app.replace(&objects, fresh) }.unwrap();
    assert_eq!(it.call("f", 1), 6);
    assert_eq!(it.call("f", 1), 8);
}

#[test]
fn constructors_do_not_run_again() {
    let it = Fixture::new();
    it.app.add_library("stdc++").unwrap();
    let source = |by: i32, more: &str| {
        format!(
            "#include <string>\n#include <vector>\n {more} static std::vector<std::string> seen{{\"first\"}}; \
             extern \"C\" int f(int x) {{ static std::string local = \"local\"; local += 'x'; \
               seen.push_back(local); return seen.size() * 100 + local.size() * 10 + {by}; }}"
        )
    };
    let app = it.tracker(&[("app.cpp", &source(1, ""))]);
    assert_eq!(it.call("f", 0), 261);
    let _one = it
        .replace(&app, &[("app.cpp", &source(2, "static int plain = 5;"))])
        .unwrap();
    assert_eq!(it.call("f", 0), 372);
    let more = "static std::string added(\"added by the new version, and too long to be short\"); \
                extern \"C\" int g(int x) { return added.size(); }";
    let error = it
        .replace(&app, &[("app.cpp", &source(3, more))])
        .unwrap_err();
    let error = error.to_string();
    assert!(error.contains("need initializers to run"), "{error}");
    assert!(error.contains("added"), "{error}");
    assert_eq!(it.call("f", 0), 482);
}

#[test]
fn sets_see_their_own_new_names_and_drop_old_ones() {
    let it = Fixture::new();
    let app = it.tracker(&[
        ("a.c", "int b(int); int a(int x) { return b(x) + 1; }"),
        (
            "b.c",
            "int b(int x) { return 2 * x; } int gone(int x) { return x; }",
        ),
    ]);
    let _user = it.tracker(&[(
        "user.c",
        "int gone(int); int user(int x) { return gone(x); }",
    )]);
    assert_eq!((it.call("a", 3), it.call("user", 4)), (7, 4));
    let _old = it
        .replace(
            &app,
            &[
                (
                    "a.c",
                    "int c(int); extern int d; int a(int x) { return c(x) + d; }",
                ),
                (
                    "c.c",
                    "int b(int x) { return x; } int c(int x) { return 10 * b(x); } int d = 5;",
                ),
            ],
        )
        .unwrap();
    assert_eq!((it.call("a", 3), it.call("user", 4)), (35, 4));
    assert!(it.app.symbol("gone").is_err());
    assert_eq!(it.call("c", 1), 10);
}

#[test]
fn a_name_that_was_dropped_can_be_defined_by_another_tracker() {
    let it = Fixture::new();
    let first = it.tracker(&[(
        "a.c",
        "int f(int x) { return x; } int moved(int x) { return 1; }",
    )]);
    let user = "int moved(int); int user(int x) { return moved(x); }";
    let _user = it.tracker(&[("user.c", user)]);
    assert_eq!(it.call("user", 0), 1);
    let replaced = it.replace(&first, &[("a.c", "int f(int x) { return x; }")]);
    let _old = replaced.unwrap();
    let _second = it.tracker(&[("b.c", "int moved(int x) { return 2; }")]);
    assert_eq!(it.call("moved", 0), 2);
    let _new_user = it.tracker(&[(
        "new.c",
        "int moved(int); int new_user(int x) { return moved(x); }",
    )]);
    assert_eq!(it.call("new_user", 0), 2);
    // What was linked keeps to what it was linked with.
    assert_eq!(it.call("user", 0), 1);
    let _ = first.remove().unwrap();
    assert_eq!((it.call("moved", 0), it.call("new_user", 0)), (2, 2));
    assert_eq!(it.call("user", 0), 1);
}

#[test]
fn a_new_name_of_a_replacement_that_failed_is_free() {
    let it = Fixture::new();
    let first = it.tracker(&[("a.c", "int n; int f(int x) { return n++; }")]);
    assert_eq!(it.call("f", 0), 0);
    let twice =
        "int n; int f(int x) { return n++; } int extra(int x) { return nothing_at_all(x); }";
    let twice = format!("int nothing_at_all(int); {twice}");
    assert!(it.replace(&first, &[("a.c", &twice)]).is_err());
    let _second = it.tracker(&[("b.c", "int extra(int x) { return 7; }")]);
    assert_eq!(it.call("extra", 0), 7);
    let _ = first.remove().unwrap();
    assert_eq!(it.call("extra", 0), 7);
}

#[test]
fn a_replacement_that_cannot_be_linked_changes_nothing() {
    let it = Fixture::new();
    let app = it.tracker(&[("f.c", "int n; int f(int x) { return x + n++; }")]);
    let _other = it.tracker(&[("other.c", "int other(int x) { return x; }")]);
    assert_eq!((it.call("f", 1), it.call("other", 5)), (1, 5));
    let missing = "int nothing(int); int n; int f(int x) { return nothing(x); }";
    let error = it
        .replace(&app, &[("f.c", missing)])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("nothing") && error.contains("f.c"),
        "{error}"
    );
    let twice = "int f(int x) { return x; } int other(int x) { return x; }";
    let error = it.replace(&app, &[("f.c", twice)]).unwrap_err().to_string();
    assert!(
        error.contains("other") && error.contains("other.c"),
        "{error}"
    );
    assert_eq!(it.call("f", 1), 2);
    let _old = it
        .replace(
            &app,
            &[("f.c", "int n; int f(int x) { return x + 10 * n++; }")],
        )
        .unwrap();
    assert_eq!(it.call("f", 1), 21);
}

#[test]
fn what_cannot_be_replaced_is_said() {
    let it = Fixture::new();
    let plain = it.jit.dylib("plain").unwrap();
    let tracker = plain.tracker();
    let f = || it.object("f.c", "int f(int x) { return x; }");
    tracker.session_tracker().add_object(f()).unwrap();
    let refuse = |tracker: &Tracker| {
        // SAFETY: it is refused.
        let refused = unsafe { tracker.replace(&[f()], ReplaceOptions::default()) };
        refused.unwrap_err().to_string()
    };
    assert_eq!(
        refuse(&tracker),
        "replacement in dylib \"plain\": its dylib does not allow that (`allow_replacement`)"
    );
    let mixed = it.app.tracker();
    mixed.add_library("m").unwrap();
    assert_eq!(
        refuse(&mixed),
        "replacement in dylib \"app\": it has more than objects: what is to stay goes into the dylib through \
         another tracker"
    );
    let gone = it.tracker(&[("g.c", "int g(int x) { return x; }")]);
    let _ = gone.remove().unwrap();
    assert_eq!(
        refuse(&gone),
        "replacement in dylib \"app\": it was removed"
    );
}

#[test]
fn what_was_never_linked_is_replaced_without_a_link() {
    let it = Fixture::new();
    it.app.link_lazily();
    let f = it.tracker(&[("f.c", "int f(int x) { return x; }")]);
    let _caller = it.tracker(&[(
        "g.c",
        "int f(int); int call(int x) { return x ? f(x) : 0; }",
    )]);
    assert_eq!(it.call("call", 0), 0);
    let old = it
        .replace(&f, &[("f.c", "int f(int x) { return 5 * x; }")])
        .unwrap();
    assert_eq!(old.retire().unwrap(), Removal::Released);
    assert_eq!(it.call("call", 2), 10);
}

#[test]
fn a_replaced_tracker_is_removed_with_all_its_versions() {
    let it = Fixture::new();
    let f = it.tracker(&[("f.c", "int n; int f(int x) { return x + n++; }")]);
    assert_eq!(it.call("f", 1), 1);
    for _ in 0..3 {
        let _old = it
            .replace(&f, &[("f.c", "int n; int f(int x) { return x + n++; }")])
            .unwrap();
    }
    assert_eq!(it.call("f", 1), 2);
    assert_eq!(f.remove().unwrap(), Removal::Released);
    assert!(it.app.symbol("f").is_err());
    let again = it.tracker(&[("f.c", "int f(int x) { return 9 * x; }")]);
    assert_eq!(it.call("f", 1), 9);
    let _ = again.remove().unwrap();
}

#[test]
fn an_objects_weak_definition_comes_back_when_the_new_version_has_none() {
    let it = Fixture::new();
    let weak = "__attribute__((weak)) int f(int x) { return x + 1; } ";
    let app = it.tracker(&[("f.c", "int f(int x) { return 2 * x; }")]);
    let _weak = it.tracker(&[(
        "weak.c",
        &format!("{weak} int call(int x) {{ return f(x); }}"),
    )]);
    assert_eq!(it.call("call", 10), 20);
    let _old = it
        .replace(&app, &[("f.c", "int g(int x) { return x; }")])
        .unwrap();
    assert_eq!((it.call("f", 10), it.call("g", 3)), (11, 3));
}
