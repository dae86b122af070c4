//! Reading and writing memory that may not be there.
//!
//! Another thread's stack, or what looks like the header of a heap block, can be unmapped at any
//! moment. The kernel copies for us and reports a bad address instead of raising a signal.

use std::ffi::c_void;

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
    done == bytes.len() as isize
}

/// Reads the bytes at two addresses, in one call. Whether all of them were there.
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
    done == bytes.len() as isize
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
