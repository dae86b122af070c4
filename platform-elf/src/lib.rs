//! ELF objects, archives and shared libraries, and the ELF platform, for `jit-core`.
#![forbid(unsafe_code)]

pub mod archive;
pub mod assignments;
mod debug_info;
mod eh_frame;
pub mod input;
pub mod library_search;
pub mod linker_script;
mod machine;
mod name_budget;
pub mod native_code;
pub mod object;
pub mod platform;
pub mod shared_library;
mod symbol_at;
pub mod symbol_list;

#[cfg(test)]
mod test_object;
