//! The library for C, where compilers find it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{root, run_cargo, say, target_directory};

/// What is installed: from the package, or from what Cargo has built.
const FROM_PACKAGE: [(&str, &str); 2] = [
    ("include/orc_jit.h", "include"),
    ("orcjit.pc", "lib/pkgconfig"),
];
const BUILT: [&str; 2] = ["liborcjit.so", "liborcjit.a"];

/// Builds the library for C and copies it, its header and a file for `pkg-config` to the directory that the
/// argument names, as in `/usr/local`.
///
/// # Errors
/// There is no argument, the library does not build, or a file cannot be written.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let [prefix] = arguments else {
        return Err("say where to: cargo run -p xtask -- c-library /usr/local".to_owned());
    };
    let prefix = std::path::absolute(prefix).map_err(|error| format!("{prefix}: {error}"))?;
    run_cargo(&["build", "--release", "--package", "orc-jit-c"])?;
    let built = target_directory().join("release");
    for name in BUILT {
        install(&built.join(name), &prefix.join("lib"))?;
    }
    for (name, directory) in FROM_PACKAGE {
        install(
            &root().join("orc-jit-c").join(name),
            &prefix.join(directory),
        )?;
    }
    let pkg_config = prefix.join("lib/pkgconfig");
    say(&format!(
        "PKG_CONFIG_PATH={} pkg-config --cflags --libs orcjit\n",
        pkg_config.display()
    ))
}

fn install(file: &Path, directory: &Path) -> Result<(), String> {
    let failed = |path: &Path, error| format!("{}: {error}", path.display());
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    let name = file.file_name().map(PathBuf::from).unwrap_or_default();
    let to = directory.join(name);
    // A program that uses the old file keeps it.
    let _ = fs::remove_file(&to);
    fs::copy(file, &to).map_err(|error| failed(&to, error))?;
    say(&format!("{}\n", to.display()))
}
