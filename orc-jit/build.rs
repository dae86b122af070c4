//! Builds what a controller carries with it, for embedding: the runtime's archive, `liborc_rt.a`, and
//! the program that runs code in another process, `orc-executor`, also as a library for the process of
//! LLVM's executor. They are found through the environment variables `ORC_RT_ARCHIVE`, `ORC_EXECUTOR`
//! and `ORC_EXECUTOR_GUEST` at compile time.
//!
//! `ORC_JIT_PREBUILT` may name a directory that has them, as `orc-rt-archive --all` makes it: for a target
//! whose standard library has to be compiled, this saves compiling it three more times.

use std::path::{Path, PathBuf};

use orc_rt_archive::{BuildRequest, build, build_executor, build_guest, executor_sources, sources};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let workspace = PathBuf::from(var("CARGO_MANIFEST_DIR")?).join("..");
    let all = sources(&workspace).into_iter();
    for source in all.chain(executor_sources(&workspace)) {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let out_dir = PathBuf::from(var("OUT_DIR")?);
    println!("cargo::rerun-if-env-changed=ORC_JIT_PREBUILT");
    if let Some(directory) = std::env::var_os("ORC_JIT_PREBUILT") {
        for (variable, file) in EMBEDDED {
            let path = PathBuf::from(&directory).join(file);
            println!("cargo::rerun-if-changed={}", path.display());
            let bytes = std::fs::read(&path)
                .map_err(|error| format!("ORC_JIT_PREBUILT: {}: {error}", path.display()))?;
            embed(variable, &out_dir.join(file), &bytes)?;
        }
        return Ok(());
    }
    let request = |directory: &str| -> Result<BuildRequest, String> {
        Ok(BuildRequest {
            cargo: var("CARGO")?.into(),
            workspace: workspace.clone(),
            target_dir: out_dir.join(directory),
            target: var("TARGET")?
                .into_string()
                .map_err(|_| "TARGET is not UTF-8")?,
        })
    };
    let archive = build(&request("orc-rt")?)
        .inspect_err(|error| eprintln!("the runtime, orc-rt, could not be built: {error}"))?;
    embed("ORC_RT_ARCHIVE", &out_dir.join("liborc_rt.a"), &archive)?;
    let executor = build_executor(&request("executor")?)
        .inspect_err(|error| eprintln!("orc-executor could not be built: {error}"))?;
    embed("ORC_EXECUTOR", &out_dir.join("orc-executor"), &executor)?;
    let guest = build_guest(&request("executor")?)
        .inspect_err(|error| eprintln!("orc-executor-guest could not be built: {error}"))?;
    let path = out_dir.join("liborc_executor_guest.so");
    embed("ORC_EXECUTOR_GUEST", &path, &guest)?;
    Ok(())
}

/// The files, and the variables that lead to them.
const EMBEDDED: [(&str, &str); 3] = [
    ("ORC_RT_ARCHIVE", "liborc_rt.a"),
    ("ORC_EXECUTOR", "orc-executor"),
    ("ORC_EXECUTOR_GUEST", "liborc_executor_guest.so"),
];

/// Writes a file and tells the compiler where it is.
fn embed(variable: &str, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // An unchanged file keeps its time, so that nothing is compiled anew for its sake.
    if std::fs::read(path).ok().as_deref() != Some(bytes) {
        std::fs::write(path, bytes)?;
    }
    println!("cargo::rustc-env={variable}={}", path.display());
    Ok(())
}

fn var(name: &str) -> Result<std::ffi::OsString, String> {
    std::env::var_os(name).ok_or_else(|| format!("{name} is not set: not run by Cargo"))
}
