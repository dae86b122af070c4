//! Tests that link and run code.

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
