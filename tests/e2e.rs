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
use tests::needs::Tests;
use tests::target::target;
use tests::toolchain::{Compiler, Mode, compilers, families, mode};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let cases = read_all(&programs).unwrap_or_else(|error| panic!("{error}"));
    if !arguments.list {
        // Built before the first trial, so that no trial waits for it.
        orc_jit();
    }
    let mut tests = Tests::default();
    let mut trials: Vec<(&Executor, Trial)> = Vec::new();
    for case in cases.iter().filter(|case| case.is_for(target().name)) {
        trials.extend(trials_of(case, &mut tests));
    }
    // Trials of one directory wait for each other, so they are kept apart.
    trials.sort_by_key(|(executor, _)| EXECUTORS.iter().position(|it| it == *executor));
    for (_, trial) in trials {
        tests.add(trial);
    }
    tests.run(&arguments)
}

/// One trial per compiler, mode and executor; `tests` takes those that lack something.
fn trials_of(case: &Case, tests: &mut Tests) -> Vec<(&'static Executor, Trial)> {
    let mut trials = Vec::new();
    let every_lazy = std::env::var_os("ORC_TEST_EVERY_LAZY").is_some();
    for family in families().into_iter().filter(|family| case.wants(family)) {
        let compiler = compilers().iter().find(|it| it.name == family);
        for mode in modes(case) {
            let name = format!("{}::{family}-{}", case.name, mode.name);
            let needs = || {
                [family]
                    .into_iter()
                    .chain(case.needs.iter().map(String::as_str))
            };
            let can_run = |executor: &&&'static Executor| {
                let name = format!("{name}::{}", executor.name);
                match target().cannot_run(&case.name, executor) {
                    None => tests.can_run(&name, needs()),
                    Some(why) => tests.ignore(&name, why),
                }
            };
            // Lazily in one mode, unless all are asked for.
            let lazy = every_lazy || (family == "gcc" && mode.name == "default");
            let wanted = |executor: &&&'static Executor| lazy || !executor.is_lazy();
            let executors = case.executors.iter().filter(wanted);
            let executors: Vec<_> = executors.filter(can_run).collect();
            if let Some(compiler) = compiler {
                trials.extend(trials_in(case, compiler, mode, &executors));
            }
        }
    }
    trials
}

/// The modes of a case: those that it asks for, or the target's. Of these, a case that asks for one alone has
/// that one, or the first.
fn modes(case: &Case) -> Vec<&'static Mode> {
    let own: Vec<_> = target().modes.iter().filter_map(|it| mode(it)).collect();
    let is_asked = |it: &&Mode| case.modes.iter().any(|asked| asked.name == it.name);
    match (&case.modes[..], own.first()) {
        (_, None) => case.modes.clone(),
        ([_], Some(first)) => vec![own.iter().copied().find(is_asked).unwrap_or(first)],
        _ => own,
    }
}

/// A trial in each of the executors.
fn trials_in(
    case: &Case,
    compiler: &'static Compiler,
    mode: &'static Mode,
    executors: &[&&'static Executor],
) -> Vec<(&'static Executor, Trial)> {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let cache = cache.join(match target().is_here {
        true => "e2e",
        false => target().name,
    });
    // Programs write files where they run: one at a time.
    let place = Arc::new(Mutex::new(None));
    let trial = |executor: &&&'static Executor| {
        let (case, cache, executor) = (case.clone(), cache.clone(), **executor);
        let place = place.clone();
        let name = format!(
            "{}::{}-{}::{}",
            case.name, compiler.name, mode.name, executor.name
        );
        let run = move || {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            let build = || build(&case, compiler, mode, &cache).map_err(|e| e.to_string());
            let built: &mut Result<_, String> = place.get_or_insert_with(build);
            let built = built.as_ref().map_err(Failed::from)?;
            let outcome = check(&case, built, executor);
            conformance::record(&case, built, outcome.is_ok());
            outcome.map_err(Failed::from)
        };
        (executor, Trial::test(name, run))
    };
    executors.iter().map(trial).collect()
}
