//! What the process gives up before it serves anybody.
//!
//! The executor runs whatever code its controller sends, and by default that code can do what this
//! user can do, as a program started from a shell can. Whoever starts an executor for code that it
//! trusts less can take some of that away. What is taken cannot be had back, by this process or by what
//! it starts.

use std::io;
use std::path::PathBuf;

use crate::host::confinement;

/// What is given up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Confinement {
    /// Set-user-ID bits and file capabilities have no effect on programs that are started.
    pub(super) no_new_privileges: bool,
    /// No file may be changed, made, moved or removed, except below `writable`.
    pub(super) read_only: bool,
    /// Directories and files that may be written to nevertheless.
    pub(super) writable: Vec<PathBuf>,
    /// Sockets can only be Unix sockets.
    pub(super) no_network: bool,
}

impl Confinement {
    /// Gives it all up, for this thread and the threads and processes that it makes from now on. The
    /// process must have no other thread.
    ///
    /// # Errors
    /// When the system cannot do that; then nobody should be served.
    pub(super) fn enter(&self) -> io::Result<()> {
        if self.no_new_privileges || self.read_only || self.no_network {
            confinement::give_up_new_privileges()?;
        }
        if self.read_only {
            confinement::guard_files(&self.writable)?;
        }
        if self.no_network {
            confinement::refuse_network()?;
        }
        Ok(())
    }
}
