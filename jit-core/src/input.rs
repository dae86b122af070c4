//! Bytes of inputs, which graphs and names borrow.

use std::sync::Arc;

use twox_hash::XxHash3_128;

/// Bytes that a graph's blocks may borrow: a mapped file, an archive member, a client's buffer.
pub trait InputBytes: Send + Sync {
    /// The bytes.
    fn bytes(&self) -> &[u8];

    /// The input that this is a part of.
    fn whole(&self) -> Option<&Arc<dyn InputBytes>> {
        None
    }

    /// What tells this input from others, and from itself before it was changed. Files are told apart by what
    /// the system said of them when they were opened, which costs nothing; bytes in memory by their content, which
    /// is read for this.
    fn identity(&self) -> InputIdentity {
        InputIdentity::of_content(self.bytes())
    }

    /// Gives back the memory of pages that were read, where they can be read again: the bytes will not be looked at for
    /// a while. Mapped files take memory while they are looked at; other inputs do nothing.
    fn discard_cached_pages(&self) {}
}

/// What tells an input from others. Two inputs of one identity have the same bytes.
///
/// For files this holds as far as the system's clock goes: one that is written twice within a tick of it (some
/// milliseconds) has one identity for both contents if somebody opened it in between. Whoever keeps things by
/// identity over a long time leaves out files that were changed just before they were opened
/// ([`Self::file`] says when).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct InputIdentity {
    source: Source,
    /// Where the input begins in its source, in bytes.
    start: u64,
    /// Bytes of the input.
    size: u64,
}

/// Where bytes are from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Source {
    File(FileIdentity),
    /// XXH3 of them, with 128 bits: for contents that nobody chose to be alike.
    Content(u128),
}

/// What tells a file from others, and from itself before it was written to: all as the system has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileIdentity {
    /// Number of the device that the file is on.
    pub device: u64,
    /// Number of the file on its device.
    pub inode: u64,
    /// Bytes of the file.
    pub size: u64,
    /// When its content was written last: seconds since 1970, and nanoseconds. Programs can set it.
    pub modified: (i64, i64),
    /// When its content or its attributes were changed last, in the same way. Nobody can set it.
    pub changed: (i64, i64),
}

impl InputIdentity {
    /// That of a whole file.
    #[must_use]
    pub fn of_file(file: FileIdentity) -> Self {
        Self {
            source: Source::File(file),
            start: 0,
            size: file.size,
        }
    }

    /// That of these bytes, wherever they are. Reads them.
    #[must_use]
    pub fn of_content(bytes: &[u8]) -> Self {
        Self {
            source: Source::Content(XxHash3_128::oneshot(bytes)),
            start: 0,
            size: bytes.len() as u64,
        }
    }

    /// That of a part of this input, which begins `start` bytes from the input's beginning.
    #[must_use]
    pub fn part(self, start: u64, size: u64) -> Self {
        Self {
            source: self.source,
            start: self.start.saturating_add(start),
            size,
        }
    }

    /// The file that the input is, or is a part of; `None` if it is told apart by its content.
    #[must_use]
    pub fn file(&self) -> Option<&FileIdentity> {
        match &self.source {
            Source::File(file) => Some(file),
            Source::Content(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileIdentity = FileIdentity {
        device: 1,
        inode: 2,
        size: 100,
        modified: (3, 4),
        changed: (3, 4),
    };

    #[test]
    fn each_fact_of_a_file_tells_it_from_others() {
        let identity = InputIdentity::of_file(FILE);
        let others = [
            FileIdentity { device: 9, ..FILE },
            FileIdentity { inode: 9, ..FILE },
            FileIdentity { size: 9, ..FILE },
            FileIdentity {
                modified: (3, 5),
                ..FILE
            },
            FileIdentity {
                changed: (4, 4),
                ..FILE
            },
        ];
        for other in others {
            assert_ne!(identity, InputIdentity::of_file(other));
        }
        assert_eq!(identity.file(), Some(&FILE));
    }

    #[test]
    fn parts_are_told_apart_by_their_places() {
        let whole = InputIdentity::of_file(FILE);
        let part = whole.part(10, 20);
        assert_ne!(part, whole);
        assert_ne!(part, whole.part(11, 20));
        assert_ne!(part, whole.part(10, 21));
        assert_eq!(part.part(5, 5), whole.part(15, 5));
    }

    #[test]
    fn bytes_in_memory_are_what_they_hold() {
        let identity = InputIdentity::of_content(b"abc");
        let elsewhere = String::from("abc");
        assert_eq!(identity, InputIdentity::of_content(elsewhere.as_bytes()));
        assert_ne!(identity, InputIdentity::of_content(b"abd"));
        assert_eq!(identity.file(), None);
    }
}
