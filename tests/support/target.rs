//! The machine that programs are made for: this one, or one that an emulator stands for.
//!
//! `ORC_TEST_TARGET=aarch64` runs the end-to-end tests for AArch64. The tests themselves are programs of this
//! machine. Programs, and an `orc-jit` that runs them in its own process, are started by the
//! emulator; the executor that is a process of its own is emulated alone, driven by the `orc-jit` of this
//! machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::case::{Executor, SPAWN};
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
    /// The name of macOS on this CPU, for objects for macOS that run here.
    pub macos: &'static str,
    /// What compilers call it.
    pub triple: &'static str,
    /// Whether it is this one.
    pub is_here: bool,
    /// Names of compilers' families, each with the drivers to try for C and C++, first found first.
    pub drivers: &'static [(&'static str, &'static [(&'static str, &'static str)])],
    /// What compilers need to hear, by family, to compile for it.
    pub flags: &'static [(&'static str, &'static [&'static str])],
    /// By family, what leads a compiler to linkers that have no name of their own for each target.
    pub other_linkers: &'static [(&'static str, &'static [&'static str])],
    /// Where its tools are found by their usual names; nothing for this machine's.
    pub tool_prefix: &'static str,
    /// Modes that programs are compiled in; empty for those that cases ask for.
    pub modes: &'static [&'static str],
    /// What its emulator cannot run.
    pub emulator_lacks: &'static [Lack],
    /// What starts a program of it.
    pub runner: &'static [&'static str],
    /// What the `orc-jit` of this machine is told in place of [`SPAWN`], for a process that is emulated.
    pub emulated: &'static str,
}

/// A case that an emulator cannot run.
#[derive(Debug)]
pub struct Lack {
    case: &'static str,
    executors: Lacking,
    why: &'static str,
}

/// Where a case cannot be run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lacking {
    /// The natively linked program does not do it either.
    Everywhere,
    /// In the process of the JIT, which does what the program does not.
    InProcess,
    /// In an executor, which has more threads than the program.
    Apart,
}

/// docs/bugs.md has programs that show each.
const QEMU_LACKS: &[Lack] = &[
    lack("code/leak_sanitizer", Lacking::Everywhere, PTRACE),
    lack(
        "code/leak_sanitizer_finds_a_leak",
        Lacking::Everywhere,
        PTRACE,
    ),
    lack("code/thread_sanitizer", Lacking::Everywhere, EXEC),
    // The command starts itself again, with the sanitizer's library in front, or with more room for thread-locals.
    lack("code/address_sanitizer", Lacking::InProcess, EXEC),
    lack("tls/large_in_shared_library", Lacking::InProcess, EXEC),
    lack("tls/large_template", Lacking::InProcess, EXEC),
    lack("tls/larger_than_the_reserve", Lacking::InProcess, EXEC),
    lack("process/fork", Lacking::Apart, FORK),
    lack("threads/main_thread_exits_first", Lacking::Apart, FORK),
];

const PTRACE: &str = "the sanitizer stops threads with `ptrace`, which qemu does not have";
const EXEC: &str = "a program cannot start itself again in qemu";
const FORK: &str = "a child of a process with several threads cannot start any in qemu";

const fn lack(case: &'static str, executors: Lacking, why: &'static str) -> Lack {
    Lack {
        case,
        executors,
        why,
    }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "x86-64",
        macos: "macOS x86-64",
        triple: "x86_64-linux-gnu",
        is_here: true,
        drivers: &[
            ("gcc", &[("gcc", "g++")]),
            ("clang", &[("clang-22", "clang++-22"), ("clang", "clang++")]),
        ],
        flags: &[],
        other_linkers: &[],
        tool_prefix: "",
        modes: &[],
        emulator_lacks: &[],
        runner: &[],
        emulated: SPAWN,
    },
    Target {
        name: "aarch64",
        macos: "macOS arm64",
        triple: "aarch64-linux-gnu",
        is_here: false,
        drivers: &[
            ("gcc", &[("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++")]),
            ("clang", &[("clang-22", "clang++-22"), ("clang", "clang++")]),
        ],
        flags: &[("clang", &["--target=aarch64-linux-gnu"])],
        other_linkers: &[("gcc", &["-B/usr/bin"])],
        tool_prefix: "aarch64-linux-gnu-",
        modes: &["default", "pic", "nopie"],
        emulator_lacks: QEMU_LACKS,
        runner: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
        emulated: "--executor=qemu:aarch64",
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
    /// Why a case cannot run there in an executor, if it cannot.
    pub fn cannot_run(&self, case: &str, executor: &Executor) -> Option<&'static str> {
        let holds = |lack: &&Lack| {
            let there = match lack.executors {
                Lacking::Everywhere => true,
                Lacking::InProcess => executor.is_one_process(),
                Lacking::Apart => !executor.is_one_process(),
            };
            lack.case == case && there
        };
        self.emulator_lacks.iter().find(holds).map(|lack| lack.why)
    }

    /// What a family of compilers needs to hear.
    pub fn flags_of(&self, family: &str) -> &'static [&'static str] {
        of_family(self.flags, family)
    }

    /// What a family of compilers needs to hear to find a linker that `-fuse-ld=` names.
    pub fn other_linkers_of(&self, family: &str) -> &'static [&'static str] {
        of_family(self.other_linkers, family)
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
        let mut argv = match self.is_here || !executor.is_one_process() {
            true => vec![here.into()],
            false => {
                let command = std::env::var_os(COMMAND_VARIABLE);
                let command = command.unwrap_or_else(|| panic!("{COMMAND_VARIABLE} is not set"));
                self.program(&PathBuf::from(command))
            }
        };
        argv.push("run".into());
        let flags = executor.flags.iter();
        argv.extend(flags.map(|&flag| match (self.is_here, flag) {
            (false, SPAWN) => self.emulated.into(),
            _ => flag.into(),
        }));
        Some(argv)
    }
}

fn of_family<'a>(flags: &'a [(&str, &'a [&'a str])], family: &str) -> &'a [&'a str] {
    let known = flags.iter().find(|(name, _)| *name == family);
    known.map_or(&[], |(_, flags)| flags)
}
