//! What both halves of a JIT ask of the system about their own process, and the command does: closed
//! standard streams, signals that would end it, its end, memory to share, limits, waiting, and becoming another program.
//!
//! It runs no linked code: a controller that only speaks to other processes needs this, and no
//! executor.

pub mod at_exit;
pub mod bystander;
pub mod idle_thread;
pub mod interruption;
pub mod limits;
pub mod shared_memory;
pub mod standard_streams;
pub mod succession;
pub mod waiting;
