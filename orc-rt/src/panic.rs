//! What a Rust program without `std` has to define itself.

use core::fmt::Write;
use core::panic::PanicInfo;

/// A bug in the runtime, or no memory: says so and aborts, as no caller could go on.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(crate::log::Stderr, "orc-rt: internal error: {info}");
    // SAFETY: `abort` may be called anywhere.
    unsafe { libc::abort() }
}

/// The precompiled `core` names this in its unwind tables, whatever the panic strategy. Nothing
/// unwinds *out of* the runtime's frames into a landing pad, so any exception may pass: the value
/// is `_URC_CONTINUE_UNWIND` of the unwinder's C interface.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> i32 {
    8
}
