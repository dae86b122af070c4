//! Sources of definitions that are asked when a name is missing.

use crate::error::LinkError;
use crate::name::NameId;

use crate::session::Dylib;

/// A name that a lookup did not find in a dylib.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The name.
    pub name: NameId,
    /// Whether it may stay undefined. As for archives, a weak reference is no reason to bring in
    /// code, but a definition that exists anyway may be given.
    pub weak: bool,
}

/// Asked for names that a dylib does not define, before the lookup goes on to the next dylib.
///
/// A generator adds definitions to the dylib through its public functions, for as many of the names
/// as it can; a name it says nothing about stays missing. It is called without any lock held, from
/// the thread of the lookup, possibly from several at once for the same name: the second definition
/// is then a duplicate, unless the generator adds weak ones or remembers what it gave. Every lookup
/// asks again for what is still missing.
///
/// A generator must not own a strong [`crate::session::Session`] or [`Dylib`] handle, which would keep the
/// session alive forever: it is given the dylib.
pub trait Generator: Send + Sync {
    /// The name for messages.
    fn name(&self) -> &str;

    /// Adds definitions for some of `wanted` to `dylib`.
    ///
    /// # Errors
    /// When the source cannot be read; the lookup fails with it.
    fn generate(&self, dylib: &Dylib, wanted: &[Wanted]) -> Result<(), LinkError>;
}
