//! `cargo run -p orc-rt-archive [-- OUTPUT]`: leaves a `liborc_rt.a`, by default in `target/orc-rt/`.
//!
//! `cargo run -p orc-rt-archive -- --into DIRECTORY TARGET`: leaves there what a controller needs for
//! executors of another target (`aarch64-unknown-linux-gnu`): the runtime and the executor. With `--all`
//! instead of `--into`, the executor as a library, too, so that a controller for that target can be built
//! of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use orc_rt_archive::{ArchiveError, BuildRequest, build, build_executor, build_guest};

const OWN_TARGET: &str = "x86_64-unknown-linux-gnu";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let done = match &arguments[..] {
        [option, directory, target] if option == "--into" || option == "--all" => {
            let target = target.to_string_lossy();
            build_for(directory.as_ref(), &target, option == "--all")
        }
        [] => build_archive(&target_dir().join("liborc_rt.a")),
        [output] => build_archive(output.as_ref()),
        _ => Err("usage: orc-rt-archive [OUTPUT], or --into|--all DIRECTORY TARGET".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build_archive(output: &Path) -> Result<(), String> {
    write(output, build(&request(OWN_TARGET)))
}

fn build_for(directory: &Path, target: &str, all: bool) -> Result<(), String> {
    let request = request(target);
    std::fs::create_dir_all(directory)
        .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    write(&directory.join("liborc_rt.a"), build(&request))?;
    write(&directory.join("orc-executor"), build_executor(&request))?;
    if all {
        let guest = directory.join("liborc_executor_guest.so");
        write(&guest, build_guest(&request))?;
    }
    // A library may be run by nobody; a program is.
    use std::os::unix::fs::PermissionsExt as _;
    let program = directory.join("orc-executor");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, executable)
        .map_err(|error| format!("cannot make {} executable: {error}", program.display()))
}

fn write(output: &Path, bytes: Result<Vec<u8>, ArchiveError>) -> Result<(), String> {
    let bytes = bytes.map_err(|error| error.to_string())?;
    std::fs::write(output, &bytes)
        .map_err(|error| format!("cannot write {}: {error}", output.display()))?;
    println!("{} ({} bytes)", output.display(), bytes.len());
    Ok(())
}

fn request(target: &str) -> BuildRequest {
    BuildRequest {
        workspace: Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).to_owned(),
        cargo: std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from),
        target_dir: target_dir(),
        target: target.to_owned(),
    }
}

fn target_dir() -> PathBuf {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from)
        .join("orc-rt")
}
