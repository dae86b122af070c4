//! From a command line to opened files, in order.

use std::path::Path;
use std::sync::Arc;

use platform_elf::library_search::{FoundContent, FoundInput, LibraryChoice, LibrarySearch};
use rayon::prelude::*;

use super::link_line::{Input, InputName, LinkLine};
use super::sources::{self, Language};
use super::threads::{self, LinkThreads};
use super::{driver_libraries, image};
use crate::mapped::MapFiles;

/// From this number on, inputs are opened by several threads.
const PARALLEL_FROM: usize = 256;

/// Libraries that stay shared under `-static`: they are in this process already, and a second copy
/// of the C library cannot live beside the first.
const ALWAYS_SHARED: &[&str] = &[
    "c", "m", "pthread", "dl", "rt", "util", "resolv", "anl", "nsl", "mvec",
];

/// A file to add to the program.
pub(super) struct Opened {
    pub(super) found: FoundInput,
    /// The source file that it was compiled from, for messages.
    pub(super) name: Option<String>,
    /// Link every member of the archive.
    pub(super) whole_archive: bool,
    /// Load the shared library only if something is taken from it.
    pub(super) as_needed: bool,
}

/// Everything a command line names.
pub(super) struct Inputs {
    pub(super) opened: Vec<Opened>,
    pub(super) search: LibrarySearch,
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
pub(super) fn open(line: &mut LinkLine, dir: &Path, limit: usize) -> Result<Inputs, String> {
    let languages = compile(line, dir, limit)?;
    let mut search = LibrarySearch::new(Arc::new(MapFiles));
    if let Some(root) = &line.sysroot {
        search.set_sysroot(root);
    }
    for dir in &line.library_dirs {
        search.add_directory(dir);
    }
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    search.ask_compiler(&compiler);
    driver_libraries::add(line, &compiler);
    let (threads, results): (_, Vec<Result<Vec<Opened>, String>>);
    if line.inputs.len() >= PARALLEL_FROM {
        // So many that the link is worth all threads, too.
        threads = LinkThreads::start(limit);
        let inputs = line.inputs.par_iter();
        results = inputs.map(|input| open_one(input, &search)).collect();
    } else {
        let inputs = line.inputs.iter();
        results = inputs.map(|input| open_one(input, &search)).collect();
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
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }
    Ok(Inputs {
        opened,
        search,
        languages,
        threads,
    })
}

impl Opened {
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
fn compile(line: &mut LinkLine, dir: &Path, jobs: usize) -> Result<Vec<Language>, String> {
    let compiled = sources::compile_all(line, dir, jobs)?;
    let mut languages = Vec::new();
    // From the end, so that places before stay valid.
    for (at, language, output) in compiled.into_iter().rev() {
        languages.push(language);
        let input = line.inputs[at].clone();
        if language == Language::Rust {
            let image = read_image(&output)?;
            line.inputs.splice(at..=at, image.inputs);
            line.library_dirs.extend(image.library_dirs);
            line.run_path.extend(image.run_path);
        } else {
            line.inputs[at].name = InputName::File(output);
            line.inputs[at].source = match input.name {
                InputName::File(source) => Some(source),
                InputName::Library(_) => None,
            };
        }
    }
    Ok(languages)
}

fn read_image(path: &Path) -> Result<LinkLine, String> {
    let args = image::read(path)?.ok_or_else(|| {
        let path = path.display();
        format!("{path}: rustc did not call this command as its linker; check RUSTFLAGS")
    })?;
    LinkLine::parse(args, &|_| None)
}

fn open_one(input: &Input, search: &LibrarySearch) -> Result<Vec<Opened>, String> {
    let state = &input.state;
    let found = match &input.name {
        InputName::File(path) => search.open(path, state.choice),
        InputName::Library(name) => {
            let shared = ALWAYS_SHARED.contains(&name.as_str());
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
            as_needed: state.as_needed || found.as_needed,
            name: input.source.as_ref().map(|s| s.display().to_string()),
            found,
        }
    };
    let found = found.map_err(|e| e.to_string())?;
    Ok(found.into_iter().map(opened).collect())
}
