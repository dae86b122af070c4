//! Addresses in the executor process.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// An address in the executor's address space, in bytes.
///
/// The controller never dereferences one. Conversion to a host pointer exists in one module of
/// `orc-target-process` and one of `orc-rt`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct ExecutorAddr(u64);

/// The signed distance in bytes between two executor addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct ExecutorAddrDiff(i64);

/// A half-open range `[start, end)` of executor addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct ExecutorAddrRange {
    /// First address of the range.
    pub start: ExecutorAddr,
    /// First address after the range.
    pub end: ExecutorAddr,
}

impl ExecutorAddr {
    /// The null address.
    pub const NULL: Self = Self(0);

    /// The address with this numeric value.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The numeric value.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Whether this is the null address.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The address moved by a signed number of bytes, wrapping at the ends of the address space.
    #[must_use]
    pub const fn offset(self, bytes: i64) -> Self {
        Self(self.0.wrapping_add_signed(bytes))
    }

    /// The lowest address not below this one that is a multiple of `align`, a power of two.
    #[must_use]
    pub const fn align_up(self, align: u64) -> Self {
        Self(self.0.wrapping_add(align - 1) & !(align - 1))
    }
}

impl ExecutorAddrDiff {
    /// The distance of this many bytes.
    #[must_use]
    pub const fn new(bytes: i64) -> Self {
        Self(bytes)
    }

    /// The distance in bytes.
    #[must_use]
    pub const fn value(self) -> i64 {
        self.0
    }
}

impl ExecutorAddrRange {
    /// The range that starts at `start` and spans `size` bytes.
    #[must_use]
    pub const fn from_size(start: ExecutorAddr, size: u64) -> Self {
        Self {
            start,
            end: ExecutorAddr(start.0.wrapping_add(size)),
        }
    }

    /// Number of bytes in the range.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.end.0.wrapping_sub(self.start.0)
    }

    /// Whether the range holds no byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start.0 == self.end.0
    }

    /// Whether `addr` lies in the range.
    #[must_use]
    pub const fn contains(self, addr: ExecutorAddr) -> bool {
        self.start.0 <= addr.0 && addr.0 < self.end.0
    }
}

impl Add<u64> for ExecutorAddr {
    type Output = Self;
    fn add(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

impl AddAssign<u64> for ExecutorAddr {
    fn add_assign(&mut self, bytes: u64) {
        *self = *self + bytes;
    }
}

impl Add<ExecutorAddrDiff> for ExecutorAddr {
    type Output = Self;
    fn add(self, diff: ExecutorAddrDiff) -> Self {
        self.offset(diff.0)
    }
}

impl Sub for ExecutorAddr {
    type Output = ExecutorAddrDiff;
    fn sub(self, other: Self) -> ExecutorAddrDiff {
        ExecutorAddrDiff(self.0.wrapping_sub(other.0).cast_signed())
    }
}

impl fmt::Debug for ExecutorAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ExecutorAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for ExecutorAddrDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ExecutorAddrDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            write!(f, "-{:#x}", self.0.unsigned_abs())
        } else {
            write!(f, "+{:#x}", self.0)
        }
    }
}
