//! Runs relocatable objects and static archives without a link step.
//!
//! A [`Jit`] has [`Dylib`]s. Objects, archives, libraries and your own materializers are added to a
//! dylib; a lookup links what it needs into memory and gives a [`Function`] that keeps its code alive.

#[doc(hidden)]
pub mod cli;
mod defaults;
mod dylib;
mod error;
mod function;
mod jit;
mod mapped;
mod needed;
mod process;
mod program;

pub use dylib::{Dylib, Tracker};
pub use error::Error;
pub use function::{Function, FunctionPointer};
pub use jit::{Builder, Jit, ObjectReader};
pub use jit_core::object::ObjectFile;
pub use jit_core::session::{Materializer, Removal, Responsibility, Symbol};
pub use orc_shared::ExecutorAddr;
pub use program::{Program, ProgramInput, ProgramSettings};
