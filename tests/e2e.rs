//! Every program below `programs/`, compiled by every compiler in the modes it asks for, must
//! behave under `orc-jit run` as it does when the system's linker has linked it, in the process of
//! the JIT and in one of its own.
//!
//! `cargo test -p tests --test e2e -- tls` runs those with `tls` in their name.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use tests::build::build;
use tests::case::{Case, EXECUTORS, Executor, read_all};
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
    let mut trials: Vec<(&Executor, Trial)> = cases.into_iter().flat_map(trials).collect();
    // Trials of one directory wait for each other, so they are kept apart.
    trials.sort_by_key(|(executor, _)| EXECUTORS.iter().position(|it| it == *executor));
    let trials = trials.into_iter().map(|(_, trial)| trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// One trial per compiler, mode and executor; none if something that the case needs is not installed.
fn trials(case: Case) -> Vec<(&'static Executor, Trial)> {
    let missing: Vec<_> = case
        .needs
        .iter()
        .filter(|need| !is_installed(need))
        .cloned()
        .collect();
    if !missing.is_empty() {
        let message = format!("{} needs {}", case.name, missing.join(", "));
        return if in_ci() {
            let trial = Trial::test(case.name, move || Err(message.into()));
            vec![(&EXECUTORS[0], trial)]
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
            // Programs write files where they run: one at a time.
            let place = Arc::new(Mutex::new(None));
            for executor in &case.executors {
                let (case, cache, mode, executor) = (case.clone(), cache.clone(), *mode, *executor);
                let place = place.clone();
                let run = move || {
                    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
                    let build = || build(&case, compiler, mode, &cache).map_err(|e| e.to_string());
                    let built: &mut Result<_, String> = place.get_or_insert_with(build);
                    let built = built.as_ref().map_err(Failed::from)?;
                    let outcome = check(&case, built, executor);
                    conformance::record(&case, built, outcome.is_ok());
                    outcome.map_err(Failed::from)
                };
                let name = format!("{name}::{}", executor.name);
                trials.push((executor, Trial::test(name, run)));
            }
        }
    }
    trials
}
