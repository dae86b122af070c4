//! Which crate may know which, and what each must not name.

use std::collections::BTreeSet;
use std::fs;

use tests::source::{SourceFile, identifiers, rust_files, words};
use tests::workspace_root;

use super::{dependencies, none};

#[test]
fn platforms_do_not_know_each_other() {
    // Telling a user what kind of file that was takes a magic number, not a parser.
    let parsers = [
        ("platform-elf", ["macho", "platform_macho"]),
        ("platform-macho", ["elf", "platform_elf"]),
    ];
    let mut problems = Vec::new();
    for (directory, foreign) in parsers {
        for file in rust_files(directory) {
            for (line, path) in identifiers(&file.code).filter(|(_, name)| foreign.contains(name)) {
                problems.push(format!("{}:{line}: `{path}`", file.path));
            }
        }
    }
    none(problems);
}

#[test]
fn inputs_know_no_format_but_by_its_first_bytes() {
    let may = |path: &str| {
        ["file_kind.rs", "format.rs"]
            .iter()
            .any(|it| path.ends_with(it))
    };
    let mut problems = Vec::new();
    for file in rust_files("orc-inputs")
        .into_iter()
        .filter(|file| !may(&file.path))
    {
        let words = words(&file.code);
        let named = words
            .filter(|(_, word)| ["elf", "macho", "mach"].contains(&word.to_lowercase().as_str()));
        problems.extend(named.map(|(line, word)| format!("{}:{line}: `{word}`", file.path)));
    }
    let reached = dependencies("orc-inputs");
    let platforms = ["platform-elf", "platform-macho"].into_iter();
    let platforms = platforms.filter(|name| reached.contains(*name));
    problems.extend(platforms.map(|name| format!("reaches {name}")));
    none(problems);
}

#[test]
fn one_module_names_a_platform() {
    const FACADE: &str = "orc-jit/src/platform.rs";
    const PLATFORMS: &[&str] = &["platform_elf", "platform_macho"];
    let mut problems = Vec::new();
    let files = ["orc-jit", "command"].into_iter().flat_map(rust_files);
    for file in files.filter(|file| file.path != FACADE) {
        let found = identifiers(&file.code).filter(|(_, name)| PLATFORMS.contains(name));
        problems.extend(found.map(|(line, name)| format!("{}:{line}: `{name}`", file.path)));
    }
    none(problems);
}

#[test]
fn the_executor_has_no_linker() {
    let forbidden = [
        "object",
        "gimli",
        "jit-core",
        "platform-elf",
        "platform-macho",
        "orc-jit",
        "rayon",
        "iced-x86",
    ];
    let found = dependencies("orc-target-process");
    none(
        forbidden
            .iter()
            .filter(|name| found.contains(**name))
            .map(|name| format!("reaches {name}"))
            .collect(),
    );
    assert!(
        found.contains("orc-shared"),
        "cargo tree gives names: {found:?}"
    );
}

#[test]
fn only_the_executors_host_speaks_to_the_system() {
    const HOST: &str = "orc-target-process/src/host/";
    const ARCH: &str = "orc-target-process/src/host/gnu_linux/arch/";
    let is_test = |path: &str| path.contains("/tests/") || path.ends_with("/tests.rs");
    let mut problems = Vec::new();
    for file in rust_files("orc-target-process/src") {
        if is_test(&file.path) {
            continue;
        }
        let forbidden = |name: &str| match name {
            "libc" => !file.path.starts_with(HOST),
            "asm" | "naked_asm" | "global_asm" => !file.path.starts_with(ARCH),
            _ => false,
        };
        let found = identifiers(&file.code).filter(|(_, name)| forbidden(name));
        problems.extend(found.map(|(line, name)| format!("{}:{line}: `{name}`", file.path)));
    }
    none(problems);
}

#[test]
fn the_executor_is_below_its_server() {
    let below = ["executor", "host"].map(|it| format!("orc-target-process/src/{it}"));
    let mut problems = Vec::new();
    for file in below.iter().flat_map(|directory| rust_files(directory)) {
        for (number, line) in file.code.lines().enumerate() {
            if ["crate::server", "crate::command"]
                .iter()
                .any(|it| line.contains(it))
            {
                problems.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    none(problems);
}

#[test]
fn controllers_reach_an_executor_in_one_module() {
    let is_there = |path: &str| {
        path == "jit-core/src/in_process.rs" || path.starts_with("jit-core/src/in_process/")
    };
    let mut problems = Vec::new();
    let files = rust_files("jit-core/src").into_iter();
    for file in files.filter(|file| !is_there(&file.path)) {
        let found = identifiers(&file.code).filter(|(_, name)| *name == "orc_target_process");
        problems.extend(found.map(|(line, name)| format!("{}:{line}: `{name}`", file.path)));
    }
    none(problems);
}

#[test]
fn the_library_has_nothing_of_the_command() {
    let found = dependencies("orc-jit");
    let forbidden = ["clap", "tempfile", "orc-jit-command"];
    let reached = forbidden.iter().filter(|name| found.contains(**name));
    let mut problems: Vec<_> = reached.map(|name| format!("reaches {name}")).collect();
    // What only the command needs would be named in its own code alone.
    let manifest = fs::read_to_string(workspace_root().join("orc-jit/Cargo.toml")).unwrap();
    let own = manifest
        .split("[dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .expect("it has dependencies");
    let files = rust_files("orc-jit/src");
    for name in own.lines().filter_map(|line| line.split_once(".workspace")) {
        let crate_name = name.0.replace('-', "_");
        let names_it = |file: &SourceFile| identifiers(&file.code).any(|(_, it)| it == crate_name);
        if !files.iter().any(names_it) {
            problems.push(format!("depends on {}, and does not use it", name.0));
        }
    }
    none(problems);
}

#[test]
fn the_runtime_needs_no_std() {
    let allowed = BTreeSet::from(["orc-rt", "orc-shared", "libc", "once_cell"].map(str::to_owned));
    let found = dependencies("orc-rt");
    none(
        found
            .difference(&allowed)
            .map(|name| format!("orc-rt reaches {name}"))
            .collect(),
    );
    let root = fs::read_to_string(workspace_root().join("orc-rt/src/lib.rs")).unwrap();
    assert!(root.contains("no_std"), "orc-rt/src/lib.rs is no_std");
}

#[test]
fn platforms_answer_the_same_questions_in_the_same_files() {
    let modules = |directory: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(workspace_root().join(directory).join("src")).unwrap();
        let name = |entry: fs::DirEntry| {
            entry
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        };
        entries
            .flatten()
            .map(name)
            .filter(|name| name != "lib" && !name.starts_with("test"))
            .collect()
    };
    // Each platform's crate documentation has the list of questions, answered there or not.
    let questions = fs::read_to_string(workspace_root().join("platform-macho/src/lib.rs")).unwrap();
    let unlisted = modules("platform-elf")
        .into_iter()
        .filter(|name| !questions.contains(&format!("`{name}`")));
    let mut problems: Vec<_> = unlisted
        .map(|name| format!("platform-elf has `{name}`, which platform-macho does not list"))
        .collect();
    for name in modules("platform-macho").difference(&modules("platform-elf")) {
        if !questions.contains(&format!("`{name}` | only")) {
            problems.push(format!(
                "platform-macho has `{name}`, which platform-elf does not"
            ));
        }
    }
    none(problems);
}
