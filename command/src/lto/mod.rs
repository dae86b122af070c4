//! Inputs that hold a compiler's internal code instead of machine code (`-flto`): gcc's, and LLVM's
//! bitcode.
//!
//! Linkers load the compiler as a plugin. Here the user's own compiler makes one object of all of
//! that code, by a relocatable link (`-r`), which keeps every global symbol; the rest of the link
//! goes on as if that object had been given. Which members of archives take part is decided as for any member: names are
//! resolved once with objects in the place of such code that have its symbols and nothing else.
//!
//! No link pays for this that does not need it: it starts when a link has failed.

mod surrogate;
mod symbols;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use jit_core::batch::Rehearsal;
use jit_core::graph::InputBytes;
use orc_inputs::archive::Archive;
use orc_inputs::format::ReadObjects;
use orc_inputs::input::{OwnedBytes, printable_path};
use orc_inputs::library_search::FoundContent;
use orc_jit::{Files, Undefined};
use orc_system::standard_streams;

use self::symbols::{Producer, Summary};
use super::inputs::{self, Inputs, Opened};
use super::link_line::LinkLine;
use super::replaced::Replaced;
use super::run::{self, Moment};
use super::scratch::Scratch;
use super::surroundings::{Surroundings, c_compiler};
use super::threads::Limit;

/// A file with internal code among the inputs.
struct Found {
    path: PathBuf,
    parts: Vec<Part>,
    is_archive: bool,
}

/// A member of an archive, or an object as the only one.
struct Part {
    name: String,
    bytes: Arc<dyn InputBytes>,
    /// What it says if it is internal code.
    summary: Option<Summary>,
}

/// Members of archives that a link needs: the archive, and the header's offset.
type Needed = Arc<Mutex<BTreeSet<(PathBuf, u64)>>>;

/// The surroundings with machine code in the place of all internal code that the line's link
/// needs. `None` if it names none.
///
/// # Errors
/// When the compiler cannot be found, or fails.
pub(super) fn machine_code(
    line: &LinkLine,
    surroundings: &Arc<dyn Surroundings>,
) -> Result<Option<Arc<dyn Surroundings>>, String> {
    let inputs = inputs::open(
        &mut line.clone(),
        surroundings,
        Path::new(""),
        Limit(Some(1)),
    )?;
    let mut files: BTreeMap<PathBuf, Found> = BTreeMap::new();
    let mut order = Vec::new();
    for opened in &inputs.opened {
        if let Some(found) = find(opened, surroundings)? {
            order.push(found.path.clone());
            files.entry(found.path.clone()).or_insert(found);
        }
    }
    drop(inputs);
    if files.is_empty() {
        return Ok(None);
    }
    let needed = needed(line, surroundings, &files)?;
    let mut chosen: Vec<(&Found, &Part)> = Vec::new();
    let mut seen = BTreeSet::new();
    for path in order.iter().filter(|path| seen.insert(*path)) {
        let found = &files[path];
        let (_, places) = found.with_surrogates();
        let is_needed = |at: u64| !found.is_archive || needed.contains(&(path.clone(), at));
        let parts = found.parts.iter().zip(places);
        let parts = parts.filter(|(part, at)| part.summary.is_some() && is_needed(*at));
        chosen.extend(parts.map(|(part, _)| (found, part)));
    }
    let objects = compile(line, &chosen)?;
    let mut at = chosen.first().map(|(found, _)| found.path.clone());
    let mut contents = BTreeMap::new();
    for (path, found) in &files {
        // All that was compiled stands where the first of it stood.
        let first = at.take_if(|first| first == path);
        contents.insert(
            path.clone(),
            found.with_objects(first.and(Some(&objects[..]))),
        );
    }
    Ok(Some(Arc::new(Replaced::new(surroundings, contents))))
}

/// Whether any object below `directory` holds internal code.
pub(super) fn is_below(directory: &Path, opened: &[Opened]) -> bool {
    let holds_it = |opened: &Opened| {
        opened.found.path.starts_with(directory)
            && matches!(&opened.found.content, FoundContent::Object(bytes)
                if symbols::read(bytes.bytes()).is_some())
    };
    opened.iter().any(holds_it)
}

/// The internal code in an input.
fn find(opened: &Opened, surroundings: &Arc<dyn Surroundings>) -> Result<Option<Found>, String> {
    let path = &opened.found.path;
    let summary = |name: &dyn Fn() -> String, bytes: &[u8]| {
        let read = symbols::read(bytes).transpose();
        read.map_err(|problem| format!("{}: {problem}", name()))
    };
    let (parts, is_archive) = match &opened.found.content {
        FoundContent::Object(bytes) => {
            let name = || path.display().to_string();
            let summary = summary(&name, bytes.bytes())?;
            let (name, bytes) = (name(), bytes.clone());
            (
                vec![Part {
                    name,
                    bytes,
                    summary,
                }],
                false,
            )
        }
        FoundContent::Archive(bytes) => {
            let directory = path.parent().unwrap_or(Path::new(""));
            let name = path.display().to_string();
            let objects = ReadObjects::new(orc_jit::formats(), &Arc::default());
            let opener = surroundings.clone();
            let archive = Archive::with_opener(name, bytes.clone(), &objects, directory, opener);
            let members = archive.and_then(|archive| archive.contents());
            let members = members.map_err(|error| error.to_string())?;
            let parts = members.into_iter().map(|(name, bytes)| {
                let full = || format!("{}({name})", path.display());
                let summary = summary(&full, bytes.bytes())?;
                Ok(Part {
                    name,
                    bytes,
                    summary,
                })
            });
            (parts.collect::<Result<Vec<_>, String>>()?, true)
        }
        FoundContent::Shared(_) | FoundContent::Names(_) => return Ok(None),
    };
    let has_code = parts.iter().any(|part| part.summary.is_some());
    Ok(has_code.then(|| Found {
        path: path.clone(),
        parts,
        is_archive,
    }))
}

impl Found {
    /// The file with surrogates in the place of internal code, and where its parts are.
    fn with_surrogates(&self) -> (Vec<u8>, Vec<u64>) {
        let bytes: Vec<Vec<u8>> = self
            .parts
            .iter()
            .map(|part| match &part.summary {
                Some(summary) => surrogate::object(&summary.symbols),
                None => part.bytes.bytes().to_vec(),
            })
            .collect();
        if self.is_archive {
            let names = self.parts.iter().map(|part| part.name.as_str());
            surrogate::archive(names.zip(bytes.iter().map(Vec::as_slice)))
        } else {
            (bytes.concat(), vec![0])
        }
    }

    /// The file without its internal code, and with these objects in the place of the first. An object
    /// that has no part any more is an archive without members.
    fn with_objects(&self, objects: Option<&[Vec<u8>]>) -> Vec<u8> {
        let objects = objects.unwrap_or_default();
        if let ([object], false) = (objects, self.is_archive) {
            return object.clone();
        }
        let own = self.parts.iter().filter(|part| part.summary.is_none());
        let own = own.map(|part| (part.name.as_str(), part.bytes.bytes()));
        let made = objects.iter().map(|object| ("lto.o", object.as_slice()));
        surrogate::archive(made.chain(own)).0
    }
}

/// Resolves the link's names with surrogates, and tells which members it needs.
fn needed(
    line: &LinkLine,
    surroundings: &Arc<dyn Surroundings>,
    files: &BTreeMap<PathBuf, Found>,
) -> Result<BTreeSet<(PathBuf, u64)>, String> {
    let surrogates = files
        .iter()
        .map(|(path, found)| (path.clone(), found.with_surrogates().0));
    let replaced = Replaced::unnoted(surroundings, surrogates.collect());
    let surroundings: Arc<dyn Surroundings> = Arc::new(replaced);
    // What is missing is told by the link that follows.
    let mut line = LinkLine {
        undefined_symbols: Undefined::Ignore,
        map_file: None,
        dependency_file: None,
        ..line.clone()
    };
    let Inputs {
        opened,
        search,
        languages,
        ..
    } = inputs::open(&mut line, &surroundings, Path::new(""), Limit(Some(1)))?;
    let needed = Needed::default();
    let noted = needed.clone();
    let watch = move |path: &Path| -> Option<Arc<orc_inputs::archive::MemberWatch>> {
        let (noted, path) = (noted.clone(), path.to_owned());
        Some(Arc::new(move |member| {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.insert((path.clone(), member));
        }))
    };
    let files = Files {
        opener: surroundings.clone(),
        watch: Some(Arc::new(watch)),
    };
    let jit = run::jit(&line, &surroundings, None, Moment::Pruned)?.files(files);
    let jit = jit.build().map_err(|error| error.to_string())?;
    let rehearse = Some(Rehearsal::Names);
    let program = run::prepare(&jit, &line, &surroundings, opened, Vec::new(), rehearse);
    if let Ok(program) = program {
        run::use_default_libraries(&program, &line, search, &languages)?;
        // Other errors are told by the link that follows, too.
        let _ = program.link();
    }
    drop(jit);
    let needed = needed.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(needed.clone())
}

/// Makes one object of all code of one compiler.
fn compile(line: &LinkLine, chosen: &[(&Found, &Part)]) -> Result<Vec<Vec<u8>>, String> {
    let mut kinds: Vec<Producer> = Vec::new();
    for producer in chosen
        .iter()
        .filter_map(|(_, part)| Some(part.summary.as_ref()?.producer))
    {
        // Of several versions of LLVM, the newest can read what all of them wrote.
        match kinds
            .iter_mut()
            .find(|kind| kind.is_same_compiler(producer))
        {
            Some(kind) => *kind = producer.max(*kind),
            None => kinds.push(producer),
        }
    }
    let dir = Scratch::new()?;
    let mut objects = Vec::new();
    for kind in kinds {
        let of_kind = |part: &Part| {
            let producer = part.summary.as_ref().map(|summary| summary.producer);
            producer.is_some_and(|producer| kind.is_same_compiler(producer))
        };
        let mut paths = Vec::new();
        for (at, (_, part)) in chosen
            .iter()
            .enumerate()
            .filter(|(_, (_, part))| of_kind(part))
        {
            let name = Path::new(&part.name).file_name().unwrap_or_default();
            let path = dir.path().join(format!("{at}-{}", name.display()));
            std::fs::write(&path, part.bytes.bytes())
                .map_err(|error| format!("{}: {error}", printable_path(&path)))?;
            paths.push(path);
        }
        let output = dir.path().join("lto.o");
        call(line, kind, &chosen[0].1.name, &paths, &output)?;
        let bytes = OwnedBytes::read(&output);
        let bytes = bytes.map_err(|error| format!("{}: {error}", printable_path(&output)))?;
        objects.push(bytes.bytes().to_vec());
    }
    Ok(objects)
}

impl Producer {
    fn is_same_compiler(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Gcc, Self::Gcc) | (Self::Llvm(_), Self::Llvm(_))
        )
    }

    /// Commands that may be the compiler, best first.
    fn commands(self) -> Vec<String> {
        let given = c_compiler();
        let is_clang = given.contains("clang");
        match self {
            Self::Gcc if is_clang => vec!["gcc".to_owned()],
            Self::Gcc => vec![given, "gcc".to_owned()],
            Self::Llvm(version) => {
                let mut commands = if is_clang { vec![given] } else { Vec::new() };
                if let Some(version) = version {
                    commands.push(format!("clang-{version}"));
                    commands.push(format!("/usr/lib/llvm-{version}/bin/clang"));
                }
                commands.push("clang".to_owned());
                commands
            }
        }
    }

    /// What makes the compiler link internal code to an object of machine code.
    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Gcc => &["-r", "-nostdlib", "-flinker-output=nolto-rel"],
            Self::Llvm(_) => &[
                "-r",
                "-nostdlib",
                "-fuse-ld=lld",
                "-Wno-unused-command-line-argument",
            ],
        }
    }
}

fn call(
    line: &LinkLine,
    producer: Producer,
    example: &str,
    inputs: &[PathBuf],
    output: &Path,
) -> Result<(), String> {
    let flags = line.compile_flags.iter().filter(|flag| concerns_code(flag));
    let flags: Vec<&String> = flags.collect();
    let says_how = flags.iter().any(|flag| flag.starts_with("-flto"));
    let commands = producer.commands();
    for name in &commands {
        let mut words = name.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).args(producer.options());
        command.args((!says_how).then_some("-flto")).args(&flags);
        command
            .arg("-o")
            .arg(output)
            .args(inputs)
            .env("TMPDIR", output.parent().unwrap_or(output))
            .stdin(Stdio::null());
        standard_streams::empty_for(&mut command);
        match command.status() {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => {
                return Err(format!(
                    "{example}: `{name}` failed to make machine code of it ({status}): \
                     compile without -flto, or set CC to the compiler that made it"
                ));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{example}: cannot run `{name}`: {error}")),
        }
    }
    let what = match producer {
        Producer::Gcc => "gcc's internal code",
        Producer::Llvm(_) => "LLVM bitcode",
    };
    Err(format!(
        "{example}: holds {what} (-flto) and no machine code, and there is no compiler to make some \
         (looked for {}): compile without -flto, or set CC",
        commands.join(", ")
    ))
}

/// Options of the command line that say what code to make.
fn concerns_code(flag: &str) -> bool {
    let code = ["-O", "-m", "-f", "-g"]
        .iter()
        .any(|start| flag.starts_with(start));
    let linking = ["-fuse-ld", "-fsanitize", "-fopenmp", "-fprofile"];
    code && !linking.iter().any(|start| flag.starts_with(start))
}
