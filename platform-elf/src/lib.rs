//! ELF objects, archives and shared libraries, and the ELF platform, for `jit-core`.
#![forbid(unsafe_code)]

pub mod library_search;
pub mod linker_script;
pub mod platform;
pub mod shared_library;
mod eh_frame;
pub mod input;
pub mod object;
mod x86_64;
pub mod archive;
