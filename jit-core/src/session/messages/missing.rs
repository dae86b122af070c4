//! Names that nothing defines, as an error for a person: all of them at once, who needs each, where
//! it was looked for, and what the writer may have meant.

use std::collections::HashSet;
use std::sync::Arc;

use orc_shared::{listed, printable};

use crate::error::LinkError;
use crate::error::missing::{MissingSymbol, MissingSymbols};
use crate::name::NameId;

use crate::session::lookup::resolve::{Answer, Need, Resolver};
use crate::session::messages::hints;
use crate::session::messages::referrers::Referrers;
use crate::session::messages::suggestions::{Similar, add_suggestions};
use crate::session::tables::ids::{IdSet, NameMap};
use crate::session::tables::state::State;
use crate::session::tables::unit::Source;

/// Libraries that a message has for a dylib that was searched.
const LIBRARIES_MAX: usize = 50;
/// Objects named per missing symbol; the rest are counted.
const REFERRERS_MAX: usize = 5;
/// Defined names that are compared at most: suggestions are not worth a pause.
const CANDIDATES_MAX: usize = 50_000;

impl Resolver<'_> {
    /// The error for all names that are needed and not defined, if there are any.
    pub(in crate::session) fn missing_symbols(&self) -> Option<LinkError> {
        let mut missing: Vec<usize> = (0..self.slots.len())
            .filter(|at| {
                let slot = &self.slots[*at];
                let needed = slot.need == Need::Strong && !self.undefined_allowed;
                needed && matches!(slot.answer, Answer::Null)
            })
            .collect();
        if !missing.is_empty() {
            self.keep_used(&mut missing);
        }
        if missing.is_empty() {
            return None;
        }
        let mut report = MissingSymbols::default();
        let mut by_name: NameMap<usize> = NameMap::default();
        for at in &missing {
            let name = self.slots[*at].name;
            by_name.entry(name).or_insert_with(|| {
                let name = self.session.names.bytes(name);
                report.symbols.push(MissingSymbol {
                    note: hints::hint(&name),
                    name,
                    ..MissingSymbol::default()
                });
                report.symbols.len() - 1
            });
        }
        self.add_referrers(&mut report, &by_name);
        let candidates = {
            let state = self.session.state.lock();
            self.add_notes(&state, &missing, &by_name, &mut report);
            report.searched = self.searched(&state, &missing);
            let similar = Similar::to(&report.symbols);
            self.candidates(&state, &missing, &similar)
        };
        add_suggestions(&mut report.symbols, &candidates);
        Some(LinkError::MissingSymbols(Arc::new(report)))
    }

    /// Drops names that are listed in symbol tables only: nothing refers to them, and nobody misses
    /// them.
    fn keep_used(&self, missing: &mut Vec<usize>) {
        let names: IdSet<NameId> = missing.iter().map(|at| self.slots[*at].name).collect();
        let mut used: IdSet<NameId> = IdSet::default();
        for source in self.sources() {
            let Source::Object(object) = &source else {
                continue;
            };
            let references = object.interface().references.iter().map(|r| r.name);
            let asked: Vec<NameId> = references.filter(|name| names.contains(name)).collect();
            if !asked.is_empty() {
                let answers = object.uses(&asked).into_iter();
                used.extend(
                    asked
                        .iter()
                        .zip(answers)
                        .filter(|(_, uses)| *uses)
                        .map(|(name, _)| *name),
                );
            }
        }
        missing.retain(|at| {
            let slot = &self.slots[*at];
            !slot.by_object || used.contains(&slot.name) || self.asked_for.contains(&(*at as u32))
        });
    }

    /// What the claimed units are made of.
    fn sources(&self) -> Vec<Source> {
        let state = self.session.state.lock();
        let units = self.units.iter();
        units.map(|id| state.units[*id].source.clone()).collect()
    }

    fn add_referrers(&self, report: &mut MissingSymbols, by_name: &NameMap<usize>) {
        let mut referrers = Referrers::default();
        for source in self.sources() {
            // An object may have two names for what it refers to.
            let mut told = IdSet::default();
            let (mut names, mut symbols) = (Vec::new(), Vec::new());
            for reference in &source.interface().references {
                let Some(symbol) = by_name.get(&reference.name) else {
                    continue;
                };
                if !told.insert(*symbol) {
                    continue;
                }
                if report.symbols[*symbol].referenced_by.len() < REFERRERS_MAX {
                    names.push(reference.name);
                    symbols.push(*symbol);
                } else {
                    report.symbols[*symbol].more_references += 1;
                }
            }
            for (symbol, text) in symbols.into_iter().zip(referrers.describe(&source, &names)) {
                report.symbols[symbol].referenced_by.push(text);
            }
        }
    }

    /// Explains definitions that exist and were not used.
    fn add_notes(
        &self,
        state: &State,
        missing: &[usize],
        by_name: &NameMap<usize>,
        report: &mut MissingSymbols,
    ) {
        for slot in missing.iter().map(|at| &self.slots[*at]) {
            if slot.hidden
                && let Some(symbol) = by_name.get(&slot.name)
            {
                let note = "it is referred to as hidden, so no library's definition is meant";
                report.symbols[*symbol].note.get_or_insert(note.to_owned());
            }
            for dylib in state.dylib(slot.dylib).link_order.iter() {
                let Some((unit, _)) = state.dylib(*dylib).defined(slot.name) else {
                    continue;
                };
                let owner = state.unit_name(unit);
                let note = if *dylib == slot.dylib {
                    format!("{owner} defines it, but it was dropped as unreachable when linked")
                } else {
                    let dylib = &state.dylib(*dylib).name;
                    format!("{owner} of dylib \"{dylib}\" defines it, but hidden")
                };
                if let Some(symbol) = by_name.get(&slot.name) {
                    report.symbols[*symbol].note = Some(note);
                }
            }
        }
    }

    /// The dylibs that missing names were looked for in, each once.
    fn searched(&self, state: &State, missing: &[usize]) -> Vec<String> {
        let mut dylibs = Vec::new();
        for slot in missing.iter().map(|at| &self.slots[*at]) {
            for dylib in state.dylib(slot.dylib).link_order.iter() {
                if !dylibs.contains(dylib) {
                    dylibs.push(*dylib);
                }
            }
        }
        let describe = |dylib: &crate::batch::DylibId| {
            let dylib = state.dylib(*dylib);
            let names = dylib
                .natives
                .iter()
                .map(|native| native.library.loader_name());
            let mut told = HashSet::new();
            let names = names.filter(|name| told.insert(*name));
            let names = names.map(|name| printable(name.as_bytes()));
            match listed(names, ", ", LIBRARIES_MAX) {
                libraries if libraries.is_empty() => dylib.name.clone(),
                libraries => format!("{} (with {libraries})", dylib.name),
            }
        };
        dylibs.iter().map(describe).collect()
    }

    /// Names that are defined where missing ones were looked for and look like them, with who defines
    /// them.
    fn candidates(
        &self,
        state: &State,
        missing: &[usize],
        similar: &Similar,
    ) -> Vec<(Vec<u8>, String)> {
        let mut dylibs: Vec<_> = missing.iter().map(|at| self.slots[*at].dylib).collect();
        dylibs.sort_unstable();
        dylibs.dedup();
        let orders = dylibs
            .iter()
            .flat_map(|d| state.dylib(*d).link_order.iter())
            .map(|dylib| state.dylib(*dylib));
        orders
            .flat_map(|dylib| dylib.table.iter().map(move |entry| (dylib, entry)))
            .take(CANDIDATES_MAX)
            .map(|(dylib, (name, entry))| (dylib, self.session.names.bytes(name), entry))
            .filter(|(_, name, _)| similar.may_be_meant(name))
            .map(|(dylib, name, entry)| {
                let owner = match entry.unit() {
                    Some(unit) => state.unit_name(unit),
                    None => dylib
                        .archives
                        .get(&entry.owner)
                        .map_or_else(String::new, |a| a.objects.name().to_owned()),
                };
                (name, owner)
            })
            .collect()
    }
}
