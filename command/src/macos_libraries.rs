//! Libraries that every program for macOS has: the C library there has the functions of mathematics, too, and
//! compilers link the C++ library without being told.
//!
//! The C++ library is a static one, made for macOS, as its headers are: layouts and numbers that headers tell programs
//! (of a mutex, of classes of characters) are those of macOS. Zig has its source, makes the library when it is first asked
//! for, and keeps it.

use std::path::Path;

use jit_core::cpu::Architecture;
use orc_inputs::file_kind::{FileKind, Format};
use orc_inputs::format::Wish;
use orc_inputs::input::printable_path;
use orc_inputs::library_search::{FoundContent, FoundInput};

use super::inputs::Opened;
use super::link_cpu;
use super::link_line::{Input, InputName, InputState, LinkLine};
use super::say;
use super::surroundings::Surroundings;

/// The command that makes the library.
const MAKER: &str = "env ZIG_VERBOSE_LINK=1 python3 -m ziglang";

/// The library's files, in the order in which they are linked.
const FILES: [&str; 2] = ["libc++abi.a", "libc++.a"];

/// Names that objects in C++ refer to: the personality routine of their frames, and what is in the library.
const OF_CXX: [&[u8]; 2] = [b"___gxx_personality_v0\0", b"\0__ZNSt3__1"];

/// What zig calls macOS on a CPU.
const TARGETS: [(Architecture, &str); 2] = [
    (Architecture::X86_64, "x86_64-macos"),
    (Architecture::Aarch64, "aarch64-macos"),
];

/// Libraries that objects ask for, and that are there without them: macOS's C library has them all, and those of C++
/// are known by what objects refer to.
const ALWAYS_THERE: &[&str] = &[
    "System",
    "c",
    "c++",
    "c++abi",
    "dl",
    "info",
    "m",
    "pthread",
    "proc",
    "objc-trampolines",
];

/// Libraries that a line does not name.
#[derive(Default)]
pub(super) struct MacosLibraries {
    /// Those that come before all inputs. Objects' initializers run in the order of the inputs, and those of programs
    /// may use streams, which the C++ library's make.
    pub first: Vec<Input>,
    /// Those that come after them.
    pub last: Vec<Input>,
    /// Those that objects ask for, with the object that does.
    pub asked: Vec<(Input, String)>,
}

impl MacosLibraries {
    /// Adds what an object asks for, and warns of what nobody can have: it does no harm until a symbol is missing.
    fn ask_for(&mut self, path: &Path, wishes: Vec<Wish>) {
        for wish in wishes {
            let by = printable_path(path);
            match wish {
                Wish::Library(name) if ALWAYS_THERE.contains(&name.as_str()) => {}
                Wish::Library(name) => {
                    let one = input(InputName::Library(name));
                    if self.asked.iter().all(|(known, _)| known.name != one.name) {
                        self.asked.push((one, by.to_string()));
                    }
                }
                Wish::Framework(name) => say::warning(format_args!(
                    "{by} asks for the framework {name} of macOS, which no process here has"
                )),
                Wish::Option(option) => say::warning(format_args!(
                    "{by} asks its linker for {option}, which is not supported"
                )),
            }
        }
    }
}

/// Takes libraries for found that are named, are not here, and that programs for macOS have in any case, if there is an
/// object for macOS.
pub(super) fn leave_out(named: &[&Input], found: &mut [Result<Vec<FoundInput>, String>]) {
    let is_for_macos = |found: &FoundInput| match &found.content {
        FoundContent::Object(bytes) => is_macho(bytes.bytes()),
        _ => false,
    };
    if !found.iter().flatten().flatten().any(is_for_macos) {
        return;
    }
    for (input, found) in named.iter().zip(found) {
        let is_there = match &input.name {
            InputName::Library(name) => ALWAYS_THERE.contains(&name.as_str()),
            InputName::File(_) => false,
        };
        if is_there && found.is_err() {
            *found = Ok(Vec::new());
        }
    }
}

/// The libraries that a line needs beside what it names, if it has objects for macOS and is not told to have none.
///
/// # Errors
/// When there is an object in C++ and no library for it, saying what to install.
pub(super) fn of(
    line: &LinkLine,
    opened: &[Opened],
    surroundings: &dyn Surroundings,
    directory: &Path,
) -> Result<MacosLibraries, String> {
    if !line.default_libraries || !opened.iter().any(is_object_for_macos) {
        return Ok(MacosLibraries::default());
    }
    let is_named = opened.iter().any(|input| {
        let name = input.found.path.file_name();
        name.is_some_and(|name| FILES.iter().any(|file| name == *file))
    });
    let mut libraries = MacosLibraries::default();
    if !is_named && opened.iter().any(|input| is_cxx(content(input))) {
        let paths = ask(surroundings, directory)?.into_iter();
        let files = paths.map(|path| input(InputName::File(path.into())));
        libraries.first.extend(files);
    }
    for object in opened.iter().filter(|input| is_object_for_macos(input)) {
        let formats = orc_jit::formats();
        let path = &object.found.path;
        let wishes = formats.wishes(content(object));
        let wishes = wishes.map_err(|problem| format!("{}: {problem}", printable_path(path)))?;
        libraries.ask_for(path, wishes);
    }
    let mathematics = InputName::Library("m".to_owned());
    libraries.last.push(input(mathematics));
    Ok(libraries)
}

fn input(name: InputName) -> Input {
    Input {
        name,
        source: None,
        state: InputState::default(),
    }
}

fn is_object_for_macos(input: &Opened) -> bool {
    matches!(input.found.content, FoundContent::Object(_)) && is_macho(content(input))
}

fn is_macho(object: &[u8]) -> bool {
    orc_jit::formats().kind_of(object) == FileKind::Object(Format::MachO)
}

/// The bytes of an object or an archive.
fn content(input: &Opened) -> &[u8] {
    match &input.found.content {
        FoundContent::Object(bytes) | FoundContent::Archive(bytes) => bytes.bytes(),
        FoundContent::Shared(_) | FoundContent::Names(_) => &[],
    }
}

/// Whether an object or an archive refers to names of C++.
fn is_cxx(object: &[u8]) -> bool {
    // The names stand at the end of the file.
    OF_CXX
        .iter()
        .any(|name| object.windows(name.len()).rev().any(|part| part == *name))
}

/// The paths of the library's files.
fn ask(surroundings: &dyn Surroundings, directory: &Path) -> Result<Vec<String>, String> {
    let output = directory.join("macos-library").display().to_string();
    let target = TARGETS.iter().find(|(cpu, _)| *cpu == link_cpu::get());
    let question = [
        "c++",
        "-target",
        target.map_or("", |(_, target)| target),
        "-shared",
        "-x",
        "c++",
        "/dev/null",
        "-o",
        &output,
    ];
    let question = question.map(str::to_owned);
    let problem = |what: &str| {
        format!(
            "an object is in C++ and for macOS, and zig, which has its library, {what}: install it \
             (pip install ziglang), or name libc++abi.a and libc++.a for macOS among the inputs"
        )
    };
    let answer = surroundings
        .ask_compiler(MAKER, &question)
        .map_err(|error| problem(&format!("cannot be asked ({error})")))?;
    let path_of = |file: &&str| {
        let mut words = answer.split_whitespace();
        words.find(|word| {
            Path::new(word)
                .file_name()
                .is_some_and(|name| name == *file)
        })
    };
    let paths: Vec<String> = FILES
        .iter()
        .filter_map(path_of)
        .map(str::to_owned)
        .collect();
    match paths.len() == FILES.len() {
        true => Ok(paths),
        false => Err(problem("does not tell where it is")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_in_cxx_are_told_by_what_they_refer_to() {
        assert!(is_cxx(b"\0_main\0___gxx_personality_v0\0"));
        assert!(is_cxx(b"\0__ZNSt3__14coutE\0"));
        assert!(!is_cxx(b"\0_main\0_printf\0"));
    }
}
