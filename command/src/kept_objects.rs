//! What compilers have made, until the program starts.
//!
//! The files themselves are gone by then, but stay open. So they are there for the compiler that makes one
//! object of all, and for the command that this one starts itself again as: that gets their descriptors
//! and a list of them, and compiles nothing.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use orc_target_process::server::inherited_descriptor;
use rustix::io::{FdFlags, fcntl_setfd};

use super::sources::Language;

/// A source's place among the inputs, its language, and the file that stands in its place.
type Compiled = (usize, Language, PathBuf);

/// Places among the inputs, and the files that stand there.
type Files = Vec<(usize, OwnedFd)>;

/// What this command keeps.
static KEPT: Mutex<Files> = Mutex::new(Vec::new());

/// What the one before it has handed over.
static TAKEN_OVER: Mutex<Files> = Mutex::new(Vec::new());

fn locked(files: &Mutex<Files>) -> MutexGuard<'_, Files> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps files open, and tells by which names they are found from now on.
pub(super) fn keep(compiled: Vec<Compiled>) -> Vec<Compiled> {
    let keep = |(at, language, path): Compiled| match File::open(&path) {
        Ok(file) => keep_file(at, language, file.into()),
        // It is found for a while, and compiled again if there is another start.
        Err(_) => (at, language, path),
    };
    compiled.into_iter().map(keep).collect()
}

fn keep_file(at: usize, language: Language, file: OwnedFd) -> Compiled {
    // Compilers that make one object of all see it, too.
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    locked(&KEPT).push((at, file));
    (at, language, path.into())
}

/// Nobody will need them any more.
pub(super) fn forget() {
    locked(&KEPT).clear();
}

/// Lets the program that this process becomes have the files. The list for [`take_over`].
pub(super) fn hand_over() -> Option<OsString> {
    let kept = locked(&KEPT);
    let files = kept
        .iter()
        .filter(|(_, file)| fcntl_setfd(file, FdFlags::empty()).is_ok());
    let words: Vec<String> = files
        .map(|(at, file)| format!("{at}={}", file.as_raw_fd()))
        .collect();
    (!words.is_empty()).then(|| words.join(" ").into())
}

/// Takes over the files of this list.
pub(super) fn take_over(list: &OsStr) {
    let words = list.to_str().unwrap_or_default().split(' ');
    let files = words.filter_map(|word| {
        let (at, number) = word.split_once('=')?;
        let number = number.parse().ok().filter(|number| *number > 2)?;
        Some((at.parse().ok()?, inherited_descriptor(number)?))
    });
    locked(&TAKEN_OVER).extend(files);
}

/// What the command before this one has made of these sources, if that is all of them.
pub(super) fn of_sources(sources: &[(usize, Language)]) -> Option<Vec<Compiled>> {
    let mut taken_over = std::mem::take(&mut *locked(&TAKEN_OVER));
    let mut files = Vec::with_capacity(sources.len());
    for (at, _) in sources {
        let found = taken_over.iter().position(|(place, _)| place == at)?;
        files.push(taken_over.swap_remove(found).1);
    }
    let sources = sources.iter().zip(files);
    Some(
        sources
            .map(|(&(at, language), file)| keep_file(at, language, file))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_when_they_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0-a.o");
        std::fs::write(&path, "object").unwrap();
        let kept = keep(vec![(4711, Language::C, path.clone())]);
        std::fs::remove_file(&path).unwrap();
        let [(4711, Language::C, kept)] = &kept[..] else {
            panic!("one source, one object: {kept:?}");
        };
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "object");
        let list = hand_over().unwrap();
        assert!(list.to_str().unwrap().contains("4711="));
        let gone = keep(vec![(4712, Language::C, path.clone())]);
        assert_eq!(gone[0].2, path);
    }

    #[test]
    fn a_list_that_makes_no_sense_is_of_no_use() {
        take_over(OsStr::new("0=0 nonsense 5=x 7=99999"));
        assert!(of_sources(&[(0, Language::C)]).is_none());
    }
}
