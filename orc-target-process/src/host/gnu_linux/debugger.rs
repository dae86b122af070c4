//! The interface through which debuggers learn of code that no file holds.
//!
//! A debugger looks for two symbols in the process: a list of object files in memory, and a function
//! in which it sets a breakpoint and which is called when the list changes (GDB manual, "JIT
//! Compilation Interface"). Several JITs of a process share them, so the ones that the
//! process exports are used; `orc-executor` exports them itself.

use std::ffi::CStr;
use std::sync::OnceLock;

use orc_shared::ExecutorAddrRange;
use parking_lot::Mutex;

use crate::host::loader::lookup;

const REGISTER: u32 = 1;

/// One object file. The list keeps it for good.
#[repr(C)]
struct Entry {
    next: *mut Entry,
    previous: *mut Entry,
    start: u64,
    size: u64,
}

/// The list, and what has changed in it.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut Entry,
    first: *mut Entry,
}

/// The two symbols.
struct Interface {
    descriptor: u64,
    notify: unsafe extern "C" fn(),
}

const DESCRIPTOR: &CStr = c"__jit_debug_descriptor";
const NOTIFY: &CStr = c"__jit_debug_register_code";

fn interface() -> Option<&'static Interface> {
    static FOUND: OnceLock<Option<Interface>> = OnceLock::new();
    let find = || {
        let descriptor = lookup(DESCRIPTOR, None).filter(|addr| *addr != 0)?;
        let notify = lookup(NOTIFY, None).filter(|addr| *addr != 0)?;
        // SAFETY: the interface says that this name is a function without arguments.
        let notify =
            unsafe { std::mem::transmute::<usize, unsafe extern "C" fn()>(notify as usize) };
        Some(Interface { descriptor, notify })
    };
    FOUND.get_or_init(find).as_ref()
}

/// Adds an object file to the list. It stays there, and its memory must, too.
pub(crate) fn register(object: ExecutorAddrRange, notify: bool) {
    static LIST: Mutex<()> = Mutex::new(());
    let Some(interface) = interface() else { return };
    let _lock = LIST.lock();
    let descriptor = interface.descriptor as *mut Descriptor;
    // SAFETY: the symbol is a descriptor by the interface; other JITs of this process change it under
    // locks of their own only, which nobody can take: that is how the interface is. Entries are never
    // freed.
    unsafe {
        let first = (*descriptor).first;
        let entry = Box::into_raw(Box::new(Entry {
            next: first,
            previous: std::ptr::null_mut(),
            start: object.start.value(),
            size: object.size(),
        }));
        if !first.is_null() {
            (*first).previous = entry;
        }
        (*descriptor).first = entry;
        if notify {
            (*descriptor).relevant = entry;
            (*descriptor).action = REGISTER;
            (interface.notify)();
        }
    }
}
