//! The tour: a C++ program of several files and a static archive, run without a link step.

use std::fs;
use std::path::Path;

use crate::command::{build_command, root, run_in, say, target_directory};

/// Members of the tour's archive. The last one is needed by nothing, and must stay out.
const ARCHIVE: [&str; 4] = ["circle", "square", "registry", "unused"];

/// Compiles the archive's members, and lets `orc-jit run` compile and run the rest.
///
/// # Errors
/// A command fails.
pub fn run(_: &[String]) -> Result<(), String> {
    let root = root();
    let tour = Path::new("tests/programs/tour");
    let target = target_directory().join("tour");
    fs::create_dir_all(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    // Shorter to read, where it can be named from here.
    let work = target.strip_prefix(&root).unwrap_or(&target);
    say(
        "Building orc-jit, and the runtime and the executor that it carries: this takes minutes the first time.\n",
    )?;
    let orc_jit = build_command("orc-jit-command", "orc-jit")?;

    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let file = |directory: &Path, name: &str| directory.join(name).to_string_lossy().into_owned();
    for name in ARCHIVE {
        let (object, source) = (
            file(work, &format!("{name}.o")),
            file(tour, &format!("shapes/{name}.cpp")),
        );
        run_in(
            &root,
            &compiler,
            &["-c".into(), "-o".into(), object, source],
        )?;
    }
    let archive = file(work, "libshapes.a");
    let mut members = vec!["rcs".to_owned(), archive.clone()];
    members.extend(ARCHIVE.map(|name| file(work, &format!("{name}.o"))));
    run_in(&root, "ar", &members)?;

    let mut inputs = vec!["run".to_owned(), "-std=c++17".to_owned()];
    inputs.extend(sources(&root, tour)?);
    inputs.extend([archive, "--".to_owned(), "one".to_owned(), "two".to_owned()]);
    run_in(&root, orc_jit, &inputs)
}

/// The C++ files of `directory`, by name: this is the order in which they are constructed.
fn sources(root: &Path, directory: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(root.join(directory))
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut sources: Vec<_> = names
        .filter(|name| name.ends_with(".cpp"))
        .map(|name| directory.join(name).to_string_lossy().into_owned())
        .collect();
    sources.sort();
    Ok(sources)
}
