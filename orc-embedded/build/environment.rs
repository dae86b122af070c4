//! What a Cargo inside a Cargo may see of the outer one.
//!
//! The outer one may check, lint, measure coverage, or build with flags and wrappers of its own. None of
//! that concerns the runtime, and some of it (an instrumented runtime, a compiler that only checks)
//! would break it. So everything by which an outer Cargo or its user steers *that* build is taken
//! out of the environment; only what locates the tools and the registry stays.
//!
//! The build script here and the program `orc-rt-archive` both have this module.

use std::ffi::OsStr;
use std::process::Command;

/// Takes everything out of a command's environment that steers Cargo, except where it finds things.
pub fn isolate(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if steers_cargo(&name) {
            command.env_remove(name);
        }
    }
}

/// Whether a variable steers a build, instead of saying where things are.
pub fn steers_cargo(name: &OsStr) -> bool {
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
    let is_linker = name.starts_with("CARGO_TARGET_") && name.ends_with("_LINKER");
    let kept = KEPT.contains(&name) || TOOLCHAIN.contains(&name) || is_linker;
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
