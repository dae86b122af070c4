//! Finds or makes what the crate embeds: the runtime's archive, `liborc_rt.a`, and the program that runs
//! code in another process, `orc-executor`, also as a library for the process of LLVM's executor.
//!
//! 1. `ORC_JIT_PREBUILT` may name a directory that has them, as `orc-rt-archive --all` makes it: for a
//!    target whose standard library has to be compiled, or that no package has.
//! 2. In a checkout of the project they are compiled from it, by a Cargo of its own. That one has its
//!    own target directory inside the outer one's, which all builds share: what it makes depends on the
//!    target alone, and not on the profile or the features of the outer build.
//! 3. A package from a registry has them in `prebuilt/TARGET`, and compiles nothing.

#[path = "build/environment.rs"]
mod environment;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that lead the crate to the files, and the files.
const EMBEDDED: [(&str, &str); 3] = [
    ("ORC_RT_ARCHIVE", "liborc_rt.a"),
    ("ORC_EXECUTOR", "orc-executor"),
    ("ORC_EXECUTOR_GUEST", "liborc_executor_guest.so"),
];

/// What they are made from, relative to the project. The last two have the profiles and the versions of
/// dependencies.
const SOURCES: [&str; 16] = [
    "orc-rt/src",
    "orc-rt/Cargo.toml",
    "orc-rt/archive/src",
    "orc-rt/archive/Cargo.toml",
    "orc-rt/darwin/src",
    "orc-rt/darwin/Cargo.toml",
    "orc-shared/src",
    "orc-shared/Cargo.toml",
    "orc-system/src",
    "orc-system/Cargo.toml",
    "orc-target-process/src",
    "orc-target-process/build.rs",
    "orc-target-process/Cargo.toml",
    "orc-target-process/guest",
    "Cargo.toml",
    "Cargo.lock",
];

fn main() {
    if let Err(message) = run() {
        for line in message.lines() {
            println!("cargo::error={line}");
        }
    }
}

fn run() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=ORC_JIT_PREBUILT");
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let target = variable("TARGET")?;
    if let Some(directory) = std::env::var_os("ORC_JIT_PREBUILT") {
        return embed_given(Path::new(&directory))
            .map_err(|error| format!("ORC_JIT_PREBUILT: {error}"));
    }
    let project = package.join("..");
    if project.join("orc-rt/archive/Cargo.toml").is_file() {
        return embed(&compile(&project, &target)?);
    }
    let prebuilt = package.join("prebuilt");
    let own = prebuilt.join(&target);
    if own.is_dir() {
        return embed_given(&own);
    }
    Err(format!(
        "this package has no runtime for {target} ({}). In a checkout of the project, \
         `cargo run -p orc-rt-archive -- --all DIRECTORY {target}` makes it; then set ORC_JIT_PREBUILT=DIRECTORY",
        available(&prebuilt)
    ))
}

/// Says for which targets a package has what it embeds.
fn available(prebuilt: &Path) -> String {
    let mut names: Vec<_> = std::fs::read_dir(prebuilt)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    match names.is_empty() {
        true => "it has none at all".to_owned(),
        false => format!("it has those for {}", names.join(", ")),
    }
}

/// Compiles everything from the project's sources, and returns the directory that has the files.
fn compile(project: &Path, target: &str) -> Result<PathBuf, String> {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", project.join(source).display());
    }
    let out = PathBuf::from(variable("OUT_DIR")?);
    // OUT_DIR is TARGET_DIRECTORY/PROFILE/build/PACKAGE/out.
    let shared = out.ancestors().nth(4).unwrap_or(&out).join("embedded");
    let files = out.join("embedded");
    let mut command = Command::new(variable("CARGO")?);
    // What only the inner build depends on, the outer one has not downloaded: hence no `--offline`.
    command
        .args(["run", "--quiet", "--locked", "--color", "never"])
        .args(["--package", "orc-rt-archive", "--"])
        .arg("--all")
        .args([&files, Path::new(target)])
        .current_dir(project);
    environment::isolate(&mut command);
    // Set, if empty, it also overrides flags from Cargo's configuration files.
    command
        .env("CARGO_ENCODED_RUSTFLAGS", "")
        .env("CARGO_TARGET_DIR", shared);
    let output = command
        .output()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(files),
        false => Err(format!(
            "the runtime and the executor could not be built ({})\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// Embeds files that somebody else has made, and may make anew.
fn embed_given(directory: &Path) -> Result<(), String> {
    for (_, file) in EMBEDDED {
        println!("cargo::rerun-if-changed={}", directory.join(file).display());
    }
    embed(directory)
}

/// Copies the files to where the compiler finds them.
fn embed(directory: &Path) -> Result<(), String> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    for (variable, file) in EMBEDDED {
        let from = directory.join(file);
        let to = out.join(file);
        let bytes = std::fs::read(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        // An unchanged file keeps its time, so that nothing is compiled anew for its sake.
        if std::fs::read(&to).ok().as_deref() != Some(&bytes[..]) {
            std::fs::write(&to, bytes).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        println!("cargo::rustc-env={variable}={}", to.display());
    }
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}; Cargo sets it"))
}
