//! ELF objects, archives and shared libraries, and the ELF platform, for `jit-core`.
#![forbid(unsafe_code)]

pub mod library_search;
pub mod linker_script;
pub mod platform;
pub mod shared_library;
