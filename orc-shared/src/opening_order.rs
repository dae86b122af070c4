//! The order in which dylibs that need each other are opened: the system loader's.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ExecutorAddr;

/// A dylib, known by its header, and those that it needs, in its own order.
pub type DylibNeeds = (ExecutorAddr, Vec<ExecutorAddr>);

/// The same type of map as everywhere in the runtime, which would pay for another one in code.
type Set = BTreeMap<u64, (u64, u64)>;

/// `root` and all that it needs, each after what it needs itself; with what each of them needs. `all`
/// says what that is.
///
/// The order is glibc's since 2.35: all are found breadth first, then ordered depth first, from the one found
/// last. So of two that do not need each other, the later one comes first; a cycle is opened from the
/// member that this walk comes to first; and `root` is the last in any case.
#[must_use]
pub fn opening_order(
    root: ExecutorAddr,
    all: &[DylibNeeds],
) -> Vec<(ExecutorAddr, &[ExecutorAddr])> {
    let mut index_of = Set::new();
    for (index, (header, _)) in all.iter().enumerate() {
        index_of.insert(header.value(), (index as u64, 0));
    }
    let needs = |header: ExecutorAddr| {
        let index = index_of.get(&header.value());
        let found = index.and_then(|&(index, _)| all.get(index as usize));
        found.map_or([].as_slice(), |(_, needs)| needs)
    };
    let mut order = Vec::new();
    let mut seen = Set::from([(root.value(), (0, 0))]);
    let mut path = Vec::new();
    for start in breadth_first(root, needs).into_iter().rev() {
        if seen.insert(start.value(), (0, 0)).is_none() {
            path.push((start, needs(start).iter()));
        }
        while let Some((header, rest)) = path.last_mut() {
            match rest.next() {
                Some(&next) if seen.insert(next.value(), (0, 0)).is_none() => {
                    path.push((next, needs(next).iter()));
                }
                Some(_) => {}
                None => {
                    order.push((*header, needs(*header)));
                    path.pop();
                }
            }
        }
    }
    order.push((root, needs(root)));
    order
}

/// `root` and all that it needs, in the order in which a loader finds them.
fn breadth_first<'a>(
    root: ExecutorAddr,
    needs: impl Fn(ExecutorAddr) -> &'a [ExecutorAddr],
) -> Vec<ExecutorAddr> {
    let mut found = Vec::from([root]);
    let mut seen = Set::from([(root.value(), (0, 0))]);
    let mut at = 0;
    while let Some(&dylib) = found.get(at) {
        at += 1;
        let new = needs(dylib).iter();
        found.extend(new.filter(|header| seen.insert(header.value(), (0, 0)).is_none()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    /// The order for a graph as in "A:BC B:D", from A, one letter per dylib.
    fn order(graph: &str) -> String {
        let addr = |letter: char| ExecutorAddr::new(letter as u64);
        let needs = |part: &str| {
            let (of, needs) = part.split_once(':').expect("a colon");
            let of = of.chars().next().expect("a letter");
            (addr(of), needs.chars().map(addr).collect())
        };
        let all: Vec<DylibNeeds> = graph.split(' ').map(needs).collect();
        let order = opening_order(addr('A'), &all);
        let letter = |(header, _): &(ExecutorAddr, _)| header.value() as u8 as char;
        order.iter().map(letter).collect()
    }

    /// What glibc 2.36 prints for shared libraries that need each other in this way.
    #[test]
    fn the_order_is_glibcs() {
        assert_eq!(order("A:"), "A");
        assert_eq!(order("A:BC"), "CBA");
        assert_eq!(order("A:B B:C C:A"), "CBA");
        assert_eq!(order("A:BC B:D C:D D:B"), "BDCA");
        assert_eq!(order("A:BCD B:C C:E D:A E:C"), "CEDBA");
    }

    #[test]
    fn what_nothing_is_known_of_needs_nothing() {
        assert_eq!(order("A:BX B:YA"), "YXBA");
    }

    #[test]
    fn long_chains_take_no_stack() {
        let addr = ExecutorAddr::new;
        let all: Vec<DylibNeeds> = (1..100_000)
            .map(|n| (addr(n), Vec::from([addr(n + 1)])))
            .collect();
        let order = opening_order(addr(1), &all);
        let first = order.first().map(|(header, _)| header.value());
        assert_eq!((order.len(), first), (100_000, Some(100_000)));
    }
}
