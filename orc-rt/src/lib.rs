//! The JIT runtime: what JIT'd code needs beside it in its process.
//!
//! It is a static archive, `liborc_rt.a`, that the JIT links into the executor like any library, so
//! each session has its own copy and its own statics. It runs initializers and finalizers, files
//! `atexit` handlers and thread-local destructors with the C library so that they run when and in
//! the order they would in a linked program, opens and closes JIT'd dylibs, runs programs, hands out
//! thread-locals and frames where the controller cannot, and leads lazy calls to the controller.
//!
//! The entry points for controllers are LLVM 22's ([`elfnix`], [`run_program`], [`dlfcn`],
//! [`lazy`]): *wrapper functions* that take and return packed bytes ([`call`]). What is ours alone is
//! in [`ext`]. Functions of macOS's C library, for objects that were made for it, are in a crate of their own,
//! `orc-rt/darwin`.
//!
//! # What the user of the archive owes it
//! - `__orc_rt_jit_dispatch` and `__orc_rt_jit_dispatch_ctx`, defined before it is linked.
//! - `__orc_rt_elfnix_platform_bootstrap` before any other call, `…_shutdown` before its memory is
//!   freed.
//! - The C library: `malloc`, `pthread_*`, `dlopen`, `mmap` and the like; no C++ library.
//!
//! # What it keeps
//! - No thread-local of its own, no relocation that a simple linker would not know, no `std`.
//! - It does not end the process. The exceptions have nowhere to return an error to: a lazy call
//!   whose target cannot be found, running out of memory, and a bug in the runtime.
//! - No lock is held while code that is not the runtime's runs.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod addr;
mod arch;
pub mod call;
mod dl_calls;
pub mod dlfcn;
pub mod elfnix;
pub mod exit;
pub mod ext;
mod frames;
mod host;
pub mod lazy;
mod loader;
pub mod log;
mod malloc;
mod own_c_library;
#[cfg(all(feature = "archive", not(test)))]
mod panic;
mod registry;
pub mod run_program;
mod saved_data;
mod sync;
pub mod thread_exit;
mod thunk;
pub mod tls;
