//! Commands of this workspace, built beside the test that wants one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace_root;

/// Builds the command `name` as `selection` says (packages and features), with the profile, for the target
/// and in the directory that this test was built with, and returns where it is. Cargo offers a
/// package's commands only to that package's own tests.
///
/// # Panics
/// If it does not build.
pub fn build_command(name: &str, selection: &[&str]) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    // TARGET/[TRIPLE/]PROFILE/deps/TEST
    let profile = test.ancestors().nth(2).expect("tests lie in PROFILE/deps");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .args(["build", "--quiet", "--bin", name])
        .args(selection);
    cargo.args(place(profile)).current_dir(workspace_root());
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "{name} does not build");
    profile.join(name)
}

/// The arguments that lead Cargo to build into `directory`.
fn place(directory: &Path) -> Vec<String> {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    // Cargo marks its target directory.
    let marked = |path: &&Path| path.join("CACHEDIR.TAG").exists();
    let target = directory.ancestors().find(marked);
    let target = target.or(directory.parent()).unwrap_or(directory);
    let mut arguments = vec!["--target-dir".to_owned(), target.display().to_string()];
    let profile = name(directory).unwrap_or_default();
    if profile != "debug" {
        arguments.extend(["--profile".to_owned(), profile]);
    }
    let parent = directory.parent().filter(|parent| *parent != target);
    if let Some(triple) = parent.and_then(name) {
        arguments.extend(["--target".to_owned(), triple]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_led_to_where_tests_are() {
        let target = tempfile::tempdir().expect("a directory");
        let root = target.path().display().to_string();
        std::fs::write(target.path().join("CACHEDIR.TAG"), "").expect("a file");
        let here = |path: &str| place(&target.path().join(path));
        assert_eq!(here("debug"), ["--target-dir", &root]);
        assert_eq!(
            here("a-b-c/release"),
            [
                "--target-dir",
                &root,
                "--profile",
                "release",
                "--target",
                "a-b-c"
            ]
        );
    }
}
