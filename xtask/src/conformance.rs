//! `xtask conformance`: `docs/CONFORMANCE.md` from a run of the end-to-end tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{cargo, root, run_cargo, run_in, target_directory};

/// The variable through which the tests are asked to note what they hold.
const VARIABLE: &str = "ORC_CONFORMANCE";

/// Runs the tests and writes the page.
pub fn run(arguments: &[String]) -> Result<(), String> {
    if arguments == ["--check"] {
        return check();
    }
    let lines = setting(&fresh()?);
    let cargo = cargo().to_string_lossy().into_owned();
    let words = [
        &lines,
        &cargo,
        "test",
        "--package",
        "tests",
        "--test",
        "e2e",
    ];
    run_in(&root(), "env", &words)?;
    conformance("write")
}

/// The file for the tests to write, empty.
pub fn fresh() -> Result<PathBuf, String> {
    let lines = noted();
    fs::write(&lines, "").map_err(|e| format!("{}: {e}", lines.display()))?;
    Ok(lines)
}

/// Where tests note what they hold.
fn noted() -> PathBuf {
    target_directory().join("conformance.tsv")
}

/// The word of an `env` command that asks tests to note what they hold.
pub fn setting(lines: &Path) -> String {
    format!("{VARIABLE}={}", lines.display())
}

/// Checks the page against what the tests noted last.
pub fn check() -> Result<(), String> {
    conformance("check")
}

fn conformance(action: &str) -> Result<(), String> {
    run_cargo(&[
        "run",
        "--quiet",
        "--package",
        "tests",
        "--bin",
        "conformance",
        "--",
        action,
        &noted().to_string_lossy(),
        "docs/CONFORMANCE.md",
    ])
}
