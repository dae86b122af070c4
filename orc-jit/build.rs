//! Builds the runtime's archive, `liborc_rt.a`, for embedding:
//! `include_bytes!(env!("ORC_RT_ARCHIVE"))`.

use std::path::PathBuf;

use orc_rt_archive::{BuildRequest, build, sources};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for source in sources() {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let out_dir = PathBuf::from(var("OUT_DIR")?);
    let archive = build(&BuildRequest {
        cargo: var("CARGO")?.into(),
        target_dir: out_dir.join("orc-rt"),
        target: var("TARGET")?
            .into_string()
            .map_err(|_| "TARGET is not UTF-8")?,
    })
    .inspect_err(|error| eprintln!("the runtime, orc-rt, could not be built: {error}"))?;
    let path = out_dir.join("liborc_rt.a");
    // An unchanged file keeps its time, so that nothing is compiled anew for its sake.
    if std::fs::read(&path).ok().as_ref() != Some(&archive) {
        std::fs::write(&path, archive)?;
    }
    println!("cargo::rustc-env=ORC_RT_ARCHIVE={}", path.display());
    Ok(())
}

fn var(name: &str) -> Result<std::ffi::OsString, String> {
    std::env::var_os(name).ok_or_else(|| format!("{name} is not set: not run by Cargo"))
}
