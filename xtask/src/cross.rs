//! What code for AArch64 needs: the runtime, and an executor that qemu runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, run_with, target_directory};

/// The target.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Its C compiler, which is also what links Rust programs.
pub const LINKER: &str = "aarch64-linux-gnu-gcc";

/// Where Debian's packages `rustc-web` and `cargo-web` are, whose `rust-web-src` has the sources of the
/// standard library.
const WITH_SOURCES: [&str; 2] = ["/usr/bin/rustc", "/usr/bin/cargo"];

/// A compiler that can make programs for the target.
pub struct Toolchain {
    /// The compiler.
    rustc: PathBuf,
    /// Its Cargo.
    pub cargo: PathBuf,
    /// Whether it has to compile the standard library first.
    compiles_library: bool,
}

impl Toolchain {
    /// The compiler that is in use, if it has a standard library for the target; else Debian's.
    ///
    /// # Errors
    /// When neither can.
    pub fn find() -> Result<Self, String> {
        let rustc = std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from);
        let own = |what: &[&str]| printed(&rustc, what).map(PathBuf::from);
        let library = own(&["target-libdir", "--target", TARGET]);
        if library.is_some_and(|directory| has_core(&directory)) {
            return Ok(Self {
                rustc,
                cargo: cargo().into(),
                compiles_library: false,
            });
        }
        let [rustc, cargo] = WITH_SOURCES.map(PathBuf::from);
        let sources = printed(&rustc, &["sysroot"])
            .map(|root| Path::new(&root).join("lib/rustlib/src/rust/library/core"));
        match sources.is_some_and(|sources| sources.is_dir()) {
            true => Ok(Self {
                rustc,
                cargo,
                compiles_library: true,
            }),
            false => Err(format!(
                "there is no standard library for {TARGET}: `rustup target add {TARGET}`, or Debian's \
                 packages rustc-web, cargo-web and rust-web-src; and g++-aarch64-linux-gnu, qemu-user"
            )),
        }
    }

    /// Variables that lead Cargo to it.
    pub fn variables(&self) -> Vec<(String, OsString)> {
        let linker = format!("CARGO_TARGET_{}_LINKER", environment_name());
        let mut variables = vec![
            ("RUSTC".to_owned(), self.rustc.clone().into_os_string()),
            ("CARGO".to_owned(), self.cargo.clone().into_os_string()),
            (linker, LINKER.into()),
        ];
        if self.compiles_library {
            variables.push(("RUSTC_BOOTSTRAP".to_owned(), "1".into()));
        }
        variables
    }

    /// Arguments of Cargo that make it build for the target.
    pub fn arguments(&self) -> Vec<&'static str> {
        let mut arguments = vec!["--target", TARGET];
        if self.compiles_library {
            arguments.push("-Zbuild-std=std,panic_unwind");
        }
        arguments
    }
}

/// The target's name in the names of Cargo's variables.
pub fn environment_name() -> String {
    TARGET.to_uppercase().replace('-', "_")
}

/// What the compiler prints when it is asked.
fn printed(rustc: &Path, what: &[&str]) -> Option<String> {
    let answer = Command::new(rustc)
        .arg("--print")
        .args(what)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    answer.status.success().then_some(text)
}

fn has_core(directory: &Path) -> bool {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names = files.map(|file| file.file_name());
    names.any(|name| name.to_string_lossy().starts_with("libcore-"))
}

/// Where the command that was built here looks for what is made.
pub fn directory() -> PathBuf {
    target_directory().join("debug/orc-jit-targets/aarch64")
}

/// Builds runtime and executor.
pub fn run(_: &[String]) -> Result<(), String> {
    build(&Toolchain::find()?, false)
}

/// The same with this compiler; `all`: also what a controller for the target is built of.
pub fn build(toolchain: &Toolchain, all: bool) -> Result<(), String> {
    // What builds is a program of this machine, and of its usual compiler.
    let builder = ["build", "--quiet", "--package", "orc-rt-archive"];
    run_with(&[], cargo(), &builder)?;
    let builder = target_directory().join("debug/orc-rt-archive");
    let into = directory().into_os_string();
    run_with(
        &toolchain.variables(),
        builder,
        &[
            if all { "--all" } else { "--into" }.into(),
            into,
            OsString::from(TARGET),
        ],
    )
}
