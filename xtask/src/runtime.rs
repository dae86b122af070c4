//! The runtime as a static archive, for other JITs and for `--orc-runtime`.

use crate::command::run_cargo;

/// Builds `liborc_rt.a` and copies it to the file that the argument names.
///
/// # Errors
/// There is no argument, or the runtime does not build.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let [file] = arguments else {
        return Err(
            "say which file to write: cargo run -p xtask -- runtime liborc_rt.a".to_owned(),
        );
    };
    let file = std::path::absolute(file).map_err(|error| format!("{file}: {error}"))?;
    run_cargo(&[
        "run",
        "--quiet",
        "--package",
        "orc-rt-archive",
        "--",
        &file.to_string_lossy(),
    ])
}
