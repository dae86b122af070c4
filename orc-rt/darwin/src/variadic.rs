//! Functions with any number of arguments and a locale among them: `snprintf_l` and its like. They make a list of their
//! arguments, as compilers do, and call the function that takes one.
//!
//! On x86-64, such a list has how much of the registers was used, where arguments lie on the stack, and where the registers
//! were saved: six of 8 bytes and eight of 16 (System V psABI, "Variable Argument Lists").
//!
//! ```text
//!  rsp+208 arguments on the stack
//!  rsp+200 return address
//!  rsp+24  saved registers: 48 bytes and 128 bytes
//!  rsp     the list: 4 bytes, 4 bytes, two pointers
//! ```

use core::arch::naked_asm;
use core::ffi::{c_char, c_int};

use super::locale::{
    __orc_rt_ext_darwin_vasprintf_l, __orc_rt_ext_darwin_vsnprintf_l,
    __orc_rt_ext_darwin_vsscanf_l, Locale,
};

/// Code that saves the registers and makes the list. `$used` are the bytes of those that hold named arguments.
macro_rules! make_list {
    ($used:literal, $($last:literal),* ; $target:path) => {
        naked_asm!(
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
            $($last,)*
            "call {}",
            "add rsp, 200",
            ".cfi_def_cfa_offset 8",
            "ret",
            ".cfi_endproc",
            sym $target,
        )
    };
}

/// `snprintf_l`.
///
/// # Safety
/// As for `snprintf`, with what follows `format`.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_snprintf_l(
    to: *mut c_char,
    size: usize,
    locale: Locale,
    format: *const c_char,
) -> c_int {
    // to, size, format, list, locale.
    make_list!("32", "mov r8, rdx", "mov rdx, rcx", "mov rcx, rsp"; __orc_rt_ext_darwin_vsnprintf_l)
}

/// `asprintf_l`.
///
/// # Safety
/// As for `asprintf`, with what follows `format`.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_asprintf_l(
    to: *mut *mut c_char,
    locale: Locale,
    format: *const c_char,
) -> c_int {
    // to, format, list, locale.
    make_list!("24", "mov rcx, rsi", "mov rsi, rdx", "mov rdx, rsp"; __orc_rt_ext_darwin_vasprintf_l)
}

/// `sscanf_l`.
///
/// # Safety
/// As for `sscanf`, with what follows `format`.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_sscanf_l(
    text: *const c_char,
    locale: Locale,
    format: *const c_char,
) -> c_int {
    // text, format, list, locale.
    make_list!("24", "mov rcx, rsi", "mov rsi, rdx", "mov rdx, rsp"; __orc_rt_ext_darwin_vsscanf_l)
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
    super::locale::or_c_locale(locale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_all_kinds_arrive() {
        type Print = unsafe extern "C" fn(*mut c_char, usize, Locale, *const c_char, ...) -> c_int;
        // SAFETY: such a function takes any number of arguments.
        let print: Print =
            unsafe { core::mem::transmute(__orc_rt_ext_darwin_snprintf_l as *const ()) };
        let mut to = [0; 64];
        let format = c"%d %s %.1f %d %d %d %.2f";
        // SAFETY: the arguments are those that the format says.
        let length = unsafe {
            print(
                to.as_mut_ptr(),
                64,
                core::ptr::null_mut(),
                format.as_ptr(),
                1,
                c"two".as_ptr(),
                3.0,
                4,
                5,
                6,
                7.25,
            )
        };
        // SAFETY: a string was written.
        let text = unsafe { core::ffi::CStr::from_ptr(to.as_ptr()) };
        assert_eq!(text, c"1 two 3.0 4 5 6 7.25");
        assert_eq!(length, 20);
    }
}
