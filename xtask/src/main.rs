//! Tasks that CI and developers run: `cargo run -p xtask -- TASK`.

mod checks;
mod command;
mod conformance;
mod faults;
mod fuzz;
mod runtime;
mod tour;

use std::process::ExitCode;

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
        name: "bench",
        arguments: "[FILTER] [--rounds=N]",
        help: "the benchmarks, beside the linkers that are installed",
        run: checks::bench,
    },
    Task {
        name: "conformance",
        arguments: "",
        help: "run the end-to-end tests and write docs/CONFORMANCE.md",
        run: conformance::run,
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
        name: "runtime",
        arguments: "FILE",
        help: "build the runtime's static archive and copy it to FILE",
        run: runtime::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print_help();
        return ExitCode::SUCCESS;
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprintln!("xtask: no task `{name}`\n");
        print_help();
        return ExitCode::from(2);
    };
    match (task.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask {name}: {message}");
            ExitCode::FAILURE
        }
    }
}

fn print_help() {
    println!("cargo run -p xtask -- TASK\n");
    for task in TASKS {
        println!(
            "  {:<28} {}",
            format!("{} {}", task.name, task.arguments),
            task.help
        );
    }
}
