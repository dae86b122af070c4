//! `xtask macho-suite`: the Mach-O tests of a checkout of LLVM, through our linker. Of it, `lld/test/MachO` and
//! `llvm/test/ExecutionEngine/JITLink` are enough.

use std::path::PathBuf;

use crate::command::{run_cargo, target_directory};
use crate::cross;

/// Runs them and writes the page.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let [checkout] = arguments else {
        return Err("expected the directory of a checkout of LLVM".to_owned());
    };
    let failed = |error| format!("{checkout}: {error}");
    let checkout = PathBuf::from(checkout).canonicalize().map_err(failed)?;
    if !cross::directory().join("orc-executor").exists() {
        cross::run(&[])?;
    }
    let targets = cross::directory();
    let targets = targets.parent().unwrap_or(&targets);
    let scratch = target_directory().join("macho-suite");
    run_cargo(&[
        "run",
        "--quiet",
        "--package",
        "tests",
        "--bin",
        "macho-suite",
        "--config",
        &format!("env.ORC_JIT_TARGETS={:?}", targets.display().to_string()),
        "--",
        &checkout.to_string_lossy(),
        &scratch.to_string_lossy(),
        "docs/macho-suite.md",
    ])
}
