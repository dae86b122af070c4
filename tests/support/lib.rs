//! What the end-to-end tests share: cases read from small source files, compilers and the modes
//! they are asked for, and a careful way to run programs.
//!
//! A test here never looks inside the linker. It compiles a program, lets the *system's* linker
//! make an executable of it, and expects `orc-jit run` over the same objects to behave as that
//! executable does.

pub mod build;
pub mod case;
pub mod command;
pub mod compare;
pub mod conformance;
pub mod features;
pub mod imports;
pub mod lines;
pub mod listener;
pub mod macos;
pub mod macos_features;
pub mod needs;
pub mod processes;
pub mod scratch;
pub mod source;
pub mod target;
pub mod toolchain;
pub mod workspace;

use std::path::PathBuf;

/// The root of the repository.
pub fn workspace_root() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests/ lies in the workspace")
        .to_path_buf()
}

/// Whether this run is continuous integration, where a missing tool is a failure.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}
