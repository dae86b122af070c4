//! Memory that a controller fills for an executor of the same host.
//!
//! The bytes lie in a file that exists in memory only. The controller maps it, writes to it, drops its
//! view, seals the file against any further change and passes its descriptor on; the executor maps
//! it privately. So bytes are written once, and nobody can change them any more when they are
//! trusted: what each process writes later, and a forked child of it, stays its own.

use std::io;
use std::ops::{Deref, DerefMut, Range};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::limits;

/// A file in memory that is being filled.
#[derive(Debug)]
pub struct SharedMemory {
    file: OwnedFd,
    view: View,
}

/// A writable view of a whole file.
#[derive(Debug)]
struct View {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the view is plain memory; who may access which part of it is up to `Slice`.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

/// A part of such a file that only its owner sees.
#[derive(Debug)]
pub struct Slice {
    memory: Arc<SharedMemory>,
    range: Range<usize>,
}

impl SharedMemory {
    /// A new file, and the parts of it that `ranges` name, in their order. All bytes are zero.
    ///
    /// # Errors
    /// When the system refuses; when ranges overlap.
    pub fn slices(ranges: &[Range<usize>]) -> io::Result<Vec<Slice>> {
        let mut sorted: Vec<&Range<usize>> = ranges.iter().filter(|r| !r.is_empty()).collect();
        sorted.sort_by_key(|range| range.start);
        if sorted.windows(2).any(|pair| pair[0].end > pair[1].start) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "parts of shared memory overlap",
            ));
        }
        let size = sorted.last().map_or(0, |range| range.end);
        let file = create(size)?;
        let view = View::new(&file, size)?;
        let memory = Arc::new(Self { file, view });
        let slice = |range: &Range<usize>| Slice {
            memory: Arc::clone(&memory),
            // An empty one may have been named anywhere.
            range: if range.is_empty() {
                0..0
            } else {
                range.clone()
            },
        };
        Ok(ranges.iter().map(slice).collect())
    }

    /// Drops the view and makes the file unchangeable.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn seal(self) -> io::Result<OwnedFd> {
        drop(self.view);
        let seals =
            libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
        // SAFETY: asks the kernel about a descriptor that we own.
        let sealed = unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_ADD_SEALS, seals) };
        if sealed == 0 {
            Ok(self.file)
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

impl Slice {
    /// Where it starts in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.range.start as u64
    }

    /// A number that only parts of one file share, while one of them exists.
    #[must_use]
    pub fn file(&self) -> usize {
        Arc::as_ptr(&self.memory).addr()
    }

    /// How many parts of the file there are still.
    #[must_use]
    pub fn parts_of_file(&self) -> usize {
        Arc::strong_count(&self.memory)
    }

    /// Gives the part up. The file, if this was its last one.
    #[must_use]
    pub fn into_memory(self) -> Option<SharedMemory> {
        Arc::into_inner(self.memory)
    }
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let start = self.memory.view.start.as_ptr();
        // SAFETY: the range lies in the view, which lives as long as the file's `Arc`, and no other
        // slice has any of it. Nobody else can map the file before it is sealed: its descriptor
        // is not given away earlier.
        unsafe { std::slice::from_raw_parts(start.add(self.range.start), self.range.len()) }
    }
}

impl DerefMut for Slice {
    fn deref_mut(&mut self) -> &mut [u8] {
        let start = self.memory.view.start.as_ptr();
        // SAFETY: as above, and this slice is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(start.add(self.range.start), self.range.len()) }
    }
}

impl View {
    fn new(file: &OwnedFd, size: usize) -> io::Result<Self> {
        if size == 0 {
            let start = NonNull::dangling();
            return Ok(Self { start, size });
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let (flags, fd) = (libc::MAP_SHARED, file.as_raw_fd());
        // SAFETY: a new mapping at a place that the kernel chooses touches no memory of ours.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), size, access, flags, fd, 0) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { start, size }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if self.size > 0 {
            // SAFETY: the mapping is ours, and slices, which lead into it, own the file that owns it.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
        }
    }
}

/// A file of `size` zero bytes that can be sealed.
fn create(size: usize) -> io::Result<OwnedFd> {
    limits::check_file_size(size as u64)?;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"orc-content".as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else's.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    let length = libc::off_t::try_from(size).map_err(io::Error::other)?;
    // SAFETY: a call about our own descriptor.
    if unsafe { libc::ftruncate(file.as_raw_fd(), length) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn what_was_written_is_there_and_stays() {
        let mut slices = SharedMemory::slices(&[8192..8196, 0..3, 5..5]).expect("memory");
        slices[0].copy_from_slice(b"late");
        slices[1].copy_from_slice(b"now");
        assert!(slices[2].is_empty());
        assert_eq!(slices[0].offset(), 8192);
        let last = slices.pop().expect("a slice");
        assert_eq!(last.file(), slices[0].file());
        assert_eq!(last.parts_of_file(), 3);
        assert!(last.into_memory().is_none(), "others are still there");
        slices.truncate(1);
        let memory = slices.remove(0).into_memory().expect("the last slice");
        let file = File::from(memory.seal().expect("nobody maps it"));
        let mut bytes = [0; 4];
        file.read_exact_at(&mut bytes, 8192).expect("content");
        assert_eq!(&bytes, b"late");
        assert!(file.write_at(b"x", 0).is_err(), "it is sealed");
        assert!(file.set_len(1).is_err(), "it is sealed");
    }

    #[test]
    fn parts_do_not_overlap() {
        assert!(SharedMemory::slices(&[0..10, 9..12]).is_err());
        assert!(SharedMemory::slices(&[9..12, 0..9]).is_ok());
        assert!(SharedMemory::slices(&[]).expect("nothing").is_empty());
    }
}
