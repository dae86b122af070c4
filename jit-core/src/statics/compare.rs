//! Finding the block in memory that a new version's block stands for.

use std::collections::HashMap;
use std::sync::Arc;

use super::{PlacedBlock, StaticBlock, Statics, Variable};

/// The variables of the version that runs, as an object of the new one sees them.
#[derive(Debug)]
pub(crate) struct KnownStatics {
    blocks: Vec<PlacedBlock>,
    /// Per name that the object would mean: its block.
    by_name: HashMap<String, usize>,
}

/// What is there of a block of a new version.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known<'a> {
    /// None of its variables.
    New,
    /// The block.
    Same(&'a PlacedBlock),
    /// Variables of it, with another layout.
    Changed(&'a PlacedBlock),
}

/// Names that compilers number: `counter.0` is the first `counter` of some function.
fn is_numbered(name: &str) -> bool {
    let number = name.rsplit_once('.').map(|(_, number)| number);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

impl KnownStatics {
    /// What an object of that name sees: its own variables, and those of others that are visible. An object
    /// that is alone stands for the one that was alone, whatever its name.
    pub(crate) fn new(object: &str, is_alone: bool, running: &[Arc<Statics>]) -> Self {
        let mut known = Self {
            blocks: Vec::new(),
            by_name: HashMap::new(),
        };
        let is_own =
            |statics: &Statics| &*statics.object == object || (is_alone && running.len() == 1);
        for statics in running {
            for block in &statics.blocks {
                known.add(block, is_own(statics));
            }
        }
        known
    }

    fn add(&mut self, block: &PlacedBlock, is_own: bool) {
        let at = self.blocks.len();
        let seen = |variable: &&Variable| is_own || variable.is_global;
        let mut any = false;
        for variable in block.block.variables.iter().filter(seen) {
            any = true;
            match is_own {
                // Its own come before others', whatever the order.
                true => _ = self.by_name.insert(variable.name.clone(), at),
                false => _ = self.by_name.entry(variable.name.clone()).or_insert(at),
            }
        }
        if any {
            self.blocks.push(block.clone());
        }
    }

    /// The block that `new` stands for.
    pub(crate) fn find(&self, new: &StaticBlock) -> Known<'_> {
        let known = |variable: &Variable| self.by_name.get(&variable.name);
        let Some(at) = new.variables.iter().find_map(known) else {
            return Known::New;
        };
        let placed = &self.blocks[*at];
        if placed.block.has_layout_of(new) {
            return Known::Same(placed);
        }
        match new.variables.iter().all(|it| is_numbered(&it.name)) {
            // Another one of that name, perhaps in another function.
            true => Known::New,
            false => Known::Changed(placed),
        }
    }
}

impl StaticBlock {
    fn has_layout_of(&self, other: &Self) -> bool {
        let place = |it: &Variable| (it.offset, it.size, it.name.clone());
        self.size == other.size
            && self.is_thread_local == other.is_thread_local
            && self
                .variables
                .iter()
                .map(place)
                .eq(other.variables.iter().map(place))
    }
}

#[cfg(test)]
mod tests {
    use orc_shared::ExecutorAddr;

    use super::*;
    use crate::ids::TrackerId;
    use crate::statics::{ChangedBlock, StaticsChanged};

    fn block(section: &str, size: u64, variables: &[(&str, u64, u64)]) -> StaticBlock {
        let variable = |(name, offset, size): &(&str, u64, u64)| Variable {
            offset: *offset,
            size: *size,
            name: (*name).to_owned(),
            is_global: name.starts_with('g'),
        };
        StaticBlock {
            section: section.to_owned(),
            size,
            is_thread_local: false,
            variables: variables.iter().map(variable).collect(),
        }
    }

    fn statics(object: &str, blocks: Vec<StaticBlock>) -> Arc<Statics> {
        let placed = |(at, block)| PlacedBlock {
            block: Arc::new(block),
            addr: ExecutorAddr::new(0x1000 * (at + 1)),
            owner: TrackerId(1),
        };
        Arc::new(Statics {
            object: object.into(),
            blocks: (0u64..).zip(blocks).map(placed).collect(),
        })
    }

    #[test]
    fn a_local_variable_is_its_own_objects_and_a_global_one_everybodys() {
        let a = statics(
            "a.o",
            vec![
                block(".bss", 4, &[("n", 0, 4)]),
                block(".data", 8, &[("g", 0, 8)]),
            ],
        );
        let b = statics("b.o", vec![block(".bss", 4, &[("n", 0, 4)])]);
        let known = KnownStatics::new("b.o", false, &[a, b]);
        let addr = |block: &StaticBlock| match known.find(block) {
            Known::Same(placed) => Some(placed.addr.value()),
            Known::New | Known::Changed(_) => None,
        };
        assert_eq!(addr(&block(".bss", 4, &[("n", 0, 4)])), Some(0x1000));
        assert_eq!(addr(&block(".data.g", 8, &[("g", 0, 8)])), Some(0x2000));
        assert!(matches!(
            known.find(&block(".bss", 4, &[("m", 0, 4)])),
            Known::New
        ));
        let other = KnownStatics::new(
            "c.o",
            false,
            &[statics("a.o", vec![block(".bss", 4, &[("n", 0, 4)])])],
        );
        assert!(matches!(
            other.find(&block(".bss", 4, &[("n", 0, 4)])),
            Known::New
        ));
    }

    #[test]
    fn an_object_that_is_alone_stands_for_the_one_that_was_alone() {
        let running = [statics("v1.o", vec![block(".bss", 4, &[("n", 0, 4)])])];
        let known = KnownStatics::new("v2.o", true, &running);
        assert!(matches!(
            known.find(&block(".bss", 4, &[("n", 0, 4)])),
            Known::Same(_)
        ));
    }

    #[test]
    fn a_changed_layout_is_told_with_both() {
        let old = block(".bss", 8, &[("a", 0, 4), ("b", 4, 4)]);
        let known = KnownStatics::new("x.o", true, &[statics("x.o", vec![old])]);
        let after = block(".bss", 16, &[("a", 0, 8), ("c", 8, 8)]);
        let Known::Changed(placed) = known.find(&after) else {
            panic!("its layout has changed");
        };
        let changed = ChangedBlock {
            before: (*placed.block).clone(),
            after: after.clone(),
        };
        let message = StaticsChanged {
            object: "x.o".to_owned(),
            blocks: vec![changed],
            initialized: Vec::new(),
        };
        assert_eq!(
            message.to_string(),
            "x.o cannot replace the version that runs: variables keep their values, and their layout has \
             changed\n  a: was 4 bytes at .bss+0x0, is 8 bytes at .bss+0x0\n  b: was 4 bytes at .bss+0x4, is \
             no more\n  c: is new, 8 bytes at .bss+0x8\n  .bss: was 8 bytes, is 16 bytes\n  compile with \
             -fdata-sections, so that each variable stands for itself\n  or start the program anew"
        );
    }

    #[test]
    fn variables_that_compilers_number_may_be_others() {
        let known = KnownStatics::new(
            "x.o",
            true,
            &[statics("x.o", vec![block(".bss.n.0", 4, &[("n.0", 0, 4)])])],
        );
        assert!(matches!(
            known.find(&block(".bss.n.0", 4, &[("n.0", 0, 4)])),
            Known::Same(_)
        ));
        assert!(matches!(
            known.find(&block(".bss.n.0", 8, &[("n.0", 0, 8)])),
            Known::New
        ));
    }
}
