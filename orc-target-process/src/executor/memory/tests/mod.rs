//! Tests that link and run code. Their functions are x86-64.
#![cfg(target_arch = "x86_64")]

mod code;
mod data_segments;
mod frames;
#[cfg(feature = "libunwind")]
mod libunwind;
mod names;
mod permissions;
mod space;
mod speed;
mod table;
