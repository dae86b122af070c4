//! Where the bytes of objects and archives come from.
//!
//! Parsers see [`InputBytes`] only. This crate has no `unsafe`, so it maps no files: whoever embeds
//! it may bring a mapped type. [`OwnedBytes`] holds bytes in memory, which for small files is also
//! the faster way: reading a few kilobytes costs less than mapping them.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use jit_core::input::{FileIdentity, InputBytes, InputIdentity};
use orc_shared::{Printable, printable};
use rustix::io::Errno;

/// Bytes in memory: a client's buffer, or a file that was read.
#[derive(Debug, Clone)]
pub struct OwnedBytes {
    bytes: Vec<u8>,
    /// The identity of the file that the bytes were read from. A client's bytes have one once somebody asks for it.
    identity: OnceLock<InputIdentity>,
}

impl OwnedBytes {
    /// Reads a whole regular file.
    ///
    /// # Errors
    /// Those of the operating system, and of [`check_is_regular`].
    pub fn read(path: &Path) -> io::Result<Self> {
        // Opening a pipe that nobody writes to would wait for somebody.
        check_is_regular(&std::fs::metadata(path)?)?;
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        // It may be another file by now.
        check_is_regular(&metadata)?;
        Self::read_open(file, &metadata)
    }

    /// Reads a whole file that is open, and that the system describes so.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn read_open(mut file: File, metadata: &Metadata) -> io::Result<Self> {
        // Reading to the end would ask for the size again, and for an end that is known.
        let mut bytes = vec![0; usize::try_from(metadata.len()).unwrap_or(0)];
        if !bytes.is_empty() {
            file.read_exact(&mut bytes)?;
        } else {
            file.read_to_end(&mut bytes)?;
        }
        Ok(Self {
            bytes,
            identity: InputIdentity::of_file(file_identity(metadata)).into(),
        })
    }
}

/// What tells a file from others, as the system describes it.
#[must_use]
pub fn file_identity(metadata: &Metadata) -> FileIdentity {
    FileIdentity {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// A file's name as messages have it.
#[must_use]
pub fn printable_path(path: &(impl AsRef<OsStr> + ?Sized)) -> Printable<'_> {
    printable(path.as_ref().as_encoded_bytes())
}

/// Refuses what is no regular file: a pipe may never have an end, as a device has none.
///
/// # Errors
/// With what it is, and what to do.
pub fn check_is_regular(file: &Metadata) -> io::Result<()> {
    let kind = file.file_type();
    if kind.is_file() {
        return Ok(());
    }
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let problem = match kind.is_fifo() || kind.is_socket() {
        true => "is a pipe or a socket; write what comes from it into a file",
        false => "is a device, and only regular files can be read here",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

/// Whether a file that cannot be opened may well be there: the process or the system lacks something, or
/// reading fails. Who looks for a file in several places must not go on then as if it were absent.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::IO];
    let number = error.raw_os_error();
    number.is_some_and(|number| shortages.iter().any(|it| it.raw_os_error() == number))
}

impl From<Vec<u8>> for OwnedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            identity: OnceLock::new(),
        }
    }
}

impl InputBytes for OwnedBytes {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn identity(&self) -> InputIdentity {
        // Members of an archive ask for that of the whole, each of them.
        *(self.identity).get_or_init(|| InputIdentity::of_content(&self.bytes))
    }
}

/// A part of another input: an archive's member. Keeps the whole input alive.
#[derive(Clone)]
pub struct InputPart {
    whole: Arc<dyn InputBytes>,
    range: Range<usize>,
}

impl InputPart {
    /// The part of `whole` at `range`; `None` if it reaches beyond the end.
    #[must_use]
    pub fn new(whole: Arc<dyn InputBytes>, range: Range<usize>) -> Option<Self> {
        whole.bytes().get(range.clone())?;
        Some(Self { whole, range })
    }
}

impl InputBytes for InputPart {
    fn bytes(&self) -> &[u8] {
        // The range was checked when the part was made; an input that shrank reads as empty.
        self.whole.bytes().get(self.range.clone()).unwrap_or(&[])
    }

    fn whole(&self) -> Option<&Arc<dyn InputBytes>> {
        Some(&self.whole)
    }

    fn identity(&self) -> InputIdentity {
        let size = self.range.len() as u64;
        self.whole.identity().part(self.range.start as u64, size)
    }
}

/// Opens files that an input names: the members of a thin archive.
pub trait InputOpener: Send + Sync {
    /// Opens the file.
    ///
    /// # Errors
    /// Those of the operating system.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn InputBytes>>;

    /// Where the loader finds a shared library that is opened by this path.
    fn place(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
}

/// Opens files by reading them whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadFiles;

impl InputOpener for ReadFiles {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn InputBytes>> {
        Ok(Arc::new(OwnedBytes::read(path)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read() {
        let problem = |path: &str| OwnedBytes::read(Path::new(path)).expect_err("no file");
        assert_eq!(problem("/").kind(), io::ErrorKind::IsADirectory);
        assert_eq!(problem("/nowhere").kind(), io::ErrorKind::NotFound);
        let endless = problem("/dev/zero");
        assert!(endless.to_string().starts_with("is a device"), "{endless}");
        assert!(!is_shortage(&endless));
        assert!(is_shortage(&io::Error::from_raw_os_error(
            Errno::NOMEM.raw_os_error()
        )));
    }

    #[test]
    fn a_file_that_was_changed_has_another_identity() {
        let path = std::env::temp_dir().join(format!("orc-identity-{}", std::process::id()));
        let written = |content: &[u8]| {
            std::fs::write(&path, content).expect("a temporary directory can be written");
            OwnedBytes::read(&path).expect("it is there").identity()
        };
        let first = written(b"first");
        let again = OwnedBytes::read(&path).expect("it is there").identity();
        assert_eq!(first, again, "nothing has changed");
        // The system's clock goes in ticks.
        std::thread::sleep(std::time::Duration::from_millis(30));
        let second = written(b"other");
        assert_ne!(first, second, "as long as before, and written later");
        // Who writes can set the time back, but not hide it.
        let file = File::options().write(true).open(&path).expect("writable");
        let (seconds, nanoseconds) = first.file().expect("it is a file").modified;
        let time = std::time::UNIX_EPOCH
            + std::time::Duration::new(seconds.cast_unsigned(), nanoseconds as u32);
        file.set_modified(time).expect("its owner may");
        let set_back = OwnedBytes::read(&path).expect("it is there").identity();
        assert_eq!(
            set_back.file().map(|file| file.modified),
            first.file().map(|file| file.modified)
        );
        assert_ne!(set_back, first);
        std::fs::remove_file(&path).expect("it is ours");
    }

    #[test]
    fn members_and_bytes_in_memory_have_identities() {
        let bytes = |content: &[u8]| -> Arc<dyn InputBytes> {
            Arc::new(OwnedBytes::from(content.to_vec()))
        };
        let (one, same, other) = (bytes(b"abcabc"), bytes(b"abcabc"), bytes(b"abcabd"));
        assert_eq!(one.identity(), same.identity());
        assert_ne!(one.identity(), other.identity());
        let part = |range| InputPart::new(one.clone(), range).expect("within bounds");
        assert_eq!(part(0..3).bytes(), part(3..6).bytes());
        assert_ne!(part(0..3).identity(), part(3..6).identity());
        assert_ne!(part(0..6).identity(), part(0..3).identity());
        let nested = InputPart::new(Arc::new(part(1..5)), 1..3).expect("within bounds");
        assert_eq!(nested.identity(), part(2..4).identity());
    }

    #[test]
    fn a_part_is_checked_and_keeps_its_whole() {
        let whole: Arc<dyn InputBytes> = Arc::new(OwnedBytes::from(b"abcdef".to_vec()));
        let part = InputPart::new(whole.clone(), 2..5).expect("within bounds");
        assert!(InputPart::new(whole.clone(), 2..7).is_none());
        drop(whole);
        assert_eq!(part.bytes(), b"cde");
    }
}
