//! `printf`, `scanf` and all that have a format like theirs. Those that take a list have macOS's, and make one of Linux;
//! those that take any number of arguments call them.

use core::ffi::{c_char, c_int, c_void};

use crate::arch::call_with_list;
use crate::format::Format;

/// A list of arguments of Linux.
#[repr(C)]
pub struct List {
    stack: *mut c_void,
    /// Ends of the areas with saved registers, and how far before them the next ones are.
    areas: [*mut c_void; 2],
    offsets: [c_int; 2],
}

impl List {
    /// The same arguments as one of macOS: the address of the first.
    fn of(arguments: *mut c_void) -> Self {
        Self {
            stack: arguments,
            areas: [core::ptr::null_mut(); 2],
            offsets: [0; 2],
        }
    }
}

/// Functions that take a list; beside each, the function that makes a list of its arguments, and how many named ones
/// that has.
macro_rules! formatted {
    ($($name:ident $symbol:literal, $variadic:ident $count:tt =
        ($($argument:ident: $type:ty),*; $character:ty);)*) => {$(
        /// The C library's function, for a list of macOS. -1 without memory, as for other errors.
        ///
        /// # Safety
        /// As for the function.
        #[unsafe(export_name = $symbol)]
        pub unsafe extern "C" fn $name(
            $($argument: $type,)*
            format: *const $character,
            arguments: *mut c_void,
        ) -> c_int {
            unsafe extern "C" {
                fn $name($($argument: $type,)* format: *const $character, list: *mut List) -> c_int;
            }
            let mut list = List::of(arguments);
            // SAFETY: the caller's arguments; the format and the list live as long as the call.
            unsafe {
                match Format::new(format) {
                    Some(format) => $name($($argument,)* format.text(), &raw mut list),
                    None => -1,
                }
            }
        }

        /// The same, for the arguments behind the named ones.
        ///
        /// # Safety
        /// As for the function.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $variadic() -> c_int {
            call_with_list!($count, $name)
        }
    )*};
}

formatted! {
    __vsnprintf_chk "__orc_rt_ext_darwin_vsnprintf_chk", __orc_rt_ext_darwin_snprintf_chk 5 =
        (to: *mut c_char, size: usize, flag: c_int, room: usize; c_char);
    __vsprintf_chk "__orc_rt_ext_darwin_vsprintf_chk", __orc_rt_ext_darwin_sprintf_chk 4 =
        (to: *mut c_char, flag: c_int, room: usize; c_char);
    vasprintf "__orc_rt_ext_darwin_vasprintf", __orc_rt_ext_darwin_asprintf 2 = (to: *mut *mut c_char; c_char);
    vdprintf "__orc_rt_ext_darwin_vdprintf", __orc_rt_ext_darwin_dprintf 2 = (file: c_int; c_char);
    verr "__orc_rt_ext_darwin_verr", __orc_rt_ext_darwin_err 2 = (status: c_int; c_char);
    verrx "__orc_rt_ext_darwin_verrx", __orc_rt_ext_darwin_errx 2 = (status: c_int; c_char);
    vfprintf "__orc_rt_ext_darwin_vfprintf", __orc_rt_ext_darwin_fprintf 2 = (file: *mut c_void; c_char);
    vfscanf "__orc_rt_ext_darwin_vfscanf", __orc_rt_ext_darwin_fscanf 2 = (file: *mut c_void; c_char);
    vfwprintf "__orc_rt_ext_darwin_vfwprintf", __orc_rt_ext_darwin_fwprintf 2 = (file: *mut c_void; c_int);
    vfwscanf "__orc_rt_ext_darwin_vfwscanf", __orc_rt_ext_darwin_fwscanf 2 = (file: *mut c_void; c_int);
    vprintf "__orc_rt_ext_darwin_vprintf", __orc_rt_ext_darwin_printf 1 = (; c_char);
    vscanf "__orc_rt_ext_darwin_vscanf", __orc_rt_ext_darwin_scanf 1 = (; c_char);
    vsnprintf "__orc_rt_ext_darwin_vsnprintf", __orc_rt_ext_darwin_snprintf 3 =
        (to: *mut c_char, size: usize; c_char);
    vsprintf "__orc_rt_ext_darwin_vsprintf", __orc_rt_ext_darwin_sprintf 2 = (to: *mut c_char; c_char);
    vsscanf "__orc_rt_ext_darwin_vsscanf", __orc_rt_ext_darwin_sscanf 2 = (text: *const c_char; c_char);
    vswprintf "__orc_rt_ext_darwin_vswprintf", __orc_rt_ext_darwin_swprintf 3 =
        (to: *mut c_int, size: usize; c_int);
    vswscanf "__orc_rt_ext_darwin_vswscanf", __orc_rt_ext_darwin_swscanf 2 = (text: *const c_int; c_int);
    vsyslog "__orc_rt_ext_darwin_vsyslog", __orc_rt_ext_darwin_syslog 2 = (priority: c_int; c_char);
    vwarn "__orc_rt_ext_darwin_vwarn", __orc_rt_ext_darwin_warn 1 = (; c_char);
    vwarnx "__orc_rt_ext_darwin_vwarnx", __orc_rt_ext_darwin_warnx 1 = (; c_char);
    vwprintf "__orc_rt_ext_darwin_vwprintf", __orc_rt_ext_darwin_wprintf 1 = (; c_int);
    vwscanf "__orc_rt_ext_darwin_vwscanf", __orc_rt_ext_darwin_wscanf 1 = (; c_int);
}
