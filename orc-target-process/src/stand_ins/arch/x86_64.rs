//! Stand-ins that go on to the C library's function as if it had been called itself.

use std::arch::naked_asm;
use std::ffi::{c_char, c_void};

use super::super::symbol_search::find;

/// `dlsym` and `dlvsym`.
pub(in super::super) fn symbol_search(name: &[u8]) -> Option<*const ()> {
    match name {
        b"dlsym" => Some(dlsym as *const ()),
        b"dlvsym" => Some(dlvsym as *const ()),
        _ => None,
    }
}

/// Asks `find`; if that has no answer, jumps to the function of the same name in the C library, which is told
/// who the caller is by the return address. The third argument is made by `$version`, before `find` sees it.
macro_rules! search {
    ($name:ident ($($argument:ident: $type:ty),*), $version:literal) => {
        /// As the C library's.
        ///
        /// # Safety
        /// As the C library's.
        #[unsafe(naked)]
        unsafe extern "C" fn $name($($argument: $type),*) -> *mut c_void {
            naked_asm!(
                ".cfi_startproc",
                "push rdi",
                ".cfi_adjust_cfa_offset 8",
                "push rsi",
                ".cfi_adjust_cfa_offset 8",
                "push rdx",
                ".cfi_adjust_cfa_offset 8",
                $version,
                "call {find}",
                "pop rdx",
                ".cfi_adjust_cfa_offset -8",
                "pop rsi",
                ".cfi_adjust_cfa_offset -8",
                "pop rdi",
                ".cfi_adjust_cfa_offset -8",
                "test rax, rax",
                "jne 2f",
                "jmp qword ptr [rip + {in_libc}@GOTPCREL]",
                "2:",
                "ret",
                ".cfi_endproc",
                find = sym find,
                in_libc = sym libc::$name,
            )
        }
    };
}

search!(dlsym(handle: *mut c_void, name: *const c_char), "xor edx, edx");
search!(
    dlvsym(handle: *mut c_void, name: *const c_char, version: *const c_char),
    ""
);
