//! The objects that the loader has in this process.

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_int, c_void};
use std::ops::Range;

use orc_shared::api::LoadedLibrary;
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use super::dynamic::Dynamic;
use super::imports::lookup;
use crate::host::elf;
use crate::host::maps::{self, Mapping};

/// An object in the loader's list, with what its program headers say.
#[derive(Clone, Debug)]
pub(crate) struct LoadedObject {
    /// Its name in the loader's list: the path it was found at. Empty for the executable.
    pub name: Vec<u8>,
    /// Difference between addresses in memory and in the file.
    pub bias: u64,
    /// Its program headers.
    pub headers: Vec<libc::Elf64_Phdr>,
    /// The number of its thread-locals' module, or 0 if it has none.
    pub tls_module: u64,
    /// The calling thread's copy of its thread-locals, or 0 if it has none (yet).
    pub tls_block: u64,
    /// Whether it is the executable: the first object in the list.
    pub is_executable: bool,
}

impl LoadedObject {
    /// Its first program header of a type.
    pub fn header(&self, kind: u32) -> Option<&libc::Elf64_Phdr> {
        self.headers.iter().find(|h| h.p_type == kind)
    }

    /// The memory that a program header describes.
    pub fn segment(&self, header: &libc::Elf64_Phdr) -> Range<u64> {
        let start = self.bias.wrapping_add(header.p_vaddr);
        start..start.wrapping_add(header.p_memsz)
    }

    /// From its first to its last loaded page.
    pub fn range(&self) -> Range<u64> {
        let page = crate::host::pages::page_size() - 1;
        let (mut low, mut high) = (u64::MAX, 0);
        for header in self.headers.iter().filter(|h| h.p_type == elf::PT_LOAD) {
            let segment = self.segment(header);
            low = low.min(segment.start & !page);
            high = high.max(segment.end.wrapping_add(page) & !page);
        }
        if low > high { 0..0 } else { low..high }
    }

    /// Whether it is an object that this project made: those are memfds, opened through `/proc`.
    pub fn is_synthesized(&self) -> bool {
        self.name.starts_with(b"/proc/") && self.name.windows(4).any(|part| part == b"/fd/")
    }

    /// Whether it is the kernel's own object, which has no file and no relocations.
    pub fn is_vdso(&self) -> bool {
        !self.is_executable && !self.name.contains(&b'/')
    }
}

/// Every object in the loader's list, the executable first, then in the order they were loaded.
pub(crate) fn loaded_objects() -> Vec<LoadedObject> {
    /// # Safety
    /// Called by the loader with one of its records; `out` is a vector of objects.
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        out: *mut c_void,
    ) -> c_int {
        // SAFETY: `out` is the vector passed below, and the loader calls back on this thread.
        let objects = unsafe { &mut *out.cast::<Vec<LoadedObject>>() };
        // SAFETY: the loader passes a valid record for the time of the call.
        let info = unsafe { &*info };
        let name = if info.dlpi_name.is_null() {
            Vec::new()
        } else {
            // SAFETY: a name in the loader's list is a C string.
            unsafe { CStr::from_ptr(info.dlpi_name) }
                .to_bytes()
                .to_vec()
        };
        let headers = if info.dlpi_phdr.is_null() {
            Vec::new()
        } else {
            // SAFETY: the record describes that many program headers, mapped with the object.
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) }.to_vec()
        };
        objects.push(LoadedObject {
            name,
            bias: info.dlpi_addr,
            headers,
            tls_module: info.dlpi_tls_modid as u64,
            tls_block: info.dlpi_tls_data.expose_provenance() as u64,
            is_executable: objects.is_empty(),
        });
        0
    }
    let mut objects: Vec<LoadedObject> = Vec::with_capacity(32);
    // SAFETY: `visit` gets the vector it expects, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut objects).cast()) };
    objects
}

/// The libraries that the loader searches for every name, in its order, the executable first.
/// Left out are the kernel's object, those that this project made, and libraries opened for the
/// use of others only (`RTLD_LOCAL`).
pub fn loaded_libraries() -> Vec<LoadedLibrary> {
    let executable = std::fs::read_link("/proc/self/exe");
    let objects = loaded_objects();
    global_scope(&objects)
        .into_iter()
        .map(|object| {
            let range = object.range();
            let path = match &executable {
                Ok(path) if object.is_executable => path.to_string_lossy().into_owned(),
                _ => absolute_path(object),
            };
            LoadedLibrary {
                path,
                load_bias: ExecutorAddr::new(object.bias),
                range: ExecutorAddrRange {
                    start: ExecutorAddr::new(range.start),
                    end: ExecutorAddr::new(range.end),
                },
            }
        })
        .collect()
}

/// The objects of the global scope: what the executable needs, and what was opened for all.
pub(super) fn global_scope(objects: &[LoadedObject]) -> Vec<&LoadedObject> {
    let candidates: Vec<_> = objects
        .iter()
        .filter(|object| !object.is_vdso() && !object.is_synthesized())
        .map(|object| (object, Dynamic::of(object)))
        .collect();
    let mut needed: HashSet<&[u8]> = HashSet::new();
    let mut global = vec![false; candidates.len()];
    // What an object needs is mostly listed after it, but not always.
    let mut found = true;
    while std::mem::take(&mut found) {
        for (at, (object, dynamic)) in candidates.iter().enumerate() {
            let file_name = object.name.rsplit(|&byte| byte == b'/').next();
            let soname = dynamic.as_ref().and_then(Dynamic::soname);
            let is_needed = [file_name, soname, Some(object.name.as_slice())]
                .into_iter()
                .flatten()
                .any(|name| needed.contains(name));
            if !global[at] && (object.is_executable || is_needed) {
                global[at] = true;
                found = true;
                needed.extend(dynamic.iter().flat_map(Dynamic::needed));
            }
        }
    }
    let in_scope = |(at, (object, dynamic)): (usize, &(&'_ LoadedObject, Option<Dynamic>))| {
        let searched = || {
            dynamic
                .as_ref()
                .is_none_or(|dynamic| is_searched(object, dynamic))
        };
        global[at] || searched()
    };
    let places = candidates.iter().enumerate();
    places
        .filter(|&place| in_scope(place))
        .map(|(_, (object, _))| *object)
        .collect()
}

/// Whether the loader finds an object's definitions for everybody, seen by one that no object before
/// it has.
fn is_searched(object: &LoadedObject, dynamic: &Dynamic) -> bool {
    const NAMES_MAX: usize = 256;
    let range = object.range();
    for (name, definition) in dynamic.definitions().take(NAMES_MAX) {
        let found = CString::new(name).ok().and_then(|name| lookup(&name, None));
        match found {
            Some(addr) if addr == definition.addr => return true,
            // Another definition of its own, or an earlier object's.
            Some(addr) if range.contains(&addr) => return true,
            Some(_) => {}
            None => return false,
        }
    }
    // All its names are found elsewhere: it makes no difference.
    true
}

/// The path of an object's file. The loader keeps the name that a library was opened by; where
/// that is relative, the kernel knows what it led to at the time.
fn absolute_path(object: &LoadedObject) -> String {
    if object.name.starts_with(b"/") {
        return String::from_utf8_lossy(&object.name).into_owned();
    }
    let start = object.range().start;
    let at_start = |mapping: &Mapping<'_>| {
        let is_file = mapping.range.start == start && mapping.name().starts_with(b"/");
        is_file.then(|| String::from_utf8_lossy(mapping.name()).into_owned())
    };
    maps::find(at_start).unwrap_or_else(|| String::from_utf8_lossy(&object.name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_is_first_and_has_an_absolute_path() {
        let libraries = loaded_libraries();
        let executable = std::fs::read_link("/proc/self/exe").expect("readable");
        assert_eq!(libraries[0].path, executable.to_string_lossy());
        let here = ExecutorAddr::new(loaded_libraries as *const () as u64);
        assert!(libraries[0].range.contains(here));
    }

    #[test]
    fn libc_is_listed_once_and_the_vdso_is_not() {
        let libraries = loaded_libraries();
        let libc = |l: &&LoadedLibrary| l.path.contains("/libc.so");
        assert_eq!(libraries.iter().filter(libc).count(), 1);
        assert!(libraries.iter().all(|l| l.path.starts_with('/')));
    }
}
