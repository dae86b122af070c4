//! Duplicate definitions, as errors for a person.

use std::sync::Arc;

use crate::batch::UnitId;
use crate::error::LinkError;
use crate::error::duplicates::{DuplicateDefinitions, DuplicateReason, DuplicateSymbol};
use crate::object::Linkage;

use crate::session::handles::definitions::Inner;
use crate::session::tables::state::State;
use crate::session::tables::symbol_table::{Clash, ClashKind, Strength};

/// The error for an object whose definitions clash.
pub(in crate::session) fn error(
    session: &Inner,
    state: &State,
    object: &str,
    clashes: &[Clash],
) -> LinkError {
    let symbols = clashes.iter().map(|clash| DuplicateSymbol {
        name: session.names.bytes(clash.name),
        first: state.unit_name(clash.first),
        reason: match clash.kind {
            ClashKind::Strong => DuplicateReason::BothStrong,
            ClashKind::Linked => DuplicateReason::FirstIsLinked,
            ClashKind::CommonTooSmall => DuplicateReason::FirstIsSmaller,
        },
    });
    LinkError::DuplicateDefinitions(Arc::new(DuplicateDefinitions {
        object: object.to_owned(),
        symbols: symbols.collect(),
    }))
}

impl Inner {
    /// The error for a member that lost a strong definition to an object that was added after a failed
    /// lookup had pulled the member, now that the member is needed after all.
    pub(in crate::session) fn lost_strong_error(&self, state: &State, id: UnitId) -> LinkError {
        let unit = &state.units[id];
        let table = &state.dylib(unit.dylib).table;
        let mut clashes = Vec::new();
        for index in &unit.lost {
            let Some(definition) = unit.definition(*index) else {
                continue;
            };
            let winner = table.get(definition.name);
            let winner = winner.filter(|entry| entry.strength != Strength::Override);
            let winner = winner.and_then(|entry| entry.unit());
            if let (Linkage::Strong, Some(first)) = (definition.linkage, winner) {
                clashes.push(Clash {
                    name: definition.name,
                    first,
                    kind: ClashKind::Strong,
                });
            }
        }
        error(self, state, &unit.source.name(), &clashes)
    }
}
