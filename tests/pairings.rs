//! Our controller with LLVM 22's executor: programs with default flags behave as linked ones there.

use std::path::{Path, PathBuf};

use tests::build::build;
use tests::case::{Case, Executor, read_all};
use tests::compare::check;
use tests::in_ci;
use tests::toolchain::{compilers, find_program};

const LLVM: Executor = Executor {
    name: "llvm",
    flags: &["--executor=llvm"],
};

/// Whether LLVM's executor is installed.
fn has_executor() -> bool {
    let found = find_program("llvm-jitlink-executor-22").is_some();
    assert!(found || !in_ci(), "CI needs llvm-jitlink-executor-22");
    found
}

fn case(name: &str) -> Case {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let cases = read_all(&programs).expect("the cases can be read");
    let mut cases = cases.into_iter().filter(|case| case.name == name);
    cases.next().expect("there is such a case")
}

/// Runs a case in LLVM's executor, compiled in all its modes by all compilers.
#[track_caller]
fn behaves_as_linked(name: &str) {
    if !has_executor() {
        return;
    }
    let case = case(name);
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("e2e");
    for compiler in compilers() {
        for mode in case.modes.iter().filter(|_| case.wants(compiler.name)) {
            let built = build(&case, compiler, mode, &cache).expect("it builds");
            let outcome = check(&case, &built, &LLVM);
            assert_eq!(outcome, Ok(()), "{name}::{}-{}", compiler.name, mode.name);
        }
    }
}

#[test]
fn a_tour_of_cxx() {
    behaves_as_linked("tour");
}

#[test]
fn thread_locals_at_fixed_offsets() {
    behaves_as_linked("tls/local_exec");
}

#[test]
fn exceptions_through_the_c_library() {
    behaves_as_linked("exceptions/through_c_code");
}
