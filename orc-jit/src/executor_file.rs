//! An executor that is a file, for debuggers.
//!
//! An executor that is carried along is started from memory, and leaves nothing behind. Debuggers look for the file
//! of a process's program, to read its symbols: when they follow the process, when they are attached to it,
//! when they are given its core file. So what is to be debugged is started from a file in the user's cache. Its
//! name has a hash of its content, so that it fits core files that are older than the next release.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The directory in the user's cache.
const DIRECTORY: &str = "orc-jit";

/// The file of this executor, written if it is not there yet.
///
/// # Errors
/// When there is no directory for it, or it cannot be written.
pub(crate) fn executor_file(program: &[u8]) -> io::Result<PathBuf> {
    let cache = cache(&|name| std::env::var_os(name)).ok_or_else(|| {
        io::Error::other("neither XDG_CACHE_HOME nor HOME is the path of a directory")
    })?;
    file_in(&cache.join(DIRECTORY), program)
}

/// The directory for what can be made again (XDG Base Directory Specification).
fn cache(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let directory = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|it| it.is_absolute())
    };
    directory("XDG_CACHE_HOME").or_else(|| Some(directory("HOME")?.join(".cache")))
}

fn file_in(directory: &Path, program: &[u8]) -> io::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    program.hash(&mut hasher);
    let path = directory.join(format!("orc-executor-{:016x}", hasher.finish()));
    if fs::read(&path).is_ok_and(|there| there == program) {
        return Ok(path);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    // Others may write it at the same time, and start it: it gets its name when it is complete.
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o700);
    let written = options
        .open(&beside)
        .and_then(|mut file| file.write_all(program))
        .and_then(|()| fs::rename(&beside, &path));
    if let Err(error) = written {
        // What is left of it is of no use; the first error says why.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_written_once_and_when_it_is_damaged() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("made/for/it");
        let path = file_in(&directory, b"program").expect("is written");
        let again = file_in(&directory, b"program").expect("is there");
        assert_eq!(path, again);
        fs::write(&path, b"damaged").expect("can be written");
        let again = file_in(&directory, b"program").expect("is written again");
        assert_eq!(fs::read(again).expect("is there"), b"program");
        let other = file_in(&directory, b"another").expect("is written");
        assert_ne!(path, other);
        assert_eq!(fs::read_dir(directory).expect("is there").count(), 2);
    }

    #[test]
    fn the_cache_is_where_the_user_has_it() {
        let both = |name: &str| Some(OsString::from(format!("/{name}")));
        assert_eq!(cache(&both), Some("/XDG_CACHE_HOME".into()));
        let home = |name: &str| (name == "HOME").then(|| OsString::from("/home/me"));
        assert_eq!(cache(&home), Some("/home/me/.cache".into()));
        assert_eq!(cache(&|_| Some("relative".into())), None);
    }
}
