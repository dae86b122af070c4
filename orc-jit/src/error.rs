//! What can go wrong, for clients.

use std::path::PathBuf;

use jit_core::cpu::Architecture;
use jit_core::error::LinkError;
use jit_core::object::ObjectError;
use orc_inputs::format::LibraryError;
use orc_inputs::input::printable_path;
use orc_inputs::library_search::SearchError;
use orc_shared::ExecutorAddr;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A link failed. The session is as before.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// An input cannot be found or used.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A library that may be there could not be read, so symbols are missing.
    #[error("{0}: what this library defines is missing")]
    Unreadable(String),
    /// An object or archive cannot be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A shared library cannot be read.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The runtime did not start.
    #[error("cannot start the runtime{}: {error}", from(.path.as_deref()))]
    Runtime {
        /// The archive, if it is not the built-in one.
        path: Option<PathBuf>,
        /// What went wrong while it was linked or called.
        error: LinkError,
    },
    /// The first version of functions with tiers cannot be made.
    #[error("{compiler}: {message}")]
    Tier {
        /// The compiler's name.
        compiler: String,
        /// What it says.
        message: String,
    },
    /// What code for another CPU needs is not there.
    #[error(
        "there is no {} for {}: `cargo run -p xtask -- cross` makes it; the environment variable \
         ORC_JIT_TARGETS names the directory that it is looked for in",
        path.display(),
        cpu.name()
    )]
    NoTarget {
        /// The CPU.
        cpu: Architecture,
        /// The file.
        path: PathBuf,
    },
    /// A name was asked for as something it is not.
    #[error("`{name}` is not a function: it is {what}")]
    NotAFunction {
        /// The symbol, as it was asked for.
        name: String,
        /// What the symbol is instead, as in "data".
        what: &'static str,
    },
    /// A function was asked for as something to call, and its code is in another process.
    #[error(
        "`{name}` cannot be called from here: its code is in the process of another executor; run \
         it as a program, or call a wrapper function"
    )]
    NotInThisProcess {
        /// The symbol, as it was asked for.
        name: String,
    },
    /// A function of this process was offered to code that runs in another one.
    #[error(
        "`{name}` cannot be a function of this program: the code that would call it runs in another \
         process; add an object or a library that defines it"
    )]
    HostFunctionElsewhere {
        /// The symbol, as it was to be defined.
        name: String,
    },
    /// A symbol was used with an executor that does not have it.
    #[error(
        "the wrapper function at {addr} is in the process of another executor: call it through the \
         JIT that has linked it"
    )]
    OtherExecutor {
        /// Where it is, there.
        addr: ExecutorAddr,
    },
    /// A place of an executor that makes no sense.
    #[error("{0}")]
    Place(String),
    /// A program without its entry point.
    #[error(
        "no input defines `{entry}`, where the program starts; add the object that does, or name another entry point"
    )]
    NoEntry {
        /// The entry point's name.
        entry: String,
    },
    /// The loader does not find a library that the program was linked with.
    #[error(
        "{message}: the program was linked with {linked}; have the loader find the library, as for any program, \
         with -Wl,-rpath,DIRECTORY or LD_LIBRARY_PATH"
    )]
    LibraryNotLoaded {
        /// What the loader says.
        message: String,
        /// The file that was linked with.
        linked: String,
    },
}

fn from(path: Option<&std::path::Path>) -> String {
    path.map(|path| format!(" from {}", printable_path(&path)))
        .unwrap_or_default()
}
