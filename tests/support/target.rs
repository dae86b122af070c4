//! The machine that programs are made for: this one, or one that an emulator stands for.
//!
//! `ORC_TEST_TARGET=aarch64` runs the end-to-end tests for AArch64. The tests themselves are programs of this
//! machine. Programs, and an `orc-jit` that runs them in its own process, are started by the
//! emulator; the executor that is a process of its own is emulated alone, driven by the `orc-jit` of this
//! machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::case::Executor;
use crate::compare;

/// The variable that names the target.
pub const VARIABLE: &str = "ORC_TEST_TARGET";

/// The variable that names the `orc-jit` of the target, where that is not this machine.
pub const COMMAND_VARIABLE: &str = "ORC_TEST_TARGET_JIT";

/// A machine.
#[derive(Debug)]
pub struct Target {
    /// Its name: that of its CPU.
    pub name: &'static str,
    /// Whether it is this one.
    pub is_here: bool,
    /// Names of compilers' families, each with the drivers to try for C and C++, first found first.
    pub drivers: &'static [(&'static str, &'static [(&'static str, &'static str)])],
    /// What compilers need to hear, by family, to compile for it.
    pub flags: &'static [(&'static str, &'static [&'static str])],
    /// Where its tools are found by their usual names; nothing for this machine's.
    pub tool_prefix: &'static str,
    /// Modes that programs are compiled in; empty for those that cases ask for.
    pub modes: &'static [&'static str],
    /// What starts a program of it.
    pub runner: &'static [&'static str],
    /// Flags that make the `orc-jit` of this machine run a program in an emulated process of its own.
    pub emulated: &'static [&'static str],
}

const TARGETS: &[Target] = &[
    Target {
        name: "x86-64",
        is_here: true,
        drivers: &[
            ("gcc", &[("gcc", "g++")]),
            ("clang", &[("clang-22", "clang++-22"), ("clang", "clang++")]),
        ],
        flags: &[],
        tool_prefix: "",
        modes: &[],
        runner: &[],
        emulated: &[],
    },
    Target {
        name: "aarch64",
        is_here: false,
        drivers: &[
            ("gcc", &[("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++")]),
            ("clang", &[("clang-22", "clang++-22"), ("clang", "clang++")]),
        ],
        flags: &[("clang", &["--target=aarch64-linux-gnu"])],
        tool_prefix: "aarch64-linux-gnu-",
        modes: &["default", "pic", "nopie"],
        runner: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
        emulated: &["--executor=qemu:aarch64"],
    },
];

/// The target of this run.
///
/// # Panics
/// If the environment names one that does not exist.
pub fn target() -> &'static Target {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    TARGET.get_or_init(|| match std::env::var(VARIABLE) {
        Err(_) => &TARGETS[0],
        Ok(name) => TARGETS
            .iter()
            .find(|target| target.name == name)
            .unwrap_or_else(|| panic!("{VARIABLE}={name}: there is no such target")),
    })
}

impl Target {
    /// What a family of compilers needs to hear.
    pub fn flags_of(&self, family: &str) -> &'static [&'static str] {
        let known = self.flags.iter().find(|(name, _)| *name == family);
        known.map_or(&[], |(_, flags)| flags)
    }

    /// The command line that starts a program of this target.
    pub fn program(&self, path: &Path) -> Vec<OsString> {
        let runner = self.runner.iter().map(OsString::from);
        runner.chain([path.as_os_str().to_owned()]).collect()
    }

    /// Variables that lead an emulated `orc-jit` to compilers for this target: to it, those of the machine that
    /// it seems to run on are the usual ones.
    pub fn compilers(&self) -> Vec<(String, String)> {
        let (_, drivers) = self.drivers[0];
        let variables = [("CC", drivers[0].0), ("CXX", drivers[0].1)];
        let variables = variables.iter().filter(|_| !self.is_here);
        variables
            .map(|&(name, driver)| (name.to_owned(), driver.to_owned()))
            .collect()
    }

    /// The name of a tool for its objects (`ar`, `ld`).
    pub fn tool(&self, name: &str) -> String {
        format!("{}{name}", self.tool_prefix)
    }

    /// The command line of `orc-jit run` with an executor; nothing if the command is left out of
    /// this run.
    ///
    /// # Panics
    /// If the environment does not name the command of another machine.
    pub fn orc_jit_run(&self, executor: &Executor) -> Option<Vec<OsString>> {
        let here = compare::orc_jit()?;
        let is_one_process = executor.flags.is_empty();
        let (mut argv, flags) = match (self.is_here, is_one_process) {
            (false, true) => {
                let command = std::env::var_os(COMMAND_VARIABLE);
                let command = command.unwrap_or_else(|| panic!("{COMMAND_VARIABLE} is not set"));
                (self.program(&PathBuf::from(command)), executor.flags)
            }
            (false, false) => (vec![here.into()], self.emulated),
            (true, _) => (vec![here.into()], executor.flags),
        };
        argv.push("run".into());
        argv.extend(flags.iter().map(OsString::from));
        Some(argv)
    }
}
