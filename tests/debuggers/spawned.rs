//! gdb, with programs in an executor that this command starts, with running programs, and with core files.

use std::fs;
use std::path::PathBuf;

use tests::needs::Tests;
use tests::scratch::Scratch;

use crate::programs::{CRASH, SHAPES, SORT, TICKS, compiled, with_rust};
use crate::session::{Running, Transcript, gdb, gdb_with, lldb_with, shell};

/// What has gdb follow an executor that is started.
const FOLLOW: &str = "set follow-fork-mode child";

/// The tests of this file.
pub fn add(tests: &mut Tests) {
    tests::add_tests!(
        tests,
        ["gdb"],
        a_spawned_executor_is_followed,
        a_throw_is_caught_in_a_spawned_executor,
        rust_in_a_spawned_executor,
        a_running_program_is_attached_to,
        a_spawned_program_is_attached_to,
        a_core_file_has_frames_and_values,
        a_core_file_of_an_executor_has_frames_and_values,
    );
    tests::add_tests!(
        tests,
        ["lldb-22"],
        lldb_is_attached_to_programs,
        lldb_reads_core_files,
    );
}

fn a_spawned_executor_is_followed() {
    let scratch = compiled("sort.o", SORT);
    let script = [
        FOLLOW,
        "break sum_for_debuggers",
        "break compare_pairs",
        "run",
        "next",
        "print sum",
        "continue",
        "backtrace",
    ];
    let arguments = ["run", "--executor=spawn", "--debug", "sort.o"];
    gdb(&scratch, &script, &arguments).has(&[
        "sum_for_debuggers (a=1, b=41) at sort.c:11",
        "$1 = 42",
        "#0  compare_pairs (",
        "qsort",
        "main (argc=1, argv=",
    ]);
}

fn a_throw_is_caught_in_a_spawned_executor() {
    let scratch = compiled("cxxshapes.o", SHAPES);
    let script = [
        FOLLOW,
        "break Square::area",
        "run",
        "print *this",
        "catch throw",
        "continue",
        "backtrace",
    ];
    let arguments = ["run", "--executor=spawn", "--debug", "cxxshapes.o"];
    gdb(&scratch, &script, &arguments).has(&[
        "Square::area (this=",
        "side = 3",
        "exception thrown",
        "check (shape=",
        "main () at cxxshapes.cpp:20",
    ]);
}

fn rust_in_a_spawned_executor() {
    let scratch = with_rust();
    let script = [
        FOLLOW,
        "break total.rs:7",
        "run",
        "print total",
        "backtrace",
    ];
    let arguments = ["run", "--executor=spawn", "--debug", "main.o", "libtotal.a"];
    gdb(&scratch, &script, &arguments).has(&[
        "rust_total (count=5) at total.rs:7",
        "$1 = 45",
        "main () at main.c:2",
    ]);
}

/// What gdb finds in a program that ticks.
fn attach_gdb(scratch: &Scratch, pid: u32) -> Transcript {
    let script = [
        "break ticks.c:5",
        "continue",
        "backtrace",
        "print ticks > 0",
        "detach",
    ];
    let arguments = ["-p".into(), pid.to_string().into()];
    gdb_with(scratch, &script, arguments)
}

const TICKING: &[&str] = &[
    "tick (by=1) at ticks.c:5",
    "main () at ticks.c:8",
    "$1 = 1",
    "detached",
];

fn a_running_program_is_attached_to() {
    let scratch = compiled("ticks.o", TICKS);
    let running = Running::start(&scratch, &["run", "--debug", "ticks.o"]);
    attach_gdb(&scratch, running.pid()).has(TICKING);
}

fn a_spawned_program_is_attached_to() {
    let scratch = compiled("ticks.o", TICKS);
    let running = Running::start(&scratch, &["run", "--executor=spawn", "--debug", "ticks.o"]);
    attach_gdb(&scratch, running.child()).has(TICKING);
}

fn lldb_is_attached_to_programs() {
    let scratch = compiled("ticks.o", TICKS);
    for executor in ["-Wl,--as-needed", "--executor=spawn"] {
        let running = Running::start(&scratch, &["run", executor, "--debug", "ticks.o"]);
        let pid = match executor {
            "--executor=spawn" => running.child(),
            _ => running.pid(),
        };
        let attach = format!("process attach --pid {pid}");
        let script = [
            attach.as_str(),
            "breakpoint set --file ticks.c --line 5",
            "continue",
            "bt",
            "frame variable by",
            "detach",
        ];
        let texts = [
            "tick(by=1) at ticks.c:5",
            "main at ticks.c:8",
            "(int) by = 1",
            "detached",
        ];
        lldb_with(&scratch, &script, []).has(&texts);
    }
}

/// Lets a program crash, and returns the file of its process's program, and its core file.
fn crash(scratch: &Scratch, executor: &[&str]) -> Option<(PathBuf, PathBuf)> {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.starts_with('|') || pattern.contains('/') {
        eprintln!("this system sends core files elsewhere: {}", pattern.trim());
        return None;
    }
    let arguments = [&["run", "--debug"], executor, &["crash.o"]].concat();
    shell(scratch, "ulimit -c unlimited; \"$@\"", &arguments);
    let files = fs::read_dir(scratch.path()).expect("a directory");
    let mut names = files.map(|file| file.expect("an entry").path());
    let is_core = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == "core" || name.starts_with("core.")
    };
    let core = names.find(is_core).expect("a core file");
    let program = match executor {
        [] => tests::compare::orc_jit().expect("these tests need the command"),
        _ => {
            let cache = fs::read_dir(scratch.file("cache/orc-jit")).expect("the user's cache");
            let mut files = cache.map(|file| file.expect("an entry").path());
            files.next().expect("the executor's file")
        }
    };
    Some((program, core))
}

const CRASHED: &[&str] = &[
    "fall (where=0x0) at crash.c:2",
    "main () at crash.c:3",
    "$1 = 3",
];

fn a_core_file_has_frames_and_values() {
    check_core_file(&[]);
}

fn a_core_file_of_an_executor_has_frames_and_values() {
    check_core_file(&["--executor=spawn"]);
}

fn check_core_file(executor: &[&str]) {
    let scratch = compiled("crash.o", CRASH);
    let Some((program, core)) = crash(&scratch, executor) else {
        return;
    };
    let script = ["backtrace", "print depth"];
    let transcript = gdb_with(&scratch, &script, [program.into(), core.into()]);
    transcript.has(CRASHED);
}

fn lldb_reads_core_files() {
    let scratch = compiled("crash.o", CRASH);
    let Some((program, core)) = crash(&scratch, &["--executor=spawn"]) else {
        return;
    };
    let load = format!(
        "target create {} --core {}",
        program.display(),
        core.display()
    );
    let script = [load.as_str(), "bt", "print depth"];
    lldb_with(&scratch, &script, []).has(&[
        "fall(where=0x0000000000000000) at crash.c:2",
        "main at crash.c:3",
        "(int) 3",
    ]);
}
