//! Called in a linker's place, as in `rustc -C linker=orc-jit`.
//!
//! There is no subcommand then, and the arguments are a compiler driver's. A program becomes a file
//! that runs the link ([`super::image`]). Whatever is not a program (a shared library for a
//! procedural macro, a relocatable link, a compilation) goes to the real driver.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::link_line::{InputName, LinkLine, OutputKind};
use super::{Failure, image, output, response_file};

/// Options that ask a compiler driver for something else than linking.
const NOT_LINKING: &[&str] = &[
    "-c",
    "-S",
    "-E",
    "-M",
    "-MM",
    "-fsyntax-only",
    "-dumpversion",
    "-dumpmachine",
];

/// Whether arguments without a subcommand are those of a linker.
pub(super) fn is_linker_call(args: &[OsString]) -> bool {
    let text = |arg: &OsString| arg.to_str().map(str::to_owned).unwrap_or_default();
    let says_so = |arg: &String| {
        let joined = ["-o", "-Wl,", "-L", "-print-", "@"];
        NOT_LINKING.contains(&arg.as_str()) || joined.iter().any(|j| arg.starts_with(j))
    };
    args.iter().map(text).any(|arg| says_so(&arg))
}

/// Links as asked.
pub(super) fn command(args: &[OsString]) -> Result<i32, Failure> {
    let args = response_file::expand(args.iter().cloned())?;
    let asks_else = |arg: &OsString| {
        arg.to_str()
            .is_some_and(|a| NOT_LINKING.contains(&a) || a.starts_with("-print-"))
    };
    let line = LinkLine::parse(args.iter().cloned(), &|_| None).map_err(Failure::Usage)?;
    if args.iter().any(asks_else) || line.output_kind != OutputKind::Program {
        return Err(Failure::Failed(call_driver(&args)));
    }
    let unknown = line.own_options.iter().map(|o| o.display().to_string());
    for warning in line.warnings.iter().cloned().chain(unknown) {
        tracing::debug!(%warning, "as a linker");
    }
    let own = std::env::current_exe().map_err(|e| format!("cannot find my own file: {e}"))?;
    let output = line.output.as_deref().unwrap_or(Path::new("a.out"));
    let files = line.inputs.iter().filter_map(|input| match &input.name {
        InputName::File(path) => Some(path.as_path()),
        InputName::Library(_) => None,
    });
    if let Some(input) = output::overwritten(output, files) {
        let (input, output) = (input.display(), output.display());
        let message =
            format!("the input {input} is the output {output}, too: name another with -o");
        return Err(Failure::Usage(message));
    }
    image::write(&line, output, &own)?;
    Ok(0)
}

/// Becomes the real driver; returns only with an error.
fn call_driver(args: &[OsString]) -> String {
    let driver = std::env::var("ORC_JIT_CC").unwrap_or_else(|_| "cc".to_owned());
    let error = Command::new(&driver).args(args).exec();
    format!("cannot run `{driver}` for what is not a program: {error}; set ORC_JIT_CC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linker_calls_are_recognized() {
        let is = |line: &str| {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            is_linker_call(&args)
        };
        assert!(is("-m64 a.o -o out") && is("@args") && is("a.o -Wl,--as-needed"));
        assert!(!is("rnu main.o") && !is("--threads 3"));
    }
}
