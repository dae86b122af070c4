//! Locales. On macOS, a null pointer is the locale "C", categories have other numbers, and many functions of the C
//! library have a variant that takes a locale.

use core::ffi::{c_char, c_double, c_float, c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A `locale_t`.
pub type Locale = *mut c_void;

unsafe extern "C" {
    fn newlocale(mask: c_int, name: *const c_char, base: Locale) -> Locale;
    fn freelocale(locale: Locale);
    fn uselocale(locale: Locale) -> Locale;
    fn setlocale(category: c_int, name: *const c_char) -> *mut c_char;
    fn __ctype_get_mb_cur_max() -> usize;
}

/// Per category of macOS, from `LC_ALL` (0) on: the number here.
const CATEGORIES: [c_int; 7] = [6, 3, 0, 4, 1, 2, 5];

/// Bits of masks, in the order of macOS: collate, ctype, messages, monetary, numeric, time.
const BITS: [c_int; 6] = [3, 0, 5, 4, 1, 2];

/// The locale, or "C" for a null pointer.
pub fn or_c_locale(locale: Locale) -> Locale {
    static C: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
    if !locale.is_null() {
        return locale;
    }
    let known = C.load(Ordering::Acquire);
    if !known.is_null() {
        return known;
    }
    // SAFETY: the name is a C string; glibc's "C" is a constant, and takes no memory.
    let made = unsafe { newlocale((1 << 6) - 1, c"C".as_ptr(), null_mut()) };
    C.store(made, Ordering::Release);
    made
}

/// The thread's locale is another one until this is dropped.
pub struct InLocale(Locale);

impl InLocale {
    /// Enters a locale; null is "C".
    ///
    /// # Safety
    /// It is null or a locale.
    pub unsafe fn enter(locale: Locale) -> Self {
        // SAFETY: the caller has a locale.
        Self(unsafe { uselocale(or_c_locale(locale)) })
    }
}

impl Drop for InLocale {
    fn drop(&mut self) {
        // SAFETY: it was the thread's before.
        unsafe { uselocale(self.0) };
    }
}

/// `newlocale`.
///
/// # Safety
/// As for `newlocale`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_newlocale(
    mask: c_int,
    name: *const c_char,
    base: Locale,
) -> Locale {
    let mut own = 0;
    for (bit, here) in BITS.into_iter().enumerate() {
        own |= (mask >> bit & 1) << here;
    }
    // SAFETY: the caller's arguments but for the mask.
    unsafe { newlocale(own, name, base) }
}

/// `freelocale`.
///
/// # Safety
/// As for `freelocale`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_freelocale(locale: Locale) {
    if !locale.is_null() {
        // SAFETY: the caller gives up its locale.
        unsafe { freelocale(locale) };
    }
}

/// `setlocale`.
///
/// # Safety
/// As for `setlocale`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_setlocale(
    category: c_int,
    name: *const c_char,
) -> *mut c_char {
    let category = usize::try_from(category).ok();
    match category.and_then(|category| CATEGORIES.get(category)) {
        // SAFETY: the caller's name.
        Some(category) => unsafe { setlocale(*category, name) },
        None => null_mut(),
    }
}

/// `____mb_cur_max_l`.
///
/// # Safety
/// `locale` is null or a locale.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_mb_cur_max_l(locale: Locale) -> c_int {
    // SAFETY: the caller's locale.
    let _entered = unsafe { InLocale::enter(locale) };
    // SAFETY: may be asked anywhere.
    unsafe { __ctype_get_mb_cur_max() as c_int }
}

/// Functions that have no variant with a locale here: they are called in the locale.
macro_rules! in_locale {
    ($($symbol:ident = $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        unsafe extern "C" {
            $(fn $name($($argument: $type),*) -> $result;)*
        }
        $(
            /// The C library's function, in a locale.
            ///
            /// # Safety
            /// As for the function; `locale` is null or a locale.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $symbol($($argument: $type,)* locale: Locale) -> $result {
                // SAFETY: the caller's locale.
                let _entered = unsafe { InLocale::enter(locale) };
                // SAFETY: the caller's arguments.
                unsafe { $name($($argument),*) }
            }
        )*
    };
}

in_locale! {
    __orc_rt_ext_darwin_btowc_l = btowc(byte: c_int) -> c_int;
    __orc_rt_ext_darwin_wctob_l = wctob(character: c_int) -> c_int;
    __orc_rt_ext_darwin_mbrlen_l = mbrlen(text: *const c_char, size: usize, state: *mut c_void) -> usize;
    __orc_rt_ext_darwin_mbrtowc_l =
        mbrtowc(to: *mut c_int, text: *const c_char, size: usize, state: *mut c_void) -> usize;
    __orc_rt_ext_darwin_wcrtomb_l = wcrtomb(to: *mut c_char, character: c_int, state: *mut c_void) -> usize;
    __orc_rt_ext_darwin_mbtowc_l = mbtowc(to: *mut c_int, text: *const c_char, size: usize) -> c_int;
    __orc_rt_ext_darwin_mbsrtowcs_l =
        mbsrtowcs(to: *mut c_int, from: *mut *const c_char, size: usize, state: *mut c_void) -> usize;
    __orc_rt_ext_darwin_mbsnrtowcs_l =
        mbsnrtowcs(to: *mut c_int, from: *mut *const c_char, bytes: usize, size: usize, state: *mut c_void) -> usize;
    __orc_rt_ext_darwin_wcsnrtombs_l =
        wcsnrtombs(to: *mut c_char, from: *mut *const c_int, count: usize, size: usize, state: *mut c_void) -> usize;
    __orc_rt_ext_darwin_localeconv_l = localeconv() -> *mut c_void;
}

/// Functions that have the variant, but do not take a null pointer for "C".
macro_rules! with_locale {
    ($($symbol:ident = $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        unsafe extern "C" {
            $(fn $name($($argument: $type,)* locale: Locale) -> $result;)*
        }
        $(
            /// The C library's function; a null pointer is the locale "C".
            ///
            /// # Safety
            /// As for the function; `locale` is null or a locale.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $symbol($($argument: $type,)* locale: Locale) -> $result {
                // SAFETY: the caller's arguments.
                unsafe { $name($($argument,)* or_c_locale(locale)) }
            }
        )*
    };
}

with_locale! {
    __orc_rt_ext_darwin_strtod_l = strtod_l(text: *const c_char, end: *mut *mut c_char) -> c_double;
    __orc_rt_ext_darwin_strtof_l = strtof_l(text: *const c_char, end: *mut *mut c_char) -> c_float;
    __orc_rt_ext_darwin_strcoll_l = strcoll_l(one: *const c_char, other: *const c_char) -> c_int;
    __orc_rt_ext_darwin_strxfrm_l = strxfrm_l(to: *mut c_char, from: *const c_char, size: usize) -> usize;
    __orc_rt_ext_darwin_wcscoll_l = wcscoll_l(one: *const c_int, other: *const c_int) -> c_int;
    __orc_rt_ext_darwin_wcsxfrm_l = wcsxfrm_l(to: *mut c_int, from: *const c_int, size: usize) -> usize;
    __orc_rt_ext_darwin_strftime_l =
        strftime_l(to: *mut c_char, size: usize, format: *const c_char, time: *const c_void) -> usize;
}
