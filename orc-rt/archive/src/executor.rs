//! Compiles `orc-executor`, the program that runs linked code for a controller in another process, and
//! the same as a library for the process of LLVM's executor.

use std::path::Path;

use crate::ArchiveError;
use crate::cargo::{self, BuildRequest, Invocation};

/// The executor may not be larger than this, in bytes: every controller carries it.
pub const EXECUTOR_SIZE_MAX: usize = 1_500_000;

/// Where its package lies in the project.
const PACKAGE: &str = "orc-target-process";

/// Its name, and that of its profile in the workspace's manifest.
const NAME: &str = "orc-executor";

/// Builds the executor, and returns the program's bytes.
///
/// # Errors
/// When it does not compile, or is too large.
pub fn build_executor(request: &BuildRequest) -> Result<Vec<u8>, ArchiveError> {
    let arguments = ["build", "--bin", NAME, "--features", "tls-reserve"];
    build_file(request, &request.workspace.join(PACKAGE), &arguments, NAME)
}

/// Builds the executor as a shared library, and returns the file's bytes.
///
/// # Errors
/// When it does not compile, or is too large.
pub fn build_guest(request: &BuildRequest) -> Result<Vec<u8>, ArchiveError> {
    let directory = request.workspace.join(PACKAGE).join("guest");
    build_file(request, &directory, &["build"], "liborc_executor_guest.so")
}

fn build_file(
    request: &BuildRequest,
    directory: &Path,
    arguments: &[&str],
    file: &str,
) -> Result<Vec<u8>, ArchiveError> {
    let invocation = Invocation {
        directory,
        profile: NAME,
        flags: "",
        standard_library: "std,panic_unwind",
    };
    cargo::run(request, &invocation, arguments)?;
    let directory = request.target_dir.join(&request.target).join(NAME);
    let path = directory.join(file);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return Err(ArchiveError::Read { path, error }),
    };
    match bytes.len() {
        size if size > EXECUTOR_SIZE_MAX => Err(ArchiveError::ExecutorTooLarge { size }),
        _ => Ok(bytes),
    }
}
