//! `orc-jit watch`: runs a program, and replaces in it what changes of its sources.
//!
//! The program runs in a process of its own, so that it can crash, and be started anew. This process
//! compiles and links. Three things can happen, each heard of by a thread of its own, and handled here one
//! after another: a file was written, a key was typed, the program ended.

mod changes;
mod end;
mod terminal;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use clap::Parser as _;
use jit_core::object::ObjectFile;
use jit_core::remote::Place;
use orc_inputs::input::printable_path;
use orc_jit::{Executor, Jit, Program, ReplaceOptions};

use self::changes::{Listener, Sources};
use self::end::End;
use self::terminal::{Keys, Screen, Tone};
use super::link_line::{Input, InputName, LinkLine};
use super::options::{RunOptions, WatchOptions};
use super::run::{self, Moment, Request};
use super::scratch::Scratch;
use super::sources::{self, Language};
use super::surroundings::{Here, Surroundings};
use super::threads::{self, LinkThreads};
use super::timings::Timings;
use super::{Failure, inputs, other_process, preload, restart};

/// What makes each function and each variable something that can be replaced or kept by itself, and what
/// tells which headers a source is compiled from.
const COMPILE_WITH: [&str; 3] = ["-ffunction-sections", "-fdata-sections", "-MMD"];

/// `orc-jit watch ARGS...`
pub(super) fn command(args: &[OsString]) -> Result<i32, Failure> {
    let read = |options: &[OsString]| {
        let name = OsString::from("orc-jit watch");
        let parsed = WatchOptions::try_parse_from([&name].into_iter().chain(options));
        parsed.map(|options| options.run)
    };
    let Some((mut line, mut request)) = run::parse(args, read)? else {
        return Ok(0);
    };
    let watched = watched(&line).map_err(Failure::Usage)?;
    refuse(&request.options).map_err(Failure::Usage)?;
    // What nothing refers to may be referred to by a new version.
    line.gc_sections = Some(false);
    line.compile_flags.extend(COMPILE_WITH.map(str::to_owned));
    let place = &mut request.options.executor;
    place.get_or_insert(Place::Spawn(None));
    let keys = Keys::take().map_err(|error| format!("the terminal: {error}"))?;
    let watch = Watch::new(line, request, watched, keys)?;
    watch.until_the_end()
}

/// Refuses options that are about a single link.
fn refuse(options: &RunOptions) -> Result<(), String> {
    let given = [
        ("--no-exec", options.no_exec),
        ("--show-graph", options.show_graph),
        ("--timings", options.timings),
        ("--speculate", options.speculate),
        ("--record-order", options.record_order.is_some()),
        ("--order", options.order.is_some()),
        ("--orc-runtime", options.orc_runtime.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(format!("{name} is an option of `orc-jit run`")),
        None => Ok(()),
    }
}

/// The inputs that are watched: those that are compiled here.
fn watched(line: &LinkLine) -> Result<Vec<usize>, String> {
    let mut all = Vec::new();
    for (at, input) in line.inputs.iter().enumerate() {
        match Language::of(input) {
            Some(Language::C | Language::Cxx) => all.push(at),
            Some(Language::Fortran | Language::Rust) => {
                return Err(format!(
                    "{}: only sources in C and C++ can be watched",
                    printable_path(&source(input))
                ));
            }
            None => {}
        }
    }
    if all.is_empty() {
        return Err("nothing to watch: name sources in C or C++".to_owned());
    }
    Ok(all)
}

fn source(input: &Input) -> &Path {
    match &input.name {
        InputName::File(path) => path,
        InputName::Library(_) => Path::new(""),
    }
}

/// What can happen.
enum Event {
    /// A file was written, perhaps one of ours.
    Written,
    Key(u8),
    /// The program of this number has ended, this way.
    Ended(u64, End),
}

/// Why there is no program any more.
enum Over {
    /// It is to be started anew.
    Anew,
    /// Nobody wants it any more: the command's status.
    Left(i32),
}

struct Watch {
    line: LinkLine,
    request: Request,
    /// The inputs that are watched.
    watched: Vec<usize>,
    surroundings: Arc<dyn Surroundings>,
    scratch: Scratch,
    screen: Screen,
    keys: Option<Keys>,
    listener: Listener,
    events: Receiver<Event>,
    sender: Sender<Event>,
}

/// A program that runs.
struct Running {
    program: Arc<Program>,
    jit: Jit,
    executor: Executor,
    number: u64,
    sources: Sources,
    /// Per watched source: its object.
    objects: Vec<PathBuf>,
    /// Sources whose last change the program has not got: it comes with the next one.
    behind: BTreeSet<usize>,
    _threads: LinkThreads,
}

impl Watch {
    fn new(
        line: LinkLine,
        request: Request,
        watched: Vec<usize>,
        keys: Option<Keys>,
    ) -> Result<Self, Failure> {
        let (sender, events) = mpsc::channel();
        let failed = |error: std::io::Error| format!("cannot watch files: {error}");
        let listener = Listener::new().map_err(failed)?;
        let (waiting, written) = (listener.try_clone().map_err(failed)?, sender.clone());
        let thread = std::thread::Builder::new().name("orc-jit files".to_owned());
        let wait = move || while waiting.wait().is_ok() && written.send(Event::Written).is_ok() {};
        thread.spawn(wait).map_err(failed)?;
        if let Some(keys) = &keys {
            let typed = sender.clone();
            let read = keys.read(move |key| typed.send(Event::Key(key)).is_ok());
            read.map_err(failed)?;
        }
        Ok(Self {
            line,
            request,
            watched,
            surroundings: Arc::new(Here::default()),
            scratch: Scratch::new()?,
            screen: Screen::new(),
            keys,
            listener,
            events,
            sender,
        })
    }

    /// Runs the program, again and again.
    fn until_the_end(&self) -> Result<i32, Failure> {
        for number in 0.. {
            let started = Instant::now();
            let mut sources = self.sources();
            match self.start(number, sources.clone()) {
                Ok(running) => {
                    let text = format_args!("started in {}", Milliseconds(started.elapsed()));
                    self.screen.say(Tone::Plain, text);
                    match self.accompany(running)? {
                        Over::Anew => {}
                        Over::Left(status) => return Ok(status),
                    }
                }
                Err(Failure::Failed(problem)) => {
                    self.screen.say(Tone::Bad, problem);
                    for source in 0..self.watched.len() {
                        sources.suspect_headers(source);
                    }
                    if let Over::Left(status) = self.wait_for_a_reason(&sources, 1)? {
                        return Ok(status);
                    }
                }
                Err(other) => return Err(other),
            }
        }
        Ok(0)
    }

    /// The sources as they are now.
    fn sources(&self) -> Sources {
        let paths = self.watched.iter();
        let paths: Vec<PathBuf> = paths
            .map(|at| source(&self.line.inputs[*at]).to_owned())
            .collect();
        let mut sources = Sources::new(&paths);
        sources.stamp();
        self.listener.listen(&sources.directories());
        sources
    }

    /// A new directory for objects.
    fn directory(&self, name: &str) -> Result<PathBuf, String> {
        let directory = self.scratch.path().join(name);
        let made = fs::create_dir(&directory);
        made.map_err(|error| format!("{}: {error}", printable_path(&directory)))?;
        Ok(directory)
    }

    /// Compiles, links and starts the program.
    fn start(&self, number: u64, mut sources: Sources) -> Result<Running, Failure> {
        let directory = self.directory(&format!("start-{number}"))?;
        let mut line = self.line.clone();
        let limit = threads::Limit(self.request.options.threads);
        let mut inputs = inputs::open(&mut line, &self.surroundings, &directory, limit)?;
        for opened in &mut inputs.opened {
            opened.replaceable = opened.name.is_some();
        }
        let objects: Vec<PathBuf> = self
            .watched
            .iter()
            .map(|at| sources::output(source(&self.line.inputs[*at]), *at, &directory))
            .collect();
        self.learn(&mut sources, objects.iter().enumerate());

        let preloaded = preload::libraries(&line, &self.surroundings, &inputs);
        let start_with = restart::variables(&preloaded);
        let debug = line.wants_debugging();
        let executor = other_process::start(&self.request.options, start_with, debug)?;
        let executor =
            executor.ok_or("watched programs run in a process of their own".to_owned())?;
        let builder = run::jit(&line, &self.surroundings, None, Moment::Placed(false))?;
        let builder = builder.executor(executor.clone());
        let jit = builder.build().map_err(|error| error.to_string())?;
        let mut timings = Timings::start();
        let (around, request) = (&self.surroundings, &self.request);
        let (program, threads) = run::link(&jit, &line, around, inputs, request, &mut timings)?;
        let running = Running {
            program: Arc::new(program),
            jit,
            executor,
            number,
            sources,
            objects,
            behind: BTreeSet::new(),
            _threads: threads,
        };
        running.run(self.sender.clone())?;
        Ok(running)
    }

    /// Learns which headers objects were compiled from.
    fn learn<'a>(
        &self,
        sources: &mut Sources,
        objects: impl Iterator<Item = (usize, &'a PathBuf)>,
    ) {
        for (at, object) in objects {
            // A compiler that writes no such file tells of no headers.
            if let Ok(rule) = fs::read_to_string(object.with_extension("d")) {
                sources.learn(at, &rule);
            }
        }
        self.listener.listen(&sources.directories());
    }

    /// Replaces what changes until the program ends, or is to.
    fn accompany(&self, mut running: Running) -> Result<Over, Failure> {
        let mut replaced = 0;
        loop {
            match self.next_event()? {
                Event::Written => {
                    let changed = running.sources.changed();
                    if changed.is_empty() {
                        continue;
                    }
                    replaced += 1;
                    self.replace(&mut running, &changed, replaced);
                }
                Event::Key(b'r') => {
                    running.executor.end();
                    return Ok(Over::Anew);
                }
                Event::Key(b'q') => {
                    running.executor.end();
                    return Ok(Over::Left(0));
                }
                Event::Ended(number, end) if number == running.number => {
                    let good = end.status == Some(0);
                    let tone = if good { Tone::Plain } else { Tone::Bad };
                    let text = format_args!("the program {}", end.text);
                    let status = end.status.unwrap_or(1);
                    if self.keys.is_none() {
                        if !good {
                            self.screen.say(tone, text);
                        }
                        return Ok(Over::Left(status));
                    }
                    self.screen.say(tone, text);
                    return self.wait_for_a_reason(&running.sources, status);
                }
                Event::Key(_) | Event::Ended(..) => {}
            }
        }
    }

    /// Waits until there is a reason to start the program anew, or to end with this status.
    fn wait_for_a_reason(&self, sources: &Sources, status: i32) -> Result<Over, Failure> {
        let keys = match self.keys {
            Some(_) => ": save a source or type `r` to start it anew, `q` to end",
            None => ": save a source to start it anew",
        };
        self.screen
            .say(Tone::Plain, format_args!("no program runs{keys}"));
        loop {
            match self.next_event()? {
                Event::Written if !sources.changed().is_empty() => return Ok(Over::Anew),
                Event::Key(b'r') => return Ok(Over::Anew),
                Event::Key(b'q') => return Ok(Over::Left(status)),
                Event::Written | Event::Key(_) | Event::Ended(..) => {}
            }
        }
    }

    fn next_event(&self) -> Result<Event, Failure> {
        let event = self.events.recv();
        Ok(event.map_err(|error| error.to_string())?)
    }

    /// Compiles sources that have changed, and replaces the program's objects. If that is not possible, says
    /// why, and the program goes on as it is.
    fn replace(&self, running: &mut Running, changed: &[usize], number: u32) {
        running.behind.extend(changed);
        running.sources.stamp();
        let outcome = self.try_to_replace(running, number);
        match outcome {
            Ok(done) => {
                running.behind.clear();
                self.screen.say(Tone::Good, done);
            }
            Err(problem) => {
                let text = format_args!("{problem}\nthe program goes on as it was");
                self.screen.say(Tone::Bad, text);
            }
        }
    }

    /// Returns what was done.
    fn try_to_replace(&self, running: &mut Running, number: u32) -> Result<String, String> {
        let changed: Vec<usize> = running.behind.iter().copied().collect();
        let name = |at: &usize| {
            let input = &self.line.inputs[self.watched[*at]];
            printable_path(&source(input)).to_string()
        };
        let names: Vec<String> = changed.iter().map(name).collect();
        let begun = Instant::now();
        let compiled = self.compile(running, &changed, number);
        if compiled.is_err() {
            for at in &changed {
                running.sources.suspect_headers(*at);
            }
            self.listener.listen(&running.sources.directories());
        }
        let compiled = compiled?;
        let compile_time = Milliseconds(begun.elapsed());
        let begun = Instant::now();
        running.replace(&self.line, &self.watched, &compiled)?;
        let old = std::mem::replace(&mut running.objects, compiled);
        for gone in old.iter().filter(|it| !running.objects.contains(it)) {
            // What cannot be removed goes with the folder it is in.
            let _ = fs::remove_file(gone);
        }
        let took = Milliseconds(begun.elapsed());
        let names = names.join(", ");
        Ok(format!(
            "{names} replaced in {took}, compiled in {compile_time}"
        ))
    }

    /// Compiles sources anew. Returns all objects, those of other sources as they are.
    fn compile(
        &self,
        running: &mut Running,
        changed: &[usize],
        number: u32,
    ) -> Result<Vec<PathBuf>, String> {
        let directory = self.directory(&format!("change-{}-{number}", running.number))?;
        let mut line = self.line.clone();
        line.inputs = changed
            .iter()
            .map(|at| self.line.inputs[self.watched[*at]].clone())
            .collect();
        let limit = threads::Limit(self.request.options.threads);
        let outputs = sources::compile_all(&line, &directory, limit.get())?;
        let outputs: Vec<PathBuf> = outputs.into_iter().map(|(_, _, path)| path).collect();
        self.learn(&mut running.sources, changed.iter().copied().zip(&outputs));
        let mut objects = running.objects.clone();
        for (at, output) in changed.iter().zip(outputs) {
            objects[*at] = output;
        }
        Ok(objects)
    }
}

impl Running {
    /// Runs the program on a thread of its own, which tells how it ends.
    fn run(&self, events: Sender<Event>) -> Result<(), String> {
        let (program, executor) = (self.program.clone(), self.executor.clone());
        let number = self.number;
        let thread = std::thread::Builder::new().name("orc-jit program".to_owned());
        let run = move || {
            let end = match program.run() {
                Ok(status) => End::of_status(status),
                Err(error) => End::new(&executor, &error),
            };
            // Nobody waits for it any more if the command ends.
            let _ = events.send(Event::Ended(number, end));
        };
        let started = thread.spawn(run);
        started.map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(())
    }

    /// Replaces the program's objects by those of these files.
    fn replace(&self, line: &LinkLine, watched: &[usize], files: &[PathBuf]) -> Result<(), String> {
        let mut objects: Vec<Arc<dyn ObjectFile>> = Vec::with_capacity(files.len());
        for (at, file) in watched.iter().zip(files) {
            let bytes =
                fs::read(file).map_err(|error| format!("{}: {error}", printable_path(file)))?;
            let name = source(&line.inputs[*at]).display().to_string();
            let object = self.jit.objects().read(&name, bytes);
            objects.push(object.map_err(|error| error.to_string())?);
        }
        // SAFETY: the user's sources take each other's place, which is what `watch` was asked for. The code runs
        // in a process of its own.
        let replaced = unsafe { self.program.replace(&objects, ReplaceOptions::default()) };
        // What ran may still run, for as long as the program does.
        drop(replaced.map_err(|error| error.to_string())?);
        Ok(())
    }
}

/// A time for people.
struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_secs_f64() * 1000.0;
        match milliseconds {
            ..10.0 => write!(f, "{milliseconds:.1} ms"),
            _ => write!(f, "{milliseconds:.0} ms"),
        }
    }
}
