//! Where the loader looks for a program's libraries, and a linker for what those need.

use std::path::{Path, PathBuf};

use orc_inputs::library_search::expand_origin;

use super::link_line::{Input, InputName, LinkLine};

/// What GNU `ld` takes from the environment where a line names no directories: an option that names
/// those of `LD_RUN_PATH`.
pub(super) fn option_from_environment(line: &LinkLine) -> Option<String> {
    let list = std::env::var("LD_RUN_PATH").unwrap_or_default();
    let is_wanted = line.run_path.is_empty() && !list.is_empty();
    is_wanted.then(|| format!("-Wl,-rpath,{list}"))
}

/// Replaces `$ORIGIN` by the directory of the program's file: the one that a linker would have
/// written. To the loader, the program has none.
pub(super) fn expand(line: &mut LinkLine) {
    if line.run_path.iter().all(|dir| !dir.contains('$')) {
        return;
    }
    let file = line
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from("a.out"));
    let file = std::path::absolute(&file).unwrap_or(file);
    let origin = file.parent().unwrap_or(Path::new("/"));
    for dir in &mut line.run_path {
        *dir = expand_origin(dir, origin);
    }
}

/// Has the loader find the shared libraries that the driver `added` by their paths: clang's runtimes,
/// which stand for archives here.
pub(super) fn of_driver<'a>(run_path: &mut Vec<String>, added: impl Iterator<Item = &'a Input>) {
    for input in added {
        if let InputName::File(path) = &input.name
            && path.extension().is_some_and(|extension| extension == "so")
            && let Some(dir) = path.parent().and_then(Path::to_str)
        {
            run_path.push(dir.to_owned());
        }
    }
}

/// Where what the program's libraries need is looked for first, in the order of GNU `ld`.
pub(super) fn of_dependencies(line: &LinkLine) -> Vec<String> {
    let environment = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let of_line = line.link_path.iter().chain(&line.run_path).cloned();
    let all = of_line.chain(directories(&environment).map(str::to_owned));
    all.filter(|dir| !dir.is_empty()).collect()
}

/// The file that the loader finds for what the program needs by this name, as far as that is known here.
pub(super) fn find(line: &LinkLine, name: &str) -> PathBuf {
    let dirs = of_dependencies(line);
    let mut files = dirs.iter().map(|dir| Path::new(dir).join(name));
    let found = match name.contains('/') {
        true => None,
        false => files.find(|file| file.exists()),
    };
    let found = found.unwrap_or_else(|| PathBuf::from(name));
    match found.is_relative() && found.components().count() > 1 {
        true => std::path::absolute(&found).unwrap_or(found),
        false => found,
    }
}

fn directories(list: &str) -> impl Iterator<Item = &str> {
    list.split([':', ';']).filter(|dir| !dir.is_empty())
}
