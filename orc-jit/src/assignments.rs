//! Symbols that linker scripts and `--defsym` define.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jit_core::error::LinkError;
use jit_core::name::NameId;
use jit_core::object::Linkage;
use jit_core::session::{Dylib, Generator, Reexport, Tracker, Wanted};
use orc_inputs::linker_script::Assignment;

use crate::error::Error;
use crate::object_reader::ObjectReader;
use crate::platform::{self, Assigned};

/// Makes the assignments of a dylib, which belong to `tracker`.
///
/// # Errors
/// When a symbol is defined by itself.
pub(crate) fn add(
    tracker: &Tracker,
    assignments: Vec<Assignment>,
    objects: &ObjectReader,
) -> Result<(), Error> {
    let dylib = tracker.dylib();
    let names = objects.names();
    let Assigned {
        object,
        aliases,
        provided,
    } = platform::assign(assignments, names, objects.wrapped())?;
    if let Some(object) = object {
        tracker.add_object(object)?;
    }
    let alias = |(alias, name): &(NameId, NameId)| Reexport {
        alias: *alias,
        dylib: dylib.clone(),
        name: *name,
        linkage: Linkage::Override,
    };
    if !aliases.is_empty() {
        let aliases: Vec<Reexport> = aliases.iter().map(alias).collect();
        tracker.add_reexports(&aliases)?;
    }
    if !provided.is_empty() {
        dylib.add_generator(Arc::new(Provided::new(provided, objects)));
    }
    Ok(())
}

/// Symbols that are defined if something refers to them and nothing else defines them (`PROVIDE`).
struct Provided {
    objects: ObjectReader,
    /// Assignments of symbols that nobody has asked for yet. Of several for one name the first counts: then the symbol
    /// is defined.
    waiting: Mutex<HashMap<NameId, Assignment>>,
}

impl Provided {
    fn new(assignments: Vec<Assignment>, objects: &ObjectReader) -> Self {
        let mut waiting = HashMap::new();
        for assignment in assignments {
            let name = assignment.name().unwrap_or_default();
            let name = objects.names().intern(name.as_bytes());
            waiting.entry(name).or_insert(assignment);
        }
        Self {
            objects: objects.clone(),
            waiting: Mutex::new(waiting),
        }
    }
}

impl Generator for Provided {
    fn name(&self) -> &str {
        "symbols that linker scripts provide"
    }

    fn generate(&self, dylib: &Dylib, wanted: &[Wanted]) -> Result<(), LinkError> {
        for wanted in wanted {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(assignment) = waiting.remove(&wanted.name) else {
                continue;
            };
            drop(waiting);
            let (names, wrapped) = (self.objects.names(), self.objects.wrapped());
            dylib.add_object(platform::provided(&assignment, names, wrapped)?)?;
        }
        Ok(())
    }
}
