//! Times of files: microseconds have 4 bytes in macOS's `struct timeval`, and 8 here.

use core::ffi::{c_char, c_int};

/// `struct timeval` of macOS.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Time {
    seconds: i64,
    microseconds: i32,
}

/// What two of them are here.
///
/// # Safety
/// There are two, or `times` is null.
unsafe fn own_times(times: *const Time) -> Option<[libc::timeval; 2]> {
    let own = |time: Time| libc::timeval {
        tv_sec: time.seconds,
        tv_usec: time.microseconds.into(),
    };
    // SAFETY: the caller's times.
    let read = || unsafe { [own(times.read()), own(times.add(1).read())] };
    (!times.is_null()).then(read)
}

fn first(times: &Option<[libc::timeval; 2]>) -> *const libc::timeval {
    times.as_ref().map_or(core::ptr::null(), |it| it.as_ptr())
}

/// `utimes`.
///
/// # Safety
/// As for `utimes`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_utimes(
    path: *const c_char,
    times: *const Time,
) -> c_int {
    // SAFETY: the caller's path and times.
    unsafe { libc::utimes(path, first(&own_times(times))) }
}

/// `futimes`.
///
/// # Safety
/// As for `futimes`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_futimes(file: c_int, times: *const Time) -> c_int {
    // SAFETY: the caller's times.
    unsafe { libc::futimes(file, first(&own_times(times))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_behind_microseconds_mean_nothing() {
        let mut raw = [0x55u8; 32];
        for (number, value) in (0i64..).zip([7i64, 9]) {
            let at = 16 * number as usize;
            raw[at..at + 8].copy_from_slice(&value.to_ne_bytes());
            raw[at + 8..at + 12].copy_from_slice(&(number as i32).to_ne_bytes());
        }
        // SAFETY: two times.
        let own = unsafe { own_times(raw.as_ptr().cast()) }.expect("there are two");
        assert_eq!((own[0].tv_sec, own[0].tv_usec), (7, 0));
        assert_eq!((own[1].tv_sec, own[1].tv_usec), (9, 1));
        // SAFETY: none.
        assert!(unsafe { own_times(core::ptr::null()) }.is_none());
    }
}
