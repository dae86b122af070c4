//! Rules of `jit-core`.

use tests::imports::Imports;
use tests::source::{rust_files, words};

use super::{dependencies, none};

#[test]
fn jit_core_names_no_object_format() {
    // Comments may cite a psABI's relocation names where an edge kind means the same.
    const FORMATS: &[&str] = &["elf", "macho", "mach", "coff", "xcoff", "wasm"];
    const PREFIXES: &[&str] = &[
        "SHF_",
        "SHT_",
        "SHN_",
        "STB_",
        "STT_",
        "STV_",
        "R_X86_64_",
        "R_AARCH64_",
        "N_EXT",
    ];
    let mut problems = Vec::new();
    for file in rust_files("jit-core") {
        for (line, word) in words(&file.code).filter(|(_, word)| FORMATS.contains(&word.as_str())) {
            problems.push(format!(
                "{}:{line}: `{word}` names an object format",
                file.path
            ));
        }
        for (line, text) in file.code.lines().enumerate() {
            for prefix in PREFIXES.iter().filter(|prefix| text.contains(*prefix)) {
                problems.push(format!(
                    "{}:{}: `{prefix}` is an object format's",
                    file.path,
                    line + 1
                ));
            }
        }
    }
    none(problems);
}

#[test]
fn the_linker_names_no_cpu() {
    const CPUS: &[&str] = &["x86_64", "aarch64", "x86", "arm64"];
    let mut problems = Vec::new();
    for file in rust_files("jit-core/src/link") {
        if file.path.contains("/tests/") {
            continue;
        }
        let words = words(&file.code);
        let named = words.filter(|(_, word)| CPUS.contains(&word.to_lowercase().as_str()));
        problems.extend(named.map(|(line, word)| format!("{}:{line}: `{word}`", file.path)));
    }
    none(problems);
}

/// Files that may need each other: a type and what it is made of, told in two places or three.
const CIRCLE_MAX: usize = 3;

#[test]
fn imports_of_the_core_lead_one_way() {
    none(Imports::of_crate("jit-core/src").circles_of_more_than(CIRCLE_MAX));
}

#[test]
fn the_core_has_no_object_parser() {
    let forbidden = [
        "object",
        "goblin",
        "platform-elf",
        "platform-macho",
        "orc-rt",
        "orc-jit",
    ];
    let found = dependencies("jit-core");
    none(
        forbidden
            .iter()
            .filter(|name| found.contains(**name))
            .map(|name| format!("reaches {name}"))
            .collect(),
    );
}
