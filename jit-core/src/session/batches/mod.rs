//! The life of a batch: its work, the answers that its link gets, and who waits for it.

pub(in crate::session) mod batch_host;
mod bindings;
pub(in crate::session) mod deferred;
pub(in crate::session) mod dispatcher;
pub(in crate::session) mod publish;
pub(in crate::session) mod query;
pub(in crate::session) mod removal;
pub(in crate::session) mod replacement;
pub(in crate::session) mod work;
