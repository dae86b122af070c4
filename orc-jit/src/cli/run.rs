//! `orc-jit run`: from a command line to a running program.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser as _;
use jit_core::name::NameTable;
use platform_elf::library_search::FoundContent;
use platform_elf::symbol_list::SymbolPatterns;

use super::inputs::{self, Inputs, Opened};
use super::link_line::{InputName, LinkLine};
use super::options::RunOptions;
use super::sources::Language;
use super::timings::Timings;
use super::{
    Failure, driver_libraries, executor, image, response_file, restart, show_graph, threads,
};
use crate::{Builder, Executor, Jit, Program, ProgramInput, ProgramSettings, Undefined};

/// `orc-jit run ARGS...`
pub(super) fn command(args: &[OsString]) -> Result<i32, Failure> {
    let args = response_file::expand(args.iter().cloned())?;
    let split = args.iter().position(|arg| arg == "--");
    let (own, program_args) = match split {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (&args[..], &[][..]),
    };
    let line = LinkLine::parse(own.iter().cloned(), &RunOptions::is_own).map_err(Failure::Usage)?;
    let name = OsString::from("orc-jit run");
    let options = RunOptions::try_parse_from([&name].into_iter().chain(&line.own_options))?;
    for warning in line.warnings.iter().filter(|_| !restart::is_repeated()) {
        eprintln!("orc-jit: warning: {warning}");
    }
    if let Some(other) = line.output_kind.other_than_a_program() {
        let message = format!("{other}, and `run` runs a program: leave it out");
        return Err(Failure::Usage(message));
    }
    if line.inputs.is_empty() {
        return Err(Failure::Usage("no input files".to_owned()));
    }
    let argv0 = options.argv0.clone().unwrap_or_else(|| program_name(&line));
    run(line, options, argv0, program_args)
}

/// `orc-jit run-image FILE ARGS...`, as the kernel calls it for a file that [`image`] wrote.
pub(super) fn image_command(args: &[OsString]) -> Result<i32, Failure> {
    let (file, program_args) = args
        .split_first()
        .ok_or_else(|| Failure::Usage("no file".to_owned()))?;
    let words = image::read(Path::new(file))?
        .ok_or_else(|| Failure::Usage(format!("{} is not mine", file.display())))?;
    let line = LinkLine::parse(words, &RunOptions::is_own).map_err(Failure::Usage)?;
    let name = file.to_string_lossy().into_owned();
    run(line, RunOptions::default(), name, program_args)
}

fn run(
    mut line: LinkLine,
    options: RunOptions,
    argv0: String,
    program_args: &[OsString],
) -> Result<i32, Failure> {
    let mut timings = Timings::start();
    let has_sources = line.inputs.iter().any(|i| Language::of(i).is_some());
    let scratch = has_sources.then(tempfile::tempdir).transpose();
    let scratch = scratch.map_err(|e| format!("cannot make a temporary directory: {e}"))?;
    let dir = scratch.as_ref().map_or(Path::new(""), |d| d.path());
    let inputs = inputs::open(&mut line, dir, threads::limit(options.threads))?;
    let preload = driver_libraries::replaced_allocator(&inputs.opened);
    if let (None, Some(library)) = (&options.executor, preload) {
        restart::preloading(library);
    }
    let start_with = restart::variables(preload);
    timings.done("open inputs, compile sources");

    let executor = executor::start(&options, start_with)?;
    let jit = start(&options, &line, executor.as_ref())?;
    timings.done("start the runtime");

    let Inputs {
        opened,
        search,
        languages,
        threads,
    } = inputs;
    let program_args = program_args
        .iter()
        .map(|a| a.to_string_lossy().into_owned());
    let args = std::iter::once(argv0.clone()).chain(program_args).collect();
    let program = prepare(&jit, &line, opened, args, options.no_exec)?;
    if line.default_libraries {
        let fortran = languages.contains(&Language::Fortran);
        let more: &[&str] = if fortran { &["libgfortran.so.5"] } else { &[] };
        let used = program.use_default_libraries(search, more);
        used.map_err(|e| e.to_string())?;
    }
    // The name is data of the C library, which the program may take a copy of.
    jit.session().executor().set_program_name(&argv0);
    timings.done("read symbol tables");

    match program.link() {
        Ok(Some(missing)) if line.undefined_symbols == Undefined::Warn => {
            let count = missing.symbols.len();
            eprintln!(
                "orc-jit: warning: {missing}\n{count} undefined symbols have the address zero"
            );
        }
        Ok(_) => {}
        Err(error) => {
            drop(scratch);
            restart_if_it_helps(&jit);
            return executor::status(executor.as_ref(), &error);
        }
    }
    timings.done("resolve, link and load");

    // Nothing of ours is in the program's way: no thread, no file.
    threads.end();
    drop(scratch);
    if options.timings {
        eprint!("{}", timings.report(jit.phase_times()));
    }
    if options.no_exec {
        return Ok(0);
    }
    executor::stand_aside(&options, executor.as_ref());
    match program.run() {
        // With a runtime that cannot end the process itself.
        Ok(status) => {
            if let Some(executor) = &executor {
                executor.end();
            }
            std::process::exit(status)
        }
        Err(error) => executor::status(executor.as_ref(), &error),
    }
}

/// Starts the command again if it was the process's room for thread-locals that was in the way.
fn restart_if_it_helps(jit: &Jit) {
    let executor = jit.executor();
    let wanted = executor.control().wanted_surplus();
    if let Some(surplus) = restart::next_surplus(wanted) {
        executor.end();
        restart::with_surplus(surplus);
    }
}

fn start(
    options: &RunOptions,
    line: &LinkLine,
    executor: Option<&Executor>,
) -> Result<Jit, Failure> {
    let wrapped = line.wrapped.iter();
    let mut builder = wrapped.fold(Jit::builder(), Builder::wrap);
    if let Some(executor) = executor {
        builder = builder.executor(executor.clone());
    }
    if let Some(path) = &options.orc_runtime {
        builder = builder.runtime(path);
    }
    if options.show_graph {
        let names = Arc::new(NameTable::default());
        let shown = names.clone();
        builder = builder.names(names).passes(Box::new(move |_, passes| {
            let names = shown.clone();
            passes.post_allocation.push(Box::new(move |graph| {
                eprint!("{}", show_graph::show(graph, &names));
                Ok(())
            }));
        }));
    }
    Ok(builder.build().map_err(|e| e.to_string())?)
}

fn prepare(
    jit: &Jit,
    line: &LinkLine,
    opened: Vec<Opened>,
    args: Vec<String>,
    rehearse: bool,
) -> Result<Program, Failure> {
    let defaults = ProgramSettings::default();
    let wanted = opened
        .iter()
        .flat_map(|opened| match &opened.found.content {
            FoundContent::Names(names) => &names.wanted[..],
            _ => &[],
        });
    let settings = ProgramSettings {
        entry: line.entry.clone().unwrap_or(defaults.entry),
        run_path: line.run_path.clone(),
        gc_sections: line.gc_sections.unwrap_or(defaults.gc_sections),
        keep: line.undefined.iter().chain(wanted).cloned().collect(),
        required: line.required.clone(),
        export_dynamic: line.export_dynamic,
        exported: exported(line)?,
        args,
        undefined: line.undefined_symbols,
        rehearse,
        then_exit: true,
    };
    let text = |e: crate::Error| e.to_string();
    let program = Program::new(jit, settings).map_err(text)?;
    let opened = opened.into_iter().map(|opened| ProgramInput {
        found: opened.found,
        name: opened.name,
        whole_archive: opened.whole_archive,
        as_needed: opened.as_needed,
    });
    program.add(opened.collect()).map_err(text)?;
    for (name, value) in &line.defsyms {
        program.define(name, value).map_err(text)?;
    }
    Ok(program)
}

/// What the command line and the files it names choose for `dlsym`.
fn exported(line: &LinkLine) -> Result<SymbolPatterns, String> {
    let mut patterns = SymbolPatterns::default();
    for pattern in &line.exported {
        patterns.add(pattern);
    }
    for path in &line.export_lists {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let added = patterns.add_list(&text);
        added.map_err(|problem| format!("{}: {problem}", path.display()))?;
    }
    Ok(patterns)
}

/// What the program sees as its name: the file a linker would have written, or else the first input
/// without its extension.
fn program_name(line: &LinkLine) -> String {
    let first = line.inputs.iter().find_map(|input| match &input.name {
        InputName::File(path) => Some(path.with_extension("")),
        InputName::Library(_) => None,
    });
    let name: PathBuf = line.output.clone().or(first).unwrap_or_default();
    name.display().to_string()
}
