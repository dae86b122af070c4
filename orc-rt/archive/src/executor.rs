//! Compiles `orc-executor`, the program that runs linked code for a controller in another process.

use std::path::{Path, PathBuf};

use crate::cargo::{self, BuildRequest};
use crate::{ArchiveError, sources};

/// The executor may not be larger than this, in bytes: every controller carries it.
pub const EXECUTOR_SIZE_MAX: usize = 1_500_000;

/// Its name, and that of its profile in the workspace's manifest.
const NAME: &str = "orc-executor";

/// Builds the executor, and returns the program's bytes.
///
/// # Errors
/// When it does not compile, or is too large.
pub fn build_executor(request: &BuildRequest) -> Result<Vec<u8>, ArchiveError> {
    let arguments = ["build", "--bin", NAME, "--features", "tls-reserve"];
    cargo::run(request, package_dir(), NAME, &arguments)?;
    let path = request
        .target_dir
        .join(&request.target)
        .join(NAME)
        .join(NAME);
    let program = match std::fs::read(&path) {
        Ok(program) => program,
        Err(error) => return Err(ArchiveError::Read { path, error }),
    };
    match program.len() {
        size if size > EXECUTOR_SIZE_MAX => Err(ArchiveError::ExecutorTooLarge { size }),
        _ => Ok(program),
    }
}

/// The files and directories that the executor is made from, for `rerun-if-changed`.
#[must_use]
pub fn executor_sources() -> Vec<PathBuf> {
    let own = ["src", "build.rs", "Cargo.toml"].map(|name| package_dir().join(name));
    // What the runtime shares with it: the wire format, the profiles, the versions.
    own.into_iter().chain(sources()).collect()
}

fn package_dir() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../orc-target-process"
    ))
}
