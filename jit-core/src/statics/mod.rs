//! Static variables of code that is replaced: where they are, and which of them go on living.
//!
//! A new version of an object uses the variables that the running one has, with the values they have,
//! thread-locals included. Variables are the same if they have the same name in the same object (or are
//! visible to others under that name) and the *block* that holds them, a section of the object, has the same
//! layout: the same variables at the same offsets with the same sizes. Compilers that give each variable
//! a section of its own (`-fdata-sections`) make every variable a block.
//!
//! Names that compilers number, as gcc does with C's function-local variables (`n.0`, `n.1`, in the order of the
//! source), are taken as they are: a new `n` in front of another takes over its value.
//!
//! A block whose layout has changed cannot be kept: whoever has a pointer into it would see something
//! else. That is refused, with both layouts ([`StaticsChanged`]). What is read-only is no variable: each version
//! has its own.

mod changed;
mod compare;

pub use changed::{ChangedBlock, StaticsChanged};
pub(crate) use compare::{Known, KnownStatics, RunningStatics};

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use crate::ids::TrackerId;

/// A variable of a block.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Variable {
    /// Its offset in the block, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Its name, as the object spells it.
    pub name: String,
    /// Whether other objects see it.
    pub is_global: bool,
}

/// What holds variables: a section of an object, or a common symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaticBlock {
    /// The section's name.
    pub section: String,
    /// Size in bytes.
    pub size: u64,
    /// Whether every thread has its own.
    pub is_thread_local: bool,
    /// By offset.
    pub variables: Vec<Variable>,
}

/// A block that is in memory.
#[derive(Clone, Debug)]
pub struct PlacedBlock {
    /// The block.
    pub block: Arc<StaticBlock>,
    /// Its address; for thread-locals, its place
    /// ([`TlsPlace::value`](crate::executor::api::TlsPlace::value)).
    pub addr: ExecutorAddr,
    /// What its memory belongs to.
    pub owner: TrackerId,
}

/// The variables of an object that is in memory.
#[derive(Clone, Debug)]
pub struct Statics {
    /// The object's name.
    pub object: Arc<str>,
    /// Its blocks.
    pub blocks: Vec<PlacedBlock>,
}
