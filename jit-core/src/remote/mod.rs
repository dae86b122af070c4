//! Executors in other processes, on this host or another one.
//!
//! The protocol is that of `orc_shared::remote`: LLVM's SimpleRemoteEPC, with services that are
//! offered in the setup message. What comes from the executor is hostile until decoded: messages
//! are bounded, tags are looked up and addresses never followed, and whatever it does, or stops
//! doing, is an error within a known time.

mod calls;
mod child_process;
mod connection;
mod fuzz;
mod incoming;
mod launch;
mod llvm_executor;
mod memory;
mod place;
mod remote_executor;
mod requests;
mod same_files;
mod silence;
mod stream;
mod streams;
mod workers;

pub use child_process::{become_program, end_descendants};
pub use connection::Limits;
pub use fuzz::fuzz_messages;
pub use launch::{Emulator, Launch, Token};
pub use place::{PLACES, Place};
pub use remote_executor::RemoteExecutor;

#[cfg(test)]
mod tests;
