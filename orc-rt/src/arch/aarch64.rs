//! AArch64 with the procedure call standard of Arm (AAPCS64).
//!
//! Three entry points interrupt a call whose arguments are already in registers: lazy calls,
//! reoptimization requests and TLS descriptors. They give back every register that a caller may count
//! on: the integer ones but for those that a procedure linkage table may change too (`x16`, `x17`),
//! and all vector registers in their 16 bytes, as callers of functions with the vector calls
//! standard count on half of those that other functions change. Scalable vectors and predicates are
//! not saved: functions that take those are marked in symbol tables, and are never bound lazily.
//!
//! The stack inside such an entry point, growing down:
//!
//! ```text
//!  x29+8   return address (x30)      } made by the trampoline or the entry point
//!  x29     caller's x29
//!  sp+144  q0 to q31
//!  sp+128  x18
//!  sp      x0 to x15
//! ```

use core::arch::{asm, naked_asm};
use core::ffi::{c_char, c_int, c_void};
use core::ops::Range;

use crate::{dl_calls, lazy, tls};

/// Alignment of an executable's thread-locals: more than any variable has.
const TEMPLATE_ALIGN_MAX: i64 = 4096;

/// `jump to record->run(record)`; the record is in `x0`, and `run` is its first word.
pub const RECORD_THUNK: &[u8] = &[
    0x5f, 0x24, 0x03, 0xd5, // bti c
    0x10, 0x00, 0x40, 0xf9, // ldr x16, [x0]
    0x00, 0x02, 0x1f, 0xd6, // br x16
];

/// Makes code visible that was written to `size` bytes at `start`: data caches are written back as far
/// as instruction fetch looks, and what that has read before is dropped.
///
/// # Safety
/// The bytes are mapped.
pub unsafe fn publish_code(start: u64, size: usize) {
    let cache_type: u64;
    // SAFETY: this register may be read in user mode, and reading it has no effect.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) cache_type, options(nomem, nostack)) };
    // Logarithms of the smallest lines, in words of 4 bytes.
    let (instructions, data) = (
        4_u64 << (cache_type & 0xf),
        4_u64 << (cache_type >> 16 & 0xf),
    );
    let end = start + size as u64;
    let lines = |size: u64| (start & !(size - 1)..end).step_by(size as usize);
    for line in lines(data) {
        // SAFETY: the line has mapped bytes; this changes none.
        unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack)) };
    }
    // SAFETY: `dsb` orders memory accesses, and changes neither memory nor registers.
    unsafe { asm!("dsb ish", options(nostack)) };
    for line in lines(instructions) {
        // SAFETY: the line has mapped bytes (`lines` goes from `start` to `end`); dropping it from the cache changes none.
        unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack)) };
    }
    // SAFETY: `dsb` and `isb` order accesses and instructions, and change neither memory nor registers.
    unsafe { asm!("dsb ish", "isb", options(nostack)) };
}

/// The thread pointer of this thread.
pub fn thread_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: reads a register that user mode may read.
    unsafe {
        asm!(
            "mrs {}, tpidr_el0",
            out(reg) pointer,
            options(nomem, nostack, preserves_flags)
        );
    }
    pointer
}

/// The first address of an executable's thread-locals, counted from the thread pointer, their size and
/// alignment, so that they hold all of `blocks`, which are distances from the thread pointer.
///
/// They lie above it, behind two words of the C library, and begin where their alignment allows.
pub fn template_around(blocks: impl Iterator<Item = Range<i64>>) -> (i64, u64, u64) {
    const CONTROL_BLOCK_SIZE: i64 = 16;
    let (mut least, mut end) = (i64::MAX, CONTROL_BLOCK_SIZE);
    for block in blocks {
        least = least.min(block.start);
        end = end.max(block.end);
    }
    let mut align = TEMPLATE_ALIGN_MAX;
    while align > least && align > CONTROL_BLOCK_SIZE {
        align /= 2;
    }
    (
        align,
        (end - align).max(0).cast_unsigned(),
        align.cast_unsigned(),
    )
}

/// Calls `function(argc, argv, environment)` from a frame that unwinders take for the first of the
/// process, as they do with the one that calls `main` in a linked program.
///
/// So an exception that nothing catches ends in `std::terminate` where it is thrown, with the stack
/// intact, and `pthread_exit` in the main thread stops unwinding here, instead of running into
/// frames that are not the program's: to an unwinder, an undefined return address is the stack's
/// end.
///
/// # Safety
/// At `function` is one that takes these arguments, or fewer.
#[unsafe(naked)]
pub unsafe extern "C" fn call_outermost(
    function: *mut c_void,
    argc: c_int,
    argv: *mut *mut c_char,
    environment: *mut *mut c_char,
) -> c_int {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined x30",
        "stp x29, x30, [sp, -16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x29, -16",
        "mov x29, sp",
        ".cfi_def_cfa_register x29",
        "mov x9, x0",
        "mov w0, w1",
        "mov x1, x2",
        "mov x2, x3",
        "blr x9",
        "ldp x29, x30, [sp], 16",
        ".cfi_def_cfa sp, 0",
        "ret",
        ".cfi_endproc",
    )
}

/// `__tls_get_addr` for thread-locals that the runtime hands out: a pointer to a
/// [`tls::TlsIndex`] comes in `x0`, the variable's address goes back there.
///
/// Callers are ordinary calls, so nothing but what any function keeps is kept.
///
/// # Safety
/// As for [`tls::tls_get_addr`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ___orc_rt_elfnix_tls_get_addr(index: *const tls::TlsIndex) -> *mut c_void {
    // SAFETY: `index` is what the callee asks for, by the `# Safety` above.
    unsafe { tls::tls_get_addr(index).cast() }
}

/// Bytes that [`save_registers!`] takes.
const SAVED_SIZE: usize = 18 * 8 + 32 * 16;

/// Saves the registers that a function may change, but for `x16`, `x17` and `x30`.
macro_rules! save_registers {
    () => {
        "
        sub sp, sp, {saved_size}
        stp x0, x1, [sp]
        stp x2, x3, [sp, 16]
        stp x4, x5, [sp, 32]
        stp x6, x7, [sp, 48]
        stp x8, x9, [sp, 64]
        stp x10, x11, [sp, 80]
        stp x12, x13, [sp, 96]
        stp x14, x15, [sp, 112]
        str x18, [sp, 128]
        stp q0, q1, [sp, 144]
        stp q2, q3, [sp, 176]
        stp q4, q5, [sp, 208]
        stp q6, q7, [sp, 240]
        stp q8, q9, [sp, 272]
        stp q10, q11, [sp, 304]
        stp q12, q13, [sp, 336]
        stp q14, q15, [sp, 368]
        stp q16, q17, [sp, 400]
        stp q18, q19, [sp, 432]
        stp q20, q21, [sp, 464]
        stp q22, q23, [sp, 496]
        stp q24, q25, [sp, 528]
        stp q26, q27, [sp, 560]
        stp q28, q29, [sp, 592]
        stp q30, q31, [sp, 624]
        "
    };
}

/// Undoes `save_registers!`.
macro_rules! restore_registers {
    () => {
        "
        ldp x0, x1, [sp]
        ldp x2, x3, [sp, 16]
        ldp x4, x5, [sp, 32]
        ldp x6, x7, [sp, 48]
        ldp x8, x9, [sp, 64]
        ldp x10, x11, [sp, 80]
        ldp x12, x13, [sp, 96]
        ldp x14, x15, [sp, 112]
        ldr x18, [sp, 128]
        ldp q0, q1, [sp, 144]
        ldp q2, q3, [sp, 176]
        ldp q4, q5, [sp, 208]
        ldp q6, q7, [sp, 240]
        ldp q8, q9, [sp, 272]
        ldp q10, q11, [sp, 304]
        ldp q12, q13, [sp, 336]
        ldp q14, q15, [sp, 368]
        ldp q16, q17, [sp, 400]
        ldp q18, q19, [sp, 432]
        ldp q20, q21, [sp, 464]
        ldp q22, q23, [sp, 496]
        ldp q24, q25, [sp, 528]
        ldp q26, q27, [sp, 560]
        ldp q28, q29, [sp, 592]
        ldp q30, q31, [sp, 624]
        add sp, sp, {saved_size}
        "
    };
}

/// A function of the C library that is ours where it is called for a JIT'd dylib ([`dl_calls`]). Any other call
/// goes on at the C library's, with arguments and return address as they came.
macro_rules! ours_or_the_c_librarys {
    ($name:ident, $ours:ident, $theirs:ident) => {
        /// As the C library's.
        ///
        /// # Safety
        /// As for the C library's.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            naked_asm!(
                ".cfi_startproc",
                "hint 34", // bti c
                "stp x29, x30, [sp, -48]!",
                ".cfi_adjust_cfa_offset 48",
                ".cfi_rel_offset x29, 0",
                ".cfi_rel_offset x30, 8",
                "mov x29, sp",
                "stp x0, x1, [sp, 16]",
                "str x2, [sp, 32]",
                "bl {ours}",
                "mov x9, x0",
                "mov x10, x1",
                "ldp x0, x1, [sp, 16]",
                "ldr x2, [sp, 32]",
                "ldp x29, x30, [sp], 48",
                ".cfi_adjust_cfa_offset -48",
                ".cfi_restore x29",
                ".cfi_restore x30",
                "cbnz x10, 2f",
                "adrp x16, :got:{theirs}",
                "ldr x16, [x16, :got_lo12:{theirs}]",
                "br x16",
                "2:",
                "mov x0, x9",
                "ret",
                ".cfi_endproc",
                ours = sym dl_calls::$ours,
                theirs = sym libc::$theirs,
            )
        }
    };
}

ours_or_the_c_librarys!(__orc_rt_ext_dlopen, open, dlopen);
ours_or_the_c_librarys!(__orc_rt_ext_dlsym, symbol, dlsym);
ours_or_the_c_librarys!(__orc_rt_ext_dlvsym, symbol, dlvsym);
ours_or_the_c_librarys!(__orc_rt_ext_dlclose, close, dlclose);
ours_or_the_c_librarys!(__orc_rt_ext_dlinfo, information, dlinfo);
ours_or_the_c_librarys!(__orc_rt_ext_dlerror, error, dlerror);

/// The resolver of a TLS descriptor whose second word leads to a [`tls::TlsIndex`].
///
/// Called with the descriptor's address in `x0`, it returns the variable's offset from the thread
/// pointer there, and changes no other register but `x30`, and the two that any call may change.
///
/// # Safety
/// Only as the first word of such a descriptor.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn ___orc_rt_elfnix_tlsdesc_resolver() {
    naked_asm!(
        ".cfi_startproc",
        "hint 34", // bti c
        "stp x29, x30, [sp, -32]!",
        ".cfi_def_cfa_offset 32",
        ".cfi_offset x29, -32",
        ".cfi_offset x30, -24",
        "mov x29, sp",
        ".cfi_def_cfa_register x29",
        // Callers have nothing live in x16 and x17 by what compilers do, but may by the letter.
        "stp x16, x17, [sp, 16]",
        save_registers!(),
        "ldr x0, [x0, 8]",
        "bl {tls_get_addr}",
        "mrs x1, tpidr_el0",
        "sub x0, x0, x1",
        "str x0, [sp]",
        restore_registers!(),
        "ldp x16, x17, [sp, 16]",
        "ldp x29, x30, [sp], 32",
        ".cfi_def_cfa sp, 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
        tls_get_addr = sym tls::tls_get_addr,
        saved_size = const SAVED_SIZE,
    )
}

/// Where lazy trampolines lead. Each is two instructions:
///
/// ```text
///  stp x29, x30, [sp, -16]!
///  bl __orc_rt_sysv_reenter
/// ```
///
/// So `x30` tells which trampoline it is, and the stack has the frame record of the lazy call itself.
///
/// Goes on at the function that the controller names, with all arguments in place and the frame
/// record gone. The jump uses `x17`, which a procedure linkage table may change too. To unwinders, this
/// frame's caller is the one that made the lazy call.
///
/// # Safety
/// Only as the target of a trampoline.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn __orc_rt_sysv_reenter() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x29, -16",
        ".cfi_offset x30, -8",
        "hint 34", // bti c
        "mov x29, sp",
        ".cfi_def_cfa_register x29",
        save_registers!(),
        "sub x0, x30, 8",
        "bl {resolve}",
        "mov x17, x0",
        restore_registers!(),
        "ldp x29, x30, [sp], 16",
        ".cfi_def_cfa sp, 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "br x17",
        ".cfi_endproc",
        resolve = sym lazy::__orc_rt_resolve,
        saved_size = const SAVED_SIZE,
    )
}

/// Asks for a better version of the unit `x0`, now at version `w1`. Code that counts its calls may
/// call this between its own entry and its body: but for `x16`, `x17` and `x30`, registers keep their
/// values.
///
/// # Safety
/// As for any function; it may be called anywhere.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn __orc_rt_reoptimize(unit: u64, version: u32) {
    naked_asm!(
        ".cfi_startproc",
        "hint 34", // bti c
        "stp x29, x30, [sp, -16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x29, -16",
        ".cfi_offset x30, -8",
        "mov x29, sp",
        ".cfi_def_cfa_register x29",
        save_registers!(),
        "bl {reoptimize}",
        restore_registers!(),
        "ldp x29, x30, [sp], 16",
        ".cfi_def_cfa sp, 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
        reoptimize = sym lazy::reoptimize,
        saved_size = const SAVED_SIZE,
    )
}

/// What there is to save is the same on every CPU.
pub fn prepare() {}
