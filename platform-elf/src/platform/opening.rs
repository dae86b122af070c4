//! Which dylibs are to be opened, or to be initialized again, before code of them is called.
//!
//! A dylib is opened when a lookup in it, or in one that needs it, has linked something of it. Then it
//! gets its initializers run, after those of the dylibs that it needs itself, as a loader does with
//! shared libraries. What was linked later is initialized the same way.

use std::collections::{HashMap, HashSet};

use jit_core::batch::DylibId;
use jit_core::error::LinkError;
use jit_core::session::{Dylib, LookupOptions};
use orc_shared::{DylibNeeds, ExecutorAddr, opening_order};

use super::ElfPlatform;
use super::support::HEADER;

/// What was linked and not initialized.
#[derive(Default)]
pub(super) struct Waiting {
    /// Dylibs of which nothing but the header is linked since they were made or closed.
    unopened: HashSet<DylibId>,
    /// Dylibs with something to initialize, or to finalize later, and the number of the link that brought
    /// it. They stay here until that is done, so that every thread that needs them waits for it.
    uninitialized: HashMap<DylibId, u64>,
    links: u64,
    /// The dylibs that are open, numbered in the order in which they were opened.
    open: HashMap<DylibId, u64>,
    openings: u64,
}

/// What is to be initialized for a dylib.
pub(super) enum Due {
    Nothing,
    /// The dylib alone.
    Own(u64),
    /// Perhaps others, which it may need.
    Others,
}

impl Waiting {
    /// A group of a dylib is in memory.
    pub(super) fn linked(&mut self, dylib: DylibId, holds_header: bool, has_own: bool) {
        if holds_header {
            self.unopened.insert(dylib);
        }
        // A dylib is opened even if it has nothing to initialize: only what is open is closed.
        let is_new = !holds_header && self.unopened.remove(&dylib);
        if has_own || is_new {
            self.links += 1;
            self.uninitialized.insert(dylib, self.links);
        }
    }

    /// Whether the session has opened the dylib.
    pub(super) fn is_open(&self, dylib: DylibId) -> bool {
        self.open.contains_key(&dylib)
    }

    /// The dylib was closed by its user.
    pub(super) fn closed(&mut self, dylib: DylibId) {
        self.uninitialized.remove(&dylib);
        self.open.remove(&dylib);
        self.unopened.insert(dylib);
    }

    /// The dylib is gone.
    pub(super) fn forget(&mut self, dylib: DylibId) {
        self.unopened.remove(&dylib);
        self.uninitialized.remove(&dylib);
        self.open.remove(&dylib);
    }

    /// The dylib was closed with the program that it was opened for. Its code stays linked, so whoever needs
    /// it next has to open it.
    fn closed_with_program(&mut self, dylib: DylibId) {
        self.open.remove(&dylib);
        self.links += 1;
        self.uninitialized.insert(dylib, self.links);
    }

    /// What is due before code of the dylib is called.
    pub(super) fn due(&mut self, dylib: DylibId) -> Due {
        if self.unopened.remove(&dylib) {
            self.links += 1;
            self.uninitialized.insert(dylib, self.links);
        }
        match (self.uninitialized.len(), self.uninitialized.get(&dylib)) {
            (0, _) => Due::Nothing,
            (1, Some(link)) => Due::Own(*link),
            _ => Due::Others,
        }
    }

    /// The last link that brought something to initialize for a dylib.
    fn link_of(&self, dylib: DylibId) -> Option<u64> {
        self.uninitialized.get(&dylib).copied()
    }

    /// All that links up to this one have brought is initialized.
    pub(super) fn initialized(&mut self, dylib: DylibId, link: u64) {
        if self.link_of(dylib) == Some(link) {
            self.uninitialized.remove(&dylib);
        }
        self.openings += 1;
        self.open.entry(dylib).or_insert(self.openings);
    }
}

/// A dylib to initialize, and the link up to which.
pub(super) type ToInitialize = (DylibId, ExecutorAddr, u64);

impl ElfPlatform {
    /// What of a dylib, and of those it needs, is to be initialized, in the order of a loader.
    pub(super) fn to_initialize(&self, dylib: &Dylib) -> Vec<ToInitialize> {
        // Nothing is linked into most of the session's dylibs at a time, and most need no other.
        let due = self.state().waiting.due(dylib.id());
        match due {
            Due::Nothing => return Vec::new(),
            Due::Own(link) => {
                let header = self.header_of(dylib.id());
                return header.into_iter().map(|h| (dylib.id(), h, link)).collect();
            }
            Due::Others => {}
        }
        let order = self.order_of(dylib);
        let state = self.state();
        let waits = |header: ExecutorAddr| {
            let dylib = *state.headers.get(&header)?;
            Some((dylib, header, state.waiting.link_of(dylib)?))
        };
        order.into_iter().filter_map(waits).collect()
    }

    /// Headers of a dylib and of those it needs that have one, in the order of a loader.
    fn order_of(&self, root: &Dylib) -> Vec<ExecutorAddr> {
        let mut waiting = vec![root.clone()];
        let mut seen = HashSet::from([root.id()]);
        let mut all: Vec<DylibNeeds> = Vec::new();
        while let Some(dylib) = waiting.pop() {
            let Some(header) = self.header_of(dylib.id()) else {
                continue;
            };
            let needed = self.needed(&dylib);
            let state = self.state();
            let header_of = |dylib: &Dylib| state.header_of.get(&dylib.id()).copied();
            all.push((header, needed.iter().filter_map(header_of).collect()));
            drop(state);
            waiting.extend(needed.into_iter().filter(|dylib| seen.insert(dylib.id())));
        }
        let root = self.header_of(root.id()).unwrap_or_default();
        let order = opening_order(root, &all);
        order.into_iter().map(|(header, _)| header).collect()
    }

    /// Links all that has initializers of a dylib and of those that it needs, which registers them with
    /// the runtime. Says which needs which.
    ///
    /// # Errors
    /// When something of it cannot be linked.
    pub(super) fn link_initializers(&self, root: &Dylib) -> Result<Vec<DylibNeeds>, LinkError> {
        let mut waiting = vec![root.clone()];
        let mut seen = HashSet::from([root.id()]);
        let mut all = Vec::new();
        while let Some(dylib) = waiting.pop() {
            let options = LookupOptions {
                initializers: true,
                ..LookupOptions::default()
            };
            let header_name = dylib.session().names().intern(HEADER.as_bytes());
            let symbols = dylib.lookup_with(&[header_name], &options)?;
            let header = symbols.first().map(|s| s.addr()).unwrap_or_default();
            let mut needs = Vec::new();
            for other in self.needed(&dylib) {
                // Dylibs without a header (of symbols only) have nothing to initialize.
                if !other.defines(header_name) {
                    continue;
                }
                needs.push(other.lookup_one(HEADER)?.addr());
                if seen.insert(other.id()) {
                    waiting.push(other);
                }
            }
            all.push((header, needs));
        }
        Ok(all)
    }

    /// The other dylibs that a dylib needs. All need the runtime, which has nothing to initialize.
    pub(super) fn needed(&self, dylib: &Dylib) -> Vec<Dylib> {
        let runtime = self.state().runtime_dylib;
        let mut needed = dylib.needed();
        needed.retain(|other| Some(other.id()) != runtime);
        needed
    }

    /// The number of a dylib among those that are open: larger for those that were opened later.
    pub(super) fn opened_at(&self, dylib: DylibId) -> Option<u64> {
        self.state().waiting.open.get(&dylib).copied()
    }

    /// The initializers of these dylibs have run, up to the link that each was at.
    pub(super) fn initialized(&self, done: &[ToInitialize]) {
        let mut state = self.state();
        for (dylib, _, link) in done {
            state.waiting.initialized(*dylib, *link);
        }
    }

    /// A program and what it had opened were closed.
    pub(super) fn closed_with_program(&self, libraries: impl Iterator<Item = DylibId>) {
        let mut state = self.state();
        for dylib in libraries {
            state.waiting.closed_with_program(dylib);
        }
    }

    /// A dylib was closed: what is called in it next opens it again.
    pub(super) fn closed(&self, dylib: DylibId) {
        self.state().waiting.closed(dylib);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: DylibId = DylibId(1);
    const LIBRARY: DylibId = DylibId(2);

    #[test]
    fn a_new_dylib_waits_until_something_of_it_is_linked() {
        let mut waiting = Waiting::default();
        waiting.linked(APP, true, false);
        waiting.linked(LIBRARY, true, false);
        assert_eq!(waiting.link_of(LIBRARY), None);
        waiting.linked(LIBRARY, false, false);
        assert_eq!(waiting.link_of(LIBRARY), Some(1));
        // Whoever asks for the other one opens that.
        assert!(matches!(waiting.due(APP), Due::Others));
        waiting.initialized(LIBRARY, 1);
        assert!(matches!(waiting.due(APP), Due::Own(2)));
        waiting.initialized(APP, 2);
        assert!(matches!(waiting.due(APP), Due::Nothing));
        waiting.closed(APP);
        assert!(matches!(waiting.due(APP), Due::Own(3)));
    }

    #[test]
    fn what_is_linked_meanwhile_still_waits() {
        let mut waiting = Waiting::default();
        waiting.linked(APP, true, true);
        let link = waiting.link_of(APP).expect("it waits");
        waiting.linked(APP, false, true);
        waiting.initialized(APP, link);
        assert!(waiting.link_of(APP).is_some_and(|later| later > link));
        waiting.initialized(LIBRARY, link);
        waiting.initialized(APP, link);
        assert!(waiting.open[&APP] < waiting.open[&LIBRARY]);
    }
}
