//! Source files on the command line: compiled on the way, each language by its own compiler.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use orc_inputs::input::printable_path;
use orc_shared::listed;
use orc_system::standard_streams;

use super::kept_objects;
use super::link_cpu;
use super::link_line::{Input, InputName, LinkLine};
use super::say;
use super::script;

/// Failures that a message has; the rest are counted.
const FAILURES_MAX: usize = 100;

/// A language and how its compiler is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// `$CC`, `cc`. Assembly too.
    C,
    /// `$CXX`, `c++`.
    Cxx,
    /// `$FC`, `gfortran`.
    Fortran,
    /// `$RUSTC`, `rustc`.
    Rust,
}

impl Language {
    /// The language of a source file by its name, or by the `-x` in force.
    #[must_use]
    pub fn of(input: &Input) -> Option<Self> {
        let InputName::File(path) = &input.name else {
            return None;
        };
        match input.state.language.as_deref() {
            Some("c" | "assembler" | "assembler-with-cpp" | "cpp-output") => Some(Self::C),
            Some("c++" | "c++-cpp-output") => Some(Self::Cxx),
            Some("f77" | "f95") => Some(Self::Fortran),
            Some("rust") => Some(Self::Rust),
            _ => match path.extension()?.to_str()? {
                "c" | "i" | "s" | "S" => Some(Self::C),
                "cc" | "cp" | "cpp" | "cxx" | "c++" | "C" | "CPP" | "ii" => Some(Self::Cxx),
                "f" | "for" | "f90" | "f95" | "f03" | "f08" | "F" | "F90" => Some(Self::Fortran),
                "rs" => Some(Self::Rust),
                _ => None,
            },
        }
    }

    /// How the index of an image spells the language.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Cxx => "c++",
            Self::Fortran => "fortran",
            Self::Rust => "rust",
        }
    }

    /// The language of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [Self::C, Self::Cxx, Self::Fortran, Self::Rust];
        all.into_iter().find(|language| language.name() == name)
    }

    /// The variable that names the compiler, and what is used without it.
    const fn compiler(self) -> (&'static str, &'static str) {
        match self {
            Self::C => ("CC", "cc"),
            Self::Cxx => ("CXX", "c++"),
            Self::Fortran => ("FC", "gfortran"),
            Self::Rust => ("RUSTC", "rustc"),
        }
    }

    /// The compiler's command, in words.
    fn command(self) -> Vec<String> {
        let (variable, default) = self.compiler();
        let value = std::env::var(variable).unwrap_or_default();
        let words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            vec![link_cpu::compiler(default)]
        } else {
            words
        }
    }
}

/// One compiler at work.
struct Compilation {
    /// Index of the source in [`LinkLine::inputs`].
    input: usize,
    source: PathBuf,
    output: PathBuf,
    command: String,
    child: Child,
}

/// Compiles every source file among the inputs into `dir`, several at once, and returns what came
/// out: the input's place and the file that replaces it (for Rust, what [`super::image`] wrote).
///
/// # Errors
/// When a compiler cannot be started or fails; all failures are told. The compilers' own messages
/// went to the standard error stream.
pub fn compile_all(
    line: &LinkLine,
    dir: &Path,
    jobs: usize,
) -> Result<Vec<(usize, Language, PathBuf)>, String> {
    let sources: Vec<(usize, Language)> = line
        .inputs
        .iter()
        .enumerate()
        .filter_map(|(at, input)| Some((at, Language::of(input)?)))
        .collect();
    if !sources.is_empty()
        && let Some(compiled) = kept_objects::of_sources(&sources)
    {
        return Ok(compiled);
    }
    let (mut running, mut failures) = (Vec::new(), Vec::new());
    let mut outputs = Vec::new();
    for &(at, language) in &sources {
        if running.len() >= jobs.max(1) {
            failures.extend(wait(running.remove(0)));
        }
        match start(line, at, language, dir) {
            Ok(compilation) => {
                outputs.push((at, language, compilation.output.clone()));
                running.push(compilation);
            }
            Err(error) => failures.push(error),
        }
    }
    failures.extend(running.into_iter().filter_map(wait));
    if failures.is_empty() {
        Ok(kept_objects::keep(outputs))
    } else {
        Err(listed(failures, "\n", FAILURES_MAX))
    }
}

fn start(
    line: &LinkLine,
    at: usize,
    language: Language,
    dir: &Path,
) -> Result<Compilation, String> {
    let input = &line.inputs[at];
    let InputName::File(source) = &input.name else {
        return Err("internal error: a library is no source file".to_owned());
    };
    check(source)?;
    let output = output(source, at, dir);
    let words = language.command();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    if let Some(directory) = &line.directory {
        command.current_dir(directory);
    }
    match language {
        Language::Rust => rust_arguments(&mut command, &words, line, source, &output)?,
        _ => {
            let failed = |error| format!("{}: {error}", printable_path(source));
            let script = script::for_compiler(language, source, at, dir).map_err(failed)?;
            let (text, headers) = script.unzip();
            if let Some(headers) = headers {
                command.arg("-iquote").arg(headers);
            }
            let text = text.as_deref().unwrap_or(source);
            c_arguments(&mut command, input, line, text, &output);
            command.args(files_beside(line, source, &words));
        }
    }
    // What a compiler that is killed leaves goes with the directory.
    command.env("TMPDIR", dir);
    standard_streams::empty_for(&mut command);
    let (variable, _) = language.compiler();
    if line.verbose {
        say::note(shown(&command));
    }
    let child = command.spawn().map_err(|e| {
        format!(
            "{}: cannot run the compiler `{}`: {e}; set {variable} to one that exists",
            printable_path(&source),
            words[0]
        )
    })?;
    Ok(Compilation {
        input: at,
        source: source.clone(),
        output,
        command: words.join(" "),
        child,
    })
}

/// The object of a source, the input of this place, in a directory.
pub(super) fn output(source: &Path, at: usize, dir: &Path) -> PathBuf {
    let stem = source.file_stem().unwrap_or(OsStr::new("source"));
    dir.join(format!("{at}-{}.o", stem.display()))
}

/// A command as a shell would read it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./,:@%".contains(c);
        match !word.is_empty() && word.chars().all(plain) {
            true => word.into_owned(),
            false => format!("'{}'", word.replace('\'', "'\\''")),
        }
    });
    quoted.collect::<Vec<String>>().join(" ")
}

/// Refuses what compilers have misleading words for.
fn check(source: &Path) -> Result<(), String> {
    let what = match std::fs::metadata(source) {
        // Standard input, if the language is told.
        _ if source == Path::new("-") => return Ok(()),
        Ok(there) if there.is_dir() => "is a directory; name the sources in it",
        Err(error) if error.kind() == io::ErrorKind::NotFound => "no such file",
        // The compiler says what is wrong with it.
        Ok(_) | Err(_) => return Ok(()),
    };
    Err(format!("{}: {what}", printable_path(&source)))
}

fn c_arguments(
    command: &mut Command,
    input: &Input,
    line: &LinkLine,
    source: &Path,
    output: &Path,
) {
    command.args(&line.compile_flags).arg("-c");
    if let Some(language) = &input.state.language {
        command.args(["-x", language]);
    }
    command.arg(source).arg("-o").arg(output);
}

/// Starts of options for which compilers write further files beside the object, and compiled code while it
/// runs: these belong beside the program.
const WRITE_MORE: &[&str] = &[
    "--coverage",
    "-coverage",
    "-fprofile-arcs",
    "-fprofile-generate",
    "-ftest-coverage",
    "-fdump-",
    "-fstack-usage",
];

/// Options that say where a compiler's further files go: to where they would go if the driver linked, too.
fn files_beside(line: &LinkLine, source: &Path, words: &[String]) -> Vec<OsString> {
    let writes = |flag: &String| WRITE_MORE.iter().any(|start| flag.starts_with(start));
    if !line.compile_flags.iter().any(writes) {
        return Vec::new();
    }
    let output = line.output.clone().unwrap_or_else(|| "a".into());
    let output = match output.parent() {
        Some(parent) if parent != Path::new("") => output,
        _ => Path::new(".").join(output),
    };
    let mut prefix = output.into_os_string();
    prefix.push("-");
    let mut options = vec!["-dumpdir".into(), prefix];
    // clang goes by the source's name; gcc would go by the object's.
    if !words.iter().any(|word| word.contains("clang")) {
        let name = source.file_name().unwrap_or_default();
        options.extend(["-dumpbase".into(), name.to_owned()]);
        if let Some(extension) = source.extension() {
            let mut dotted = OsString::from(".");
            dotted.push(extension);
            options.extend(["-dumpbase-ext".into(), dotted]);
        }
    }
    options
}

/// A Rust program is linked by this very command, in its role as a linker: that leaves a file which
/// lists objects, libraries and options.
fn rust_arguments(
    command: &mut Command,
    words: &[String],
    line: &LinkLine,
    source: &Path,
    output: &Path,
) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot find my own file: {e}"))?;
    let mut linker = OsString::from("linker=");
    linker.push(own);
    let optimized = |flag: &String| flag.starts_with("-O") && flag != "-O0";
    if line.compile_flags.iter().any(optimized) {
        command.arg("-O");
    }
    if line.compile_flags.iter().any(|flag| flag.starts_with("-g")) {
        command.arg("-g");
    }
    let mut given = words.iter().chain(&line.rust_flags);
    if !given.any(|word| word.starts_with("--edition")) {
        command.arg("--edition=2024");
    }
    command.args(&line.rust_flags);
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    command.args(flags.split_whitespace());
    command.arg("-C").arg(linker);
    command.arg(source).arg("-o").arg(output);
    Ok(())
}

fn wait(mut compilation: Compilation) -> Option<String> {
    let source = printable_path(&compilation.source);
    let command = &compilation.command;
    match compilation.child.wait() {
        Ok(status) if status.success() && compilation.output.exists() => None,
        Ok(status) if status.success() => {
            let place = compilation.input;
            Some(format!(
                "{source}: `{command}` made no object of input {place}"
            ))
        }
        Ok(status) => Some(format!("{source}: `{command}` failed ({status})")),
        Err(error) => Some(format!("{source}: cannot wait for `{command}`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &[&str]) -> LinkLine {
        LinkLine::parse(args.iter().map(OsString::from), &|_| None).unwrap()
    }

    #[test]
    fn languages_by_name_and_by_option() {
        let of = |args: &[&str]| Language::of(&line(args).inputs[0]);
        assert_eq!(of(&["a.c"]), Some(Language::C));
        assert_eq!(of(&["a.C"]), Some(Language::Cxx));
        assert_eq!(of(&["dir.c/a.rs"]), Some(Language::Rust));
        assert_eq!(of(&["a.o"]), None);
        assert_eq!(of(&["-lc"]), None);
        assert_eq!(of(&["-x", "c++", "a.txt"]), Some(Language::Cxx));
    }

    #[test]
    fn sources_become_objects_in_parallel() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.c"), dir.path().join("b.cpp"));
        std::fs::write(&a, "int a(void) { return X; }").unwrap();
        std::fs::write(&b, "extern \"C\" int b() { return X; }").unwrap();
        let line = line(&["-DX=1", a.to_str().unwrap(), "c.o", b.to_str().unwrap()]);
        let outputs = compile_all(&line, dir.path(), 2).unwrap();
        assert_eq!((outputs[0].0, outputs[0].1), (0, Language::C));
        assert_eq!((outputs[1].0, outputs[1].1), (2, Language::Cxx));
        assert!(outputs.iter().all(|(_, _, path)| path.exists()));
    }

    #[test]
    fn further_files_go_beside_the_program() {
        let options = |args: &[&str], compiler: &str| {
            let options = files_beside(&line(args), Path::new("d/x.c"), &[compiler.to_owned()]);
            let options: Vec<_> = options.iter().map(|o| o.display().to_string()).collect();
            options.join(" ")
        };
        assert_eq!(options(&["-O2", "x.c"], "cc"), "");
        assert_eq!(
            options(&["--coverage", "x.c"], "cc"),
            "-dumpdir ./a- -dumpbase x.c -dumpbase-ext .c"
        );
        assert_eq!(
            options(&["-fprofile-generate", "x.c", "-o", "b/out"], "clang-22"),
            "-dumpdir b/out-"
        );
    }

    #[test]
    fn failures_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let bad = dir.path().join("bad.c");
        std::fs::write(&bad, "#error on purpose\n").unwrap();
        let line = line(&["-w", bad.to_str().unwrap(), "/none/at/all.c"]);
        let error = compile_all(&line, dir.path(), 1).unwrap_err();
        assert!(error.contains("bad.c: `cc` failed"), "{error}");
        assert!(error.contains("/none/at/all.c: no such file"), "{error}");
    }
}
