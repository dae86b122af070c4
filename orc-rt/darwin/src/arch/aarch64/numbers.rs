//! Functions with a `long double` that have no like for `double`.

use core::cmp::Ordering;
use core::ffi::{c_char, c_double, c_float};

use crate::locale::{Locale, or_c_locale};

unsafe extern "C" {
    fn strtod_l(text: *const c_char, end: *mut *mut c_char, locale: Locale) -> c_double;
}

/// `nexttowardf`: the next number towards one that has more digits.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_nexttowardf(from: c_float, to: c_double) -> c_float {
    match c_double::from(from).partial_cmp(&to) {
        Some(Ordering::Less) => from.next_up(),
        Some(Ordering::Greater) => from.next_down(),
        // A zero has the sign of the other.
        Some(Ordering::Equal) => to as c_float,
        None => c_float::NAN,
    }
}

/// `strtold_l`; a null pointer is the locale "C".
///
/// # Safety
/// As for `strtod_l`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_strtold_l(
    text: *const c_char,
    end: *mut *mut c_char,
    locale: Locale,
) -> c_double {
    // SAFETY: the caller's.
    unsafe { strtod_l(text, end, or_c_locale(locale)) }
}
