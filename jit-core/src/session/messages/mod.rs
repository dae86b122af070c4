//! Errors of lookups and additions, put into words for a person.

pub(in crate::session) mod clash;
pub(in crate::session) mod hints;
pub(in crate::session) mod missing;
pub(in crate::session) mod referrers;
pub(in crate::session) mod suggestions;
