//! What programs ask macOS of itself and of the machine.

use core::ffi::{CStr, c_char, c_int, c_ulong, c_void};

/// `ENOENT` and `ENOMEM`: the same numbers.
const UNKNOWN: c_int = libc::ENOENT;
const NO_ROOM: c_int = libc::ENOMEM;

/// An answer of `sysctl`.
#[derive(Clone, Copy)]
enum Answer {
    /// In 4 bytes.
    Word(fn() -> u64),
    /// In 8 bytes.
    Long(fn() -> u64),
}

/// What `sysctlbyname` knows. Whether a CPU has some instructions (`hw.optional`) is not among it: programs do
/// without them then.
const BY_NAME: [(&CStr, Answer); 9] = [
    (c"hw.activecpu", Answer::Word(processors)),
    (c"hw.availcpu", Answer::Word(processors)),
    (c"hw.cachelinesize", Answer::Long(|| 64)),
    (c"hw.logicalcpu", Answer::Word(processors)),
    (c"hw.logicalcpu_max", Answer::Word(processors)),
    (c"hw.memsize", Answer::Long(memory)),
    (c"hw.ncpu", Answer::Word(processors)),
    (c"hw.pagesize", Answer::Long(page)),
    (c"hw.physicalcpu", Answer::Word(processors)),
];

/// `CTL_HW`, and what `sysctl` knows of it.
const HARDWARE: c_int = 6;
const BY_NUMBER: [(c_int, Answer); 4] = [
    (3, Answer::Word(processors)),
    (7, Answer::Word(page)),
    (24, Answer::Long(memory)),
    (25, Answer::Word(processors)),
];

fn limit(name: c_int) -> u64 {
    // SAFETY: any number may be asked for.
    let limit = unsafe { libc::sysconf(name) };
    u64::try_from(limit).unwrap_or(0)
}

fn processors() -> u64 {
    limit(libc::_SC_NPROCESSORS_ONLN)
}

fn page() -> u64 {
    limit(libc::_SC_PAGESIZE)
}

fn memory() -> u64 {
    limit(libc::_SC_PHYS_PAGES).saturating_mul(page())
}

fn fail(error: c_int) -> c_int {
    // SAFETY: the C library's variable of this thread.
    unsafe { libc::__errno_location().write(error) };
    -1
}

/// Writes an answer where the caller wants it, with its size.
///
/// # Safety
/// `to`, if it is not null, has as many bytes as `size` says.
unsafe fn answer(answer: Option<Answer>, to: *mut c_void, size: *mut usize) -> c_int {
    let (bytes, length) = match answer {
        None => return fail(UNKNOWN),
        Some(Answer::Word(value)) => (value().to_ne_bytes(), 4),
        Some(Answer::Long(value)) => (value().to_ne_bytes(), 8),
    };
    // SAFETY: the caller's places; no more is written than there is room for.
    unsafe {
        let room = if size.is_null() { 0 } else { size.read() };
        if !size.is_null() {
            size.write(length);
        }
        if to.is_null() {
            return 0;
        }
        if room < length {
            return fail(NO_ROOM);
        }
        // The lower half of a small number comes first.
        core::ptr::copy_nonoverlapping(bytes.as_ptr(), to.cast(), length);
    }
    0
}

/// `sysctlbyname`. Nothing can be changed.
///
/// # Safety
/// As for `sysctlbyname`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_sysctlbyname(
    name: *const c_char,
    to: *mut c_void,
    size: *mut usize,
    new: *const c_void,
    _new_size: usize,
) -> c_int {
    if !new.is_null() {
        return fail(libc::EPERM);
    }
    // SAFETY: the caller's name and places.
    unsafe {
        let name = CStr::from_ptr(name);
        let known = BY_NAME.iter().find(|(known, _)| *known == name);
        answer(known.map(|(_, answer)| *answer), to, size)
    }
}

/// `sysctl`. Nothing can be changed.
///
/// # Safety
/// As for `sysctl`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_sysctl(
    numbers: *const c_int,
    count: u32,
    to: *mut c_void,
    size: *mut usize,
    new: *const c_void,
    _new_size: usize,
) -> c_int {
    if !new.is_null() {
        return fail(libc::EPERM);
    }
    if count != 2 {
        return fail(UNKNOWN);
    }
    // SAFETY: the caller's numbers and places.
    unsafe {
        let (group, number) = (numbers.read(), numbers.add(1).read());
        let mut known = BY_NUMBER.iter();
        let known = known.find(|(known, _)| group == HARDWARE && *known == number);
        answer(known.map(|(_, answer)| *answer), to, size)
    }
}

/// `gethostuuid`: the machine has no such name.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_gethostuuid(
    _to: *mut [u8; 16],
    _wait: *const c_void,
) -> c_int {
    fail(libc::ENOSYS)
}

/// `fsctl`: file systems have none of macOS's commands.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_fsctl(
    _path: *const c_char,
    _request: c_ulong,
    _data: *mut c_void,
    _options: u32,
) -> c_int {
    fail(libc::ENOTTY)
}

/// `srandomdev`: the numbers of `random` begin anywhere.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_srandomdev() {
    let mut seed = [0u8; 4];
    // SAFETY: the place has four bytes; the numbers of `random` may begin with any.
    unsafe {
        libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0);
        // The same in this C library.
        libc::srand(u32::from_ne_bytes(seed));
    }
}

/// Questions of `confstr`: macOS's, ours.
const TEXTS: [(c_int, c_int); 1] = [(1, libc::_CS_PATH)];

/// `confstr`. Directories for temporary files (`_CS_DARWIN_USER_TEMP_DIR`) are not known.
///
/// # Safety
/// As for `confstr`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_confstr(
    name: c_int,
    to: *mut c_char,
    size: usize,
) -> usize {
    let known = TEXTS.iter().find(|(theirs, _)| *theirs == name);
    // SAFETY: the caller's place; -1 is no question.
    unsafe { libc::confstr(known.map_or(-1, |(_, own)| *own), to, size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_of_the_machine_are_answered_in_the_size_they_have() {
        let ask = |name: &CStr, bytes: &mut [u8]| {
            let mut size = bytes.len();
            let to = bytes.as_mut_ptr().cast();
            let none = core::ptr::null();
            // SAFETY: the places are there.
            let status = unsafe {
                __orc_rt_ext_darwin_sysctlbyname(name.as_ptr(), to, &raw mut size, none, 0)
            };
            (status, size)
        };
        let (mut word, mut long) = ([0; 4], [0; 8]);
        assert_eq!(ask(c"hw.ncpu", &mut word), (0, 4));
        assert_eq!(u64::from(u32::from_ne_bytes(word)), processors());
        assert_eq!(ask(c"hw.memsize", &mut long), (0, 8));
        assert!(u64::from_ne_bytes(long) > 1 << 20);
        assert_eq!(ask(c"hw.memsize", &mut word), (-1, 8), "no room");
        assert_eq!(ask(c"hw.optional.arm.FEAT_SHA3", &mut word).0, -1);
        let numbers = [HARDWARE, 7];
        let mut size = 4;
        let (to, none) = (word.as_mut_ptr().cast(), core::ptr::null());
        // SAFETY: the places are there.
        let status =
            unsafe { __orc_rt_ext_darwin_sysctl(numbers.as_ptr(), 2, to, &raw mut size, none, 0) };
        assert_eq!((status, u64::from(u32::from_ne_bytes(word))), (0, page()));
    }
}
