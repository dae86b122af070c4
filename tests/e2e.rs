//! Every program below `programs/`, compiled by every compiler in the modes it asks for, must
//! behave under `orc-jit run` as it does when the system's linker has linked it, in the process of
//! the JIT and in one of its own.
//!
//! `cargo test -p tests --test e2e -- tls` runs those with `tls` in their name.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use tests::build::build;
use tests::case::{Case, read_all};
use tests::compare::{check, orc_jit};
use tests::conformance;
use tests::in_ci;
use tests::toolchain::{compilers, is_installed};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let cases = read_all(&programs).unwrap_or_else(|error| panic!("{error}"));
    if !arguments.list {
        // Built before the first trial, so that no trial waits for it.
        orc_jit();
    }
    let trials = cases.into_iter().flat_map(trials).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// One trial per compiler, mode and executor; none if something that the case needs is not installed.
fn trials(case: Case) -> Vec<Trial> {
    let missing: Vec<_> = case
        .needs
        .iter()
        .filter(|need| !is_installed(need))
        .cloned()
        .collect();
    if !missing.is_empty() {
        let message = format!("{} needs {}", case.name, missing.join(", "));
        return if in_ci() {
            vec![Trial::test(case.name, move || Err(message.into()))]
        } else {
            Vec::new()
        };
    }
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("e2e");
    let mut trials = Vec::new();
    for compiler in compilers()
        .iter()
        .filter(|compiler| case.wants(compiler.name))
    {
        for mode in &case.modes {
            let name = format!("{}::{}-{}", case.name, compiler.name, mode.name);
            let built = Arc::new(OnceLock::new());
            for executor in &case.executors {
                let (case, cache, mode, executor) = (case.clone(), cache.clone(), *mode, *executor);
                let built = built.clone();
                let run = move || {
                    let build = || build(&case, compiler, mode, &cache).map_err(|e| e.to_string());
                    let built: &Result<_, String> = built.get_or_init(build);
                    let built = built.as_ref().map_err(Failed::from)?;
                    let outcome = check(&case, built, executor);
                    conformance::record(&case, built, outcome.is_ok());
                    outcome.map_err(Failed::from)
                };
                trials.push(Trial::test(format!("{name}::{}", executor.name), run));
            }
        }
    }
    trials
}
