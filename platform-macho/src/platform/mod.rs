//! What the platform adds to links: the names of the process that programs run in.
//!
//! Objects are made for macOS; the process may be another one's. Its loader, its C library and the session's platform
//! have their own names for what an object has and needs, and [`Host`] says which. There is one for Linux
//! ([`linux`]).

use jit_core::cpu::Architecture;

pub mod linux;

/// The names of a process.
pub struct Host {
    /// The output sections that objects' sections go to.
    pub sections: Sections,
    /// What a name stands for that an object for this CPU refers to, and that macOS defines. The name is as C spells it.
    pub meaning: fn(Architecture, &[u8]) -> Meaning,
    /// Whether the process has all that a library of macOS has, which is known by this path there.
    pub stands_for: fn(&str) -> bool,
    /// What becomes of sections for the runtimes of Objective-C and Swift.
    pub languages: Languages,
}

/// Runtimes of languages, which on macOS the loader tells of an image's sections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Languages {
    /// The process has none: objects for them are refused.
    Absent,
    /// This function of the process is told of each object's sections, in the order in which the objects are
    /// linked, before anything of the object runs: `void NAME(const struct object *)`, with a structure of
    /// the address of the dylib's header, the number of sections (8 bytes), and for each its name, its address and its
    /// size (8 bytes each).
    Registered(&'static str),
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// Whatever has that name.
    Itself,
    /// Another name of the process.
    Other(&'static str),
    /// Something that the process does not have: why a program cannot do without it.
    Refused(&'static str),
}

/// Names of output sections.
pub struct Sections {
    /// Code.
    pub code: &'static str,
    /// Constants.
    pub constants: &'static str,
    /// Constants that hold addresses.
    pub relocated_constants: &'static str,
    /// Variables.
    pub data: &'static str,
    /// Variables that are zero at first.
    pub zeros: &'static str,
    /// Initial values of thread-locals.
    pub thread_data: &'static str,
    /// The same of those that are zero at first.
    pub thread_zeros: &'static str,
    /// Addresses of functions that initialize.
    pub initializers: &'static str,
    /// Addresses of functions that finalize.
    pub finalizers: &'static str,
    /// Frames.
    pub frames: &'static str,
    /// Tables of exceptions.
    pub exception_tables: &'static str,
}

/// A process whose sections have the names that they have on Linux, and where each name stands for itself: for tests
/// and fuzzing.
pub(crate) static PLAIN: Host = plain(Languages::Absent);

const fn plain(languages: Languages) -> Host {
    Host {
        sections: Sections {
            code: ".text",
            constants: ".rodata",
            relocated_constants: ".data.rel.ro",
            data: ".data",
            zeros: ".bss",
            thread_data: ".tdata",
            thread_zeros: ".tbss",
            initializers: ".init_array",
            finalizers: ".fini_array",
            frames: ".eh_frame",
            exception_tables: ".gcc_except_table",
        },
        meaning: |_, _| Meaning::Itself,
        stands_for: |_| false,
        languages,
    }
}

/// The same, with runtimes of languages.
#[cfg(test)]
pub(crate) static WITH_LANGUAGES: Host = plain(Languages::Registered("register_object"));
