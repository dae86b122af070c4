//! `xtask conformance`: `docs/CONFORMANCE.md` from runs of the end-to-end tests, one for each CPU.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{cargo, root, run_cargo, run_in, target_directory};

/// The variable through which the tests are asked to note what they hold.
pub const VARIABLE: &str = "ORC_CONFORMANCE";

/// Runs the tests and writes the page.
pub fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [only] if only == "--check" => return check(),
        [cpu] => return conformance("write", &noted(cpu)),
        _ => {}
    }
    let lines = setting(&fresh(HERE)?);
    let cargo = cargo().to_string_lossy().into_owned();
    for test in ["e2e", "macho"] {
        let words = [&lines, &cargo, "test", "--package", "tests", "--test", test];
        run_in(&root(), "env", &words)?;
    }
    conformance("write", &noted(HERE))
}

/// The name of what runs on this machine.
pub const HERE: &str = "x86-64";

/// The file for the tests of a CPU to write, empty.
pub fn fresh(cpu: &str) -> Result<PathBuf, String> {
    let lines = noted(cpu);
    fs::write(&lines, "").map_err(|e| format!("{}: {e}", lines.display()))?;
    Ok(lines)
}

/// Where tests for a CPU note what they hold.
pub fn noted(cpu: &str) -> PathBuf {
    target_directory().join(format!("conformance-{cpu}.tsv"))
}

/// The word of an `env` command that asks tests to note what they hold.
pub fn setting(lines: &Path) -> String {
    format!("{VARIABLE}={}", lines.display())
}

/// Checks the page against what the tests noted last, of this machine.
pub fn check() -> Result<(), String> {
    check_for(HERE)
}

/// Checks what the page says of a CPU against what the tests for it noted last.
pub fn check_for(cpu: &str) -> Result<(), String> {
    conformance("check", &noted(cpu))
}

fn conformance(action: &str, noted: &Path) -> Result<(), String> {
    run_cargo(&[
        "run",
        "--quiet",
        "--package",
        "tests",
        "--bin",
        "conformance",
        "--",
        action,
        &noted.to_string_lossy(),
        "docs/CONFORMANCE.md",
    ])
}
