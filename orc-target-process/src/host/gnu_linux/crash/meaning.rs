//! What Linux's signal codes mean, for people. Numbers are those of `siginfo.h`, which are the same on
//! all CPUs that code is linked for.

use std::ffi::c_int;

/// The kernel raised the signal and says no more.
const SI_KERNEL: i32 = 128;

/// What a code says of a signal's cause.
#[must_use]
pub fn cause(signal: i32, code: i32) -> &'static str {
    match (signal, code) {
        (libc::SIGABRT, libc::SI_TKILL) => "the program aborted itself",
        (_, libc::SI_TKILL) => "the program raised it itself",
        (_, libc::SI_USER) => "a process sent it",
        (_, libc::SI_QUEUE) => "a process queued it",
        (_, ..=0) => "it was sent",
        (libc::SIGSEGV, code) => of_segment(code),
        (libc::SIGBUS, code) => of_bus(code),
        (libc::SIGILL, code) => of_instruction(code),
        (libc::SIGFPE, code) => of_arithmetic(code),
        (libc::SIGTRAP, libc::TRAP_BRKPT | SI_KERNEL) => "a breakpoint instruction",
        (libc::SIGTRAP, _) => "a trap",
        _ => "the kernel raised it",
    }
}

fn of_segment(code: c_int) -> &'static str {
    match code {
        1 => "nothing is mapped there",
        2 => "the memory there does not allow it",
        3 => "outside the bounds of an object",
        4 => "a protection key denies it",
        SI_KERNEL => "an address that cannot exist, or an instruction that is not allowed",
        _ => "an invalid access",
    }
}

fn of_bus(code: c_int) -> &'static str {
    match code {
        libc::BUS_ADRALN => "the address is not aligned",
        libc::BUS_ADRERR => "beyond the end of the file that is mapped there",
        libc::BUS_MCEERR_AR | libc::BUS_MCEERR_AO => "the memory is broken",
        _ => "an invalid access",
    }
}

fn of_instruction(code: c_int) -> &'static str {
    match code {
        1 => "an instruction that does not exist",
        2 => "an operand that does not exist",
        3 => "an invalid way to address memory",
        5 | 6 => "a privileged instruction",
        8 => "an error of the stack",
        _ => "an instruction that is not allowed",
    }
}

fn of_arithmetic(code: c_int) -> &'static str {
    match code {
        1 => "an integer division by zero, or one whose result has no place",
        2 => "an integer overflow",
        3 => "a floating-point division by zero",
        4 => "a floating-point overflow",
        5 => "a floating-point underflow",
        6 => "an inexact floating-point result",
        7 => "an invalid floating-point operation",
        _ => "an arithmetic error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_count_for_their_signal() {
        assert_eq!(cause(libc::SIGSEGV, 1), "nothing is mapped there");
        assert_eq!(cause(libc::SIGBUS, 1), "the address is not aligned");
        assert_eq!(
            cause(libc::SIGABRT, libc::SI_TKILL),
            "the program aborted itself"
        );
        assert_eq!(cause(libc::SIGSEGV, libc::SI_USER), "a process sent it");
        assert_eq!(cause(libc::SIGTRAP, SI_KERNEL), "a breakpoint instruction");
        assert_eq!(cause(libc::SIGUSR1, 77), "the kernel raised it");
    }
}
