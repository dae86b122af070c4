//! Where the bytes of objects and archives come from.
//!
//! Parsers see [`InputBytes`] only. This crate has no `unsafe`, so it maps no files: whoever embeds
//! it may bring a mapped type. [`OwnedBytes`] holds bytes in memory, which for small files is also
//! the faster way: reading a few kilobytes costs less than mapping them.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jit_core::graph::InputBytes;

/// Bytes in memory: a client's buffer, or a file that was read.
#[derive(Debug, Clone)]
pub struct OwnedBytes(Vec<u8>);

impl OwnedBytes {
    /// Reads a whole file.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn read(path: &Path) -> io::Result<Self> {
        std::fs::read(path).map(Self)
    }
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
    fn a_part_is_checked_and_keeps_its_whole() {
        let whole: Arc<dyn InputBytes> = Arc::new(OwnedBytes::from(b"abcdef".to_vec()));
        let part = InputPart::new(whole.clone(), 2..5).expect("within bounds");
        assert!(InputPart::new(whole.clone(), 2..7).is_none());
        drop(whole);
        assert_eq!(part.bytes(), b"cde");
    }
}
