//! What a Rust program without `std` has to define itself.

use core::panic::PanicInfo;

/// A bug in a function: says so and aborts, as no caller could go on.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    const MESSAGE: &[u8] = b"orc-rt: internal error in a function of macOS\n";
    // SAFETY: the message is valid for its length; `abort` may be called anywhere.
    unsafe {
        libc::write(2, MESSAGE.as_ptr().cast(), MESSAGE.len());
        libc::abort()
    }
}

/// The precompiled `core` names this in its unwind tables, whatever the panic strategy. Nothing
/// unwinds *out of* these frames into a landing pad, so any exception may pass: the value
/// is `_URC_CONTINUE_UNWIND` of the unwinder's C interface.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> i32 {
    8
}
