//! Integers, booleans and addresses.

use alloc::vec::Vec;

use super::{SpsDecode, SpsDecodeError, SpsEncode, SpsReader, SpsResult};
use crate::{ExecutorAddr, ExecutorAddrRange};

macro_rules! impl_integer {
    ($($type:ty),+) => {$(
        impl SpsEncode for $type {
            fn sps_size(&self) -> usize {
                size_of::<$type>()
            }
            fn sps_encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
        impl<'a> SpsDecode<'a> for $type {
            const MIN_SIZE: usize = size_of::<$type>();
            fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
                Ok(Self::from_le_bytes(input.take_array()?))
            }
        }
    )+};
}

impl_integer!(i8, u16, i16, u32, i32, u64, i64);

// Bytes are apart from the other integers because sequences of them are copied at once.
impl SpsEncode for u8 {
    fn sps_size(&self) -> usize {
        1
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    fn sps_encode_elements(elements: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(elements);
    }
}

impl<'a> SpsDecode<'a> for u8 {
    const MIN_SIZE: usize = 1;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        let [byte] = input.take_array()?;
        Ok(byte)
    }
    fn sps_decode_elements(input: &mut SpsReader<'a>, count: usize) -> SpsResult<Vec<Self>> {
        Ok(input.take(count)?.to_vec())
    }
}

impl SpsEncode for bool {
    fn sps_size(&self) -> usize {
        1
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl<'a> SpsDecode<'a> for bool {
    const MIN_SIZE: usize = 1;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        let offset = input.offset();
        match u8::sps_decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(SpsDecodeError::InvalidBool { offset, value }),
        }
    }
}

impl SpsEncode for ExecutorAddr {
    fn sps_size(&self) -> usize {
        8
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        self.value().sps_encode(out);
    }
}

impl<'a> SpsDecode<'a> for ExecutorAddr {
    const MIN_SIZE: usize = 8;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        u64::sps_decode(input).map(Self::new)
    }
}

impl SpsEncode for ExecutorAddrRange {
    fn sps_size(&self) -> usize {
        16
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        self.start.sps_encode(out);
        self.end.sps_encode(out);
    }
}

impl<'a> SpsDecode<'a> for ExecutorAddrRange {
    const MIN_SIZE: usize = 16;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        Ok(Self {
            start: ExecutorAddr::sps_decode(input)?,
            end: ExecutorAddr::sps_decode(input)?,
        })
    }
}
