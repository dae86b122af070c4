//! What the controller and the executor of a JIT agree on.
//!
//! Addresses, the SPS wire format, wrapper-function results, allocation actions, symbol flags and
//! the names of runtime symbols. Knows nothing of sessions, object formats or the operating system.
#![no_std]
#![forbid(unsafe_op_in_unsafe_fn)]

extern crate alloc;

mod addr;

pub use addr::{ExecutorAddr, ExecutorAddrDiff, ExecutorAddrRange};
