//! The interface through which debuggers learn of code that no file holds.
//!
//! A debugger looks for two symbols in the process: a list of object files in memory, and a function
//! in which it sets a breakpoint and which is called when the list changes (GDB manual, "JIT
//! Compilation Interface"; lldb has it too). Several JITs of a process share them, so the ones that the
//! process exports are used, and our own (`debugger.c`) if it exports none: debuggers find those in the
//! symbol table of the executable or of the library that we are in, unless it was stripped.

use std::ffi::CStr;
use std::fs::File;
use std::io::Read as _;
use std::sync::OnceLock;

use orc_shared::ExecutorAddrRange;
use parking_lot::Mutex;

use crate::host::elf::writer::Writer;
use crate::host::loader::lookup;

/// What has happened to an entry.
#[derive(Clone, Copy)]
enum Action {
    Register = 1,
    Unregister = 2,
}

/// One object file.
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

mod own {
    use super::Descriptor;

    unsafe extern "C" {
        pub(super) static mut __jit_debug_descriptor: Descriptor;
        pub(super) fn __jit_debug_register_code();
    }
}

fn interface() -> &'static Interface {
    static FOUND: OnceLock<Interface> = OnceLock::new();
    let exported = || {
        let descriptor = lookup(DESCRIPTOR, None).filter(|addr| *addr != 0)?;
        let notify = lookup(NOTIFY, None).filter(|addr| *addr != 0)?;
        // SAFETY: the interface says that this name is a function without arguments.
        let notify =
            unsafe { std::mem::transmute::<usize, unsafe extern "C" fn()>(notify as usize) };
        Some(Interface { descriptor, notify })
    };
    let own = || Interface {
        descriptor: (&raw mut own::__jit_debug_descriptor).expose_provenance() as u64,
        notify: own::__jit_debug_register_code,
    };
    FOUND.get_or_init(|| exported().unwrap_or_else(own))
}

/// Held while the list changes. Other JITs of the process change it under locks of their own only, which
/// nobody can take: that is how the interface is.
static LIST: Mutex<()> = Mutex::new(());

/// Puts an object file at the head of the list.
fn add(start: u64, size: u64, notify: bool) -> *mut Entry {
    let interface = interface();
    let descriptor = interface.descriptor as *mut Descriptor;
    let _lock = LIST.lock();
    // SAFETY: the symbol is a descriptor by the interface, and its entries are valid as long as they are in
    // the list.
    unsafe {
        let first = (*descriptor).first;
        let entry = Box::into_raw(Box::new(Entry {
            next: first,
            previous: std::ptr::null_mut(),
            start,
            size,
        }));
        if !first.is_null() {
            (*first).previous = entry;
        }
        (*descriptor).first = entry;
        if notify {
            tell(interface, entry, Action::Register);
        }
        entry
    }
}

/// Takes an entry out of the list, and frees it.
///
/// # Safety
/// It is in the list: [`add`] has made it, and nobody has taken it out.
unsafe fn remove(entry: *mut Entry) {
    let interface = interface();
    let descriptor = interface.descriptor as *mut Descriptor;
    let _lock = LIST.lock();
    // SAFETY: as in `add`, and the caller's promise.
    unsafe {
        let (next, previous) = ((*entry).next, (*entry).previous);
        if !next.is_null() {
            (*next).previous = previous;
        }
        match previous.is_null() {
            true => (*descriptor).first = next,
            false => (*previous).next = next,
        }
        tell(interface, entry, Action::Unregister);
        drop(Box::from_raw(entry));
    }
}

/// Tells debuggers of a change.
///
/// # Safety
/// `entry` is valid, and the list's lock is held.
unsafe fn tell(interface: &Interface, entry: *mut Entry, action: Action) {
    let descriptor = interface.descriptor as *mut Descriptor;
    // SAFETY: the interface's symbols are what it says. A debugger stops the process in the function, and
    // reads the entry then.
    unsafe {
        (*descriptor).relevant = entry;
        (*descriptor).action = action as u32;
        (interface.notify)();
        (*descriptor).relevant = std::ptr::null_mut();
        (*descriptor).action = 0;
    }
}

/// Adds an object file to the list. It stays there, and its memory must, too.
pub(crate) fn register(object: ExecutorAddrRange, notify: bool) {
    add(object.start.value(), object.size(), notify);
}

/// An object file that debuggers are shown. Dropping it takes it back.
pub(crate) struct ShownObject {
    entry: *mut Entry,
    _bytes: Box<[u8]>,
}

// SAFETY: the entry is changed under the list's lock only.
unsafe impl Send for ShownObject {}

impl ShownObject {
    /// Shows an object file to the debuggers of this process: now, or when one is attached.
    pub(crate) fn new(bytes: Box<[u8]>) -> Self {
        let start = bytes.as_ptr().expose_provenance() as u64;
        Self {
            entry: add(start, bytes.len() as u64, true),
            _bytes: bytes,
        }
    }
}

impl Drop for ShownObject {
    fn drop(&mut self) {
        // SAFETY: `new` has added it, and it is taken out once.
        unsafe { remove(self.entry) };
        have_breakpoints_removed();
    }
}

/// Has debuggers take breakpoints out of code that is about to go.
///
/// gdb forgets the symbols of an object that is taken out of the list, but leaves its breakpoints in memory until it
/// is shown the next one. If other code lies there by then, gdb takes a breakpoint at the same address for
/// written, and it is not. So it is shown an object that has nothing, while the old code is still there.
fn have_breakpoints_removed() {
    static NOTHING: OnceLock<Box<[u8]>> = OnceLock::new();
    let nothing = NOTHING.get_or_init(|| {
        let mut file = Writer::default();
        file.header(0);
        file.bytes.into()
    });
    let start = nothing.as_ptr().expose_provenance() as u64;
    let entry = add(start, nothing.len() as u64, true);
    // SAFETY: it was added just now.
    unsafe { remove(entry) };
}

/// Has core files of this process hold what is mapped from files, as large pieces of linked code are whose
/// controller is another process: nobody finds those files later. For the whole process, and what it starts.
pub(crate) fn keep_mapped_code_in_core_files() {
    /// Private mappings of files (core(5)).
    const FILES: u64 = 1 << 2;
    const FILTER: &str = "/proc/self/coredump_filter";
    let filter = std::fs::read_to_string(FILTER).unwrap_or_default();
    match u64::from_str_radix(filter.trim(), 16) {
        // Without it, a core file has the rest.
        Ok(kept) if kept & FILES == 0 => {
            let _ = std::fs::write(FILTER, format!("{:#x}", kept | FILES));
        }
        _ => {}
    }
}

/// Whether somebody traces this process, as debuggers do.
#[must_use]
pub fn is_attached() -> bool {
    // The line is the eighth; of those before it, only the process's name has no fixed length, 64 bytes at most. It need
    // not be text. The system makes a file of this kind anew for a reader at its start.
    let mut start = [0; 1024];
    let read = File::open("/proc/self/status").and_then(|mut file| file.read(&mut start));
    let mut lines = start[..read.unwrap_or(0)].split(|byte| *byte == b'\n');
    let tracer = lines.find_map(|line| line.strip_prefix(b"TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim_ascii() != b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The object files in the list, last shown first.
    fn listed() -> Vec<(u64, u64)> {
        let _lock = LIST.lock();
        let descriptor = interface().descriptor as *const Descriptor;
        // SAFETY: under the lock, the list and its entries are valid.
        unsafe {
            let mut found = Vec::new();
            let mut entry = (*descriptor).first;
            while let Some(known) = entry.as_ref() {
                found.push((known.start, known.size));
                let next = known.next.as_ref();
                assert!(next.is_none_or(|next| next.previous == entry));
                entry = known.next;
            }
            found
        }
    }

    #[test]
    fn objects_are_in_the_list_as_long_as_they_are_shown() {
        let shown: Vec<_> = (1..=3)
            .map(|size| ShownObject::new(vec![0; size].into()))
            .collect();
        let place = |shown: &ShownObject| {
            let bytes = &shown._bytes;
            (bytes.as_ptr().addr() as u64, bytes.len() as u64)
        };
        let places: Vec<_> = shown.iter().map(place).collect();
        let own = || {
            let listed = listed().into_iter();
            listed.filter(|it| places.contains(it)).collect::<Vec<_>>()
        };
        assert_eq!(own(), [places[2], places[1], places[0]]);
        let mut shown = shown;
        drop(shown.remove(1));
        assert_eq!(own(), [places[2], places[0]]);
        drop(shown.remove(1));
        assert_eq!(own(), [places[0]]);
        drop(shown);
        assert_eq!(own(), []);
    }

    #[test]
    fn nobody_traces_a_test() {
        assert!(!is_attached());
    }
}
