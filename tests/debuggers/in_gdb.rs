//! gdb, with programs in its own process.

use tests::needs::Tests;

use crate::programs::{SHAPES, SORT, SUM, compiled};
use crate::session::gdb;

/// The tests of this file.
pub fn add(tests: &mut Tests) {
    tests::add_tests!(
        tests,
        ["gdb"],
        breakpoints_by_name_and_line_wait_for_the_program,
        a_backtrace_goes_through_a_function_of_the_c_library,
        methods_templates_and_initializers_have_names,
        a_throw_is_caught,
        rust_has_values_and_frames,
        sources_are_compiled_with_debug_information,
        a_debugger_that_is_there_is_enough,
        symbols_are_there_without_debug_information,
    );
}

fn breakpoints_by_name_and_line_wait_for_the_program() {
    let scratch = compiled("sort.o", SORT);
    let script = [
        "break sum_for_debuggers",
        "break sort.c:13",
        "run",
        "info args",
        "next",
        "print sum",
        "print counter",
        "continue",
        "print counter",
        "up",
        "print pairs[1].right",
        "continue",
    ];
    gdb(&scratch, &script, &["run", "--debug", "sort.o"]).has(&[
        "sum_for_debuggers (a=1, b=41) at sort.c:11",
        "a = 1\nb = 41\n",
        "counter += sum;",
        "$1 = 42",
        "$2 = 7",
        "sort.c:13",
        "$3 = 49",
        "main (argc=1, argv=",
        "$4 = 2",
        "42 1",
        "exited normally",
    ]);
}

fn a_backtrace_goes_through_a_function_of_the_c_library() {
    let scratch = compiled("sort.o", SORT);
    let script = [
        "break compare_pairs",
        "run",
        "backtrace",
        "print *(struct pair *)b",
        "finish",
    ];
    gdb(&scratch, &script, &["run", "-g", "sort.o"]).has(&[
        "#0  compare_pairs (",
        "qsort",
        " in main (argc=1, argv=",
        ") at sort.c:18",
        "= {left = ",
        "Value returned is",
    ]);
}

fn methods_templates_and_initializers_have_names() {
    let scratch = compiled("cxxshapes.o", SHAPES);
    let script = [
        "break Square::area",
        "break twice<int>",
        "run",
        "backtrace",
        "continue",
        "print *this",
        "backtrace",
        "delete",
        "continue",
    ];
    gdb(&scratch, &script, &["run", "--debug", "cxxshapes.o"]).has(&[
        "twice<int> (value=4) at cxxshapes.cpp:9",
        "_GLOBAL__sub_I",
        "Square::area (this=",
        "vtable for Square",
        "side = 3",
        "check (shape=",
        "main () at cxxshapes.cpp:20",
        "too large",
    ]);
}

fn a_throw_is_caught() {
    let scratch = compiled("cxxshapes.o", SHAPES);
    let script = [
        "catch throw",
        "catch catch",
        "run",
        "backtrace",
        "continue",
        "backtrace",
    ];
    gdb(&scratch, &script, &["run", "--debug", "cxxshapes.o"]).has(&[
        "exception thrown",
        "check (shape=",
        "at cxxshapes.cpp:14",
        "main () at cxxshapes.cpp:20",
        "exception caught",
        "main () at cxxshapes.cpp:21",
    ]);
}

fn rust_has_values_and_frames() {
    let scratch = tests::scratch::Scratch::new();
    scratch.write("sum.rs", SUM);
    let script = [
        "break sum::sum",
        "break sum.rs:6",
        "run",
        "info args",
        "backtrace",
        "continue",
        "print total",
        "continue",
    ];
    gdb(&scratch, &script, &["run", "--debug", "sum.rs"]).has(&[
        "sum::sum (values=",
        "at sum.rs:2",
        "values = &[u32] [1, 2, 39]",
        "sum::main () at sum.rs:10",
        "std::rt::lang_start",
        "sum.rs:6",
        "$1 = 42",
        "42\n",
        "exited normally",
    ]);
}

fn sources_are_compiled_with_debug_information() {
    let scratch = tests::scratch::Scratch::new();
    scratch.write("sort.c", SORT);
    let script = ["break sort.c:12", "run", "print sum"];
    gdb(&scratch, &script, &["run", "--debug", "sort.c"]).has(&["sort.c:12", "$1 = 42"]);
}

fn a_debugger_that_is_there_is_enough() {
    let scratch = compiled("sort.o", SORT);
    let script = ["break sort.c:12", "run", "print sum"];
    gdb(&scratch, &script, &["run", "sort.o"]).has(&["sort.c:12", "$1 = 42"]);
    gdb(
        &scratch,
        &["break sort.c:12", "run"],
        &["run", "-g0", "sort.o"],
    )
    .has(&["sort.c:12"]);
}

fn symbols_are_there_without_debug_information() {
    let scratch = tests::scratch::Scratch::new();
    scratch.compile_with("sort.o", SORT, &["-O0", "-g0"]);
    let script = [
        "break compare_pairs",
        "run",
        "backtrace",
        "info line compare_pairs",
    ];
    gdb(&scratch, &script, &["run", "--debug", "sort.o"]).has(&[
        " in compare_pairs ()",
        "qsort",
        " in main ()",
        "No line number information",
    ]);
}
