//! Names that nothing defines, all of them at once.

use std::fmt;

use crate::demangle;

/// Missing symbols that a message has; the rest are counted.
const SHOWN_MAX: usize = 500;

/// Every missing symbol of a lookup.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MissingSymbols {
    /// The symbols, in the order they were met.
    pub symbols: Vec<MissingSymbol>,
    /// Dylibs that were searched, in order, with the files of their libraries.
    pub searched: Vec<String>,
}

/// One missing symbol.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MissingSymbol {
    /// The name as in the objects.
    pub name: Vec<u8>,
    /// Objects that refer to it: the first few. Empty if only the lookup asked for it.
    pub referenced_by: Vec<String>,
    /// Number of further objects that refer to it.
    pub more_references: usize,
    /// Similar names that are defined: the name and the object or archive that defines it.
    pub suggestions: Vec<(Vec<u8>, String)>,
    /// Why a definition that exists cannot be used.
    pub note: Option<String>,
}

impl fmt::Display for MissingSymbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for symbol in self.symbols.iter().take(SHOWN_MAX) {
            writeln!(f, "undefined symbol: {}", demangle::describe(&symbol.name))?;
            match (symbol.referenced_by.as_slice(), symbol.more_references) {
                ([], _) => {}
                (objects, 0) => writeln!(f, "  referenced by {}", objects.join(", "))?,
                (objects, more) => {
                    writeln!(f, "  referenced by {} and {more} more", objects.join(", "))?;
                }
            }
            for (name, owner) in &symbol.suggestions {
                let name = demangle::describe(name);
                writeln!(f, "  did you mean {name}, defined in {owner}?")?;
            }
            if let Some(note) = &symbol.note {
                writeln!(f, "  note: {note}")?;
            }
        }
        let more = self.symbols.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            writeln!(f, "… and {more} more undefined symbols")?;
        }
        write!(f, "searched: {}", self.searched.join(", "))
    }
}
