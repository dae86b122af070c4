//! The dylibs of a session by id.
//!
//! A client's handles of a dylib outlive it, so the id of one that was closed must not become another's,
//! and still nothing may be kept for each: sessions close dylibs for days. So an id is a place and the
//! number of the dylib that has it. What is asked of a closed dylib is asked of one that is empty.

use crate::batch::DylibId;

/// Places are numbered with so many bits, and the dylibs of a place with the rest.
const PLACE_BITS: u32 = 20;
const PLACES: u32 = 1 << PLACE_BITS;

/// See the module. `D` is what is known of a dylib; the default of it is what a closed one looks like.
pub(in crate::session) struct Dylibs<D> {
    slots: Vec<Slot<D>>,
    /// Places to use again.
    free: Vec<u32>,
    /// What closed ones look like.
    closed: Box<D>,
    created: u64,
}

struct Slot<D> {
    id: DylibId,
    dylib: Option<Box<D>>,
}

impl<D: Default> Default for Dylibs<D> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            closed: Box::new(D::default()),
            created: 0,
        }
    }
}

impl<D: Default> Dylibs<D> {
    /// Adds a dylib, whose state `make` gives.
    pub(in crate::session) fn add(&mut self, make: impl FnOnce(DylibId, u64) -> D) -> DylibId {
        let place = self.free.pop().unwrap_or_else(|| {
            let place = u32::try_from(self.slots.len()).unwrap_or(PLACES);
            assert!(place < PLACES, "fewer than 2^20 dylibs are open");
            self.slots.push(Slot {
                id: DylibId(place),
                dylib: None,
            });
            place
        });
        self.created += 1;
        let slot = &mut self.slots[place as usize];
        slot.dylib = Some(Box::new(make(slot.id, self.created)));
        slot.id
    }

    /// Takes a dylib out, if it is there.
    #[must_use]
    pub(in crate::session) fn remove(&mut self, id: DylibId) -> Option<Box<D>> {
        let slot = self.slots.get_mut(place(id)).filter(|slot| slot.id == id)?;
        let dylib = slot.dylib.take()?;
        // A place whose numbers are used up is left alone.
        if let Some(next) = id.0.checked_add(PLACES) {
            slot.id = DylibId(next);
            self.free.push(id.0 % PLACES);
        }
        Some(dylib)
    }

    /// Whether a dylib is open.
    pub(in crate::session) fn has(&self, id: DylibId) -> bool {
        let slot = self.slots.get(place(id));
        slot.is_some_and(|slot| slot.id == id && slot.dylib.is_some())
    }

    /// A dylib; an empty one if it was closed.
    pub(in crate::session) fn get(&self, id: DylibId) -> &D {
        match self.slots.get(place(id)) {
            Some(Slot {
                id: known,
                dylib: Some(dylib),
            }) if *known == id => dylib,
            _ => &self.closed,
        }
    }

    /// A dylib, to change it; one that nobody will see if it was closed.
    pub(in crate::session) fn get_mut(&mut self, id: DylibId) -> &mut D {
        match self.slots.get_mut(place(id)) {
            Some(Slot {
                id: known,
                dylib: Some(dylib),
            }) if *known == id => dylib,
            _ => {
                *self.closed = D::default();
                &mut self.closed
            }
        }
    }

    /// All that are open.
    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = (DylibId, &D)> {
        let open = |slot: &Slot<D>| slot.dylib.is_some();
        let slots = self.slots.iter().filter(move |slot| open(slot));
        slots.filter_map(|slot| Some((slot.id, &**slot.dylib.as_ref()?)))
    }
}

/// The index of an id's slot.
fn place(id: DylibId) -> usize {
    (id.0 % PLACES) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(dylibs: &mut Dylibs<String>, name: &str) -> DylibId {
        dylibs.add(|_, _| name.to_owned())
    }

    #[test]
    fn places_are_used_again_and_ids_are_not() {
        let mut dylibs = Dylibs::default();
        let kept = add(&mut dylibs, "kept");
        let mut seen = vec![kept];
        for _ in 0..100 {
            let id = add(&mut dylibs, "other");
            assert!(!seen.contains(&id) && dylibs.has(id));
            seen.push(id);
            assert!(dylibs.remove(id).is_some() && !dylibs.has(id));
            assert!(dylibs.remove(id).is_none());
            assert_eq!(*dylibs.get(id), "");
        }
        assert_eq!(dylibs.slots.len(), 2);
        assert_eq!(*dylibs.get(kept), "kept");
    }

    #[test]
    fn what_is_put_into_a_closed_dylib_is_not_seen() {
        let mut dylibs = Dylibs::default();
        let id = add(&mut dylibs, "a");
        let _closed = dylibs.remove(id);
        dylibs.get_mut(id).push('x');
        assert_eq!(*dylibs.get_mut(id), "");
        assert_eq!(dylibs.iter().count(), 0);
    }

    #[test]
    fn a_place_whose_numbers_are_used_up_is_left_alone() {
        let mut dylibs = Dylibs::default();
        for _ in 0..=u32::MAX / PLACES {
            let id = add(&mut dylibs, "a");
            assert!(dylibs.remove(id).is_some());
        }
        assert_eq!(add(&mut dylibs, "b"), DylibId(1));
    }
}
