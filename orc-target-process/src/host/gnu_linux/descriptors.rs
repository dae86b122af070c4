//! Descriptors that we keep open in somebody else's process.
//!
//! The program that runs here may expect its first `open` to return 3, and may close every
//! descriptor it does not know. So ours move out of the way, and are recognized before use.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// Where our descriptors start, if the process may have that many: above what programs count on,
/// and low enough that the kernel's table of descriptors stays small.
const HIGH_FD: libc::c_int = 768;

/// The lowest number that is not a standard stream's: what a program prints must not arrive here.
const ABOVE_STREAMS: libc::c_int = 3;

/// A descriptor with a high number that still is what it was when it was opened, or is known not to
/// be.
#[derive(Debug)]
pub(crate) struct QuietFd {
    fd: RawFd,
    identity: (libc::dev_t, libc::ino_t),
}

impl QuietFd {
    /// Moves `fd` to a high number (the next free one from `at_least`, if given).
    pub(crate) fn new(fd: OwnedFd, at_least: Option<RawFd>) -> io::Result<Self> {
        let moved = [at_least.unwrap_or(HIGH_FD), HIGH_FD, 64, ABOVE_STREAMS]
            .into_iter()
            .find_map(|lowest| duplicate(&fd, lowest))
            .unwrap_or(fd);
        let identity = identity(moved.as_raw_fd())?;
        Ok(Self {
            fd: moved.into_raw_fd(),
            identity,
        })
    }

    /// The number, if the program has not closed or reused it.
    pub(crate) fn get(&self) -> Option<RawFd> {
        (identity(self.fd).ok()? == self.identity).then_some(self.fd)
    }
}

impl Drop for QuietFd {
    fn drop(&mut self) {
        if let Some(fd) = self.get() {
            // SAFETY: the descriptor is the one we opened, and nothing of ours uses it after drop.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

/// Grows the process's table of descriptors so that ours will fit.
///
/// A process of one thread does that at once. One of several waits until no processor can be reading
/// the old table (an RCU grace period), which takes 10 ms and more.
pub(crate) fn grow_table() {
    let Ok(directory) = std::fs::File::open("/") else {
        return;
    };
    drop(duplicate(&directory.into(), HIGH_FD));
}

fn duplicate(fd: &OwnedFd, lowest: libc::c_int) -> Option<OwnedFd> {
    // SAFETY: `fd` is open; the call only makes another number for it.
    let moved = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) };
    // SAFETY: the new descriptor is owned by nobody else.
    (moved >= 0).then(|| unsafe { OwnedFd::from_raw_fd(moved) })
}

fn identity(fd: RawFd) -> io::Result<(libc::dev_t, libc::ino_t)> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is a valid place for the answer; a closed descriptor gives an error.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fstat succeeded, so it filled the structure.
    let stat = unsafe { stat.assume_init() };
    Ok((stat.st_dev, stat.st_ino))
}
