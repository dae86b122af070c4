//! AArch64. On macOS, arguments behind the named ones lie on the stack, 8 bytes each, wherever there are free registers;
//! on Linux they are passed like any others.
//!
//! A list of macOS is the address of the next argument. One of Linux has the stack's next argument, the ends of two
//! areas with saved registers, and how far before these the next ones are (AAPCS64, "The va_list type"). Zero is the
//! end: with both at their ends, all arguments come from the stack, in words of 8 bytes as on macOS. So any list of macOS
//! makes one of Linux.
//!
//! A `long double` is a `double` on macOS and has 16 bytes on Linux. Formats lose the letter that says so
//! ([`crate::format`]), and functions of mathematics are those for `double`.

mod numbers;
pub(crate) mod print;
mod process;

/// Code that makes a list of the arguments behind so many named ones: they begin where the stack ends.
macro_rules! call_with_list {
    (0, $target:path) => { core::arch::naked_asm!("mov x0, sp", "b {}", sym $target) };
    (1, $target:path) => { core::arch::naked_asm!("mov x1, sp", "b {}", sym $target) };
    (2, $target:path) => { core::arch::naked_asm!("mov x2, sp", "b {}", sym $target) };
    (3, $target:path) => { core::arch::naked_asm!("mov x3, sp", "b {}", sym $target) };
    (4, $target:path) => { core::arch::naked_asm!("mov x4, sp", "b {}", sym $target) };
    (5, $target:path) => { core::arch::naked_asm!("mov x5, sp", "b {}", sym $target) };
}

/// Code that takes two arguments behind the named ones into registers: something lies on the stack, whether they are there
/// or not.
macro_rules! last_arguments {
    (2, $target:path) => { core::arch::naked_asm!("ldp x2, x3, [sp]", "b {}", sym $target) };
    (3, $target:path) => { core::arch::naked_asm!("ldp x3, x4, [sp]", "b {}", sym $target) };
}

pub(crate) use print as v_functions;
pub(crate) use {call_with_list, last_arguments};
