//! Functions of the C library that linked code gets another of.
//!
//! Linked code calls the C library as any program does, and nearly always gets what a linked program gets. A
//! few functions answer by where they are called from, or by what this process is beside the program.
//! Their stand-ins are the C library's functions, but for that difference. Libraries keep the C
//! library's own.

pub(crate) mod own_file;
mod small_stacks;
pub(crate) mod symbol_search;

use std::ops::Range;
use std::sync::OnceLock;

use orc_shared::ExecutorAddr;
use orc_shared::api::{Import, ImportKind, ImportValue};

use crate::host::arch::stand_ins;
use crate::host::crash::disguise;
use crate::host::loader::loaded_objects;
use crate::host::program::later;

/// Puts stand-ins in place of what the loader found in the C library.
///
/// Linked code may reach no further than to the libraries, and this executable is elsewhere. So it
/// gets what `stub_for` makes of a stand-in: code near the libraries that leads there. Where there is
/// none, it gets the C library's function.
pub(crate) fn substitute(
    import: &Import,
    value: &mut ImportValue,
    stub_for: impl Fn(ExecutorAddr) -> Option<ExecutorAddr>,
) {
    if let Some(stub) = stand_in_for(import, value).and_then(stub_for) {
        value.value = stub.value();
    }
}

fn stand_in_for(import: &Import, value: &ImportValue) -> Option<ExecutorAddr> {
    let name = &import.name[..];
    if import.kind != ImportKind::Address || value.value == 0 {
        return None;
    }
    // Whoever has it: it calls that one.
    if let Some(stand_in) = later::stand_in(name) {
        return Some(ExecutorAddr::new(stand_in.addr() as u64));
    }
    let stand_in = stand_ins::symbol_search(name)
        .or_else(|| small_stacks::stand_in(name))
        .or_else(|| disguise::stand_in(name))
        .or_else(|| own_file::stand_in(name))?;
    // A library that brings its own function, such as a sanitizer's, knows what it does.
    let own = is_of_c_library(value.value);
    if !own {
        disguise::give_way(name);
    }
    own.then(|| ExecutorAddr::new(stand_in.addr() as u64))
}

/// Whether an address lies in the C library.
fn is_of_c_library(addr: u64) -> bool {
    static C_LIBRARY: OnceLock<Range<u64>> = OnceLock::new();
    let range = C_LIBRARY.get_or_init(|| {
        let known = (libc::abort as *const ()).addr() as u64;
        let mut ranges = loaded_objects().into_iter().map(|object| object.range());
        ranges.find(|range| range.contains(&known)).unwrap_or(0..0)
    });
    range.contains(&addr)
}
