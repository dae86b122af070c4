//! Directories that hold libraries.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jit_core::cpu::Architecture;

use crate::format::Formats;

/// The system's directories of libraries for one CPU alone, of Debian and its like.
const OF_CPU: [&str; 3] = ["/usr/local/lib", "/lib", "/usr/lib"];

/// The system's directories for all, behind those.
const SYSTEM: [&str; 6] = [
    "/usr/local/lib64",
    "/lib64",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/usr/lib",
];

/// The system's directories, in the order of a native `ld`. Those that do not exist cost a failed open
/// per name. Libraries of another CPU are in directories of their own.
pub(super) fn system(architecture: Architecture) -> Vec<PathBuf> {
    if Architecture::of_this_process().is_none_or(|own| own == architecture) {
        return below_root(architecture);
    }
    let of_compiler = Path::new("/usr").join(triple(architecture)).join("lib");
    of_cpu(architecture).chain([of_compiler]).collect()
}

/// The directories of a machine with this CPU.
pub(super) fn below_root(architecture: Architecture) -> Vec<PathBuf> {
    let for_all = SYSTEM.iter().map(PathBuf::from);
    of_cpu(architecture).chain(for_all).collect()
}

fn of_cpu(architecture: Architecture) -> impl Iterator<Item = PathBuf> {
    let triple = triple(architecture);
    OF_CPU.iter().map(move |dir| Path::new(dir).join(triple))
}

/// The CPU as Debian's directories and cross compilers have it.
const fn triple(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "x86_64-linux-gnu",
        Architecture::Aarch64 => "aarch64-linux-gnu",
    }
}

/// The compiler driver for a CPU that nobody has named, by the last part of its name for this one: `cc`
/// or `c++`.
#[must_use]
pub fn compiler_for(architecture: Architecture, driver: &str) -> String {
    if Architecture::of_this_process().is_none_or(|own| own == architecture) {
        return driver.to_owned();
    }
    let driver = match driver {
        "cc" => "gcc",
        "c++" => "g++",
        // One compiler for all CPUs.
        "rustc" => return driver.to_owned(),
        other => other,
    };
    format!("{}-{driver}", triple(architecture))
}

/// The directories that a compiler searches, as it tells them; empty if it cannot be asked. Names
/// are resolved, because compilers print each directory in several spellings.
#[must_use]
pub fn of_compiler(command: &str) -> Vec<PathBuf> {
    let mut words = command.split_whitespace();
    let Some(program) = words.next() else {
        return Vec::new();
    };
    let answer = Command::new(program)
        .args(words)
        .arg("-print-search-dirs")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let Ok(answer) = answer else {
        tracing::debug!(command, "the compiler cannot be asked for its directories");
        return Vec::new();
    };
    parse_search_dirs(&String::from_utf8_lossy(&answer.stdout))
}

fn parse_search_dirs(answer: &str) -> Vec<PathBuf> {
    let line = answer.lines().find_map(|l| l.strip_prefix("libraries:"));
    let list = line.unwrap_or("").trim().trim_start_matches('=');
    let mut dirs: Vec<PathBuf> = Vec::new();
    for dir in list.split(':').filter(|d| !d.is_empty()) {
        if let Ok(dir) = Path::new(dir).canonicalize()
            && !dirs.contains(&dir)
        {
            dirs.push(dir);
        }
    }
    dirs
}

/// A file that may be meant by a `-lNAME` that was not found: mostly a library without the
/// development package that brings its unversioned name.
pub(super) fn similar(name: &str, formats: &Formats, dirs: &[PathBuf]) -> Option<PathBuf> {
    let suffixes = formats.library_suffixes();
    let starts: Vec<String> = suffixes.map(|it| format!("lib{name}{it}.")).collect();
    for dir in dirs {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mut matching: Vec<PathBuf> = entries
            .filter(|e| {
                let file = e.file_name();
                let file = file.to_string_lossy();
                starts.iter().any(|start| file.starts_with(start))
            })
            .map(|e| e.path())
            .collect();
        matching.sort_by_key(|path| path.as_os_str().len());
        if let Some(path) = matching.into_iter().next() {
            return Some(path);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compilers_answer() {
        let answer = "install: /x\nlibraries: =/usr/lib:/does/not/exist:/usr/lib/../lib\n";
        let lib = Path::new("/usr/lib").canonicalize().unwrap();
        assert_eq!(parse_search_dirs(answer), [lib]);
        assert!(parse_search_dirs("").is_empty());
        assert!(of_compiler("/does/not/exist").is_empty() && of_compiler("").is_empty());
    }
}
