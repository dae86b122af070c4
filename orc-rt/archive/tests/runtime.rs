//! The runtime, linked by the system's linker with a controller in C++ that checks its promises.

mod built;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// How a program starts, whatever it does then.
const START: &str = "\
init: 2 ./program argument, environment same
second init
main: 2 argument
";

/// How it ends, once the thread-locals of the thread that ends it are destroyed.
const END: &str = "\
exit handler that registers another
the other
exit handler of main
exit handler of an initializer
last fini runs first
first fini runs last
";

/// What the process does after that.
const HOST: &str = "exit handler of the host\n";

const MAIN_THREAD: &str = "thread-local of main\n";

/// The C++ controller, linked with the archive.
fn controller() -> &'static Path {
    static CONTROLLER: OnceLock<PathBuf> = OnceLock::new();
    CONTROLLER.get_or_init(build_controller)
}

fn build_controller() -> PathBuf {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let (archive, program) = (
        built::directory().join("liborc_rt.a"),
        built::directory().join("controller"),
    );
    std::fs::write(&archive, built::archive()).expect("the archive is written");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/controller.cpp");
    let mut command = Command::new(&compiler);
    command.args(["-std=c++17", "-O1", "-pthread", "-o"]);
    let output = command
        .arg(&program)
        .args([&source, &archive])
        .arg("-ldl")
        .output();
    let output = output.unwrap_or_else(|error| panic!("no C++ compiler: {compiler}: {error}"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    program
}

/// Runs a mode of the controller, and compares what it prints and how it ends.
#[track_caller]
fn check(mode: &str, status: i32, expected: &str) {
    let output = Command::new(controller())
        .arg(mode)
        .output()
        .expect("it starts");
    let (printed, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(printed, expected, "{errors}");
    assert_eq!(output.status.code(), Some(status), "{errors}");
}

#[test]
fn main_returns_to_the_controller() {
    check(
        "return",
        0,
        &[START, MAIN_THREAD, END, "returned 3\n", HOST].concat(),
    );
}

#[test]
fn main_returns_and_the_process_ends() {
    check("then-exit", 3, &[START, MAIN_THREAD, END, HOST].concat());
}

#[test]
fn the_program_calls_exit() {
    check("exit", 4, &[START, MAIN_THREAD, END, HOST].concat());
}

#[test]
fn a_thread_of_the_program_calls_exit() {
    let thread = "thread-local of the exiting thread\n";
    check("exit-in-thread", 5, &[START, thread, END, HOST].concat());
}

#[test]
fn a_forked_child_ends_like_its_parent() {
    let once = [MAIN_THREAD, END, HOST].concat();
    check("fork", 3, &[START, &once, "child: 6\n", &once].concat());
}

#[test]
fn the_main_thread_ends_before_the_others() {
    check(
        "pthread-exit",
        0,
        &[START, "the last thread\n", END, HOST].concat(),
    );
}

#[test]
fn dylibs_open_dependencies_first_and_close_in_reverse() {
    check(
        "open-and-close",
        0,
        "\
+ bottom
+ right
nested open works
+ left
+ top
handle is the header
again: 1
+ bottom's new initializer
update: 0
known: 1
unknown: (nil)
dlerror: cannot look up 'unknown': there is no unknown
dlerror is cleared: 1
no such dylib: (nil)
dlerror: no JIT dylib is named 'nowhere'
wrapper's dlerror: no JIT dylib is named 'nowhere'
close: 0
closing for good
- top
- top's handler
- left
- right
close: 0
- bottom
the nested opening is left: 0
close once too often: -1
dlerror: JIT dylib 'top' is not open
open anew
+ bottom
+ bottom's new initializer
leaving
- bottom
",
    );
}

#[test]
fn nothing_runs_once_its_code_is_gone() {
    check(
        "forget",
        0,
        "\
leaving
",
    );
}

#[test]
fn handlers_in_a_removed_range_run_before_it_is_freed() {
    check(
        "finalize-range",
        0,
        "\
handler in the removed range
threads pending in range: 1
closing
handler in the removed range
handler outside of it
threads pending: 0
leaving
",
    );
}

#[test]
fn exit_handlers_run_where_the_start_up_file_has_its_entry() {
    check(
        "marked-finalizers",
        0,
        "\
plain finalizer
exit handler
prioritized finalizer
",
    );
}

#[test]
fn bad_requests_are_answered_with_errors() {
    check(
        "bad-requests",
        0,
        "\
same header: cannot register JIT dylib 'other':
truncated: wrapper arguments cannot be read: SPS data truncated at byte 8: 1000 bytes needed, 0 left
unknown header: no JIT dylib has its header at 0x0
unknown frames: no .eh_frame section is registered
plain wrapper: out of band: wrapper arguments cannot be read: SPS data truncated at byte 0: 8 bytes needed, 1 left
absent program: -1
",
    );
}

#[test]
fn forks_do_not_inherit_a_taken_lock() {
    check(
        "fork-under-load",
        0,
        "\
200 children ended
",
    );
}

#[test]
fn each_thread_has_its_copy_of_thread_data() {
    check(
        "thread-locals",
        0,
        "\
thread: 3
main: 30, template: 3, aligned: 1
new: 3
",
    );
}

#[test]
fn lazy_calls_and_descriptors_keep_all_registers() {
    check(
        "registers",
        0,
        "\
lazy call: registers kept
stack at the target: as after a call
reoptimize: registers kept
descriptor: registers kept
offset: right
",
    );
}
