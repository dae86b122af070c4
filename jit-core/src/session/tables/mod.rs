//! What a session knows, under its lock: tables, and nothing that calls anybody.

pub(in crate::session) mod dylibs;
pub(in crate::session) mod first_calls;
pub(in crate::session) mod ids;
pub(in crate::session) mod speculation;
pub(in crate::session) mod state;
pub(in crate::session) mod symbol_table;
pub(in crate::session) mod unit;
