//! Sequences, strings, options and tuples.

use alloc::string::String;
use alloc::vec::Vec;

use super::{SpsDecode, SpsDecodeError, SpsEncode, SpsReader, SpsResult};

impl<T: SpsEncode + ?Sized> SpsEncode for &T {
    fn sps_size(&self) -> usize {
        (**self).sps_size()
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        (**self).sps_encode(out);
    }
}

impl<T: SpsEncode> SpsEncode for [T] {
    fn sps_size(&self) -> usize {
        8 + self.iter().map(T::sps_size).sum::<usize>()
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        (self.len() as u64).sps_encode(out);
        T::sps_encode_elements(self, out);
    }
}

impl<T: SpsEncode> SpsEncode for Vec<T> {
    fn sps_size(&self) -> usize {
        self.as_slice().sps_size()
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        self.as_slice().sps_encode(out);
    }
}

impl<'a, T: SpsDecode<'a>> SpsDecode<'a> for Vec<T> {
    const MIN_SIZE: usize = 8;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        let count = input.take_count(T::MIN_SIZE)?;
        T::sps_decode_elements(input, count)
    }
}

/// Borrows a sequence of bytes from the input.
impl<'a> SpsDecode<'a> for &'a [u8] {
    const MIN_SIZE: usize = 8;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        let count = input.take_count(1)?;
        input.take(count)
    }
}

impl SpsEncode for str {
    fn sps_size(&self) -> usize {
        8 + self.len()
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        self.as_bytes().sps_encode(out);
    }
}

/// Borrows a UTF-8 string from the input. Names that may be other bytes are read as `&[u8]`.
impl<'a> SpsDecode<'a> for &'a str {
    const MIN_SIZE: usize = 8;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        let bytes = <&[u8]>::sps_decode(input)?;
        let offset = input.offset() - bytes.len();
        core::str::from_utf8(bytes).map_err(|_| SpsDecodeError::InvalidUtf8 { offset })
    }
}

impl SpsEncode for String {
    fn sps_size(&self) -> usize {
        self.as_str().sps_size()
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        self.as_str().sps_encode(out);
    }
}

impl<'a> SpsDecode<'a> for String {
    const MIN_SIZE: usize = 8;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        <&str>::sps_decode(input).map(Self::from)
    }
}

impl<T: SpsEncode> SpsEncode for Option<T> {
    fn sps_size(&self) -> usize {
        1 + self.as_ref().map_or(0, T::sps_size)
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        self.is_some().sps_encode(out);
        if let Some(value) = self {
            value.sps_encode(out);
        }
    }
}

impl<'a, T: SpsDecode<'a>> SpsDecode<'a> for Option<T> {
    const MIN_SIZE: usize = 1;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        match bool::sps_decode(input)? {
            true => T::sps_decode(input).map(Some),
            false => Ok(None),
        }
    }
}

/// No arguments, or a "void" result: no bytes.
impl SpsEncode for () {
    fn sps_size(&self) -> usize {
        0
    }
    fn sps_encode(&self, _out: &mut Vec<u8>) {}
}

impl<'a> SpsDecode<'a> for () {
    const MIN_SIZE: usize = 0;
    fn sps_decode(_input: &mut SpsReader<'a>) -> SpsResult<Self> {
        Ok(())
    }
}

macro_rules! impl_tuple {
    ($($member:ident . $index:tt),+) => {
        impl<$($member: SpsEncode),+> SpsEncode for ($($member,)+) {
            fn sps_size(&self) -> usize {
                0 $(+ self.$index.sps_size())+
            }
            fn sps_encode(&self, out: &mut Vec<u8>) {
                $(self.$index.sps_encode(out);)+
            }
        }
        impl<'a, $($member: SpsDecode<'a>),+> SpsDecode<'a> for ($($member,)+) {
            const MIN_SIZE: usize = 0 $(+ $member::MIN_SIZE)+;
            fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
                Ok(($($member::sps_decode(input)?,)+))
            }
        }
    };
}

impl_tuple!(A.0);
impl_tuple!(A.0, B.1);
impl_tuple!(A.0, B.1, C.2);
impl_tuple!(A.0, B.1, C.2, D.3);
impl_tuple!(A.0, B.1, C.2, D.3, E.4);
impl_tuple!(A.0, B.1, C.2, D.3, E.4, F.5);
