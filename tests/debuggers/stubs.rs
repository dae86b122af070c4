//! Backtraces and steps through stubs: functions that are linked when they are called first, and functions
//! that are replaced. gdb, and call graphs of perf.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use orc_jit::{Executor, Jit, ReplaceOptions};
use tests::command::{Ending, Invocation};
use tests::compare::orc_jit;
use tests::needs::Tests;
use tests::scratch::Scratch;

use crate::session::{gdb, gdb_with};

/// The variable that tells this program to be debugged, and where its functions are replaced.
const REPLACE: &str = "ORC_JIT_TESTS_REPLACE";

/// What has gdb follow an executor that is started.
const FOLLOW: &str = "set follow-fork-mode child";

/// Options of both executors.
const EXECUTORS: [&[&str]; 2] = [
    &["run", "--lazy", "--debug"],
    &["run", "--lazy", "--debug", "--executor=spawn"],
];

const MAIN: &str = "\
int lazy_outer(int);
int call_outer(int x) {
  int outer = lazy_outer(x);
  return outer + 1;
}
int main(void) {
  int sum = 0;
  for (int i = 0; i < 3; i++)
    sum += call_outer(i);
  return sum - 12;
}
";

const OUTER: &str = "\
int lazy_inner(int);
int lazy_outer(int x) {
  int inner = lazy_inner(x);
  return inner + 1;
}
";

const INNER: &str = "\
int lazy_inner(int x) {
  return x * 2;
}
";

/// Called through a stub, as a wrapper function that returns no bytes.
const CALLER: &str = "\
struct result { char *bytes; unsigned long size; };
int replaced_function(int);
struct result enter(const char *data, unsigned long size) {
  int seen = replaced_function(size);
  return (struct result){0, seen - seen};
}
";

const OLD: &str = "int replaced_function(int x) {\n  return x + 1;\n}\n";

const NEW: &str = "int replaced_function(int x) {\n  int more = x + 10;\n  return more;\n}\n";

/// Calls a function, which is in an object of its own, for a second of processor time.
const SPIN: &str = "\
#include <stdio.h>
#include <time.h>
int busy(int);
int around(int x) { return busy(x) + 1; }
int main(void) {
  int sum = 0;
  printf(\"%p\\n\", (void *)main);
  while (clock() < CLOCKS_PER_SEC / 2) sum += around(sum);
  return sum == 1;
}
";

const BUSY: &str = "\
int busy(int x) { for (volatile int i = 0; i < 100000; i++) x += i; return x; }
";

/// The tests of this file.
pub fn add(tests: &mut Tests) {
    tests::add_tests!(
        tests,
        ["gdb"],
        a_breakpoint_in_a_lazy_function_shows_who_called_it,
        a_backtrace_goes_through_a_first_call,
        a_step_leads_through_a_stub,
        replaced_functions_have_their_callers_and_lines,
        replaced_functions_in_an_executor_have_their_callers_and_lines,
    );
    tests::add_tests!(tests, ["perf"], call_graphs_lead_through_stubs);
}

fn lazy() -> Scratch {
    let scratch = Scratch::new();
    for (object, text) in [("main.o", MAIN), ("outer.o", OUTER), ("inner.o", INNER)] {
        scratch.compile_with(object, text, &["-g", "-O0"]);
    }
    scratch
}

fn with_objects<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [options, &["main.o", "outer.o", "inner.o"]].concat()
}

fn a_breakpoint_in_a_lazy_function_shows_who_called_it() {
    let scratch = lazy();
    let script = [FOLLOW, "break lazy_inner", "run", "backtrace", "finish"];
    let again = ["continue", "backtrace"];
    for options in EXECUTORS {
        gdb(
            &scratch,
            &[&script[..], &again].concat(),
            &with_objects(options),
        )
        .has(&[
            "#0  lazy_inner (x=0) at inner.c:2",
            "in lazy_outer (x=0) at outer.c:3",
            "in call_outer (x=0) at main.c:3",
            "in main () at main.c:9",
            "Value returned is $1 = 0",
            "#0  lazy_inner (x=1) at inner.c:2",
            "in lazy_outer (x=1) at outer.c:3",
            "in call_outer (x=1) at main.c:3",
            "in main () at main.c:9",
        ]);
    }
}

fn a_backtrace_goes_through_a_first_call() {
    let scratch = lazy();
    // While the function is being linked, the runtime waits for it.
    let script = [
        FOLLOW,
        "break __orc_rt_resolve",
        "run",
        "continue",
        "backtrace",
        "up 2",
        "print x",
    ];
    for options in EXECUTORS {
        gdb(&scratch, &script, &with_objects(options)).has(&[
            "#0  0x",
            "in __orc_rt_resolve ()",
            "#1  0x",
            "in __orc_rt_sysv_reenter ()",
            "#2  0x",
            "in lazy_outer (x=0) at outer.c:3",
            "in call_outer (x=0) at main.c:3",
            "in main () at main.c:9",
            "$1 = 0",
        ]);
    }
}

fn a_step_leads_through_a_stub() {
    let scratch = lazy();
    let script = [
        "break call_outer if x == 1",
        "run",
        "step",
        "step",
        "backtrace",
        "delete",
        // Into the stub itself.
        "tbreak main.c:9",
        "continue",
        "step",
        "stepi",
        "stepi",
        "stepi",
        "backtrace 2",
        "continue",
    ];
    gdb(&scratch, &script, &with_objects(EXECUTORS[0])).has(&[
        "call_outer (x=1) at main.c:3",
        "lazy_outer (x=1) at outer.c:3",
        "lazy_inner (x=1) at inner.c:2",
        "#0  lazy_inner (x=1) at inner.c:2",
        "in lazy_outer (x=1) at outer.c:3",
        "in main () at main.c:9",
        "in stub of lazy_outer ()",
        "in stub of lazy_outer ()",
        "in call_outer (x=2) at main.c:3",
        "exited normally",
    ]);
}

/// The part of the program that is debugged, if this is its process.
pub fn be_debugged() -> Option<ExitCode> {
    let wanted = env::var(REPLACE).ok()?;
    let mut builder = Jit::builder().debug();
    if wanted == "spawned" {
        let executor = Executor::options().debug().spawn();
        builder = builder.executor(executor.expect("an executor"));
    }
    let jit = builder.build().expect("a JIT");
    let app = jit.dylib("app").expect("a dylib");
    app.allow_replacement();
    let tracker = app.tracker();
    tracker.add_object_file("old.o").expect("an object");
    app.add_object_file("caller.o").expect("an object");
    let enter = app.symbol("enter").expect("is linked");
    // SAFETY: a wrapper function, by its source.
    unsafe { jit.call_wrapper(&enter, b"12") }.expect("it returns");
    let bytes = std::fs::read("new.o").expect("an object");
    let new = jit.objects().read("new.o", bytes).expect("an object");
    // SAFETY: the new function is called as the old one was.
    let old = unsafe { tracker.replace(&[new], ReplaceOptions::default()) };
    drop(old.expect("it is replaced"));
    // SAFETY: as above.
    unsafe { jit.call_wrapper(&enter, b"123") }.expect("it returns");
    Some(ExitCode::SUCCESS)
}

fn check_replaced(executor: &str) {
    let scratch = Scratch::new();
    for (object, text) in [("old.o", OLD), ("new.o", NEW), ("caller.o", CALLER)] {
        scratch.compile_with(object, text, &["-g", "-O0"]);
    }
    let program = env::current_exe().expect("this program").into_os_string();
    let variable = format!("set environment {REPLACE} {executor}");
    let follow = match executor {
        "spawned" => FOLLOW,
        _ => "set follow-fork-mode parent",
    };
    let script = [
        variable.as_str(),
        follow,
        "break replaced_function",
        "run",
        "backtrace",
        "continue",
        "next",
        "print more",
        "backtrace",
        "continue",
    ];
    gdb_with(&scratch, &script, ["--args".into(), program]).has(&[
        "#0  replaced_function (x=2) at old.c:2",
        "in enter (data=",
        "size=2) at caller.c:4",
        "replaced_function (x=3) at new.c:2",
        "$1 = 13",
        "#0  replaced_function (x=3) at new.c:3",
        "in enter (data=",
        "size=3) at caller.c:4",
        "exited normally",
    ]);
}

fn replaced_functions_have_their_callers_and_lines() {
    check_replaced("here");
}

fn replaced_functions_in_an_executor_have_their_callers_and_lines() {
    check_replaced("spawned");
}

/// Addresses of the frames of each sample, from the innermost on, as `perf script` prints them.
fn samples(text: &str) -> Vec<Vec<u64>> {
    let sample = |lines: &str| {
        let words = lines
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        words
            .filter_map(|word| u64::from_str_radix(word, 16).ok())
            .collect()
    };
    text.split("\n\n").map(sample).collect()
}

fn call_graphs_lead_through_stubs() {
    /// More than `main` has, in bytes.
    const MAIN_SIZE: u64 = 256;
    let scratch = Scratch::new();
    for (object, text) in [("spin.o", SPIN), ("busy.o", BUSY)] {
        scratch.compile_with(object, text, &["-O1", "-fno-omit-frame-pointer"]);
    }
    let run = |words: &[&str], more: &[OsString]| {
        let words = words.iter().map(OsString::from);
        let made = Invocation::new(words.chain(more.iter().cloned())).run_in(scratch.path());
        made.expect("it starts")
    };
    let own = [
        "perf",
        "record",
        "-e",
        "cpu-clock",
        "--call-graph=fp",
        "-o",
        "samples",
    ];
    if run(&own, &["true".into()]).ending != Ending::Exit(0) {
        return eprintln!("this system lets nobody sample (/proc/sys/kernel/perf_event_paranoid)");
    }
    let command = orc_jit()
        .expect("these tests need the command")
        .into_os_string();
    let words = ["run", "--lazy", "spin.o", "busy.o"].map(OsString::from);
    let recorded = run(&own, &[&[command][..], &words].concat());
    let printed = String::from_utf8_lossy(&recorded.stdout);
    let main = printed.lines().find_map(|line| line.strip_prefix("0x"));
    let main = main.and_then(|word| u64::from_str_radix(word, 16).ok());
    let main = main.unwrap_or_else(|| panic!("{recorded:?}"));
    let script = run(&["perf", "script", "-i", "samples", "-F", "ip"], &[]);
    let samples = samples(&String::from_utf8_lossy(&script.stdout));
    // Those of the busy function: it is called by `around`, through a stub, and that by `main`.
    let in_main = |address: &u64| (main..main + MAIN_SIZE).contains(address);
    let deep = samples
        .iter()
        .filter(|frames| frames.iter().skip(2).any(in_main));
    let (deep, all) = (deep.count(), samples.len());
    assert!(
        deep > 100 && deep * 2 > all,
        "{deep} of {all} lead to main: {samples:x?}"
    );
}
