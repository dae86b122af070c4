//! The rules of the house, as tests. `docs/ARCHITECTURE.md` says what they are for.

#[path = "tidy/jit_core.rs"]
mod jit_core;
#[path = "tidy/layers.rs"]
mod layers;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tests::source::{SourceFile, identifiers, rust_files};
use tests::workspace_root;

/// Every crate of the product, and the tests and tasks around it.
const CRATES: &[&str] = &[
    "orc-shared",
    "orc-system",
    "orc-rt",
    "orc-embedded",
    "orc-target-process",
    "jit-core",
    "orc-inputs",
    "platform-elf",
    "platform-macho",
    "orc-jit",
    "orc-jit-c",
    "command",
    "examples/calc",
    "tests",
    "xtask",
];

/// Where `unsafe` is allowed, and why it is needed there. An entry that ends in `/` stands for
/// everything below it.
const UNSAFE: &[(&str, &str)] = &[
    (
        "orc-rt/src/",
        "the runtime is called through a C ABI with raw pointers",
    ),
    (
        "orc-rt/darwin/src/",
        "functions of a C library, called through a C ABI with raw pointers",
    ),
    (
        "orc-system/src/",
        "the process's own descriptors, signals and memory",
    ),
    (
        "orc-target-process/src/",
        "raw memory, the loader, the process's own structures",
    ),
    ("orc-target-process/tests/", "calls what the services made"),
    (
        "orc-shared/src/exit_services.rs",
        "types of functions that take raw pointers",
    ),
    (
        "orc-shared/src/wrapper_result.rs",
        "a C union that owns its buffer",
    ),
    ("orc-jit/tests/", "says what types compiled functions have"),
    (
        "tests/benches/remote.rs",
        "calls a wrapper function of its own making",
    ),
    (
        "tests/benches/sessions.rs",
        "says what types compiled functions have",
    ),
    ("tests/remote.rs", "calls wrapper functions of known types"),
    (
        "tests/support/processes.rs",
        "asks the allocator for what it has that is free",
    ),
    ("tests/soak.rs", "says what types compiled functions have"),
    (
        "examples/calc/src/",
        "says what types compiled functions have",
    ),
    (
        "orc-jit/examples/",
        "called by a host through a C ABI, and says what types compiled functions have",
    ),
    (
        "tests/debuggers/many.rs",
        "says what types compiled functions have",
    ),
    (
        "tests/debuggers/stubs.rs",
        "says what types compiled functions have",
    ),
    (
        "tests/session.rs",
        "says what types compiled functions have",
    ),
    (
        "tests/symbolize.rs",
        "says what types compiled functions have",
    ),
    ("orc-jit-c/src/", "called through a C ABI with raw pointers"),
    ("orc-jit/src/mapped.rs", "mapped input files"),
    (
        "orc-jit/src/function.rs",
        "calls of linked code through typed pointers",
    ),
    ("orc-jit/src/stubs.rs", "says what types functions have"),
    ("orc-jit/src/replace.rs", "says what may replace what"),
    ("orc-jit/src/tiers.rs", "says what may replace what"),
    ("orc-jit/src/lookup.rs", "takes addresses from the client"),
    ("command/src/heap.rs", "an allocator"),
    ("command/src/heap/", "tests of the allocator"),
    (
        "command/src/image/launcher.rs",
        "the bytes of code that the assembler made",
    ),
    (
        "command/src/run.rs",
        "takes mapped input files out of the program's sight",
    ),
    (
        "command/src/watch.rs",
        "replaces code of a running program, as the user asks",
    ),
    (
        "command/src/main.rs",
        "the name of the symbol through which the process is started",
    ),
    (
        "orc-jit/src/jit.rs",
        "a call whose types only the caller knows",
    ),
    (
        "orc-target-process/guest/src/lib.rs",
        "called by a host through a C ABI",
    ),
];

/// Files that may be longer than `LINES_MAX`: tables, where an entry takes a line or three.
const TABLES: &[&str] = &["orc-target-process/tests/program.rs"];

/// What a person can keep in mind.
const LINES_MAX: usize = 600;

fn all_files() -> Vec<SourceFile> {
    CRATES
        .iter()
        .flat_map(|directory| rust_files(directory))
        .collect()
}

/// Fails with all `problems`, if there are any.
#[track_caller]
fn none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn unsafe_lives_in_listed_modules() {
    let allowed = |path: &str| {
        UNSAFE
            .iter()
            .any(|(place, _)| path == *place || (place.ends_with('/') && path.starts_with(place)))
    };
    let uses_unsafe = |file: &SourceFile| identifiers(&file.code).any(|(_, name)| name == "unsafe");
    let files = all_files();
    let outside = files
        .iter()
        .filter(|file| uses_unsafe(file) && !allowed(&file.path));
    let mut problems: Vec<_> = outside
        .map(|file| format!("{}: `unsafe` is not allowed here", file.path))
        .collect();
    for (place, _) in UNSAFE {
        let used = files
            .iter()
            .any(|file| file.path.starts_with(place) && uses_unsafe(file));
        if !used {
            problems.push(format!(
                "{place}: listed, but has no `unsafe`: take it off the list"
            ));
        }
    }
    for directory in ["jit-core", "orc-inputs", "platform-elf", "platform-macho"] {
        let root = fs::read_to_string(workspace_root().join(directory).join("src/lib.rs")).unwrap();
        if !root.contains("#![forbid(unsafe_code)]") {
            problems.push(format!(
                "{directory}/src/lib.rs must have #![forbid(unsafe_code)]"
            ));
        }
    }
    none(problems);
}

#[test]
fn every_unsafe_block_has_its_reason() {
    let mut problems = Vec::new();
    for file in all_files() {
        let (text, code): (Vec<_>, Vec<_>) =
            (file.text.lines().collect(), file.code.lines().collect());
        for (at, line) in code.iter().enumerate() {
            let opens = line.contains("unsafe {") || line.contains("unsafe impl");
            if opens && !reason_precedes(&text, at) {
                problems.push(format!(
                    "{}:{}: no `// SAFETY:` before it",
                    file.path,
                    at + 1
                ));
            }
        }
    }
    none(problems);
}

/// Whether the statement around line `at` starts with a `SAFETY` comment, or has one in it.
fn reason_precedes(text: &[&str], at: usize) -> bool {
    /// Lines of one statement before its `unsafe`, and of the comment before that.
    const LINES_BEFORE_MAX: usize = 16;
    let before = text[at.saturating_sub(LINES_BEFORE_MAX)..=at].iter().rev();
    let mut own_line = true;
    for line in before {
        let line = line.trim();
        if line.contains("SAFETY:") || line.contains("# Safety") {
            return true;
        }
        let ends_statement = line.ends_with(';') || line.ends_with('}') || line.is_empty();
        if ends_statement && !own_line && !line.starts_with("//") {
            return false;
        }
        own_line = false;
    }
    false
}

/// Names of all crates that `package` is built from.
fn dependencies(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(workspace_root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("names of crates are ASCII");
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn files_fit_in_a_head() {
    let long = |file: &SourceFile| {
        file.text.lines().count() > LINES_MAX && !TABLES.contains(&file.path.as_str())
    };
    let describe = |file: SourceFile| format!("{}: {} lines", file.path, file.text.lines().count());
    none(all_files().into_iter().filter(long).map(describe).collect());
}

#[test]
fn nothing_is_left_for_later() {
    const PLACEHOLDERS: &[&str] = &["todo!", "unimplemented!", "dbg!"];
    const NOTES: &[&str] = &["TODO", "FIXME", "XXX"];
    let mut problems = Vec::new();
    for file in all_files()
        .into_iter()
        .filter(|file| file.path != "tests/tidy.rs")
    {
        for (number, (code, text)) in file.code.lines().zip(file.text.lines()).enumerate() {
            let placeholders = PLACEHOLDERS.iter().filter(|word| code.contains(*word));
            let notes = NOTES.iter().filter(|word| text.contains(*word));
            problems.extend(
                placeholders
                    .chain(notes)
                    .map(|word| format!("{}:{}: {word}", file.path, number + 1)),
            );
        }
    }
    none(problems);
}

#[test]
fn operating_systems_differ_by_file() {
    // At the left margin a `cfg` chooses a module or an item; further in, a piece of a function.
    const CONDITIONS: &[&str] = &[
        "target_os",
        "unix",
        "windows",
        "target_vendor",
        "target_env",
    ];
    let mut problems = Vec::new();
    for file in all_files() {
        for (number, line) in file.code.lines().enumerate() {
            let conditional = line.contains("cfg!(") || line.trim_start().starts_with("#[cfg");
            let system = CONDITIONS.iter().any(|condition| line.contains(condition));
            let inside = line.starts_with(' ') || line.contains("cfg!(");
            if conditional && system && inside {
                problems.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    none(problems);
}

#[test]
fn crates_share_the_lints_of_the_workspace() {
    let lacks = |directory: &&&str| {
        let manifest =
            fs::read_to_string(workspace_root().join(directory).join("Cargo.toml")).unwrap();
        !manifest.contains("[lints]\nworkspace = true")
    };
    none(
        CRATES
            .iter()
            .filter(lacks)
            .map(|name| format!("{name}/Cargo.toml"))
            .collect(),
    );
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut problems = Vec::new();
    let documents = fs::read_dir(workspace_root().join("docs"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    for document in documents.chain([workspace_root().join("README.md")]) {
        let Ok(text) = fs::read_to_string(&document) else {
            continue;
        };
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap_or_default();
            let external = file.is_empty() || file.contains("://");
            if !external && !document.parent().unwrap().join(file).exists() {
                problems.push(format!("{}: {target}", document.display()));
            }
        }
    }
    none(problems);
}

/// The words of `.ci/run` between `packages=(` and `)`.
fn packages_of_ci() -> Vec<String> {
    let text = fs::read_to_string(workspace_root().join(".ci/run")).expect("the script is there");
    let list = text
        .split("packages=(")
        .nth(1)
        .and_then(|rest| rest.split(')').next());
    list.expect("it has a list of packages")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[test]
fn readme_names_the_packages_of_all_tests() {
    let readme = fs::read_to_string(workspace_root().join("README.md")).expect("it is there");
    let named: BTreeSet<&str> = readme.split_whitespace().collect();
    let missing = packages_of_ci()
        .into_iter()
        .filter(|package| !named.contains(package.as_str()));
    none(
        missing
            .map(|package| format!("README.md: `{package}` of .ci/run is missing"))
            .collect(),
    );
}

#[test]
fn what_tests_need_has_a_package() {
    let tests = workspace_root().join("tests");
    let cases = tests::case::read_all(&tests.join("programs")).expect("the cases can be read");
    let topics = tests::lines::read_all(&tests.join("lines")).expect("the rows can be read");
    let mut needs: BTreeSet<String> = cases.into_iter().flat_map(|case| case.needs).collect();
    for topic in topics {
        needs.extend(
            topic
                .rows
                .iter()
                .filter_map(|row| row.need().map(str::to_owned)),
        );
        needs.extend(topic.needs);
    }
    let packages = packages_of_ci();
    let problems = needs
        .iter()
        .filter_map(|need| match tests::needs::package(need) {
            None => Some(format!(
                "`{need}`: say in tests/support/needs.rs which package has it"
            )),
            Some(package) if packages.iter().any(|known| known == package) => None,
            Some(package) => Some(format!(
                "`{need}`: its package {package} is missing in .ci/run"
            )),
        });
    none(problems.collect());
}
