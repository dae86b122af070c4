//! Options of the linker proper, as they come after `-Wl,` or stand alone with two dashes.
//!
//! Those that change the program are applied, or refused. Those that say how to lay out or write a file
//! are accepted and ignored: a JIT writes none. What no linker has is an error.

mod known;

use std::path::{Path, PathBuf};

use orc_inputs::library_search::LibraryChoice;
use orc_inputs::linker_script;
use orc_jit::Undefined;

use self::known::{Fate, Takes};
use super::link_cpu;
use super::link_line::{InputName, LinkLine, OutputKind, Question};
use super::suggest;

/// Whether an option is one of the linker's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Handled {
    /// The option is the linker's, and was applied (or ignored for good reason).
    Yes,
    /// No linker has such an option.
    Unknown,
}

/// Options that are applied, as a linker's help has them.
const APPLIED: &[&str] = &[
    "allow-multiple-definition",
    "as-needed",
    "Bdynamic",
    "Bstatic",
    "defsym",
    "dependency-file",
    "disable-new-dtags",
    "dynamic-linker",
    "dynamic-list",
    "dynamic-list-cpp-new",
    "dynamic-list-cpp-typeinfo",
    "enable-new-dtags",
    "end-lib",
    "entry",
    "error-unresolved-symbols",
    "exclude-libs",
    "export-dynamic",
    "export-dynamic-symbol",
    "export-dynamic-symbol-list",
    "fatal-warnings",
    "fini",
    "gc-sections",
    "help",
    "ignore-unresolved-symbol",
    "init",
    "library",
    "library-path",
    "Map",
    "no-as-needed",
    "no-export-dynamic",
    "no-fatal-warnings",
    "no-gc-sections",
    "no-pie",
    "no-undefined",
    "no-whole-archive",
    "noinhibit-exec",
    "output",
    "pie",
    "pop-state",
    "print-map",
    "push-state",
    "relocatable",
    "require-defined",
    "rpath",
    "rpath-link",
    "script",
    "shared",
    "start-lib",
    "static",
    "sysroot",
    "undefined",
    "unresolved-symbols",
    "verbose",
    "version",
    "version-script",
    "warn-unresolved-symbols",
    "whole-archive",
    "wrap",
    "z defs",
    "z copyreloc",
    "z dynamic-undefined-weak",
    "z execstack",
    "z muldefs",
    "z nocopyreloc",
    "z nodynamic-undefined-weak",
    "z norelro",
    "z start-stop-gc",
    "z undefs",
];

/// Symbols of C++ that programs replace, and those that identify types.
const CPP_NEW: &str = "{ extern \"C++\" { operator?new*; operator?delete*; }; };";
const CPP_TYPEINFO: &str = "{ extern \"C++\" { typeinfo?for*; typeinfo?name?for*; }; };";

/// The loader of every process.
pub(super) const LOADER: &str = "ld-linux-x86-64.so.2";

/// Applies one option; `next` gives the word after it.
pub(super) fn apply(
    line: &mut LinkLine,
    option: &str,
    next: &mut dyn FnMut() -> Result<String, String>,
) -> Result<Handled, String> {
    let (name, may_be_short) = match option.strip_prefix("--") {
        Some(name) => (name, false),
        None => (option.trim_start_matches('-'), true),
    };
    if apply_flag(line, name) {
        return Ok(Handled::Yes);
    }
    let (long, joined) = match name.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (name, None),
    };
    let handled = match apply_valued(line, long, joined.clone(), next)? {
        Handled::Unknown => apply_known(line, option, long, joined, next)?,
        handled => handled,
    };
    match handled {
        Handled::Unknown if may_be_short => short_joined(line, name),
        handled => Ok(handled),
    }
}

/// The options, for a linker's help: those that work, and those that need no work here.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    APPLIED.iter().copied().chain(known::accepted())
}

/// The error for an option that no linker has; `more` are names of further options that may be meant,
/// without dashes.
pub(super) fn unknown(option: &str, more: &[String]) -> String {
    let name = option.trim_start_matches('-');
    let name = name.split('=').next().unwrap_or(name);
    let mut candidates: Vec<&str> = more.iter().map(String::as_str).collect();
    for known in known().chain(known::refused()) {
        candidates.push(known);
    }
    match suggest::similar(name, candidates) {
        Some(similar) => format!("unknown option {option}; did you mean --{similar}?"),
        None => format!("unknown option {option}"),
    }
}

/// Whether an option of a driver that starts with `-B` is one of the linker's, and names no directory.
pub(super) fn is_library_choice(option: &str) -> bool {
    let names = [
        "-Bstatic",
        "-Bdynamic",
        "-Bsymbolic",
        "-Bshareable",
        "-Bgroup",
        "-Bno-symbolic",
    ];
    names.iter().any(|name| option.starts_with(name))
}

/// Options that hold from here on, and other flags.
fn apply_flag(line: &mut LinkLine, name: &str) -> bool {
    let state = &mut line.state;
    match name {
        "whole-archive" => state.whole_archive = true,
        "no-whole-archive" => state.whole_archive = false,
        "start-lib" => state.lazy = true,
        "end-lib" => state.lazy = false,
        "as-needed" => state.as_needed = Some(true),
        "no-as-needed" => state.as_needed = Some(false),
        "Bstatic" | "dn" | "non_shared" | "static" => state.choice = LibraryChoice::StaticOnly,
        "Bdynamic" | "dy" | "call_shared" => state.choice = LibraryChoice::SharedFirst,
        "push-state" => line.saved_states.push(state.clone()),
        "pop-state" => {
            if let Some(saved) = line.saved_states.pop() {
                line.state = saved;
            }
        }
        "enable-new-dtags" => line.run_path_for_all = false,
        "disable-new-dtags" => line.run_path_for_all = true,
        "export-dynamic" | "E" => line.export_dynamic = true,
        "no-export-dynamic" => line.export_dynamic = false,
        "gc-sections" => line.gc_sections = Some(true),
        "no-gc-sections" => line.gc_sections = Some(false),
        "warn-unresolved-symbols" | "noinhibit-exec" => line.undefined_symbols = Undefined::Warn,
        "error-unresolved-symbols" | "no-undefined" => line.undefined_symbols = Undefined::Error,
        "shared" | "Bshareable" => line.output_kind = OutputKind::SharedLibrary,
        "relocatable" | "r" | "i" | "Ur" => line.output_kind = OutputKind::Relocatable,
        "allow-multiple-definition" => muldefs(line, true),
        "no-allow-multiple-definition" => muldefs(line, false),
        "fatal-warnings" => line.fatal_warnings = true,
        "no-fatal-warnings" => line.fatal_warnings = false,
        "pie" | "pic-executable" => line.fixed_addresses = false,
        "no-pie" | "no-pic-executable" => line.fixed_addresses = true,
        "version" => line.question = Some(Question::Version),
        "help" => line.question = Some(Question::Help),
        "v" | "V" | "verbose" => {
            line.question.get_or_insert(Question::Name);
        }
        "print-map" | "M" => line.map_file = Some(PathBuf::from("-")),
        "dynamic-list-cpp-new" => line.exported_lists.push(CPP_NEW),
        "dynamic-list-cpp-typeinfo" => line.exported_lists.push(CPP_TYPEINFO),
        _ => return false,
    }
    true
}

fn muldefs(line: &mut LinkLine, allowed: bool) {
    line.multiple_definitions = allowed;
}

fn apply_valued(
    line: &mut LinkLine,
    name: &str,
    joined: Option<String>,
    next: &mut dyn FnMut() -> Result<String, String>,
) -> Result<Handled, String> {
    let mut value = || match &joined {
        Some(value) => Ok(value.clone()),
        None => next(),
    };
    match name {
        "rpath" => add_run_path(line, &value()?),
        "R" => directory_or_symbols(line, &value()?)?,
        "rpath-link" => line
            .link_path
            .extend(value()?.split(':').map(str::to_owned)),
        "entry" | "e" => line.entry = Some(entry(&value()?)?),
        "undefined" | "u" => line.undefined.push(value()?),
        "require-defined" => line.required.push(value()?),
        "wrap" => line.wrapped.push(value()?),
        "export-dynamic-symbol" => line.exported.push(value()?),
        "dynamic-list" | "export-dynamic-symbol-list" => {
            line.export_lists.push(PathBuf::from(value()?));
        }
        "version-script" => {
            let path = value()?;
            line.tuning.version_scripts.push(PathBuf::from(path));
        }
        "exclude-libs" => {
            let names = value()?;
            let names = names.split([',', ':']).map(str::to_owned);
            line.tuning.excluded_archives.extend(names);
        }
        "library-path" | "L" => line.library_dirs.push(value()?),
        "library" | "l" => {
            let name = value()?;
            line.push(InputName::Library(name));
        }
        "unresolved-symbols" => line.undefined_symbols = unresolved(&value()?)?,
        "ignore-unresolved-symbol" => {
            let symbol = value()?;
            line.assignments
                .push(linker_script::may_be_undefined(&symbol));
        }
        "z" => keyword(line, &value()?)?,
        "a" => match value()?.as_str() {
            "archive" => line.state.choice = LibraryChoice::StaticOnly,
            "shared" | "default" => line.state.choice = LibraryChoice::SharedFirst,
            other => return Err(format!("-a {other}: expected archive, shared or default")),
        },
        "Map" => line.map_file = Some(PathBuf::from(value()?)),
        "dependency-file" => line.dependency_file = Some(PathBuf::from(value()?)),
        "output" | "o" => line.output = Some(PathBuf::from(value()?)),
        "sysroot" => line.sysroot = Some(PathBuf::from(value()?)),
        "defsym" => {
            let text = value()?;
            line.assignments
                .push(linker_script::parse_definition(&text)?);
        }
        "init" | "fini" => {
            let function = value()?;
            let place = match name {
                "init" => &mut line.init,
                _ => &mut line.fini,
            };
            *place = Some(function);
        }
        "script" | "T" | "default-script" | "dT" => {
            let script = script(line, value()?);
            line.push(InputName::File(script));
        }
        "dynamic-linker" | "I" => line.other_loader = Some(value()?).filter(is_other_loader),
        _ => return Ok(Handled::Unknown),
    }
    Ok(Handled::Yes)
}

/// Options that change nothing, and those that are refused.
fn apply_known(
    line: &mut LinkLine,
    option: &str,
    name: &str,
    joined: Option<String>,
    next: &mut dyn FnMut() -> Result<String, String>,
) -> Result<Handled, String> {
    let Some((_, takes, fate)) = known::find(name) else {
        return Ok(Handled::Unknown);
    };
    let value = match (takes, joined) {
        (Takes::Nothing, joined) => joined,
        (Takes::Value, Some(joined)) => Some(joined),
        (Takes::Value, None) => Some(next()?),
    };
    let value = value.unwrap_or_default();
    match fate {
        Fate::Ignored => Ok(Handled::Yes),
        Fate::Unsaid => {
            line.notes.push(format!(
                "{option} has no effect: nothing of this is printed here"
            ));
            Ok(Handled::Yes)
        }
        Fate::NamesFile => {
            let named = (format!("--{name}"), PathBuf::from(value));
            line.named_files.push(named);
            Ok(Handled::Yes)
        }
        Fate::Refused(_) if takes_format(line, option, name, &value) => Ok(Handled::Yes),
        Fate::Refused(why) => Err(format!("{option} is not supported: {why}")),
    }
}

/// Whether the value of an option that chooses a format names one that may be used anyway. If that is a CPU's, the
/// line says so.
fn takes_format(line: &mut LinkLine, option: &str, name: &str, value: &str) -> bool {
    let is_for_any = match name {
        "m" => false,
        "b" | "format" | "oformat" => matches!(value, "elf" | "default"),
        "orphan-handling" => return matches!(value, "place" | "warn"),
        _ => return false,
    };
    let cpu = link_cpu::named(value);
    line.asked_cpus
        .extend(cpu.map(|cpu| (format!("{option} {value}"), cpu)));
    is_for_any || cpu.is_some()
}

fn unresolved(method: &str) -> Result<Undefined, String> {
    Ok(match method {
        "ignore-all" | "ignore-in-object-files" => Undefined::Ignore,
        "report-all" | "ignore-in-shared-libs" => Undefined::Error,
        _ => {
            return Err(format!(
                "--unresolved-symbols={method}: expected ignore-all, report-all, \
                 ignore-in-object-files or ignore-in-shared-libs"
            ));
        }
    })
}

/// Where a program starts: a symbol.
fn entry(symbol: &str) -> Result<String, String> {
    match symbol.starts_with(|c: char| c.is_ascii_digit()) {
        true => Err(format!(
            "--entry {symbol}: the program lies at addresses that are not known before it is linked: name a symbol"
        )),
        false => Ok(symbol.to_owned()),
    }
}

/// Whether a loader is not that of every process.
fn is_other_loader(path: &String) -> bool {
    Path::new(path).file_name().and_then(|name| name.to_str()) != Some(LOADER)
}

/// A script is looked for here, and in the directories that were named.
fn script(line: &LinkLine, name: String) -> PathBuf {
    let path = PathBuf::from(name);
    if path.exists() || path.is_absolute() {
        return path;
    }
    let mut found = line
        .library_dirs
        .iter()
        .map(|dir| Path::new(dir).join(&path));
    found.find(|path| path.exists()).unwrap_or(path)
}

/// `-R` is for directories that the loader searches, and for files whose symbols are to be taken.
fn directory_or_symbols(line: &mut LinkLine, value: &str) -> Result<(), String> {
    if Path::new(value).is_file() {
        return Err(format!(
            "-R {value}: it is a file, and addresses of another program mean nothing in this one"
        ));
    }
    add_run_path(line, value);
    Ok(())
}

/// Directories that the loader searches, separated by colons.
fn add_run_path(line: &mut LinkLine, dirs: &str) {
    line.run_path.extend(dirs.split(':').map(str::to_owned));
}

/// `-z KEYWORD`.
pub(super) fn keyword(line: &mut LinkLine, keyword: &str) -> Result<(), String> {
    match keyword {
        "undefs" | "nodefs" => line.undefined_symbols = Undefined::Ignore,
        "defs" => line.undefined_symbols = Undefined::Error,
        "muldefs" => muldefs(line, true),
        "nomuldefs" => muldefs(line, false),
        "copyreloc" | "nocopyreloc" => line.no_copies = keyword == "nocopyreloc",
        "dynamic-undefined-weak" | "nodynamic-undefined-weak" => {
            line.undefined_weak_is_null = keyword == "nodynamic-undefined-weak";
        }
        "execstack" | "noexecstack" | "norelro" | "start-stop-gc" | "nostart-stop-gc" => {
            let tuning = &mut line.tuning;
            match keyword {
                "norelro" => tuning.writable_relro = true,
                "start-stop-gc" => tuning.drops_bounded_sections = true,
                "nostart-stop-gc" => tuning.drops_bounded_sections = false,
                stack => tuning.executable_stack = Some(stack == "execstack"),
            }
        }
        _ => match known::keyword(keyword) {
            Some(Fate::Refused(why)) => {
                return Err(format!("-z {keyword} is not supported: {why}"));
            }
            Some(Fate::Unsaid) => line.notes.push(format!(
                "-z {keyword} has no effect: nothing of this is printed here"
            )),
            Some(_) => {}
            // As GNU ld says.
            None if line.fatal_warnings => {
                return Err(format!(
                    "-z {keyword} ignored: it is unknown (--fatal-warnings)"
                ));
            }
            None => line
                .warnings
                .push(format!("-z {keyword} ignored: it is unknown")),
        },
    }
    Ok(())
}

/// One-letter options with their value in the same word.
fn short_joined(line: &mut LinkLine, name: &str) -> Result<Handled, String> {
    if let Some(dir) = name.strip_prefix('L') {
        line.library_dirs.push(dir.to_owned());
    } else if let Some(library) = name.strip_prefix('l') {
        line.push(InputName::Library(library.to_owned()));
    } else if let Some(word) = name.strip_prefix('z') {
        keyword(line, word)?;
    } else if let Some(symbol) = name.strip_prefix('u') {
        line.undefined.push(symbol.to_owned());
    } else if let Some(symbol) = name.strip_prefix('e') {
        line.entry = Some(entry(symbol)?);
    } else if let Some(dirs) = name.strip_prefix('R') {
        directory_or_symbols(line, dirs)?;
    } else if let Some(file) = name.strip_prefix('T') {
        let script = script(line, file.to_owned());
        line.push(InputName::File(script));
    } else if let Some(emulation) = name.strip_prefix('m') {
        if !takes_format(line, "-m", "m", emulation) {
            return Err(format!(
                "-m{emulation} is not supported: {}",
                known::EMULATION
            ));
        }
    } else if !name.starts_with(['O', 'h', 'y']) {
        return Ok(Handled::Unknown);
    }
    Ok(Handled::Yes)
}
