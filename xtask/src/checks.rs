//! What must hold before a change goes in.

use crate::command::run_cargo;
use crate::conformance;
use crate::failures::test_workspace;

/// Everything, in the order in which it fails fastest.
pub fn all(_: &[String]) -> Result<(), String> {
    lint(&[])?;
    let lines = conformance::fresh(conformance::HERE)?;
    test_workspace((conformance::VARIABLE, &lines.to_string_lossy()))?;
    conformance::check()?;
    optional_features()?;
    models(&[])?;
    crate::package::run(&[])?;
    crate::tour::run(&[])
}

/// What only features that are off by default hold, and what is left without those that are on.
fn optional_features() -> Result<(), String> {
    for package in ["orc-target-process", "jit-core"] {
        let alone = ["--package", package, "--no-default-features"];
        let lint = [&["clippy", "--lib", "--quiet"], &alone[..]].concat();
        run_cargo(&[&lint[..], &["--", "-D", "warnings"]].concat())?;
    }
    let features = ["--package", "orc-target-process", "--features", "libunwind"];
    let lint = [&["clippy", "--all-targets", "--quiet"], &features[..]].concat();
    run_cargo(&[&lint[..], &["--", "-D", "warnings"]].concat())?;
    run_cargo(&[&["test", "--lib"], &features[..], &["libunwind"]].concat())
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

/// Sessions and stubs in many orders of events.
pub fn models(_: &[String]) -> Result<(), String> {
    let features = ["--package", "jit-core", "--features", "models"];
    run_cargo(&[&["test"], &features[..], &["--lib", "models::"]].concat())
}

/// The benchmarks whose names contain the argument.
pub fn bench(arguments: &[String]) -> Result<(), String> {
    let mut command = vec!["bench", "--package", "tests", "--bench", "link", "--"];
    command.extend(arguments.iter().map(String::as_str));
    run_cargo(&command)
}
