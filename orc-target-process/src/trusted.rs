//! Calls that the controller asks for.
//!
//! An executor runs code for its controller, so it trusts it: an address that the controller gives is
//! called as it is. That trust is stated here, once, and not by every controller.

use orc_shared::ExecutorAddr;

use crate::process::{self, CallError};

/// Calls a wrapper function for the controller, on this thread.
///
/// # Errors
/// The function's out-of-band error.
pub fn call_wrapper(function: ExecutorAddr, arguments: &[u8]) -> Result<Vec<u8>, CallError> {
    // SAFETY: the controller asks only for functions that it linked and finalized, or that the
    // runtime told it of, and keeps their memory during the call. It could as well have linked code that
    // does anything, so checking addresses here would add no safety.
    unsafe { process::call_wrapper(function, arguments) }
}
