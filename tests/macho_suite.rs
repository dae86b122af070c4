//! `macho-suite DIRECTORY SCRATCH PAGE`: has the tests of another linker make their Mach-O objects, links each, and
//! writes a page of what came of it. `xtask macho-suite` calls this.

#[path = "macho_suite/link.rs"]
mod link;
#[path = "macho_suite/page.rs"]
mod page;
#[path = "macho_suite/recipe.rs"]
mod recipe;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use link::{Linker, Outcome};
use recipe::Recipe;

/// Where a checkout of LLVM has tests that make Mach-O objects, and what their files' names begin with.
const PLACES: [(&str, &str); 3] = [
    ("lld/test/MachO", ""),
    ("llvm/test/ExecutionEngine/JITLink/AArch64", "MachO"),
    ("llvm/test/ExecutionEngine/JITLink/x86-64", "MachO"),
];

/// Directories of what tests use.
const INPUTS: &str = "Inputs";

/// What a test made, and what came of that.
pub struct Tested {
    /// The test, from the checkout on.
    pub test: String,
    /// Files that it made, with what came of them.
    pub files: Vec<(String, Outcome)>,
    /// Commands that failed: those of other versions of the tools, mostly.
    pub failed: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[PathBuf]) -> Result<(), String> {
    let [checkout, scratch, page] = arguments else {
        return Err("expected DIRECTORY SCRATCH PAGE".to_owned());
    };
    let mut linker = Linker::default();
    let mut tested = Vec::new();
    for (place, start) in PLACES {
        let mut tests = Vec::new();
        find(&checkout.join(place), start, &mut tests);
        tests.sort_unstable();
        for test in tests {
            tested.push(run_test(checkout, &test, scratch, &mut linker)?);
        }
    }
    if tested.is_empty() {
        let places = PLACES.map(|(place, _)| place).join(", ");
        return Err(format!(
            "{}: has none of {places}: a checkout of LLVM is needed",
            checkout.display()
        ));
    }
    let suite = checkout.file_name().unwrap_or_default();
    let text = page::text(&suite.to_string_lossy(), &tested);
    fs::write(page, text).map_err(|error| format!("{}: {error}", page.display()))
}

/// Files below a directory whose names begin like this.
fn find(directory: &Path, start: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            find(&path, if name == INPUTS { "" } else { start }, found);
        } else if name.starts_with(start) {
            found.push(path);
        }
    }
}

fn run_test(
    checkout: &Path,
    test: &Path,
    scratch: &Path,
    linker: &mut Linker,
) -> Result<Tested, String> {
    let name = test.strip_prefix(checkout).unwrap_or(test);
    let name = name.to_string_lossy().into_owned();
    let own = scratch.join(name.replace('/', "-"));
    let mut files = Vec::new();
    let mut failed = 0;
    if link::is_macho(test) {
        // It came ready.
        files.push(test.to_owned());
    } else {
        failed = Recipe::read(test, &own)?.run()?;
        find(&own, "", &mut files);
        files.retain(|file| link::is_macho(file));
        files.sort_unstable();
    }
    let outcome = |file: &PathBuf| {
        let name = file.strip_prefix(&own).ok();
        let name = name.map_or(file.file_name().unwrap_or_default(), |own| own.as_os_str());
        let name = name.to_string_lossy().into_owned();
        linker.outcome(file).map(|outcome| (name, outcome))
    };
    let files = files.iter().map(outcome).collect::<Result<_, _>>()?;
    Ok(Tested {
        test: name,
        files,
        failed,
    })
}
