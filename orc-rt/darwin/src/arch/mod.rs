//! What depends on the CPU: how a function gets any number of arguments. Each CPU's file has
//!
//! - `call_with_list`, the body of a function that makes a list of its arguments behind the named ones, for another function
//!   that takes such a list last;
//! - `last_arguments`, that of a function whose last arguments are there or not, for one that always has them;
//! - `v_functions`, the functions of the C library that take a list, for lists of macOS;
//! - functions that macOS has, or has otherwise, on this CPU alone.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{call_with_list, last_arguments, v_functions};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{call_with_list, last_arguments, v_functions};
