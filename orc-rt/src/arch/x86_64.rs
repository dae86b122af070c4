//! x86-64 with the System V calling convention.
//!
//! Three entry points interrupt a call whose arguments are already in registers: lazy calls,
//! reoptimization requests and TLS descriptors. They have to give back every register as they found
//! it: the integer ones, and the vector ones in full, as an argument may be 16, 32 or 64 bytes wide,
//! while the C library's `memcpy` clears the upper parts as a matter of course. `xsave` stores
//! them all; how much room that takes is asked once, at bootstrap.
//!
//! The stack inside such an entry point, growing down:
//!
//! ```text
//!  rbp+8   return address            } made by the caller
//!  rbp     caller's rbp
//!  rbp-8   rax   -16 rcx   -24 rdx   -32 rsi   -40 rdi
//!  rbp-48  r8    -56 r9    -64 r10   -72 r11
//!          padding to 64 bytes
//!  rsp     xsave area: 512 legacy bytes, 64 header bytes, the rest
//! ```

use core::arch::{naked_asm, x86_64::__cpuid_count};
use core::ffi::{c_char, c_int, c_void};
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::{dl_calls, lazy, tls};

/// `jump to record->run(record)`; the record is in `rdi`, and `run` is its first word.
pub const RECORD_THUNK: &[u8] = &[
    0xf3, 0x0f, 0x1e, 0xfa, // endbr64
    0xff, 0x27, // jmp [rdi]
];

/// Makes code visible that was written to `size` bytes at `start`: it is.
///
/// # Safety
/// The bytes are mapped.
pub unsafe fn publish_code(_start: u64, _size: usize) {}

/// The thread pointer of this thread: the first word of its control block, which is that block's address.
pub fn thread_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: reads the word that the psABI has there.
    unsafe {
        core::arch::asm!(
            "mov {}, fs:[0]",
            out(reg) pointer,
            options(nostack, readonly, preserves_flags)
        );
    }
    pointer
}

/// The first address of an executable's thread-locals, counted from the thread pointer, their size and
/// alignment, so that they hold all of `blocks`, which are distances from the thread pointer.
///
/// They end at the thread pointer.
pub fn template_around(blocks: impl Iterator<Item = Range<i64>>) -> (i64, u64, u64) {
    /// More than any variable has.
    const ALIGN: u64 = 4096;
    let most = blocks.map(|block| block.start.saturating_neg()).max();
    let size = most.unwrap_or(0).max(0).cast_unsigned();
    let size = size.next_multiple_of(ALIGN);
    (size.cast_signed().saturating_neg(), size, ALIGN)
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
        ".cfi_undefined rip",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rax, rdi",
        "mov edi, esi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "call rax",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
    )
}

/// `__tls_get_addr` for thread-locals that the runtime hands out: a pointer to a
/// [`tls::TlsIndex`] comes in `rdi`, the variable's address goes back in `rax`.
///
/// Callers are ordinary calls, but some compilers made them with a stack that is not aligned, and
/// LLVM's runtime preserves registers here: the integer ones and the 16-byte vector ones that may
/// hold arguments. So nothing is assumed of the former, and the latter is done too.
///
/// # Safety
/// As for [`tls::tls_get_addr`].
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn ___orc_rt_elfnix_tls_get_addr(index: *const tls::TlsIndex) -> *mut c_void {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "sub rsp, 64",
        "mov [rbp - 8], rcx",
        "mov [rbp - 16], rdx",
        "mov [rbp - 24], rsi",
        "mov [rbp - 32], rdi",
        "mov [rbp - 40], r8",
        "mov [rbp - 48], r9",
        "mov [rbp - 56], r10",
        "mov [rbp - 64], r11",
        "sub rsp, 128",
        "and rsp, -16",
        "movaps [rsp + 0], xmm0",
        "movaps [rsp + 16], xmm1",
        "movaps [rsp + 32], xmm2",
        "movaps [rsp + 48], xmm3",
        "movaps [rsp + 64], xmm4",
        "movaps [rsp + 80], xmm5",
        "movaps [rsp + 96], xmm6",
        "movaps [rsp + 112], xmm7",
        "call {tls_get_addr}",
        "movaps xmm0, [rsp + 0]",
        "movaps xmm1, [rsp + 16]",
        "movaps xmm2, [rsp + 32]",
        "movaps xmm3, [rsp + 48]",
        "movaps xmm4, [rsp + 64]",
        "movaps xmm5, [rsp + 80]",
        "movaps xmm6, [rsp + 96]",
        "movaps xmm7, [rsp + 112]",
        "mov rcx, [rbp - 8]",
        "mov rdx, [rbp - 16]",
        "mov rsi, [rbp - 24]",
        "mov rdi, [rbp - 32]",
        "mov r8, [rbp - 40]",
        "mov r9, [rbp - 48]",
        "mov r10, [rbp - 56]",
        "mov r11, [rbp - 64]",
        "leave",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        tls_get_addr = sym tls::tls_get_addr,
    )
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
                "endbr64",
                "push rdi",
                ".cfi_adjust_cfa_offset 8",
                "push rsi",
                ".cfi_adjust_cfa_offset 8",
                "push rdx",
                ".cfi_adjust_cfa_offset 8",
                "call {ours}",
                "mov r11, rdx",
                "pop rdx",
                ".cfi_adjust_cfa_offset -8",
                "pop rsi",
                ".cfi_adjust_cfa_offset -8",
                "pop rdi",
                ".cfi_adjust_cfa_offset -8",
                "test r11, r11",
                "jne 2f",
                "jmp qword ptr [rip + {theirs}@GOTPCREL]",
                "2:",
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

/// Saves all registers that a callee may change. `rbp` is set up; clobbers `rax` and `rdx` after
/// saving them. Uses the labels 2 and 3.
macro_rules! save_registers {
    () => {
        "
        sub rsp, 72
        mov [rbp - 8], rax
        mov [rbp - 16], rcx
        mov [rbp - 24], rdx
        mov [rbp - 32], rsi
        mov [rbp - 40], rdi
        mov [rbp - 48], r8
        mov [rbp - 56], r9
        mov [rbp - 64], r10
        mov [rbp - 72], r11
        mov eax, [rip + {area_size}]
        sub rsp, rax
        and rsp, -64
        mov eax, [rip + {components}]
        xor edx, edx
        test eax, eax
        jz 2f
        mov [rsp + 512], rdx
        mov [rsp + 520], rdx
        mov [rsp + 528], rdx
        mov [rsp + 536], rdx
        mov [rsp + 544], rdx
        mov [rsp + 552], rdx
        mov [rsp + 560], rdx
        mov [rsp + 568], rdx
        xsave64 [rsp]
        jmp 3f
     2: fxsave64 [rsp]
     3:
        "
    };
}

/// Undoes `save_registers!`, except for `rsp` and `rbp`. Uses the labels 4 and 5.
macro_rules! restore_registers {
    () => {
        "
        mov eax, [rip + {components}]
        xor edx, edx
        test eax, eax
        jz 4f
        xrstor64 [rsp]
        jmp 5f
     4: fxrstor64 [rsp]
     5: mov rax, [rbp - 8]
        mov rcx, [rbp - 16]
        mov rdx, [rbp - 24]
        mov rsi, [rbp - 32]
        mov rdi, [rbp - 40]
        mov r8, [rbp - 48]
        mov r9, [rbp - 56]
        mov r10, [rbp - 64]
        mov r11, [rbp - 72]
        "
    };
}

/// The resolver of a TLS descriptor whose second word leads to a [`tls::TlsIndex`].
///
/// Called with the descriptor's address in `rax`, it returns the variable's offset from the thread
/// pointer in `rax` and changes no other register.
///
/// # Safety
/// Only as the first word of such a descriptor.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn ___orc_rt_elfnix_tlsdesc_resolver() {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        save_registers!(),
        "mov rdi, [rbp - 8]",
        "mov rdi, [rdi + 8]",
        "call {tls_get_addr}",
        "sub rax, fs:[0]",
        "mov [rbp - 8], rax",
        restore_registers!(),
        "leave",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        tls_get_addr = sym tls::tls_get_addr,
        area_size = sym XSAVE_AREA_SIZE,
        components = sym XSAVE_COMPONENTS,
    )
}

/// Size of the call instruction that a trampoline is made of, in bytes.
#[cfg(doc)]
pub const TRAMPOLINE_SIZE: usize = 5;

/// Where lazy trampolines lead: each is a 5-byte `call` to here, so that the return address tells
/// which it is, and below it on the stack is the return address of the lazy call itself.
///
/// Goes on at the function that the controller names, with all arguments in place and the
/// trampoline's return address gone. The jump uses `r11`, which a procedure linkage table may
/// change too. To unwinders, this frame's caller is the one that made the lazy call; also to those
/// that follow frame pointers alone, because the frame record takes the place of the trampoline's
/// return address:
///
/// ```text
///  rbp+8   return address of the lazy call
///  rbp     caller's rbp
///  rbp-8   rax, and the others as above; in the place of r11, the trampoline and then the function
/// ```
///
/// # Safety
/// Only as the target of a trampoline.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn __orc_rt_sysv_reenter() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_def_cfa_offset 16",
        "mov r11, [rsp]",
        "mov [rsp], rbp",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        save_registers!(),
        "mov rdi, [rbp - 72]",
        "sub rdi, 5",
        "call {resolve}",
        "mov [rbp - 72], rax",
        restore_registers!(),
        "leave",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbp",
        "jmp r11",
        ".cfi_endproc",
        resolve = sym lazy::__orc_rt_resolve,
        area_size = sym XSAVE_AREA_SIZE,
        components = sym XSAVE_COMPONENTS,
    )
}

/// Asks for a better version of the unit `edi`, now at version `esi`. Code that counts its calls may
/// call this between its own entry and its body: all registers keep their values.
///
/// # Safety
/// As for any function; it may be called anywhere.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn __orc_rt_reoptimize(unit: u64, version: u32) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        save_registers!(),
        "call {reoptimize}",
        restore_registers!(),
        "leave",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        reoptimize = sym lazy::reoptimize,
        area_size = sym XSAVE_AREA_SIZE,
        components = sym XSAVE_COMPONENTS,
    )
}

/// Room for `fxsave`: x87 and 16-byte vector registers.
const FXSAVE_SIZE: u32 = 512;

/// The header that follows it in an `xsave` area.
const XSAVE_HEADER_SIZE: u32 = 64;

/// State components that may hold arguments: 16-byte and 32-byte vectors, bounds, mask registers, and
/// the two parts of 64-byte vectors. Not x87, whose use no function survives across calls, and not the matrix tiles,
/// which are never arguments.
const ARGUMENT_COMPONENTS: u32 = 0b1110_1110;

/// Size of the area that the entry points save vector registers to, in bytes.
static XSAVE_AREA_SIZE: AtomicU32 = AtomicU32::new(FXSAVE_SIZE);

/// Components to save; 0: use `fxsave`.
static XSAVE_COMPONENTS: AtomicU32 = AtomicU32::new(0);

/// Finds out which vector registers this CPU has and the system lets programs use.
pub fn prepare() {
    const OSXSAVE: u32 = 1 << 27;
    const LEAF_FEATURES: u32 = 1;
    const LEAF_XSAVE: u32 = 0xd;
    let features = __cpuid_count(LEAF_FEATURES, 0).ecx;
    if features & OSXSAVE == 0 {
        return;
    }
    let enabled: u32;
    // SAFETY: the system enabled `xgetbv` (OSXSAVE); register 0 lists the enabled components.
    unsafe {
        core::arch::asm!(
            "xgetbv",
            in("ecx") 0,
            out("eax") enabled,
            out("edx") _,
            options(nomem, nostack, preserves_flags),
        );
    }
    let components = enabled & ARGUMENT_COMPONENTS;
    let mut size = FXSAVE_SIZE + XSAVE_HEADER_SIZE;
    for component in 2..32 {
        if components & (1 << component) != 0 {
            // Subleaf n gives the size of component n in eax and its offset in ebx.
            let place = __cpuid_count(LEAF_XSAVE, component);
            size = size.max(place.ebx.saturating_add(place.eax));
        }
    }
    // The entry points do not run before this: no JIT'd code does.
    XSAVE_AREA_SIZE.store(size, Ordering::Relaxed);
    XSAVE_COMPONENTS.store(components, Ordering::Release);
}
