//! Objects that take the place of others while these run.

use std::sync::Arc;

use jit_core::object::ObjectFile;
use jit_core::session::{ReplaceOptions, Replaced};

use crate::dylib::{Dylib, Tracker};
use crate::error::Error;
use crate::program::Program;

impl Dylib {
    /// Makes objects of this dylib that are linked from now on replaceable while they run
    /// ([`Tracker::replace`]). Calls of their functions, except for static ones, go through stubs: one
    /// jump more each.
    pub fn allow_replacement(&self) {
        self.session_dylib().allow_replacement();
    }
}

impl Tracker {
    /// Puts objects in the place of all that were added through this tracker, in one step, while they run:
    /// callers get into the new functions from then on, through pointers that they took before, too. Variables
    /// and thread-locals keep their values, and constructors do not run again.
    ///
    /// Objects are read with [`crate::ObjectReader`]. Their names matter: a static variable is the one of the object of the same name. Compile with
    /// `-fdata-sections`, so that variables may come and go.
    ///
    /// What was replaced stays in memory until [`Replaced::retire`].
    ///
    /// # Errors
    /// When an object cannot be read or linked; when a variable's layout has changed, with both; when the
    /// dylib does not allow it. All goes on as before then.
    ///
    /// # Safety
    /// Callers of each function may call the new one of that name, and what the new code does with variables
    /// and data of the old code is right.
    pub unsafe fn replace(
        &self,
        objects: &[Arc<dyn ObjectFile>],
        options: ReplaceOptions,
    ) -> Result<Replaced, Error> {
        Ok(self.session_tracker().replace(objects, options)?)
    }
}

impl Program {
    /// The tracker of what can be replaced. From the first call on, the program allows that.
    pub(crate) fn replaceable(&self) -> &jit_core::session::Tracker {
        self.replaceable.get_or_init(|| {
            self.dylib.allow_replacement();
            self.dylib.new_tracker()
        })
    }

    /// Puts objects in the place of those that were added as replaceable, while the program runs; as
    /// [`Tracker::replace`] does. The program has to be linked with all its sections
    /// ([`crate::ProgramSettings::gc_sections`]).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Safety
    /// As there.
    pub unsafe fn replace(
        &self,
        objects: &[Arc<dyn ObjectFile>],
        options: ReplaceOptions,
    ) -> Result<Replaced, Error> {
        Ok(self.replaceable().replace(objects, options)?)
    }
}
