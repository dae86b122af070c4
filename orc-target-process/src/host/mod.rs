//! The boundary to the system that the process runs on: every call of its C library and its kernel is
//! behind the functions in here.
//!
//! Each system has a folder, with a module per question; the names below are what a new one has to
//! answer. GNU/Linux is the only one so far.

#[cfg(target_os = "linux")]
mod gnu_linux;

#[cfg(target_os = "linux")]
pub(crate) use gnu_linux::{
    code_writer, confinement, descriptors, leak_checker, limits, loaded_range, named_memory, pages,
    process, race_checker, socket, thread, unwinder,
};
