//! In which order the blocks of one output section lie: by rank and name of their sections.
//!
//! GNU ld puts sections with sorted names (initializers with priorities) into a search tree, in link
//! order. Two sections with priorities compare by these, any other two by their names. That is no order:
//! of three sections each may come before the next one, and then the tree's shape decides. So what has
//! no priority is put into such a tree here, too.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::graph::RANK_BY_NAME;
use crate::name::{NameId, NameTable};

/// A block: the number of its part, and its own number there.
pub(super) type Place = (u32, u32);

/// Rank and name of sections, as in [`crate::graph::Section`].
type Key = (u32, Option<NameId>);

/// Beyond this many names of one output section, those without a rank simply come last: a tree of sorted names is
/// a list.
const MANY_NAMES: usize = 2048;

/// The blocks of sections with ranks or names.
#[derive(Default)]
pub(super) struct Ordered {
    // Few keys, many blocks: a list per key is in link order without being sorted.
    lists: BTreeMap<Key, Vec<Place>>,
}

impl Ordered {
    /// Adds a block of the section with this rank and name; blocks come in link order.
    pub(super) fn add(&mut self, rank: u32, name: Option<NameId>, block: Place) {
        self.lists.entry((rank, name)).or_default().push(block);
    }

    /// All blocks in order, in lists. `output_of` tells the output section of a block: only blocks of one are
    /// compared.
    pub(super) fn finish(
        self,
        names: &NameTable,
        output_of: impl Fn(Place) -> u32,
    ) -> Vec<Vec<Place>> {
        let mut lists: Vec<List> = self
            .lists
            .into_iter()
            .map(|((rank, name), blocks)| List {
                rank,
                name: name.map(|name| names.bytes(name)),
                blocks,
            })
            .collect();
        for of_rank in lists.chunk_by_mut(|a, b| a.rank == b.rank) {
            of_rank.sort_by(|a, b| a.name.cmp(&b.name));
        }
        sort_by_name(&mut lists, output_of);
        lists.into_iter().map(|list| list.blocks).collect()
    }
}

/// The blocks of one rank and name.
struct List {
    rank: u32,
    name: Option<Vec<u8>>,
    blocks: Vec<Place>,
}

/// Sorts the named lists of output sections where some lie where their names say.
fn sort_by_name(lists: &mut Vec<List>, output_of: impl Fn(Place) -> u32) {
    let by_name = lists
        .iter()
        .filter(|list| list.rank == RANK_BY_NAME && list.name.is_some());
    let output = |list: &List| list.blocks.first().map(|&block| output_of(block));
    let mut of_outputs: BTreeMap<u32, Vec<List>> = by_name
        .filter_map(output)
        .map(|output| (output, Vec::new()))
        .collect();
    if of_outputs.is_empty() {
        return;
    }
    let mut others = Vec::with_capacity(lists.len());
    for list in lists.drain(..) {
        let output = output(&list).filter(|_| list.name.is_some());
        match output.and_then(|output| of_outputs.get_mut(&output)) {
            Some(of_output) => of_output.push(list),
            None => others.push(list),
        }
    }
    let sorted = of_outputs.into_values().flat_map(|mut lists| {
        if lists.len() <= MANY_NAMES {
            lists.sort_by_key(|list| list.blocks.first().copied());
            lists = in_tree_order(lists);
        }
        lists
    });
    // What is there without a name has the first rank of all or the last one.
    let at = others.partition_point(|list| list.rank <= RANK_BY_NAME);
    others.splice(at..at, sorted);
    *lists = others;
}

fn compare(a: &List, b: &List) -> Ordering {
    match a.rank == RANK_BY_NAME || b.rank == RANK_BY_NAME {
        true => a.name.cmp(&b.name),
        false => (a.rank, &a.name).cmp(&(b.rank, &b.name)),
    }
}

/// Puts the lists into a search tree, one after the other, and takes them out from left to right.
fn in_tree_order(lists: Vec<List>) -> Vec<List> {
    const NONE: usize = usize::MAX;
    let mut children = vec![[NONE; 2]; lists.len()];
    for new in 1..lists.len() {
        let mut at = 0;
        loop {
            let side = usize::from(compare(&lists[new], &lists[at]) != Ordering::Less);
            match children[at][side] {
                NONE => {
                    children[at][side] = new;
                    break;
                }
                child => at = child,
            }
        }
    }
    let mut lists: Vec<Option<List>> = lists.into_iter().map(Some).collect();
    let mut sorted = Vec::with_capacity(lists.len());
    let mut above = Vec::new();
    let mut at = if lists.is_empty() { NONE } else { 0 };
    while at != NONE || !above.is_empty() {
        while at != NONE {
            above.push(at);
            at = children[at][0];
        }
        if let Some(next) = above.pop() {
            sorted.extend(lists[next].take());
            at = children[next][1];
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order of blocks with these ranks and names, in link order; each is named by its place there.
    fn order(blocks: &[(u32, &str)]) -> Vec<u32> {
        let names = NameTable::default();
        let mut ordered = Ordered::default();
        for (number, (rank, name)) in (0..).zip(blocks) {
            let name = (!name.is_empty()).then(|| names.intern(name.as_bytes()));
            ordered.add(*rank, name, (0, number));
        }
        let lists = ordered.finish(&names, |_| 0);
        lists.into_iter().flatten().map(|(_, it)| it).collect()
    }

    const N: u32 = RANK_BY_NAME;

    #[test]
    fn ranks_then_names_then_link_order() {
        let blocks = [(9, "b"), (9, "a"), (1, "z"), (9, "a"), (9, ""), (0, "")];
        assert_eq!(order(&blocks), [5, 2, 4, 1, 3, 0]);
    }

    #[test]
    fn what_has_no_rank_lies_where_its_name_says() {
        assert_eq!(
            order(&[(N + 1, ""), (7, "7"), (N, "5"), (N, "x")]),
            [2, 1, 3, 0]
        );
        assert_eq!(order(&[(N, "x"), (0, ""), (N + 1, "")]), [1, 0, 2]);
        // Each comes before the next one, and the last before the first: the first ones in link order decide.
        assert_eq!(order(&[(9, "a"), (N, "b"), (7, "c")]), [2, 0, 1]);
        assert_eq!(order(&[(N, "b"), (7, "c"), (9, "a")]), [2, 0, 1]);
        assert_eq!(order(&[(7, "c"), (9, "a"), (N, "b")]), [2, 0, 1]);
    }

    #[test]
    fn a_great_many_names_take_no_tree() {
        let names: Vec<String> = (0..50_000).map(|n| format!("{n:06}")).collect();
        let blocks: Vec<(u32, &str)> = names.iter().rev().map(|name| (N, &**name)).collect();
        let expected: Vec<u32> = (0..50_000).rev().collect();
        assert_eq!(order(&blocks), expected);
    }
}
