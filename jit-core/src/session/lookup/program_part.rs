//! What a lookup knows of the program that it is for.

use crate::ids::DylibId;
use crate::name::NameId;
use crate::object::Claims;
use crate::session::tables::ids::IdSet;
use crate::session::tables::unit::Unit;
use crate::symbol::Linkage;

/// What resolution knows of the program that it is for.
pub(in crate::session) struct ProgramPart {
    pub(in crate::session) dylib: DylibId,
    /// Ranks of libraries whose needs are wanted.
    pub(in crate::session) heard: IdSet<u32>,
    /// Common symbols of its objects that libraries have not been asked for.
    pub(in crate::session) commons: Vec<NameId>,
    /// Those that are libraries' variables.
    pub(in crate::session) given_up: IdSet<NameId>,
}

impl ProgramPart {
    pub(in crate::session) fn new(dylib: DylibId) -> Self {
        Self {
            dylib,
            heard: IdSet::default(),
            commons: Vec::new(),
            given_up: IdSet::default(),
        }
    }

    /// Whether the name is that of a common symbol that became a library's variable.
    pub(in crate::session) fn has_given_up(&self, dylib: DylibId, name: NameId) -> bool {
        dylib == self.dylib && self.given_up.contains(&name)
    }

    /// Turns a unit's common symbols that are libraries' variables into references.
    pub(in crate::session) fn give_up_commons(&self, unit: &Unit, claims: &mut Claims) {
        if self.given_up.is_empty() || !unit.has_commons || unit.dylib != self.dylib {
            return;
        }
        let definitions = &unit.source.interface().definitions;
        let lost = definitions.iter().filter(|definition| {
            matches!(definition.linkage, Linkage::Common { .. })
                && self.given_up.contains(&definition.name)
        });
        claims.lost_symbols.extend(lost.map(|d| d.symbol));
        claims.lost_symbols.sort_unstable();
        claims.lost_symbols.dedup();
        let lost = &claims.lost_symbols;
        claims
            .commons
            .retain(|(symbol, ..)| lost.binary_search(symbol).is_err());
    }
}
