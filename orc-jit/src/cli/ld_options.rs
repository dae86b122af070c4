//! Options of the linker proper, as they come after `-Wl,` or stand alone with two dashes.
//!
//! Those that change what is linked are applied. Those that say how to lay out or write a file are
//! accepted and ignored: a JIT writes none.

use std::path::PathBuf;

use platform_elf::library_search::LibraryChoice;

use crate::Undefined;

use super::link_line::{InputName, LinkLine, OutputKind, Question};

/// Whether an option is one of the linker's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Handled {
    /// It is, and was applied (or ignored for good reason).
    Yes,
    /// It is not known.
    Unknown,
}

/// Options that are applied, as a linker's help has them.
const APPLIED: &[&str] = &[
    "as-needed",
    "Bdynamic",
    "Bstatic",
    "defsym",
    "dependency-file",
    "dynamic-list",
    "entry",
    "error-unresolved-symbols",
    "export-dynamic",
    "export-dynamic-symbol",
    "export-dynamic-symbol-list",
    "gc-sections",
    "help",
    "library",
    "library-path",
    "Map",
    "no-as-needed",
    "no-export-dynamic",
    "no-gc-sections",
    "no-whole-archive",
    "output",
    "pop-state",
    "print-map",
    "push-state",
    "relocatable",
    "require-defined",
    "rpath",
    "shared",
    "sysroot",
    "undefined",
    "unresolved-symbols",
    "verbose",
    "version",
    "warn-unresolved-symbols",
    "whole-archive",
    "wrap",
    "z defs",
    "z undefs",
];

/// Options without a value that change nothing here.
const IGNORED: &[&str] = &[
    "start-group",
    "end-group",
    "(",
    ")",
    "no-undefined",
    "eh-frame-hdr",
    "no-eh-frame-hdr",
    "strip-all",
    "strip-debug",
    "s",
    "S",
    "x",
    "X",
    "discard-all",
    "discard-locals",
    "relax",
    "no-relax",
    "pie",
    "no-pie",
    "pic-executable",
    "fatal-warnings",
    "no-fatal-warnings",
    "warn-common",
    "warn-once",
    "demangle",
    "no-demangle",
    "build-id",
    "no-dynamic-linker",
    "no-copy-dt-needed-entries",
    "copy-dt-needed-entries",
    "no-add-needed",
    "add-needed",
    "enable-new-dtags",
    "disable-new-dtags",
    "nostdlib",
    "Bsymbolic",
    "Bsymbolic-functions",
    "print-gc-sections",
    "stats",
    "trace",
    "t",
    "N",
    "n",
    "q",
    "emit-relocs",
    "no-ctors-in-init-array",
    "allow-shlib-undefined",
    "no-allow-shlib-undefined",
    "no-undefined-version",
    "undefined-version",
    "cref",
    "color-diagnostics",
    "sort-common",
    "no-warnings",
    "no-warn-mismatch",
    "no-rosegment",
    "rosegment",
    "gdb-index",
    "omagic",
    "nmagic",
];

/// Options with a value, joined by `=` or in the next word, that change nothing here.
const IGNORED_WITH_VALUE: &[&str] = &[
    "soname",
    "h",
    "dynamic-linker",
    "I",
    "hash-style",
    "m",
    "O",
    "plugin",
    "plugin-opt",
    "version-script",
    "rpath-link",
    "exclude-libs",
    "sort-section",
    "icf",
    "threads",
    "thread-count",
    "compress-debug-sections",
    "retain-symbols-file",
    "image-base",
    "Ttext",
    "Tdata",
    "Tbss",
    "Ttext-segment",
    "error-limit",
    "init",
    "fini",
    "y",
    "trace-symbol",
    "a",
    "A",
    "oformat",
    "package-metadata",
    "lto-O",
    "build-id",
    "color-diagnostics",
    "pack-dyn-relocs",
    "compress-debug-level",
];

/// The options, for a linker's help: those that work, and those that need no work here.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    APPLIED
        .iter()
        .chain(IGNORED)
        .chain(IGNORED_WITH_VALUE)
        .copied()
}

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
    if apply_flag(line, name) || IGNORED.contains(&name) {
        return Ok(Handled::Yes);
    }
    let (long, joined) = match name.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (name, None),
    };
    Ok(match apply_valued(line, long, joined, next)? {
        Handled::Unknown if may_be_short => short_joined(line, name),
        handled => handled,
    })
}

/// Options that hold from here on, and other flags.
fn apply_flag(line: &mut LinkLine, name: &str) -> bool {
    let state = &mut line.state;
    match name {
        "whole-archive" => state.whole_archive = true,
        "no-whole-archive" => state.whole_archive = false,
        "as-needed" => state.as_needed = true,
        "no-as-needed" => state.as_needed = false,
        "Bstatic" | "dn" | "non_shared" | "static" => state.choice = LibraryChoice::StaticOnly,
        "Bdynamic" | "dy" | "call_shared" => state.choice = LibraryChoice::SharedFirst,
        "push-state" => line.saved_states.push(state.clone()),
        "pop-state" => {
            if let Some(saved) = line.saved_states.pop() {
                line.state = saved;
            }
        }
        "export-dynamic" | "E" => line.export_dynamic = true,
        "no-export-dynamic" => line.export_dynamic = false,
        "gc-sections" => line.gc_sections = Some(true),
        "no-gc-sections" => line.gc_sections = Some(false),
        "warn-unresolved-symbols" | "noinhibit-exec" => line.undefined_symbols = Undefined::Warn,
        "error-unresolved-symbols" => line.undefined_symbols = Undefined::Error,
        "shared" | "Bshareable" => line.output_kind = OutputKind::SharedLibrary,
        "relocatable" | "r" => line.output_kind = OutputKind::Relocatable,
        "version" => line.question = Some(Question::Version),
        "help" => line.question = Some(Question::Help),
        "v" | "V" | "verbose" => {
            line.question.get_or_insert(Question::Name);
        }
        "print-map" | "M" => line.map_file = Some(PathBuf::from("-")),
        _ => return false,
    }
    true
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
        "rpath" | "R" => add_run_path(line, &value()?),
        "entry" | "e" => line.entry = Some(value()?),
        "undefined" | "u" => line.undefined.push(value()?),
        "require-defined" => line.required.push(value()?),
        "wrap" => line.wrapped.push(value()?),
        "export-dynamic-symbol" => line.exported.push(value()?),
        "dynamic-list" | "export-dynamic-symbol-list" => {
            line.export_lists.push(PathBuf::from(value()?));
        }
        "library-path" | "L" => line.library_dirs.push(value()?),
        "library" | "l" => {
            let name = value()?;
            line.push(InputName::Library(name));
        }
        "unresolved-symbols" => {
            line.undefined_symbols = match value()?.as_str() {
                "ignore-all" | "ignore-in-object-files" => Undefined::Ignore,
                _ => Undefined::Error,
            };
        }
        "z" => keyword(line, &value()?),
        "Map" => line.map_file = Some(PathBuf::from(value()?)),
        "dependency-file" => line.dependency_file = Some(PathBuf::from(value()?)),
        "output" | "o" => line.output = Some(PathBuf::from(value()?)),
        "sysroot" => line.sysroot = Some(PathBuf::from(value()?)),
        "defsym" => {
            let definition = value()?;
            let (name, meaning) = definition
                .split_once('=')
                .ok_or_else(|| format!("--defsym {definition}: expected NAME=VALUE"))?;
            line.defsyms.push((name.to_owned(), meaning.to_owned()));
        }
        "script" | "T" => {
            let script = value()?;
            return Err(format!(
                "linker script {script}: layout scripts are not supported; the platform's layout is used"
            ));
        }
        _ if IGNORED_WITH_VALUE.contains(&name) => drop(value()?),
        _ => return Ok(Handled::Unknown),
    }
    Ok(Handled::Yes)
}

/// Directories that the loader searches, separated by colons.
fn add_run_path(line: &mut LinkLine, dirs: &str) {
    line.run_path.extend(dirs.split(':').map(str::to_owned));
}

/// `-z KEYWORD`: all but this one are about the layout of a file.
pub(super) fn keyword(line: &mut LinkLine, keyword: &str) {
    match keyword {
        "undefs" => line.undefined_symbols = Undefined::Ignore,
        "defs" => line.undefined_symbols = Undefined::Error,
        _ => {}
    }
}

/// One-letter options with their value in the same word.
fn short_joined(line: &mut LinkLine, name: &str) -> Handled {
    if let Some(dir) = name.strip_prefix('L') {
        line.library_dirs.push(dir.to_owned());
    } else if let Some(library) = name.strip_prefix('l') {
        line.push(InputName::Library(library.to_owned()));
    } else if let Some(word) = name.strip_prefix('z') {
        keyword(line, word);
    } else if let Some(symbol) = name.strip_prefix('u') {
        line.undefined.push(symbol.to_owned());
    } else if let Some(dirs) = name.strip_prefix('R') {
        add_run_path(line, dirs);
    } else if !name.starts_with('O') {
        return Handled::Unknown;
    }
    Handled::Yes
}
