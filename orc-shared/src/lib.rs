//! What the controller and the executor of a JIT agree on.
//!
//! Addresses, the SPS wire format, the requests and answers of an executor's services, wrapper-function
//! results, allocation actions, symbol flags, the names of runtime symbols, what a process offers to
//! runtimes, and how names of inputs are
//! shown to people. Knows nothing of sessions, object formats or the operating system.
#![no_std]
#![forbid(unsafe_op_in_unsafe_fn)]

extern crate alloc;

mod action;
mod addr;
pub mod api;
mod exit_services;
mod flags;
pub mod names;
mod opening_order;
mod printable;
pub mod remote;
pub mod sps;
mod words;
mod wrapper_result;

pub use action::{AllocAction, AllocActionPair};
pub use addr::{ExecutorAddr, ExecutorAddrDiff, ExecutorAddrRange};
pub use exit_services::{ExitServices, IDLE_CALLS_KEPT, ThreadCall};
pub use flags::{ExecutorSymbolDef, SymbolFlags};
pub use opening_order::{DylibNeeds, opening_order};
pub use printable::{Printable, listed, printable, printable_lines, printable_text};
pub use words::Words;
pub use wrapper_result::{
    CWrapperFunctionData, CWrapperFunctionResult, OutOfBandError, WrapperAllocator,
    WrapperFunctionResult,
};
