//! Compiling a library and its test, for Linux with this system's compiler and for macOS with zig.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::library::Library;

/// Who compiles, and for what.
pub struct Target {
    /// The name, which is that of a directory, too.
    pub name: &'static str,
    c: &'static [&'static str],
    cxx: &'static [&'static str],
    archiver: &'static [&'static str],
}

/// This system.
pub const LINUX: Target = Target {
    name: "linux",
    c: &["cc"],
    cxx: &["c++"],
    archiver: &["ar"],
};

/// macOS on x86-64.
pub const MACOS_X86_64: Target = Target {
    name: "macos-x86_64",
    c: &["python3", "-m", "ziglang", "cc", "-target", "x86_64-macos"],
    cxx: &["python3", "-m", "ziglang", "c++", "-target", "x86_64-macos"],
    archiver: &["python3", "-m", "ziglang", "ar"],
};

/// macOS on arm64.
pub const MACOS_ARM64: Target = Target {
    name: "macos-arm64",
    c: &["python3", "-m", "ziglang", "cc", "-target", "aarch64-macos"],
    cxx: &[
        "python3",
        "-m",
        "ziglang",
        "c++",
        "-target",
        "aarch64-macos",
    ],
    archiver: &["python3", "-m", "ziglang", "ar"],
};

/// What is the same for all.
const FLAGS: [&str; 3] = ["-O2", "-w", "-c"];

/// What was compiled.
pub struct Built {
    /// The test's object.
    pub driver: PathBuf,
    /// The library, as a static archive.
    pub archive: PathBuf,
    /// Files that the library was compiled of.
    pub count: usize,
}

/// Compiles a library whose sources are below `sources` into `directory`; what was made there by the same commands
/// stays.
///
/// # Errors
/// With what the compiler says.
pub fn build(
    library: &Library,
    target: &Target,
    sources: &Path,
    directory: &Path,
) -> Result<Built, String> {
    let directory = directory.join(target.name);
    std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let files = library.sources(sources)?;
    let built = Built {
        driver: directory.join("driver.o"),
        archive: directory.join(format!("lib{}.a", library.name)),
        count: files.len(),
    };
    let mut jobs: Vec<Vec<String>> = Vec::new();
    let mut objects = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let object = directory.join(format!("{number}.o")).display().to_string();
        jobs.push(compile(library, target, file, &object));
        objects.push(object);
    }
    let driver = library.driver.display().to_string();
    let object = built.driver.display().to_string();
    jobs.push(compile(library, target, &driver, &object));

    let text = std::fs::read_to_string(&library.driver).unwrap_or_default();
    let stamp = directory.join("made-by");
    let commands = format!("{jobs:?}\n{text}");
    if std::fs::read_to_string(&stamp).is_ok_and(|made_by| made_by == commands) {
        return Ok(built);
    }
    run_all(&jobs, sources)?;
    // One of an earlier run may have more members.
    let _ = std::fs::remove_file(&built.archive);
    let archive = built.archive.display().to_string();
    let words = target.archiver.iter().map(|word| (*word).to_owned());
    let archive = ["rcs".to_owned(), archive];
    let words: Vec<String> = words.chain(archive).chain(objects).collect();
    run(&words, sources)?;
    std::fs::write(&stamp, commands).map_err(|error| error.to_string())?;
    Ok(built)
}

/// The command that compiles a file.
fn compile(library: &Library, target: &Target, file: &str, object: &str) -> Vec<String> {
    let is_cxx = file.ends_with(".cc") || file.ends_with(".cpp");
    let compiler = if is_cxx { target.cxx } else { target.c };
    let common = compiler.iter().chain(&FLAGS).map(|word| (*word).to_owned());
    let is_for_linking = |flag: &&String| flag.starts_with("-l");
    let flags = library.flags.iter().filter(|flag| !is_for_linking(flag));
    let files = [file, "-o", object].map(str::to_owned);
    common.chain(flags.cloned()).chain(files).collect()
}

/// Links for Linux, and returns the program.
///
/// # Errors
/// With what the linker says.
pub fn link(library: &Library, built: &Built, sources: &Path) -> Result<PathBuf, String> {
    let program = built.driver.with_file_name("program");
    let linker = if library.is_cxx() { LINUX.cxx } else { LINUX.c };
    let files = [&built.driver, &built.archive].map(|file| file.display().to_string());
    let output = ["-o".to_owned(), program.display().to_string()];
    let words = linker.iter().map(|word| (*word).to_owned());
    let words: Vec<String> = words
        .chain(files)
        .chain(library.flags.iter().cloned())
        .chain(output)
        .collect();
    run(&words, sources)?;
    Ok(program)
}

/// Runs commands, as many at a time as there are processors.
fn run_all(jobs: &[Vec<String>], directory: &Path) -> Result<(), String> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = run(job, directory) {
                let mut failed = failed.lock().unwrap_or_else(|error| error.into_inner());
                failed.get_or_insert(error);
                next.store(jobs.len(), Ordering::Relaxed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let failed = failed
        .into_inner()
        .unwrap_or_else(|error| error.into_inner());
    failed.map_or(Ok(()), Err)
}

fn run(words: &[String], directory: &Path) -> Result<(), String> {
    let line = words.join(" ");
    let done = Command::new(&words[0])
        .args(&words[1..])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{line}: {error}"))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{line}:\n{}",
            String::from_utf8_lossy(&done.stderr)
        )),
    }
}
