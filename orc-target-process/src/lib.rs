//! What a process needs to run JIT-linked code.
//!
//! Memory, native libraries, frame tables, thread-local storage and running programs, for the
//! process it is linked into. Knows neither object formats nor sessions.
//!
//! Without the features `relay` and `llvm` it is what the linker of its own process needs. What only those
//! ask of the host stays in the source then, and out of the program.
#![cfg_attr(not(all(feature = "relay", feature = "llvm")), allow(dead_code))]

#[cfg(feature = "relay")]
pub mod command;
pub mod executor;
pub mod host;
pub mod server;

#[cfg(all(
    feature = "libunwind",
    not(all(target_os = "linux", target_arch = "x86_64"))
))]
compile_error!("the feature `libunwind` is for Linux on x86-64");
