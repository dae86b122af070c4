//! Common symbols that an archive defines.
//!
//! A common symbol (`int table[4];` with `-fcommon`, a Fortran `COMMON` block) is a definition, so it
//! is not wanted. But where an archive's member defines the name with a value, as a `BLOCK DATA` does,
//! the value is meant: the member is pulled, as GNU ld pulls it.

use std::sync::Arc;

use crate::batch::DylibId;
use crate::name::NameId;
use crate::object::{LazyObjects, Linkage};

use super::ids::{IdMap, IdSet, NameMap};
use super::outside::Member;
use super::resolve::Resolver;
use super::state::State;
use super::table::Strength;

/// Members that may define a name, in the order of the archives.
type Offers = NameMap<Vec<(u32, u32, Arc<dyn LazyObjects>)>>;

impl Resolver<'_> {
    /// Pulls members that define common symbols of the batch with a value. False if there is none.
    pub(super) fn replace_commons(&mut self) -> bool {
        let commons = std::mem::take(&mut self.commons);
        if commons.is_empty() {
            return false;
        }
        let offers = offers(&self.session.state.lock(), &commons);
        let mut members: Vec<Member> = Vec::new();
        for (dylib, offers) in offers {
            for (name, offers) in offers {
                let defines = |(_, member, archive): &&(u32, u32, Arc<dyn LazyObjects>)| {
                    defines_with_value(&**archive, *member, name)
                };
                if let Some((rank, member, _)) = offers.iter().find(defines) {
                    members.push((dylib, *rank, *member));
                }
            }
        }
        members.sort_unstable();
        members.dedup();
        self.pull(&members);
        !self.wants.is_empty()
    }
}

/// What archives offer for common symbols that are in force.
fn offers(state: &State, commons: &[(DylibId, NameId)]) -> IdMap<DylibId, Offers> {
    let mut wanted: IdMap<DylibId, IdSet<NameId>> = IdMap::default();
    for (dylib, name) in commons {
        let entry = state.dylib(*dylib).table.get(*name);
        if entry.is_some_and(|entry| entry.over_lazy && entry.strength == Strength::Common) {
            wanted.entry(*dylib).or_default().insert(*name);
        }
    }
    let mut all: IdMap<DylibId, Offers> = IdMap::default();
    for (id, wanted) in wanted {
        let offers = all.entry(id).or_default();
        for (rank, archive) in &state.dylib(id).archives {
            for (name, member) in archive.objects.index() {
                if wanted.contains(name) && !archive.members.contains_key(member) {
                    let offer = (*rank, *member, archive.objects.clone());
                    offers.entry(*name).or_default().push(offer);
                }
            }
        }
    }
    all
}

/// Whether a member defines a name, and not as a common symbol. One that cannot be read does not: who
/// needs it gets the error.
fn defines_with_value(archive: &dyn LazyObjects, member: u32, name: NameId) -> bool {
    archive.load(member).is_ok_and(|object| {
        let definitions = &object.interface().definitions;
        let mut named = definitions.iter().filter(|d| d.name == name);
        named.any(|d| d.linkage == Linkage::Strong)
    })
}
