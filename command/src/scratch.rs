//! A directory for what compilers write, which is gone afterwards whatever happens.
//!
//! It goes when it is dropped, when a signal ends the command, and when the command panics on a thread
//! that nobody waits for. A signal also ends the compilers: those who are told to stop, stop. What a
//! killed command leaves (or one whose machine has lost its power) is removed by the next one that needs
//! such a directory: each is locked while it is used.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jit_core::remote::end_descendants;
use orc_inputs::input::printable_path;
use orc_system::interruption::Interruption;

use super::link_line::LinkLine;
use super::sources::Language;

/// How directories of this command's are called.
const PREFIX: &str = "orc-jit-";

/// Between its making and its locking, nobody may take a directory for a forgotten one.
const YOUNG: Duration = Duration::from_secs(60);

/// How long compilers may take to put their own things away.
const PATIENCE: Duration = Duration::from_millis(500);

/// The directories and files that are in use.
static IN_USE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A directory for temporary files.
pub(super) struct Scratch {
    directory: PathBuf,
    _lock: Option<File>,
    // Last: what arrives while the directory is removed ends the process when it is gone.
    _interruption: Option<Interruption>,
}

impl Scratch {
    /// Makes one, where the user wants such things.
    pub(super) fn new() -> Result<Self, String> {
        let interruption = Interruption::expect(|| {
            end_descendants(std::process::id(), PATIENCE);
            remove_all();
        });
        // Where no thread can be had, a signal leaves a directory that is found again.
        let interruption = interruption.ok();
        // A signal waits until it is known what there is to remove.
        let directory = in_use(|all| {
            let made = make();
            all.extend(made.iter().cloned());
            made
        })?;
        let lock = lock(&directory);
        remove_forgotten(&directory);
        Ok(Self {
            directory,
            _lock: lock,
            _interruption: interruption,
        })
    }

    /// Makes one if there are sources to be compiled.
    pub(super) fn for_line(line: &LinkLine) -> Result<Option<Self>, String> {
        let has_sources = line
            .inputs
            .iter()
            .any(|input| Language::of(input).is_some());
        has_sources.then(Self::new).transpose()
    }

    pub(super) fn path(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is forgotten, and found again.
        let _ = fs::remove_dir_all(&self.directory);
        in_use(|all| all.retain(|path| *path != self.directory));
    }
}

/// A file that is about to get its name. Until then it is removed when a signal ends the command.
pub(super) struct Unfinished {
    path: PathBuf,
    _interruption: Option<Interruption>,
}

impl Unfinished {
    /// While this lives, the file at `path` is one.
    pub(super) fn new(path: &Path) -> Self {
        let interruption = Interruption::expect(remove_all).ok();
        in_use(|all| all.push(path.to_owned()));
        Self {
            path: path.to_owned(),
            _interruption: interruption,
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        in_use(|all| all.retain(|path| *path != self.path));
    }
}

/// Where compilers may write; nothing is compiled where there is no such place.
pub(super) fn path(scratch: &Option<Scratch>) -> &Path {
    scratch.as_ref().map_or(Path::new(""), Scratch::path)
}

/// Makes a directory in the first place that takes one.
fn make() -> Result<PathBuf, String> {
    let mut failures = Vec::new();
    for place in places() {
        match tempfile::Builder::new().prefix(PREFIX).tempdir_in(&place) {
            Ok(directory) => return Ok(directory.keep()),
            Err(error) => failures.push(format!("{}: {}", printable_path(&place), error.kind())),
        }
    }
    let failures = failures.join("; ");
    Err(format!(
        "no place for temporary files ({failures}): set TMPDIR to a folder that can be written to"
    ))
}

/// Removes all that is in use: the process is about to end, and nothing is dropped.
pub(super) fn remove_all() {
    for path in in_use(std::mem::take) {
        // There is nobody left to tell.
        let _ = match path.is_dir() {
            true => fs::remove_dir_all(path),
            false => fs::remove_file(path),
        };
    }
}

fn in_use<T>(use_list: impl FnOnce(&mut Vec<PathBuf>) -> T) -> T {
    use_list(&mut IN_USE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Where compilers, too, look for a place.
fn places() -> Vec<PathBuf> {
    let named = ["TMPDIR", "TMP", "TEMP"]
        .into_iter()
        .filter_map(std::env::var_os);
    let named = named.filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = ["/tmp", "/var/tmp"].map(PathBuf::from);
    named.chain(usual).chain(std::env::current_dir()).collect()
}

/// Locks a directory until the file is closed, by the system if by nobody else. `None` if somebody else
/// has it, or where there are no locks.
fn lock(directory: &Path) -> Option<File> {
    let file = File::open(directory).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

/// Removes what commands have left that were killed, beside `own`.
fn remove_forgotten(own: &Path) {
    let Some((parent, user)) = own.parent().zip(owner(own)) else {
        return;
    };
    let names = fs::read_dir(parent).into_iter().flatten().flatten();
    let ours = names.filter(|entry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
    });
    for directory in ours.map(|entry| entry.path()) {
        if directory != own
            && owner(&directory) == Some(user)
            && is_old(&directory)
            && let Some(_lock) = lock(&directory)
        {
            let _ = fs::remove_dir_all(&directory);
        }
    }
}

/// The user that a directory belongs to; `None` for what is no directory.
fn owner(path: &Path) -> Option<u32> {
    let metadata = fs::symlink_metadata(path).ok()?;
    metadata.is_dir().then(|| metadata.uid())
}

fn is_old(directory: &Path) -> bool {
    let modified = fs::symlink_metadata(directory).and_then(|metadata| metadata.modified());
    let age = |time: std::time::SystemTime| time.elapsed().map_err(io::Error::other);
    modified.and_then(age).is_ok_and(|age| age > YOUNG)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn age(directory: &Path) {
        let long_ago = SystemTime::now() - 2 * YOUNG;
        File::open(directory)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
    }

    #[test]
    fn what_killed_commands_leave_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in [
            "orc-jit-own",
            "orc-jit-dead",
            "orc-jit-live",
            "orc-jit-new",
            "other",
        ] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("x.o"), "").unwrap();
            if name != "orc-jit-new" {
                age(&at(name));
            }
        }
        fs::write(at("orc-jit-file"), "").unwrap();
        age(&at("orc-jit-file"));
        let live = lock(&at("orc-jit-live"));
        remove_forgotten(&at("orc-jit-own"));
        assert!(live.is_some() && !at("orc-jit-dead").exists());
        for name in [
            "orc-jit-own",
            "orc-jit-live",
            "orc-jit-new",
            "other",
            "orc-jit-file",
        ] {
            assert!(at(name).exists(), "{name}");
        }
    }

    const FILE: &str = "ORC_JIT_TEST_UNFINISHED";

    /// Begins two files and names one, in a process of its own: all that is in use there goes.
    #[test]
    fn child() {
        if let Some(path) = std::env::var_os(FILE) {
            let (begun, done) = (PathBuf::from(path), std::env::temp_dir().join("done"));
            let _unfinished = Unfinished::new(&begun);
            fs::write(&begun, "begun").unwrap();
            let finished = Unfinished::new(&done);
            fs::write(&done, "done").unwrap();
            drop(finished);
            remove_all();
            assert!(!begun.exists() && done.exists());
            println!("gone and kept");
        }
    }

    #[test]
    fn unfinished_files_go_and_finished_ones_stay() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("unfinished");
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--nocapture", "--exact", "scratch::tests::child"]);
        let child = child.env(FILE, &file).env("TMPDIR", place.path());
        let output = child.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("gone and kept"),
            "{text}"
        );
    }
}
