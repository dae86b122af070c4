//! Compiles `orc-rt` with a Cargo of its own.
//!
//! This may run in a build script, inside another Cargo that checks, lints, measures coverage or
//! builds with flags and wrappers of its own. None of that concerns the runtime, and some of it (an
//! instrumented runtime, a compiler that only checks) would break it. So everything by which an
//! outer Cargo or its user steers *this* build is taken out of the environment; only what locates
//! the tools and the registry stays.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{ArchiveError, pack};

/// The profile in the workspace's manifest: no unwinding, link-time optimization, small.
const PROFILE: &str = "orc-rt";

/// How to build the archive, or the executor.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The Cargo to run.
    pub cargo: PathBuf,
    /// The project's root directory. Known at run time only: a build directory may move with its
    /// project.
    pub workspace: PathBuf,
    /// A directory for its intermediate files, not shared with the outer build.
    pub target_dir: PathBuf,
    /// The platform to build for.
    pub target: String,
}

/// Builds the packed archive.
///
/// # Errors
/// When `orc-rt` does not compile, or [`pack`] refuses it.
pub fn build(request: &BuildRequest) -> Result<Vec<u8>, ArchiveError> {
    let path = compile(request)?;
    let archive = std::fs::read(&path).map_err(|error| ArchiveError::Read {
        path: path.clone(),
        error,
    })?;
    pack(&archive)
}

/// Compiles `orc-rt`, and returns where Cargo put its archive.
///
/// # Errors
/// When Cargo cannot be run or fails.
pub fn compile(request: &BuildRequest) -> Result<PathBuf, ArchiveError> {
    let arguments = [
        "rustc",
        "--lib",
        "--features",
        "archive",
        "--crate-type",
        "staticlib",
    ];
    run(
        request,
        &request.workspace.join("orc-rt"),
        PROFILE,
        &arguments,
    )?;
    let directory = request.target_dir.join(&request.target).join(PROFILE);
    Ok(directory.join("liborc_rt.a"))
}

/// Runs a Cargo of its own for the package in `directory`.
///
/// # Errors
/// When Cargo cannot be run or fails.
pub(crate) fn run(
    request: &BuildRequest,
    directory: &Path,
    profile: &str,
    arguments: &[&str],
) -> Result<(), ArchiveError> {
    let (subcommand, options) = arguments.split_at(1);
    let mut command = Command::new(&request.cargo);
    command
        .args(subcommand)
        .arg("--manifest-path")
        .arg(directory.join("Cargo.toml"))
        .args(options)
        .args(["--profile", profile, "--target", &request.target])
        .arg("--target-dir")
        .arg(&request.target_dir)
        // The outer build resolved and downloaded everything; nothing may change or be fetched.
        .args(["--locked", "--offline", "--quiet", "--color", "never"])
        .current_dir(directory);
    isolate(&mut command);
    let line = format!("{command:?}");
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            return Err(ArchiveError::Start {
                command: line,
                error,
            });
        }
    };
    if output.status.success() {
        return Ok(());
    }
    Err(ArchiveError::Cargo {
        command: line,
        status: output.status,
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The files and directories of the project at `workspace` that the archive is made from, for
/// `rerun-if-changed`.
#[must_use]
pub fn sources(workspace: &Path) -> Vec<PathBuf> {
    [
        "orc-rt/src",
        "orc-rt/Cargo.toml",
        "orc-shared/src",
        "orc-shared/Cargo.toml",
        // The profile and the versions of dependencies.
        "Cargo.toml",
        "Cargo.lock",
    ]
    .map(|path| workspace.join(path))
    .into()
}

/// Takes everything out of a command's environment that steers Cargo, except where it finds things.
fn isolate(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if steers_cargo(&name) {
            command.env_remove(name);
        }
    }
    // Set, if empty, it also overrides flags from Cargo's configuration files.
    command.env("CARGO_ENCODED_RUSTFLAGS", "");
}

fn steers_cargo(name: &OsString) -> bool {
    const KEPT: [&str; 4] = [
        "CARGO_HOME",
        "CARGO_NET_OFFLINE",
        "CARGO_HTTP_PROXY",
        "RUSTUP_HOME",
    ];
    const TOOLCHAIN: [&str; 2] = ["RUSTUP_TOOLCHAIN", "RUSTC"];
    let Some(name) = name.to_str() else {
        return false;
    };
    let kept = KEPT.contains(&name) || TOOLCHAIN.contains(&name);
    let steers = name.starts_with("CARGO")
        || name.starts_with("RUST")
        || name.starts_with("DEP_")
        // The flags of an outer make would reach Cargo's job server.
        || name == "MAKEFLAGS"
        || name == "MFLAGS"
        // What Cargo tells build scripts, and build scripts take for their own.
        || ["TARGET", "HOST", "OUT_DIR", "PROFILE", "OPT_LEVEL", "DEBUG", "NUM_JOBS"]
            .contains(&name);
    steers && !kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outer_build_does_not_reach_the_inner_one() {
        for name in [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_TARGET_DIR",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
            "RUSTDOCFLAGS",
            "CARGO_FEATURE_ARCHIVE",
            "OUT_DIR",
        ] {
            assert!(steers_cargo(&name.into()), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "RUSTUP_TOOLCHAIN",
            "RUSTC",
            "PATH",
            "HOME",
            "LANG",
        ] {
            assert!(!steers_cargo(&name.into()), "{name}");
        }
    }
}
