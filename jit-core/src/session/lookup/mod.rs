//! From the names that a lookup asks for to the batch that is linked.

pub(in crate::session) mod ask;
pub(in crate::session) mod commons;
mod defer;
pub(in crate::session) mod form_batch;
pub(in crate::session) mod libraries;
pub(in crate::session) mod overlay;
pub(in crate::session) mod probe;
pub(in crate::session) mod program_part;
pub(in crate::session) mod resolve;
