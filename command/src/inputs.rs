//! From a command line to opened files, in order.

use std::path::Path;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use orc_inputs::input::printable_path;
use orc_inputs::library_search::{FoundContent, FoundInput, LibraryChoice, LibrarySearch};
use orc_jit::LoadWhen;
use orc_shared::listed;
use rayon::prelude::*;

use super::driver_libraries;
use super::link_cpu;
use super::link_line::{Input, InputName, LinkLine};
use super::macos_libraries;
use super::run_path;
use super::say;
use super::sources::Language;
use super::surroundings::{Became, Surroundings};
use super::threads::{self, LinkThreads};

/// From this number on, inputs are opened by several threads.
const PARALLEL_FROM: usize = 256;

/// Errors that a message has; the rest are counted.
const ERRORS_MAX: usize = 100;

/// Libraries that stay shared under `-Bstatic`: they are in this process already, and half of a second copy
/// of the C library cannot live beside the first. A static program has a whole one (`-static`).
const ALWAYS_SHARED: &[&str] = &[
    "c", "m", "pthread", "dl", "rt", "util", "resolv", "anl", "nsl", "mvec",
];

/// A file to add to the program.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) found: FoundInput,
    /// The source file that it was compiled from, for messages.
    pub(super) name: Option<String>,
    /// Link every member of the archive.
    pub(super) whole_archive: bool,
    /// When the shared library is loaded.
    pub(super) load: LoadWhen,
    /// Link the object only if something is taken from it.
    pub(super) lazy: bool,
    /// The object may be replaced while the program runs.
    pub(super) replaceable: bool,
}

/// Everything a command line names.
pub(super) struct Inputs {
    pub(super) opened: Vec<Opened>,
    pub(super) search: Arc<LibrarySearch>,
    /// Languages of the sources that were compiled.
    pub(super) languages: Vec<Language>,
    /// The threads of the link, the calling one among them.
    pub(super) threads: LinkThreads,
}

/// Compiles sources, replaces Rust programs by what they consist of, finds libraries and opens all.
/// `dir` is where compilers put objects; up to `limit` threads or compilers work at a time.
///
/// # Errors
/// With every input that cannot be used, one a line.
pub(super) fn open(
    line: &mut LinkLine,
    surroundings: &Arc<dyn Surroundings>,
    dir: &Path,
    limit: threads::Limit,
) -> Result<Inputs, String> {
    line.check_cpu(link_cpu::get())?;
    let languages = compile(line, &**surroundings, dir, limit)?;
    driver_libraries::add(line, &**surroundings)?;
    let mut search =
        LibrarySearch::for_cpu(link_cpu::get(), orc_jit::formats(), surroundings.clone());
    if let Some(root) = &line.sysroot {
        search.set_sysroot(root);
    }
    for dir in &line.library_dirs {
        search.add_directory(dir);
    }
    let asked = surroundings.clone();
    search.ask_for_directories(move || asked.compiler_directories());
    run_path::expand(line);
    for dir in run_path::of_dependencies(line) {
        search.add_dependency_directory(&dir);
    }
    let names = Names::of(&line.inputs, line.is_static);
    let (threads, mut found): (_, Vec<Result<Vec<FoundInput>, String>>);
    if line.inputs.len() >= PARALLEL_FROM {
        // So many that the link is worth all threads, too.
        threads = LinkThreads::start(limit.get());
        let named = names.first.par_iter();
        found = named
            .map(|input| find(input, &search, line.is_static))
            .collect();
    } else {
        let named = names.first.iter();
        found = named
            .map(|input| find(input, &search, line.is_static))
            .collect();
        let opened = found.iter().flatten().flatten();
        let bytes = opened.map(|found| size(&found.content)).sum();
        threads = LinkThreads::start(limit.worthwhile(bytes));
    }
    macos_libraries::leave_out(&names.first, &mut found);
    let errors: Vec<&String> = found
        .iter()
        .filter_map(|found| found.as_ref().err())
        .collect();
    if !errors.is_empty() {
        return Err(listed(errors, "\n", ERRORS_MAX));
    }
    let found: Vec<Vec<FoundInput>> = found.into_iter().flatten().collect();
    let mut opened = names.opened(&line.inputs, found);
    if line.is_static {
        let refused: Vec<String> = opened.iter().filter_map(Opened::refuse_shared).collect();
        if !refused.is_empty() {
            return Err(listed(&refused, "\n", ERRORS_MAX));
        }
    }
    if !line.is_static && !line.default_libraries && opened.iter().any(Opened::is_c_library) {
        // As good as said. The start-up files are missing.
        line.be_static();
        line.has_driver_libraries = false;
        threads.end();
        return open(line, surroundings, dir, limit);
    }
    let more = macos_libraries::of(line, &opened, &**surroundings, dir)?;
    let mut open_all = |inputs: Vec<Input>| {
        let mut opened = Vec::new();
        for input in inputs {
            let files = find(&input, &search, line.is_static)?.into_iter();
            opened.extend(files.map(|file| open_one(&input, file)));
            // Where it stands on the line means nothing any more.
            line.inputs.push(input);
        }
        Ok::<_, String>(opened)
    };
    let (first, mut last) = (open_all(more.first)?, open_all(more.last)?);
    for (input, by) in more.asked {
        // What it is for may be in something else. If it is not, symbols are missing.
        match open_all(vec![input]) {
            Ok(files) => last.extend(files),
            Err(problem) => say::warning(format_args!("{by} asks for a library: {problem}")),
        }
    }
    opened.splice(0..0, first);
    opened.extend(last);
    Ok(Inputs {
        opened,
        search: Arc::new(search),
        languages,
        threads,
    })
}

/// Bytes that a link may have to look at.
fn size(content: &FoundContent) -> u64 {
    match content {
        FoundContent::Object(bytes) | FoundContent::Archive(bytes) => bytes.bytes().len() as u64,
        FoundContent::Shared(_) | FoundContent::Names(_) => 0,
    }
}

/// What a line names: each thing is looked for and opened once, however often it is named.
struct Names<'a> {
    /// The first mention of each.
    first: Vec<&'a Input>,
    /// What each input of the line stands for, as a place in these.
    of_input: Vec<usize>,
}

impl<'a> Names<'a> {
    fn of(inputs: &'a [Input], is_static: bool) -> Self {
        let mut places = HashMap::new();
        let mut first = Vec::new();
        let of_input = inputs.iter().map(|input| {
            *places
                .entry((input.name.bytes(), choice(input, is_static)))
                .or_insert_with(|| {
                    first.push(input);
                    first.len() - 1
                })
        });
        let of_input = of_input.collect();
        Self { first, of_input }
    }

    /// The files of the line, given what is found for each name. A library that is named again and again
    /// counts at its first place, from which names are taken, and at its last, where it serves all
    /// libraries before it.
    fn opened(&self, inputs: &[Input], mut found: Vec<Vec<FoundInput>>) -> Vec<Opened> {
        let mentions = || self.of_input.iter().zip(inputs).enumerate();
        let libraries = found.iter().map(|found| found.iter().any(is_library));
        let libraries: Vec<bool> = libraries.collect();
        let (mut last, mut left) = (HashMap::new(), vec![0; found.len()]);
        for (at, (name, input)) in mentions() {
            left[*name] += 1;
            if libraries[*name] {
                last.insert((name, options(input)), at);
            }
        }
        let mut told = HashSet::new();
        let mut opened = Vec::with_capacity(inputs.len());
        for (at, (name, input)) in mentions() {
            let mention = (name, options(input));
            let counts =
                !libraries[*name] || told.insert(mention) || last.get(&mention) == Some(&at);
            left[*name] -= 1;
            let files = match left[*name] {
                0 => std::mem::take(&mut found[*name]),
                _ => found[*name].clone(),
            };
            for file in files {
                let one = open_one(input, file);
                if counts || !one.may_be_repeated() {
                    opened.push(one);
                }
            }
        }
        opened
    }
}

/// Whether a link takes from it what it needs, if it is not told to take all.
fn is_library(found: &FoundInput) -> bool {
    matches!(
        found.content,
        FoundContent::Archive(_) | FoundContent::Shared(_)
    )
}

/// What must be the same of two mentions of one library for them to be one.
fn options(input: &Input) -> (bool, Option<bool>, bool) {
    let state = &input.state;
    (state.whole_archive, state.as_needed, state.lazy)
}

impl Opened {
    /// Why a static program cannot have it, if it is a shared library.
    fn refuse_shared(&self) -> Option<String> {
        let is_shared = matches!(self.found.content, FoundContent::Shared(_));
        is_shared.then(|| {
            format!(
                "{}: a static program has no loader for shared libraries: leave out -static, or name an archive",
                printable_path(&self.found.path)
            )
        })
    }

    /// Whether it is a static C library: what start-up files call is in the archive's list of symbols.
    fn is_c_library(&self) -> bool {
        const START: &[u8] = b"\0__libc_start_main\0";
        /// Names and numbers of members are in a header of this size, as text; the list comes first.
        const HEADER: usize = 60;
        const MAGIC: usize = 8;
        let FoundContent::Archive(bytes) = &self.found.content else {
            return false;
        };
        let bytes = bytes.bytes();
        let header = bytes.get(MAGIC..MAGIC + HEADER).unwrap_or_default();
        let size = header
            .get(48..58)
            .and_then(|size| str::from_utf8(size).ok());
        let size = size.and_then(|size| size.trim().parse().ok()).unwrap_or(0);
        let list = bytes.get(MAGIC + HEADER..).unwrap_or_default();
        let list = &list[..list.len().min(size)];
        header.starts_with(b"/ ") && list.windows(START.len()).any(|name| name == START)
    }

    /// Whether it means no more when it is named twice.
    fn may_be_repeated(&self) -> bool {
        is_library(&self.found) && !self.whole_archive
    }
}

/// Compiles the sources among the inputs and puts what came out in their places.
fn compile(
    line: &mut LinkLine,
    surroundings: &dyn Surroundings,
    dir: &Path,
    limit: threads::Limit,
) -> Result<Vec<Language>, String> {
    if !line
        .inputs
        .iter()
        .any(|input| Language::of(input).is_some())
    {
        return Ok(Vec::new());
    }
    let compiled = surroundings.compile(line, dir, limit.get())?;
    let mut languages = Vec::new();
    // From the end, so that places before stay valid.
    for compiled in compiled.into_iter().rev() {
        languages.push(compiled.language);
        let at = compiled.input;
        match compiled.became {
            Became::Object(object) => {
                let source = std::mem::replace(&mut line.inputs[at].name, InputName::File(object));
                line.inputs[at].source = match source {
                    InputName::File(source) => Some(source),
                    InputName::Library(_) => None,
                };
            }
            Became::Line(words) => {
                let program = LinkLine::parse(words, &|_| None)?;
                line.inputs.splice(at..=at, program.inputs);
                line.library_dirs.extend(program.library_dirs);
                line.run_path.extend(program.run_path);
            }
        }
    }
    Ok(languages)
}

/// Which libraries `-l` accepts at this place.
fn choice(input: &Input, is_static: bool) -> LibraryChoice {
    match &input.name {
        InputName::Library(name) if !is_static && ALWAYS_SHARED.contains(&name.as_str()) => {
            LibraryChoice::SharedFirst
        }
        _ => input.state.choice,
    }
}

fn find(input: &Input, search: &LibrarySearch, is_static: bool) -> Result<Vec<FoundInput>, String> {
    let found = match &input.name {
        InputName::File(path) if path.as_os_str().is_empty() => {
            return Err("an argument is empty where the name of a file is expected".to_owned());
        }
        InputName::File(path) if path == Path::new("-") => {
            return Err(
                "-: standard input is taken as a source only: say in which language, with -x"
                    .to_owned(),
            );
        }
        InputName::File(path) => search.open(path, choice(input, is_static)),
        InputName::Library(name) => search.find(name, choice(input, is_static)),
    };
    found.map_err(|error| error.to_string())
}

fn open_one(input: &Input, found: FoundInput) -> Opened {
    let state = &input.state;
    let is_archive = matches!(found.content, FoundContent::Archive(_));
    Opened {
        whole_archive: state.whole_archive && is_archive,
        load: match state.as_needed {
            _ if found.as_needed => LoadWhen::Used,
            Some(true) => LoadWhen::Used,
            Some(false) => LoadWhen::Always,
            None => LoadWhen::DriverSays,
        },
        lazy: state.lazy,
        replaceable: false,
        name: input.source.as_ref().map(|s| s.display().to_string()),
        found,
    }
}
