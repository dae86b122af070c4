//! What the controller and the executor of a JIT agree on.
//!
//! Addresses, the SPS wire format, the requests and answers of an executor's services, wrapper-function
//! results, allocation actions, symbol flags and the names of runtime symbols. Knows nothing of sessions, object formats or the operating system.
#![no_std]
#![forbid(unsafe_op_in_unsafe_fn)]

extern crate alloc;

mod action;
mod addr;
pub mod api;
mod flags;
pub mod names;
mod opening_order;
pub mod remote;
pub mod sps;
mod wrapper_result;

pub use action::{AllocAction, AllocActionPair};
pub use addr::{ExecutorAddr, ExecutorAddrDiff, ExecutorAddrRange};
pub use flags::{ExecutorSymbolDef, SymbolFlags};
pub use opening_order::{DylibNeeds, opening_order};
pub use wrapper_result::{
    CWrapperFunctionData, CWrapperFunctionResult, OutOfBandError, WrapperAllocator,
    WrapperFunctionResult,
};
