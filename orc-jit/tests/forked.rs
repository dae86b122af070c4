//! A process that was forked from one with a JIT in it: threads of the other are not there.

use std::path::{Path, PathBuf};
use std::process::Command;

use orc_jit::{Dylib, Error, Executor, Jit};

fn compile(scratch: &Path, name: &str, source: &str) -> PathBuf {
    let file = scratch.join(format!("{name}.c"));
    std::fs::write(&file, source).unwrap();
    let object = file.with_extension("o");
    let mut cc = Command::new("cc");
    let done = cc.args(["-O1", "-c"]).arg(&file).arg("-o").arg(&object);
    assert!(done.status().unwrap().success());
    object
}

/// Adds objects that call each other: a link of several.
fn add(scratch: &Path, dylib: &Dylib, prefix: &str) {
    for number in 0..8 {
        let next = match number {
            7 => "0".to_owned(),
            _ => format!("{prefix}{}()", number + 1),
        };
        let source = format!(
            "int {prefix}{}(void); int {prefix}{number}(void) {{ return 1 + {next}; }}",
            number + 1
        );
        let object = compile(scratch, &format!("{prefix}{number}"), &source);
        dylib.add_object_file(object).unwrap();
    }
}

fn call(dylib: &Dylib, name: &str) -> Result<i32, Error> {
    // SAFETY: all functions of these tests that are called so have this type.
    Ok(unsafe { dylib.function::<extern "C" fn() -> i32>(name) }?.call())
}

/// Runs `child` in a forked process and returns its exit status; a signal's number is negative.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child does what this tests, and then ends without unwinding.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: ends a child that hangs.
        unsafe { libc::alarm(60) };
        let run = std::panic::AssertUnwindSafe(child);
        let status = std::panic::catch_unwind(run).unwrap_or(101);
        // SAFETY: nothing of the parent's is to be cleaned up by the child.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: `pid` is a child of this process.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    match libc::WIFSIGNALED(status) {
        true => -libc::WTERMSIG(status),
        false => libc::WEXITSTATUS(status),
    }
}

#[test]
fn a_forked_process_links_and_so_does_one_that_is_forked_from_that() {
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path();
    let jit = Jit::new().unwrap();
    let app = jit.dylib("app").unwrap();
    add(scratch, &app, "before");
    assert_eq!(call(&app, "before0").unwrap(), 8);
    let status = in_child(|| {
        assert_eq!(call(&app, "before0").unwrap(), 8);
        add(scratch, &app, "child");
        assert_eq!(call(&app, "child0").unwrap(), 8);
        in_child(|| {
            add(scratch, &app, "grandchild");
            call(&app, "grandchild0").unwrap()
        })
    });
    assert_eq!(status, 8);
    // A session that the child starts, and ends.
    let status = in_child(|| {
        let jit = Jit::new().unwrap();
        let own = jit.dylib("own").unwrap();
        add(scratch, &own, "own");
        call(&own, "own0").unwrap()
    });
    assert_eq!(status, 8);
    add(scratch, &app, "parent");
    assert_eq!(call(&app, "parent0").unwrap(), 8);
}

#[test]
fn an_executor_belongs_to_the_process_that_started_it() {
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path();
    let executor = Executor::spawn().unwrap();
    let jit = Jit::builder().executor(executor).build().unwrap();
    let app = jit.dylib("app").unwrap();
    add(scratch, &app, "before");
    app.symbol("before0").unwrap();
    let handles = (jit.clone(), app.clone());
    let status = in_child(move || {
        let (jit, app) = handles;
        add(scratch, &app, "child");
        let error = app.symbol("child0").unwrap_err().to_string();
        assert!(error.contains("was forked from"), "{error}");
        // One of its own works.
        let own = Jit::builder().executor(Executor::spawn().unwrap()).build();
        let own = own.unwrap().dylib("own").unwrap();
        add(scratch, &own, "own");
        own.symbol("own0").unwrap();
        drop((own, app, jit));
        7
    });
    assert_eq!(status, 7);
    // The other process has not ended it.
    add(scratch, &app, "after");
    app.symbol("after0").unwrap();
    drop((app, jit));
}
