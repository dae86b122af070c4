//! Runs relocatable objects and static archives without a link step.
#[doc(hidden)]
pub mod cli;
mod mapped;
