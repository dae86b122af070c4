//! Links of small graphs made by hand, into memory that is a plain vector.

mod aarch64;
mod binding;
mod differences;
mod failures;
mod frames;
mod large_data;
mod layout;
mod literals;
mod mock_executor;
mod mock_host;
mod names;
mod objects;
mod pruning;
mod references;
mod thread_locals;
mod world;
