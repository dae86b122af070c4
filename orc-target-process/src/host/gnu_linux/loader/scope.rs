//! Finding a library's definition behind the program's own.

use super::dynamic::{Definition, Dynamic};
use super::loaded::{global_scope, loaded_objects};
use crate::host::elf::{STT_GNU_IFUNC, STT_TLS};

/// The loaded objects in the order in which the loader searches them.
#[derive(Debug)]
pub(crate) struct Scope {
    objects: Vec<Dynamic>,
}

impl Scope {
    /// Everything that comes from files.
    pub fn of_files() -> Self {
        let objects = loaded_objects();
        let files = objects
            .iter()
            .filter(|object| !object.is_synthesized() && !object.is_vdso());
        Self {
            objects: files.filter_map(Dynamic::of).collect(),
        }
    }

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

    /// The libraries that are searched for everybody.
    pub fn of_libraries() -> Self {
        let objects = loaded_objects();
        let libraries = global_scope(&objects).into_iter();
        let objects = libraries
            .filter(|object| !object.is_executable)
            .filter_map(Dynamic::of)
            .collect();
        Self { objects }
    }

    /// All libraries, in the order in which they were loaded.
    pub fn of_all_libraries() -> Self {
        let objects = loaded_objects();
        let libraries = objects.iter().filter(|object| {
            !object.is_executable && !object.is_synthesized() && !object.is_vdso()
        });
        let objects = libraries.filter_map(Dynamic::of).collect();
        Self { objects }
    }

    /// The object at `base` alone.
    pub fn of_object(base: u64) -> Self {
        let objects = loaded_objects();
        let at_base = objects.iter().filter(|object| object.bias == base);
        let objects = at_base.filter_map(Dynamic::of).collect();
        Self { objects }
    }

    /// The first definition of a name: of this version, or the default one.
    pub fn definition(&self, name: &[u8], version: Option<&[u8]>) -> Option<Definition> {
        let mut objects = self.objects.iter();
        objects.find_map(|object| object.find(name, version))
    }

    /// The address of the first definition of a name: of this version, or the default one. A
    /// thread-local has none.
    pub fn find(&self, name: &[u8], version: Option<&[u8]>) -> Option<u64> {
        let found = self.definition(name, version)?;
        if found.kind == STT_TLS {
            return None;
        }
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
