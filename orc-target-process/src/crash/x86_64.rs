//! The registers of a thread that a signal stopped, on x86-64.

use std::ffi::c_int;

/// Names, and places in `gregs`.
const NAMES: [(&str, c_int); 18] = [
    ("rip", libc::REG_RIP),
    ("rsp", libc::REG_RSP),
    ("rbp", libc::REG_RBP),
    ("rax", libc::REG_RAX),
    ("rbx", libc::REG_RBX),
    ("rcx", libc::REG_RCX),
    ("rdx", libc::REG_RDX),
    ("rsi", libc::REG_RSI),
    ("rdi", libc::REG_RDI),
    ("r8", libc::REG_R8),
    ("r9", libc::REG_R9),
    ("r10", libc::REG_R10),
    ("r11", libc::REG_R11),
    ("r12", libc::REG_R12),
    ("r13", libc::REG_R13),
    ("r14", libc::REG_R14),
    ("r15", libc::REG_R15),
    ("eflags", libc::REG_EFL),
];

fn get(context: &libc::ucontext_t, register: c_int) -> u64 {
    context.uc_mcontext.gregs[register as usize].cast_unsigned()
}

/// All, by name.
pub(super) fn all(
    context: &libc::ucontext_t,
) -> impl ExactSizeIterator<Item = (&'static str, u64)> {
    NAMES
        .iter()
        .map(|&(name, register)| (name, get(context, register)))
}

/// Where the thread was.
pub(super) fn program_counter(context: &libc::ucontext_t) -> u64 {
    get(context, libc::REG_RIP)
}

/// Its stack pointer.
pub(super) fn stack_pointer(context: &libc::ucontext_t) -> u64 {
    get(context, libc::REG_RSP)
}

/// Makes it look as if the call had returned that led to where the thread is: `ret`, undone.
///
/// # Safety
/// The stack pointer of the context must lead to readable memory.
pub(super) unsafe fn return_from_call(context: &mut libc::ucontext_t) {
    let stack = stack_pointer(context);
    // SAFETY: the caller says so; reading does not need alignment here.
    let address = unsafe { crate::native::host::read::<u64>(stack) };
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RIP as usize] = address.cast_signed();
    registers[libc::REG_RSP as usize] = stack.wrapping_add(8).cast_signed();
}
