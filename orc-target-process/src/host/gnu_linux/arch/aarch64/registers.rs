//! The registers of a thread that a signal stopped, on AArch64.

/// Names of the general registers, in the order in which the kernel keeps them.
const NAMES: [&str; 31] = [
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
    "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27",
    "x28", "x29", "x30",
];

/// Whether an instruction that raised a signal runs again when its handler returns, whichever it was.
pub(crate) const RAISES_AGAIN: bool = true;

/// All, by name.
pub(crate) fn all(
    context: &libc::ucontext_t,
) -> impl ExactSizeIterator<Item = (&'static str, u64)> {
    let special = [
        ("pc", context.uc_mcontext.pc),
        ("sp", context.uc_mcontext.sp),
        ("pstate", context.uc_mcontext.pstate),
    ];
    let general = context.uc_mcontext.regs;
    (0..special.len() + NAMES.len()).map(move |at| match at.checked_sub(special.len()) {
        None => special[at],
        Some(number) => (NAMES[number], general[number]),
    })
}

/// Where the thread was.
pub(crate) fn program_counter(context: &libc::ucontext_t) -> u64 {
    context.uc_mcontext.pc
}

/// Its stack pointer.
pub(crate) fn stack_pointer(context: &libc::ucontext_t) -> u64 {
    context.uc_mcontext.sp
}

/// The program counter.
pub(crate) struct Place {
    counter: u64,
}

/// Makes it look as if the call had returned that led to where the thread is: the link register has
/// the return address. Returns what was there before.
///
/// # Safety
/// The context is that of a signal.
pub(crate) unsafe fn return_from_call(context: *mut libc::ucontext_t) -> Place {
    const LINK_REGISTER: usize = 30;
    // SAFETY: the caller says so.
    let (counter, caller) = unsafe {
        let machine = &(*context).uc_mcontext;
        (machine.pc, machine.regs[LINK_REGISTER])
    };
    // SAFETY: the same context.
    unsafe { put_back(context, Place { counter: caller }) };
    Place { counter }
}

/// Sets it.
///
/// # Safety
/// The context is that of a signal.
pub(crate) unsafe fn put_back(context: *mut libc::ucontext_t, place: Place) {
    // SAFETY: the caller says so. The unwinder reads what is written here, of which the compiler
    // knows nothing: to it this write must not be in vain.
    unsafe { (&raw mut (*context).uc_mcontext.pc).write_volatile(place.counter) };
}
