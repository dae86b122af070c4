//! References that cannot be made to work, with all facts.

use std::fmt;

use orc_shared::{ExecutorAddr, ExecutorAddrDiff, printable};

/// Symbols that a message has; the rest are counted.
const SHOWN_MAX: usize = 100;

/// A fixup whose value does not fit its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// The object.
    pub object: String,
    /// The section and the offset in it of the place that refers.
    pub place: (String, u64),
    /// The symbol nearest before the place, and the distance from it.
    pub near: Option<(String, u64)>,
    /// Address of the place.
    pub place_address: ExecutorAddr,
    /// The symbol that is referred to.
    pub target: String,
    /// Its value.
    pub target_address: ExecutorAddr,
    /// The edge's kind, as in "Delta32".
    pub kind: &'static str,
    /// The value that does not fit.
    pub value: i64,
    /// Width of the field in bits.
    pub bits: u32,
    /// What the user can do.
    pub help: &'static str,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (section, offset) = &self.place;
        write!(f, "{}: section {section}+{offset:#x}", self.object)?;
        if let Some((symbol, distance)) = &self.near {
            write!(f, " ({symbol}+{distance:#x})")?;
        }
        let distance = self.target_address - self.place_address;
        let value = ExecutorAddrDiff::new(self.value);
        write!(
            f,
            ": the reference at {} to {} at {} ({distance} away) needs the value \
             {value}, which does not fit {} bits ({}); {}",
            self.place_address, self.target, self.target_address, self.bits, self.kind, self.help
        )
    }
}

/// A use, from kept code or data, of a definition in a discarded COMDAT group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscardedReference {
    /// The object.
    pub object: String,
    /// The section that refers, and the offset in it.
    pub place: (String, u64),
    /// The symbol in the discarded section.
    pub target: String,
}

impl fmt::Display for DiscardedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (section, offset) = &self.place;
        write!(
            f,
            "{}: section {section}+{offset:#x} refers to {}, which is defined in a discarded section: \
             another object's copy of the group is used, and a group's local symbols must not be \
             used from outside it",
            self.object, self.target
        )
    }
}

/// An edge that cannot be lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedEdge {
    /// The object.
    pub object: String,
    /// The section that refers, and the offset in it.
    pub place: (String, u64),
    /// The symbol that is referred to.
    pub target: String,
    /// The edge's kind.
    pub kind: &'static str,
    /// Why not.
    pub reason: &'static str,
}

impl fmt::Display for UnsupportedEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (section, offset) = &self.place;
        write!(
            f,
            "{}: section {section}+{offset:#x} refers to {} ({}): {}",
            self.object, self.target, self.kind, self.reason
        )
    }
}

/// Symbols that a library's file defines and the running process does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnboundImports {
    /// Each symbol, with the library that was to define it.
    pub symbols: Vec<(String, Option<String>)>,
}

impl fmt::Display for UnboundImports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the process does not define what its libraries' files promise:")?;
        for (symbol, library) in self.symbols.iter().take(SHOWN_MAX) {
            write!(f, "\n  {symbol}")?;
            if let Some(library) = library {
                write!(f, " (from {})", printable(library.as_bytes()))?;
            }
        }
        match self.symbols.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "\n  … and {more} more"),
        }
    }
}
