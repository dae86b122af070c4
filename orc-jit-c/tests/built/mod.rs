//! The library, as its users build it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The folder with the shared library and the archive, which are built by themselves: what Cargo builds for a whole
/// workspace has the features that any of its packages asks for, and thread-locals that no host has room for.
pub fn libraries() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "--package", "orc-jit-c"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(cargo.status().expect("cargo runs").success());
        // This program is `target/PROFILE/deps/NAME-HASH`; without `--release`, the profile is `debug`.
        let own = std::env::current_exe().expect("it has a path");
        let target = own.ancestors().nth(3);
        target
            .expect("it is below the target directory")
            .join("debug")
    };
    BUILT.get_or_init(build).clone()
}
