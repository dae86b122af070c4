//! Time, numbers, the process.

use core::ffi::{c_char, c_double, c_float, c_int, c_long, c_void};

/// Clocks: macOS's, ours.
const CLOCKS: [(c_int, c_int); 8] = [
    (0, libc::CLOCK_REALTIME),
    (4, libc::CLOCK_MONOTONIC_RAW),
    (5, libc::CLOCK_MONOTONIC_RAW),
    (6, libc::CLOCK_MONOTONIC),
    (8, libc::CLOCK_MONOTONIC),
    (9, libc::CLOCK_MONOTONIC),
    (12, libc::CLOCK_PROCESS_CPUTIME_ID),
    (16, libc::CLOCK_THREAD_CPUTIME_ID),
];

fn own_clock(clock: c_int) -> c_int {
    let known = CLOCKS.iter().find(|(theirs, _)| *theirs == clock);
    // No clock of the system has this number.
    known.map_or(c_int::MAX, |(_, ours)| *ours)
}

/// `clock_gettime`.
///
/// # Safety
/// As for `clock_gettime`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_clock_gettime(
    clock: c_int,
    to: *mut libc::timespec,
) -> c_int {
    // SAFETY: the caller's place.
    unsafe { libc::clock_gettime(own_clock(clock), to) }
}

/// `clock_getres`.
///
/// # Safety
/// As for `clock_getres`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_clock_getres(
    clock: c_int,
    to: *mut libc::timespec,
) -> c_int {
    // SAFETY: the caller's place.
    unsafe { libc::clock_getres(own_clock(clock), to) }
}

/// `clock_gettime_nsec_np`: nanoseconds, 0 for an unknown clock.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_clock_gettime_nsec_np(clock: c_int) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the place is there.
    unsafe { libc::clock_gettime(own_clock(clock), &raw mut time) };
    (time.tv_sec.cast_unsigned())
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec.cast_unsigned())
}

/// `mach_absolute_time`, in nanoseconds.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_mach_absolute_time() -> u64 {
    __orc_rt_ext_darwin_clock_gettime_nsec_np(8)
}

/// `mach_timebase_info`: a tick is a nanosecond.
///
/// # Safety
/// `to` has two words of 4 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_mach_timebase_info(to: *mut [u32; 2]) -> c_int {
    // SAFETY: the caller's place.
    unsafe { to.write([1, 1]) };
    0
}

/// Questions of `sysconf`: macOS's, ours.
const LIMITS: [(c_int, c_int); 9] = [
    (1, libc::_SC_ARG_MAX),
    (2, libc::_SC_CHILD_MAX),
    (3, libc::_SC_CLK_TCK),
    (4, libc::_SC_NGROUPS_MAX),
    (5, libc::_SC_OPEN_MAX),
    (29, libc::_SC_PAGESIZE),
    (57, libc::_SC_NPROCESSORS_CONF),
    (58, libc::_SC_NPROCESSORS_ONLN),
    (200, libc::_SC_PHYS_PAGES),
];

/// `sysconf`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_sysconf(name: c_int) -> c_long {
    let known = LIMITS.iter().find(|(theirs, _)| *theirs == name);
    // SAFETY: any number may be asked for; -1 is no question.
    unsafe { libc::sysconf(known.map_or(-1, |(_, ours)| *ours)) }
}

/// `__assert_rtn`: says which assertion failed, and aborts.
///
/// # Safety
/// The arguments are C strings; the function's name may be -1 for none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_assert_rtn(
    function: *const c_char,
    file: *const c_char,
    line: c_int,
    expression: *const c_char,
) -> ! {
    let none = usize::MAX;
    // SAFETY: the caller's strings; the process ends.
    unsafe {
        if function.addr() == none || function.is_null() {
            dprintf(
                2,
                c"Assertion failed: (%s), file %s, line %d.\n".as_ptr(),
                expression,
                file,
                line,
            );
        } else {
            let format = c"Assertion failed: (%s), function %s, file %s, line %d.\n";
            dprintf(2, format.as_ptr(), expression, function, file, line);
        }
        libc::abort()
    }
}

/// `__stack_chk_guard`: what functions with buffers put below their return address.
#[unsafe(no_mangle)]
pub static __orc_rt_ext_darwin_stack_chk_guard: usize = 0x00c0_dead_0a0d_ff00_u64 as usize;

/// `_NSGetEnviron`: the place of `environ`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_nsgetenviron() -> *mut c_void {
    // SAFETY: the name is a C string.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"environ".as_ptr()) }
}

/// `getprogname`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_getprogname() -> *const c_char {
    // SAFETY: the name is a C string, and the variable is a pointer to one.
    unsafe {
        let variable: *mut *const c_char = libc::dlsym(
            libc::RTLD_DEFAULT,
            c"program_invocation_short_name".as_ptr(),
        )
        .cast();
        if variable.is_null() {
            c"".as_ptr()
        } else {
            variable.read()
        }
    }
}

unsafe extern "C" {
    fn dprintf(file: c_int, format: *const c_char, ...) -> c_int;
}

/// What kind of number it is, as macOS numbers kinds.
fn kind_of(is_nan: bool, is_infinite: bool, is_zero: bool, is_normal: bool) -> c_int {
    match () {
        () if is_nan => 1,
        () if is_infinite => 2,
        () if is_zero => 3,
        () if is_normal => 4,
        () => 5,
    }
}

/// `__fpclassifyd`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_fpclassifyd(x: c_double) -> c_int {
    kind_of(x.is_nan(), x.is_infinite(), x == 0.0, x.is_normal())
}

/// `__fpclassifyf`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_fpclassifyf(x: c_float) -> c_int {
    kind_of(x.is_nan(), x.is_infinite(), x == 0.0, x.is_normal())
}

/// A function that compares two elements, with an argument in front.
type Compare = unsafe extern "C" fn(*mut c_void, *const c_void, *const c_void) -> c_int;

/// `qsort_r`: the argument comes before the function, in both.
///
/// # Safety
/// As for `qsort_r`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_qsort_r(
    base: *mut c_void,
    count: usize,
    size: usize,
    argument: *mut c_void,
    compare: Compare,
) {
    type Swapped = unsafe extern "C" fn(*const c_void, *const c_void, *mut c_void) -> c_int;
    unsafe extern "C" {
        fn qsort_r(
            base: *mut c_void,
            count: usize,
            size: usize,
            compare: Swapped,
            argument: *mut c_void,
        );
    }
    unsafe extern "C" fn swapped(
        one: *const c_void,
        other: *const c_void,
        pair: *mut c_void,
    ) -> c_int {
        let pair: *const (*mut c_void, Compare) = pair.cast_const().cast();
        // SAFETY: the pair below, which lives as long as the call.
        unsafe {
            let (argument, compare) = pair.read();
            compare(argument, one, other)
        }
    }
    let mut pair = (argument, compare);
    // SAFETY: the caller's array and function.
    unsafe { qsort_r(base, count, size, swapped, (&raw mut pair).cast()) };
}
