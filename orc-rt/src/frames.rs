//! Tells the process's unwinder of JIT'd code, for controllers that cannot do better.
//!
//! There are two unwinders, and `__register_frame` means different things to them: libgcc's takes a
//! whole `.eh_frame` section that ends with a zero word, LLVM's libunwind a single entry. But only
//! the latter has `__unw_add_dynamic_eh_frame_section`, which takes a section. So that is used where
//! it exists. All names are weak: they are null where the process has no such function.

use alloc::format;
use core::ffi::c_void;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::addr;
use crate::registry::{self, Outcome};

// Rust has no stable way to refer to a symbol weakly, so the references are words of assembly.
core::arch::global_asm!(
    ".weak __unw_add_dynamic_eh_frame_section",
    ".weak __unw_remove_dynamic_eh_frame_section",
    ".weak __register_frame",
    ".weak __deregister_frame",
    ".pushsection .data.rel.ro.orc_rt_unwinder, \"aw\", @progbits",
    ".balign 8",
    ".hidden orc_rt_unwinder",
    ".globl orc_rt_unwinder",
    "orc_rt_unwinder:",
    ".quad __unw_add_dynamic_eh_frame_section",
    ".quad __unw_remove_dynamic_eh_frame_section",
    ".quad __register_frame",
    ".quad __deregister_frame",
    ".popsection",
);

/// The process's functions, in the order of the assembly above.
#[repr(C)]
struct Unwinder {
    add_section: u64,
    remove_section: u64,
    register_frame: u64,
    deregister_frame: u64,
}

unsafe extern "C" {
    static orc_rt_unwinder: Unwinder;
}

/// The pair of functions to use: one to add a section, one to remove it.
fn unwinder_functions() -> Outcome<(ExecutorAddr, ExecutorAddr)> {
    // SAFETY: the table is made of constant words, which the linker filled in. It is read as
    // volatile because a symbol's address is otherwise taken not to be null.
    let unwinder = unsafe { (&raw const orc_rt_unwinder).read_volatile() };
    let pairs = [
        (unwinder.add_section, unwinder.remove_section),
        (unwinder.register_frame, unwinder.deregister_frame),
    ];
    let complete = pairs
        .into_iter()
        .find(|&(add, remove)| add != 0 && remove != 0);
    let (add, remove) = complete.ok_or(
        "the process has neither __register_frame nor __unw_add_dynamic_eh_frame_section: \
         exceptions cannot pass through JIT'd code",
    )?;
    Ok((ExecutorAddr::new(add), ExecutorAddr::new(remove)))
}

/// Makes the code that an `.eh_frame` section describes known to the unwinder.
///
/// # Errors
/// When the section is known already, or there is no unwinder.
///
/// # Safety
/// `section` is a complete `.eh_frame` section, ended by a zero word, and stays until
/// [`deregister`].
pub unsafe fn register(section: ExecutorAddrRange) -> Outcome<()> {
    let (add, _) = unwinder_functions()?;
    let start = section.start.value();
    if registry::lock().frames.insert(start, (0, 0)).is_some() {
        return Err(format!(
            "the .eh_frame section at {} is registered already",
            section.start
        ));
    }
    // SAFETY: the caller vouches for the section.
    unsafe { call(add, section.start) };
    Ok(())
}

/// Undoes [`register`]. Unwinders abort if asked to remove what they do not know, so they are not.
///
/// # Errors
/// When the section is not known.
///
/// # Safety
/// `section` is still there.
pub unsafe fn deregister(section: ExecutorAddrRange) -> Outcome<()> {
    let (_, remove) = unwinder_functions()?;
    if registry::lock()
        .frames
        .remove(&section.start.value())
        .is_none()
    {
        return Err(format!(
            "no .eh_frame section is registered at {}",
            section.start
        ));
    }
    // SAFETY: the section was registered, and the caller vouches that it is there.
    unsafe { call(remove, section.start) };
    Ok(())
}

/// # Safety
/// `function` is one of the unwinder's, and takes the section at `start`.
unsafe fn call(function: ExecutorAddr, start: ExecutorAddr) {
    type TakesSection = unsafe extern "C" fn(*const c_void);
    // SAFETY: all four functions have this type.
    unsafe { addr::to_function::<TakesSection>(function)(addr::to_ptr::<c_void>(start)) }
}
