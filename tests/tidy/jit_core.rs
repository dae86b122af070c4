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
fn jit_core_spells_nothing_that_formats_spell_differently() {
    const SPELLINGS: &[&str] = &["__dso_handle", "soname", "DT_", "b'@'", "'@'"];
    let mut problems = Vec::new();
    for file in rust_files("jit-core/src") {
        // Places of executors are written "ssh:user@host".
        if file.path.contains("/tests") || file.path.starts_with("jit-core/src/remote/") {
            continue;
        }
        let product = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        for (line, text) in (1..).zip(product.lines()) {
            // Comments may give examples.
            let Some(code) = text
                .split("//")
                .next()
                .filter(|code| !code.trim().is_empty())
            else {
                continue;
            };
            let spelled = SPELLINGS.iter().find(|spelling| code.contains(*spelling));
            if spelled.is_some() || names_section(code) {
                problems.push(format!("{}:{line}: ask the platform: {code}", file.path));
            }
        }
    }
    none(problems);
}

/// Whether a line has a literal such as `".text"` or `"__TEXT"`.
fn names_section(line: &str) -> bool {
    let mut literals = line.split('"').skip(1).step_by(2);
    literals.any(|literal| {
        let dotted = literal.strip_prefix('.');
        let segment = literal.strip_prefix("__");
        dotted.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
            || segment.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    })
}

#[test]
fn section_names_are_recognized() {
    assert!(names_section("let x = b\".got.plt\";"));
    assert!(names_section("f(a, \"__DATA\")"));
    assert!(!names_section("say(\"ends. And begins\", \".\")"));
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
