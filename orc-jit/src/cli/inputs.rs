//! From a command line to opened files, in order.

use std::path::Path;
use std::sync::Arc;

use platform_elf::library_search::{FoundContent, FoundInput, LibraryChoice, LibrarySearch};
use rayon::prelude::*;

use super::driver_libraries;
use super::link_line::{Input, InputName, LinkLine};
use super::run_path;
use super::sources::Language;
use super::surroundings::{Became, Surroundings};
use super::threads::{self, LinkThreads};
use crate::LoadWhen;

/// From this number on, inputs are opened by several threads.
const PARALLEL_FROM: usize = 256;

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
    limit: usize,
) -> Result<Inputs, String> {
    let languages = compile(line, &**surroundings, dir, limit)?;
    let named = line.inputs.clone();
    driver_libraries::add(line, &**surroundings)?;
    run_path::of_driver(line, &named);
    let mut search = LibrarySearch::new(surroundings.clone());
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
    let open_one = |input: &Input| open_one(input, &search, line.is_static);
    let (threads, results): (_, Vec<Result<Vec<Opened>, String>>);
    if line.inputs.len() >= PARALLEL_FROM {
        // So many that the link is worth all threads, too.
        threads = LinkThreads::start(limit);
        let inputs = line.inputs.par_iter();
        results = inputs.map(open_one).collect();
    } else {
        let inputs = line.inputs.iter();
        results = inputs.map(open_one).collect();
        let bytes = results.iter().flatten().flatten().map(Opened::size).sum();
        threads = LinkThreads::start(threads::worthwhile(limit, bytes));
    }
    let (mut opened, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(more) => opened.extend(more),
            Err(error) => errors.push(error),
        }
    }
    if line.is_static {
        errors.extend(opened.iter().filter_map(Opened::refuse_shared));
    }
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }
    if !line.is_static && !line.default_libraries && opened.iter().any(Opened::is_c_library) {
        // As good as said. The start-up files are missing.
        line.be_static();
        line.has_driver_libraries = false;
        return open(line, surroundings, dir, limit);
    }
    Ok(Inputs {
        opened,
        search: Arc::new(search),
        languages,
        threads,
    })
}

impl Opened {
    /// Why a static program cannot have it, if it is a shared library.
    fn refuse_shared(&self) -> Option<String> {
        let is_shared = matches!(self.found.content, FoundContent::Shared(_));
        is_shared.then(|| {
            format!(
                "{}: a static program has no loader for shared libraries: leave out -static, or name an archive",
                self.found.path.display()
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

    /// Bytes that a link may have to look at.
    fn size(&self) -> u64 {
        match &self.found.content {
            FoundContent::Object(bytes) | FoundContent::Archive(bytes) => {
                bytes.bytes().len() as u64
            }
            FoundContent::Shared(_) | FoundContent::Names(_) => 0,
        }
    }
}

/// Compiles the sources among the inputs and puts what came out in their places.
fn compile(
    line: &mut LinkLine,
    surroundings: &dyn Surroundings,
    dir: &Path,
    jobs: usize,
) -> Result<Vec<Language>, String> {
    if !line
        .inputs
        .iter()
        .any(|input| Language::of(input).is_some())
    {
        return Ok(Vec::new());
    }
    let compiled = surroundings.compile(line, dir, jobs)?;
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

fn open_one(input: &Input, search: &LibrarySearch, is_static: bool) -> Result<Vec<Opened>, String> {
    let state = &input.state;
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
        InputName::File(path) => search.open(path, state.choice),
        InputName::Library(name) => {
            let shared = !is_static && ALWAYS_SHARED.contains(&name.as_str());
            let choice = if shared {
                LibraryChoice::SharedFirst
            } else {
                state.choice
            };
            search.find(name, choice)
        }
    };
    let opened = |found: FoundInput| {
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
            name: input.source.as_ref().map(|s| s.display().to_string()),
            found,
        }
    };
    let found = found.map_err(|e| e.to_string())?;
    Ok(found.into_iter().map(opened).collect())
}
