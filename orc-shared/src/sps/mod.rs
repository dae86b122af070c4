//! Simple Packed Serialization (SPS), the format of wrapper-function arguments and results.
//!
//! Values are written one after the other with no padding, no tags and no field names; both sides
//! must agree on the types. All integers are little-endian.
//!
//! | Type | Bytes |
//! |---|---|
//! | `u8`…`u64`, `i8`…`i64` | the value |
//! | `bool` | one byte, 0 or 1 |
//! | [`ExecutorAddr`](crate::ExecutorAddr) | `u64` |
//! | [`ExecutorAddrRange`](crate::ExecutorAddrRange) | start, end |
//! | sequence (`[T]`, `Vec<T>`), string (`str`, `String`) | count as `u64`, then the elements |
//! | `Option<T>` | `bool`, then the value if true |
//! | [`SpsError`] | `bool`; true means *failure* and is followed by the message |
//! | [`SpsExpected<T>`] | `bool`; true means *success*; then the value, or the message |
//! | tuple, argument list | its members |
//!
//! Bytes from the other side are hostile until decoded: a decoder never reads past its input, never
//! panics, and allocates no more than a small multiple of the input's size, because an element
//! count is checked against the bytes that are left before anything is reserved.

mod containers;
mod outcome;
mod primitives;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

pub use outcome::{SpsError, SpsExpected};

/// Why bytes could not be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpsDecodeError {
    /// A value needs more bytes than are left.
    Truncated {
        /// Offset of the value from the start of the input, in bytes.
        offset: usize,
        /// Bytes the value needs at least.
        needed: u64,
        /// Bytes that are left.
        available: usize,
    },
    /// A `bool` byte that is neither 0 nor 1.
    InvalidBool {
        /// Offset of the byte.
        offset: usize,
        /// The byte.
        value: u8,
    },
    /// The number of a variant that the type does not have.
    UnknownVariant {
        /// Offset of the number.
        offset: usize,
        /// The number.
        value: u8,
    },
    /// A string that is not UTF-8.
    InvalidUtf8 {
        /// Offset of the string's first character.
        offset: usize,
    },
    /// Bytes are left after the last value.
    TrailingBytes {
        /// Offset of the first of them.
        offset: usize,
        /// How many.
        count: usize,
    },
}

impl fmt::Display for SpsDecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated {
                offset,
                needed,
                available,
            } => write!(
                f,
                "SPS data truncated at byte {offset}: {needed} bytes needed, {available} left"
            ),
            Self::InvalidBool { offset, value } => {
                write!(f, "SPS bool at byte {offset} is {value:#x}, not 0 or 1")
            }
            Self::UnknownVariant { offset, value } => {
                write!(
                    f,
                    "no variant of SPS enum at byte {offset} has number {value}"
                )
            }
            Self::InvalidUtf8 { offset } => {
                write!(f, "SPS string at byte {offset} is not UTF-8")
            }
            Self::TrailingBytes { offset, count } => {
                write!(
                    f,
                    "{count} bytes left after SPS data that ends at byte {offset}"
                )
            }
        }
    }
}

impl core::error::Error for SpsDecodeError {}

/// Result of decoding.
pub type SpsResult<T> = Result<T, SpsDecodeError>;

/// A value that can be written as SPS.
pub trait SpsEncode {
    /// Number of bytes that [`Self::sps_encode`] appends.
    fn sps_size(&self) -> usize;

    /// Appends the value.
    fn sps_encode(&self, out: &mut Vec<u8>);

    /// Appends the elements of a sequence, without their count. Bytes are copied at once.
    #[doc(hidden)]
    fn sps_encode_elements(elements: &[Self], out: &mut Vec<u8>)
    where
        Self: Sized,
    {
        for element in elements {
            element.sps_encode(out);
        }
    }
}

/// A value that can be read from SPS; `'a` is the lifetime of the input, which it may borrow.
pub trait SpsDecode<'a>: Sized {
    /// The fewest bytes that any value of this type takes. Bounds the element count of sequences.
    const MIN_SIZE: usize;

    /// Reads one value.
    ///
    /// # Errors
    /// When the input does not start with such a value.
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self>;

    /// Reads the elements of a sequence; `count` is already known to fit the input.
    #[doc(hidden)]
    fn sps_decode_elements(input: &mut SpsReader<'a>, count: usize) -> SpsResult<Vec<Self>> {
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(Self::sps_decode(input)?);
        }
        Ok(elements)
    }
}

/// The bytes of one value (or of an argument list, as a tuple).
pub fn encode<T: SpsEncode + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.sps_size());
    value.sps_encode(&mut out);
    out
}

/// Reads one value that takes the whole input.
///
/// # Errors
/// When the input is not exactly one such value.
pub fn decode<'a, T: SpsDecode<'a>>(bytes: &'a [u8]) -> SpsResult<T> {
    let mut input = SpsReader::new(bytes);
    let value = T::sps_decode(&mut input)?;
    input.finish()?;
    Ok(value)
}

/// A cursor over encoded bytes.
#[derive(Clone, Debug)]
pub struct SpsReader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> SpsReader<'a> {
    /// Reads from the first of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    /// Takes the next `count` bytes.
    ///
    /// # Errors
    /// When fewer are left.
    pub fn take(&mut self, count: usize) -> SpsResult<&'a [u8]> {
        match self.remaining().get(..count) {
            Some(taken) => {
                self.offset += count;
                Ok(taken)
            }
            None => Err(self.truncated(count as u64)),
        }
    }

    /// Takes the next `N` bytes.
    ///
    /// # Errors
    /// When fewer are left.
    pub fn take_array<const N: usize>(&mut self) -> SpsResult<[u8; N]> {
        match self.remaining().first_chunk::<N>() {
            Some(taken) => {
                self.offset += N;
                Ok(*taken)
            }
            None => Err(self.truncated(N as u64)),
        }
    }

    /// Reads the element count of a sequence whose elements take at least `min_size` bytes each.
    /// Elements of no size count as one byte, so that a count is always bounded by the input.
    ///
    /// # Errors
    /// When so many elements cannot be in what is left.
    pub fn take_count(&mut self, min_size: usize) -> SpsResult<usize> {
        let count = u64::from_le_bytes(self.take_array()?);
        let needed = count.saturating_mul(min_size.max(1) as u64);
        if needed > self.remaining().len() as u64 {
            return Err(self.truncated(needed));
        }
        // The count is at most the number of bytes left, so it fits.
        Ok(count as usize)
    }

    /// Checks that everything was read.
    ///
    /// # Errors
    /// When bytes are left.
    pub fn finish(&self) -> SpsResult<()> {
        match self.remaining().len() {
            0 => Ok(()),
            count => Err(SpsDecodeError::TrailingBytes {
                offset: self.offset,
                count,
            }),
        }
    }

    fn truncated(&self, needed: u64) -> SpsDecodeError {
        SpsDecodeError::Truncated {
            offset: self.offset,
            needed,
            available: self.remaining().len(),
        }
    }
}

/// Implements [`SpsEncode`] and [`SpsDecode`] for a struct, field by field in the order given.
///
/// ```
/// use orc_shared::{ExecutorAddr, impl_sps_struct, sps};
///
/// #[derive(Debug, PartialEq)]
/// struct Request {
///     at: ExecutorAddr,
///     name: String,
/// }
/// impl_sps_struct!(Request { at: ExecutorAddr, name: String });
///
/// let request = Request { at: ExecutorAddr::new(16), name: "a".into() };
/// assert_eq!(sps::decode(&sps::encode(&request)), Ok(request));
/// ```
#[macro_export]
macro_rules! impl_sps_struct {
    ($name:ident { $($field:ident : $type:ty),+ $(,)? }) => {
        impl $crate::sps::SpsEncode for $name {
            fn sps_size(&self) -> usize {
                0 $(+ $crate::sps::SpsEncode::sps_size(&self.$field))+
            }
            fn sps_encode(&self, out: &mut $crate::sps::private::Vec<u8>) {
                $($crate::sps::SpsEncode::sps_encode(&self.$field, out);)+
            }
        }
        impl<'a> $crate::sps::SpsDecode<'a> for $name {
            const MIN_SIZE: usize =
                0 $(+ <$type as $crate::sps::SpsDecode<'a>>::MIN_SIZE)+;
            fn sps_decode(
                input: &mut $crate::sps::SpsReader<'a>,
            ) -> $crate::sps::SpsResult<Self> {
                // Fields of a struct expression are evaluated in the order written.
                Ok(Self { $($field: <$type as $crate::sps::SpsDecode<'a>>::sps_decode(input)?),+ })
            }
        }
    };
}

/// Implements [`SpsEncode`] and [`SpsDecode`] for an enum without fields: one byte, the number given.
///
/// ```
/// use orc_shared::{impl_sps_enum, sps};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum Color { Red, Green }
/// impl_sps_enum!(Color { Red = 0, Green = 1 });
///
/// assert_eq!(sps::encode(&Color::Green), [1]);
/// assert_eq!(sps::decode(&[0]), Ok(Color::Red));
/// assert!(sps::decode::<Color>(&[2]).is_err());
/// ```
#[macro_export]
macro_rules! impl_sps_enum {
    ($name:ident { $($variant:ident = $number:literal),+ $(,)? }) => {
        impl $crate::sps::SpsEncode for $name {
            fn sps_size(&self) -> usize {
                1
            }
            fn sps_encode(&self, out: &mut $crate::sps::private::Vec<u8>) {
                out.push(match self {
                    $(Self::$variant => $number,)+
                });
            }
        }
        impl<'a> $crate::sps::SpsDecode<'a> for $name {
            const MIN_SIZE: usize = 1;
            fn sps_decode(
                input: &mut $crate::sps::SpsReader<'a>,
            ) -> $crate::sps::SpsResult<Self> {
                let offset = input.offset();
                match <u8 as $crate::sps::SpsDecode<'a>>::sps_decode(input)? {
                    $($number => Ok(Self::$variant),)+
                    value => Err($crate::sps::SpsDecodeError::UnknownVariant { offset, value }),
                }
            }
        }
    };
}

/// What the macros of this crate name in their callers' crates.
#[doc(hidden)]
pub mod private {
    pub use alloc::vec::Vec;
}
