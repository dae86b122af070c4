//! Makes `liborc_rt.a`, the runtime that a JIT links into its executor.
//!
//! Rust's own static archive of `orc-rt` has 300 members and 5 MB: all of `compiler_builtins`, a
//! section per function, and names nobody looks up. [`build`] compiles it, and that of `orc-rt/darwin`, in a target
//! directory of its own, with the profile `orc-rt`; for each, [`pack`] then
//!
//! 1. keeps the members that the runtime's entry points reach (`members`);
//! 2. combines their sections by kind into one object that defines the entry points alone
//!    (`combine`), which also refuses what a simple linker could not link: thread-locals, and
//!    relocations beyond the few that position-independent code needs.
//!
//! [`build_executor`] and [`build_guest`] compile what else a controller carries with it.
//!
//! The build script of `orc-embedded` runs this crate's program, which writes them to files.

mod cargo;
mod combine;
mod executor;
mod members;
mod relocations;
#[cfg(test)]
mod tests;

pub use cargo::{BuildRequest, build};
pub use executor::{EXECUTOR_SIZE_MAX, build_executor, build_guest};

use ar_archive_writer::{ArchiveKind, DEFAULT_OBJECT_READER, NewArchiveMember};

/// The runtime may not be larger than this, in bytes: every session links it.
pub const RUNTIME_SIZE_MAX: usize = 160_000;

/// Functions of macOS may not be larger than this: sessions with objects for macOS link them.
pub const DARWIN_SIZE_MAX: usize = 70_000;

/// What can go wrong on the way to an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Cargo could not be started.
    #[error("cannot run {command}: {error}")]
    Start {
        /// The command line.
        command: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Cargo failed.
    #[error("{command} failed ({status}):\n{output}")]
    Cargo {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it wrote to standard error.
        output: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Cargo's archive or one of its members is damaged.
    #[error("cannot read archive member '{member}': {error}")]
    Member {
        /// The member's name.
        member: String,
        /// What is wrong with it.
        error: object::read::Error,
    },
    /// No member defines an entry point.
    #[error("the archive defines no entry point of the runtime (a symbol like __orc_rt_…)")]
    NoEntryPoint,
    /// The runtime contains something that linkers of JIT'd code cannot be expected to know.
    #[error("'{member}', section {section}: {what}")]
    Unsupported {
        /// The archive member.
        member: String,
        /// The section.
        section: String,
        /// What is in the way.
        what: String,
    },
    /// The packed object could not be written.
    #[error("cannot write the packed object: {0}")]
    Write(#[from] object::write::Error),
    /// The packed archive could not be written.
    #[error("cannot write the packed archive: {0}")]
    WriteArchive(std::io::Error),
    /// A member is too large.
    #[error("{member} has {size} bytes, more than the {size_max} that are allowed")]
    TooLarge {
        /// The member's name.
        member: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The most that is allowed.
        size_max: usize,
    },
    /// The executor is too large.
    #[error("the executor has {size} bytes, more than the {EXECUTOR_SIZE_MAX} that are allowed")]
    ExecutorTooLarge {
        /// Its size in bytes.
        size: usize,
    },
}

/// A static archive as Cargo leaves it, which becomes one member of the packed one.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The member's name.
    name: &'static str,
    /// Cargo's archive.
    archive: &'a [u8],
    /// Whether the member offers this name to others.
    is_entry_point: fn(&[u8]) -> bool,
    /// The most bytes that the member may have.
    size_max: usize,
}

impl<'a> Part<'a> {
    /// The runtime, `orc-rt`.
    #[must_use]
    pub fn runtime(archive: &'a [u8]) -> Self {
        let is_entry_point = |name: &[u8]| {
            name.starts_with(b"__orc_rt_")
                || name.starts_with(b"___orc_rt_")
                || name == b"__cxa_thread_atexit"
                || name == b"rust_eh_personality"
        };
        Self {
            name: "orc_rt.o",
            archive,
            is_entry_point,
            size_max: RUNTIME_SIZE_MAX,
        }
    }

    /// Functions of macOS, `orc-rt/darwin`.
    #[must_use]
    pub fn darwin(archive: &'a [u8]) -> Self {
        Self {
            name: "orc_rt_darwin.o",
            archive,
            is_entry_point: |name| name.starts_with(b"__orc_rt_ext_darwin_"),
            size_max: DARWIN_SIZE_MAX,
        }
    }
}

/// Packs static archives as Cargo leaves them into one.
///
/// # Errors
/// When one is damaged or contains what JIT linkers cannot link, or the result is too large.
pub fn pack(parts: &[Part<'_>]) -> Result<Vec<u8>, ArchiveError> {
    let mut members = Vec::new();
    for part in parts {
        let objects = members::reachable(part.archive, part.is_entry_point)?;
        let combined = combine::combine(&objects, part.is_entry_point)?;
        if combined.len() > part.size_max {
            return Err(ArchiveError::TooLarge {
                member: part.name,
                size: combined.len(),
                size_max: part.size_max,
            });
        }
        let name = part.name.to_owned();
        members.push(NewArchiveMember::new(
            combined,
            &DEFAULT_OBJECT_READER,
            name,
        ));
    }
    let mut packed = std::io::Cursor::new(Vec::new());
    ar_archive_writer::write_archive_to_stream(
        &mut packed,
        &members,
        ArchiveKind::Gnu,
        false,
        Some(false),
    )
    .map_err(ArchiveError::WriteArchive)?;
    Ok(packed.into_inner())
}
