//! Bytes of inputs, which graphs and names borrow.

use std::sync::Arc;

/// Bytes that a graph's blocks may borrow: a mapped file, an archive member, a client's buffer.
pub trait InputBytes: Send + Sync {
    /// The bytes.
    fn bytes(&self) -> &[u8];

    /// The input that this is a part of.
    fn whole(&self) -> Option<&Arc<dyn InputBytes>> {
        None
    }

    /// Hears that the bytes will not be read for a while. They can be, all the same: this is for inputs
    /// that take memory while they are looked at, as mapped files do.
    fn rest(&self) {}
}
