//! The launcher's code, which each CPU has a file for.
//!
//! What the kernel hands over, upwards from the stack pointer: the number of arguments, the arguments
//! and a null, the environment and a null, the auxiliary vector. The code copies the arguments
//! below, behind three more:
//!
//! ```text
//! execve(COMMAND, {COMMAND, "run-image", AT_EXECFN, the arguments}, the environment)
//! ```
//!
//! If there is no such file any more, a shell looks for the command in $PATH, or says what is missing.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::MACHINE;
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::MACHINE;
