//! What a controller carries with it, so that a program that links code needs no file beside it.
//!
//! The build script says where the bytes come from.

/// The runtime, `liborc_rt.a`: a static archive that a session links into its executor.
pub static RUNTIME: &[u8] = include_bytes!(env!("ORC_RT_ARCHIVE"));

/// `orc-executor`: the program of a spawned executor, an ELF executable for the target of this build.
pub static EXECUTOR: &[u8] = include_bytes!(env!("ORC_EXECUTOR"));

/// The executor as a shared library, for the process of LLVM's executor.
pub static EXECUTOR_GUEST: &[u8] = include_bytes!(env!("ORC_EXECUTOR_GUEST"));
