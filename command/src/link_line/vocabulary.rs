//! Options of compilers and their drivers, by what becomes of them.

/// Options that ask a compiler for something else than a program, and for what.
pub(super) const NOT_LINKING: &[(&str, &str)] = &[
    ("-c", "objects"),
    ("-S", "assembly code"),
    ("-E", "preprocessed sources"),
    ("-M", "the names of included files"),
    ("-MM", "the names of included files"),
    ("-fsyntax-only", "a check of sources"),
];

/// Options of compilers that take their value from the next argument and change nothing here.
pub(super) const IGNORED_WITH_VALUE: &[&str] = &[
    "-B",
    "-MF",
    "-MT",
    "-MQ",
    "--param",
    "-Xassembler",
    "-target",
    "-arch",
    "-specs",
];

/// Compile options that take their value from the next argument.
pub(super) const COMPILE_WITH_VALUE: &[&str] = &[
    "-I",
    "-D",
    "-U",
    "-include",
    "-imacros",
    "-isystem",
    "-iquote",
    "-idirafter",
    "-Xclang",
    "-Xpreprocessor",
];

/// Options of `rustc`, which no compiler of C has, with the value joined or in the next word.
pub(super) const RUST_OPTIONS: &[&str] = &[
    "--edition",
    "--cfg",
    "--extern",
    "--codegen",
    "--crate-name",
];

/// Starts of options that matter only to compilers of source files.
pub(super) const COMPILE_PREFIXES: &[&str] = &[
    "-I",
    "-D",
    "-U",
    "-O",
    "-g",
    "-W",
    "-f",
    "-m",
    "-std=",
    "-pedantic",
    "-ansi",
    "-pthread",
    "-isystem",
    "-iquote",
    "-idirafter",
    "-include",
    "-stdlib=",
];

/// Starts of options about what compiler drivers link.
pub(super) const DRIVER_PREFIXES: &[&str] = &[
    "-static-lib",
    "-shared-lib",
    "-rtlib=",
    "--rtlib=",
    "-unwindlib=",
    "--unwindlib=",
];

/// Options that say how to write a file, and so nothing here.
pub(super) const IGNORED: &[&str] = &[
    "-s",
    "-pipe",
    "-save-temps",
    "-no-canonical-prefixes",
    "-dynamic",
    "-###",
];
