//! The boundary to the system that the process runs on: every call of its C library and its kernel is
//! behind the functions in here.
//!
//! Each system has a folder, with a module per question; the names below are what a new one has to
//! answer. GNU/Linux is the only one so far.

#[cfg(target_os = "linux")]
mod gnu_linux;
mod memory_error;

#[cfg(all(target_os = "linux", feature = "libunwind"))]
pub use gnu_linux::libunwind;
#[cfg(target_os = "linux")]
pub use gnu_linux::{crash, debugger, identity, loader, process, program, thread_locals};

#[cfg(all(target_os = "linux", feature = "relay"))]
pub(crate) use gnu_linux::confinement;
#[cfg(all(target_os = "linux", feature = "llvm"))]
pub(crate) use gnu_linux::named_memory;
#[cfg(target_os = "linux")]
pub(crate) use gnu_linux::{
    arch, c_heap, code_writer, descriptors, elf, leak_checker, limits, maps, pages, race_checker,
    range, socket, stand_ins, thread, unwinder,
};

pub use memory_error::MemoryError;
