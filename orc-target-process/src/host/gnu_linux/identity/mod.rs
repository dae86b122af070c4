//! The process as it looks to the program and to whoever looks at the process: by which name and with
//! which arguments it was started, and which file it is.
//!
//! The kernel, the loader and the C library each keep what the process was started with, and that is this
//! executable with its own arguments. All of it is replaced but the link `/proc/self/exe`, which the kernel
//! gives up only with the mappings of the executable. Linked code is led past that link by stand-ins
//! (`stand_ins::own_file`).

mod arguments;
mod kernel;

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use orc_shared::Words;
use orc_shared::api::ProgramIdentity;

use crate::host::loader::{lookup, tables};

/// The file that the program is to itself.
#[derive(Debug)]
pub(crate) struct OwnFile {
    /// Its absolute path.
    pub(crate) path: CString,
    /// See [`ProgramIdentity::again`]. Empty if the file is there, and can be run.
    pub(crate) again: Words,
}

static OWN_FILE: AtomicPtr<OwnFile> = AtomicPtr::new(null_mut());

/// The file of the process's program, if there is one.
pub(crate) fn own_file() -> Option<&'static OwnFile> {
    // SAFETY: null, or a record that is never freed.
    unsafe { OWN_FILE.load(Ordering::Acquire).as_ref() }
}

/// Makes the process look as if it had been started as this program: to the program, to the C library,
/// to libraries' constructors, and to those who list processes.
///
/// What the system does not allow stays as it is: nothing but looks depend on it.
pub fn set_program(identity: &ProgramIdentity) {
    let args: Vec<CString> = identity.args.iter().map(|it| c_string(it)).collect();
    if let Some(name) = args.first() {
        set_name(name);
    }
    let path = identity.path.as_deref().map(c_string);
    // Libraries keep pointers to the name that the kernel has passed.
    let path_text: Option<&'static CStr> = path.clone().map(|path| &*Box::leak(path.into()));
    if let Some(path) = path_text {
        arguments::set_file_name(path);
    }
    let vector = arguments::Vector::leak(&args);
    arguments::replace(&vector);
    let _ignored = kernel::show(&vector);
    let own = path.map_or(null_mut(), |path| {
        let again = identity.again.clone();
        Box::into_raw(Box::new(OwnFile { path, again }))
    });
    OWN_FILE.store(own, Ordering::Release);
}

/// As a C string, which holds nothing that follows a zero byte.
fn c_string(text: &[u8]) -> CString {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    CString::new(text).unwrap_or_default()
}

/// What C code finds in `program_invocation_name`, `program_invocation_short_name` and their older names,
/// what the C library prints before its messages, and the name that the kernel shows.
fn set_name(name: &CStr) {
    let short_at = name.to_bytes().iter().rposition(|&byte| byte == b'/');
    let short_at = short_at.map_or(0, |at| at + 1);
    // Never freed: anybody may have kept the pointer, as with the original.
    let full: *mut c_char = name.to_owned().into_raw();
    let short = full.wrapping_add(short_at);
    set_pointer(c"program_invocation_name", full);
    set_pointer(c"program_invocation_short_name", short);
    // A convenience for those who list processes.
    let _ignored = set_kernel_name(&name.to_bytes()[short_at..]);
}

/// Sets a pointer variable of the C library, if it has one of this name.
fn set_pointer(variable: &CStr, value: *mut c_char) {
    if let Some(addr) = lookup(variable, None) {
        // SAFETY: a `char *` of the C library, which it reads when it prints a message.
        unsafe { tables::write_word(addr, value.expose_provenance() as u64) };
    }
}

/// Names the main thread, as `exec` does with the file's name: the kernel keeps 15 bytes.
fn set_kernel_name(short: &[u8]) -> io::Result<()> {
    let kept = &short[..short.len().min(15)];
    // The name of a process is that of its first thread, which need not be this one.
    std::fs::write("/proc/self/comm", kept)
}
