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
        "bti c",
        "stp x29, x30, [sp, -32]!",
        "mov x29, sp",
        "stp x0, x1, [sp, 16]",
        // The third argument: who called.
        "mov x2, x30",
        "bl {load}",
        "mov x9, x0",
        "ldp x0, x1, [sp, 16]",
        "ldp x29, x30, [sp], 32",
        "cbnz x9, 2f",
        "adrp x16, {dlopen}",
        "ldr x16, [x16, :lo12:{dlopen}]",
        "br x16",
        "2:",
        "mov x0, x9",
        "ret",
        load = sym load,
        dlopen = sym LOADERS_DLOPEN,
    )
}
