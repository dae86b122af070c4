//! What a group tells the runtime about its initializers and finalizers.
//!
//! The runtime calls every pointer of an initializer range, ranges in the order they were
//! registered. So the order here is the loader's: `.preinit_array`, then `.init_array`, which the
//! linker has sorted by priority already. Old objects have `.ctors` instead, which the object
//! parser turns into entries of `.init_array`, as system linkers do.

use std::sync::OnceLock;

use jit_core::executor::{AllocAction, AllocActionPair};
use jit_core::name::{NameId, NameTable};
use jit_core::platform::LaidOutGroup;
use orc_shared::{ExecutorAddr, ExecutorAddrRange, sps};

/// Wrapper functions of the runtime that take initializer and finalizer ranges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuntimeFunctions {
    /// `__orc_rt_elfnix_register_jitdylib`.
    pub register_jitdylib: ExecutorAddr,
    /// `__orc_rt_elfnix_deregister_jitdylib`.
    pub deregister_jitdylib: ExecutorAddr,
    /// `__orc_rt_elfnix_register_init_sections`.
    pub register_init_sections: ExecutorAddr,
    /// `__orc_rt_elfnix_deregister_init_sections`.
    pub deregister_init_sections: ExecutorAddr,
    /// `__orc_rt_elfnix_register_fini_sections` and its counterpart. LLVM 22's runtime has none:
    /// `.fini_array` does not run there.
    pub fini_sections: Option<(ExecutorAddr, ExecutorAddr)>,
    /// `__orc_rt_ext_elfnix_register_data` and its counterpart. LLVM's runtime has none: a dylib that is opened
    /// again goes on with the data it has.
    pub data: Option<(ExecutorAddr, ExecutorAddr)>,
    /// `__orc_rt_ext_elfnix_finalize_ranges`. LLVM's runtime has none: exit handlers that lead into
    /// removed code stay.
    pub finalize_ranges: Option<ExecutorAddr>,
    /// `__orc_rt_ext_elfnix_remove_ranges`; likewise.
    pub remove_ranges: Option<ExecutorAddr>,
}

/// The output sections that list initializers and finalizers.
pub(super) const SECTIONS: [&[u8]; 3] = [PREINIT_ARRAY, INIT_ARRAY, FINI_ARRAY];

const PREINIT_ARRAY: &[u8] = b".preinit_array";
const INIT_ARRAY: &[u8] = b".init_array";
const FINI_ARRAY: &[u8] = b".fini_array";

/// The `.preinit_array` of a program's group.
pub(super) fn preinit_arrays(
    group: &LaidOutGroup<'_>,
    names: &NameTable,
) -> Vec<ExecutorAddrRange> {
    let Some(name) = names.find(PREINIT_ARRAY) else {
        return Vec::new();
    };
    let named = group.sections.iter().filter(|(n, _)| *n == name);
    let ranges = named.map(|(_, range)| *range).filter(|r| !r.is_empty());
    ranges.collect()
}

/// The section names that matter here, interned once.
#[derive(Default)]
pub(super) struct InitializerNames(OnceLock<Names>);

struct Names {
    preinit_array: NameId,
    init_array: NameId,
    fini_array: NameId,
}

/// The ranges of one group that the runtime must know.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct InitializerRanges {
    /// In the order they run.
    pub(super) init: Vec<ExecutorAddrRange>,
    /// Each runs from its end to its start.
    pub(super) fini: Vec<ExecutorAddrRange>,
    /// Data that a dylib gets back when it is opened again.
    pub(super) data: Vec<ExecutorAddrRange>,
}

impl InitializerRanges {
    /// Picks the ranges out of a group's sections.
    pub(super) fn of(
        group: &LaidOutGroup<'_>,
        names: &NameTable,
        known: &InitializerNames,
    ) -> Self {
        let known = known.0.get_or_init(|| Names {
            preinit_array: names.intern(PREINIT_ARRAY),
            init_array: names.intern(INIT_ARRAY),
            fini_array: names.intern(FINI_ARRAY),
        });
        let of_name = |name: NameId| {
            let named = group.sections.iter().filter(move |(n, _)| *n == name);
            named.map(|(_, range)| *range).filter(|r| !r.is_empty())
        };
        // A program's are called by the loader, before its libraries are initialized.
        let preinit = of_name(known.preinit_array).filter(|_| !group.is_program);
        Self {
            init: preinit.chain(of_name(known.init_array)).collect(),
            fini: of_name(known.fini_array).collect(),
            data: Vec::new(),
        }
    }

    /// Whether there is anything to run.
    pub(super) fn has_functions(&self) -> bool {
        !self.init.is_empty() || !self.fini.is_empty()
    }

    /// The calls that register the ranges under a dylib's header, with their undo.
    pub(super) fn actions(
        &self,
        header: ExecutorAddr,
        runtime: &RuntimeFunctions,
    ) -> Vec<AllocActionPair> {
        let pair = |(register, deregister), ranges: &[ExecutorAddrRange]| {
            let args = sps::encode(&(header, ranges));
            AllocActionPair {
                finalize: call(register, args.clone()),
                dealloc: call(deregister, args),
            }
        };
        let mut actions = Vec::new();
        if let (false, Some(functions)) = (self.data.is_empty(), runtime.data) {
            actions.push(pair(functions, &self.data));
        }
        if !self.init.is_empty() {
            let functions = (
                runtime.register_init_sections,
                runtime.deregister_init_sections,
            );
            actions.push(pair(functions, &self.init));
        }
        if let (false, Some(functions)) = (self.fini.is_empty(), runtime.fini_sections) {
            actions.push(pair(functions, &self.fini));
        }
        actions
    }
}

/// The calls that make a dylib known to the runtime, with their undo.
pub(super) fn dylib_action(
    name: &str,
    header: ExecutorAddr,
    runtime: &RuntimeFunctions,
) -> AllocActionPair {
    let register = sps::encode(&(name, header));
    AllocActionPair {
        finalize: call(runtime.register_jitdylib, register),
        dealloc: call(runtime.deregister_jitdylib, sps::encode(&header)),
    }
}

fn call(function: ExecutorAddr, args: Vec<u8>) -> AllocAction {
    AllocAction { function, args }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jit_core::batch::DylibId;

    const RUNTIME: RuntimeFunctions = RuntimeFunctions {
        register_jitdylib: ExecutorAddr::new(1),
        deregister_jitdylib: ExecutorAddr::new(2),
        register_init_sections: ExecutorAddr::new(3),
        deregister_init_sections: ExecutorAddr::new(4),
        fini_sections: Some((ExecutorAddr::new(5), ExecutorAddr::new(6))),
        data: Some((ExecutorAddr::new(9), ExecutorAddr::new(10))),
        finalize_ranges: Some(ExecutorAddr::new(7)),
        remove_ranges: Some(ExecutorAddr::new(8)),
    };

    fn range(start: u64, end: u64) -> ExecutorAddrRange {
        ExecutorAddrRange {
            start: ExecutorAddr::new(start),
            end: ExecutorAddr::new(end),
        }
    }

    #[test]
    fn ranges_in_the_loaders_order() {
        let names = NameTable::default();
        let sections = [
            (names.intern(INIT_ARRAY), range(0x20, 0x30)),
            (names.intern(FINI_ARRAY), range(0x30, 0x38)),
            (names.intern(PREINIT_ARRAY), range(0x10, 0x20)),
            (names.intern(INIT_ARRAY), range(0x40, 0x40)),
            (names.intern(b".data"), range(0x50, 0x60)),
        ];
        let group = LaidOutGroup {
            dylib: DylibId(0),
            sections: &sections,
            writable: &[],
            header: None,
            is_program: false,
        };
        let found = InitializerRanges::of(&group, &names, &InitializerNames::default());
        assert_eq!(found.init, [range(0x10, 0x20), range(0x20, 0x30)]);
        assert_eq!(found.fini, [range(0x30, 0x38)]);
        let program = LaidOutGroup {
            is_program: true,
            ..group
        };
        let found = InitializerRanges::of(&program, &names, &InitializerNames::default());
        assert_eq!(found.init, [range(0x20, 0x30)]);
        assert_eq!(preinit_arrays(&program, &names), [range(0x10, 0x20)]);
    }

    #[test]
    fn calls_carry_header_and_ranges() {
        let ranges = InitializerRanges {
            init: vec![range(0x10, 0x20)],
            fini: vec![range(0x30, 0x38)],
            data: Vec::new(),
        };
        let header = ExecutorAddr::new(0x1000);
        let actions = ranges.actions(header, &RUNTIME);
        let init = &actions[0].finalize;
        assert_eq!(init.function, RUNTIME.register_init_sections);
        let words: Vec<u64> = init
            .args
            .chunks(8)
            .map(|w| u64::from_le_bytes(w.try_into().unwrap()))
            .collect();
        assert_eq!(words, [0x1000, 1, 0x10, 0x20]);
        let undo = &actions[1].dealloc;
        assert_eq!(undo.function, ExecutorAddr::new(6));
        let without = RuntimeFunctions {
            fini_sections: None,
            ..RUNTIME
        };
        assert_eq!(ranges.actions(header, &without).len(), 1);
    }

    #[test]
    fn a_dylib_is_registered_by_name_and_header() {
        let action = dylib_action("app", ExecutorAddr::new(0x1000), &RUNTIME);
        let register = action.finalize;
        assert_eq!(register.args, *b"\x03\0\0\0\0\0\0\0app\0\x10\0\0\0\0\0\0");
        assert_eq!(action.dealloc.args, register.args[11..]);
    }
}
