//! What must hold before a change goes in.

use crate::command::{cargo, root, run_cargo, run_in};
use crate::conformance;

/// Everything, in the order in which it fails fastest.
pub fn all(_: &[String]) -> Result<(), String> {
    lint(&[])?;
    let lines = conformance::setting(&conformance::fresh()?);
    let cargo = cargo().to_string_lossy().into_owned();
    let words = [&lines, &cargo, "test", "--workspace", "--no-fail-fast"];
    run_in(&root(), "env", &words)?;
    conformance::check()?;
    crate::tour::run(&[])
}

/// Formatting, clippy and documentation, all without a warning.
pub fn lint(_: &[String]) -> Result<(), String> {
    run_cargo(&["fmt", "--all", "--check"])?;
    run_cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])?;
    run_cargo(&[
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--quiet",
    ])
}

/// The command that the README names.
pub fn test(_: &[String]) -> Result<(), String> {
    run_cargo(&["test", "--workspace", "--no-fail-fast"])
}

/// The benchmarks whose names contain the argument.
pub fn bench(arguments: &[String]) -> Result<(), String> {
    let mut command = vec!["bench", "--package", "tests", "--bench", "link", "--"];
    command.extend(arguments.iter().map(String::as_str));
    run_cargo(&command)
}
