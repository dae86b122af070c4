//! Errors of the executor's memory.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use orc_shared::ExecutorAddr;
use orc_shared::api::{Placement, RangeId};

use crate::host::limits::why_not_protected;

/// Why memory could not be had, made final or given back.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The system refused an operation.
    #[error("{operation} of {start:#x}..{end:#x} failed: {source}{}", why_not_protected(.source))]
    System {
        /// The system call, as in "mprotect".
        operation: &'static str,
        /// First address concerned.
        start: u64,
        /// First address after it.
        end: u64,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// No range could be opened.
    #[error("no address space for a range {}: {reason}", describe(*.placement))]
    NoRange {
        /// Where it was wanted.
        placement: Placement,
        /// What the loader and the system said.
        reason: String,
    },
    /// The range was never opened.
    #[error("range {} does not exist", .0.0)]
    UnknownRange(RangeId),
    /// An allocation that not even an empty range could hold.
    #[error(
        "an allocation of {size:#x} bytes does not fit a range of {range_size:#x} bytes; \
         open one that is large enough"
    )]
    TooLarge {
        /// Bytes asked for, in all segments.
        size: u64,
        /// Bytes of the range.
        range_size: u64,
    },
    /// A request that contradicts itself.
    #[error(
        "bad segment: alignment {align:#x} must be a power of two, and content {content_size:#x} \
         at most the size {size:#x}"
    )]
    BadSegment {
        /// Alignment asked for.
        align: u64,
        /// Content asked for.
        content_size: u64,
        /// Size asked for.
        size: u64,
    },
    /// A frame entry that is not of the allocation it was given with.
    #[error(
        "frame entry for code at {pc} (FDE at {fde}) is outside the text of its allocation or its \
         FDE is outside the range {range_start:#x}..{range_end:#x}"
    )]
    ForeignFrame {
        /// The code it describes.
        pc: ExecutorAddr,
        /// The description.
        fde: ExecutorAddr,
        /// The range's first address.
        range_start: u64,
        /// The range's end.
        range_end: u64,
    },
    /// Frames could be neither entered in the range's table nor registered.
    #[error("the frames of the code at {code:#x} cannot be registered: {reason}")]
    Frames {
        /// First address of the allocation's code.
        code: u64,
        /// What is missing.
        reason: &'static str,
    },
    /// Bytes that are not the content of the allocation they were given for.
    #[error("content cannot be used: {0}")]
    Content(String),
    /// Several failures.
    #[error("{}", join(.0))]
    Many(Arc<[MemoryError]>),
}

impl MemoryError {
    /// The failure of the system call that was just made on `range`.
    pub(crate) fn system(operation: &'static str, range: Range<u64>) -> Self {
        Self::System {
            operation,
            start: range.start,
            end: range.end,
            source: Arc::new(io::Error::last_os_error()),
        }
    }

    /// `Ok` if nothing failed, else what failed.
    pub(crate) fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Many(errors.into())),
        }
    }
}

fn describe(placement: Placement) -> &'static str {
    match placement {
        Placement::NearLibraries => "near the process's libraries",
        Placement::Low2GiB => "below 2 GiB",
        Placement::Anywhere => "anywhere",
    }
}

fn join(errors: &[MemoryError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
