//! Names that leave the table, and their numbers with other meanings later.

use std::collections::HashMap;

use super::mock::Fixture;
use crate::error::LinkError;
use crate::session::Tracker;

/// A simple generator of numbers, so that a failure repeats.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// An object of a tracker with some names of those that others have, too, and one of its own.
fn add(f: &Fixture, numbers: &mut Numbers, count: u64) -> (Tracker, Vec<String>) {
    let own = format!("own_{count}");
    let mut object = f.object(&format!("{count}.o")).weak(&own);
    let mut names = vec![own];
    for _ in 0..1 + numbers.below(3) {
        let name = shared(numbers);
        if names.contains(&name) {
            continue;
        }
        object = match &name[..3] {
            "gro" => object.comdat(&name),
            "com" => object.common(&name, 8, 8),
            _ => object.weak(&name).needs(&name),
        };
        names.push(name);
    }
    let object = object.may_use("weak_0").may_use("nowhere");
    let tracker = f.main.new_tracker();
    tracker.add_object(object.done()).expect("no clash");
    (tracker, names)
}

fn shared(numbers: &mut Numbers) -> String {
    let kind = ["weak", "group", "common"][numbers.below(3) as usize];
    format!("{kind}_{}", numbers.below(6))
}

#[test]
fn names_mean_what_they_say_while_objects_come_and_go() {
    let f = Fixture::new();
    let before = f.session.names().len();
    let mut numbers = Numbers(7);
    let mut live: Vec<(Tracker, Vec<String>)> = Vec::new();
    let mut defined: HashMap<String, usize> = HashMap::new();
    for count in 0..6000 {
        if live.len() > 5 + numbers.below(20) as usize {
            let place = numbers.below(live.len() as u64) as usize;
            let (tracker, names) = live.swap_remove(place);
            tracker.remove().expect("goes");
            for name in names {
                *defined.get_mut(&name).expect("was defined") -= 1;
            }
        } else {
            let (tracker, names) = add(&f, &mut numbers, count);
            for name in &names {
                *defined.entry(name.clone()).or_default() += 1;
            }
            live.push((tracker, names));
        }
        let name = match numbers.below(3) {
            0 => format!("own_{}", numbers.below(count + 1)),
            _ => shared(&mut numbers),
        };
        // Of an object that was linked, this linker has no definitions that have lost.
        let stays = name.starts_with("own");
        let expected = defined.get(&name).is_some_and(|count| *count > 0);
        match f.find(&name) {
            Ok(_) => assert!(expected, "{name} is there in step {count}"),
            Err(LinkError::MissingSymbols(_)) => {
                assert!(!expected || !stays, "{name} is missing in step {count}");
            }
            Err(error) => panic!("{name} in step {count}: {error}"),
        }
    }
    for (tracker, _) in live {
        tracker.remove().expect("goes");
    }
    assert_eq!(f.session.names().len(), before);
}

#[test]
fn the_table_is_flat_while_unique_names_come_and_go() {
    let f = Fixture::new();
    let mut highest = 0;
    for count in 0..2000 {
        let name = format!("a_name_of_object_{count}");
        let tracker = f.main.new_tracker();
        let object = f.object("unique.o").strong(&name).may_use("elsewhere");
        tracker.add_object(object.done()).expect("no clash");
        f.find(&name).expect("links");
        let id = f.session.names().find(name.as_bytes()).expect("is used");
        highest = highest.max(id.index());
        tracker.remove().expect("goes");
        assert_eq!(f.session.names().find(name.as_bytes()), None);
    }
    assert!(highest < 4096, "numbers are used again: {highest}");
}
