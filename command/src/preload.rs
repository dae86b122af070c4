//! Libraries that must be in the process from its start.
//!
//! A library that replaces the allocator (a sanitizer's runtime, jemalloc) has to be there before the
//! first allocation. A sanitizer's runtime also puts functions of its own in front of those of other
//! libraries (`__cxa_throw`, `_Unwind_RaiseException`), and looks for these when it starts. In a linked
//! program all libraries are there by then. So a library of the program that defines such a function is
//! preloaded, too, behind the runtime. Others are not: their constructors would run before the link.

use std::path::PathBuf;
use std::sync::Arc;

use jit_core::native::NativeLibrary;

use super::inputs::Inputs;
use super::link_line::LinkLine;
use super::surroundings::Surroundings;
use super::{driver_libraries, run};

/// The libraries that the program's process is to start with, in order. Mostly there are none.
pub(super) fn libraries(
    line: &LinkLine,
    surroundings: &Arc<dyn Surroundings>,
    inputs: &Inputs,
) -> Vec<PathBuf> {
    let Some((path, allocator)) = driver_libraries::replaced_allocator(&inputs.opened) else {
        return Vec::new();
    };
    // If that fails, the link will fail, and say why.
    let needed = run::needed_libraries(line, surroundings, inputs).unwrap_or_default();
    let libc = needed
        .iter()
        .find(|it| it.loader_name().starts_with("libc.so"));
    let behind = needed.iter().filter(|library| {
        library.loader_name() != allocator.loader_name()
            && defines_what_is_replaced(&***library, allocator, libc)
    });
    let behind = behind.map(|library| PathBuf::from(library.path()));
    std::iter::once(path.to_owned()).chain(behind).collect()
}

/// Whether a library defines a name that the allocator's library defines, too, and the C library does not.
fn defines_what_is_replaced(
    library: &dyn NativeLibrary,
    allocator: &dyn NativeLibrary,
    libc: Option<&Arc<dyn NativeLibrary>>,
) -> bool {
    let mut found = false;
    library.for_each_interposable(&mut |name| {
        found = found
            || (allocator.find(name).is_some()
                && library.find(name).is_some()
                && libc.is_none_or(|libc| libc.find(name).is_none()));
    });
    found
}
