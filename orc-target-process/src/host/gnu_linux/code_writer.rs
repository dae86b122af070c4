//! Writing into pages that no mapping allows to write.
//!
//! Small functions of different links share a page, and one of them may be running while the next
//! is added: the page can lose neither its execute permission nor, under W^X, gain write
//! permission. The kernel writes for us through `/proc/self/mem`, the way a debugger plants a
//! breakpoint: it goes to the page itself, in whatever mapping, and a page still shared with a
//! forked process is copied first. So the memory is ordinary private memory: `fork` works, a
//! breakpoint that a debugger has set in a neighbour stays, and no second mapping exists, not even
//! for a moment. (A writable second view of a memfd, the other way, costs two system calls more,
//! and loses later functions of a page in which a debugger has set a breakpoint, for that page is
//! then a private copy.)
//!
//! The kernel can be told to refuse this. Then there is no writer, and every allocation is filled
//! in pages of its own.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::RwLock;

use super::descriptors::QuietFd;
use crate::host::MemoryError;

#[derive(Debug)]
/// Writes to read-only and executable pages of this process.
pub(crate) struct CodeWriter {
    /// `/proc/self/mem`. It names the process that opened it, also in a forked child.
    file: RwLock<QuietFd>,
    /// Set to zero in a forked child, which then opens its own file.
    same_process: ForkMark,
}

impl CodeWriter {
    /// A writer, if the system allows one.
    pub(crate) fn new() -> Option<Self> {
        let writer = Self {
            file: RwLock::new(open().ok()?),
            same_process: ForkMark::new()?,
        };
        writer.works().then_some(writer)
    }

    /// Whether a byte can be written to a page without write permission, and arrives.
    fn works(&self) -> bool {
        let Ok(page) =
            super::pages::Reservation::new(orc_shared::api::Placement::NearLibraries, 4096)
        else {
            return false;
        };
        let start = page.range().start;
        let written = self.write(start + 1, &[0x5a]).is_ok();
        // SAFETY: the page is readable and ours alone.
        written && unsafe { std::ptr::read_volatile((start + 1) as *const u8) } == 0x5a
    }

    /// Writes `bytes` at `addr`, whatever the permissions of its pages.
    pub(crate) fn write(&self, addr: u64, bytes: &[u8]) -> Result<(), MemoryError> {
        let mut done = 0;
        while done < bytes.len() {
            let at = addr + done as u64;
            match self.write_some(at, &bytes[done..]) {
                Ok(0) => return Err(failed(at, bytes, io::ErrorKind::WriteZero.into())),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(at, bytes, error)),
            }
        }
        Ok(())
    }

    fn write_some(&self, addr: u64, bytes: &[u8]) -> io::Result<usize> {
        {
            let file = self.file.read();
            if self.same_process.is_set()
                && let Some(fd) = file.get()
            {
                return write_at(fd, addr, bytes);
            }
        }
        let mut file = self.file.write();
        *file = open()?;
        self.same_process.set();
        let fd = file
            .get()
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        write_at(fd, addr, bytes)
    }
}

fn open() -> io::Result<QuietFd> {
    let file = OpenOptions::new().write(true).open("/proc/self/mem")?;
    QuietFd::new(OwnedFd::from(file), None)
}

fn write_at(fd: libc::c_int, addr: u64, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the buffer is valid for its length. The target is memory of a range that the caller
    // owns, to which no reference exists.
    let count =
        unsafe { libc::pwrite64(fd, bytes.as_ptr().cast(), bytes.len(), addr.cast_signed()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

fn failed(addr: u64, bytes: &[u8], source: io::Error) -> MemoryError {
    MemoryError::System {
        operation: "write through /proc/self/mem",
        start: addr,
        end: addr + bytes.len() as u64,
        source: source.into(),
    }
}

/// A byte that is 1 until the process forks, and 0 in the child.
#[derive(Debug)]
struct ForkMark(&'static AtomicU8);

impl ForkMark {
    fn new() -> Option<Self> {
        // SAFETY: a new mapping, of one page.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                1,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the page is ours.
        let advised = unsafe { libc::madvise(page, 1, libc::MADV_WIPEONFORK) } == 0;
        if !advised {
            // SAFETY: the page is ours and nothing refers to it.
            unsafe { libc::munmap(page, 1) };
            return None;
        }
        // SAFETY: the page is mapped for as long as the mark exists, and zero is a valid value.
        let mark = Self(unsafe { &*page.cast::<AtomicU8>() });
        mark.set();
        Some(mark)
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) == 1
    }

    fn set(&self) {
        self.0.store(1, Ordering::Release);
    }
}

impl Drop for ForkMark {
    fn drop(&mut self) {
        // SAFETY: the page is ours; the reference ends with `self`.
        unsafe { libc::munmap(std::ptr::from_ref(self.0).cast_mut().cast(), 1) };
    }
}
