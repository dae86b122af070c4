//! Finding a library's definition behind the program's own.

use crate::native::{Dynamic, STT_GNU_IFUNC, loaded_objects};

/// The loaded objects in the order in which the loader searches them.
pub(super) struct Scope {
    objects: Vec<Dynamic>,
}

impl Scope {
    /// Everything but the image at `base` and other objects that this project made.
    pub fn without(base: u64) -> Self {
        let objects = loaded_objects();
        let objects = objects
            .iter()
            .filter(|object| object.bias != base && !object.is_synthesized() && !object.is_vdso())
            .filter_map(Dynamic::of)
            .collect();
        Self { objects }
    }

    /// The address of the first definition of a name: of this version, or the default one.
    pub fn find(&self, name: &[u8], version: Option<&[u8]>) -> Option<u64> {
        let found = self
            .objects
            .iter()
            .find_map(|object| object.find(name, version))?;
        if found.kind != STT_GNU_IFUNC {
            return Some(found.addr);
        }
        let resolver = std::ptr::with_exposed_provenance::<()>(found.addr as usize);
        // SAFETY: an IFUNC's value is the address of its resolver, which takes no arguments on this
        // processor; its library is relocated.
        let resolver: extern "C" fn() -> u64 = unsafe { std::mem::transmute(resolver) };
        Some(resolver())
    }
}
