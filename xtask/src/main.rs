//! Tasks that CI and developers run: `cargo run -p xtask -- TASK`.

mod aarch64;
mod c_library;
mod checks;
mod command;
mod conformance;
mod cross;
mod failures;
mod faults;
mod fuzz;
mod macho_suite;
mod macos_libraries;
mod package;
mod runtime;
mod soak;
mod tour;

use std::io::Write as _;
use std::process::ExitCode;

use command::say;

/// A task: its name, what follows the name, what it does, and the function that does it.
struct Task {
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Result<(), String>,
}

const TASKS: &[Task] = &[
    Task {
        name: "tour",
        arguments: "",
        help: "compile the tour of C++ and run it, without linking it",
        run: tour::run,
    },
    Task {
        name: "ci",
        arguments: "",
        help: "all checks and tests, as continuous integration runs them",
        run: checks::all,
    },
    Task {
        name: "lint",
        arguments: "",
        help: "formatting, clippy and documentation",
        run: checks::lint,
    },
    Task {
        name: "test",
        arguments: "",
        help: "all tests",
        run: checks::test,
    },
    Task {
        name: "models",
        arguments: "",
        help: "sessions and stubs in many orders of events, which a scheduler chooses",
        run: checks::models,
    },
    Task {
        name: "bench",
        arguments: "[FILTER] [--rounds=N]",
        help: "the benchmarks, beside the linkers that are installed",
        run: checks::bench,
    },
    Task {
        name: "cross",
        arguments: "",
        help: "build runtime and executor for AArch64, beside the command that was built here",
        run: cross::run,
    },
    Task {
        name: "aarch64",
        arguments: "[smoke | FILTER]",
        help: "build for AArch64 and test in qemu: the executor's tests, programs end to end",
        run: aarch64::run,
    },
    Task {
        name: "conformance",
        arguments: "[aarch64]",
        help: "run the end-to-end tests, or take the last ones for AArch64, and write docs/CONFORMANCE.md",
        run: conformance::run,
    },
    Task {
        name: "macos-libraries",
        arguments: "[NAME…]",
        help: "run libraries of crates, compiled for macOS, on Linux; all write docs/macos-libraries.md",
        run: macos_libraries::run,
    },
    Task {
        name: "macho-suite",
        arguments: "DIRECTORY",
        help: "link what the Mach-O tests of a checkout of LLVM make, and write docs/macho-suite.md",
        run: macho_suite::run,
    },
    Task {
        name: "fuzz",
        arguments: "SECONDS [TARGET]",
        help: "feed damaged files to the parsers, each target for so long",
        run: fuzz::run,
    },
    Task {
        name: "faults",
        arguments: "[NUMBER]",
        help: "break that many sessions with executors in each of many ways (1000)",
        run: faults::run,
    },
    Task {
        name: "soak",
        arguments: "[PERCENT]",
        help: "let sessions, dylibs and objects come and go: what they leave behind",
        run: soak::run,
    },
    Task {
        name: "stress",
        arguments: "[ROUNDS]",
        help: "let 64 threads call 10,000 lazy functions first, here and in another process",
        run: soak::run_stress,
    },
    Task {
        name: "package",
        arguments: "[TARGET…]",
        help: "make the packages for a registry, and build a user's project of them elsewhere",
        run: package::run,
    },
    Task {
        name: "c-library",
        arguments: "PREFIX",
        help: "build the library for C, and install it with its header below PREFIX",
        run: c_library::run,
    },
    Task {
        name: "runtime",
        arguments: "FILE",
        help: "build the runtime's static archive and copy it to FILE",
        run: runtime::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        return ended("xtask", say(&help()));
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        report(&format!("xtask: no task `{name}`\n\n{}", help()));
        return ExitCode::from(2);
    };
    ended(&format!("xtask {name}"), (task.run)(rest))
}

/// The exit code of what was asked for.
fn ended(what: &str, result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            report(&format!("{what}: {message}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard error. Where that cannot be written to, the exit code says it alone.
fn report(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn help() -> String {
    let tasks = TASKS.iter().map(|task| {
        let call = format!("{} {}", task.name, task.arguments);
        format!("  {call:<28} {}\n", task.help)
    });
    format!(
        "cargo run -p xtask -- TASK\n\n{}",
        tasks.collect::<String>()
    )
}
