//! `xtask macos-libraries`: libraries in C and C++ that crates carry, compiled for macOS and run on Linux.
//!
//! Each has a program below `tests/macos_libraries` that uses it and says where its sources are. The crates are fetched from the
//! registry. The library and the program are compiled three times: for Linux, where the system's linker links them and
//! what the program writes is what the others have to write, and for macOS on both CPUs, as static archives of
//! Mach-O objects, which `orc-jit run` links.

mod build;
mod library;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{build_command, cargo, root, run_in, say, target_directory};
use crate::cross;
use build::{Built, LINUX, MACOS_ARM64, MACOS_X86_64, Target};
use library::Library;

/// Where the programs are.
const DRIVERS: &str = "tests/macos_libraries";

/// The page with the results.
const PAGE: &str = "docs/macos-libraries.md";

/// How programs are run: the target of the objects, how the page calls it, and what the command is told.
const RUNS: [(&Target, &str, Option<&str>); 3] = [
    (&MACOS_X86_64, "x86-64, in process", None),
    (&MACOS_X86_64, "x86-64, spawned", Some("--executor=spawn")),
    (
        &MACOS_ARM64,
        "arm64, in qemu",
        Some("--executor=qemu:aarch64"),
    ),
];

/// Runs the libraries with these names, or all and writes the page.
pub fn run(names: &[String]) -> Result<(), String> {
    let mut libraries = Vec::new();
    for driver in drivers(&root().join(DRIVERS))? {
        let library = Library::read(&driver)?;
        if names.is_empty() || names.contains(&library.name) {
            libraries.push(library);
        }
    }
    let known = |name: &&String| libraries.iter().any(|library| library.name == **name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        return Err(format!("there is no library {name} in {DRIVERS}"));
    }
    let work = target_directory().join("macos-libraries");
    let jit = build_command("orc-jit-command", "orc-jit")?;
    if !cross::directory().join("orc-executor").exists() {
        cross::run(&[])?;
    }
    fetch(&libraries, &work)?;
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for library in &libraries {
        match test(library, &jit, &work) {
            Ok(row) => rows.push(row),
            Err(problem) => {
                say(&format!("{}: {problem}\n", library.name))?;
                failures.push(library.name.clone());
            }
        }
    }
    if !failures.is_empty() {
        return Err(format!("not as on Linux: {}", failures.join(", ")));
    }
    match names.is_empty() {
        true => write_page(&rows),
        false => Ok(()),
    }
}

/// The programs, in order.
fn drivers(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(directory);
    let entries = entries.map_err(|error| format!("{}: {error}", directory.display()))?;
    let is_program = |path: &PathBuf| {
        let end = path.extension().unwrap_or_default();
        end == "c" || end == "cpp"
    };
    let mut drivers: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    drivers.retain(is_program);
    drivers.sort();
    Ok(drivers)
}

/// Fetches the crates, and leaves each library's in `sources/NAME` under their names.
fn fetch(libraries: &[Library], work: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let project = work.join("project");
    std::fs::create_dir_all(project.join("src")).map_err(failed)?;
    std::fs::write(project.join("src/lib.rs"), "").map_err(failed)?;
    let mut manifest =
        "[package]\nname = \"sources\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n"
            .to_owned();
    for (name, version) in libraries.iter().flat_map(|library| &library.crates) {
        let _ = writeln!(manifest, "{name} = \"={version}\"");
    }
    let path = project.join("Cargo.toml");
    let is_known = std::fs::read_to_string(&path).is_ok_and(|known| known == manifest);
    if !is_known || !project.join("vendor").is_dir() {
        std::fs::write(&path, manifest).map_err(failed)?;
        let words = ["vendor", "--quiet", "--versioned-dirs", "vendor"];
        run_in(&project, cargo(), &words)?;
    }
    for library in libraries {
        let directory = sources(library, work);
        std::fs::create_dir_all(&directory).map_err(failed)?;
        for (name, version) in &library.crates {
            let from = project.join("vendor").join(format!("{name}-{version}"));
            let link = directory.join(name);
            // One of an earlier version, perhaps.
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(from, link).map_err(failed)?;
        }
        configure(library, &directory)?;
    }
    Ok(())
}

/// Where a library's packages are.
fn sources(library: &Library, work: &Path) -> PathBuf {
    work.join("sources").join(&library.name)
}

/// Makes the headers that a library's build would make.
fn configure(library: &Library, directory: &Path) -> Result<(), String> {
    for (file, values) in &library.configured {
        let path = directory.join(file);
        let failed = |error| format!("{}: {error}", path.display());
        let mut text = std::fs::read_to_string(&path).map_err(failed)?;
        for (name, value) in values {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        let defined = |line: &str| match line.strip_prefix("#cmakedefine ") {
            Some(rest) if rest.contains("${") || !rest.trim().contains(' ') => String::new(),
            Some(rest) => format!("#define {rest}\n"),
            None => format!("{line}\n"),
        };
        let text: String = text.lines().map(defined).collect();
        let header = file.trim_end_matches(".in").trim_end_matches(".cmake");
        std::fs::write(directory.join(header), text).map_err(failed)?;
    }
    Ok(())
}

/// What is known of a library that behaves as on Linux.
struct Row {
    name: String,
    crates: Vec<(String, String)>,
    files: usize,
    lines: usize,
}

/// Compiles a library for all targets and runs its program.
fn test(library: &Library, jit: &Path, work: &Path) -> Result<Row, String> {
    let (sources, directory) = (
        sources(library, work),
        work.join("built").join(&library.name),
    );
    let native = build::build(library, &LINUX, &sources, &directory)?;
    let program = build::link(library, &native, &sources)?;
    // Programs write files; another run of this task must not see them.
    let place = directory.join(format!("run-{}", std::process::id()));
    std::fs::create_dir_all(&place).map_err(|error| error.to_string())?;
    let expected = output(Command::new(&program).current_dir(&place))?;
    for (target, name, executor) in RUNS {
        let built = build::build(library, target, &sources, &directory)?;
        let mut command = Command::new(jit);
        command.arg("run").args(executor).current_dir(&place);
        command.args([&built.driver, &built.archive]);
        // What the files for another CPU are told by.
        command.env(
            "ORC_JIT_TARGETS",
            cross::directory().parent().unwrap_or(Path::new("")),
        );
        let said = output(&mut command).map_err(|problem| format!("{name}: {problem}"))?;
        if said != expected {
            return Err(format!("{name}: {}", difference(&expected, &said)));
        }
        say(&format!("{}: {name}: as on Linux\n", library.name))?;
    }
    std::fs::remove_dir_all(&place).map_err(|error| error.to_string())?;
    Ok(row(library, &native, &expected))
}

fn row(library: &Library, built: &Built, output: &str) -> Row {
    Row {
        name: library.name.clone(),
        crates: library.crates.clone(),
        files: built.count,
        lines: output.lines().count(),
    }
}

/// What a program writes that ends well.
fn output(command: &mut Command) -> Result<String, String> {
    let ran = command.stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match ran.status.success() {
        true => Ok(text(&ran.stdout)),
        false => Err(format!(
            "{command:?}: {}\n{}{}",
            ran.status,
            text(&ran.stdout),
            text(&ran.stderr)
        )),
    }
}

/// The first line that differs.
fn difference(expected: &str, said: &str) -> String {
    let (mut of_linux, mut of_macos) = (expected.lines(), said.lines());
    for number in 1.. {
        match (of_linux.next(), of_macos.next()) {
            (None, None) => break,
            (one, two) if one == two => {}
            (one, two) => {
                let text = |line: Option<&str>| line.unwrap_or("nothing").to_owned();
                return format!(
                    "line {number}: on Linux {:?}, for macOS {:?}",
                    text(one),
                    text(two)
                );
            }
        }
    }
    "what ends the lines differs".to_owned()
}

fn write_page(rows: &[Row]) -> Result<(), String> {
    let mut page = "\
# Libraries for macOS, on Linux

`cargo run -p xtask -- macos-libraries` compiles these libraries, in C and C++, for macOS on both CPUs, into static archives of Mach-O
objects, and runs a program with each under `orc-jit run`. What the programs ([tests/macos_libraries](../tests/macos_libraries)) write is
what they write when the same sources are compiled for Linux and linked by the system's linker. This page is made by the run.

| Library | Crate | Files | Lines of output |"
        .to_owned();
    for (_, name, _) in RUNS {
        let _ = write!(page, " {name} |");
    }
    page.push_str("\n|---|---|---|---|---|---|---|\n");
    for row in rows {
        let crates = row
            .crates
            .iter()
            .map(|(name, version)| format!("`{name}` {version}"));
        let crates: Vec<String> = crates.collect();
        let crates = crates.join(", ");
        let _ = writeln!(
            page,
            "| {} | {crates} | {} | {} | the same | the same | the same |",
            row.name, row.files, row.lines
        );
    }
    let path = root().join(PAGE);
    std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))?;
    say(&format!("{PAGE} is written\n"))
}
