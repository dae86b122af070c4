//! Stand-ins that go on to the C library's function as if it had been called itself.

use std::arch::naked_asm;
use std::ffi::{c_char, c_int, c_void};

use crate::host::stand_ins::own_file::{search_listed, start_listed, start_listed_in};
use crate::host::stand_ins::symbol_search::find;

/// Arguments in registers, behind the first.
pub(crate) const LISTED_IN_REGISTERS: usize = 5;

/// `dlsym` and `dlvsym`.
pub(crate) fn symbol_search(name: &[u8]) -> Option<*const ()> {
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

/// A function whose arguments are in its call, one by one. The caller's stack, upwards, with what is pushed here:
///
/// ```text
/// rsp      the 2nd to 6th argument, which came in registers
/// rsp+40   return address
/// rsp+48   the 7th argument and those that follow
/// ```
macro_rules! with_listed_arguments {
    ($name:ident, $collect:ident) => {
        /// As the C library's.
        ///
        /// # Safety
        /// As the C library's.
        #[unsafe(naked)]
        unsafe extern "C" fn $name() -> c_int {
            naked_asm!(
                ".cfi_startproc",
                "endbr64",
                "push r9",
                ".cfi_adjust_cfa_offset 8",
                "push r8",
                ".cfi_adjust_cfa_offset 8",
                "push rcx",
                ".cfi_adjust_cfa_offset 8",
                "push rdx",
                ".cfi_adjust_cfa_offset 8",
                "push rsi",
                ".cfi_adjust_cfa_offset 8",
                "mov rsi, rsp",
                "lea rdx, [rsp + 48]",
                "call {collect}",
                "add rsp, 40",
                ".cfi_adjust_cfa_offset -40",
                "ret",
                ".cfi_endproc",
                collect = sym $collect,
            )
        }
    };
}

/// `execl` and its relatives.
pub(crate) fn start_of_listed(name: &[u8]) -> Option<*const ()> {
    match name {
        b"execl" => Some(execl as *const ()),
        b"execlp" => Some(execlp as *const ()),
        b"execle" => Some(execle as *const ()),
        _ => None,
    }
}

with_listed_arguments!(execl, start_listed);
with_listed_arguments!(execlp, search_listed);
with_listed_arguments!(execle, start_listed_in);
