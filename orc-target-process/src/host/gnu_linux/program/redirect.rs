//! Leading libraries that are loaded already to the program's definitions.
//!
//! A library reaches a symbol that may be interposed through a slot that the loader fills
//! (`GLOB_DAT`, `JUMP_SLOT`, or a pointer in its data). Slots for the names that the program
//! defines are filled again here. What a library reaches without a slot it would reach in a linked
//! program too: libc's own `printf` calls its own `vfprintf`, whatever the program defines.
//!
//! Variables that the program has copies of are found by address, not by name: a slot that leads to
//! the library's variable is led to the copy, under whichever of its names it was filled.
//!
//! The executable is the host of the program and no part of it: its calls stay as they are.
//! Only variables are redirected for it, because libc then keeps the program's variable up to
//! date and not its own (`environ` after `setenv`).

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;

use orc_shared::api::{Export, NativeKind, ProgramImage};

use super::allocator::{self, Guarded};
use super::copies::Moved;
use super::later;
use crate::host::loader::relocation_kind::{RelocationKind, relocation_kind};
use crate::host::loader::{Dynamic, LoadedObject, Rela, loaded_objects, tables, with_writable};

/// Why libraries could not be redirected.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    /// A library's tables could not be made writable.
    #[error("cannot lead {library} to the program's definitions: {error}")]
    Protection {
        /// The library.
        library: String,
        /// The system's error.
        error: io::Error,
    },
    /// The process's allocator cannot tell its memory from the program's.
    #[error(transparent)]
    Allocator(#[from] allocator::AllocatorError),
}

/// A slot that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Patch {
    slot: u64,
    old: u64,
    new: u64,
}

/// What was changed in loaded libraries for a program.
#[derive(Debug, Default)]
pub(super) struct Redirects {
    /// Where the program's image lies; it is left alone.
    image: u64,
    moved: Vec<Moved>,
    /// Load addresses of the objects that were there before the program.
    loaded_before: Vec<u64>,
    guards: Option<allocator::Guards>,
    patches: Vec<Patch>,
    /// Objects seen, by load address, so that a second visit changes new ones only.
    visited: HashSet<u64>,
    /// What references to `dlopen` are led to.
    dlopen: Option<u64>,
}

/// New values by name, and by old address.
struct Targets<'a> {
    exports: HashMap<&'a [u8], Vec<&'a Export>>,
    moved: &'a [Moved],
    guards: &'a allocator::Guards,
    dlopen: Option<u64>,
}

impl Redirects {
    /// No change yet, for the program whose image lies at `image`.
    /// Load addresses of what was there before it are in `loaded_before`.
    pub fn new(
        image: u64,
        moved: Vec<Moved>,
        loaded_before: Vec<u64>,
        dlopen: Option<u64>,
    ) -> Self {
        Self {
            image,
            moved,
            loaded_before,
            dlopen,
            ..Self::default()
        }
    }

    /// Redirects all libraries that were not visited before.
    pub fn extend(&mut self, image: &ProgramImage) -> Result<(), RedirectError> {
        let mut exports: HashMap<&[u8], Vec<&Export>> = HashMap::new();
        for export in image.exports.iter().filter(|export| export.redirect_loaded) {
            exports.entry(&export.name).or_default().push(export);
        }
        if exports.is_empty() && self.moved.is_empty() && self.dlopen.is_none() {
            return Ok(());
        }
        if self.guards.is_none() {
            self.guards = Some(allocator::Guards::new(&image.exports, &self.loaded_before)?);
        }
        let targets = Targets {
            exports,
            moved: &self.moved,
            guards: self.guards.as_ref().expect("set above"),
            dlopen: self.dlopen,
        };
        for object in loaded_objects() {
            let ours = object.bias == self.image || object.is_synthesized();
            if !ours && !object.is_vdso() && self.visited.insert(object.range().start) {
                self.patches.extend(targets.redirect(&object)?);
            }
        }
        Ok(())
    }

    /// Forgets objects that are gone: others may be loaded in their place.
    pub fn forget_unloaded(&mut self) {
        let loaded: Vec<Range<u64>> = loaded_objects().iter().map(LoadedObject::range).collect();
        self.visited
            .retain(|start| loaded.iter().any(|range| range.start == *start));
        self.patches
            .retain(|patch| loaded.iter().any(|range| range.contains(&patch.slot)));
    }

    /// Leads the libraries back, except where somebody else has changed a slot since.
    pub fn undo(self) {
        if self.patches.is_empty() {
            return;
        }
        for object in loaded_objects() {
            let range = object.range();
            let own = |patch: &&Patch| range.contains(&patch.slot);
            let patches: Vec<Patch> = self.patches.iter().filter(own).copied().collect();
            if patches.is_empty() {
                continue;
            }
            // A library whose protection cannot be changed keeps its slots: there is nobody to
            // tell, and it could be changed a moment ago.
            let _ignored = with_writable(&object, || {
                for patch in patches {
                    // SAFETY: a slot of a loaded object, writable now.
                    unsafe {
                        if tables::read::<u64>(patch.slot) == patch.new {
                            tables::write_word(patch.slot, patch.old);
                        }
                    }
                }
            });
        }
    }
}

impl Targets<'_> {
    /// Changes the slots of one object.
    fn redirect(&self, object: &LoadedObject) -> Result<Vec<Patch>, RedirectError> {
        let Some(dynamic) = Dynamic::of(object) else {
            return Ok(Vec::new());
        };
        let range = object.range();
        let mut patches = Vec::new();
        for rela in dynamic.relocations() {
            patches.extend(self.patch(object, &dynamic, &range, rela));
        }
        if patches.is_empty() {
            return Ok(patches);
        }
        with_writable(object, || {
            for patch in &patches {
                // SAFETY: a slot that the loader filled, in an object whose data is writable now.
                unsafe { tables::write_word(patch.slot, patch.new) };
            }
        })
        .map_err(|error| RedirectError::Protection {
            library: orc_shared::printable_text(&object.name),
            error,
        })?;
        Ok(patches)
    }

    /// The change that a relocation's slot needs.
    fn patch(
        &self,
        object: &LoadedObject,
        dynamic: &Dynamic,
        range: &Range<u64>,
        rela: Rela,
    ) -> Option<Patch> {
        let addend = match relocation_kind(rela.kind()) {
            RelocationKind::Address => 0,
            RelocationKind::AddressAndAddend => rela.addend as u64,
            RelocationKind::Copy | RelocationKind::Other => return None,
        };
        if rela.symbol() == 0 {
            return None;
        }
        let slot = dynamic.bias().wrapping_add(rela.offset);
        if !range.contains(&slot) {
            return None;
        }
        // SAFETY: the slot lies in `range`, which the loader has mapped for the object (checked above).
        let old: u64 = unsafe { tables::read(slot) };
        let target = match self.moved(old.wrapping_sub(addend)) {
            Some(target) => target,
            None => self.exported(object, dynamic, rela.symbol())?,
        };
        let new = target.wrapping_add(addend);
        (new != old).then_some(Patch { slot, old, new })
    }

    /// Where a variable at `addr` has moved to.
    fn moved(&self, addr: u64) -> Option<u64> {
        let at = self.moved.partition_point(|moved| moved.from <= addr);
        let moved = self.moved.get(at.checked_sub(1)?)?;
        let offset = addr - moved.from;
        (offset < moved.size.max(1)).then(|| moved.to.wrapping_add(offset))
    }

    /// The program's definition that a reference means.
    fn exported(&self, object: &LoadedObject, dynamic: &Dynamic, symbol: usize) -> Option<u64> {
        let entry = dynamic.symbol(symbol);
        let name = dynamic.name(&entry);
        if name == later::NAME && !object.is_executable {
            return self.dlopen;
        }
        let exports = self.exports.get(name)?;
        let version = dynamic.version_name(dynamic.version_index(symbol));
        let export = exports
            .iter()
            .find(|export| match (&export.version, version) {
                (Some(defined), Some(wanted)) => defined.as_slice() == wanted,
                (None, _) | (_, None) => true,
            })?;
        match self.guards.for_object(object, name) {
            Guarded::Leave => None,
            Guarded::Through(guard) => Some(guard),
            Guarded::Plain if object.is_executable && export.kind == NativeKind::Function => None,
            Guarded::Plain => Some(export.addr.value()),
        }
    }
}
