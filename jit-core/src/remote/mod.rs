//! Executors in other processes, on this host or another one.
//!
//! The protocol is that of `orc_shared::remote`: LLVM's SimpleRemoteEPC, with services that are
//! offered in the setup message. What comes from the executor is hostile until decoded: messages
//! are bounded, tags are looked up and addresses never followed, and whatever it does, or stops
//! doing, is an error within a known time.

mod calls;
mod connection;
mod incoming;
mod lost;
mod process;
mod silence;
mod stream;
mod workers;

pub use connection::Limits;
pub use lost::{Disconnect, signal_name};

#[cfg(test)]
mod tests;
