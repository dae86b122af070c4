//! The controller of a JIT: sessions, the link graph, and the linker.
//!
//! Knows no object format (`platform-*` crates bring them) and has no `unsafe`: raw memory is
//! reached only through [`executor::ExecutorControl`].
#![forbid(unsafe_code)]

pub mod batch;
pub mod claims;
pub mod cpu;
pub mod debug;
pub mod demangle;
pub mod error;
pub mod executor;
pub mod graph;
pub mod ids;
pub mod in_order;
#[cfg(feature = "in-process")]
pub mod in_process;
pub mod input;
pub mod kept;
pub mod link;
pub mod name;
mod name_pages;
pub mod native;
pub mod object;
pub mod platform;
pub mod remote;
pub mod session;
pub mod statics;
pub mod stubs;
pub mod symbol;
pub mod symbolize;
mod sync;
pub mod threads;
