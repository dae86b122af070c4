//! ELF objects and shared libraries, and the ELF platform, for `jit-core`. What does not depend on the format is in
//! `orc-inputs`.
#![forbid(unsafe_code)]

pub mod archive;
pub mod assignments;
mod debug_info;
mod eh_frame;
pub mod format;
mod machine;
mod native_code;
pub mod object;
pub mod platform;
pub mod shared_library;
mod symbol_at;

#[cfg(test)]
mod test_object;
