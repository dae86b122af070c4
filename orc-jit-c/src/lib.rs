//! The C interface of `orc-jit`. `include/orc_jit.h` is made from it.
//!
//! Each type of the interface is a Rust value in a box, which C knows by a pointer. All functions go through
//! [`error::answer`]: a failure becomes an error that has a message, and a panic does, too.

mod dylib;
mod error;
mod executor;
mod jit;
mod symbol;
mod text;

pub use dylib::*;
pub use error::{OrcJitError, orc_jit_error_free, orc_jit_error_message};
pub use executor::*;
pub use jit::*;
pub use symbol::*;
