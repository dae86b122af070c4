//! Where the bytes of objects and archives come from.
//!
//! Parsers see [`InputBytes`] only. This crate has no `unsafe`, so it maps no files: whoever embeds
//! it may bring a mapped type. [`OwnedBytes`] holds bytes in memory, which for small files is also
//! the faster way: reading a few kilobytes costs less than mapping them.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jit_core::graph::InputBytes;
use orc_shared::{Printable, printable};
use rustix::io::Errno;

/// Bytes in memory: a client's buffer, or a file that was read.
#[derive(Debug, Clone)]
pub struct OwnedBytes(Vec<u8>);

impl OwnedBytes {
    /// Reads a whole regular file.
    ///
    /// # Errors
    /// Those of the operating system, and of [`check_is_regular`].
    pub fn read(path: &Path) -> io::Result<Self> {
        check_is_regular(&std::fs::metadata(path)?)?;
        std::fs::read(path).map(Self)
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
        Self(bytes)
    }
}

impl InputBytes for OwnedBytes {
    fn bytes(&self) -> &[u8] {
        &self.0
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
    fn a_part_is_checked_and_keeps_its_whole() {
        let whole: Arc<dyn InputBytes> = Arc::new(OwnedBytes::from(b"abcdef".to_vec()));
        let part = InputPart::new(whole.clone(), 2..5).expect("within bounds");
        assert!(InputPart::new(whole.clone(), 2..7).is_none());
        drop(whole);
        assert_eq!(part.bytes(), b"cde");
    }
}
