//! `cargo run -p orc-rt-archive [-- OUTPUT [TARGET]]`: leaves a `liborc_rt.a`, by default in
//! `target/orc-rt/`, for the target of this name, by default `x86_64-unknown-linux-gnu`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use orc_rt_archive::{BuildRequest, build};

fn main() -> ExitCode {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let target_dir = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from)
        .join("orc-rt");
    let output = std::env::args_os()
        .nth(1)
        .map_or_else(|| target_dir.join("liborc_rt.a"), PathBuf::from);
    let request = BuildRequest {
        workspace: workspace.to_owned(),
        cargo: std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from),
        target_dir,
        target: std::env::args()
            .nth(2)
            .unwrap_or_else(|| "x86_64-unknown-linux-gnu".to_owned()),
    };
    let written = build(&request)
        .map_err(|error| error.to_string())
        .and_then(|archive| {
            std::fs::write(&output, &archive)
                .map(|()| archive.len())
                .map_err(|error| format!("cannot write {}: {error}", output.display()))
        });
    match written {
        Ok(size) => {
            println!("{} ({size} bytes)", output.display());
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
