//! Lazy calls and reoptimization: JIT'd code asks the controller for other code.
//!
//! A lazy function starts out as a *trampoline*, a `call` to `crate::arch`'s
//! `__orc_rt_sysv_reenter`. That saves every register that may hold an argument, asks the controller
//! which function the trampoline (known by its address) stands for, and goes on there as if nothing
//! had happened in between.

use alloc::format;

use orc_shared::{ExecutorAddr, ExecutorSymbolDef};

use crate::call::{self, Tag};
use crate::log;

/// Names the controller's handler: `Expected<(Addr, (u8, u8))>(Addr trampoline)`.
#[unsafe(no_mangle)]
pub static mut __orc_rt_resolve_tag: Tag = 0;

/// Names the controller's handler: `void(u64 unit, u32 version)`.
#[unsafe(no_mangle)]
pub static mut __orc_rt_reoptimize_tag: Tag = 0;

/// The address of the function that the trampoline at `trampoline` stands for.
///
/// A controller that cannot link it answers with the address of a function that handles the error.
/// If it does not answer at all, there is nowhere to go on or to return to: this prints why and
/// aborts.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_resolve(trampoline: u64) -> u64 {
    let trampoline = ExecutorAddr::new(trampoline);
    let tag = &raw const __orc_rt_resolve_tag;
    match call::controller::<_, ExecutorSymbolDef>(tag, &(trampoline,)) {
        Ok(target) => target.addr.value(),
        Err(message) => {
            log::error(&format!(
                "cannot resolve the lazy call through the trampoline at {trampoline}: {message}"
            ));
            // SAFETY: `abort` may be called anywhere.
            unsafe { libc::abort() }
        }
    }
}

/// Asks for a better version of a unit of code. The present one stays usable if that fails.
pub extern "C" fn reoptimize(unit: u64, version: u32) {
    let tag = &raw const __orc_rt_reoptimize_tag;
    if let Err(message) = call::controller_void(tag, &(unit, version)) {
        log::error(&format!(
            "cannot reoptimize unit {unit}, version {version}: {message}"
        ));
    }
}
