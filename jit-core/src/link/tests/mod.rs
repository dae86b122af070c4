//! Links of small graphs made by hand, into memory that is a plain vector.

mod aarch64;
mod binding;
mod executor;
mod failures;
mod frames;
mod host;
mod large_data;
mod layout;
mod names;
mod objects;
mod pruning;
mod references;
mod thread_locals;
mod world;
