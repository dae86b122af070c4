//! `dlopen` as programs see it that open libraries with their references redirected.

use std::arch::naked_asm;

use crate::host::program::later::{LOADERS_DLOPEN, load};

/// As the C library's. Arguments and caller stay as they are for the loader's own, if [`load`] leaves the call
/// to it.
///
/// # Safety
/// As the C library's.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn open_library() {
    naked_asm!(
        "endbr64",
        "push rdi",
        "push rsi",
        "sub rsp, 8",
        // The third argument: who called.
        "mov rdx, [rsp + 24]",
        "call {load}",
        "add rsp, 8",
        "pop rsi",
        "pop rdi",
        "test rax, rax",
        "jne 2f",
        "jmp qword ptr [rip + {dlopen}]",
        "2:",
        "ret",
        load = sym load,
        dlopen = sym LOADERS_DLOPEN,
    )
}
