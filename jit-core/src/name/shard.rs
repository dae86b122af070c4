//! The names of one shard, under its lock.

use std::sync::Arc;

use hashbrown::{HashMap, HashTable};

use super::room::Room;
use crate::input::InputBytes;

/// Names that are searched for together, so that their cache misses overlap.
pub(super) const GROUP: usize = 64;

/// In [`Place::source`]: the name lies in the shard's own room, not in an input.
const IN_ROOM: u32 = 1 << 31;

/// Users of a name that stays for ever.
const FOR_EVER: u32 = u32::MAX;

/// No number of an input.
pub(super) const NO_INPUT: u32 = u32::MAX;

/// The names of one shard.
pub(super) struct Names {
    table: HashTable<Slot>,
    places: Vec<Place>,
    room: Room,
    inputs: Vec<Option<Input>>,
    free_inputs: Vec<u32>,
    /// Numbers of names that have left.
    free: Vec<u32>,
    /// Names without users that are to leave, and how often each was told of.
    leaving: HashMap<u32, u32>,
}

/// A hash-table slot: 32 bits of hash decide nearly every comparison without touching the name.
#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    index: u32,
}

/// Where a name's bytes lie.
#[derive(Clone, Copy)]
struct Place {
    /// An input's number, or [`IN_ROOM`] and a chunk's number.
    source: u32,
    offset: u32,
    len: u32,
    /// How many use the name.
    users: u32,
}

/// An input that names borrow from.
struct Input {
    bytes: Arc<dyn InputBytes>,
    /// How many do.
    names: u32,
}

/// A name on its way into the table.
#[derive(Clone, Copy)]
pub(super) struct Incoming<'a> {
    pub(super) hash: u64,
    pub(super) bytes: &'a [u8],
    /// The offset in the input, if the table may borrow it.
    pub(super) kept: Option<u32>,
}

/// Who interns.
pub(super) struct User<'a> {
    /// Whether it says when it uses the names no more.
    pub(super) counts: bool,
    /// The input that its names are parts of.
    pub(super) input: Option<&'a Arc<dyn InputBytes>>,
    /// The input's number in the shard.
    pub(super) number: &'a mut u32,
}

impl Names {
    pub(super) fn new(names_leave: bool) -> Self {
        Self {
            table: HashTable::new(),
            places: Vec::new(),
            room: Room::new(names_leave),
            inputs: Vec::new(),
            free_inputs: Vec::new(),
            free: Vec::new(),
            leaving: HashMap::new(),
        }
    }

    /// Number of names.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// The name, if it has users.
    pub(super) fn find_used(&self, name: &Incoming<'_>) -> Option<u32> {
        let index = self.find(name)?;
        (self.places[index as usize].users != 0).then_some(index)
    }

    fn find(&self, name: &Incoming<'_>) -> Option<u32> {
        let hash = slot_hash(name.hash);
        self.table
            .find(spread(hash), |slot| {
                slot.hash == hash
                    && self
                        .places
                        .get(slot.index as usize)
                        .is_some_and(|place| self.at(*place) == name.bytes)
            })
            .map(|slot| slot.index)
    }

    pub(super) fn intern(&mut self, name: Incoming<'_>, user: &mut User<'_>) -> u32 {
        let index = match self.find(&name) {
            Some(index) => index,
            None => self.insert(name, user),
        };
        self.count(index, user);
        index
    }

    /// Interns the names of `chunk` at the places `group`, at most [`GROUP`]. Nearly all of the time goes
    /// into cache misses, on the table, on the places, on the names: each of the three loops makes
    /// its misses independent of each other.
    pub(super) fn intern_group(
        &mut self,
        chunk: &[Incoming<'_>],
        group: &[u32],
        user: &mut User<'_>,
        mut done: impl FnMut(u32, u32),
    ) {
        let mut candidates = [u32::MAX; GROUP];
        for (candidate, &at) in candidates.iter_mut().zip(group) {
            let hash = slot_hash(chunk[at as usize].hash);
            let slot = self.table.find(spread(hash), |slot| slot.hash == hash);
            *candidate = slot.map_or(u32::MAX, |slot| slot.index);
        }
        let mut places = [None; GROUP];
        for (place, candidate) in places.iter_mut().zip(&candidates[..group.len()]) {
            *place = self.places.get(*candidate as usize).copied();
        }
        for ((&at, place), candidate) in group.iter().zip(places).zip(candidates) {
            let name = chunk[at as usize];
            let known = place.is_some_and(|place| self.at(place) == name.bytes);
            let index = if known {
                self.count(candidate, user);
                candidate
            } else {
                self.intern(name, user)
            };
            done(at, index);
        }
    }

    /// A user that counts uses the name, too.
    pub(super) fn keep(&mut self, index: u32) {
        if let Some(place) = self.places.get_mut(index as usize) {
            place.users = place.users.saturating_add(1);
        }
    }

    /// Whether the name's bytes lie in the input of this number.
    pub(super) fn borrows_from(&self, index: u32, input: u32) -> bool {
        let place = self.places.get(index as usize);
        place.is_some_and(|place| place.source == input)
    }

    fn count(&mut self, index: u32, user: &User<'_>) {
        let place = &mut self.places[index as usize];
        if place.users != FOR_EVER {
            place.users = match user.counts {
                true => place.users + 1,
                false => FOR_EVER,
            };
        }
    }

    fn insert(&mut self, name: Incoming<'_>, user: &mut User<'_>) -> u32 {
        let place = match (name.kept, user.input) {
            (Some(offset), Some(input)) => Place {
                source: self.borrow_from(input, user.number),
                offset,
                len: name.bytes.len() as u32,
                users: 0,
            },
            _ => self.copy(name.bytes),
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.places[index as usize] = place;
                index
            }
            None => {
                self.places.push(place);
                (self.places.len() - 1) as u32
            }
        };
        assert!(index < super::MOST_IN_SHARD, "name table is full");
        let hash = slot_hash(name.hash);
        self.table
            .insert_unique(spread(hash), Slot { hash, index }, |slot| spread(slot.hash));
        index
    }

    fn borrow_from(&mut self, input: &Arc<dyn InputBytes>, number: &mut u32) -> u32 {
        if *number == NO_INPUT {
            let new = Input {
                bytes: input.clone(),
                names: 0,
            };
            match self.free_inputs.pop() {
                Some(free) => {
                    self.inputs[free as usize] = Some(new);
                    *number = free;
                }
                None => {
                    self.inputs.push(Some(new));
                    *number = (self.inputs.len() - 1) as u32;
                }
            }
        }
        if let Some(Some(input)) = self.inputs.get_mut(*number as usize) {
            input.names += 1;
        }
        *number
    }

    fn copy(&mut self, name: &[u8]) -> Place {
        let (chunk, offset) = self.room.put(name);
        Place {
            source: IN_ROOM | chunk,
            offset,
            len: name.len() as u32,
            users: 0,
        }
    }

    /// A user that counts does not use the name any more; `input` is the number of the input that it
    /// brought. Whether the name has no user left.
    pub(super) fn release(&mut self, index: u32, input: u32) -> bool {
        let Some(place) = self.places.get_mut(index as usize) else {
            return false;
        };
        if place.users != FOR_EVER {
            place.users = place.users.saturating_sub(1);
        }
        let place = *place;
        if place.users == 0 {
            *self.leaving.entry(index).or_default() += 1;
            return true;
        }
        if place.source == input {
            // Others need the name longer than the input.
            let name = self.at(place).to_vec();
            let users = place.users;
            self.places[index as usize] = Place {
                users,
                ..self.copy(&name)
            };
            self.give_input_back(input);
        }
        false
    }

    /// The name leaves, if it has got no user since it was told of for the last time. `hash` is that of its
    /// bytes.
    pub(super) fn leave(&mut self, index: u32, hash: impl Fn(&[u8]) -> u64) {
        let Some(told) = self.leaving.get_mut(&index) else {
            return;
        };
        *told -= 1;
        if *told > 0 {
            return;
        }
        self.leaving.remove(&index);
        let place = self.places[index as usize];
        if place.users != 0 {
            return;
        }
        let hash = slot_hash(hash(self.at(place)));
        let found = self
            .table
            .find_entry(spread(hash), |slot| slot.index == index);
        if let Ok(slot) = found {
            slot.remove();
        }
        match place.source & IN_ROOM {
            0 => self.give_input_back(place.source),
            _ => {
                let chunk = place.source & !IN_ROOM;
                self.room.take_back(chunk, place.offset, place.len);
            }
        }
        self.places[index as usize] = Place {
            source: IN_ROOM,
            offset: 0,
            len: 0,
            users: 0,
        };
        self.free.push(index);
    }

    fn give_input_back(&mut self, number: u32) {
        let Some(input) = self.inputs.get_mut(number as usize) else {
            return;
        };
        if let Some(held) = input {
            held.names -= 1;
            if held.names == 0 {
                *input = None;
                self.free_inputs.push(number);
            }
        }
    }

    /// The bytes of a name.
    pub(super) fn bytes(&self, index: u32) -> &[u8] {
        let place = self.places.get(index as usize);
        place.map_or(&[], |place| self.at(*place))
    }

    fn at(&self, place: Place) -> &[u8] {
        let number = place.source & !IN_ROOM;
        let bytes: &[u8] = if place.source & IN_ROOM != 0 {
            self.room.chunk(number)
        } else {
            let input = self.inputs.get(number as usize);
            input
                .and_then(Option::as_ref)
                .map_or(&[], |input| input.bytes.bytes())
        };
        let start = place.offset as usize;
        bytes
            .get(start..start + place.len as usize)
            .unwrap_or_default()
    }
}

fn slot_hash(hash: u64) -> u32 {
    (hash >> (32 - super::SHARD_BITS)) as u32
}

/// The hash that the table sees: it takes its tag from the top and its position from the bottom.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
