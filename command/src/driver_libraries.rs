//! Libraries, and options of the linker, that options of compiler drivers stand for.
//!
//! `cc -fopenmp main.o` links the runtime of OpenMP, `-fsanitize=address` that of the sanitizer,
//! `-stdlib=libc++` another C++ library, `-pg` another start-up file. Which files and options that are, the driver decides, so it is asked for
//! the linker's command (`-###`), without these options and with them. What the second answer has more is added.

use std::collections::HashMap;
use std::path::Path;

use jit_core::native::NativeLibrary;
use orc_inputs::library_search::{FoundContent, LibraryChoice};
use orc_jit::LoadWhen;

use super::inputs::Opened;
use super::link_cpu;
use super::link_line::{Input, InputName, LinkLine};
use super::response_file;
use super::run_path;
use super::surroundings::{Surroundings, c_compiler};

/// A library that stands for what the user names. Nobody looks for it.
const MARK: &str = "orc-jit-asks";

/// Starts of options for which a driver links more, or other things.
const CONCERN_LINKING: &[&str] = &[
    "-f",
    "-pg",
    "-p",
    "--coverage",
    "-coverage",
    "-stdlib=",
    "-mpc",
    "-mdaz-ftz",
];

/// Starts of options that are common, and about code alone: nobody waits for a driver for their sake.
const CONCERN_CODE: &[&str] = &[
    "-fPIC",
    "-fPIE",
    "-fpic",
    "-fpie",
    "-fno-",
    "-fasynchronous-unwind-tables",
    "-fcf-protection",
    "-fcolor-diagnostics",
    "-fcommon",
    "-fdata-sections",
    "-fdebug",
    "-fdiagnostics",
    "-fexceptions",
    "-ffile-prefix-map",
    "-ffunction-sections",
    "-finline",
    "-flto",
    "-fmacro-prefix-map",
    "-fomit-frame-pointer",
    "-fplt",
    "-frandom-seed",
    "-fsigned-char",
    "-fstack-clash-protection",
    "-fstack-protector",
    "-fstrict-aliasing",
    "-ftls-model",
    "-ftrivial-auto-var-init",
    "-funroll-loops",
    "-funwind-tables",
    "-fvisibility",
    "-fwrapv",
    "-pedantic",
    "-pipe",
    "-pthread",
];

/// Adds what the driver would link for the line's options: in front of what the user names, or behind.
///
/// # Errors
/// When the driver cannot be asked, or does not know an option.
pub(super) fn add(line: &mut LinkLine, surroundings: &dyn Surroundings) -> Result<(), String> {
    let starts = |starts: &[&str], flag: &str| starts.iter().any(|start| flag.starts_with(start));
    let concerns = |flag: &&String| starts(CONCERN_LINKING, flag) && !starts(CONCERN_CODE, flag);
    let flags = line.compile_flags.iter().filter(concerns);
    let mut flags: Vec<String> = flags.chain(&line.driver_flags).cloned().collect();
    if line.has_driver_libraries {
        return Ok(());
    }
    if line.is_static {
        return add_all(line, surroundings, flags);
    }
    if flags.is_empty() {
        return Ok(());
    }
    line.has_driver_libraries = true;
    let driver = driver(line);
    if flags
        .iter()
        .any(|flag| flag.starts_with("-fsanitize=") && flag.contains("thread"))
    {
        // Its runtime has to find the process empty, and so to be loaded with it.
        flags.retain(|flag| flag != "-static-libtsan" && flag != "-static-libsan");
    }
    let sanitizes = flags.iter().any(|flag| flag.starts_with("-fsanitize="));
    let says_how = flags.iter().any(|flag| flag.ends_with("-libsan"));
    if sanitizes && !says_how && driver.contains("clang") {
        // Its runtimes are static by default. They have to be there before the link.
        flags.push("-shared-libsan".to_owned());
    }
    let plain = answer(surroundings, &driver, &[])?;
    let full = answer(surroundings, &driver, &flags)?;
    take(line, &plain, full);
    Ok(())
}

/// Adds everything that the driver would link to a static program: start-up files and the C library, too.
fn add_all(
    line: &mut LinkLine,
    surroundings: &dyn Surroundings,
    mut flags: Vec<String>,
) -> Result<(), String> {
    line.has_driver_libraries = true;
    let libraries = std::mem::take(&mut line.default_libraries);
    if !libraries && !line.start_files {
        return Ok(());
    }
    // A program that may lie anywhere would relocate itself; here it is relocated already.
    flags.push("-static".to_owned());
    if !libraries {
        flags.push("-nodefaultlibs".to_owned());
    }
    if !line.start_files {
        flags.push("-nostartfiles".to_owned());
    }
    let full = answer(surroundings, &driver(line), &flags)?;
    take(line, &LinkLine::default(), full);
    Ok(())
}

/// The driver to ask. That for C++ also knows what C++ needs, and takes it only where it is used.
fn driver(line: &LinkLine) -> String {
    let named = |variable: &str| {
        let value = std::env::var(variable).ok();
        value.filter(|value| !value.trim().is_empty())
    };
    match (named("CXX"), named("CC")) {
        (Some(driver), _) => driver,
        (None, Some(_))
            if !line
                .compile_flags
                .iter()
                .any(|flag| flag.starts_with("-stdlib=")) =>
        {
            c_compiler()
        }
        (None, Some(cc)) if cc.contains("clang") => cc.replacen("clang", "clang++", 1),
        _ => link_cpu::compiler("c++"),
    }
}

/// What the driver would have linked for these options.
fn answer(
    surroundings: &dyn Surroundings,
    driver: &str,
    flags: &[String],
) -> Result<LinkLine, String> {
    let question = ["-###".to_owned(), format!("-l{MARK}")];
    let question = [&question[..1], flags, &question[1..]].concat();
    let answer = surroundings.ask_compiler(driver, &question);
    let answer = answer.map_err(|problem| {
        let flags = flags.join(" ");
        format!("cannot ask `{driver}` what it links for {flags}: {problem}; set CC and CXX")
    })?;
    // gcc also tells the options that it hands on through the environment.
    let command = answer
        .lines()
        .find(|line| line.starts_with(' ') && line.contains(MARK));
    let command = command.ok_or_else(|| format!("`{driver} -###` does not tell how it links"))?;
    let words = response_file::split(command.as_bytes()).into_iter().skip(1);
    LinkLine::of_linker(words.map(|word| word.to_string_lossy().into_owned()))
}

/// Adds to `line` what `full` has and `plain` has not.
fn take(line: &mut LinkLine, plain: &LinkLine, full: LinkLine) {
    let mut known: HashMap<(InputName, LibraryChoice, bool), usize> = HashMap::new();
    let key = |input: &Input| {
        let state = &input.state;
        (input.name.clone(), state.choice, state.whole_archive)
    };
    for input in &plain.inputs {
        *known.entry(key(input)).or_default() += 1;
    }
    let mark = InputName::Library(MARK.to_owned());
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut is_behind = false;
    for input in full.inputs {
        if input.name == mark {
            is_behind = true;
        } else if let Some(count) = known.get_mut(&key(&input)).filter(|count| **count != 0) {
            *count -= 1;
        } else if is_start_file(&input.name, line.is_static) {
            // The platform does what these are for.
        } else if is_behind {
            last.push(input);
        } else {
            first.push(input);
        }
    }
    let more = |to: &mut Vec<String>, plain: &[String], full: Vec<String>| {
        to.extend(full.into_iter().filter(|word| !plain.contains(word)));
    };
    // The libraries are where the driver looks for them.
    more(&mut line.library_dirs, &[], full.library_dirs);
    more(&mut line.undefined, &plain.undefined, full.undefined);
    more(&mut line.wrapped, &plain.wrapped, full.wrapped);
    more(&mut line.exported, &plain.exported, full.exported);
    more(&mut line.run_path, &plain.run_path, full.run_path);
    run_path::of_driver(&mut line.run_path, first.iter().chain(&last));
    line.inputs.splice(0..0, first);
    line.inputs.extend(last);
    line.export_lists.extend(full.export_lists);
    line.export_dynamic |= full.export_dynamic && !plain.export_dynamic;
}

/// Whether a file of a driver's own brings of a program's start and end what the platform does here. The C
/// library's belong to a static one; the one for profiles starts them.
pub(super) fn is_start_file(name: &InputName, is_static: bool) -> bool {
    let InputName::File(path) = name else {
        return false;
    };
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let of_compiler = ["crtbegin", "crtend"];
    let of_c_library = ["crt1.o", "crti.o", "crtn.o"];
    let is_one = |kinds: &[&str]| kinds.iter().any(|kind| file.contains(kind));
    is_one(&of_compiler) || !is_static && !file.starts_with("gcrt1") && is_one(&of_c_library)
}

/// The library that replaces the allocator, if there is one: it has to be there before the first
/// allocation.
pub(super) fn replaced_allocator(opened: &[Opened]) -> Option<(&Path, &dyn NativeLibrary)> {
    let mut named = opened.iter().filter(|input| input.load != LoadWhen::Used);
    named.find_map(|input| {
        let FoundContent::Shared(library) = &input.found.content else {
            return None;
        };
        let is_libc = library.loader_name().starts_with("libc.so");
        let defines = |name: &[u8]| library.find(name).is_some();
        let replaces = !is_libc && defines(b"malloc") && defines(b"free");
        replaces.then_some((input.found.path.as_path(), &**library))
    })
}
