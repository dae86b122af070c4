//! Our controller with LLVM 22's executor: programs with default flags behave as linked ones there.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::Arguments;
use tests::build::build;
use tests::case::{Case, Executor, read_all};
use tests::compare::check;
use tests::needs::Tests;
use tests::toolchain::compilers;

const LLVM: Executor = Executor {
    name: "llvm",
    flags: &["--executor=llvm"],
};

fn case(name: &str) -> Case {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let cases = read_all(&programs).expect("the cases can be read");
    let mut cases = cases.into_iter().filter(|case| case.name == name);
    cases.next().expect("there is such a case")
}

/// Runs a case in LLVM's executor, compiled in all its modes by all compilers.
#[track_caller]
fn behaves_as_linked(name: &str) {
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

/// What is run there, and the case that shows it.
const CASES: [(&str, &str); 3] = [
    ("a_tour_of_cxx", "tour"),
    ("thread_locals_at_fixed_offsets", "tls/local_exec"),
    (
        "exceptions_through_the_c_library",
        "exceptions/through_c_code",
    ),
];

fn main() -> ExitCode {
    let mut tests = Tests::default();
    for (name, case) in CASES {
        tests.add_if(name, ["llvm-jitlink-executor-22"], || {
            behaves_as_linked(case)
        });
    }
    tests.run(&Arguments::from_args())
}
