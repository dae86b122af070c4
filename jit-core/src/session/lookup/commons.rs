//! Common symbols that an archive defines.
//!
//! A common symbol (`int table[4];` with `-fcommon`, a Fortran `COMMON` block) is a definition, so it
//! is not wanted. But where an archive's member defines the name with a value, as a `BLOCK DATA` does,
//! the value is meant: the member is pulled, as GNU ld pulls it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::batch::DylibId;
use crate::name::NameId;
use crate::object::{LazyObjects, Linkage, ObjectFile};

use crate::session::lookup::ask::Member;
use crate::session::lookup::libraries::variable;
use crate::session::lookup::resolve::Resolver;
use crate::session::tables::ids::IdSet;
use crate::session::tables::state::State;
use crate::session::tables::symbol_table::Strength;

/// A common symbol: its dylib and its name.
type Common = (DylibId, NameId);

/// Members that may define common symbols, in the order of the archives.
type Offers = BTreeMap<Member, (Arc<dyn LazyObjects>, IdSet<NameId>)>;

impl Resolver<'_> {
    /// Pulls members that define common symbols of the batch with a value. False if there is none.
    pub(in crate::session) fn replace_commons(&mut self) -> bool {
        let commons = std::mem::take(&mut self.commons);
        if commons.is_empty() {
            return false;
        }
        let offers = offers(&self.session.state.lock(), &commons);
        if let Some(program) = &mut self.program {
            let own = commons
                .into_iter()
                .filter(|(dylib, _)| *dylib == program.dylib);
            program.commons.extend(own.map(|(_, name)| name));
        }
        let mut replaced: IdSet<Common> = IdSet::default();
        let mut members = Vec::new();
        for (member, (archive, mut names)) in offers {
            let (dylib, rank, number) = member;
            names.retain(|name| !self.is_variable_before(dylib, rank, *name));
            if names.iter().all(|name| replaced.contains(&(dylib, *name))) {
                continue;
            }
            // Who needs a member that cannot be read gets the error.
            let Ok(object) = archive.load(number) else {
                continue;
            };
            let before = replaced.len();
            replaced.extend(with_values(&*object, &names).map(|name| (dylib, name)));
            if replaced.len() > before {
                members.push(member);
            }
        }
        self.pull(&members);
        !self.wants.is_empty()
    }
}

impl Resolver<'_> {
    /// Whether a library of the program that comes before `rank` defines the name with a value.
    fn is_variable_before(&self, dylib: DylibId, rank: u32, name: NameId) -> bool {
        if self
            .program
            .as_ref()
            .is_none_or(|program| program.dylib != dylib)
        {
            return false;
        }
        let natives = self.natives(dylib);
        let text = self.session.names.bytes(name);
        let mut before = natives.iter().filter(|native| native.rank < rank);
        before.any(|native| variable(native, &text).is_some())
    }
}

/// What archives offer for common symbols that are in force.
fn offers(state: &State, commons: &[Common]) -> Offers {
    let in_force = |(dylib, name): &&Common| {
        let entry = state.dylib(*dylib).table.get(*name);
        entry.is_some_and(|entry| entry.over_lazy && entry.strength == Strength::Common)
    };
    let wanted: IdSet<Common> = commons.iter().filter(in_force).copied().collect();
    let dylibs: IdSet<DylibId> = wanted.iter().map(|(dylib, _)| *dylib).collect();
    let mut offers = Offers::new();
    for dylib in dylibs {
        for (rank, archive) in &state.dylib(dylib).archives {
            for (name, member) in archive.objects.index() {
                if wanted.contains(&(dylib, *name)) && !archive.members.contains_key(member) {
                    let offer = offers.entry((dylib, *rank, *member));
                    let (_, names) =
                        offer.or_insert_with(|| (archive.objects.clone(), IdSet::default()));
                    names.insert(*name);
                }
            }
        }
    }
    offers
}

/// Those of `names` that an object defines, and not as common symbols.
fn with_values(object: &dyn ObjectFile, names: &IdSet<NameId>) -> impl Iterator<Item = NameId> {
    let definitions = object.interface().definitions.iter();
    let strong = definitions.filter(|definition| definition.linkage == Linkage::Strong);
    strong
        .map(|definition| definition.name)
        .filter(|name| names.contains(name))
}
