//! Definitions of one object that clash with others.

use std::fmt;

use crate::demangle;

/// Duplicate definitions that a message has; the rest are counted.
const SHOWN_MAX: usize = 100;

/// Definitions of one object that clash with others of its dylib.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DuplicateDefinitions {
    /// The object that was not taken in.
    pub object: String,
    /// Its clashing definitions.
    pub symbols: Vec<DuplicateSymbol>,
}

/// One clashing definition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DuplicateSymbol {
    /// The name, as in the object.
    pub name: Vec<u8>,
    /// The object that defines it already.
    pub first: String,
    /// Why both cannot be.
    pub reason: DuplicateReason,
}

/// Why two definitions cannot be in one dylib.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DuplicateReason {
    /// Both are strong.
    BothStrong,
    /// The first is weak or common, but linked: its address is in use.
    FirstIsLinked,
    /// The first is a common symbol that was linked with a smaller size or alignment.
    FirstIsSmaller,
}

impl fmt::Display for DuplicateDefinitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, symbol) in self.symbols.iter().take(SHOWN_MAX).enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            let name = demangle::describe(&symbol.name);
            let (object, first) = (&self.object, &symbol.first);
            write!(
                f,
                "duplicate definition of {name}: in {first} and in {object}"
            )?;
            f.write_str(match symbol.reason {
                DuplicateReason::BothStrong => "",
                DuplicateReason::FirstIsLinked => {
                    " (the first is weak, but linked already, so it can no longer be replaced; \
                     add the strong one first, or remove the weak one)"
                }
                DuplicateReason::FirstIsSmaller => {
                    " (a common symbol, linked already with a smaller size or alignment; add the \
                     larger one first)"
                }
            })?;
        }
        match self.symbols.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more duplicate definitions"),
        }
    }
}
