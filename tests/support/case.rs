//! Test cases: small sources with directives in their first lines.
//!
//! A case is one file, or a directory that has a `main.*`. A file may hold several sources; each
//! starts at a line `//--- NAME`, and what precedes the first such line is the main source.
//! Directives are comment lines `//# KEY: VALUE` (`!#` in Fortran, `##` in assembly) at the top of the main source:
//!
//! | Key | Value |
//! |---|---|
//! | `modes` | mode names or sets (`one`, `few`, `all`, `models`); `few` if absent |
//! | `compilers` | `gcc`, `clang`; both if absent |
//! | `cpu` | `x86-64` or `aarch64`, if the case makes sense for one of them only, and why after a comma |
//! | `flags` | flags to compile every source with |
//! | `link` | inputs in link order: objects (`a.o`), archives, shared libraries, `-l` flags; if absent all objects, then all archives and shared libraries |
//! | `archive` | `libNAME.a = SOURCE...`: a static archive of these sources |
//! | `shared` | `libNAME.so = SOURCE...`: a shared library, linked by the system's linker in every case |
//! | `build` | a shell command that makes further inputs from the objects (`$CC` is the compiler), run before the link; may be repeated |
//! | `libs` | `-l` and `-L` flags after the inputs |
//! | `native` | flags for the system's linker alone, such as `-rdynamic` |
//! | `jit` | flags for `orc-jit run` alone |
//! | `args`, `env`, `stdin` | what the program is given; `\n` in `stdin` is a line break |
//! | `executor` | `in-process` or `spawn`, if the case makes sense in one of them only, and why after a comma |
//! | `expect-exit`, `expect-signal` | how it must end; exit code 0 if absent |
//! | `compare` | `stderr` to compare standard error as well |
//! | `linux` | why the program is Linux's alone, and not compiled for macOS (`macho.rs`) |
//! | `gap` | why the JIT does not behave like the linked program yet: the case then fails once it does |
//! | `needs` | programs, or `lib:NAME`, without which the case is left out (a failure in CI) |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::command::Ending;
use crate::target::TARGETS;
use crate::toolchain::{MODE_SETS, Mode, mode};

/// One source of a case.
#[derive(Clone, Debug, Hash)]
pub struct Source {
    /// Path relative to the case, such as `main.cpp` or `shapes/circle.cpp`.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// The object it compiles to, or nothing for a header.
    pub fn object(&self) -> Option<String> {
        let (stem, extension) = self.name.rsplit_once('.')?;
        let compiled = ["c", "cpp", "f90", "S", "s", "rs"].contains(&extension);
        compiled.then(|| format!("{}.o", stem.replace('/', "-")))
    }
}

/// An archive or a shared library made from some of the sources.
#[derive(Clone, Debug, Hash)]
pub struct Library {
    /// File name, `libNAME.a` or `libNAME.so`.
    pub file: String,
    /// Names of its sources, in order.
    pub sources: Vec<String>,
}

/// A program to build and run, and what is special about it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Path below `programs/`, without the extension: the test's name.
    pub name: String,
    /// All sources, the main one first.
    pub sources: Vec<Source>,
    /// Modes to compile in.
    pub modes: Vec<&'static Mode>,
    /// Compilers to use; empty for all.
    pub compilers: Vec<String>,
    /// The CPU that it is for; nothing for all.
    pub cpu: Option<String>,
    /// Flags to compile with.
    pub flags: Vec<String>,
    /// Inputs in link order; empty for the default order.
    pub link: Vec<String>,
    /// Static archives.
    pub archives: Vec<Library>,
    /// Shared libraries.
    pub shared: Vec<Library>,
    /// Shell commands that make further inputs, in order.
    pub build: Vec<String>,
    /// Library flags after the inputs.
    pub libs: Vec<String>,
    /// Flags of the system's linker.
    pub native: Vec<String>,
    /// Why it is not compiled for macOS.
    pub linux: Option<String>,
    /// Why the JIT is known to behave differently.
    pub gap: Option<String>,
    /// Flags of `orc-jit run`.
    pub jit: Vec<String>,
    /// Where the program runs: in the process of the JIT, in one of its own, or one after the other
    /// in both.
    pub executors: Vec<&'static Executor>,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// Environment of the program.
    pub env: Vec<(String, String)>,
    /// Standard input of the program.
    pub stdin: Vec<u8>,
    /// How the program must end.
    pub ending: Ending,
    /// Whether standard error is compared too.
    pub compare_stderr: bool,
    /// Tools and libraries that must be installed.
    pub needs: Vec<String>,
}

/// Reads every case below `programs`, sorted by name.
///
/// # Errors
/// A file that cannot be read, or a directive that makes no sense.
pub fn read_all(programs: &Path) -> io::Result<Vec<Case>> {
    let mut cases = Vec::new();
    read_directory(programs, "", &mut cases)?;
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

fn read_directory(directory: &Path, prefix: &str, cases: &mut Vec<Case>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = format!("{prefix}{stem}");
        if path.is_dir() {
            match main_source(&path)? {
                Some(main) => cases.push(Case::parse(name, read_sources(&path, &main)?)?),
                None => read_directory(&path, &format!("{name}/"), cases)?,
            }
        } else {
            let file_name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            cases.push(Case::parse(
                name,
                split(&file_name, &fs::read_to_string(&path)?),
            )?);
        }
    }
    Ok(())
}

/// The `main.*` of a directory, which makes the directory a case.
fn main_source(directory: &Path) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|stem| stem == "main") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// All files of a directory case, the main one first and the others by name.
fn read_sources(directory: &Path, main: &Path) -> io::Result<Vec<Source>> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path)
            } else {
                files.push(path)
            }
        }
    }
    files.sort_by_key(|path| (path != main, path.clone()));
    let read = |path: PathBuf| {
        let name = path
            .strip_prefix(directory)
            .expect("it was found there")
            .to_string_lossy()
            .into_owned();
        Ok(Source {
            name,
            text: fs::read_to_string(&path)?,
        })
    };
    files.into_iter().map(read).collect()
}

/// Splits a file at its `//--- NAME` lines. Each source starts with as many line breaks as precede
/// it in the file, so that compilers' messages name the right lines.
fn split(file_name: &str, text: &str) -> Vec<Source> {
    let extension = file_name
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    let mut sources = vec![Source {
        name: format!("main.{extension}"),
        text: String::new(),
    }];
    for (number, line) in text.lines().enumerate() {
        let marker = ["//--- ", "!--- ", "#--- "]
            .iter()
            .find_map(|marker| line.strip_prefix(marker));
        match marker {
            Some(name) => sources.push(Source {
                name: name.trim().to_owned(),
                text: "\n".repeat(number + 1),
            }),
            None => {
                let current = &mut sources
                    .last_mut()
                    .expect("the main source comes first")
                    .text;
                current.push_str(line);
                current.push('\n');
            }
        }
    }
    sources
}

impl Case {
    fn parse(name: String, sources: Vec<Source>) -> io::Result<Self> {
        let mut case = Self {
            name,
            sources,
            modes: Vec::new(),
            compilers: Vec::new(),
            cpu: None,
            flags: Vec::new(),
            link: Vec::new(),
            archives: Vec::new(),
            shared: Vec::new(),
            build: Vec::new(),
            libs: Vec::new(),
            native: Vec::new(),
            jit: Vec::new(),
            executors: EXECUTORS.iter().collect(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            ending: Ending::Exit(0),
            compare_stderr: false,
            linux: None,
            gap: None,
            needs: Vec::new(),
        };
        let main = case
            .sources
            .first()
            .map(|source| source.text.clone())
            .unwrap_or_default();
        for line in main.lines() {
            let Some(directive) = ["//# ", "!# ", "## "]
                .iter()
                .find_map(|marker| line.strip_prefix(marker))
            else {
                continue;
            };
            let parsed = directive.split_once(':').ok_or("no colon".to_owned());
            let applied = parsed.and_then(|(key, value)| case.apply(key.trim(), value.trim()));
            applied.map_err(|problem| {
                io::Error::other(format!("{}: `{line}`: {problem}", case.name))
            })?;
        }
        if case.modes.is_empty() {
            case.apply("modes", "few").map_err(io::Error::other)?;
        }
        Ok(case)
    }

    fn apply(&mut self, key: &str, value: &str) -> Result<(), String> {
        let words = || {
            value
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let number = || value.parse::<i32>().map_err(|error| error.to_string());
        match key {
            "modes" => return self.add_modes(value),
            "compilers" => self.compilers = words(),
            "cpu" => self.cpu = Some(cpu(value)?),
            "flags" => self.flags = words(),
            "link" => self.link = words(),
            "archive" => self.archives.push(library(value)?),
            "shared" => self.shared.push(library(value)?),
            "build" => self.build.push(value.to_owned()),
            "libs" => self.libs = words(),
            "native" => self.native = words(),
            "jit" => self.jit = words(),
            "executor" => self.executors = vec![executor(value)?],
            "args" => self.args = words(),
            "env" => {
                let (name, value) = value.split_once('=').ok_or("no `=`")?;
                self.env.push((name.to_owned(), value.to_owned()));
            }
            "stdin" => self.stdin = value.replace("\\n", "\n").into_bytes(),
            "expect-exit" => self.ending = Ending::Exit(number()?),
            "expect-signal" => self.ending = Ending::Signal(number()?),
            "compare" if value == "stderr" => self.compare_stderr = true,
            "linux" => self.linux = Some(value.to_owned()),
            "gap" => self.gap = Some(value.to_owned()),
            "needs" => self.needs = words(),
            _ => return Err("no such directive".to_owned()),
        }
        Ok(())
    }

    fn add_modes(&mut self, value: &str) -> Result<(), String> {
        for word in value.split_whitespace() {
            let set = MODE_SETS
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, modes)| *modes);
            for name in set.unwrap_or(&[word]) {
                let mode = mode(name).ok_or_else(|| format!("no mode `{name}`"))?;
                if !self.modes.iter().any(|known| known.name == mode.name) {
                    self.modes.push(mode);
                }
            }
        }
        Ok(())
    }

    /// Whether this case is for the compiler called `name`.
    pub fn wants(&self, name: &str) -> bool {
        self.compilers.is_empty() || self.compilers.iter().any(|wanted| wanted == name)
    }

    /// Whether this case is for the CPU called `name`.
    pub fn is_for(&self, name: &str) -> bool {
        self.cpu.as_ref().is_none_or(|cpu| cpu == name)
    }

    /// Whether a C++ driver has to link it.
    pub fn is_cxx(&self) -> bool {
        self.sources
            .iter()
            .any(|source| source.name.ends_with(".cpp"))
    }
}

/// The flag for a process of its own.
pub const SPAWN: &str = "--executor=spawn";

/// A place for programs to run in.
#[derive(Debug, PartialEq, Eq)]
pub struct Executor {
    /// Its name.
    pub name: &'static str,
    /// What makes `orc-jit run` use it, for programs of this machine.
    pub flags: &'static [&'static str],
}

impl Executor {
    /// Whether functions are linked there when they are first called.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        self.flags.contains(&"--lazy")
    }

    /// Whether it is the process of the JIT itself.
    #[must_use]
    pub fn is_one_process(&self) -> bool {
        !self.flags.contains(&SPAWN)
    }
}

/// All of them.
pub const EXECUTORS: &[Executor] = &[
    Executor {
        name: "in-process",
        flags: &[],
    },
    Executor {
        name: "spawn",
        flags: &[SPAWN],
    },
    // Functions are linked when they are first called.
    Executor {
        name: "lazy-in-process",
        flags: &["--lazy"],
    },
    Executor {
        name: "lazy-spawn",
        flags: &["--lazy", SPAWN],
    },
];

/// The executor that a directive names.
fn executor(value: &str) -> Result<&'static Executor, String> {
    let name = with_reason(value)?;
    let known = EXECUTORS.iter().find(|executor| executor.name == name);
    known.ok_or_else(|| format!("no executor `{name}`"))
}

/// The CPU that a directive names.
fn cpu(value: &str) -> Result<String, String> {
    let name = with_reason(value)?;
    let known = TARGETS.iter().any(|target| target.name == name);
    known
        .then(|| name.to_owned())
        .ok_or_else(|| format!("no CPU `{name}`"))
}

/// What a directive says before its reason, which must be there.
fn with_reason(value: &str) -> Result<&str, String> {
    let (name, reason) = value.split_once(',').ok_or("no reason")?;
    match reason.trim().is_empty() {
        true => Err("no reason".to_owned()),
        false => Ok(name.trim()),
    }
}

fn library(value: &str) -> Result<Library, String> {
    let (file, sources) = value.split_once('=').ok_or("no `=`")?;
    let sources = sources.split_whitespace().map(str::to_owned).collect();
    Ok(Library {
        file: file.trim().to_owned(),
        sources,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_split_at_their_markers_and_keep_their_line_numbers() {
        let sources = split("x.cpp", "int a;\n//--- b.c\nint b;\n");
        assert_eq!(sources.len(), 2);
        assert_eq!(
            (sources[0].name.as_str(), sources[0].text.as_str()),
            ("main.cpp", "int a;\n")
        );
        assert_eq!(
            (sources[1].name.as_str(), sources[1].text.as_str()),
            ("b.c", "\n\nint b;\n")
        );
    }

    #[test]
    fn directives_are_read_from_the_main_source() {
        let text = "//# expect-signal: 6\n//# archive: libx.a = a.c b.c\nint main() {}\n";
        let case = Case::parse("x".into(), split("x.c", text)).unwrap();
        assert_eq!(case.ending, Ending::Signal(6));
        assert_eq!(case.archives[0].sources, ["a.c", "b.c"]);
        assert_eq!(case.modes.len(), 3);
    }

    #[test]
    fn a_case_for_one_executor_says_why() {
        let parse = |text: &str| Case::parse("x".into(), split("x.c", text));
        let any = parse("int main() {}\n").unwrap();
        assert_eq!(any.executors.len(), EXECUTORS.len());
        let one = parse("//# executor: in-process, it counts threads\n").unwrap();
        assert_eq!(one.executors, [&EXECUTORS[0]]);
        assert!(parse("//# executor: in-process\n").is_err());
        assert!(parse("//# executor: nowhere, why\n").is_err());
    }

    #[test]
    fn a_case_for_one_cpu_says_why() {
        let parse = |text: &str| Case::parse("x".into(), split("x.c", text));
        let any = parse("int main() {}\n").unwrap();
        assert!(any.is_for("x86-64") && any.is_for("aarch64"));
        let one = parse("//# cpu: aarch64, its own relocations\n").unwrap();
        assert!(one.is_for("aarch64") && !one.is_for("x86-64"));
        assert!(parse("//# cpu: aarch64\n").is_err());
        assert!(parse("//# cpu: z80, why\n").is_err());
    }

    #[test]
    fn an_unknown_directive_is_an_error() {
        let error = Case::parse("x".into(), split("x.c", "//# mode: all\n")).unwrap_err();
        assert!(error.to_string().contains("no such directive"), "{error}");
    }
}
