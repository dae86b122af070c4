//! lldb, with programs in its own process and in one that this starts.

use tests::needs::Tests;

use crate::programs::{SHAPES, SORT, SUM, compiled, with_rust};
use crate::session::lldb;

/// The tests of this file.
pub fn add(tests: &mut Tests) {
    tests::add_tests!(
        tests,
        ["lldb-22"],
        lldb_stops_steps_and_prints,
        lldb_goes_through_a_function_of_the_c_library,
        lldb_has_methods_and_values,
        lldb_catches_a_throw,
        lldb_has_values_and_frames_of_rust,
        lldb_follows_a_spawned_executor,
        lldb_follows_rust_in_a_spawned_executor,
    );
}

fn lldb_stops_steps_and_prints() {
    let scratch = compiled("sort.o", SORT);
    let script = [
        "breakpoint set --name sum_for_debuggers",
        "breakpoint set --file sort.c --line 13",
        "run",
        "frame variable a b",
        "next",
        "frame variable sum",
        "continue",
        "print counter",
        "up",
        "frame variable total",
        "continue",
    ];
    lldb(&scratch, &script, &["run", "--debug", "sort.o"]).has(&[
        "sum_for_debuggers(a=1, b=41) at sort.c:11",
        "(int) a = 1",
        "(int) b = 41",
        "stop reason = step over",
        "(int) sum = 42",
        "at sort.c:13",
        "(int) 49",
        "main(argc=1",
        "(int) total = ",
        "exited with status = 0",
    ]);
}

fn lldb_goes_through_a_function_of_the_c_library() {
    let scratch = compiled("sort.o", SORT);
    let script = ["breakpoint set --name compare_pairs", "run", "bt"];
    lldb(&scratch, &script, &["run", "--debug", "sort.o"]).has(&[
        "frame #0: ",
        "compare_pairs(a=",
        "qsort",
        "main(argc=1",
        "at sort.c:18",
    ]);
}

fn lldb_has_methods_and_values() {
    let scratch = compiled("cxxshapes.o", SHAPES);
    let script = [
        "breakpoint set --name Square::area",
        "run",
        "frame variable *this",
        "bt",
    ];
    lldb(&scratch, &script, &["run", "--debug", "cxxshapes.o"]).has(&[
        "Square::area(this=",
        "side = 3",
        "check(shape=",
        "main at cxxshapes.cpp:20",
    ]);
}

fn lldb_catches_a_throw() {
    let scratch = compiled("cxxshapes.o", SHAPES);
    let script = [
        "breakpoint set --language-exception c++ --on-catch false",
        "run",
        "bt",
    ];
    lldb(&scratch, &script, &["run", "--debug", "cxxshapes.o"]).has(&[
        "__cxa_throw",
        "check(shape=",
        "at cxxshapes.cpp:14",
        "main at cxxshapes.cpp:20",
    ]);
}

fn lldb_has_values_and_frames_of_rust() {
    let scratch = tests::scratch::Scratch::new();
    scratch.write("sum.rs", SUM);
    let script = [
        "breakpoint set --file sum.rs --line 6",
        "run",
        "frame variable total",
        "bt",
    ];
    lldb(&scratch, &script, &["run", "--debug", "sum.rs"]).has(&[
        "sum::sum",
        "at sum.rs:6",
        "total = 42",
        "sum::main",
        "at sum.rs:10",
    ]);
}

/// What has lldb follow an executor that is started.
const FOLLOW: [&str; 2] = [
    "settings set target.process.follow-fork-mode child",
    "settings set target.process.stop-on-exec false",
];

fn lldb_follows_a_spawned_executor() {
    let scratch = compiled("sort.o", SORT);
    let own = [
        "breakpoint set --file sort.c --line 7",
        "run",
        "bt",
        "frame variable difference",
    ];
    let script = [&FOLLOW[..], &own].concat();
    let arguments = ["run", "--executor=spawn", "--debug", "sort.o"];
    lldb(&scratch, &script, &arguments).has(&[
        "compare_pairs(a=",
        "qsort",
        "main(argc=1",
        "at sort.c:18",
        "(int) difference = ",
    ]);
}

fn lldb_follows_rust_in_a_spawned_executor() {
    let scratch = with_rust();
    let own = [
        "breakpoint set --file total.rs --line 7",
        "run",
        "frame variable total",
        "bt",
    ];
    let script = [&FOLLOW[..], &own].concat();
    let arguments = ["run", "--executor=spawn", "--debug", "main.o", "libtotal.a"];
    let texts = ["rust_total", "total = 45", "main at main.c:2"];
    lldb(&scratch, &script, &arguments).has(&texts);
}
