//! Input files in memory: large ones are mapped, small ones read.
//!
//! Mapping costs two system calls, a fault per page touched and a flush when it is undone; reading
//! a file of a few pages costs less. This is the one module of this crate that maps memory, because
//! that is `unsafe`: a mapped file that somebody truncates turns reads into `SIGBUS`. Linkers have
//! always lived with that.
//!
//! A program that runs in this process can see what is mapped, by name (`/proc/self/maps`), and some
//! programs look: a sanitizer's runtime finds another's archive and gives up, and every mapping makes `fork`
//! dearer. So the command takes its inputs out of sight ([`hide_all`]) before it runs one. They come back where
//! somebody reads them after all.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use jit_core::input::{FileIdentity, InputBytes, InputIdentity};
use orc_inputs::input::{InputOpener, OwnedBytes, check_is_regular, file_identity};

/// Files smaller than this are read.
const MAP_FROM: u64 = 64 * 1024;

/// A mapped file.
struct Mapped {
    map: memmap2::Mmap,
    path: PathBuf,
    /// What tells the file from another one that has its name later, and from itself when it has been changed.
    identity: FileIdentity,
    is_hidden: AtomicBool,
    changes: Mutex<()>,
}

/// The mapped files of the command; nothing if nobody wants to hide them.
static TO_HIDE: Mutex<Option<Vec<Weak<Mapped>>>> = Mutex::new(None);

/// From now on files are mapped so that they can be hidden.
pub fn hide_later() {
    locked(&TO_HIDE).get_or_insert_default();
}

/// Takes all files out of sight that were mapped since [`hide_later`]. Whoever reads one after that maps it again.
///
/// # Safety
/// Nobody holds what [`InputBytes::bytes`] of such a file gave before: those pages cannot be read any more.
pub unsafe fn hide_all() {
    let files = locked(&TO_HIDE).take().unwrap_or_default();
    files
        .iter()
        .filter_map(Weak::upgrade)
        // SAFETY: the caller vouches for every one of them.
        .for_each(|file| unsafe { file.hide() });
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this is the same file, whatever it holds by now.
fn is_same_file(one: &FileIdentity, other: &Metadata) -> bool {
    (one.device, one.inode) == (other.dev(), other.ino())
}

impl InputBytes for Mapped {
    fn bytes(&self) -> &[u8] {
        if self.is_hidden.load(Ordering::Acquire) {
            self.show();
        }
        &self.map
    }

    fn identity(&self) -> InputIdentity {
        InputIdentity::of_file(self.identity)
    }

    fn discard_cached_pages(&self) {
        // SAFETY: nobody writes to the mapping, so it has no content but the file's, which is read again
        // when somebody looks.
        let advised = unsafe {
            self.map
                .unchecked_advise(memmap2::UncheckedAdvice::DontNeed)
        };
        // Only memory is at stake.
        let _ = advised;
    }
}

impl Mapped {
    /// Puts pages of no file in the place, if the file can be found again.
    ///
    /// # Safety
    /// Nobody holds a part of the mapping.
    unsafe fn hide(&self) {
        let _changing = locked(&self.changes);
        let found = std::fs::metadata(&self.path);
        if found.is_ok_and(|found| is_same_file(&self.identity, &found)) {
            // SAFETY: the caller says that nobody holds a part of the mapping, which is ours, and `bytes` shows it
            // again first.
            let hidden = unsafe { self.replace(libc::PROT_NONE, libc::MAP_ANONYMOUS, -1) };
            self.is_hidden.store(hidden, Ordering::Release);
        }
    }

    /// Puts the file back.
    fn show(&self) {
        let _changing = locked(&self.changes);
        if !self.is_hidden.load(Ordering::Acquire) {
            return;
        }
        let file = File::open(&self.path).ok().filter(|file| {
            let found = file.metadata();
            found.is_ok_and(|found| is_same_file(&self.identity, &found))
        });
        // SAFETY: the pages that are there hold nothing. If the file is gone, they hold zeros from now on.
        let shown = unsafe {
            match &file {
                Some(file) => self.replace(libc::PROT_READ, 0, file.as_raw_fd()),
                None => self.replace(libc::PROT_READ, libc::MAP_ANONYMOUS, -1),
            }
        };
        assert!(shown, "{}: cannot be mapped again", self.path.display());
        self.is_hidden.store(false, Ordering::Release);
    }

    /// Maps something else at the same place. False if the system refuses.
    ///
    /// # Safety
    /// What is there now is not read any more.
    unsafe fn replace(
        &self,
        protection: libc::c_int,
        kind: libc::c_int,
        file: libc::c_int,
    ) -> bool {
        let start = self.map.as_ptr().cast_mut().cast();
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE | kind;
        // SAFETY: the pages are those of this mapping, which stays as long as this does; for the rest the
        // caller vouches.
        let mapped = unsafe { libc::mmap(start, self.map.len(), protection, flags, file, 0) };
        mapped != libc::MAP_FAILED
    }
}

/// Opens the linker's input files.
#[derive(Debug, Clone, Copy, Default)]
pub struct MapFiles;

impl InputOpener for MapFiles {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn InputBytes>> {
        // A pipe that nobody writes to would make us wait for somebody. The file is found once: an emulator
        // looks in other places when it opens one than when it only asks.
        let mut options = File::options();
        let options = options
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        check_is_regular(&metadata)?;
        if metadata.len() >= MAP_FROM {
            // SAFETY: the mapping is private and read-only. The file may change under it if somebody
            // writes to it during the link; parsers check every bound against the length of the mapping,
            // which does not change, and never rely on reading the same bytes twice.
            let map = unsafe { memmap2::Mmap::map(&file)? };
            let mapped = Arc::new(Mapped {
                map,
                path: std::path::absolute(path)?,
                identity: file_identity(&metadata),
                is_hidden: AtomicBool::new(false),
                changes: Mutex::new(()),
            });
            if let Some(files) = &mut *locked(&TO_HIDE) {
                files.push(Arc::downgrade(&mapped));
            }
            return Ok(mapped);
        }
        Ok(Arc::new(OwnedBytes::read_open(file, &metadata)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_files_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        for size in [
            0,
            1,
            MAP_FROM as usize - 1,
            MAP_FROM as usize,
            3 * MAP_FROM as usize,
        ] {
            let content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let path = dir.path().join(size.to_string());
            std::fs::write(&path, &content).unwrap();
            let opened = MapFiles.open(&path).unwrap();
            assert_eq!(opened.bytes(), content);
            let identity = opened.identity();
            assert_eq!(identity, OwnedBytes::read(&path).unwrap().identity());
            assert!(identity.file().is_some(), "no content is read for it");
        }
        let error = MapFiles.open(dir.path()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        let error = MapFiles.open(Path::new("/dev/zero")).err().unwrap();
        assert!(error.to_string().starts_with("is a device"), "{error}");
    }

    #[test]
    fn hidden_files_are_not_seen_but_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let content = vec![7; 3 * MAP_FROM as usize];
        let path = |name: &str| dir.path().join(name);
        for name in ["kept", "deleted", "replaced"] {
            std::fs::write(path(name), &content).unwrap();
        }
        let is_seen = || {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            maps.contains(&path("kept").display().to_string())
        };
        hide_later();
        let [kept, deleted, replaced] =
            ["kept", "deleted", "replaced"].map(|name| MapFiles.open(&path(name)).unwrap());
        std::fs::remove_file(path("deleted")).unwrap();
        assert!(is_seen());
        // SAFETY: this test holds none of the bytes.
        unsafe { hide_all() };
        assert!(!is_seen());
        kept.discard_cached_pages();
        assert_eq!(kept.bytes(), content);
        assert_eq!(kept.bytes().len(), content.len());
        assert_eq!(
            deleted.bytes(),
            content,
            "what could not be found again stays"
        );
        std::fs::rename(path("kept"), path("replaced")).unwrap();
        assert_eq!(replaced.bytes(), vec![0; content.len()]);
    }
}
