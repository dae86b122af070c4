//! Tests of the session against a fake linker, fake objects and a fake executor.

mod archives;
mod batches;
mod clients;
mod failures;
mod linkage;
mod messages;
mod mock;
mod mock_executor;
#[cfg(feature = "models")]
mod models;
mod names;
mod removal;
mod scale;
mod threads;
