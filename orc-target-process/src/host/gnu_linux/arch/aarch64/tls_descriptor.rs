//! The function of TLS descriptors whose second word is the address of a pair for `__tls_get_addr`.
//!
//! It is called with the descriptor's address in `x0`, and returns the variable's offset from the
//! thread pointer there. All other registers but `x30` are as before, vector registers included, which
//! `__tls_get_addr` uses when it makes a thread's copy. Of scalable vectors, callers count on the part
//! that vector registers have.

use std::arch::naked_asm;
use std::sync::atomic::{AtomicU64, Ordering};

/// `__tls_get_addr`.
static GET_ADDRESS: AtomicU64 = AtomicU64::new(0);

/// The function for this processor; `get_address` is `__tls_get_addr`.
pub(crate) fn function(get_address: u64) -> Option<*const ()> {
    GET_ADDRESS.store(get_address, Ordering::Release);
    Some(descriptor_function as *const ())
}

/// # Safety
/// Only as the first word of a descriptor.
#[unsafe(naked)]
unsafe extern "C" fn descriptor_function() {
    naked_asm!(
        ".cfi_startproc",
        "hint 34", // bti c
        "stp x29, x30, [sp, -160]!",
        ".cfi_def_cfa_offset 160",
        ".cfi_offset x29, -160",
        ".cfi_offset x30, -152",
        "mov x29, sp",
        ".cfi_def_cfa_register x29",
        "stp x1, x2, [sp, 16]",
        "stp x3, x4, [sp, 32]",
        "stp x5, x6, [sp, 48]",
        "stp x7, x8, [sp, 64]",
        "stp x9, x10, [sp, 80]",
        "stp x11, x12, [sp, 96]",
        "stp x13, x14, [sp, 112]",
        "stp x15, x16, [sp, 128]",
        "stp x17, x18, [sp, 144]",
        "stp q0, q1, [sp, -512]!",
        "stp q2, q3, [sp, 32]",
        "stp q4, q5, [sp, 64]",
        "stp q6, q7, [sp, 96]",
        "stp q8, q9, [sp, 128]",
        "stp q10, q11, [sp, 160]",
        "stp q12, q13, [sp, 192]",
        "stp q14, q15, [sp, 224]",
        "stp q16, q17, [sp, 256]",
        "stp q18, q19, [sp, 288]",
        "stp q20, q21, [sp, 320]",
        "stp q22, q23, [sp, 352]",
        "stp q24, q25, [sp, 384]",
        "stp q26, q27, [sp, 416]",
        "stp q28, q29, [sp, 448]",
        "stp q30, q31, [sp, 480]",
        "ldr x0, [x0, 8]",
        "adrp x9, {get_address}",
        "ldr x9, [x9, :lo12:{get_address}]",
        "blr x9",
        "mrs x1, tpidr_el0",
        "sub x0, x0, x1",
        "ldp q2, q3, [sp, 32]",
        "ldp q4, q5, [sp, 64]",
        "ldp q6, q7, [sp, 96]",
        "ldp q8, q9, [sp, 128]",
        "ldp q10, q11, [sp, 160]",
        "ldp q12, q13, [sp, 192]",
        "ldp q14, q15, [sp, 224]",
        "ldp q16, q17, [sp, 256]",
        "ldp q18, q19, [sp, 288]",
        "ldp q20, q21, [sp, 320]",
        "ldp q22, q23, [sp, 352]",
        "ldp q24, q25, [sp, 384]",
        "ldp q26, q27, [sp, 416]",
        "ldp q28, q29, [sp, 448]",
        "ldp q30, q31, [sp, 480]",
        "ldp q0, q1, [sp], 512",
        "ldp x1, x2, [sp, 16]",
        "ldp x3, x4, [sp, 32]",
        "ldp x5, x6, [sp, 48]",
        "ldp x7, x8, [sp, 64]",
        "ldp x9, x10, [sp, 80]",
        "ldp x11, x12, [sp, 96]",
        "ldp x13, x14, [sp, 112]",
        "ldp x15, x16, [sp, 128]",
        "ldp x17, x18, [sp, 144]",
        "ldp x29, x30, [sp], 160",
        ".cfi_def_cfa sp, 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
        get_address = sym GET_ADDRESS,
    )
}
