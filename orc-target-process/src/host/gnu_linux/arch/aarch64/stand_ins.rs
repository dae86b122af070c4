//! Stand-ins that go on to the C library's function as if it had been called itself.

use std::arch::naked_asm;
use std::ffi::{c_char, c_int, c_void};

use crate::host::stand_ins::own_file::{search_listed, start_listed, start_listed_in};
use crate::host::stand_ins::symbol_search::find;

/// Arguments in registers, behind the first.
pub(crate) const LISTED_IN_REGISTERS: usize = 7;

/// `dlsym` and `dlvsym`.
pub(crate) fn symbol_search(name: &[u8]) -> Option<*const ()> {
    match name {
        b"dlsym" => Some(dlsym as *const ()),
        b"dlvsym" => Some(dlvsym as *const ()),
        _ => None,
    }
}

/// Asks `find`; if that has no answer, jumps to the function of the same name in the C library, which is told
/// who the caller is by the link register. The third argument is made by `$version`, before `find` sees it.
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
                "bti c",
                "stp x29, x30, [sp, -48]!",
                ".cfi_adjust_cfa_offset 48",
                ".cfi_rel_offset x29, 0",
                ".cfi_rel_offset x30, 8",
                "mov x29, sp",
                "stp x0, x1, [sp, 16]",
                "str x2, [sp, 32]",
                $version,
                "bl {find}",
                "mov x9, x0",
                "ldp x0, x1, [sp, 16]",
                "ldr x2, [sp, 32]",
                "ldp x29, x30, [sp], 48",
                ".cfi_adjust_cfa_offset -48",
                ".cfi_restore x29",
                ".cfi_restore x30",
                "cbnz x9, 2f",
                "adrp x16, :got:{in_libc}",
                "ldr x16, [x16, :got_lo12:{in_libc}]",
                "br x16",
                "2:",
                "mov x0, x9",
                "ret",
                ".cfi_endproc",
                find = sym find,
                in_libc = sym libc::$name,
            )
        }
    };
}

search!(dlsym(handle: *mut c_void, name: *const c_char), "mov x2, xzr");
search!(
    dlvsym(handle: *mut c_void, name: *const c_char, version: *const c_char),
    ""
);

/// A function whose arguments are in its call, one by one. Its stack, upwards:
///
/// ```text
/// sp       frame pointer, return address, 8 bytes that nothing needs
/// sp+24    the 2nd to 8th argument, which came in registers
/// sp+80    the 9th argument and those that follow
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
                "bti c",
                "stp x29, x30, [sp, -80]!",
                ".cfi_adjust_cfa_offset 80",
                ".cfi_rel_offset x29, 0",
                ".cfi_rel_offset x30, 8",
                "mov x29, sp",
                "str x1, [sp, 24]",
                "stp x2, x3, [sp, 32]",
                "stp x4, x5, [sp, 48]",
                "stp x6, x7, [sp, 64]",
                "add x1, sp, 24",
                "add x2, sp, 80",
                "bl {collect}",
                "ldp x29, x30, [sp], 80",
                ".cfi_adjust_cfa_offset -80",
                ".cfi_restore x29",
                ".cfi_restore x30",
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
