//! `docs/CONFORMANCE.md`: which feature of the platform is held by which test.
//!
//! The end-to-end tests note, where `ORC_CONFORMANCE` names a file, what each case's objects hold
//! and whether it passed: a line of the case, the result, and the features. `xtask conformance`
//! makes the document of these lines, and `xtask ci` checks it against them: what it says is held
//! by a test must be held, by that test, in that run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

use crate::build::Built;
use crate::case::Case;
use crate::features::{features_of, groups};

/// The variable that names the file.
pub const VARIABLE: &str = "ORC_CONFORMANCE";

/// Tests that a line of the document names at most.
const NAMED_MAX: usize = 3;

const HEAD: &str = "\
# Conformance on x86-64 Linux

Made by `cargo run -p xtask -- conformance` from a run of the end-to-end tests: what the objects of
each test program hold is read from the objects themselves. A test builds the program, lets the
system's linker link it, and expects the JIT to behave as that executable does. Relocations are
those of sections that are loaded. `cargo run -p xtask -- ci` checks this page against its own run.

Where no program of these tests has a feature, the line says so; relocation types without one are
held by unit tests of bytes and formulas in `jit-core/src/cpu/x86_64/tests`, as no assembler of the
test machines writes them.
";

/// Notes what `case` holds, if this run is asked to.
///
/// # Panics
/// If the file cannot be written.
pub fn record(case: &Case, built: &Built, passed: bool) {
    let Some(path) = std::env::var_os(VARIABLE) else {
        return;
    };
    let result = match (passed, &case.gap) {
        (false, _) => "fails",
        (true, Some(_)) => "gap",
        (true, None) => "passes",
    };
    let features: Vec<_> = features_of(case, built).into_iter().collect();
    let line = format!("{}\t{result}\t{}\n", case.name, features.join("\t"));
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("the conformance file can be written");
    // One write, so that lines of several threads do not mix.
    file.write_all(line.as_bytes())
        .expect("the conformance file can be written");
}

/// What tests of a run hold: for each feature the cases that passed, and those that did not.
#[derive(Default, Debug)]
pub struct Held {
    passed: BTreeMap<String, BTreeSet<String>>,
    failed: BTreeMap<String, BTreeSet<String>>,
}

impl Held {
    /// Reads the lines that [`record`] wrote. A case counts as passed if it passed in every mode.
    pub fn read(lines: &str) -> Self {
        let mut held = Self::default();
        for line in lines.lines() {
            let mut words = line.split('\t').map(str::to_owned);
            let (Some(case), Some(result)) = (words.next(), words.next()) else {
                continue;
            };
            let passed = result == "passes";
            let table = if passed {
                &mut held.passed
            } else {
                &mut held.failed
            };
            for feature in words.filter(|feature| !feature.is_empty()) {
                table.entry(feature).or_default().insert(case.clone());
            }
        }
        for (feature, cases) in &held.failed {
            if let Some(passed) = held.passed.get_mut(feature) {
                passed.retain(|case| !cases.contains(case));
            }
        }
        held
    }

    fn cases<'a>(table: &'a BTreeMap<String, BTreeSet<String>>, feature: &str) -> Vec<&'a str> {
        let cases = table.get(feature).into_iter().flatten();
        cases.map(String::as_str).collect()
    }

    /// The document.
    pub fn document(&self) -> String {
        let mut text = HEAD.to_owned();
        for (group, features) in groups() {
            write!(
                text,
                "\n## {group}\n\n| | result | tests |\n|---|---|---|\n"
            )
            .expect("writing to a string");
            for feature in features {
                let (result, tests) = self.line(group, feature);
                writeln!(text, "| `{feature}` | {result} | {tests} |")
                    .expect("writing to a string");
            }
        }
        text
    }

    fn line(&self, group: &str, feature: &str) -> (&'static str, String) {
        let failed = Self::cases(&self.failed, feature);
        let mut passed = Self::cases(&self.passed, feature);
        if passed.is_empty() && failed.is_empty() {
            return ("no program has it", String::new());
        }
        if passed.is_empty() {
            return ("fails", failed.join(", "));
        }
        // Those that are about it come first.
        let about = |case: &&str| match group {
            "Relocation types" => !case.starts_with("relocations/"),
            "Thread-local models" => !case.starts_with("tls/"),
            "Sections" => !case.starts_with("data/") && !case.starts_with("init/"),
            "Symbols" => !case.starts_with("symbols/"),
            _ => !case.starts_with("archives/") && !case.starts_with("libraries/"),
        };
        passed.sort_by_key(about);
        let more = passed.len().saturating_sub(NAMED_MAX);
        let named = passed[..passed.len() - more].join(", ");
        let more = if more == 0 { "" } else { ", and others" };
        ("passes", format!("{named}{more}"))
    }

    /// What a document claims and this run does not hold.
    pub fn untrue(&self, document: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for feature in groups().into_iter().flat_map(|group| group.1) {
            let start = format!("| `{feature}` | ");
            let Some(line) = document.lines().find(|line| line.starts_with(&start)) else {
                problems.push(format!("{feature}: has no line"));
                continue;
            };
            let rest = line[start.len()..].trim_end_matches(" |");
            let (result, tests) = rest.split_once(" | ").unwrap_or((rest, ""));
            let passed = Self::cases(&self.passed, feature);
            if result != "passes" {
                continue;
            }
            let named = tests.split(", ").filter(|test| *test != "and others");
            for test in named.filter(|test| !passed.contains(test)) {
                problems.push(format!("{feature}: {test} does not hold it"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str =
        "a\tpasses\tR_X86_64_64\tIFUNC\nb\tfails\tIFUNC\nb\tpasses\tIFUNC\nc\tgap\t.tbss\n";

    #[test]
    fn what_passed_everywhere_is_claimed() {
        let document = Held::read(LINES).document();
        assert!(
            document.contains("| `R_X86_64_64` | passes | a |"),
            "{document}"
        );
        assert!(document.contains("| `IFUNC` | passes | a |"), "{document}");
        assert!(document.contains("| `.tbss` | fails | c |"), "{document}");
        assert!(
            document.contains("| `R_X86_64_8` | no program has it |  |"),
            "{document}"
        );
    }

    #[test]
    fn claims_without_a_test_are_found() {
        let document = Held::read(LINES).document();
        assert_eq!(Held::read(LINES).untrue(&document), [""; 0]);
        let later = Held::read("a\tpasses\tR_X86_64_64\n").untrue(&document);
        assert_eq!(later, ["IFUNC: a does not hold it"]);
        let without = document.replace("| `common` |", "| common |");
        assert_eq!(Held::read(LINES).untrue(&without), ["common: has no line"]);
    }
}
