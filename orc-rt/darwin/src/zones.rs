//! Zones of memory. All are the C library's one heap: who destroys a zone with blocks in it keeps their memory taken.
//!
//! Programs look into a zone and call what it leads to, so it has macOS's layout.

use core::ffi::{c_char, c_uint, c_void};

/// A zone (`malloc_zone_t`), as far as programs may look.
#[repr(C)]
pub struct Zone {
    reserved: [usize; 2],
    size: unsafe extern "C" fn(*mut Zone, *const c_void) -> usize,
    malloc: unsafe extern "C" fn(*mut Zone, usize) -> *mut c_void,
    calloc: unsafe extern "C" fn(*mut Zone, usize, usize) -> *mut c_void,
    valloc: unsafe extern "C" fn(*mut Zone, usize) -> *mut c_void,
    free: unsafe extern "C" fn(*mut Zone, *mut c_void),
    realloc: unsafe extern "C" fn(*mut Zone, *mut c_void, usize) -> *mut c_void,
    destroy: unsafe extern "C" fn(*mut Zone),
    name: *const c_char,
    /// Allocating several blocks at once, freeing several, and looking into the zone: none.
    batches_and_introspection: [usize; 3],
    /// Which of the members below are there.
    version: c_uint,
    memalign: unsafe extern "C" fn(*mut Zone, usize, usize) -> *mut c_void,
    free_definite_size: unsafe extern "C" fn(*mut Zone, *mut c_void, usize),
    /// Giving memory back, asking whose an address is, and what comes later: none.
    others: [usize; 2],
}

/// A version whose zones have no more than those members.
const VERSION: c_uint = 6;

const ZONE: Zone = Zone {
    reserved: [0; 2],
    size,
    malloc: __orc_rt_ext_darwin_malloc_zone_malloc,
    calloc: __orc_rt_ext_darwin_malloc_zone_calloc,
    valloc: __orc_rt_ext_darwin_malloc_zone_valloc,
    free: __orc_rt_ext_darwin_malloc_zone_free,
    realloc: __orc_rt_ext_darwin_malloc_zone_realloc,
    destroy: __orc_rt_ext_darwin_malloc_destroy_zone,
    name: core::ptr::null(),
    batches_and_introspection: [0; 3],
    version: VERSION,
    memalign: __orc_rt_ext_darwin_malloc_zone_memalign,
    free_definite_size,
    others: [0; 2],
};

/// A zone that programs may name.
struct Shared(core::cell::UnsafeCell<Zone>);

// SAFETY: nobody but the program writes to it, through the pointers that it gets.
unsafe impl Sync for Shared {}

/// The zone that is always there.
static DEFAULT: Shared = Shared(core::cell::UnsafeCell::new(ZONE));

unsafe extern "C" fn size(_: *mut Zone, block: *const c_void) -> usize {
    // SAFETY: the caller's block.
    unsafe { libc::malloc_usable_size(block.cast_mut()) }
}

unsafe extern "C" fn free_definite_size(_: *mut Zone, block: *mut c_void, _: usize) {
    // SAFETY: the caller's block.
    unsafe { libc::free(block) }
}

/// `malloc_default_zone`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_malloc_default_zone() -> *mut Zone {
    DEFAULT.0.get()
}

/// `malloc_create_zone`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_malloc_create_zone(_size: usize, _: c_uint) -> *mut Zone {
    // SAFETY: any size may be asked for; there is room for a zone then.
    unsafe {
        let zone: *mut Zone = libc::malloc(size_of::<Zone>()).cast();
        if !zone.is_null() {
            zone.write(ZONE);
        }
        zone
    }
}

/// `malloc_destroy_zone`.
///
/// # Safety
/// `zone` is from `malloc_create_zone`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_malloc_destroy_zone(zone: *mut Zone) {
    if zone != DEFAULT.0.get() {
        // SAFETY: the caller's zone.
        unsafe { libc::free(zone.cast()) }
    }
}

/// `malloc_set_zone_name`: zones keep no copy.
///
/// # Safety
/// `zone` is a zone, and `name` a C string that stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_malloc_set_zone_name(
    zone: *mut Zone,
    name: *const c_char,
) {
    // SAFETY: the caller's zone.
    unsafe { (&raw mut (*zone).name).write(name) };
}

/// `malloc_zone_malloc`.
///
/// # Safety
/// As for `malloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_malloc_zone_malloc(
    _: *mut Zone,
    size: usize,
) -> *mut c_void {
    // SAFETY: any size may be asked for.
    unsafe { libc::malloc(size) }
}

/// `malloc_zone_calloc`.
///
/// # Safety
/// As for `calloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_malloc_zone_calloc(
    _: *mut Zone,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: any size may be asked for.
    unsafe { libc::calloc(count, size) }
}

/// `malloc_zone_valloc`: a block that begins a page.
///
/// # Safety
/// As for `valloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_malloc_zone_valloc(
    zone: *mut Zone,
    size: usize,
) -> *mut c_void {
    /// Pages of macOS are as large as this on arm64.
    const PAGE: usize = 16384;
    // SAFETY: any size may be asked for.
    unsafe { __orc_rt_ext_darwin_malloc_zone_memalign(zone, PAGE, size) }
}

/// `malloc_zone_memalign`.
///
/// # Safety
/// As for `posix_memalign`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_malloc_zone_memalign(
    _: *mut Zone,
    align: usize,
    size: usize,
) -> *mut c_void {
    let mut block = core::ptr::null_mut();
    // SAFETY: the place is there; it stays null if there is no such block.
    unsafe { libc::posix_memalign(&raw mut block, align, size) };
    block
}

/// `malloc_zone_realloc`.
///
/// # Safety
/// As for `realloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_malloc_zone_realloc(
    _: *mut Zone,
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: the caller's block.
    unsafe { libc::realloc(block, size) }
}

/// `malloc_zone_free`.
///
/// # Safety
/// As for `free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_malloc_zone_free(_: *mut Zone, block: *mut c_void) {
    // SAFETY: the caller's block.
    unsafe { libc::free(block) }
}

/// `malloc_good_size`: how much a block of that size holds.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_malloc_good_size(size: usize) -> usize {
    size.checked_next_multiple_of(16).unwrap_or(size).max(16)
}

// Where programs expect the members.
const _: () = assert!(core::mem::offset_of!(Zone, size) == 16);
const _: () = assert!(core::mem::offset_of!(Zone, name) == 72);
const _: () = assert!(core::mem::offset_of!(Zone, version) == 104);
const _: () = assert!(core::mem::offset_of!(Zone, memalign) == 112);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_used_through_functions_and_through_what_they_lead_to() {
        let zone = __orc_rt_ext_darwin_malloc_create_zone(4096, 0);
        // SAFETY: a zone, and blocks of it.
        unsafe {
            __orc_rt_ext_darwin_malloc_set_zone_name(zone, c"own".as_ptr());
            let block = ((*zone).malloc)(zone, 100);
            assert!(((*zone).size)(zone, block) >= 100);
            let block = __orc_rt_ext_darwin_malloc_zone_realloc(zone, block, 1000);
            assert!(((*zone).size)(zone, block) >= 1000);
            __orc_rt_ext_darwin_malloc_zone_free(zone, block);
            let page = ((*zone).valloc)(zone, 1);
            assert_eq!(page.addr() % 4096, 0);
            ((*zone).free_definite_size)(zone, page, 1);
            ((*zone).destroy)(zone);
            let default = __orc_rt_ext_darwin_malloc_default_zone();
            ((*default).destroy)(default);
            assert!(!__orc_rt_ext_darwin_malloc_zone_calloc(default, 1, 1).is_null());
        }
    }
}
