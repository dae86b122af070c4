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

/// Whether an instruction that raised a signal runs again when its handler returns, whichever it was.
/// Not so after a breakpoint.
pub(crate) const RAISES_AGAIN: bool = false;

/// All, by name.
pub(crate) fn all(
    context: &libc::ucontext_t,
) -> impl ExactSizeIterator<Item = (&'static str, u64)> {
    NAMES
        .iter()
        .map(|&(name, register)| (name, get(context, register)))
}

/// Where the thread was.
pub(crate) fn program_counter(context: &libc::ucontext_t) -> u64 {
    get(context, libc::REG_RIP)
}

/// Its stack pointer.
pub(crate) fn stack_pointer(context: &libc::ucontext_t) -> u64 {
    get(context, libc::REG_RSP)
}

/// Program counter and stack pointer.
pub(crate) struct Place {
    counter: i64,
    stack: i64,
}

/// Makes it look as if the call had returned that led to where the thread is: `ret`, undone. Returns
/// what was there before.
///
/// # Safety
/// The context is that of a signal, and its stack pointer leads to readable memory.
pub(crate) unsafe fn return_from_call(context: *mut libc::ucontext_t) -> Place {
    // SAFETY: the caller says so.
    let (counter, stack) = unsafe { (program_counter(&*context), stack_pointer(&*context)) };
    // SAFETY: the caller says so; reading does not need alignment here.
    let address = unsafe { crate::host::loader::tables::read::<u64>(stack) };
    let caller = Place {
        counter: address.cast_signed(),
        stack: stack.wrapping_add(8).cast_signed(),
    };
    // SAFETY: the same context.
    unsafe { put_back(context, caller) };
    Place {
        counter: counter.cast_signed(),
        stack: stack.cast_signed(),
    }
}

/// Sets both.
///
/// # Safety
/// The context is that of a signal.
pub(crate) unsafe fn put_back(context: *mut libc::ucontext_t, place: Place) {
    // SAFETY: the caller says so. The unwinder reads what is written here, of which the compiler
    // knows nothing: to it these writes must not be in vain.
    unsafe {
        let registers = &raw mut (*context).uc_mcontext.gregs;
        let registers = registers.cast::<libc::greg_t>();
        registers
            .add(libc::REG_RIP as usize)
            .write_volatile(place.counter);
        registers
            .add(libc::REG_RSP as usize)
            .write_volatile(place.stack);
    }
}
