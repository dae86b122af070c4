//! Running other programs from the root of the repository.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The root of the repository.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("xtask/ lies in the workspace")
        .to_path_buf()
}

/// The cargo that runs this task.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Shows a command, runs it in `directory`, and says how long it took.
///
/// # Errors
/// The command cannot be started, or fails.
pub fn run_in<S: AsRef<OsStr>>(
    directory: &Path,
    program: impl AsRef<OsStr>,
    arguments: &[S],
) -> Result<(), String> {
    let name = Path::new(program.as_ref())
        .file_name()
        .unwrap_or(program.as_ref())
        .to_string_lossy();
    let words: Vec<_> = arguments
        .iter()
        .map(|word| word.as_ref().to_string_lossy())
        .collect();
    let line = format!("{name} {}", words.join(" "));
    println!("$ {line}");
    let start = Instant::now();
    let status = Command::new(program.as_ref())
        .args(arguments)
        .current_dir(directory)
        .status()
        .map_err(|error| format!("{line}: {error}"))?;
    let seconds = start.elapsed().as_secs();
    if seconds > 2 {
        println!("  took {seconds} s");
    }
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{line}` failed: {status}"))
    }
}

/// Runs cargo in the root of the repository.
///
/// # Errors
/// As [`run_in`].
pub fn run_cargo(arguments: &[&str]) -> Result<(), String> {
    run_in(&root(), cargo(), arguments)
}
