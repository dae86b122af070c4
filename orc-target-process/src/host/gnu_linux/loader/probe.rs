//! Reading and writing memory that may not be there.
//!
//! Another thread's stack, or what looks like the header of a heap block, can be unmapped at any
//! moment. The kernel copies for us and reports a bad address instead of raising a signal.
//!
//! Its calls for that are refused in some containers, and unknown to emulators. Then bytes go through a
//! pipe, which takes more calls and needs nobody's permission.

use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// Bytes that every pipe has room for.
const PIPE_SIZE: usize = 4096;

/// Reads the bytes at `addr`. Whether all of them were there.
pub(crate) fn read(addr: u64, bytes: &mut [u8]) -> bool {
    let local = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let remote = remote(addr, bytes.len());
    // SAFETY: the kernel writes into `bytes` only, and checks the other address itself.
    let done =
        unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &remote, 1, 0) };
    done == bytes.len() as isize || is_refused(done) && read_through_pipe(addr, bytes)
}

/// Reads the bytes at two addresses, in one call where the system has one. Whether all of them were there.
pub(crate) fn read_both(addrs: [u64; 2], first: &mut [u8], second: &mut [u8]) -> bool {
    let sizes = [first.len(), second.len()];
    let local = |bytes: &mut [u8]| libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let local = [local(first), local(second)];
    let remote = [remote(addrs[0], sizes[0]), remote(addrs[1], sizes[1])];
    // SAFETY: the kernel writes into the two slices only, and checks the other addresses itself.
    let done =
        unsafe { libc::process_vm_readv(libc::getpid(), local.as_ptr(), 2, remote.as_ptr(), 2, 0) };
    done == (sizes[0] + sizes[1]) as isize
        || is_refused(done)
            && read_through_pipe(addrs[0], first)
            && read_through_pipe(addrs[1], second)
}

/// Reads `N` words at `addr`. `None` if they are not all there.
pub(crate) fn read_words<const N: usize>(addr: u64) -> Option<[u64; N]> {
    let mut bytes = [[0u8; 8]; N];
    read(addr, bytes.as_flattened_mut()).then(|| bytes.map(u64::from_ne_bytes))
}

/// Writes the bytes at `addr`. Whether all of them could be written.
///
/// # Safety
/// Whatever lies at `addr` may be overwritten.
pub(crate) unsafe fn write(addr: u64, bytes: &[u8]) -> bool {
    let local = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let remote = remote(addr, bytes.len());
    // SAFETY: the kernel only reads from `bytes`; what it writes to is the caller's promise.
    let done =
        unsafe { libc::process_vm_writev(libc::getpid(), &raw const local, 1, &remote, 1, 0) };
    // SAFETY: the caller's promise.
    done == bytes.len() as isize || is_refused(done) && unsafe { write_through_pipe(addr, bytes) }
}

/// Whether a call was not made at all.
fn is_refused(done: isize) -> bool {
    let error = std::io::Error::last_os_error().raw_os_error();
    done < 0 && matches!(error, Some(libc::ENOSYS | libc::EPERM))
}

/// Puts what is at `addr` into a pipe, piece by piece, and takes it out again.
fn read_through_pipe(addr: u64, bytes: &mut [u8]) -> bool {
    let Some([out, into]) = pipe() else {
        return false;
    };
    let starts = (addr..).step_by(PIPE_SIZE);
    bytes.chunks_mut(PIPE_SIZE).zip(starts).all(|(piece, at)| {
        let there = std::ptr::with_exposed_provenance::<c_void>(at as usize);
        // SAFETY: the kernel checks the address that it reads from, and writes into the piece only.
        unsafe {
            put(into.as_raw_fd(), there, piece.len())
                && take(out.as_raw_fd(), piece.as_mut_ptr().cast(), piece.len())
        }
    })
}

/// The other way around.
///
/// # Safety
/// Whatever lies at `addr` may be overwritten.
unsafe fn write_through_pipe(addr: u64, bytes: &[u8]) -> bool {
    let Some([out, into]) = pipe() else {
        return false;
    };
    let starts = (addr..).step_by(PIPE_SIZE);
    bytes.chunks(PIPE_SIZE).zip(starts).all(|(piece, at)| {
        let there = std::ptr::with_exposed_provenance_mut::<c_void>(at as usize);
        // SAFETY: the kernel reads the piece, and checks the address that it writes to, which is the
        // caller's promise.
        unsafe {
            put(into.as_raw_fd(), piece.as_ptr().cast(), piece.len())
                && take(out.as_raw_fd(), there, piece.len())
        }
    })
}

/// # Safety
/// Any address will do.
unsafe fn put(pipe: RawFd, from: *const c_void, size: usize) -> bool {
    // SAFETY: the kernel checks what it reads.
    unsafe { libc::write(pipe, from, size) == size as isize }
}

/// # Safety
/// What is at `to` may be overwritten.
unsafe fn take(pipe: RawFd, to: *mut c_void, size: usize) -> bool {
    // SAFETY: the caller's promise; the kernel checks the address.
    unsafe { libc::read(pipe, to, size) == size as isize }
}

/// The end to read from, and the end to write to, neither of which ever waits.
fn pipe() -> Option<[OwnedFd; 2]> {
    let mut ends: [c_int; 2] = [0; 2];
    // SAFETY: room for two descriptors, which nobody else owns.
    unsafe {
        let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
        (libc::pipe2(ends.as_mut_ptr(), flags) == 0)
            .then(|| ends.map(|end| OwnedFd::from_raw_fd(end)))
    }
}

fn remote(addr: u64, size: usize) -> libc::iovec {
    libc::iovec {
        iov_base: std::ptr::with_exposed_provenance_mut::<c_void>(addr as usize),
        iov_len: size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_there_and_refuses_the_rest() {
        let words = [7u64, 9];
        let addr = words.as_ptr().expose_provenance() as u64;
        assert_eq!(read_words(addr), Some([7u64, 9]));
        assert_eq!(read_words::<1>(8), None);
        let (mut first, mut second) = ([0; 8], [0; 4]);
        assert!(read_both([addr + 8, addr], &mut first, &mut second));
        assert_eq!((first, second), (9u64.to_ne_bytes(), 7u32.to_ne_bytes()));
        assert!(!read_both([addr, 8], &mut first, &mut second));
    }

    #[test]
    fn pipes_do_the_same() {
        let source: Vec<u8> = (0..10_000_u32).map(|at| at as u8).collect();
        let mut copy = vec![0; source.len()];
        let addr = |bytes: &[u8]| bytes.as_ptr().expose_provenance() as u64;
        assert!(read_through_pipe(addr(&source), &mut copy));
        assert_eq!(copy, source);
        assert!(!read_through_pipe(8, &mut [0]));
        copy.fill(0);
        // SAFETY: the copy is ours; address 8 is never mapped.
        unsafe {
            assert!(write_through_pipe(
                copy.as_mut_ptr().expose_provenance() as u64,
                &source
            ));
            assert!(!write_through_pipe(8, &[0]));
        }
        assert_eq!(copy, source);
    }

    #[test]
    fn writes_and_refuses() {
        let mut word = 1u64;
        let addr = (&raw mut word).expose_provenance() as u64;
        // SAFETY: `word` is ours; address 8 is never mapped.
        unsafe {
            assert!(write(addr, &5u64.to_ne_bytes()));
            assert!(!write(8, &[0]));
        }
        // SAFETY: `word` lives.
        assert_eq!(unsafe { (&raw const word).read_volatile() }, 5);
    }
}
