//! System calls and programs with any number of arguments.

use core::ffi::{c_char, c_int, c_void};

use crate::arch::{call_with_list, last_arguments};

/// `ioctl`.
///
/// # Safety
/// As for `ioctl`.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_ioctl() -> c_int {
    unsafe extern "C" {
        fn ioctl();
    }
    last_arguments!(2, ioctl)
}

/// Arguments of a program, and what comes behind their end.
type Arguments = *const *const c_char;

/// A function that becomes a program.
macro_rules! becomes_program {
    ($($symbol:ident, $list:ident = $run:expr;)*) => {$(
        /// Becomes a program, with the arguments behind its path.
        ///
        /// # Safety
        /// As for the function.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $symbol() -> c_int {
            call_with_list!(2, $list)
        }

        unsafe extern "C" fn $list(path: *const c_char, first: *const c_char, rest: Arguments) -> c_int {
            // SAFETY: the caller's arguments, of which the last is null.
            unsafe { with_arguments(first, rest, |all, after| $run(path, all, after)) }
        }
    )*};
}

becomes_program! {
    __orc_rt_ext_darwin_execl, execl = |path, all, _| libc::execv(path, all);
    __orc_rt_ext_darwin_execle, execle = |path, all, after: *const c_void| {
        libc::execve(path, all, after.cast::<Arguments>().read())
    };
    __orc_rt_ext_darwin_execlp, execlp = |path, all, _| libc::execvp(path, all);
}

/// Calls `run` with an array of the first argument and the rest, and the place behind the null pointer that ends them.
///
/// # Safety
/// The rest ends with a null pointer, unless the first is one.
unsafe fn with_arguments(
    first: *const c_char,
    rest: Arguments,
    run: impl FnOnce(Arguments, *const c_void) -> c_int,
) -> c_int {
    // SAFETY: the caller's; the array has room for the first, the rest, and the null pointer.
    unsafe {
        let mut count = 0;
        while !first.is_null() && !rest.add(count).read().is_null() {
            count += 1;
        }
        let all: *mut *const c_char = libc::malloc((count + 2) * size_of::<Arguments>()).cast();
        if all.is_null() {
            return -1;
        }
        all.write(first);
        core::ptr::copy_nonoverlapping(rest, all.add(1), count);
        all.add(count + 1).write(core::ptr::null());
        let after = rest.add(count + usize::from(!first.is_null()));
        let status = run(all, after.cast());
        // It has not become the program.
        libc::free(all.cast());
        status
    }
}
