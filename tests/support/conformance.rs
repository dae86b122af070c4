//! `docs/CONFORMANCE.md`: which feature of the platform is held by which test, for each CPU.
//!
//! The end-to-end tests note, where `ORC_CONFORMANCE` names a file, what each case's objects hold
//! and whether it passed: a line of the CPU, the case, the result, and the features. `xtask conformance`
//! makes the document of these lines, and `xtask ci` checks it against them: what it says is held
//! by a test must be held, by that test, in that run. A run is for one CPU; what the document says of others stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use crate::build::Built;
use crate::case::Case;
use crate::features::{Group, features_of, groups};
use crate::macos_features;
use crate::target::target;

/// The variable that names the file.
pub const VARIABLE: &str = "ORC_CONFORMANCE";

/// Tests that a line of the document names at most.
const NAMED_MAX: usize = 3;

/// What a line says of a CPU that no run was for yet.
const NOT_RUN: &str = "not run";

const HEAD: &str = "\
# Conformance on Linux

Made by `cargo run -p xtask -- conformance` from a run of the end-to-end tests, and by `xtask -- aarch64` from one
for AArch64, under qemu: what the objects of each test program hold is read from the objects
themselves. A test builds the program, lets the system's linker link it, and expects the JIT to
behave as that executable does. Relocations are those of sections that are loaded. `cargo run -p
xtask -- ci` checks this page against its own run.

Where no program of these tests has a feature, the line says so; relocation types without one are
held by unit tests of bytes and formulas in `jit-core/src/cpu`, as no compiler or assembler of the
test machines writes them, or they fit no address of a process.

The last tables are of Mach-O: of the same programs, compiled for macOS, whose objects run on Linux
and must do what the linked ELF program does.
";

/// Notes what `case` holds, if this run is asked to.
pub fn record(case: &Case, built: &Built, passed: bool) {
    let result = match (passed, &case.gap) {
        (false, _) => "fails",
        (true, Some(_)) => "gap",
        (true, None) => "passes",
    };
    let features = || features_of(case, built);
    note(target().name, &case.name, result, features);
}

/// Notes what a test holds whose objects for macOS, and archives of them, lie below a directory.
pub fn record_for_macos(test: &str, directory: &Path, passed: bool) {
    let result = if passed { "passes" } else { "fails" };
    let features = || macos_features::features_below(directory);
    note(target().macos, test, result, features);
}

/// Writes a line.
///
/// # Panics
/// If the file cannot be written.
fn note(column: &str, test: &str, result: &str, features: impl FnOnce() -> BTreeSet<&'static str>) {
    let Some(path) = std::env::var_os(VARIABLE) else {
        return;
    };
    let features: Vec<_> = features().into_iter().collect();
    let features = features.join("\t");
    let line = format!("{column}\t{test}\t{result}\t{features}\n");
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("the conformance file can be written");
    // One write, so that lines of several threads do not mix.
    file.write_all(line.as_bytes())
        .expect("the conformance file can be written");
}

/// What tests of a run hold, by the name of the target.
#[derive(Default, Debug)]
pub struct Held {
    targets: BTreeMap<String, OnTarget>,
}

/// For each feature the cases that passed, and those that did not.
#[derive(Default, Debug)]
struct OnTarget {
    passed: BTreeMap<String, BTreeSet<String>>,
    failed: BTreeMap<String, BTreeSet<String>>,
}

/// What the document says of a feature on one target.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Cell {
    result: String,
    tests: String,
}

impl Held {
    /// Reads the lines that [`record`] wrote. A case counts as passed if it passed in every mode.
    pub fn read(lines: &str) -> Self {
        let mut held = Self::default();
        for line in lines.lines() {
            let mut words = line.split('\t').map(str::to_owned);
            let (Some(cpu), Some(case), Some(result)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let on_target = held.targets.entry(cpu).or_default();
            let table = match result == "passes" {
                true => &mut on_target.passed,
                false => &mut on_target.failed,
            };
            for feature in words.filter(|feature| !feature.is_empty()) {
                table.entry(feature).or_default().insert(case.clone());
            }
        }
        for on_target in held.targets.values_mut() {
            for (feature, cases) in &on_target.failed {
                if let Some(passed) = on_target.passed.get_mut(feature) {
                    passed.retain(|case| !cases.contains(case));
                }
            }
        }
        held
    }

    /// The document. What `before` says of targets that this run was not for stays.
    pub fn document(&self, before: &str) -> String {
        let mut text = HEAD.to_owned();
        for group in groups() {
            let _ = write!(text, "\n## {}\n\n|", group.title);
            for column in group.columns {
                let _ = match group.columns.len() {
                    1 => write!(text, " | result | tests"),
                    _ => write!(text, " | {column} | tests"),
                };
            }
            let columns = "---|".repeat(1 + 2 * group.columns.len());
            let _ = write!(text, " |\n|{columns}\n");
            for feature in &group.features {
                let _ = write!(text, "| `{feature}` |");
                let cells = cells(before, &group, feature);
                for (column, cell) in group.columns.iter().zip(cells) {
                    let on_target = self.targets.get(*column);
                    let cell = on_target.map_or(cell, |it| it.cell(group.title, feature));
                    let _ = write!(text, " {} | {} |", cell.result, cell.tests);
                }
                text.push('\n');
            }
        }
        text
    }

    /// What a document claims and this run does not hold.
    pub fn untrue(&self, document: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for group in groups() {
            for feature in &group.features {
                if row(document, feature).is_none() {
                    problems.push(format!("{feature}: has no line"));
                }
                let cells = cells(document, &group, feature);
                for (column, cell) in group.columns.iter().zip(cells) {
                    let Some(on_target) = self.targets.get(*column) else {
                        continue;
                    };
                    let untrue = on_target.not_held(feature, &cell);
                    problems.extend(untrue.map(|it| format!("{feature}: {it} does not hold it")));
                }
            }
        }
        problems
    }
}

impl OnTarget {
    fn cell(&self, group: &str, feature: &str) -> Cell {
        let cell = |result: &str, tests: String| Cell {
            result: result.to_owned(),
            tests,
        };
        let failed = cases(&self.failed, feature);
        let mut passed = cases(&self.passed, feature);
        if passed.is_empty() && failed.is_empty() {
            return cell("no program has it", String::new());
        }
        if passed.is_empty() {
            return cell("fails", failed.join(", "));
        }
        // Those that are about it come first.
        let about = |case: &&str| match group {
            "Thread-local models" => !case.starts_with("tls/"),
            "Sections" => !case.starts_with("data/") && !case.starts_with("init/"),
            "Symbols" => !case.starts_with("symbols/"),
            "Inputs and options" => {
                !case.starts_with("archives/") && !case.starts_with("libraries/")
            }
            _ => !case.starts_with("relocations/"),
        };
        passed.sort_by_key(about);
        let more = passed.len().saturating_sub(NAMED_MAX);
        let named = passed[..passed.len() - more].join(", ");
        let more = if more == 0 { "" } else { ", and others" };
        cell("passes", format!("{named}{more}"))
    }

    /// The tests that a cell names and that do not hold the feature.
    fn not_held<'a>(&self, feature: &str, cell: &'a Cell) -> impl Iterator<Item = &'a str> {
        let passed = self.passed.get(feature).cloned().unwrap_or_default();
        let claimed = (cell.result == "passes").then(|| cell.tests.split(", "));
        let named = claimed
            .into_iter()
            .flatten()
            .filter(|test| *test != "and others");
        named.filter(move |test| !passed.contains(*test))
    }
}

fn cases<'a>(table: &'a BTreeMap<String, BTreeSet<String>>, feature: &str) -> Vec<&'a str> {
    let cases = table.get(feature).into_iter().flatten();
    cases.map(String::as_str).collect()
}

/// The line of a document about a feature, behind its name.
fn row<'a>(document: &'a str, feature: &str) -> Option<&'a str> {
    let start = format!("| `{feature}` |");
    document.lines().find_map(|line| line.strip_prefix(&start))
}

/// What a document says of a feature, target by target.
fn cells(document: &str, group: &Group, feature: &str) -> Vec<Cell> {
    let row = row(document, feature).unwrap_or_default();
    let mut words = row.split('|').map(|word| word.trim().to_owned());
    let cell = |_: &&str| {
        let result = words.next().filter(|word| !word.is_empty());
        Cell {
            result: result.unwrap_or_else(|| NOT_RUN.to_owned()),
            tests: words.next().unwrap_or_default(),
        }
    };
    group.columns.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "x86-64\ta\tpasses\tR_X86_64_64\tIFUNC\nx86-64\tb\tfails\tIFUNC\n\
                         x86-64\tb\tpasses\tIFUNC\nx86-64\tc\tgap\t.tbss\n";
    const OTHERS: &str = "aarch64\td\tpasses\tR_AARCH64_CALL26\tIFUNC\n";

    #[test]
    fn what_passed_everywhere_is_claimed() {
        let document = Held::read(LINES).document("");
        for line in [
            "| `R_X86_64_64` | passes | a |",
            "| `R_X86_64_8` | no program has it |  |",
            "| `IFUNC` | passes | a | not run |  |",
            "| `.tbss` | fails | c | not run |  |",
            "| `R_AARCH64_CALL26` | not run |  |",
        ] {
            assert!(document.contains(line), "{line}\n{document}");
        }
    }

    #[test]
    fn what_is_said_of_other_targets_stays() {
        let before = Held::read(LINES).document("");
        let document = Held::read(OTHERS).document(&before);
        for line in [
            "| `R_X86_64_64` | passes | a |",
            "| `IFUNC` | passes | a | passes | d |",
            "| `R_AARCH64_CALL26` | passes | d |",
            "| `.tbss` | fails | c | no program has it |  |",
        ] {
            assert!(document.contains(line), "{line}\n{document}");
        }
        assert_eq!(Held::read(LINES).document(&document), document);
    }

    #[test]
    fn claims_without_a_test_are_found() {
        let document = Held::read(OTHERS).document(&Held::read(LINES).document(""));
        assert_eq!(Held::read(LINES).untrue(&document), [""; 0]);
        assert_eq!(Held::read(OTHERS).untrue(&document), [""; 0]);
        let later = Held::read("x86-64\ta\tpasses\tR_X86_64_64\n").untrue(&document);
        assert_eq!(later, ["IFUNC: a does not hold it"]);
        let without = document.replace("| `common` |", "| common |");
        assert_eq!(Held::read(LINES).untrue(&without), ["common: has no line"]);
    }
}
