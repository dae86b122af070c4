//! Finding what a shared library needs, as a linker does to know what the loader will load with it.
//!
//! The order is that of GNU `ld` (its manual, `-rpath-link`): directories for that purpose, those the
//! program has the loader search, those of the environment, those of the library itself, the system's.
//! Directories of `-L` come behind: a linker does not look there, but nothing is lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jit_core::native::NativeLibrary;

use super::{LibrarySearch, SearchError, is_shortage};
use crate::format::LibraryOrigin;

/// Lists of directories, one a line, for the system's loader.
const LOADER_LISTS: &str = "/etc/ld.so.conf";

impl LibrarySearch {
    /// Adds a directory in which what libraries need is looked for, behind those before it.
    pub fn add_dependency_directory(&mut self, dir: &str) {
        let dir = self.below_root(dir);
        self.for_dependencies.push(dir);
    }

    /// The file that `needing` needs by this name; `None` if there is none.
    #[must_use]
    pub fn find_needed(
        &self,
        needing: &dyn NativeLibrary,
        name: &str,
    ) -> Option<Arc<dyn NativeLibrary>> {
        if name.contains('/') {
            return self.open_library(Path::new(name));
        }
        let own = own_directories(needing);
        let first = self.for_dependencies.iter().chain(&own);
        let found = first
            .cloned()
            .chain(self.directories())
            .find_map(|dir| self.open_library(&dir.join(name)));
        found.or_else(|| {
            let mut dirs = self.loader_dirs.get_or_init(loader_directories).iter();
            dirs.find_map(|dir| self.open_library(&dir.join(name)))
        })
    }

    /// The library at a path, if there is one for this machine.
    pub(super) fn open_library(&self, path: &Path) -> Option<Arc<dyn NativeLibrary>> {
        match self.opener.open(path) {
            Ok(bytes) => {
                let library = self
                    .formats
                    .shared_library(path, bytes, LibraryOrigin::Named);
                library.ok()
            }
            Err(error) => {
                // Later ones are of the same cause.
                if is_shortage(&error) {
                    let path = path.to_owned();
                    _ = self.shortage.set(SearchError::Io { path, error });
                }
                None
            }
        }
    }
}

/// The directories that a library has the loader search for what it needs.
fn own_directories(library: &dyn NativeLibrary) -> Vec<PathBuf> {
    let Some(list) = library.run_path() else {
        return Vec::new();
    };
    let origin = Path::new(library.path()).parent().unwrap_or(Path::new("/"));
    let list = list.split(':').filter(|dir| !dir.is_empty());
    list.map(|dir| PathBuf::from(expand_origin(dir, origin)))
        .collect()
}

/// A directory's path with `$ORIGIN` replaced.
#[must_use]
pub fn expand_origin(dir: &str, origin: &Path) -> String {
    let origin = origin.to_string_lossy();
    dir.replace("${ORIGIN}", &origin)
        .replace("$ORIGIN", &origin)
}

/// The directories that the system's administrator has the loader search.
fn loader_directories() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    let text = std::fs::read_to_string(LOADER_LISTS).unwrap_or_default();
    for line in lines(&text) {
        match line.strip_prefix("include ") {
            Some(pattern) => {
                for list in files_like(pattern.trim()) {
                    let text = std::fs::read_to_string(list).unwrap_or_default();
                    dirs.extend(lines(&text).map(PathBuf::from));
                }
            }
            None => dirs.push(PathBuf::from(line)),
        }
    }
    dirs
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim());
    text.filter(|line| !line.is_empty())
}

/// The files that a pattern with one `*` in its last part stands for, in order.
fn files_like(pattern: &str) -> Vec<PathBuf> {
    let pattern = Path::new("/etc").join(pattern);
    let (Some(dir), Some(name)) = (pattern.parent(), pattern.file_name()) else {
        return Vec::new();
    };
    let name = name.to_string_lossy();
    let Some((start, end)) = name.split_once('*') else {
        return vec![pattern.clone()];
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(start) && name.ends_with(end)
    };
    let mut files: Vec<PathBuf> = entries.map(|e| e.path()).filter(is_meant).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_library_stands_in_its_directories() {
        let expand = |dir| expand_origin(dir, Path::new("/opt/lib"));
        assert_eq!(expand("$ORIGIN/../x"), "/opt/lib/../x");
        assert_eq!(expand("${ORIGIN}"), "/opt/lib");
        assert_eq!(expand("/a"), "/a");
    }

    #[test]
    fn lists_have_comments() {
        let list = lines("# x\n/a\n\n  /b # y\n").collect::<Vec<_>>();
        assert_eq!(list, ["/a", "/b"]);
    }
}
