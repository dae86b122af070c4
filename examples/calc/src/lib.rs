//! A calculator language on `orc-jit`. `docs/tutorial` explains it, chapter by chapter.

pub mod calculator;
pub mod compile;
pub mod here;
pub mod lazy;
pub mod live;
pub mod syntax;
