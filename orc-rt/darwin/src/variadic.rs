//! Functions with any number of arguments that are here on every CPU: those with a locale, which on macOS comes before the
//! format, and those whose last arguments are there or not.

use core::ffi::{c_char, c_int, c_void};

use crate::arch::{call_with_list, last_arguments, v_functions};
use crate::files;
use crate::locale::{InLocale, Locale};

/// Functions that take a list, in a locale; beside each, the function that makes a list of its arguments, and how many
/// named ones that has.
macro_rules! in_locale {
    ($($symbol:ident, $variadic:ident $count:tt =
        $name:ident($($argument:ident: $type:ty),*; $character:ty);)*) => {$(
        /// The C library's function, in a locale.
        ///
        /// # Safety
        /// As for the function; `locale` is null or a locale.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $symbol(
            $($argument: $type,)*
            locale: Locale,
            format: *const $character,
            list: *mut c_void,
        ) -> c_int {
            // SAFETY: the caller's locale.
            let _entered = unsafe { InLocale::enter(locale) };
            // SAFETY: the caller's arguments.
            unsafe { v_functions::$name($($argument,)* format, list) }
        }

        /// The same, for the arguments behind the named ones.
        ///
        /// # Safety
        /// As for the function; `locale` is null or a locale.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $variadic() -> c_int {
            call_with_list!($count, $symbol)
        }
    )*};
}

in_locale! {
    __orc_rt_ext_darwin_vasprintf_l, __orc_rt_ext_darwin_asprintf_l 3 = vasprintf(to: *mut *mut c_char; c_char);
    __orc_rt_ext_darwin_vdprintf_l, __orc_rt_ext_darwin_dprintf_l 3 = vdprintf(file: c_int; c_char);
    __orc_rt_ext_darwin_vfprintf_l, __orc_rt_ext_darwin_fprintf_l 3 = vfprintf(file: *mut c_void; c_char);
    __orc_rt_ext_darwin_vfscanf_l, __orc_rt_ext_darwin_fscanf_l 3 = vfscanf(file: *mut c_void; c_char);
    __orc_rt_ext_darwin_vfwprintf_l, __orc_rt_ext_darwin_fwprintf_l 3 = vfwprintf(file: *mut c_void; c_int);
    __orc_rt_ext_darwin_vfwscanf_l, __orc_rt_ext_darwin_fwscanf_l 3 = vfwscanf(file: *mut c_void; c_int);
    __orc_rt_ext_darwin_vprintf_l, __orc_rt_ext_darwin_printf_l 2 = vprintf(; c_char);
    __orc_rt_ext_darwin_vscanf_l, __orc_rt_ext_darwin_scanf_l 2 = vscanf(; c_char);
    __orc_rt_ext_darwin_vsnprintf_l, __orc_rt_ext_darwin_snprintf_l 4 = vsnprintf(to: *mut c_char, size: usize; c_char);
    __orc_rt_ext_darwin_vsprintf_l, __orc_rt_ext_darwin_sprintf_l 3 = vsprintf(to: *mut c_char; c_char);
    __orc_rt_ext_darwin_vsscanf_l, __orc_rt_ext_darwin_sscanf_l 3 = vsscanf(text: *const c_char; c_char);
    __orc_rt_ext_darwin_vswprintf_l, __orc_rt_ext_darwin_swprintf_l 4 = vswprintf(to: *mut c_int, size: usize; c_int);
    __orc_rt_ext_darwin_vswscanf_l, __orc_rt_ext_darwin_swscanf_l 3 = vswscanf(text: *const c_int; c_int);
    __orc_rt_ext_darwin_vwprintf_l, __orc_rt_ext_darwin_wprintf_l 2 = vwprintf(; c_int);
    __orc_rt_ext_darwin_vwscanf_l, __orc_rt_ext_darwin_wscanf_l 2 = vwscanf(; c_int);
}

/// Functions whose last arguments are there or not, and the number of the first of those.
macro_rules! with_last_arguments {
    ($($symbol:ident = $first:tt, $target:path;)*) => {$(
        /// The function, whose last arguments are there or not.
        ///
        /// # Safety
        /// As for the function.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $symbol() -> c_int {
            last_arguments!($first, $target)
        }
    )*};
}

with_last_arguments! {
    __orc_rt_ext_darwin_fcntl = 2, files::fcntl;
    __orc_rt_ext_darwin_open = 2, files::open;
    __orc_rt_ext_darwin_openat = 3, files::openat;
    __orc_rt_ext_darwin_sem_open = 2, files::sem_open;
    __orc_rt_ext_darwin_shm_open = 2, files::shm_open;
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_all_kinds_arrive() {
        type Print = unsafe extern "C" fn(*mut c_char, usize, Locale, *const c_char, ...) -> c_int;
        // SAFETY: such a function takes any number of arguments.
        let print: Print =
            unsafe { core::mem::transmute(__orc_rt_ext_darwin_snprintf_l as *const ()) };
        let mut to = [0; 64];
        let format = c"%d %s %.1f %d %d %d %.2f";
        // SAFETY: the arguments are those that the format says.
        let length = unsafe {
            print(
                to.as_mut_ptr(),
                64,
                core::ptr::null_mut(),
                format.as_ptr(),
                1,
                c"two".as_ptr(),
                3.0,
                4,
                5,
                6,
                7.25,
            )
        };
        // SAFETY: a string was written.
        let text = unsafe { core::ffi::CStr::from_ptr(to.as_ptr()) };
        assert_eq!(text, c"1 two 3.0 4 5 6 7.25");
        assert_eq!(length, 20);
    }
}
