//! Objects that are read once and given to several sessions and dylibs.

use std::process::Command;
use std::sync::Arc;

use jit_core::kept::KeptObject;
use jit_core::name::NameTable;
use jit_core::object::ObjectFile;
use orc_jit::{Dylib, Files, Jit, ObjectReader};

/// A function of a group that both objects have, a name that each has for itself, exceptions, a common
/// symbol and a thread-local.
const SOURCE: &str = r#"
    inline __attribute__((noinline)) int shared(int x) {
        static int calls;
        try { if (x > 0) throw x; } catch (int thrown) { return VALUE + thrown + calls++; }
        return VALUE;
    }
    static thread_local int own = VALUE;
    extern "C" int CALL() { return shared(1) + own; }
"#;

/// The bytes of an object in which `call` calls its own or another's function.
fn compile(value: i32, call: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let source = SOURCE
        .replace("VALUE", &value.to_string())
        .replace("CALL", call);
    std::fs::write(directory.path().join("unit.cpp"), source).expect("a writable directory");
    let mut command = Command::new("c++");
    command.current_dir(directory.path());
    command.args(["-O1", "-fPIC", "-c", "-o", "unit.o", "unit.cpp"]);
    assert!(command.status().expect("it runs").success());
    std::fs::read(directory.path().join("unit.o")).expect("it was made")
}

fn read(bytes: &[u8], names: &Arc<NameTable>) -> Arc<dyn ObjectFile> {
    let reader = ObjectReader::new(Arc::clone(names), &[], Files::default());
    reader.read("first.o", bytes).expect("a good object")
}

fn call(dylib: &Dylib, name: &str) -> i32 {
    // SAFETY: all functions of these tests that are called have this type.
    let function = unsafe { dylib.function::<extern "C" fn() -> i32>(name) };
    function.expect("it links").call()
}

/// What the functions return in a dylib that has the first object before the second, and in one that has
/// it behind.
fn results(jit: &Jit, first: &Arc<dyn ObjectFile>, second: &[u8]) -> [[i32; 2]; 2] {
    let before = jit.dylib("before").expect("a new name");
    before.add_library("stdc++").expect("it is installed");
    let tracker = before.session_tracker();
    tracker.add_object(Arc::clone(first)).expect("it is new");
    before
        .add_object_bytes("second.o", second)
        .expect("it is new");
    let behind = jit.dylib("behind").expect("a new name");
    behind.add_library("stdc++").expect("it is installed");
    behind
        .add_object_bytes("second.o", second)
        .expect("it is new");
    let tracker = behind.session_tracker();
    tracker.add_object(Arc::clone(first)).expect("it is new");
    [&before, &behind].map(|dylib| [call(dylib, "first"), call(dylib, "second")])
}

#[test]
fn one_graph_serves_sessions_and_dylibs_with_other_winners() {
    let (first, second) = (compile(100, "first"), compile(200, "second"));
    // The first object's function is used by both, then the second's.
    let expected = [
        [100 + 1 + 100, 100 + 1 + 1 + 200],
        [200 + 1 + 100, 200 + 1 + 1 + 200],
    ];
    let names = Arc::new(NameTable::default());
    let kept = KeptObject::new(read(&first, &names), names).expect("a good object");
    let kept = Arc::new(kept);
    for _ in 0..2 {
        let jit = Jit::new().expect("a session starts");
        let given: Arc<dyn ObjectFile> = Arc::new(kept.give_to(jit.session().names()));
        assert_eq!(results(&jit, &given, &second), expected);
    }
    let jit = Jit::new().expect("a session starts");
    let fresh = read(&first, jit.session().names());
    assert_eq!(results(&jit, &fresh, &second), expected);
}

#[test]
fn names_of_a_given_object_leave_with_it() {
    let kept_names = Arc::new(NameTable::default());
    let object = read(&compile(100, "first"), &kept_names);
    let kept = Arc::new(KeptObject::new(object, Arc::clone(&kept_names)).expect("a good object"));
    let count = kept_names.len();
    let jit = Jit::new().expect("a session starts");
    let app = jit.dylib("app").expect("a new name");
    app.add_library("stdc++").expect("it is installed");
    let use_once = || {
        let tracker = app.tracker();
        let given = Arc::new(kept.give_to(jit.session().names()));
        let session_tracker = tracker.session_tracker();
        session_tracker.add_object(given).expect("it is new");
        assert_eq!(call(&app, "first"), 100 + 1 + 100);
        tracker.remove().expect("goes");
    };
    use_once();
    assert_eq!(jit.session().names().find(b"first"), None);
    let before = jit.session().names().len();
    use_once();
    assert_eq!(jit.session().names().len(), before);
    // A name that the session misses is none of the object's from then on.
    let tracker = app.tracker().session_tracker();
    let given = Arc::new(kept.give_to(jit.session().names()));
    let missing = jit.session().names().intern(b"nobody_has_it");
    assert_eq!(given.uses(&[missing]), [false]);
    assert_eq!(given.spelling(missing), None);
    tracker.add_object(given).expect("it is new");
    assert_eq!(kept_names.len(), count);
}
