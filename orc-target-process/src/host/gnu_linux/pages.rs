//! Page permissions and reservations on Linux.

use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};

use orc_shared::api::{Placement, SegmentKind};

use crate::host::{MemoryError, maps};

/// Addresses to try for a range in the low 2 GiB: above where executables without PIE lie, and
/// below what their heap grows into.
pub(crate) const LOW_HINTS: [u64; 6] = [
    0x1000_0000,
    0x2000_0000,
    0x3000_0000,
    0x4000_0000,
    0x6000_0000,
    0x0800_0000,
];

/// End of the addresses that fit a positive signed 32-bit value.
pub(crate) const LOW_END: u64 = 0x8000_0000;

/// Page size in bytes.
pub(crate) fn page_size() -> u64 {
    // SAFETY: sysconf only reads a setting.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

/// Most bytes of address space that one range should take, as `RLIMIT_AS` sees it: a quarter of
/// the limit, so that the program's own heap and stacks find room.
pub(crate) fn address_space_budget() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the answer.
    let status = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    if status != 0 || limit.rlim_cur == libc::RLIM_INFINITY {
        return u64::MAX;
    }
    limit.rlim_cur / 4
}

/// Lets the pages of `range` be used as `kind` says.
pub(crate) fn protect(range: Range<u64>, kind: SegmentKind) -> Result<(), MemoryError> {
    // SAFETY: callers pass whole pages of a reserved range that they own; no reference to them is
    // live that the new permission would invalidate.
    let status = unsafe {
        libc::mprotect(
            range.start as *mut libc::c_void,
            (range.end - range.start) as usize,
            protection(kind),
        )
    };
    if status == 0 {
        return Ok(());
    }
    Err(MemoryError::system("mprotect", range))
}

/// Lets the pages of `range` be read, written and executed, or not.
pub(crate) fn protect_as(
    range: Range<u64>,
    [read, write, execute]: [bool; 3],
) -> Result<(), MemoryError> {
    let bits = [
        (read, libc::PROT_READ),
        (write, libc::PROT_WRITE),
        (execute, libc::PROT_EXEC),
    ];
    let bits = bits.into_iter().filter(|(on, _)| *on);
    let protection = bits.fold(libc::PROT_NONE, |all, (_, bit)| all | bit);
    // SAFETY: callers pass whole pages of a reservation; the controller, whom they belong to,
    // decides who may do what with them.
    let status = unsafe {
        libc::mprotect(
            range.start as *mut libc::c_void,
            (range.end - range.start) as usize,
            protection,
        )
    };
    if status == 0 {
        return Ok(());
    }
    Err(MemoryError::system("mprotect", range))
}

/// Gives the pages of `range` back to the system; they read as zero when touched again.
pub(crate) fn discard(range: Range<u64>) -> Result<(), MemoryError> {
    if range.is_empty() {
        return Ok(());
    }
    // SAFETY: callers pass whole pages of a reserved range that nothing uses any more.
    let status = unsafe {
        libc::madvise(
            range.start as *mut libc::c_void,
            (range.end - range.start) as usize,
            libc::MADV_DONTNEED,
        )
    };
    if status == 0 {
        return Ok(());
    }
    Err(MemoryError::system("madvise(MADV_DONTNEED)", range))
}

/// Size in bytes of a file that can neither shrink nor be written to any more.
pub(crate) fn sealed_size(file: &OwnedFd) -> Result<u64, String> {
    // SAFETY: asks about an open descriptor.
    let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    if seals < 0 {
        let error = io::Error::last_os_error();
        return Err(format!(
            "the descriptor is not of a file in memory: {error}"
        ));
    }
    let unwritable = libc::F_SEAL_WRITE | libc::F_SEAL_FUTURE_WRITE;
    if seals & libc::F_SEAL_SHRINK == 0 || seals & unwritable == 0 {
        return Err(format!(
            "the file is not sealed against shrinking and writing (seals {seals:#x})"
        ));
    }
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is a valid place for the answer.
    if unsafe { libc::fstat(file.as_raw_fd(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error().to_string());
    }
    // SAFETY: fstat succeeded, so it filled the structure.
    let size = unsafe { stat.assume_init() }.st_size;
    u64::try_from(size).map_err(|error| error.to_string())
}

/// Reads bytes of a file.
pub(crate) fn read_file(file: &OwnedFd, offset: u64, to: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < to.len() {
        let at = libc::off_t::try_from(offset + done as u64).map_err(io::Error::other)?;
        let rest = &mut to[done..];
        // SAFETY: the place is what `rest` says.
        let count =
            unsafe { libc::pread(file.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len(), at) };
        match count {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            1.. => done += count as usize,
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// Replaces the pages of `range` by a private mapping of a file.
pub(crate) fn map_file(
    range: Range<u64>,
    kind: SegmentKind,
    file: &OwnedFd,
    offset: u64,
) -> Result<(), MemoryError> {
    let offset =
        libc::off_t::try_from(offset).map_err(|error| MemoryError::Content(error.to_string()))?;
    map_over(range, kind, 0, file.as_raw_fd(), offset)
}

/// Replaces the pages of `range` by fresh zero pages.
pub(crate) fn map_zero(range: Range<u64>, kind: SegmentKind) -> Result<(), MemoryError> {
    map_over(range, kind, libc::MAP_ANONYMOUS, -1, 0)
}

fn map_over(
    range: Range<u64>,
    kind: SegmentKind,
    flags: libc::c_int,
    fd: libc::c_int,
    offset: libc::off_t,
) -> Result<(), MemoryError> {
    // SAFETY: callers pass whole pages of a reserved range that they own; what was in them is
    // replaced on purpose, and no reference leads there.
    let place = unsafe {
        libc::mmap(
            range.start as *mut libc::c_void,
            (range.end - range.start) as usize,
            protection(kind),
            libc::MAP_PRIVATE | libc::MAP_FIXED | flags,
            fd,
            offset,
        )
    };
    if place == libc::MAP_FAILED {
        return Err(MemoryError::system("mmap", range));
    }
    Ok(())
}

fn protection(kind: SegmentKind) -> libc::c_int {
    match kind {
        SegmentKind::Text => libc::PROT_READ | libc::PROT_EXEC,
        SegmentKind::ReadOnly => libc::PROT_READ,
        SegmentKind::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
    }
}

/// Makes the pages of `range`, so that writing to them faults no more. Only a hint (Linux 5.14): nothing
/// happens where they cannot be written to.
pub(crate) fn populate(range: Range<u64>) {
    // SAFETY: callers pass whole pages of a reserved range; populating does not change what they hold.
    unsafe {
        libc::madvise(
            range.start as *mut libc::c_void,
            (range.end - range.start) as usize,
            libc::MADV_POPULATE_WRITE,
        );
    }
}

/// Address space of our own, without the loader's knowledge. Unmapped on drop.
pub(crate) struct Reservation {
    start: u64,
    size: u64,
}

impl Reservation {
    /// Reserves `size` bytes for `placement`. The pages are private, zero and, like those of a
    /// range that the loader made, readable and executable but not writable: they cost no commit
    /// charge.
    pub(crate) fn new(placement: Placement, size: u64) -> io::Result<Self> {
        match placement {
            Placement::NearLibraries | Placement::Anywhere => {
                Self::map(0, size, libc::PROT_READ | libc::PROT_EXEC, 0)
            }
            Placement::Low2GiB => {
                let mut failure = io::Error::from_raw_os_error(libc::ENOMEM);
                for hint in LOW_HINTS {
                    if hint + size > LOW_END {
                        continue;
                    }
                    let protection = libc::PROT_READ | libc::PROT_EXEC;
                    match Self::map(hint, size, protection, libc::MAP_FIXED_NOREPLACE) {
                        // Kernels before 4.17 take the flag for a plain hint.
                        Ok(found) if found.start == hint => return Ok(found),
                        Ok(_) => {}
                        Err(error) => failure = error,
                    }
                }
                Err(failure)
            }
        }
    }

    /// `size` bytes from `start` on, as of [`Self::new`], if nothing is there.
    pub(crate) fn at(start: u64, size: u64) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_EXEC;
        Self::map(start, size, protection, libc::MAP_FIXED_NOREPLACE)
    }

    /// `size` bytes that can be read and written, anywhere.
    pub(crate) fn writable(size: u64) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        Self::map(0, size, protection, libc::MAP_NORESERVE)
    }

    fn map(hint: u64, size: u64, protection: libc::c_int, flags: libc::c_int) -> io::Result<Self> {
        // SAFETY: a new private mapping that replaces no other (MAP_FIXED is never passed).
        let start = unsafe {
            libc::mmap(
                hint as *mut libc::c_void,
                size as usize,
                protection,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            start: start as u64,
            size,
        })
    }

    /// The reserved addresses.
    pub(crate) fn range(&self) -> Range<u64> {
        self.start..self.start + self.size
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours; the range that owned it has no allocation left.
        unsafe { libc::munmap(self.start as *mut libc::c_void, self.size as usize) };
    }
}

/// Number of the process's mappings that overlap `range`; zero if the system cannot tell.
pub(crate) fn count_mappings(range: &Range<u64>) -> usize {
    let overlaps = |mapping: &&Range<u64>| mapping.start < range.end && range.start < mapping.end;
    maps::ranges().iter().filter(overlaps).count()
}

/// An address in one of the process's shared libraries, the C library.
pub(crate) fn an_address_in_a_library() -> u64 {
    // SAFETY: the name is a C string.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"malloc_usable_size".as_ptr()) as u64 }
}

/// A hole of `size` bytes between the process's mappings, no byte of which is `reach` away from
/// `addr`. Only a guess: other threads map memory too.
pub(crate) fn gap_near(addr: u64, size: u64, reach: u64) -> Option<u64> {
    let mut mappings = maps::ranges();
    mappings.sort_by_key(|mapping| mapping.start);
    nearest_gap(&mappings, addr, size, reach)
}

/// How far a place stays away from stacks and heaps next to its hole, which want to grow. Where addresses are few,
/// as in an emulator that has libraries right behind the heap, less has to do.
const MARGINS: [u64; 2] = [16 << 20, 1 << 20];

/// Of the holes between sorted `mappings`, the place for `size` bytes that lies nearest to `addr`.
fn nearest_gap(mappings: &[Range<u64>], addr: u64, size: u64, reach: u64) -> Option<u64> {
    let mut margins = MARGINS.into_iter();
    margins.find_map(|margin| nearest_with_margin(mappings, addr, size, reach, margin))
}

/// That place, this far from both ends of its hole.
fn nearest_with_margin(
    mappings: &[Range<u64>],
    addr: u64,
    size: u64,
    reach: u64,
    margin: u64,
) -> Option<u64> {
    let place = |pair: &[Range<u64>]| {
        let [below, above] = pair else { return None };
        let (low, high) = (
            below.end.checked_add(margin)?,
            above.start.checked_sub(margin)?,
        );
        let room = high.checked_sub(low)?.checked_sub(size)?;
        let start = if high <= addr { low + room } else { low };
        let far = start.abs_diff(addr).max((start + size).abs_diff(addr));
        (far < reach).then_some((far, start))
    };
    mappings
        .windows(2)
        .filter_map(place)
        .min()
        .map(|(_, start)| start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_gap_is_near_and_has_a_margin() {
        const GIB: u64 = 1 << 30;
        let maps = [
            0..GIB,
            4 * GIB..5 * GIB,
            5 * GIB + 4096..6 * GIB,
            9 * GIB..10 * GIB,
        ];
        let size = GIB / 2;
        let below = nearest_gap(&maps, 4 * GIB + 5, size, 2 * GIB);
        assert_eq!(below, Some(4 * GIB - (16 << 20) - size));
        let above = nearest_gap(&maps, 6 * GIB - 5, size, 2 * GIB);
        assert_eq!(above, Some(6 * GIB + (16 << 20)));
        assert_eq!(nearest_gap(&maps, 12 * GIB, size, 2 * GIB), None);
    }

    #[test]
    fn a_small_hole_will_do_where_there_is_no_other() {
        // qemu has the executable, the heap, and 30 MiB above it the stack and the libraries.
        let heap_end = 0x55_00c0_9000;
        let stack = 0x55_02ba_4000;
        let maps = [0x55_0000_0000..heap_end, stack..0x55_4000_0000];
        let found = nearest_gap(&maps, 0x55_034b_0000, 0x1_0000, 256 << 20);
        assert_eq!(found, Some(stack - (1 << 20) - 0x1_0000));
    }
}
