//! The table under names that come, stay and go.

use std::sync::Arc;

use super::*;

struct Buffer(Vec<u8>);
impl InputBytes for Buffer {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// These names, and so many more that inputs are borrowed from.
fn many<'a>(names: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut many = names.to_vec();
    many.resize(names.len() + FEW, b"");
    many
}

#[test]
fn equal_names_have_equal_ids() {
    let table = NameTable::default();
    let a = table.intern(b"a");
    assert_eq!(table.intern(b"a"), a);
    assert_ne!(table.intern(b"b"), a);
    assert_eq!(
        table.find(b"b").map(|id| table.bytes(id)),
        Some(b"b".to_vec())
    );
    assert_eq!(table.find(b"c"), None);
    assert_eq!(table.intern(b""), table.intern(b""));
    assert_eq!(table.text(a), "a");
    assert_eq!(table.len(), 3);
}

#[test]
fn many_names_survive_growth() {
    let table = NameTable::default();
    let names: Vec<String> = (0..20_000).map(|n| format!("_Z4name{n}v")).collect();
    let mut ids = Vec::new();
    table.intern_all(names.iter().map(String::as_bytes), &mut ids);
    assert_eq!(ids.len(), names.len());
    let mut again = Vec::new();
    table.intern_all(names.iter().rev().map(String::as_bytes), &mut again);
    again.reverse();
    assert_eq!(ids, again);
    for (name, id) in names.iter().zip(&ids) {
        assert_eq!(table.bytes(*id), name.as_bytes());
        assert_eq!(table.find(name.as_bytes()), Some(*id));
    }
    let max = ids.iter().map(|id| id.index()).max().expect("some");
    assert!(max < 2 * names.len(), "ids are nearly dense: {max}");
}

#[test]
fn large_inputs_are_borrowed_and_small_ones_are_not() {
    let table = Arc::new(NameTable::permanent());
    let mut text = b"foo bar".to_vec();
    let small: Arc<dyn InputBytes> = Arc::new(Buffer(text.clone()));
    text.resize(KEPT_INPUT_BYTES, b'.');
    let large: Arc<dyn InputBytes> = Arc::new(Buffer(text));
    for input in [&small, &large] {
        let bytes = input.bytes();
        let mut ids = Vec::new();
        let parts = [&bytes[..3], &bytes[4..7], b"else".as_slice()];
        NameUses::new(&table).intern_from(input, many(&parts), &mut ids);
        let names: Vec<_> = ids[..3].iter().map(|id| table.text(*id)).collect();
        assert_eq!(names, ["foo", "bar", "else"]);
    }
    assert_eq!(Arc::strong_count(&small), 1);
    assert_eq!(Arc::strong_count(&large), 1, "it brought nothing new");
    let mut ids = Vec::new();
    NameUses::new(&table).intern_from(&large, many(&[&large.bytes()[1..3]]), &mut ids);
    assert_eq!(Arc::strong_count(&large), 2);
    assert_eq!(table.text(ids[0]), "oo");
    assert_eq!(table.len(), 5);
}

#[test]
fn threads_agree_on_ids() {
    let table = NameTable::default();
    let names: Vec<String> = (0..5_000).map(|n| format!("n{}", n % 1_700)).collect();
    let intern = || {
        let mut ids = Vec::new();
        table.intern_all(names.iter().map(String::as_bytes), &mut ids);
        ids
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(intern)).collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("joins"))
            .collect()
    });
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(table.len(), 1_700);
}

fn used(table: &Arc<NameTable>, names: &[&str]) -> (NameUses, Vec<NameId>) {
    let mut uses = NameUses::new(table);
    let ids = names.iter().map(|name| uses.intern(name.as_bytes()));
    let ids = ids.collect();
    (uses, ids)
}

#[test]
fn names_without_users_leave() {
    let table = Arc::new(NameTable::default());
    let stays = table.intern(b"stays");
    let (first, ids) = used(&table, &["shared", "own", "stays"]);
    let (second, again) = used(&table, &["shared"]);
    assert_eq!(ids[0], again[0]);
    assert_eq!(ids[2], stays);
    drop(first);
    assert_eq!(table.len(), 2);
    assert_eq!(table.find(b"own"), None);
    assert_eq!(table.find(b"shared"), Some(ids[0]));
    drop(second);
    assert_eq!(table.len(), 1);
    assert_eq!(table.text(stays), "stays");
}

#[test]
fn names_that_come_and_go_take_no_room() {
    let table = Arc::new(NameTable::default());
    let mut highest = 0;
    for number in 0..200_000u32 {
        let name = format!("a_name_that_no_other_object_has_{number}");
        let (_uses, ids) = used(&table, &["common", &name]);
        assert_eq!(table.text(ids[1]), name);
        highest = highest.max(ids[1].index());
    }
    assert_eq!(table.len(), 0);
    assert!(highest < 4 * SHARDS, "ids are used again: {highest}");
}

#[test]
fn a_guard_keeps_what_names_mean() {
    let table = Arc::new(NameTable::default());
    let (uses, ids) = used(&table, &["a"]);
    let guard = NameGuard::new(&table);
    let later = NameGuard::new(&table);
    drop(uses);
    assert_eq!(table.text(ids[0]), "a");
    // Nothing that starts now can mean it.
    assert_eq!(table.find(b"a"), None);
    drop(guard);
    assert_eq!(table.text(ids[0]), "a");
    let after = NameGuard::new(&table);
    drop(later);
    assert_eq!(table.len(), 0);
    drop(after);
}

#[test]
fn a_name_with_new_users_does_not_leave() {
    let table = Arc::new(NameTable::default());
    let (uses, ids) = used(&table, &["a", "b"]);
    let guard = NameGuard::new(&table);
    drop(uses);
    // Used again and given up again while it waits, and used for good.
    let (again, same) = used(&table, &["a"]);
    assert_eq!(same[0], ids[0]);
    let second = NameGuard::new(&table);
    drop(again);
    drop(guard);
    assert_eq!(table.text(ids[0]), "a");
    assert_eq!(table.intern(b"b"), table.intern(b"b"));
    drop(second);
    assert_eq!(table.find(b"a"), None);
    assert_eq!(table.len(), 1);
}

#[test]
fn inputs_go_with_their_objects() {
    let table = Arc::new(NameTable::default());
    let mut text = b"mine ours".to_vec();
    text.resize(KEPT_INPUT_BYTES, b'.');
    let input: Arc<dyn InputBytes> = Arc::new(Buffer(text));
    let bytes = input.bytes();
    let mut ids = Vec::new();
    let mut uses = NameUses::new(&table);
    uses.intern_from(&input, many(&[&bytes[..4], &bytes[5..9]]), &mut ids);
    assert!(Arc::strong_count(&input) > 1);
    let (others, _) = used(&table, &["ours"]);
    drop(uses);
    // What others use was copied.
    assert_eq!(Arc::strong_count(&input), 1);
    assert_eq!(table.text(ids[1]), "ours");
    assert_eq!(table.len(), 1);
    drop(others);
    assert_eq!(table.len(), 0);
    // An input that brings nothing new is not kept.
    let (_others, _) = used(&table, &["ours"]);
    let mut uses = NameUses::new(&table);
    uses.intern_from(&input, many(&[&bytes[5..9]]), &mut ids);
    assert_eq!(Arc::strong_count(&input), 1);
}

#[test]
fn threads_that_use_the_same_names_see_what_they_mean() {
    let table = Arc::new(NameTable::default());
    let work = |thread: u32| {
        let mut seed = thread + 1;
        for round in 0..3000u32 {
            let guard = NameGuard::new(&table);
            let names: Vec<String> = (0..40)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    format!(
                        "name_{}_{}",
                        seed >> 22,
                        "x".repeat((seed >> 18 & 63) as usize)
                    )
                })
                .collect();
            let mut ids = Vec::new();
            let mut uses = NameUses::new(&table);
            let input: Arc<dyn InputBytes> = Arc::new(Buffer(Vec::new()));
            uses.intern_from(&input, names.iter().map(String::as_bytes), &mut ids);
            let check = || {
                for (name, id) in names.iter().zip(&ids) {
                    assert_eq!(table.bytes(*id), name.as_bytes());
                }
            };
            check();
            drop(uses);
            // The guard was there before they lost their user.
            check();
            if round % 3 == 0 {
                drop(guard);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        for thread in threads {
            thread.join().expect("no name has changed");
        }
    });
    assert_eq!(table.len(), 0);
}
