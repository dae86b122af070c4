//! `pthread_create` with a small stack.
//!
//! The C library puts a thread's thread-locals on its stack, and refuses stacks without room for them.
//! Here they are those of the program and, beside these, what this process keeps free for linked code
//! that is yet to come. So a stack that is made for the thread gets more room. One that the program has made
//! cannot.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use crate::host::loader::lookup;

/// Stacks of this size have room enough.
const LARGE: usize = 1 << 20;

type Start = extern "C" fn(*mut c_void) -> *mut c_void;

/// The stand-in for a function of this name.
pub(super) fn stand_in(name: &[u8]) -> Option<*const ()> {
    if name != b"pthread_create" {
        return None;
    }
    // Asks the loader, which the program's thread might not be able to.
    room();
    Some(pthread_create as *const ())
}

/// Bytes that thread-locals take of a stack.
fn room() -> usize {
    static ROOM: OnceLock<usize> = OnceLock::new();
    *ROOM.get_or_init(|| {
        // What glibc tells Java's and Rust's runtimes: this size, a page, and `PTHREAD_STACK_MIN`.
        let Some(function) = lookup(c"__pthread_get_minstack", None) else {
            return 0;
        };
        let function = std::ptr::with_exposed_provenance::<()>(function as usize);
        // SAFETY: the function of this name takes attributes, which it does not look at, and returns a size.
        let function: extern "C" fn(*const libc::pthread_attr_t) -> libc::size_t =
            unsafe { std::mem::transmute(function) };
        let rest = libc::PTHREAD_STACK_MIN + crate::host::pages::page_size() as usize;
        function(std::ptr::null()).saturating_sub(rest)
    })
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: the caller passes null or attributes that are initialized.
    let larger = unsafe { attributes.as_ref() }.and_then(with_more_room);
    let attributes = larger.as_ref().map_or(attributes, std::ptr::from_ref);
    // SAFETY: the caller's promise; the copy of the attributes refers to what the original does, which
    // outlives the call.
    unsafe { libc::pthread_create(thread, attributes, start, argument) }
}

/// The attributes with a larger stack; `None` if the stack is large, or the program's own.
fn with_more_room(attributes: &libc::pthread_attr_t) -> Option<libc::pthread_attr_t> {
    let (mut addr, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes are initialized, the places valid.
    let known = unsafe { libc::pthread_attr_getstack(attributes, &raw mut addr, &raw mut size) };
    // The C library has the stack's upper end, or null.
    let is_own = addr.addr().wrapping_add(size) != 0;
    // Nobody has set a size of zero: it stands for the default.
    if known != 0 || is_own || size == 0 || size >= LARGE {
        return None;
    }
    let mut larger = *attributes;
    // SAFETY: a copy; the call changes a number in it.
    let set = unsafe { libc::pthread_attr_setstacksize(&raw mut larger, size + room()) };
    (set == 0).then_some(larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program may make its stacks of: 16 KiB, or more where the system wants that.
    const SMALL: usize = libc::PTHREAD_STACK_MIN;

    #[test]
    fn only_stacks_that_are_made_are_enlarged() {
        // SAFETY: initialized before it is used; the stack lives longer than what refers to it.
        unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            libc::pthread_attr_init(&raw mut attributes);
            assert!(with_more_room(&attributes).is_none(), "large by default");
            libc::pthread_attr_setstacksize(&raw mut attributes, SMALL);
            let larger = with_more_room(&attributes).expect("small");
            let mut size = 0;
            libc::pthread_attr_getstacksize(&raw const larger, &raw mut size);
            assert_eq!(size, SMALL + room());
            let mut stack = vec![0_u8; 4 * SMALL];
            let start = stack.as_mut_ptr().cast();
            libc::pthread_attr_setstack(&raw mut attributes, start, stack.len());
            assert!(with_more_room(&attributes).is_none(), "its own");
            libc::pthread_attr_destroy(&raw mut attributes);
        }
    }
}
