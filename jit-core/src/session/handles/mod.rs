//! What clients hold and bring: dylibs, trackers, symbols, materializers, generators.

pub(in crate::session) mod add;
pub(in crate::session) mod definitions;
pub(in crate::session) mod dylib;
pub(in crate::session) mod first_calls;
pub(in crate::session) mod lazy;
pub(in crate::session) mod materializer;
pub(in crate::session) mod replace;
pub(in crate::session) mod session;
pub(in crate::session) mod speculation;
pub(in crate::session) mod symbol;
pub(in crate::session) mod tracker;
