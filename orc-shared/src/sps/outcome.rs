//! Success or failure on the wire.
//!
//! The two forms have opposite polarity: an *error*'s leading `bool` is true when it failed, an
//! *expected value*'s is true when it succeeded. Rust's `Result` is therefore not a wire type; it
//! is converted at the border, where the type names the form.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

use super::{SpsDecode, SpsEncode, SpsReader, SpsResult};

/// Success without a value, or a failure's message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpsError(pub Result<(), String>);

/// A value, or a failure's message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpsExpected<T>(pub Result<T, String>);

impl<E: Display> From<Result<(), E>> for SpsError {
    fn from(result: Result<(), E>) -> Self {
        Self(result.map_err(|error| error.to_string()))
    }
}

impl<T, E: Display> From<Result<T, E>> for SpsExpected<T> {
    fn from(result: Result<T, E>) -> Self {
        Self(result.map_err(|error| error.to_string()))
    }
}

impl SpsEncode for SpsError {
    fn sps_size(&self) -> usize {
        1 + self.0.as_ref().err().map_or(0, String::sps_size)
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        self.0.as_ref().err().sps_encode(out);
    }
}

impl<'a> SpsDecode<'a> for SpsError {
    const MIN_SIZE: usize = 1;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        let message = Option::<String>::sps_decode(input)?;
        Ok(Self(message.map_or(Ok(()), Err)))
    }
}

impl<T: SpsEncode> SpsEncode for SpsExpected<T> {
    fn sps_size(&self) -> usize {
        1 + match &self.0 {
            Ok(value) => value.sps_size(),
            Err(message) => message.sps_size(),
        }
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        self.0.is_ok().sps_encode(out);
        match &self.0 {
            Ok(value) => value.sps_encode(out),
            Err(message) => message.sps_encode(out),
        }
    }
}

impl<'a, T: SpsDecode<'a>> SpsDecode<'a> for SpsExpected<T> {
    const MIN_SIZE: usize = 1;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        Ok(Self(match bool::sps_decode(input)? {
            true => Ok(T::sps_decode(input)?),
            false => Err(String::sps_decode(input)?),
        }))
    }
}
