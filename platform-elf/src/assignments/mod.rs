//! Symbols that linker scripts and `--defsym` define: an object without content, whose symbols are
//! computed.
//!
//! Assignments hold in order, as in GNU ld: one that is made again replaces the former, and what
//! stands in between sees the former. A symbol that only a later one defines has that value. What is
//! only another name for a symbol stays one, with its type.

mod compute;
mod object;
mod steps;

use std::sync::Arc;

use jit_core::name::{NameId, NameTable};
use jit_core::object::{ObjectError, ObjectFile};

use self::object::AssignedObject;
use self::steps::Steps;
use orc_inputs::linker_script::{Assignment, Role};
use orc_inputs::wrapped::WrappedNames;

/// What assignments come to.
#[derive(Default)]
pub struct Assigned {
    /// The object that defines the symbols and makes the assertions, and needs what they depend on.
    pub object: Option<Arc<dyn ObjectFile>>,
    /// Symbols that are other names of symbols: the new name, and the other.
    pub aliases: Vec<(NameId, NameId)>,
    /// Symbols to define if nothing else does: [`provided`] has their objects.
    pub provided: Vec<Assignment>,
}

/// Sorts assignments and makes the object. What they refer to is wrapped, as are references of
/// objects.
///
/// # Errors
/// When a symbol is defined by itself.
pub fn assign(
    assignments: Vec<Assignment>,
    names: &NameTable,
    wrapped: &WrappedNames,
) -> Result<Assigned, ObjectError> {
    let (provided, steps): (Vec<_>, Vec<_>) = assignments
        .into_iter()
        .partition(|assignment| matches!(assignment.role, Role::Provide { .. }));
    if steps.is_empty() {
        return Ok(Assigned {
            provided,
            ..Assigned::default()
        });
    }
    let steps = Steps::new(steps)?;
    let aliases = steps.aliases();
    let object = AssignedObject::new(steps, &aliases, names, wrapped);
    let intern = |name: &String| names.intern(name.as_bytes());
    let alias = |(alias, name): &(String, String)| (intern(alias), wrapped.meaning(intern(name)));
    Ok(Assigned {
        object: Some(Arc::new(object)),
        aliases: aliases.iter().map(alias).collect(),
        provided,
    })
}

/// The object of a symbol that is defined because nothing else does.
///
/// # Errors
/// As for [`assign`].
pub fn provided(
    assignment: &Assignment,
    names: &NameTable,
    wrapped: &WrappedNames,
) -> Result<Arc<dyn ObjectFile>, ObjectError> {
    let steps = Steps::new(vec![assignment.clone()])?;
    Ok(Arc::new(AssignedObject::new(steps, &[], names, wrapped)))
}

#[cfg(test)]
mod tests;
