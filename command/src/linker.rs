//! Called in a linker's place, as in `rustc -C linker=orc-jit`.
//!
//! There is no subcommand then, and the arguments are a compiler driver's, or those of one to `ld`
//! ([`super::as_ld`]). A program becomes an image, a file that holds what it is made of
//! ([`super::image`]). Whatever is not a program (a shared library for a procedural
//! macro, a relocatable link, a compilation) goes to the real driver, or the linker.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use jit_core::batch::Rehearsal;
use orc_inputs::input::printable_path;

use super::image::{self, Recorder};
use super::link_line::{LinkLine, OutputKind, Question};
use super::map_file::LinkReport;
use super::run::Moment;
use super::scratch::{self, Scratch};
use super::surroundings::Surroundings;
use super::{
    Failure, as_ld, inputs, lto, output, questions, response_file, run, run_path, threads,
};

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

/// Whether arguments without a subcommand, the command's name first, are those of a linker.
pub(super) fn is_linker_call(args: &[OsString]) -> bool {
    if as_ld::is_call(args) {
        return true;
    }
    let args = args.get(1..).unwrap_or_default();
    let text = |arg: &OsString| arg.to_str().map(str::to_owned).unwrap_or_default();
    let says_so = |arg: &String| {
        let joined = ["-o", "-Wl,", "-L", "-print-", "@"];
        NOT_LINKING.contains(&arg.as_str()) || joined.iter().any(|j| arg.starts_with(j))
    };
    let asks_name = [["-v"], ["-V"], ["--version"]]
        .iter()
        .any(|asked| args == asked);
    asks_name || args.iter().map(text).any(|arg| says_so(&arg))
}

/// Links as asked by arguments, the command's name first.
pub(super) fn command(args: &[OsString]) -> Result<i32, Failure> {
    let mut args = response_file::expand(args.iter().cloned())?;
    let is_ld = as_ld::is_call(&args);
    args.remove(0);
    let asks_else = |arg: &OsString| {
        arg.to_str()
            .is_some_and(|a| NOT_LINKING.contains(&a) || a.starts_with("-print-"))
    };
    if args.iter().any(asks_else) {
        return Err(Failure::Failed(call_driver(&args)));
    }
    let given = args.clone();
    if is_ld {
        args = as_ld::in_words_of_a_driver(&args);
    }
    let parse = |args: &[OsString]| LinkLine::parse(args.iter().cloned(), &|_| None);
    let mut line = parse(&args).map_err(Failure::Usage)?;
    if let Some(option) = run_path::option_from_environment(&line) {
        args.push(option.into());
        line = parse(&args).map_err(Failure::Usage)?;
    }
    if line.output_kind != OutputKind::Program {
        return Err(Failure::Failed(match is_ld {
            true => become_other("ORC_JIT_LD", "ld.bfd", &given),
            false => call_driver(&args),
        }));
    }
    let unknown = line.own_options.iter().map(|o| o.display().to_string());
    let notes = line.warnings.iter().chain(&line.notes).cloned();
    for warning in notes.chain(unknown) {
        tracing::debug!(%warning, "as a linker");
    }
    // A driver's `-v` is the linker's, too.
    let asks_name = args.iter().any(|arg| arg == "-v" || arg == "-V");
    let question = line.question.or(asks_name.then_some(Question::Name));
    if let Some(question) = question
        && questions::answer(question, &line)?
    {
        return Ok(0);
    }
    if line.inputs.is_empty() {
        return Err(Failure::Usage("no input files".to_owned()));
    }
    line.check_named_files()?;
    write_image(line, &args)?;
    Ok(0)
}

/// Writes the program that `line`, the arguments `args`, asks for.
fn write_image(mut line: LinkLine, args: &[OsString]) -> Result<(), Failure> {
    let own = std::env::current_exe().map_err(|e| format!("cannot find my own file: {e}"))?;
    let here = std::env::current_dir();
    let here = here.map_err(|e| format!("cannot find the working directory: {e}"))?;
    let output = line.output.clone().unwrap_or_else(|| "a.out".into());
    line.seen_from(&here);
    let recorder = Arc::new(Recorder::default());
    let scratch = Scratch::for_line(&line)?;
    let compiled = scratch::path(&scratch);
    let surroundings: Arc<dyn Surroundings> = recorder.clone();
    if let Err(failure) = resolve(&mut line, &surroundings, compiled) {
        let Some(machine_code) = lto::machine_code(&line, &surroundings)? else {
            return Err(failure);
        };
        resolve(&mut line, &machine_code, compiled)?;
    }

    let taken = recorder.paths();
    let sources = line
        .inputs
        .iter()
        .filter_map(|input| input.source.as_deref());
    let inputs = taken.iter().map(|path| path.as_path()).chain(sources);
    if let Some(input) = output::overwritten(&output, inputs) {
        let (input, output) = (printable_path(input), printable_path(&output));
        let message =
            format!("the input {input} is the output {output}, too: name another with -o");
        return Err(Failure::Usage(message));
    }
    Ok(image::write(&output, &own, &recorder, &here, args)?)
}

/// Finds everything that the program is made of, and a meaning for every name.
fn resolve(
    line: &mut LinkLine,
    surroundings: &Arc<dyn Surroundings>,
    scratch: &Path,
) -> Result<(), Failure> {
    let limit = threads::Limit(None);
    let inputs = inputs::open(line, surroundings, scratch, limit)?;
    let mut report = LinkReport::wanted(line);
    let jit = run::jit(line, surroundings, report.as_ref(), Moment::Pruned)?;
    let jit = jit.build().map_err(|error| error.to_string())?;
    if let Some(report) = &mut report {
        report.files(&inputs.opened);
    }
    let rehearse = Some(Rehearsal::Names);
    let program = run::prepare(
        &jit,
        line,
        surroundings,
        inputs.opened,
        Vec::new(),
        rehearse,
    )?;
    run::use_default_libraries(&program, line, inputs.search, &inputs.languages)?;
    let missing = program.link().map_err(|error| error.to_string())?;
    run::warn_of_missing(line, missing.as_deref());
    report.map_or(Ok(()), |report| Ok(report.write(line)?))
}

/// Becomes the real driver; returns only with an error.
fn call_driver(args: &[OsString]) -> String {
    become_other("ORC_JIT_CC", "cc", args)
}

/// Becomes the command that the variable names; returns only with an error.
fn become_other(variable: &str, usual: &str, args: &[OsString]) -> String {
    let command = std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    let error = Command::new(&command).args(args).exec();
    format!("cannot run `{command}` for what is not a program: {error}; set {variable}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linker_calls_are_recognized() {
        let is = |line: &str| {
            let words = std::iter::once("orc-jit").chain(line.split(' '));
            let args: Vec<OsString> = words.map(OsString::from).collect();
            is_linker_call(&args)
        };
        assert!(is("-m64 a.o -o out") && is("@args") && is("a.o -Wl,--as-needed"));
        assert!(is("-v") && is("--version"));
        assert!(!is("rnu main.o") && !is("--threads 3"));
    }
}
