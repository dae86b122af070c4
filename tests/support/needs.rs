//! What tests need beyond Rust and a C++ compiler, and what becomes of those that lack it: they are listed
//! as left out, with the package that would bring them back. In continuous integration they fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::in_ci;
use crate::target::target;
use crate::toolchain::{compilers, find_program};

/// LLVM's runtime, which its package puts where only its own tools look.
pub const LLVM_RUNTIME: &str = "file:/usr/lib/llvm-22/lib/clang/22/lib/linux/liborc_rt-x86_64.a";

/// LLVM's own library, for programs that are controllers themselves.
pub const LLVM_HEADERS: &str =
    "file:/usr/lib/llvm-22/include/llvm/ExecutionEngine/Orc/ReOptimizeLayer.h";

/// What a test may need, and the Debian package that has it: a program, `lib:NAME` for a static archive
/// that the compiler finds, `clang-runtime:NAME` for a library of clang's runtime, `file:PATH`. All of them are in `.ci/run` and in the README.
pub const PACKAGES: &[(&str, &str)] = &[
    ("clang", "clang-22"),
    ("clang++", "clang-22"),
    ("clang-22", "clang-22"),
    ("clang-runtime:asan", "libclang-rt-22-dev"),
    ("clang-runtime:profile", "libclang-rt-22-dev"),
    (LLVM_RUNTIME, "libclang-rt-22-dev"),
    (LLVM_HEADERS, "llvm-22-dev"),
    ("g++", "g++"),
    ("gcc", "gcc"),
    ("gcc-ar", "gcc"),
    ("gdb", "gdb"),
    ("gfortran", "gfortran"),
    ("gold", "binutils"),
    ("ld.gold", "binutils"),
    ("ld.lld", "lld-22"),
    ("ld.lld-22", "lld-22"),
    ("lib:c", "libc6-dev"),
    ("lib:c++", "libc++-22-dev"),
    ("lib:jemalloc", "libjemalloc-dev"),
    ("lib:sqlite3", "libsqlite3-dev"),
    ("lib:z", "zlib1g-dev"),
    ("llvm-ar-22", "llvm-22"),
    ("llvm-jitlink-22", "llvm-22"),
    ("llvm-lipo-22", "llvm-22"),
    ("llvm-jitlink-executor-22", "llvm-22"),
    ("lldb-22", "lldb-22"),
    ("mold", "mold"),
    ("musl-gcc", "musl-tools"),
    ("objcopy", "binutils"),
    ("perf", "linux-perf"),
    ("valgrind", "valgrind"),
];

/// What Python's `pip` installs.
const PYTHON_PACKAGES: &[&str] = &["ziglang"];

/// The path of a `file:PATH`.
pub fn path(need: &str) -> &Path {
    Path::new(need.strip_prefix("file:").unwrap_or(need))
}

/// Whether it is on this machine.
pub fn is_installed(need: &str) -> bool {
    let family = |name: &str| compilers().iter().any(|compiler| compiler.name == name);
    match (need, need.split_once(':')) {
        ("gcc" | "g++", _) => family("gcc"),
        ("clang" | "clang++", _) => family("clang"),
        ("ziglang", _) => crate::macos::tools().is_some(),
        ("gfortran", _) => find_program(&target().tool(need)).is_some(),
        (_, Some(("file", _))) => path(need).exists(),
        (_, Some(("lib", library))) => is_found_by_the_compiler(&format!("lib{library}.a")),
        (_, Some(("clang-runtime", library))) => is_in_the_runtime(library),
        _ => find_program(need).is_some(),
    }
}

fn is_found_by_the_compiler(file: &str) -> bool {
    let asked = Command::new(&compilers()[0].cc)
        .arg(format!("-print-file-name={file}"))
        .output();
    // A compiler that does not find the file prints its bare name.
    asked.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).trim() != file)
}

/// Whether clang has this library of its runtime for the target.
fn is_in_the_runtime(library: &str) -> bool {
    let Some(clang) = compilers().iter().find(|it| it.name == "clang") else {
        return false;
    };
    let directory = Command::new(&clang.cc)
        .args(target().flags_of("clang"))
        .arg("-print-runtime-dir")
        .output();
    let directory = directory.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned());
    let directory = PathBuf::from(directory.unwrap_or_default().trim());
    // Its directory is either the target's, or that of all CPUs.
    let cpu = target().triple.split('-').next().unwrap_or_default();
    [format!("-{cpu}"), String::new()].iter().any(|end| {
        directory
            .join(format!("libclang_rt.{library}{end}.a"))
            .exists()
    })
}

/// The package that brings it, as far as is known here.
pub fn package(need: &str) -> Option<&'static str> {
    PACKAGES
        .iter()
        .find(|(known, _)| *known == need)
        .map(|(_, package)| *package)
}

/// The tests of one program: those that can run, and those that are left out.
#[derive(Default)]
pub struct Tests {
    trials: Vec<Trial>,
    /// Names, and what is missing.
    left_out: Vec<(String, String)>,
}

impl Tests {
    /// Adds a test that lacks nothing.
    pub fn add(&mut self, trial: Trial) {
        self.trials.push(trial);
    }

    /// Adds the test `name`, if everything that it needs is installed.
    pub fn add_if<'a>(
        &mut self,
        name: &str,
        needs: impl IntoIterator<Item = &'a str>,
        run: impl FnOnce() + Send + 'static,
    ) {
        if self.can_run(name, needs) {
            let run = move || {
                run();
                Ok(())
            };
            self.add(Trial::test(name, run));
        }
    }

    /// Whether all that the test `name` needs is installed. If not, it is left out.
    pub fn can_run<'a>(&mut self, name: &str, needs: impl IntoIterator<Item = &'a str>) -> bool {
        let missing = needs.into_iter().find(|need| !is_installed(need));
        if let Some(need) = missing {
            self.leave_out(name, need);
        }
        missing.is_none()
    }

    /// Leaves out the test `name`, which needs what is not installed.
    pub fn leave_out(&mut self, name: &str, need: &str) {
        let reason = format!("needs {}", with_package(need));
        self.left_out.push((name.to_owned(), need.to_owned()));
        let outcome = move || match in_ci() {
            true => Err(Failed::from(reason)),
            false => Ok(Completion::ignored_with(reason)),
        };
        self.trials.push(Trial::ignorable_test(name, outcome));
    }

    /// Lists the test `name` as ignored: it cannot be run where this run takes place. The answer is no.
    pub fn ignore(&mut self, name: &str, reason: &'static str) -> bool {
        let outcome = move || Ok(Completion::ignored_with(reason));
        self.trials.push(Trial::ignorable_test(name, outcome));
        false
    }

    /// Runs them as the arguments say, and tells in the end what was left out.
    pub fn run(self, arguments: &Arguments) -> ExitCode {
        let is_wanted = |name: &str| {
            let trial = Trial::test(name, || Ok(()));
            !arguments.is_filtered_out(&trial)
        };
        let left_out = self.left_out.iter().filter(|(name, _)| is_wanted(name));
        let summary = summary(left_out.map(|(_, need)| need.as_str()));
        let conclusion = libtest_mimic::run(arguments, self.trials);
        if !arguments.list {
            print!("{summary}");
        }
        conclusion.exit_code()
    }
}

/// The thing and its package.
fn with_package(need: &str) -> String {
    let what = match need.split_once(':') {
        Some(("lib", library)) => format!("lib{library}.a"),
        Some(("clang-runtime", library)) => format!("libclang_rt.{library}"),
        Some(("file", path)) => path.to_owned(),
        _ => need.to_owned(),
    };
    match package(need) {
        Some(package) if package == what => what,
        Some(package) => format!("{what} (package {package})"),
        None if PYTHON_PACKAGES.contains(&need) => format!("{what} (pip install {what})"),
        None => what,
    }
}

/// Adds functions as tests of their names, all with the same needs.
#[macro_export]
macro_rules! add_tests {
    ($tests:expr, $needs:expr, $($test:path),+ $(,)?) => {
        $($tests.add_if(stringify!($test), $needs, $test);)+
    };
}

/// How many tests lack what, and the command that installs it.
fn summary<'a>(needs: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for need in needs {
        *counts.entry(need).or_default() += 1;
    }
    let mut text = String::new();
    for (need, count) in &counts {
        let tests = if *count == 1 { "test" } else { "tests" };
        text += &format!(
            "left out: {count} {tests}, for want of {}\n",
            with_package(need)
        );
    }
    let mut packages: Vec<_> = counts.keys().filter_map(|need| package(need)).collect();
    packages.sort_unstable();
    packages.dedup();
    if !packages.is_empty() {
        text += &format!(
            "to run them, too: apt-get install {}\n\n",
            packages.join(" ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_and_names_packages() {
        let needs = ["clang", "lib:z", "clang", "mold", "unheard-of"];
        let expected = "left out: 2 tests, for want of clang (package clang-22)\n\
                        left out: 1 test, for want of libz.a (package zlib1g-dev)\n\
                        left out: 1 test, for want of mold\n\
                        left out: 1 test, for want of unheard-of\n\
                        to run them, too: apt-get install clang-22 mold zlib1g-dev\n\n";
        assert_eq!(summary(needs.into_iter()), expected);
        assert_eq!(summary(std::iter::empty()), "");
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let mut tests = Tests::default();
        assert!(!tests.can_run("a_test", ["sh", "lib:of-nobody", "no-program"]));
        assert!(tests.can_run("another", ["sh"]));
        let expected = ("a_test".to_owned(), "lib:of-nobody".to_owned());
        assert_eq!(tests.left_out, [expected]);
        assert_eq!((tests.trials.len(), tests.trials[0].name()), (1, "a_test"));
    }
}
