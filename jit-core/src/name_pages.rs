//! A map from names to small values.
//!
//! Ids of names are nearly dense, and names that an object brings together have ids that lie
//! together. So values lie in pages of neighbouring ids, found through two small tables: a lookup
//! hashes nothing, a linker's walk through an object's names stays in a few cache lines, and
//! nothing is ever moved to make room. A map of few names has few pages, however many names there
//! are.

use crate::name::NameId;

/// Values of a page, and pages of a group.
const FANOUT: usize = 64;

type Page<V> = [Option<V>; FANOUT];
type Group<V> = [Option<Box<Page<V>>>; FANOUT];

/// A map from names to values.
pub(crate) struct NamePages<V> {
    groups: Vec<Option<Box<Group<V>>>>,
}

impl<V> Default for NamePages<V> {
    fn default() -> Self {
        Self { groups: Vec::new() }
    }
}

impl<V: Copy> NamePages<V> {
    /// The name's value.
    #[inline]
    pub(crate) fn get(&self, name: NameId) -> Option<&V> {
        let (group, page, place) = path(name);
        let group = self.groups.get(group)?.as_ref()?;
        group[page].as_ref()?[place].as_ref()
    }

    /// The name's value, to change it.
    #[inline]
    pub(crate) fn get_mut(&mut self, name: NameId) -> Option<&mut V> {
        let (group, page, place) = path(name);
        let group = self.groups.get_mut(group)?.as_mut()?;
        group[page].as_mut()?[place].as_mut()
    }

    /// The place of the name's value, to look at it and fill it in one step.
    #[inline]
    pub(crate) fn place(&mut self, name: NameId) -> &mut Option<V> {
        let (group, page, place) = path(name);
        if self.groups.len() <= group {
            self.groups.resize_with(group + 1, || None);
        }
        let group = self.groups[group].get_or_insert_with(|| Box::new([const { None }; FANOUT]));
        let page = group[page].get_or_insert_with(|| Box::new([None; FANOUT]));
        &mut page[place]
    }

    /// Takes the name's value out.
    pub(crate) fn remove(&mut self, name: NameId) -> Option<V> {
        let (group, page, place) = path(name);
        let group = self.groups.get_mut(group)?.as_mut()?;
        group[page].as_mut()?[place].take()
    }

    /// All names that have a value, in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NameId, &V)> {
        let groups = self.groups.iter().enumerate();
        let pages = groups.flat_map(|(number, group)| {
            let pages = group.iter().flat_map(|group| group.iter().enumerate());
            pages.map(move |(page, values)| (number * FANOUT + page, values))
        });
        pages.flat_map(|(number, page)| {
            let values = page.iter().flat_map(|page| page.iter().enumerate());
            values.filter_map(move |(place, value)| {
                let name = NameId::from_index((number * FANOUT + place) as u32);
                Some((name, value.as_ref()?))
            })
        })
    }
}

/// Where a name's value lies: group, page in it, place in that.
fn path(name: NameId) -> (usize, usize, usize) {
    let id = name.index();
    (id / (FANOUT * FANOUT), id / FANOUT % FANOUT, id % FANOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_under_their_names_alone() {
        let ids = [0, 1, 63, 64, 4095, 4096, 1_000_000];
        let mut map = NamePages::default();
        for id in ids {
            assert_eq!(map.place(NameId::from_index(id)).replace(id), None);
        }
        for id in ids {
            assert_eq!(map.get(NameId::from_index(id)), Some(&id));
            assert_eq!(map.get(NameId::from_index(id + 2)), None, "{id}");
        }
        assert!(map.iter().map(|(name, _)| name.index() as u32).eq(ids));
        assert!(map.iter().map(|(_, value)| *value).eq(ids));
    }

    #[test]
    fn values_are_changed_and_removed() {
        let mut map = NamePages::default();
        let name = NameId::from_index(77);
        assert_eq!(map.remove(name), None);
        *map.place(name) = Some(1);
        *map.get_mut(name).expect("just placed") += 1;
        assert_eq!(map.remove(name), Some(2));
        assert_eq!((map.get(name), map.iter().count()), (None, 0));
    }
}
