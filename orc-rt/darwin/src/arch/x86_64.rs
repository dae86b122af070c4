//! x86-64. Arguments behind the named ones are passed like any others, on macOS as on Linux.
//!
//! A list of arguments has how much of the registers was used, where arguments lie on the stack, and where the registers
//! were saved: six of 8 bytes and eight of 16 (System V psABI, "Variable Argument Lists").
//!
//! ```text
//!  rsp+208 arguments on the stack
//!  rsp+200 return address
//!  rsp+24  saved registers: 48 bytes and 128 bytes
//!  rsp     the list: 4 bytes, 4 bytes, two pointers
//! ```

use core::arch::naked_asm;
use core::ffi::c_char;

use crate::locale::Locale;

/// Code that saves the registers and makes the list, behind so many named arguments.
macro_rules! call_with_list {
    (1, $target:path) => {
        $crate::arch::x86_64::make_list!("8", "rsi", $target)
    };
    (2, $target:path) => {
        $crate::arch::x86_64::make_list!("16", "rdx", $target)
    };
    (3, $target:path) => {
        $crate::arch::x86_64::make_list!("24", "rcx", $target)
    };
    (4, $target:path) => {
        $crate::arch::x86_64::make_list!("32", "r8", $target)
    };
}

/// The same: `$used` are the bytes of registers with named arguments, and `$list` is the next register.
macro_rules! make_list {
    ($used:literal, $list:literal, $target:path) => {
        core::arch::naked_asm!(
            ".cfi_startproc",
            "sub rsp, 200",
            ".cfi_def_cfa_offset 208",
            "mov [rsp + 24], rdi",
            "mov [rsp + 32], rsi",
            "mov [rsp + 40], rdx",
            "mov [rsp + 48], rcx",
            "mov [rsp + 56], r8",
            "mov [rsp + 64], r9",
            "movups [rsp + 72], xmm0",
            "movups [rsp + 88], xmm1",
            "movups [rsp + 104], xmm2",
            "movups [rsp + 120], xmm3",
            "movups [rsp + 136], xmm4",
            "movups [rsp + 152], xmm5",
            "movups [rsp + 168], xmm6",
            "movups [rsp + 184], xmm7",
            concat!("mov dword ptr [rsp], ", $used),
            "mov dword ptr [rsp + 4], 48",
            "lea rax, [rsp + 208]",
            "mov [rsp + 8], rax",
            "lea rax, [rsp + 24]",
            "mov [rsp + 16], rax",
            concat!("mov ", $list, ", rsp"),
            "call {}",
            "add rsp, 200",
            ".cfi_def_cfa_offset 8",
            "ret",
            ".cfi_endproc",
            sym $target,
        )
    };
}

/// Code that leaves the arguments where they are: those behind the named ones follow in registers.
macro_rules! last_arguments {
    ($first:literal, $target:path) => {
        core::arch::naked_asm!("jmp {}", sym $target)
    };
}

pub(crate) use {call_with_list, last_arguments, make_list};

/// The C library's own functions: lists are the same.
pub mod v_functions {
    use core::ffi::{c_char, c_int, c_void};

    unsafe extern "C" {
        pub fn vasprintf(to: *mut *mut c_char, format: *const c_char, list: *mut c_void) -> c_int;
        pub fn vdprintf(file: c_int, format: *const c_char, list: *mut c_void) -> c_int;
        pub fn vfprintf(file: *mut c_void, format: *const c_char, list: *mut c_void) -> c_int;
        pub fn vfscanf(file: *mut c_void, format: *const c_char, list: *mut c_void) -> c_int;
        pub fn vfwprintf(file: *mut c_void, format: *const c_int, list: *mut c_void) -> c_int;
        pub fn vfwscanf(file: *mut c_void, format: *const c_int, list: *mut c_void) -> c_int;
        pub fn vprintf(format: *const c_char, list: *mut c_void) -> c_int;
        pub fn vscanf(format: *const c_char, list: *mut c_void) -> c_int;
        pub fn vsnprintf(
            to: *mut c_char,
            size: usize,
            format: *const c_char,
            list: *mut c_void,
        ) -> c_int;
        pub fn vsprintf(to: *mut c_char, format: *const c_char, list: *mut c_void) -> c_int;
        pub fn vsscanf(text: *const c_char, format: *const c_char, list: *mut c_void) -> c_int;
        pub fn vswprintf(
            to: *mut c_int,
            size: usize,
            format: *const c_int,
            list: *mut c_void,
        ) -> c_int;
        pub fn vswscanf(text: *const c_int, format: *const c_int, list: *mut c_void) -> c_int;
        pub fn vwprintf(format: *const c_int, list: *mut c_void) -> c_int;
        pub fn vwscanf(format: *const c_int, list: *mut c_void) -> c_int;
    }
}

/// `strtold_l`: its result is in the processor's stack of numbers, and a null pointer is the locale "C".
///
/// # Safety
/// As for `strtold_l`.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_strtold_l(
    text: *const c_char,
    end: *mut *mut c_char,
    locale: Locale,
) {
    unsafe extern "C" {
        fn strtold_l();
    }
    naked_asm!(
        ".cfi_startproc",
        "push rdi",
        ".cfi_def_cfa_offset 16",
        "push rsi",
        ".cfi_def_cfa_offset 24",
        "sub rsp, 8",
        ".cfi_def_cfa_offset 32",
        "mov rdi, rdx",
        "call {locale}",
        "mov rdx, rax",
        "add rsp, 8",
        ".cfi_def_cfa_offset 24",
        "pop rsi",
        ".cfi_def_cfa_offset 16",
        "pop rdi",
        ".cfi_def_cfa_offset 8",
        "jmp {strtold}",
        ".cfi_endproc",
        locale = sym c_locale,
        strtold = sym strtold_l,
    )
}

extern "C" fn c_locale(locale: Locale) -> Locale {
    crate::locale::or_c_locale(locale)
}
