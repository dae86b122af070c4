//! Compiles `orc-rt` with a Cargo of its own.

#[path = "../../../orc-embedded/build/environment.rs"]
mod environment;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{ArchiveError, Part, pack};

/// Flags for the runtime, by CPU: no outline atomics, as their functions would ask at start what the
/// CPU has.
const FLAGS: [(&str, &str); 1] = [("aarch64", "-Ctarget-feature=-outline-atomics")];

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
/// When a part does not compile, or [`pack`] refuses it.
pub fn build(request: &BuildRequest) -> Result<Vec<u8>, ArchiveError> {
    let runtime = compile(request, "orc-rt", "liborc_rt.a")?;
    let darwin = compile(request, "orc-rt/darwin", "liborc_rt_darwin.a")?;
    pack(&[Part::runtime(&runtime), Part::darwin(&darwin)])
}

/// Compiles the package in a directory of the project, and returns its archive, which Cargo gives this name.
fn compile(request: &BuildRequest, package: &str, file: &str) -> Result<Vec<u8>, ArchiveError> {
    let arguments = [
        "rustc",
        "--lib",
        "--features",
        "archive",
        "--crate-type",
        "staticlib",
    ];
    let invocation = Invocation {
        directory: &request.workspace.join(package),
        profile: PROFILE,
        flags: FLAGS
            .iter()
            .find(|(cpu, _)| request.target.starts_with(cpu))
            .map_or("", |(_, flags)| flags),
        standard_library: "core,alloc",
    };
    run(request, &invocation, &arguments)?;
    let directory = request.target_dir.join(&request.target).join(PROFILE);
    let path = directory.join(file);
    std::fs::read(&path).map_err(|error| ArchiveError::Read { path, error })
}

/// How a package is compiled.
pub(crate) struct Invocation<'a> {
    /// Its directory.
    pub directory: &'a Path,
    /// Name of a profile in the workspace's manifest.
    pub profile: &'a str,
    /// A flag for the compiler, or nothing.
    pub flags: &'a str,
    /// The crates of the standard library that it needs, where those have to be compiled too.
    pub standard_library: &'a str,
}

/// Runs a Cargo of its own.
///
/// A target for which no standard library is installed has it compiled from its sources, which a
/// compiler of the stable channel only does when told that it is one of its makers' (`RUSTC_BOOTSTRAP`).
///
/// # Errors
/// When Cargo cannot be run or fails.
pub(crate) fn run(
    request: &BuildRequest,
    invocation: &Invocation<'_>,
    arguments: &[&str],
) -> Result<(), ArchiveError> {
    let (subcommand, options) = arguments.split_at(1);
    let mut command = Command::new(&request.cargo);
    command
        .args(subcommand)
        .arg("--manifest-path")
        .arg(invocation.directory.join("Cargo.toml"))
        .args(options)
        .args(["--profile", invocation.profile, "--target", &request.target])
        .arg("--target-dir")
        .arg(&request.target_dir)
        .args(["--locked", "--quiet", "--color", "never"])
        .current_dir(invocation.directory);
    environment::isolate(&mut command);
    // Set, it also overrides flags from Cargo's configuration files.
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(request, invocation));
    if !has_standard_library(&request.target) {
        command
            .arg(format!("-Zbuild-std={}", invocation.standard_library))
            .env("RUSTC_BOOTSTRAP", "1");
    }
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

/// The compiler's flags, as Cargo wants them in one variable. The same sources give the same bytes wherever
/// they and what they depend on lie: paths in messages begin with names.
fn flags(request: &BuildRequest, invocation: &Invocation<'_>) -> String {
    let mut flags: Vec<String> = Vec::new();
    if !invocation.flags.is_empty() {
        flags.push(invocation.flags.to_owned());
    }
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let workspace = std::fs::canonicalize(&request.workspace).ok();
    let places = [
        (workspace, "orc-jit"),
        (home.map(|home| home.join("registry/src")), "registry"),
        (system_root(), "rust"),
    ];
    for (place, name) in places {
        if let Some(place) = place {
            flags.push(format!("--remap-path-prefix={}={name}", place.display()));
        }
    }
    flags.join("\x1f")
}

/// The compiler's own directory, which may have the sources of the standard library.
fn system_root() -> Option<PathBuf> {
    let mut command = Command::new(compiler());
    let output = command.args(["--print", "sysroot"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| path.trim_end().into())
}

fn compiler() -> std::ffi::OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// Whether a standard library for `target` is installed with the compiler, as far as that says.
fn has_standard_library(target: &str) -> bool {
    let mut command = Command::new(compiler());
    command
        .args(["--print", "target-libdir", "--target", target])
        .stderr(Stdio::null());
    let Ok(output) = command.output() else {
        return true;
    };
    let directory = String::from_utf8_lossy(&output.stdout);
    let files = std::fs::read_dir(directory.trim_end());
    !output.status.success()
        || files.is_ok_and(|mut files| {
            files.any(|file| {
                file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::environment::steers_cargo;

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
            assert!(steers_cargo(name.as_ref()), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "RUSTUP_TOOLCHAIN",
            "RUSTC",
            "PATH",
            "HOME",
            "LANG",
        ] {
            assert!(!steers_cargo(name.as_ref()), "{name}");
        }
    }
}
