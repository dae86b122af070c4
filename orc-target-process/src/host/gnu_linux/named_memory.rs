//! Memory that another process finds under a name (POSIX shared memory).

use std::ffi::CString;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use orc_system::limits::check_file_size;

/// Shared memory of this process's making. Unmapped on drop; its name goes, too, if it is still
/// there.
pub(crate) struct NamedMemory {
    start: u64,
    size: u64,
    name: CString,
}

impl NamedMemory {
    /// `size` zero bytes that nobody may access yet.
    pub(crate) fn new(size: u64) -> io::Result<Self> {
        check_file_size(size)?;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("/orc-executor-{}-{number}", std::process::id()))?;
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        // SAFETY: the name is a C string.
        let fd = unsafe { libc::shm_open(name.as_ptr(), flags, 0o600) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, and nobody else's.
        let file = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut memory = Self {
            start: 0,
            size: 0,
            name,
        };
        let length = libc::off_t::try_from(size).map_err(io::Error::other)?;
        // SAFETY: a call about our own descriptor.
        if unsafe { libc::ftruncate(file.as_raw_fd(), length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new mapping, where the system likes.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size as usize,
                libc::PROT_NONE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        (memory.start, memory.size) = (start as u64, size);
        Ok(memory)
    }

    /// Its addresses in this process.
    pub(crate) fn range(&self) -> Range<u64> {
        self.start..self.start + self.size
    }

    /// The name under which others find it.
    pub(crate) fn name(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }
}

impl Drop for NamedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing is in use there any more. The name may be
        // gone: the controller removes it.
        unsafe {
            if self.size > 0 {
                libc::munmap(self.start as *mut libc::c_void, self.size as usize);
            }
            libc::shm_unlink(self.name.as_ptr());
        }
    }
}
