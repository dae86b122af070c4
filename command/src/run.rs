//! `orc-jit run`: from a command line to a running program.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser as _;
use jit_core::batch::{BeforeStart, Rehearsal};
use jit_core::error::LinkError;
use jit_core::executor::api::ProgramIdentity;
use jit_core::name::NameTable;
use jit_core::native::NativeLibrary;
use jit_core::session::{MissingSymbols, Speculation};
use orc_inputs::input::printable_path;
use orc_inputs::library_search::{FoundContent, LibrarySearch};
use orc_inputs::symbol_list::SymbolPatterns;
use orc_jit::mapped::{hide_all, hide_later};
use orc_jit::{
    Builder, Entry, Executor, Files, Jit, Program, ProgramInput, ProgramSettings, Undefined,
};
use orc_system::at_exit;
use orc_target_process::host::process::begin_own_work;

use super::call_order::{CallOrder, Record};
use super::inputs::{self, Inputs, Opened};
use super::link_line::{Input, InputName, LinkLine};
use super::map_file::LinkReport;
use super::options::RunOptions;
use super::scratch::Scratch;
use super::script;
use super::sources::Language;
use super::surroundings::{Here, Surroundings};
use super::threads::LinkThreads;
use super::timings::{self, Timings};
use super::{
    Failure, driver_defaults, identity, image, kept_objects, lto, other_process, preload,
    questions, response_file, restart, run_path, say, scratch, show_graph, threads,
};

/// `orc-jit run ARGS...`
pub(super) fn command(args: &[OsString]) -> Result<i32, Failure> {
    let read = |options: &[OsString]| {
        let name = OsString::from("orc-jit run");
        RunOptions::try_parse_from([&name].into_iter().chain(options))
    };
    let Some((line, request)) = parse(args, read)? else {
        return Ok(0);
    };
    let here: Arc<dyn Surroundings> = Arc::new(Here::default());
    let executor = other_process::reach_if_unknown(&request.options)?;
    let before = Before {
        executor,
        scratch: None,
    };
    run(line, &request, &here, before)
}

/// Reads a command line; `read` is for the options that are the command's own. Nothing if it was a question,
/// which is answered.
pub(super) fn parse(
    args: &[OsString],
    read: impl FnOnce(&[OsString]) -> Result<RunOptions, clap::Error>,
) -> Result<Option<(LinkLine, Request)>, Failure> {
    let args = response_file::expand(args.iter().cloned())?;
    let (own, program_args) = script::split(&args);
    let mut own = Cow::Borrowed(own);
    let parse = |own: &[OsString]| LinkLine::parse(own.iter().cloned(), &RunOptions::is_own);
    let mut line = parse(&own).map_err(Failure::Usage)?;
    if let Some(option) = run_path::option_from_environment(&line) {
        own.to_mut().push(option.into());
        line = parse(&own).map_err(Failure::Usage)?;
    }
    RunOptions::refuse_unknown(&line.own_options).map_err(Failure::Usage)?;
    let options = read(&line.own_options)?;
    if options.debug && !line.wants_debugging() {
        line.compile_flags.push("-g".to_owned());
    }
    let is_repeated = restart::is_repeated() || options.link_directory.is_some();
    for warning in line
        .warnings
        .iter()
        .chain(&line.notes)
        .filter(|_| !is_repeated)
    {
        say::warning(warning);
    }
    if let Some(question) = line.question
        && questions::answer(question, &line)?
    {
        return Ok(None);
    }
    if let Some(other) = line.output_kind.other_than_a_program() {
        let message = format!("{other}, and `run` runs a program: leave it out");
        return Err(Failure::Usage(message));
    }
    if line.inputs.is_empty() {
        let message = match program_args {
            [] => "no input files",
            _ => "no input files: what follows `--` is for the program",
        };
        return Err(Failure::Usage(message.to_owned()));
    }
    let file = program_file(&line, options.script);
    let identity = identity::of_command_line(&own, options.link_directory.as_deref(), &file);
    if let Some(directory) = &options.link_directory {
        line.seen_from(directory);
        line.directory = Some(directory.clone());
    }
    line.check_named_files()?;
    let argv0 = options.argv0.clone();
    let argv0 = argv0.unwrap_or_else(|| file.display().to_string());
    let identity = identity::with_arguments(identity, argv0, program_args);
    let order = CallOrder::wanted(&options)?;
    let request = Request {
        options,
        identity,
        order,
    };
    Ok(Some((line, request)))
}

/// `orc-jit run-image FILE NAME ARGS...`, as an [`image`] calls it: its path, and all of its arguments.
pub(super) fn image_command(args: &[OsString]) -> Result<i32, Failure> {
    let (file, args) = args
        .split_first()
        .ok_or_else(|| Failure::Usage("no file".to_owned()))?;
    let path = Path::new(file);
    let contents = image::read(path)?
        .ok_or_else(|| Failure::Usage(format!("{} is no image of mine", printable_path(&path))))?;
    let origin = path.canonicalize().ok();
    let line = contents.line(origin.as_deref().and_then(Path::parent))?;
    let (name, program_args) = args.split_first().unwrap_or((file, &[]));
    let name = name.to_string_lossy().into_owned();
    let surroundings: Arc<dyn Surroundings> = Arc::new(contents);
    let identity = identity::with_arguments(identity::of_file(path), name, program_args);
    let request = Request {
        options: RunOptions::default(),
        identity,
        order: CallOrder::default(),
    };
    run(line, &request, &surroundings, Before::default())
}

/// What is to be run, beside a line.
pub(super) struct Request {
    pub(super) options: RunOptions,
    pub(super) identity: ProgramIdentity,
    /// Functions that do not wait for their first calls.
    pub(super) order: CallOrder,
}

/// Why there is no program.
pub(super) enum Stopped {
    /// The command's part failed.
    Command(Failure),
    /// Linking failed, or the process is gone.
    Link(orc_jit::Error),
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Command(failure) => failure,
            Stopped::Link(error) => Self::Failed(error.to_string()),
        }
    }
}

impl From<orc_jit::Error> for Stopped {
    fn from(error: orc_jit::Error) -> Self {
        Self::Link(error)
    }
}

/// What there is from the time before a link failed that is done again.
#[derive(Default)]
struct Before {
    executor: Option<Executor>,
    scratch: Option<Scratch>,
}

/// Links and runs, with what there is already.
fn run(
    mut line: LinkLine,
    request: &Request,
    surroundings: &Arc<dyn Surroundings>,
    before: Before,
) -> Result<i32, Failure> {
    let options = &request.options;
    let mut timings = Timings::start();
    if options.executor.is_none() {
        hide_later();
    }
    let scratch = match before.scratch {
        Some(scratch) => Some(scratch),
        None => Scratch::for_line(&line)?,
    };
    let limit = threads::Limit(options.threads);
    let inputs = inputs::open(&mut line, surroundings, scratch::path(&scratch), limit);
    let inputs = inputs.map_err(|problem| mention_arguments(&line, request, problem))?;
    // All that was compiled is open, and the program starts as if nothing had been compiled. Only what
    // could not be kept, and is to be compiled once more, has to stay.
    let scratch = scratch.filter(|scratch| lto::is_below(scratch.path(), &inputs.opened));
    let mut start_with = Vec::new();
    if options.executor.is_some() || !restart::is_preloaded() {
        let preloaded = preload::libraries(&line, surroundings, &inputs);
        if options.executor.is_none() && !preloaded.is_empty() {
            return Err(restart::preloading(&preloaded).into());
        }
        start_with = restart::variables(&preloaded);
    }
    timings.done("open inputs, compile sources");

    let executor = match before.executor {
        Some(executor) => Some(executor),
        None => other_process::start(options, start_with, line.wants_debugging())?,
    };
    let mut report = LinkReport::wanted(&line);
    let moment = Moment::Placed(options.show_graph);
    let mut jit = jit(&line, surroundings, report.as_ref(), moment)?;
    if let Some(executor) = &executor {
        jit = jit.executor(executor.clone());
    }
    if let Some(path) = &options.orc_runtime {
        jit = jit.runtime(path);
    }
    if options.timings {
        jit = jit.time_phases();
    }
    if options.speculate && !options.no_exec {
        jit = jit.speculate(Speculation {
            thread_starts: begin_own_work,
            ..Speculation::default()
        });
    }
    let jit = jit.build().map_err(|e| e.to_string())?;
    if let Some(report) = &mut report {
        report.files(&inputs.opened);
    }
    timings.done("start the runtime");

    let record = Record::start(options, &jit)?;
    let linked = link(&jit, &line, surroundings, inputs, request, &mut timings);
    let (program, threads) = match linked {
        Ok(linked) => linked,
        Err(stopped) => {
            if let Some(machine_code) = lto::machine_code(&line, surroundings)? {
                drop(jit);
                let before = Before { executor, scratch };
                return run(line, request, &machine_code, before);
            }
            let error = match stopped {
                Stopped::Command(failure) => return Err(failure),
                Stopped::Link(error) => error,
            };
            let in_the_way = restart_if_it_helps(&jit).or_else(|| {
                restart_with_refused_library(options, &line, executor.as_ref(), &error)
            });
            in_the_way.iter().for_each(say::warning);
            return other_process::status(executor.as_ref(), &error);
        }
    };
    if let Some(report) = &report {
        report.write(&line)?;
    }
    timings.done("resolve, link and load");

    // Nothing of ours is in the program's way: no thread, no file.
    threads.end();
    if options.timings {
        say::tell(&timings.report(jit.phase_times()))?;
    }
    let order = request.order.in_program(&program, options);
    if options.no_exec {
        return Ok(0);
    }
    let program = Arc::new(program);
    if let Some(record) = record {
        record.write_at_exit(order);
    }
    if options.timings && options.lazy {
        timings::tell_at_exit(&program, jit.session());
    }
    if options.speculate {
        let session = jit.session().clone();
        at_exit::at_exit(move || session.stop_speculation());
    }
    other_process::stand_aside(options, executor.as_ref());
    match program.run() {
        // With a runtime that cannot end the process itself.
        Ok(status) => {
            if let Some(executor) = &executor {
                executor.end();
            }
            std::process::exit(status)
        }
        Err(error) => {
            at_exit::do_now();
            other_process::status(executor.as_ref(), &error)
        }
    }
}

/// Links the inputs to a program, and enters it into its process.
pub(super) fn link(
    jit: &Jit,
    line: &LinkLine,
    surroundings: &Arc<dyn Surroundings>,
    inputs: Inputs,
    request: &Request,
    timings: &mut Timings,
) -> Result<(Program, LinkThreads), Stopped> {
    let Inputs {
        opened,
        search,
        languages,
        threads,
    } = inputs;
    let identity = identity::in_executor(&request.identity, jit.executor());
    let args = identity.args.clone();
    let rehearse = request.options.no_exec.then_some(Rehearsal::All);
    let program = prepare(jit, line, surroundings, opened, args, rehearse);
    let program = program.map_err(Stopped::Command)?;
    use_default_libraries(&program, line, search, &languages)
        .map_err(|error| Stopped::Command(error.into()))?;
    if request.options.lazy {
        program.link_lazily();
        request.order.link_ahead(&program);
    }
    // The name is data of the C library, which the program may take a copy of.
    jit.session().executor().set_program(&identity);
    timings.done("read symbol tables");
    let missing = program.link()?;
    warn_of_missing(line, missing.as_deref());
    Ok((program, threads))
}

/// Tells of undefined symbols that the program is linked without.
pub(super) fn warn_of_missing(line: &LinkLine, missing: Option<&MissingSymbols>) {
    let missing = missing.filter(|_| line.undefined_symbols == Undefined::Warn);
    if let Some(missing) = missing {
        let count = missing.symbols.len();
        say::warning(format_args!(
            "{missing}\n{count} undefined symbols have the address zero"
        ));
    }
}

/// Lets the program have the languages' and the system's libraries, unless the line says not to.
pub(super) fn use_default_libraries(
    program: &Program,
    line: &LinkLine,
    search: impl Into<Arc<LibrarySearch>>,
    languages: &[Language],
) -> Result<(), String> {
    if !line.default_libraries {
        return Ok(());
    }
    let fortran = languages.contains(&Language::Fortran);
    let more: &[&str] = if fortran { &["libgfortran.so.5"] } else { &[] };
    let used = program.use_default_libraries(search, more);
    used.map_err(|error| error.to_string())
}

/// The libraries that the program will load, in the loader's order. Nothing is linked for that.
pub(super) fn needed_libraries(
    line: &LinkLine,
    surroundings: &Arc<dyn Surroundings>,
    inputs: &Inputs,
) -> Result<Vec<Arc<dyn NativeLibrary>>, Failure> {
    let jit = jit(line, surroundings, None, Moment::Pruned)?;
    let jit = jit.build().map_err(|e| e.to_string())?;
    let (opened, names_only) = (inputs.opened.clone(), Some(Rehearsal::Names));
    let program = prepare(&jit, line, surroundings, opened, Vec::new(), names_only)?;
    use_default_libraries(&program, line, inputs.search.clone(), &inputs.languages)?;
    program.link().map_err(|e| e.to_string())?;
    Ok(program.needed_libraries())
}

/// Starts the command again if it was the process's room for thread-locals that was in the way. Returns if it
/// was not, or with what is in the way of another start.
fn restart_if_it_helps(jit: &Jit) -> Option<String> {
    let executor = jit.executor();
    let wanted = executor.control().wanted_surplus();
    let surplus = restart::next_surplus(wanted)?;
    executor.end();
    Some(restart::with_surplus(surplus))
}

/// Starts the command again if the program has a library that may only be loaded when a process starts.
/// Returns as [`restart_if_it_helps`].
fn restart_with_refused_library(
    options: &RunOptions,
    line: &LinkLine,
    executor: Option<&Executor>,
    error: &orc_jit::Error,
) -> Option<String> {
    let message = error.to_string();
    let name = restart::refused_library(&message)?;
    if let Some(executor) = executor {
        executor.end();
    }
    let library = run_path::find(line, name);
    restart::preloading_too(&library, options.executor.is_none())
}

/// When a link's graphs are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// When it is known what is linked.
    Pruned,
    /// When it is known where it is. They may be shown, too.
    Placed(bool),
}

/// A JIT for the line's objects.
pub(super) fn jit(
    line: &LinkLine,
    surroundings: &Arc<dyn Surroundings>,
    report: Option<&LinkReport>,
    moment: Moment,
) -> Result<Builder, String> {
    let wrapped = line.wrapped.iter();
    let watched = surroundings.clone();
    let mut builder = wrapped.fold(Jit::builder(), Builder::wrap).files(Files {
        opener: surroundings.clone(),
        watch: Some(Arc::new(move |path| watched.watch(path))),
    });
    if line.wants_debugging() {
        builder = builder.debug();
    }
    let names = report.map(|report| report.names().clone());
    let names = names.unwrap_or_else(|| Arc::new(NameTable::permanent()));
    if moment == Moment::Placed(true) {
        let shown = names.clone();
        builder = builder.passes(Box::new(move |_, passes| {
            let names = shown.clone();
            passes.post_allocation.push(Box::new(move |graph| {
                let shown = say::tell(&show_graph::show(graph, &names));
                shown.map_err(|message| LinkError::Client {
                    who: "--show-graph".to_owned(),
                    message,
                })
            }));
        }));
    }
    if let Some(report) = report {
        let pass = Arc::new(report.pass());
        builder = builder.passes(Box::new(move |_, passes| {
            let pass = pass.clone();
            let passes = match moment {
                Moment::Pruned => &mut passes.post_prune,
                Moment::Placed(_) => &mut passes.post_allocation,
            };
            passes.push(Box::new(move |graph| {
                pass(graph);
                Ok(())
            }));
        }));
    }
    let read = |path: &Path| {
        let text = surroundings.open(path);
        let text = text.map_err(|error| format!("{}: {error}", printable_path(&path)))?;
        Ok(String::from_utf8_lossy(text.bytes()).into_owned())
    };
    if let Some(passes) = line.tuning.passes(&read, names.clone())? {
        builder = builder.passes(passes);
    }
    Ok(builder.names(names))
}

pub(super) fn prepare(
    jit: &Jit,
    line: &LinkLine,
    surroundings: &Arc<dyn Surroundings>,
    opened: Vec<Opened>,
    args: Vec<Vec<u8>>,
    rehearse: Option<Rehearsal>,
) -> Result<Program, Failure> {
    let defaults = ProgramSettings::default();
    let scripts = opened
        .iter()
        .filter_map(|opened| match &opened.found.content {
            FoundContent::Names(names) => Some(names),
            _ => None,
        });
    let wanted = scripts.clone().flat_map(|names| &names.wanted);
    let entry = line.entry.as_ref();
    let entry = entry.or_else(|| scripts.filter_map(|names| names.entry.as_ref()).next_back());
    let settings = ProgramSettings {
        entry: match entry {
            Some(entry) => Entry::Symbol(entry.clone()),
            None if line.start_files && !line.is_static => Entry::Main,
            None => Entry::Start,
        },
        init: line.init.clone(),
        fini: line.fini.clone(),
        multiple_definitions: line.multiple_definitions,
        run_path: line.run_path.clone(),
        run_path_for_all: line.run_path_for_all,
        own_c_library: line.is_static,
        undefined_weak_is_null: line.undefined_weak_is_null,
        no_copies: line.no_copies,
        gc_sections: line.gc_sections.unwrap_or(defaults.gc_sections),
        keep: line.undefined.iter().chain(wanted).cloned().collect(),
        required: line.required.clone(),
        export_dynamic: line.export_dynamic,
        exported: exported(line, &**surroundings)?,
        args,
        undefined: line.undefined_symbols,
        rehearse,
        fixed_addresses: line.fixed_addresses,
        // Without room for them, the command starts again.
        fixed_thread_locals: true,
        dynamic_section: line.dynamic_section,
        before_start: Some(BeforeStart(Arc::new(|| {
            // SAFETY: the link is over, its threads have ended, and graphs with them. Messages and backtraces
            // ask for the bytes anew.
            unsafe { hide_all() };
            kept_objects::forget();
        }))),
        then_exit: true,
    };
    let text = |e: orc_jit::Error| e.to_string();
    let program = Program::new(jit, settings).map_err(text)?;
    let (asked, flags) = (surroundings.clone(), line.compile_flags.clone());
    program.ask_driver(move || driver_defaults::is_as_needed(&*asked, &flags));
    let opened = opened.into_iter().map(|opened| ProgramInput {
        found: opened.found,
        name: opened.name,
        whole_archive: opened.whole_archive,
        load: opened.load,
        lazy: opened.lazy,
        replaceable: opened.replaceable,
    });
    program.add(opened.collect()).map_err(text)?;
    program.assign(line.assignments.iter().cloned());
    Ok(program)
}

/// What the command line and the files it names choose for `dlsym`.
fn exported(line: &LinkLine, surroundings: &dyn Surroundings) -> Result<SymbolPatterns, String> {
    let mut patterns = SymbolPatterns::default();
    for list in &line.exported_lists {
        patterns.add_list(list)?;
    }
    for pattern in &line.exported {
        patterns.add(pattern);
    }
    for path in &line.export_lists {
        let text = surroundings
            .open(path)
            .map_err(|e| format!("{}: {e}", printable_path(&path)))?;
        let added = patterns.add_list(&String::from_utf8_lossy(text.bytes()));
        added.map_err(|problem| format!("{}: {problem}", printable_path(&path)))?;
    }
    Ok(patterns)
}

/// Adds how arguments are given to the program, if words behind a source or an object are no files.
fn mention_arguments(line: &LinkLine, request: &Request, problem: String) -> String {
    let is_missing = |input: &Input| match &input.name {
        InputName::File(path) => {
            !path.as_os_str().is_empty() && !path.exists() && path.extension().is_none()
        }
        InputName::Library(_) => false,
    };
    let missing = line.inputs.iter().skip(1).find(|input| is_missing(input));
    match missing.map(|input| &input.name) {
        Some(InputName::File(path)) if request.identity.args.len() <= 1 => format!(
            "{problem}\nif `{0}` is an argument of the program, write it behind `--`: … -- {0} …",
            printable_path(&path)
        ),
        _ => problem,
    }
}

/// The file a linker would have written, or else the first input without its extension: what the program
/// sees as its name. That of a script is the script, which is the last input.
fn program_file(line: &LinkLine, is_script: bool) -> PathBuf {
    if let (true, Some(InputName::File(script))) =
        (is_script, line.inputs.last().map(|input| &input.name))
    {
        return script.clone();
    }
    let first = line.inputs.iter().find_map(|input| match &input.name {
        // What a compiler driver would call it.
        InputName::File(path) if path == Path::new("-") => Some("a.out".into()),
        InputName::File(path) => Some(path.with_extension("")),
        InputName::Library(_) => None,
    });
    line.output.clone().or(first).unwrap_or_default()
}
