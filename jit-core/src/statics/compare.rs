//! Finding the block in memory that a new version's block stands for.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ids::TrackerId;

use super::{PlacedBlock, StaticBlock, Statics, Variable};

/// The variables of a version that runs: a set of objects.
#[derive(Debug, Default)]
pub(crate) struct RunningStatics {
    blocks: Vec<PlacedBlock>,
    /// Per object, by its name: the blocks of its variables, by theirs.
    own: HashMap<Arc<str>, HashMap<String, usize>>,
    /// The blocks of variables that all objects see.
    global: HashMap<String, usize>,
}

/// The same, as an object of the new version sees them.
#[derive(Clone, Debug)]
pub(crate) struct KnownStatics {
    running: Arc<RunningStatics>,
    /// The object that it stands for.
    object: Option<Arc<str>>,
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

impl RunningStatics {
    /// Those of these objects.
    pub(crate) fn new(objects: &[Arc<Statics>]) -> Self {
        let mut all = Self::default();
        for statics in objects {
            let own = all.own.entry(statics.object.clone()).or_default();
            for block in &statics.blocks {
                let at = all.blocks.len();
                all.blocks.push(block.clone());
                for variable in &block.block.variables {
                    own.insert(variable.name.clone(), at);
                    if variable.is_global {
                        all.global.entry(variable.name.clone()).or_insert(at);
                    }
                }
            }
        }
        all
    }

    /// What memory the variables are in belongs to, repeatedly perhaps.
    pub(crate) fn owners(&self) -> impl Iterator<Item = TrackerId> {
        self.blocks.iter().map(|block| block.owner)
    }
}

impl KnownStatics {
    /// What an object of that name sees: its own variables, and those of others that are visible. An object
    /// that is alone stands for the one that was alone, whatever its name.
    pub(crate) fn new(running: &Arc<RunningStatics>, object: &str, is_alone: bool) -> Self {
        let objects = &running.own;
        let named = objects.get_key_value(object).map(|(name, _)| name);
        let only = objects.keys().next();
        let only = only.filter(|_| is_alone && objects.len() == 1);
        Self {
            object: named.or(only).cloned(),
            running: running.clone(),
        }
    }

    /// The block that `new` stands for.
    pub(crate) fn find(&self, new: &StaticBlock) -> Known<'_> {
        let running = &*self.running;
        let own = self.object.as_ref().and_then(|it| running.own.get(it));
        let known = |variable: &Variable| {
            let own = own.and_then(|own| own.get(&variable.name));
            own.or_else(|| running.global.get(&variable.name))
        };
        let Some(at) = new.variables.iter().find_map(known) else {
            return Known::New;
        };
        let placed = &running.blocks[*at];
        match placed.block.has_layout_of(new) {
            true => Known::Same(placed),
            false => Known::Changed(placed),
        }
    }
}

impl StaticBlock {
    fn has_layout_of(&self, other: &Self) -> bool {
        fn place(it: &Variable) -> (u64, u64, &str) {
            (it.offset, it.size, &it.name)
        }
        let (mine, others) = (self.variables.iter(), other.variables.iter());
        self.size == other.size
            && self.is_thread_local == other.is_thread_local
            && mine.map(place).eq(others.map(place))
    }
}

#[cfg(test)]
mod tests {
    use orc_shared::ExecutorAddr;

    use super::*;
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

    /// What an object sees of others.
    fn seen_by(object: &str, is_alone: bool, running: &[Arc<Statics>]) -> KnownStatics {
        KnownStatics::new(&Arc::new(RunningStatics::new(running)), object, is_alone)
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
        let known = seen_by("b.o", false, &[a, b]);
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
        let other = seen_by(
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
        let known = seen_by("v2.o", true, &running);
        assert!(matches!(
            known.find(&block(".bss", 4, &[("n", 0, 4)])),
            Known::Same(_)
        ));
    }

    #[test]
    fn a_changed_layout_is_told_with_both() {
        let old = block(".bss", 8, &[("a", 0, 4), ("b", 4, 4)]);
        let known = seen_by("x.o", true, &[statics("x.o", vec![old])]);
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
}
